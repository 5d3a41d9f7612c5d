//! The languages of the multilingual models, by code and by name.

/// One language that the multilingual models were trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    /// ISO 639-1, lower-case; also the tag that stands before the text.
    pub code: &'static str,
    /// English.
    pub name: &'static str,
}

const fn language(code: &'static str, name: &'static str) -> Language {
    Language { code, name }
}

/// All of them, by code.
pub const LANGUAGES: [Language; 23] = [
    language("ar", "Arabic"),
    language("da", "Danish"),
    language("de", "German"),
    language("el", "Greek"),
    language("en", "English"),
    language("es", "Spanish"),
    language("fi", "Finnish"),
    language("fr", "French"),
    language("he", "Hebrew"),
    language("hi", "Hindi"),
    language("it", "Italian"),
    language("ja", "Japanese"),
    language("ko", "Korean"),
    language("ms", "Malay"),
    language("nl", "Dutch"),
    language("no", "Norwegian"),
    language("pl", "Polish"),
    language("pt", "Portuguese"),
    language("ru", "Russian"),
    language("sv", "Swedish"),
    language("sw", "Swahili"),
    language("tr", "Turkish"),
    language("zh", "Chinese"),
];

impl Language {
    /// The language of a code, in any case.
    pub fn of_code(code: &str) -> Option<Self> {
        LANGUAGES.into_iter().find(|language| language.code.eq_ignore_ascii_case(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_in_any_case_and_others_are_not() {
        assert_eq!(Language::of_code("JA").map(|language| language.name), Some("Japanese"));
        assert_eq!(Language::of_code("xx"), None);
        assert!(LANGUAGES.is_sorted_by_key(|language| language.code));
    }
}
