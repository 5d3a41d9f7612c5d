//! English as it is written into English as it is spoken: the front end of every model.
//!
//! The models know letters and a few punctuation marks. What stands for words otherwise (digits, symbols, abbreviations,
//! addresses) is read out here, by families of rules in a fixed order: what is longer and more particular comes first, so
//! that `2024-03-05` is a date before it can be a subtraction. Every rule leaves only letters behind, so that no later one
//! matches its output. Plain prose passes unchanged, and so do tags such as `[laugh]` and `[pause:500ms]`. Ambiguous
//! dates are read the US way, month first.

mod abbreviations;
mod acronyms;
mod characters;
mod clock;
mod dates;
mod lines;
mod money;
mod numbers;
mod pronounce;
mod rewrite;
mod roman;
mod symbols;
mod tags;
mod telephone;
mod units;
mod web;
mod words;

pub use characters::is_blank;
pub use pronounce::{Pronunciation, occurs, pronounce};

/// The spoken form of English `text`. Sentence ends and paragraph breaks survive; the result is empty where nothing can
/// be said.
pub fn normalize(text: &str) -> String {
    let text = characters::clean(text);
    let (text, tags) = tags::lift(&text);
    let rules = [
        lines::punctuate,
        web::read_out,
        dates::read_out,
        clock::read_out,
        money::read_out,
        telephone::read_out,
        units::read_out,
        abbreviations::expand,
        roman::read_out,
        numbers::read_out,
        symbols::read_out,
        acronyms::spell,
        characters::tidy,
    ];
    let spoken = rules.into_iter().fold(text, |text, rule| rule(&text));
    tags::put_back(&spoken, &tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalize;

    /// The table test of every family: what is written, what is said.
    pub(super) fn assert_spoken(table: &[(&str, &str)]) {
        for (written, spoken) in table {
            assert_eq!(normalize(written), *spoken, "for {written:?}");
        }
    }

    const PROSE: &[&str] = &[
        "The kettle is boiling, so please make some tea.",
        "Why don't we ask Rebecca what she thinks?",
        "\"Stop!\" he cried; then - after a pause - he laughed.",
        "It was late. Nobody came... Or did they?\n\nThe second paragraph: calm, long (very long) and cold.",
        "Turn left at the church, then take the second road on the right.",
        "A well-known, half-finished café. I am. So is Anna.",
        "She may march in May. No. I said no. You said yes!",
        "The cat sat on the mat. In the sun it was warm — almost hot.",
    ];

    #[test]
    fn plain_prose_is_unchanged() {
        for prose in PROSE {
            assert_eq!(normalize(prose), *prose);
        }
    }

    #[test]
    fn sentence_ends_survive_whatever_stands_before_them() {
        assert_spoken(&[
            ("It is 5 p.m.", "It is five p.m."),
            ("It weighs 5 kg. He lifts it.", "It weighs five kilograms. He lifts it."),
            ("It costs $5. Buy it.", "It costs five dollars. Buy it."),
            ("He came in 1999. She left.", "He came in nineteen ninety-nine. She left."),
            ("Apples, pears, etc. We ate all.", "Apples, pears, et cetera. We ate all."),
            ("Is it 20%? Yes, 20%!", "Is it twenty percent? Yes, twenty percent!"),
            ("See www.example.com. Then go.", "See w w w dot example dot com. Then go."),
            ("They left the U.S.", "They left the U S."),
            ("He said \"I am 40.\" Then he left.", "He said \"I am forty.\" Then he left."),
        ]);
    }

    #[test]
    fn tags_pass_untouched() {
        assert_spoken(&[
            ("Well [laugh] that is 5.", "Well [laugh] that is five."),
            ("[clear throat] Hello [pause:500ms] there.", "[clear throat] Hello [pause:500ms] there."),
            ("5 [sigh] km", "five [sigh] km"),
            ("a[laugh]b[gasp]", "a[laugh]b[gasp]"),
        ]);
    }

    #[test]
    fn a_mixed_paragraph_reads_like_speech() {
        assert_spoken(&[(
            "On March 5, 2024 at 3:30 pm, Dr. Smith paid $1,250.50 for 3.5 kg of tea (20% off) at No. 7 Elm St.",
            "On March fifth, twenty twenty-four at three thirty p.m., Doctor Smith paid one thousand two hundred fifty \
             dollars and fifty cents for three point five kilograms of tea (twenty percent off) at number seven Elm Street.",
        )]);
    }

    #[test]
    fn a_hostile_text_takes_no_quadratic_time() {
        for bait in [
            "5\" ", "#", "*", "a*", "1 - ", "1-", "St. ", "A. ", "<a", "5 - 3 ", "((((", "No. ", "1/", "1.",
            "1,", "9:", "$", "http://", "a.", "[", "\n",
        ] {
            let text = bait.repeat(100_000 / bait.len());
            let start = std::time::Instant::now();
            normalize(&text);
            // A debug build takes about a tenth of this for honest text of this length.
            assert!(start.elapsed().as_secs() < 10, "{bait:?} took {:?}", start.elapsed());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            normalize(&text);
        }

        #[test]
        fn no_digit_and_no_symbol_of_ascii_is_left(
            text in r#"([0-9]{1,5}|[a-zA-Z]{1,6}|[-$%&@#+=*/\\~^_|<>{}`.,:;!?'"() ]|km|pm|No\. |°C|€|½|²|\[|\]){0,24}"#,
        ) {
            let spoken = normalize(&text);
            let unspeakable = |c: char| c.is_ascii_digit() || "$%&@#+=*/\\~^_|<>{}`".contains(c);
            // What looks like a tag keeps what it holds.
            let outside: String = regex::Regex::new(r"\[[^\]]*\]").unwrap().replace_all(&spoken, "").into_owned();
            prop_assert!(!outside.contains(unspeakable), "{text:?} → {spoken:?}");
        }

        #[test]
        fn what_was_normalized_stays(words in proptest::collection::vec("[a-z]{5,9}", 1..12), at in 0usize..8) {
            let sentence = format!("{}. {}", words.join(" "), PROSE[at]);
            let once = normalize(&sentence);
            prop_assert_eq!(&once, &sentence);
            prop_assert_eq!(normalize(&once), once);
        }

        #[test]
        fn every_tag_survives(before in any::<String>(), after in any::<String>()) {
            let spoken = normalize(&format!("{before} [laugh] {after}"));
            prop_assert!(spoken.contains("[laugh]"), "{}", spoken);
        }
    }
}
