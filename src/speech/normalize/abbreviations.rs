//! Abbreviations with a period, and those without that are never anything else.
//!
//! The period is dropped with the abbreviation unless it ends the sentence too. `St.` is Saint before a name and Street
//! behind one; `No.` is a number only before a number.

use super::rewrite::{Around, pattern, rewrite};
use crate::speech::chunk::sentences::opens_sentence;

/// Before a name. With or without the period where a word of this spelling cannot be anything else.
const TITLES: &[(&str, &str)] = &[
    ("Mr", "Mister"),
    ("Mrs", "Missus"),
    ("Ms", "Miz"),
    ("Dr", "Doctor"),
    ("Prof", "Professor"),
    ("Rev", "Reverend"),
    ("Hon", "Honorable"),
    ("Gen", "General"),
    ("Gov", "Governor"),
    ("Sen", "Senator"),
    ("Rep", "Representative"),
    ("Capt", "Captain"),
    ("Col", "Colonel"),
    ("Lt", "Lieutenant"),
    ("Sgt", "Sergeant"),
    ("Maj", "Major"),
    ("Cmdr", "Commander"),
    ("Pres", "President"),
    ("Mt", "Mount"),
    ("Ft", "Fort"),
];

/// Anywhere, with the period; the last column: whether a sentence can end with it.
const ANYWHERE: &[(&str, &str, bool)] = &[
    ("e.g.", "for example", false),
    ("i.e.", "that is", false),
    ("etc.", "et cetera", true),
    ("vs.", "versus", false),
    ("approx.", "approximately", false),
    ("cf.", "compare", false),
    ("viz.", "namely", false),
    ("et al.", "et al", true),
    ("a.k.a.", "also known as", false),
    ("dept.", "department", true),
    ("Dept.", "Department", true),
    ("avg.", "average", false),
    ("misc.", "miscellaneous", false),
    ("incl.", "including", false),
    ("excl.", "excluding", false),
    ("min.", "minimum", false),
    ("max.", "maximum", false),
    ("Jr.", "Junior", true),
    ("Sr.", "Senior", true),
    ("Inc.", "Incorporated", true),
    ("Ltd.", "Limited", true),
    ("Corp.", "Corporation", true),
    ("Co.", "Company", true),
    ("Ave.", "Avenue", true),
    ("Blvd.", "Boulevard", true),
    ("Hwy.", "Highway", true),
    ("Pkwy.", "Parkway", true),
    ("apt.", "apartment", true),
    ("Apt.", "Apartment", true),
    ("govt.", "government", true),
    ("asst.", "assistant", false),
    ("est.", "estimated", false),
];

/// Only before a number.
const NUMBERED: &[(&str, &str)] = &[
    ("no", "number"),
    ("nos", "numbers"),
    ("p", "page"),
    ("pp", "pages"),
    ("vol", "volume"),
    ("ch", "chapter"),
    ("sec", "section"),
    ("fig", "figure"),
    ("figs", "figures"),
    ("art", "article"),
    ("ext", "extension"),
    ("ca", "circa"),
    ("c", "circa"),
    ("est", "established"),
    ("ver", "version"),
    ("eq", "equation"),
    ("pt", "part"),
    ("para", "paragraph"),
    ("tel", "telephone"),
];

/// Whom streets and towns are named after, for `St.` between two capitals.
const SAINTS: &[&str] = &[
    "Albans",
    "Andrew",
    "Andrews",
    "Anne",
    "Anthony",
    "Augustine",
    "Bernard",
    "Catherine",
    "Charles",
    "Clair",
    "Cloud",
    "Croix",
    "David",
    "Denis",
    "Elizabeth",
    "Francis",
    "George",
    "Helena",
    "Helens",
    "Ives",
    "James",
    "John",
    "Johns",
    "Joseph",
    "Jude",
    "Kitts",
    "Lawrence",
    "Louis",
    "Lucia",
    "Luke",
    "Mark",
    "Martin",
    "Mary",
    "Matthew",
    "Michael",
    "Moritz",
    "Nicholas",
    "Pancras",
    "Patrick",
    "Paul",
    "Peter",
    "Petersburg",
    "Stephen",
    "Thomas",
    "Tropez",
    "Vincent",
];

pub(super) fn expand(text: &str) -> String {
    let text = without_period(text);
    let text = rewrite(
        &text,
        pattern!(r"\b(?i:(no|nos|p|pp|vol|ch|sec|figs?|art|ext|ca|c|est|ver|eq|pt|para|tel))\. ?(#?\d)"),
        |found, around| {
            let lower = found[1].to_ascii_lowercase();
            // "He said no. 5 people laughed."
            let answer = &found[1] == "no"
                && matches!(around.previous_word(), "said" | "say" | "says" | "answer" | "is" | "was");
            let name = NUMBERED.iter().find(|(short, _)| *short == lower)?.1;
            (around.stands_alone_before() && !answer)
                .then(|| format!("{name} {}", found[2].trim_start_matches('#')))
        },
    );
    let text = rewrite(&text, pattern!(r"\b(Vol|Ch|Sec|Art|Pt|Fig)\. ([IVXLC]+)\b"), |found, _| {
        let lower = found[1].to_ascii_lowercase();
        let name = NUMBERED.iter().find(|(short, _)| *short == lower)?.1;
        Some(format!("{name} {}", &found[2]))
    });
    let text = saint_or_street(&text);
    let text = rewrite(
        &text,
        pattern!(r"\b(Mrs|Mr|Ms|Dr|Prof|Rev|Hon|Gen|Gov|Sen|Rep|Capt|Col|Lt|Sgt|Maj|Cmdr|Pres|Mt|Ft)\. ?"),
        |found, around| {
            let named = around.next().is_some_and(char::is_uppercase);
            if &found[1] == "Dr" && !named && around.previous_word().starts_with(char::is_uppercase) {
                return Some(ended("Drive", &found[0], around));
            }
            let title = TITLES.iter().find(|(short, _)| *short == &found[1])?.1;
            (around.stands_alone_before() && named).then(|| format!("{title} "))
        },
    );
    let text = rewrite(&text, pattern!(r"\b(Mr|Mrs|Ms|Dr|Prof)\.?( (?:and|or|&) \p{Lu})"), |found, _| {
        let title = TITLES.iter().find(|(short, _)| *short == &found[1])?.1;
        Some(format!("{title}{}", &found[2]))
    });
    let text = rewrite(&text, pattern!(r"\b(Mr|Mrs|Ms|Dr|Prof) (\p{Lu})"), |found, _| {
        let title = TITLES.iter().find(|(short, _)| *short == &found[1])?.1;
        Some(format!("{title} {}", &found[2]))
    });
    let text = anywhere(&text);
    dotted(&text)
}

/// What needs no period to be recognised.
fn without_period(text: &str) -> String {
    let text =
        rewrite(text, pattern!(r"\bw/o\b"), |_, around| around.stands_alone().then(|| "without".to_owned()));
    let text = rewrite(&text, pattern!(r"\bw/ "), |_, around| {
        around.stands_alone_before().then(|| "with ".to_owned())
    });
    let text = rewrite(&text, pattern!(r"\b(and|he|his|him)/(or|she|hers?)\b"), |found, around| {
        let and = if &found[1] == "and" { " " } else { " or " };
        around.stands_alone().then(|| format!("{}{and}{}", &found[1], &found[2]))
    });
    rewrite(&text, pattern!(r"\bvs\b\.?"), |_, around| around.stands_alone().then(|| "versus".to_owned()))
}

fn anywhere(text: &str) -> String {
    let pattern = pattern!(
        r"\b(?:[Ee]\.g\.|[Ii]\.e\.|[Ee]tc\.|[Aa]pprox\.|[Cc]f\.|[Vv]iz\.|[Ee]t al\.|a\.k\.a\.|[Dd]ept\.|avg\.|misc\.|incl\.|excl\.|min\.|max\.|Jr\.|Sr\.|Inc\.|Ltd\.|Corp\.|Co\.|Ave\.|Blvd\.|Hwy\.|Pkwy\.|[Aa]pt\.|govt\.|asst\.|est\.)"
    );
    rewrite(text, pattern, |found, around| {
        let written = &found[0];
        let (short, long, can_end) = *ANYWHERE
            .iter()
            .find(|(short, ..)| *short == written)
            .or_else(|| ANYWHERE.iter().find(|(short, ..)| short.eq_ignore_ascii_case(written)))?;
        // "The average is 5 min. The maximum is 6 max." was the unit rule's; "Call me at the min." is nobody's.
        if matches!(short, "min." | "max." | "est." | "avg.") && around.sentence_ends() {
            return None;
        }
        let capital = written.starts_with(char::is_uppercase) && short.starts_with(char::is_lowercase);
        let long = if capital { capitalized(long) } else { long.to_owned() };
        Some(if can_end { ended(&long, ".", around) } else { long })
    })
}

/// `U.S.`, `Ph.D.`, `J. R. R. Tolkien`: letters without their periods.
fn dotted(text: &str) -> String {
    let text = rewrite(text, pattern!(r"\bPh\.? ?D\b\.?"), |found, around| {
        let stop =
            if found[0].ends_with('.') && around.sentence_ends() && !names_follow(around) { "." } else { "" };
        Some(format!("P H D{stop}"))
    });
    let text = rewrite(&text, pattern!(r"\b(?:\p{Lu}\.){2,}"), |found, around| {
        let letters: Vec<String> = found[0].chars().filter(|c| *c != '.').map(String::from).collect();
        let stop = if around.sentence_ends() && !names_follow(around) { "." } else { "" };
        around.stands_alone_before().then(|| letters.join(" ") + stop)
    });
    rewrite(&text, pattern!(r"\b(\p{Lu})\. "), |found, around| {
        let next: String = around.after.chars().take_while(|c| c.is_alphabetic() || *c == '\'').collect();
        let name_before =
            around.before.trim_end().is_empty() || around.previous_word().starts_with(char::is_uppercase);
        let name_behind = next.starts_with(char::is_uppercase) && !opens_sentence(&next);
        (name_before && name_behind && &found[1] != "I").then(|| format!("{} ", &found[1]))
    })
}

fn saint_or_street(text: &str) -> String {
    rewrite(text, pattern!(r"\bSt\.?( ?)"), |found, around| {
        let dotted = found[0].contains('.');
        let before = around.previous_word();
        let name: String = around.after.chars().take_while(|c| c.is_alphabetic()).collect();
        let named = name.starts_with(char::is_uppercase);
        let behind_name = before.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
            && !around.before.trim_end().ends_with(['.', '!', '?', ',', '\n']);
        let canonized = SAINTS.contains(&name.as_str());
        if !dotted && !canonized {
            return None;
        }
        if canonized || (named && !behind_name) {
            return Some("Saint ".to_owned());
        }
        behind_name.then(|| ended("Street", &found[0], around))
    })
}

/// `long`, with a full stop if one was meant, and the space that the match took.
fn ended(long: &str, written: &str, around: Around<'_>) -> String {
    let space = if written.ends_with(' ') { " " } else { "" };
    let next = around.next();
    let stop = if space.is_empty() {
        around.sentence_ends()
    } else {
        next.is_none_or(|c| c.is_uppercase() || c == '"' || c == '\n')
    };
    format!("{long}{}{space}", if stop { "." } else { "" })
}

/// The next word is capitalised but does not look like the beginning of a sentence: "the U.S. Senate".
fn names_follow(around: Around<'_>) -> bool {
    let next = around.next_word();
    !next.is_empty() && !opens_sentence(next)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn titles_before_names() {
        assert_spoken(&[
            ("Dr. Smith met Mrs. Jones.", "Doctor Smith met Missus Jones."),
            ("Mr. and Mrs. Smith", "Mister and Missus Smith"),
            ("Mr Brown and Prof. Lee", "Mister Brown and Professor Lee"),
            ("Ms. May, Capt. Hook, Gen. Lee", "Miz May, Captain Hook, General Lee"),
            ("12 Ocean Dr. is here", "twelve Ocean Drive is here"),
        ]);
    }

    #[test]
    fn saint_and_street() {
        assert_spoken(&[
            ("He went to St. Ives.", "He went to Saint Ives."),
            ("on Main St. in town", "on Main Street in town"),
            ("I live on Main St. He does not.", "I live on Main Street. He does not."),
            ("Visit St. Paul today", "Visit Saint Paul today"),
            ("She lives on Elm St.", "She lives on Elm Street."),
            ("5th Ave. is long", "fifth Avenue is long"),
        ]);
    }

    #[test]
    fn latin_and_business() {
        assert_spoken(&[
            ("fruit, e.g. apples", "fruit, for example apples"),
            ("the best, i.e., mine", "the best, that is, mine"),
            ("Cats vs. dogs vs birds", "Cats versus dogs versus birds"),
            ("approx. 5", "approximately five"),
            ("Smith et al. found", "Smith et al found"),
            ("Acme Inc. is big", "Acme Incorporated is big"),
            ("We are Acme Inc.", "We are Acme Incorporated."),
            ("Martin Luther King Jr. spoke", "Martin Luther King Junior spoke"),
            ("with and/or w/o sugar", "with and or without sugar"),
        ]);
    }

    #[test]
    fn numbered_things_and_plain_no() {
        assert_spoken(&[
            ("No. 5 is alive", "number five is alive"),
            ("see p. 7 and pp. 8-9", "see page seven and pages eight to nine"),
            ("in Vol. III", "in volume three"),
            ("Fig. 3, vol. 2", "figure three, volume two"),
            ("I said no. You said yes.", "I said no. You said yes."),
            ("He said no. 5 people laughed.", "He said no. five people laughed."),
        ]);
    }

    #[test]
    fn letters_with_periods() {
        assert_spoken(&[
            ("the U.S. Senate", "the U S Senate"),
            ("They left the U.S. Then they slept.", "They left the U S. Then they slept."),
            ("J. R. R. Tolkien", "J R R Tolkien"),
            ("George W. Bush", "George W Bush"),
            ("It was Plan B. Then came C.", "It was Plan B. Then came C."),
            ("a Ph.D. in art", "a P H D in art"),
        ]);
    }
}
