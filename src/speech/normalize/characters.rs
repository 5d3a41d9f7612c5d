//! Characters before words: one form for each, nothing invisible, one kind of space and quote.
//!
//! Text comes from web pages, phones and PDFs. The same letter may be one code point or two, wide or narrow; between the
//! letters sit zero-width joiners and soft hyphens. NFC, not NFKC: the compatibility forms carry meaning that is read out
//! (² is "squared", ½ is "one half").

use unicode_normalization::UnicodeNormalization;

use super::rewrite::{pattern, rewrite};

/// One form for every character. Paragraph breaks become `\n\n`, other line breaks `\n`; spaces are single.
pub(super) fn clean(text: &str) -> String {
    // Many countries set the thousands apart by a space that does not break.
    let text = rewrite(text, pattern!(r"[\u{a0}\u{2009}\u{202f}]"), |_, around| {
        let group = around.after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        (group.len() == 3 && around.previous().is_some_and(|c| c.is_ascii_digit())).then(|| ",".to_owned())
    });
    let mut folded = String::with_capacity(text.len());
    let mut previous = None;
    for character in text.nfc() {
        fold(character, previous, &mut folded);
        previous = Some(character);
    }
    // Folding may have brought letters and their accents together.
    tidy_spaces(&folded.nfc().collect::<String>())
}

fn fold(character: char, previous: Option<char>, output: &mut String) {
    match character {
        '\n' if previous == Some('\r') => {}
        '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' => output.push('\n'),
        '\u{2029}' => output.push_str("\n\n"),
        '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            output.push(' ');
        }
        // Quotes and primes, and the accents that are typed in their stead.
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '＂' => output.push('"'),
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | 'ʹ' | '´' | '＇' => output.push('\''),
        '\u{2010}' | '\u{2011}' | '\u{2212}' | '﹣' => output.push('-'),
        '―' | '⸺' => output.push('—'),
        '\u{fb00}' => output.push_str("ff"),
        '\u{fb01}' => output.push_str("fi"),
        '\u{fb02}' => output.push_str("fl"),
        '\u{fb03}' => output.push_str("ffi"),
        '\u{fb04}' => output.push_str("ffl"),
        '\u{fb05}' | '\u{fb06}' => output.push_str("st"),
        // Full-width ASCII lies in ASCII's own order.
        '\u{ff01}'..='\u{ff5e}' => output.extend(char::from_u32(u32::from(character) - 0xfee0)),
        '\u{2080}'..='\u{2089}' => output.extend(char::from_u32(u32::from(character) - 0x2080 + 0x30)),
        'µ' => output.push('μ'),
        _ => match vulgar_fraction(character) {
            Some(fraction) => {
                if previous.is_some_and(|c| c.is_ascii_digit()) {
                    output.push(' ');
                }
                output.push_str(fraction);
            }
            None if is_invisible(character) => {}
            None => output.push(character),
        },
    }
}

fn vulgar_fraction(character: char) -> Option<&'static str> {
    Some(match character {
        '½' => "1/2",
        '⅓' => "1/3",
        '⅔' => "2/3",
        '¼' => "1/4",
        '¾' => "3/4",
        '⅕' => "1/5",
        '⅖' => "2/5",
        '⅗' => "3/5",
        '⅘' => "4/5",
        '⅙' => "1/6",
        '⅚' => "5/6",
        '⅛' => "1/8",
        '⅜' => "3/8",
        '⅝' => "5/8",
        '⅞' => "7/8",
        _ => return None,
    })
}

/// Whether there is nothing to see in it, and so nothing to say.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_invisible(character))
}

/// Controls, joiners, direction marks, variation selectors, private and unassigned-for-ever code points, and the character
/// that stands for a decoding error. The private ones must go: [`super::tags`] uses one of them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

fn tidy_spaces(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let joined = lines.join("\n");
    rewrite(&joined, pattern!(r"\n{3,}"), |_, _| Some("\n\n".to_owned())).trim().to_owned()
}

/// The last rule: spaces that the others left double, at the ends of lines or before a comma or period.
pub(super) fn tidy(text: &str) -> String {
    let single = tidy_spaces(text);
    rewrite(&single, pattern!(r" +([,.;:!?])"), |found, around| {
        // " ..." and " .NET" are not a misplaced full stop.
        let free = around.next().is_none_or(|c| c.is_whitespace() || "\"')".contains(c));
        free.then(|| found[1].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;
    use super::is_blank;

    #[test]
    fn every_character_has_one_form() {
        assert_spoken(&[
            ("“Hello,” she said — ‘yes’.", "\"Hello,\" she said — 'yes'."),
            ("It’s Anna’s", "It's Anna's"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("ﬁne ﬂoor eﬃcient", "fine floor efficient"),
            ("Ｈｅｌｌｏ！", "Hello!"),
            ("zero\u{200b}width\u{feff} so\u{ad}ft", "zerowidth soft"),
            ("a\u{a0}b\u{2009}c\td  e", "a b c d e"),
            ("bell\u{7} and \u{1b}escape", "bell and escape"),
            ("well\u{2011}known", "well-known"),
            (
                "1\u{202f}234\u{202f}567",
                "one million two hundred thirty-four thousand five hundred sixty-seven",
            ),
            ("broken \u{fffd}text \u{e000}here", "broken text here"),
        ]);
    }

    #[test]
    fn lines_and_paragraphs_have_one_form() {
        assert_spoken(&[
            ("One.\r\nTwo.\r\n\r\nThree.", "One.\nTwo.\n\nThree."),
            ("One.\n \n\n\t\nTwo.", "One.\n\nTwo."),
            ("  padded.  \n", "padded."),
            ("One.\u{2029}Two.\u{2028}Three.", "One.\n\nTwo.\nThree."),
            ("", ""),
            ("\u{200b} \n", ""),
            ("\u{1a}", ""),
        ]);
    }

    #[test]
    fn what_cannot_be_seen_is_nothing_to_say() {
        for nothing in ["", " \n", "\u{1a}", "\u{200b}\u{feff} "] {
            assert!(is_blank(nothing), "{nothing:?}");
        }
        for something in ["a", "\u{1a}.", "你"] {
            assert!(!is_blank(something), "{something:?}");
        }
    }

    #[test]
    fn spaces_before_punctuation_go_but_an_ellipsis_stays() {
        assert_spoken(&[("Hello , you .", "Hello, you."), ("wait ... what", "wait ... what")]);
    }
}
