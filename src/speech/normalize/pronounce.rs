//! The user's own pronunciations: whole words replaced by how they are said, before any rule reads the text.
//!
//! All entries are looked for at once, longer ones first, and what was replaced is not looked at again, so entries never feed
//! each other. Tags such as `[laugh]` are no words.

use regex::Regex;

use super::rewrite::rewrite;
use super::tags;

/// What stands in a text, and what to say for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pronunciation {
    pub text: String,
    pub say: String,
    /// Only where capitals agree.
    #[serde(default)]
    pub match_case: bool,
    /// Only where this voice speaks, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
}

/// `text`, which `voice` is to speak, with every entry's words replaced.
pub fn pronounce(text: &str, entries: &[Pronunciation], voice: &str) -> String {
    let is_for_it = |entry: &&Pronunciation| entry.voice.as_deref().is_none_or(|only| only == voice);
    let mut sorted: Vec<&Pronunciation> = entries.iter().filter(is_for_it).collect();
    // Stable: of two alike, the first counts.
    sorted.sort_by_key(|entry| std::cmp::Reverse(entry.text.len()));
    let alternatives: Vec<String> = sorted.iter().map(|entry| alternative(entry)).collect();
    // The settings bound how many and how long; a pattern too large for the engine cannot come of that.
    let (false, Ok(pattern)) = (sorted.is_empty(), Regex::new(&alternatives.join("|"))) else {
        return text.to_owned();
    };
    let (lifted, tags) = tags::lift(&text.replace(tags::PLACE, ""));
    let said = rewrite(&lifted, &pattern, |found, around| {
        let index = (1..=sorted.len()).find(|&index| found.get(index).is_some())?;
        let edge = |of: Option<char>, beside: Option<char>| {
            !(of.is_some_and(char::is_alphanumeric) && beside.is_some_and(char::is_alphanumeric))
        };
        let whole = edge(found[0].chars().next(), around.previous())
            && edge(found[0].chars().next_back(), around.next());
        whole.then(|| sorted[index - 1].say.clone())
    });
    tags::put_back(&said, &tags)
}

/// Whether `text` has the entry's words.
pub fn occurs(text: &str, entry: &Pronunciation) -> bool {
    Regex::new(&alternative(entry)).is_ok_and(|pattern| pattern.is_match(text))
}

/// One capturing group.
fn alternative(entry: &Pronunciation) -> String {
    let words = regex::escape(&entry.text);
    if entry.match_case { format!("({words})") } else { format!("((?i:{words}))") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, say: &str, match_case: bool) -> Pronunciation {
        Pronunciation { text: text.to_owned(), say: say.to_owned(), match_case, voice: None }
    }

    #[test]
    fn whole_words_are_replaced_longer_ones_first_and_only_once() {
        let entries = [
            entry("SQL", "sequel", true),
            entry("sequel", "never", false),
            entry("New York", "Noo Yawk", false),
            entry("york", "Yoark", false),
            entry("C++", "see plus plus", false),
            entry("世界", "shijie", false),
        ];
        for (text, said) in [
            ("SQL, MySQL and sql.", "sequel, MySQL and sql."),
            ("In NEW YORK or York, Yorkshire.", "In Noo Yawk or Yoark, Yorkshire."),
            ("C++ or C++.", "see plus plus or see plus plus."),
            ("[SQL] stays, SQL not", "[SQL] stays, sequel not"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(pronounce(text, &entries, ""), said);
        }
        assert_eq!(pronounce("SQL", &[], ""), "SQL");
        assert_eq!(pronounce("a $1 b", &[entry("b", "$0 {x}", false)], ""), "a $1 $0 {x}");
    }

    #[test]
    fn what_occurs_is_found_by_the_same_case_rule() {
        assert!(occurs("my sql", &entry("SQL", "", false)));
        assert!(!occurs("my sql", &entry("SQL", "", true)));
    }
}
