// A sentence to try a voice with, in its own language. Each has many different sounds.

const SENTENCES = {
  en: "The quick brown fox jumps over the lazy dog, and nobody is surprised.",
  de: "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
  fr: "Portez ce vieux whisky au juge blond qui fume sur son île.",
  es: "El veloz murciélago comía feliz cardillo y kiwi junto a la cigüeña.",
  it: "Quel vituperabile xenofobo zelante assaggia il whisky ed esclama alleluia.",
  pt: "Um pequeno jabuti xereta viu dez cegonhas felizes.",
  zh: "敏捷的棕色狐狸跳过了那只懒惰的狗。",
  ja: "いろはにほへと、ちりぬるを。",
};

/** @param {string} language a tag such as "en-GB" */
export function sentenceFor(language = "en") {
  return SENTENCES[language.split("-")[0]] ?? SENTENCES.en;
}
