"""How the reference prepares text in each language: the golden strings of tests/fixtures/languages.json.

    pip install chatterbox-tts==0.1.7 pykakasi==2.3.0 spacy-pkuseg==1.0.2
    pip download --no-deps --only-binary=:all: --python-version 3.7 --platform manylinux1_x86_64 --implementation cp \
        --abi cp37m pkuseg==0.0.25 && unzip pkuseg-0.0.25-*.whl 'pkuseg/models/*'
    python make_languages.py pkuseg/models/default ../../crates/chatterbox/tests/fixtures/languages.json

Chinese words: spacy-pkuseg downloads its model (`spacy_ontonotes`) from GitHub when it is first used, and no package carries
it. The model here is the one inside the package that spacy-pkuseg is a fork of, trained on mixed text, and is run by
spacy-pkuseg's code.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import chatterbox.models.tokenizers.tokenizer as reference
from chatterbox.mtl_tts import punc_norm
from spacy_pkuseg import pkuseg

TEXTS = {
    "ar": ["مرحباً بالعالم، كيف حالك اليوم؟", "هذا كتابٌ جديد."],
    "da": ["Goddag, Søren! Hvor går du hen på lørdag?", "Æblerne ligger i køkkenet"],
    "de": ["Über sieben Brücken mußt du gehn…", "Die „Straße“ ist GROẞ und schön - oder?"],
    "el": ["ΟΔΥΣΣΕΥΣ: πού πηγαίνεις;", "Καλημέρα, ΟΔΟΣ ΑΘΗΝΑΣ 5."],
    "en": ["It’s “five o'clock” — isn’t it?", "The ﬁrst ½ of № 5"],
    "es": ["¿Dónde está el baño, señor Núñez?", "¡Qué alegría!"],
    "fi": ["Hyvää yötä, Äiti", "Pöllöt lentävät ÖISIN."],
    "fr": ["Ça va très bien, merci !", "L’œuvre de Noël : « déjà vu »."],
    "he": ["שלום עולם, מה שלומך?", "זֶה סֵפֶר"],
    "hi": ["नमस्ते दुनिया, आप कैसे हैं?", "यह क़िताब है।"],
    "it": ["Perché no? È così bello!", "La città è più grande"],
    "ja": Path(__file__).with_name("sentences.ja.txt").read_text(encoding="utf-8").split(),
    "ko": ["안녕하세요, 세계! ", "값이 비싼 닭고기 ABC"],
    "ms": ["Selamat pagi, apa khabar?", "Saya suka makan nasi lemak"],
    "nl": ["Één ĲSBEER in Oegstgeest", "Hoe gaat het met u?"],
    "no": ["Blåbærsyltetøy på brød", "ÅSE går hjem."],
    "pl": ["Zażółć gęślą jaźń", "ŁÓDŹ to duże miasto!"],
    "pt": ["Não há pão de manhã?", "A AVÓ e o avô"],
    "ru": ["Привет, Ёлка! Как твои дела й?", "Съешь же ещё этих мягких булок"],
    "sv": ["Åsa åt räksmörgås…", "Hur mår DU?"],
    "sw": ["Habari ya asubuhi, rafiki yangu?", "Ninapenda kusoma vitabu"],
    "tr": ["İstanbul'da ILIK bir gün", "Şimdi çay içiyoruz; gel!"],
}


def main(pkuseg_model, out):
    tokenizer = reference.MTLTokenizer.__new__(reference.MTLTokenizer)
    # In place of the tokenizer's file: whatever it would be given is the result.
    tokenizer.tokenizer = SimpleNamespace(encode=lambda text: SimpleNamespace(ids=text.replace(reference.SPACE, " ")))
    prepared = [
        dict(language=language, text=text, out=tokenizer.encode(punc_norm(text), language_id=language))
        for language, texts in TEXTS.items()
        for text in texts
    ]
    segmenter = pkuseg(model_name=pkuseg_model)
    sentences = Path(__file__).with_name("sentences.zh.txt").read_text(encoding="utf-8").split()
    chinese = [
        dict(text=text, words=segmenter.cut(tokenizer.preprocess_text(punc_norm(text)))) for text in sentences
    ]
    Path(out).write_text(
        json.dumps(dict(prepared=prepared, chinese=chinese), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
