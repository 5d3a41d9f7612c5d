//! Pronunciations in the W3C's form (Pronunciation Lexicon Specification 1.0), which other speech software writes.
//!
//! Taken is what these models can obey: a `grapheme` is a text, an `alias` is what to say for it. They read letters, so an
//! entry that has only phonemes, or that is meant for one of several meanings of a word (`role`), is refused with its place.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, OwnPronunciation, ranges};
use crate::xml::{Node, Reader, XmlError, line_and_column};

/// Bytes of a lexicon; 2000 entries have a few hundred thousand.
const LARGEST: u64 = 4 << 20;

/// A lexicon as `config.yaml` names it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lexicon {
    /// From the folder of the configuration file on, where it is not absolute.
    pub file: PathBuf,
    /// Only for this voice, by id or name.
    pub voice: Option<String>,
    /// Only where capitals agree; PLS itself leaves that open.
    #[serde(default)]
    pub match_case: bool,
}

impl Lexicon {
    /// Its entries, in their order.
    ///
    /// # Errors
    /// An unreadable file, or the first entry that cannot be obeyed, with line and column.
    pub fn entries(&self, folder: &Path) -> Result<Vec<OwnPronunciation>, ConfigError> {
        let path = folder.join(&self.file);
        let wrong = |problem: String| ConfigError::Value {
            layer: path.display().to_string(),
            key: "lexicons".to_owned(),
            problem,
        };
        let read = |source| ConfigError::Read { path: path.clone(), source };
        let bytes = std::fs::metadata(&path).map_err(read)?.len();
        if bytes > LARGEST {
            return Err(wrong(format!("the lexicon has {bytes} bytes; at most {LARGEST} are read")));
        }
        let text = std::fs::read_to_string(&path).map_err(read)?;
        entries(&text, self).map_err(|error| {
            let (line, column) = line_and_column(&text, error.at);
            wrong(format!("line {line}, column {column}: {}", error.problem))
        })
    }
}

/// An entry in the making.
#[derive(Default)]
struct Lexeme {
    at: usize,
    graphemes: Vec<String>,
    /// The preferred one first.
    aliases: Vec<String>,
    has_phonemes: bool,
}

fn entries(text: &str, lexicon: &Lexicon) -> Result<Vec<OwnPronunciation>, XmlError> {
    let mut reader = Reader::new(text);
    let (mut found, mut language) = (Vec::new(), None);
    let mut open: Vec<&str> = Vec::new();
    let mut lexeme = Lexeme::default();
    let (mut said, mut is_preferred) = (String::new(), false);
    while let Some(node) = reader.read()? {
        match node {
            Node::Start(element) => {
                let refuse = |problem: String| Err(XmlError::new(element.at, problem));
                match (open.last().copied(), element.name) {
                    (None, "lexicon") => {
                        let code = element.attribute("xml:lang").unwrap_or_default();
                        // `en-US` is English.
                        let general = code.split(['-', '_']).next().unwrap_or_default().to_lowercase();
                        language = Some(general).filter(|code| !code.is_empty());
                    }
                    (None, other) => {
                        return refuse(format!("the outermost element must be <lexicon>, not <{other}>"));
                    }
                    (Some("lexicon"), "lexeme") => {
                        if element.attribute("role").is_some() {
                            let why = "which of its meanings a word has here is not known";
                            return refuse(format!("an entry with a role cannot be obeyed: {why}"));
                        }
                        lexeme = Lexeme { at: element.at, ..Lexeme::default() };
                    }
                    (Some("lexeme"), "phoneme") => lexeme.has_phonemes = true,
                    (Some("lexeme"), "grapheme" | "alias") => {
                        said.clear();
                        is_preferred = element.attribute("prefer") == Some("true");
                    }
                    // What is told about the lexicon or an entry.
                    (Some("lexicon"), "meta" | "metadata")
                    | (Some("lexeme"), "example")
                    | (Some("metadata" | "example"), _) => {}
                    (Some(outer), other) => {
                        return refuse(format!("<{other}> has no meaning within <{outer}>"));
                    }
                }
                open.push(element.name);
            }
            Node::Text { text, at } => match open.last() {
                Some(&"grapheme" | &"alias") => said.push_str(&text),
                Some(&"lexicon" | &"lexeme") if !text.trim().is_empty() => {
                    return Err(XmlError::new(at, "text must stand within <grapheme> or <alias>"));
                }
                _ => {}
            },
            Node::End => match open.pop() {
                Some("grapheme") => lexeme.graphemes.push(one_line(&said)),
                Some("alias") if is_preferred => lexeme.aliases.insert(0, one_line(&said)),
                Some("alias") => lexeme.aliases.push(one_line(&said)),
                Some("lexeme") => found.extend(lexeme.pronunciations(lexicon, language.as_ref())?),
                _ => {}
            },
        }
        if found.len() > ranges::PRONUNCIATIONS {
            let most = ranges::PRONUNCIATIONS;
            return Err(XmlError::new(lexeme.at, format!("there are more than {most} entries")));
        }
    }
    Ok(found)
}

impl Lexeme {
    fn pronunciations(
        &self,
        lexicon: &Lexicon,
        language: Option<&String>,
    ) -> Result<Vec<OwnPronunciation>, XmlError> {
        let named = self.graphemes.first().map_or("an entry", String::as_str);
        let refuse = |problem: String| Err(XmlError::new(self.at, problem));
        let Some(say) = self.aliases.first() else {
            return refuse(if self.has_phonemes {
                format!(
                    "{named:?} has a <phoneme> and no <alias>: the models read letters, not phonemes. Write an <alias> that is \
                     read as it should sound, or leave the entry out"
                )
            } else {
                format!("{named:?} has no <alias>, so there is nothing to say for it")
            });
        };
        let fits = |text: &str| (1..=ranges::PRONUNCIATION_CHARS).contains(&text.chars().count());
        if self.graphemes.is_empty() || !self.graphemes.iter().all(|text| fits(text)) || !fits(say) {
            let most = ranges::PRONUNCIATION_CHARS;
            return refuse(format!(
                "{named:?} needs a <grapheme> and an <alias>, each of 1 to {most} characters"
            ));
        }
        let own = |text: &String| OwnPronunciation {
            text: text.clone(),
            say: say.clone(),
            match_case: lexicon.match_case,
            language: language.cloned(),
            voice: lexicon.voice.clone(),
        };
        Ok(self.graphemes.iter().map(own).collect())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lexemes: &str) -> Result<Vec<OwnPronunciation>, (usize, String)> {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<lexicon version=\"1.0\" xmlns=\"http://www.w3.org/2005/01/pronunciation-lexicon\" \
             alphabet=\"ipa\" xml:lang=\"en-US\">\n{lexemes}\n</lexicon>"
        );
        let lexicon = Lexicon { voice: Some("ada".to_owned()), match_case: true, ..Lexicon::default() };
        entries(&text, &lexicon).map_err(|error| (line_and_column(&text, error.at).0, error.problem))
    }

    #[test]
    fn graphemes_are_said_as_their_alias() {
        let found = read(
            "<meta name='x' content='y'/><metadata><a xmlns='z'>b</a></metadata>
             <lexeme><grapheme>W3C</grapheme><alias>World Wide
               Web Consortium</alias><example>The W3C says.</example></lexeme>
             <lexeme><grapheme>colour</grapheme><grapheme>color</grapheme><alias>cull er</alias>
               <alias prefer='true'>culler &amp; co</alias><phoneme>ˈkʌlɚ</phoneme></lexeme>",
        )
        .unwrap();
        let said: Vec<(&str, &str)> = found.iter().map(|own| (own.text.as_str(), own.say.as_str())).collect();
        assert_eq!(
            said,
            [("W3C", "World Wide Web Consortium"), ("colour", "culler & co"), ("color", "culler & co")]
        );
        assert!(found.iter().all(|own| own.language.as_deref() == Some("en") && own.match_case));
        assert!(found.iter().all(|own| own.voice.as_deref() == Some("ada")));
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_with_its_line() {
        for (lexemes, line, problem) in [
            (
                "<lexeme><grapheme>a</grapheme>\n<phoneme>x</phoneme></lexeme>",
                3,
                "\"a\" has a <phoneme> and no <alias>",
            ),
            ("\n<lexeme role='x:y'><grapheme>a</grapheme><alias>b</alias></lexeme>", 4, "role"),
            ("<lexeme><grapheme>a</grapheme></lexeme>", 3, "no <alias>"),
            ("<lexeme><alias>a</alias></lexeme>", 3, "needs a <grapheme>"),
            ("<lexeme><grapheme>a</grapheme><alias> </alias></lexeme>", 3, "1 to 100 characters"),
            ("<word/>", 3, "<word> has no meaning within <lexicon>"),
            ("stray", 2, "text must stand within"),
            ("<lexeme><grapheme>&x;</grapheme></lexeme>", 3, "stands for nothing known"),
        ] {
            let error = read(lexemes).unwrap_err();
            assert!(error.1.contains(problem), "{lexemes}: {}", error.1);
            assert_eq!(error.0, line, "{lexemes}: {}", error.1);
        }
        let many = "<lexeme><grapheme>a</grapheme><alias>b</alias></lexeme>".repeat(2_001);
        assert!(read(&many).unwrap_err().1.contains("more than 2000"));
    }

    #[test]
    fn a_lexicon_beside_the_configuration_is_a_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(
            &config,
            "lexicons:\n  - { file: names.pls }\npronunciations:\n  - { text: SQL, say: sequel }\n",
        )
        .unwrap();
        let load = || {
            let sources = crate::config::Sources { file: Some(&config), ..Default::default() };
            crate::config::load(&sources).map(|(settings, _)| settings.pronunciations)
        };
        let missing = load().unwrap_err().to_string();
        assert!(missing.contains("names.pls"), "{missing}");
        let lexicon = |entry: &str| {
            std::fs::write(folder.path().join("names.pls"), format!("<lexicon>{entry}</lexicon>")).unwrap();
        };
        lexicon("<lexeme><grapheme>Siobhan</grapheme><alias>shivawn</alias></lexeme>");
        let found = load().unwrap();
        assert_eq!(found.iter().map(|own| own.text.as_str()).collect::<Vec<_>>(), ["SQL", "Siobhan"]);
        lexicon("<lexeme><grapheme>Siobhan</grapheme><phoneme>x</phoneme></lexeme>");
        let wrong = load().unwrap_err().to_string();
        assert!(
            wrong.contains("names.pls: lexicons: line 1, column 10: \"Siobhan\" has a <phoneme>"),
            "{wrong}"
        );
    }
}
