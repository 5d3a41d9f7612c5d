//! Web and mail addresses and file names, said as one dictates them: "example dot com slash help".

use super::rewrite::{pattern, rewrite};
use super::words::{cardinal, one_by_one};

/// Words of up to this length without a vowel are spelled: `www`, `html`, `js`.
const LONGEST_SPELLED: usize = 5;

pub(super) fn read_out(text: &str) -> String {
    let text = rewrite(
        text,
        pattern!(r"(?i)\b(?:mailto:)?([a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})"),
        |found, _| Some(dictate(&found[1])),
    );
    let text =
        rewrite(&text, pattern!(r#"(?i)\b(?:(?:https?|ftp|file)://|www\.)[^\s<>"\u{e000}]+"#), |found, _| {
            let (address, rest) = split_trailing_punctuation(&found[0]);
            let spoken = address.split_once("://").map_or(address, |(_, behind)| behind);
            Some(format!("{}{rest}", dictate(spoken.trim_end_matches('/'))))
        });
    // Without a protocol only the common endings count, or every missing space after a full stop would be a domain.
    let bare = pattern!(
        r#"(?i)\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|org|net|edu|gov|mil|io|dev|ai|app|info|tv|xyz|eu|uk|de|fr|ch|nl|ca|au|jp)\b(?:/[^\s<>"\u{e000}]*)?"#
    );
    let text = rewrite(&text, bare, |found, around| {
        let (address, rest) = split_trailing_punctuation(&found[0]);
        (around.stands_alone() && address.contains('.'))
            .then(|| format!("{}{rest}", dictate(address.trim_end_matches('/'))))
    });
    // What stands in front is part of the pattern: declining a long match afterwards would cost quadratic time.
    let path = pattern!(r#"(^|[\s("'])((?:\.{1,2}|~)?/[\w-]+(?:[./][\w-]+)+|(?:\.{1,2}|~)/[\w-]+)"#);
    let text = rewrite(&text, path, |found, _| Some(format!("{}{}", &found[1], dictate(&found[2]))));
    rewrite(&text, pattern!(r"\b[A-Za-z][A-Za-z0-9_-]+(?:\.[a-z][a-z0-9]{1,4})+\b"), |found, around| {
        (around.stands_alone() && !around.after.starts_with('.')).then(|| dictate(&found[0]))
    })
}

/// What ends the sentence around an address does not belong to it.
fn split_trailing_punctuation(found: &str) -> (&str, &str) {
    let mut end = found.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ']', '…']).len();
    if found[..end].ends_with(')') && !found[..end].contains('(') {
        end = found[..end - 1].trim_end_matches(['.', ',', ';', ':', '!', '?']).len();
    }
    found.split_at(end)
}

fn dictate(address: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for part in pattern!(r"\d+|\p{L}+|[^\d\p{L}]").find_iter(address) {
        let part = part.as_str();
        let name = match part {
            "." => "dot",
            "/" => "slash",
            "-" => "dash",
            "_" => "underscore",
            "@" => "at",
            ":" => "colon",
            "?" => "question mark",
            "=" => "equals",
            "&" => "and",
            "#" => "hash",
            "%" => "percent",
            "+" => "plus",
            "~" => "tilde",
            _ if part.starts_with(|c: char| c.is_ascii_digit()) => {
                let short = part.len() <= 2 && !part.starts_with('0');
                words.push(if short { cardinal(part) } else { one_by_one(part) });
                continue;
            }
            _ if part.starts_with(char::is_alphabetic) => {
                words.push(word(part));
                continue;
            }
            // Anything else in an address is percent-encoded or decoration.
            _ => continue,
        };
        words.push(name.to_owned());
    }
    words.join(" ")
}

fn word(part: &str) -> String {
    let has_vowel = part.chars().any(|c| "aeiouyAEIOUY".contains(c));
    if has_vowel || part.len() > LONGEST_SPELLED {
        return part.to_owned();
    }
    part.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn addresses_are_dictated() {
        assert_spoken(&[
            ("Go to https://example.com/help.", "Go to example dot com slash help."),
            ("http://www.example.org/", "w w w dot example dot org"),
            ("See example.com, then wait.", "See example dot com, then wait."),
            ("(https://example.com/a_b)", "(example dot com slash a underscore b)"),
            (
                "https://example.com:8004/tts?voice=ada&speed=2",
                "example dot com colon eight zero zero four slash t t s question mark voice equals ada and speed equals two",
            ),
            (
                "Mail john.doe-99@mail.example.co.uk now!",
                "Mail john dot doe dash ninety-nine at mail dot example dot co dot uk now!",
            ),
            ("Is it example.com?", "Is it example dot com?"),
        ]);
    }

    #[test]
    fn file_names_have_their_dot_read() {
        assert_spoken(&[
            ("Run ./main.py in /usr/bin now.", "Run dot slash main dot py in slash usr slash bin now."),
            ("Edit config.yaml first.", "Edit config dot yaml first."),
            ("Node.js and main.rs", "Node dot j s and main dot r s"),
            ("No space.After this.", "No space.After this."),
        ]);
    }
}
