//! Roman numerals, where they can be nothing else: behind "Chapter" and its like, and behind the name of a ruler.

use super::rewrite::{pattern, rewrite};
use super::words::{cardinal, ordinal};

/// Names that are counted. "Elizabeth I" alone may be a clumsy sentence about oneself, so a bare I needs a title too.
const RULERS: &[&str] = &[
    "Albert",
    "Alexander",
    "Benedict",
    "Boniface",
    "Catherine",
    "Charles",
    "Christian",
    "Clement",
    "Constantine",
    "Edward",
    "Elizabeth",
    "Ferdinand",
    "Francis",
    "Frederick",
    "George",
    "Gregory",
    "Gustav",
    "Harald",
    "Henry",
    "Innocent",
    "Ivan",
    "James",
    "John",
    "Leo",
    "Leopold",
    "Louis",
    "Maximilian",
    "Napoleon",
    "Nicholas",
    "Otto",
    "Paul",
    "Peter",
    "Philip",
    "Pius",
    "Ramses",
    "Rameses",
    "Richard",
    "Robert",
    "Rudolf",
    "Sixtus",
    "Urban",
    "Victor",
    "Wilhelm",
    "William",
];

pub(super) fn read_out(text: &str) -> String {
    let numbered = pattern!(
        r"\b((?i:chapter|part|volume|book|act|scene|section|article|appendix|phase|stage|level|title|episode|season|figure|table|type|class|grade|lesson|unit|canto|psalm|war|super bowl|apollo)) ([IVXLCM]+)\b"
    );
    let text = rewrite(text, numbered, |found, around| {
        let contraction = around.after.starts_with('\'') && &found[2] == "I";
        // "the part I like"
        let pronoun = &found[2] == "I" && !found[1].starts_with(char::is_uppercase);
        let value = value(&found[2])?;
        (!contraction && !pronoun).then(|| format!("{} {}", &found[1], cardinal(&value.to_string())))
    });
    rewrite(
        &text,
        pattern!(r"\b((?:King|Queen|Pope|Emperor|Tsar|Czar|Empress|Prince) )?(\p{Lu}\p{Ll}+) ([IVX]+)\b"),
        |found, around| {
            let crowned = found.get(1).map_or("", |title| title.as_str());
            let known = RULERS.contains(&&found[2]) || !crowned.is_empty();
            let sure = &found[3] != "I" || (!crowned.is_empty() && !around.after.starts_with('\''));
            let value = value(&found[3])?;
            (known && sure).then(|| format!("{crowned}{} the {}", &found[2], ordinal(&value.to_string())))
        },
    )
}

/// The value of a numeral in its one proper spelling; `None` for `IIII`, `VX` and words such as `MIX`'s cousins.
fn value(numeral: &str) -> Option<usize> {
    let digit = |letter| match letter {
        'I' => 1,
        'V' => 5,
        'X' => 10,
        'L' => 50,
        'C' => 100,
        _ => 1000,
    };
    let mut total = 0usize;
    let mut highest = 0;
    for letter in numeral.chars().rev() {
        let digit = digit(letter);
        total = if digit < highest { total.checked_sub(digit)? } else { total + digit };
        highest = highest.max(digit);
    }
    (spelled(total) == numeral).then_some(total)
}

fn spelled(mut number: usize) -> String {
    const PARTS: [(usize, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut numeral = String::new();
    for (value, letters) in PARTS {
        while number >= value {
            numeral.push_str(letters);
            number -= value;
        }
    }
    numeral
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn numerals_in_safe_company() {
        assert_spoken(&[
            ("Chapter IV begins", "Chapter four begins"),
            ("World War II", "World War two"),
            ("Part I of it", "Part one of it"),
            ("Henry VIII and Louis XIV", "Henry the eighth and Louis the fourteenth"),
            ("Queen Elizabeth I", "Queen Elizabeth the first"),
            ("Pope John Paul II spoke", "Pope John Paul the second spoke"),
        ]);
    }

    #[test]
    fn letters_elsewhere_stay_letters() {
        assert_spoken(&[
            ("the part I like", "the part I like"),
            ("Anna I know, Henry I do not", "Anna I know, Henry I do not"),
            ("Chapter IIII", "Chapter IIII"),
            ("vitamin C", "vitamin C"),
            ("I am X", "I am X"),
        ]);
    }
}
