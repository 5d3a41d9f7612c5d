//! The models that Resemble AI publishes, as data: which files of which repository, at which commit, and what their bytes
//! add up to. A commit never changes, so neither do its sizes and hashes; to move to another one, change them together.
//!
//! `.safetensors` stand before `.pt`: the same weights in a format that is only data.

use super::registry::{Candidate, Model, Origin, Wanted};
use super::{Architecture, Role};

/// A repository on the hub and its commit; `main` where none is known to be good, and then the hub says what it holds.
struct Repository {
    id: &'static str,
    revision: &'static str,
}

/// A file whose bytes are known.
struct Known {
    repository: &'static Repository,
    name: &'static str,
    size: u64,
    sha256: &'static str,
}

static BASE: Repository =
    Repository { id: "ResembleAI/chatterbox", revision: "5bb1f6ee58e50c3b8d408bc82a6d3740c2db6e18" };
static TURBO: Repository =
    Repository { id: "ResembleAI/chatterbox-turbo", revision: "749d1c1a46eb10492095d68fbcf55691ccf137cd" };
static NANO: Repository =
    Repository { id: "ResembleAI/chatterbox-nano", revision: "71ccd1d0081b430592cea481f4307e764e07bc64" };

const fn known(
    repository: &'static Repository,
    name: &'static str,
    size: u64,
    sha256: &'static str,
) -> Known {
    Known { repository, name, size, sha256 }
}

// In several repositories, byte for byte; a function of the repository so that each model comes from its own.
const fn voice_encoder(repository: &'static Repository) -> Known {
    let sha256 = "f0921cab452fa278bc25cd23ffd59d36f816d7dc5181dd1bef9751a7fb61f63c";
    known(repository, "ve.safetensors", 5_695_784, sha256)
}
const fn meanflow(repository: &'static Repository) -> Known {
    let sha256 = "d65cb687a2ed581ee6cc297e919ffefa63386944f42364ae13b78a594945514f";
    known(repository, "s3gen_meanflow.safetensors", 1_064_875_036, sha256)
}
const fn gpt_conds(repository: &'static Repository) -> Known {
    let sha256 = "b1852099306fd6a7814eb9d0bd10186caba7249596cc23868f78a0eefbfa5033";
    known(repository, "conds.pt", 169_454, sha256)
}
const fn vocab(repository: &'static Repository) -> Known {
    let sha256 = "f6bd25a65e4e63ca31360e9fb11c7e4f9a391a78385d640acd814092dd6eee4f";
    known(repository, "vocab.json", 999_186, sha256)
}
const fn merges(repository: &'static Repository) -> Known {
    let sha256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5";
    known(repository, "merges.txt", 456_318, sha256)
}
const fn added_tokens(repository: &'static Repository) -> Known {
    let sha256 = "72e4ab6acb0d9309ac3df4b526ae5fd80a2da5bc5ab7bb02d85096a374f69193";
    known(repository, "added_tokens.json", 418, sha256)
}
const fn tokenizer_config(repository: &'static Repository) -> Known {
    let sha256 = "bca16a2ac1ddbd78b8d6228f0031884cc74b6ea54b967d6f6d2ebae9ccde23e6";
    known(repository, "tokenizer_config.json", 3878, sha256)
}

static VOICE_ENCODER_PICKLE: Known =
    known(&BASE, "ve.pt", 5_698_626, "4b16d836bc598509860f6fa068165a8bb5e9ac84f05582dfcf278a5a372879f1");
static S3GEN: Known = known(
    &BASE,
    "s3gen.safetensors",
    1_056_484_620,
    "2b78103c654207393955e4900aac14a12de8ef25f4b09424f1ef91941f161d4e",
);
static S3GEN_PICKLE: Known = known(
    &BASE,
    "s3gen.pt",
    1_057_165_844,
    "9b9ff07e60b20c136e2b1b3d7563a24604e8d2c4c267888d1ee929dd0151d2a3",
);
static S3GEN_V3: Known = known(
    &BASE,
    "s3gen_v3.safetensors",
    1_056_381_804,
    "4a46190f3dccc2230fbb3488a930bccc925862ee68f2662433dfcfe93ce6c2cb",
);
static S3GEN_V3_PICKLE: Known = known(
    &BASE,
    "s3gen_v3.pt",
    1_056_903_694,
    "f7abce4b196dae2d08d9296cbebc6521b046079577643b42a19a03499d08721e",
);
static CONDS: Known =
    known(&BASE, "conds.pt", 107_374, "6552d70568833628ba019c6b03459e77fe71ca197d5c560cef9411bee9d87f4e");
static ENGLISH_TOKENIZER: Known = known(
    &BASE,
    "tokenizer.json",
    25_470,
    "d71e3a44eabb1784df9a68e9f95b251ecbf1a7af6a9f50835856b2ca9d8c14a5",
);
static TOKENIZER: Known = known(
    &BASE,
    "grapheme_mtl_merged_expanded_v1.json",
    69_989,
    "69632f47220a788a52ce2661d096453c5655e9bf25289d89a8d832c46ee07dbf",
);
static CANGJIE: Known = known(
    &BASE,
    "Cangjie5_TC.json",
    1_920_163,
    "7073fd9de919443ae88e0bd2449917a65fe54898a4413ed1edcc4b67f28bce8c",
);

/// Perth's implicit watermark, step 250 000. The file that the Python package resemble-perth 1.0.1 brings with it is this one,
/// byte for byte (git's hash of both is 22fbc47e), and lies at this very path in its wheel.
static PERTH: Repository =
    Repository { id: "github:resemble-ai/Perth", revision: "f369a01967960ac4fdf5f0741935756f8ae54e12" };
static WATERMARK: Known = known(
    &PERTH,
    "perth/perth_net/pretrained/implicit/perth_net_250000.pth.tar",
    37_429_684,
    "a15bce457ebc53ce5e6c9c3f11df78cf7ee2bf9cdab0a798902135b4c4027670",
);

/// The languages of the multilingual checkpoints.
pub(super) const LANGUAGES: [&str; 23] = [
    "ar", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "it", "ja", "ko", "ms", "nl", "no", "pl",
    "pt", "ru", "sv", "sw", "tr", "zh",
];

/// All of them, the smallest of each kind first.
pub(super) fn models() -> Vec<Model> {
    let t3_nano = known(
        &NANO,
        "t3_nano_v1.safetensors",
        869_899_204,
        "72b110185087d945dbdf54dee4e333848e1811bdd5fd6cb16ceb8da50006f0c9",
    );
    let t3_turbo = known(
        &TURBO,
        "t3_turbo_v1.safetensors",
        1_915_480_052,
        "fcf1f8c1d651bb7e3acd69ee5be269b4ac10c02980b7708213d598bc9f7cdf87",
    );
    let t3_original = known(
        &BASE,
        "t3_cfg.safetensors",
        2_129_653_744,
        "914cb1696f47527fe8852ca8f1fe1fa63cb34f76f9c715e84e067b744dd0da81",
    );
    let t3_v3 = known(
        &BASE,
        "t3_mtl23ls_v3.safetensors",
        2_143_989_928,
        "5abca8321ede76f8e61f1cc0d19aea6c946b28871017ce8726f8a69203f05953",
    );
    let t3_v2 = known(
        &BASE,
        "t3_mtl23ls_v2.safetensors",
        2_143_989_752,
        "b1237586127ce98e7800a68e49938eb5092846862aabcb6e17b2fda7889a6c75",
    );
    let english = &["en"][..];
    let mut original = vec![wanted(Role::T3, &[&t3_original])];
    original.extend(shared_llama(&[&S3GEN, &S3GEN_PICKLE], &ENGLISH_TOKENIZER));
    let mut models = vec![
        model(
            ("nano", "Chatterbox Nano"),
            Architecture::Nano,
            english,
            "English, the smallest: for the CPU",
            gpt(&NANO, &t3_nano),
        ),
        model(
            ("turbo", "Chatterbox Turbo"),
            Architecture::Turbo,
            english,
            "English, fast on a GPU; knows tags such as [laugh]",
            gpt(&TURBO, &t3_turbo),
        ),
        model(
            ("original", "Chatterbox"),
            Architecture::Original,
            english,
            "English with exaggeration and guidance",
            original,
        ),
        // The reference pairs both multilingual checkpoints with the first S3Gen.
        multilingual(
            ("multilingual-v3", "Chatterbox Multilingual V3"),
            "23 languages",
            wanted(Role::T3, &[&t3_v3]),
        ),
        multilingual(
            ("multilingual-v2", "Chatterbox Multilingual V2"),
            "23 languages, the earlier checkpoint",
            wanted(Role::T3, &[&t3_v2]),
        ),
    ];
    models.extend(packs());
    models.push(model(
        ("watermark", "Perth watermark"),
        Architecture::Watermark,
        &[],
        "marks what the others speak, inaudibly",
        vec![wanted(Role::Watermark, &[&WATERMARK])],
    ));
    models
}

/// Turbo and Nano differ in T3 alone.
fn gpt(repository: &'static Repository, t3: &Known) -> Vec<Wanted> {
    vec![
        wanted(Role::T3, &[t3]),
        wanted(Role::S3gen, &[&meanflow(repository)]),
        wanted(Role::VoiceEncoder, &[&voice_encoder(repository)]),
        wanted(Role::Conds, &[&gpt_conds(repository)]),
        wanted(Role::Vocab, &[&vocab(repository)]),
        wanted(Role::Merges, &[&merges(repository)]),
        wanted(Role::AddedTokens, &[&added_tokens(repository)]),
        wanted(Role::TokenizerConfig, &[&tokenizer_config(repository)]),
    ]
}

fn shared_llama(s3gen: &[&Known], tokenizer: &Known) -> Vec<Wanted> {
    vec![
        wanted(Role::S3gen, s3gen),
        wanted(Role::VoiceEncoder, &[&voice_encoder(&BASE), &VOICE_ENCODER_PICKLE]),
        wanted(Role::Conds, &[&CONDS]),
        wanted(Role::Tokenizer, &[tokenizer]),
    ]
}

fn multilingual(names: (&str, &str), purpose: &str, t3: Wanted) -> Model {
    let mut files = vec![t3];
    files.extend(shared_llama(&[&S3GEN, &S3GEN_PICKLE], &TOKENIZER));
    files.push(wanted(Role::Cangjie, &[&CANGJIE]));
    model(names, Architecture::Multilingual, &LANGUAGES, purpose, files)
}

/// One language each: a T3 of its own; everything else is the base repository's, S3Gen being the third version, which
/// the packs repeat byte for byte.
fn packs() -> Vec<Model> {
    /// Bytes of each pack's T3, within a kilobyte: the multilingual network under another name.
    const ABOUT: u64 = 2_143_990_000;
    const PT_BR: &str = "074aaf65255eb9cb960288f7cc72e09d3b5008f6e0b14868c0d4e5b0bd7cbb6c";
    /// Pack, language, its code, revision, T3's file and its SHA-256.
    type Pack = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<&'static str>);
    let packs: [Pack; 6] = [
        ("zh-cmn", "Mandarin Chinese", "zh", "main", "t3_zh_cmn.safetensors", None),
        (
            "es-mx-latam",
            "Latin American Spanish",
            "es",
            "27e595bf2fe7be0533ca299d9afafcde08b7cca7",
            "t3_es_mx_latam.safetensors",
            None,
        ),
        (
            "es-es",
            "Spanish of Spain",
            "es",
            "7262b364e3222ba9446c9289e7485eadc47ed902",
            "t3_es_es.safetensors",
            None,
        ),
        (
            "pt-br",
            "Brazilian Portuguese",
            "pt",
            "b3952f18bc2eaa72b9bd7c17d2c4653bcad4770d",
            "t3_pt_br.safetensors",
            Some(PT_BR),
        ),
        ("pt-pt", "European Portuguese", "pt", "main", "t3_pt_pt.safetensors", None),
        ("hi", "Hindi", "hi", "82ca71273cc2a9ab19efdf8315f865c1a5af0ee7", "t3_hi.safetensors", None),
    ];
    let pack = |(id, language, code, revision, t3, sha256): Pack| {
        let t3 = Candidate {
            repository: format!("ResembleAI/Chatterbox-Multilingual-{id}"),
            revision: revision.to_owned(),
            name: t3.to_owned(),
            size: Some(ABOUT),
            sha256: sha256.map(str::to_owned),
        };
        let mut files = vec![Wanted { role: Role::T3, candidates: vec![t3] }];
        files.extend(shared_llama(&[&S3GEN_V3, &S3GEN_V3_PICKLE], &TOKENIZER));
        if code == "zh" {
            files.push(wanted(Role::Cangjie, &[&CANGJIE]));
        }
        model(
            (&format!("multilingual-{id}"), &format!("Chatterbox Multilingual, {language}")),
            Architecture::Multilingual,
            &[code],
            &format!("{language} only"),
            files,
        )
    };
    packs.into_iter().map(pack).collect()
}

fn model(
    (name, title): (&str, &str),
    architecture: Architecture,
    languages: &[&str],
    purpose: &str,
    files: Vec<Wanted>,
) -> Model {
    // T3 stands first and is what makes a model.
    let repository =
        files.iter().flat_map(|file| &file.candidates).next().map(|candidate| candidate.repository.clone());
    Model {
        name: name.to_owned(),
        title: title.to_owned(),
        architecture,
        languages: languages.iter().map(|&code| code.to_owned()).collect(),
        licence: Some("MIT".to_owned()),
        purpose: purpose.to_owned(),
        origin: Origin::Hub { repository: repository.unwrap_or_default() },
        is_own: false,
        files,
    }
}

fn wanted(role: Role, candidates: &[&Known]) -> Wanted {
    let candidate = |known: &&Known| Candidate {
        repository: known.repository.id.to_owned(),
        revision: known.repository.revision.to_owned(),
        name: known.name.to_owned(),
        size: Some(known.size),
        sha256: Some(known.sha256.to_owned()),
    };
    Wanted { role, candidates: candidates.iter().map(candidate).collect() }
}
