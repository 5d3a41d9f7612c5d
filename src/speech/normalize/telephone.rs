//! Digit strings that name, not count: telephone numbers and the like are read digit by digit, with a pause between
//! groups.

use super::rewrite::{pattern, rewrite};
use super::words::one_by_one;

/// Longer numbers without separators are an account or an order, not a quantity, unless they are round.
const LONGEST_QUANTITY: usize = 9;

pub(super) fn read_out(text: &str) -> String {
    let international = pattern!(r"\+\d{1,3}(?:[ -]?\(?\d{1,5}\)?){2,6}");
    let text = rewrite(text, international, |found, around| {
        let enough = found[0].bytes().filter(u8::is_ascii_digit).count() >= 7;
        (enough && around.stands_alone()).then(|| format!("plus {}", groups(&found[0])))
    });
    let with_area = pattern!(r"(?:\b1[ -])?(?:\(\d{3}\) ?|\b\d{3}[ .-])?\d{3}[.-]\d{4}\b");
    let text = rewrite(&text, with_area, |found, around| {
        let decimal = !found[0].contains(['-', '(']) && found[0].matches('.').count() < 2;
        let glued = around.previous().is_some_and(|c| c.is_alphanumeric() || "-$€£.,/".contains(c))
            || around.next().is_some_and(|c| c == '-' || c == '/');
        (!decimal && !glued && around.is_whole_number()).then(|| groups(&found[0]))
    });
    let text = rewrite(&text, pattern!(r"\b\d+(?:-\d+){2,}\b"), |found, around| {
        (around.is_whole_number() && around.stands_alone()).then(|| groups(&found[0]))
    });
    rewrite(&text, pattern!(r"\b\d{10,}\b"), |found, around| {
        let quantity = found[0].len() <= LONGEST_QUANTITY || found[0].ends_with("000000");
        (!quantity && around.is_whole_number()).then(|| {
            // Three, three and the rest: how ten digits are said.
            match found[0].len() {
                10 => format!(
                    "{}, {}, {}",
                    one_by_one(&found[0][..3]),
                    one_by_one(&found[0][3..6]),
                    one_by_one(&found[0][6..])
                ),
                _ => one_by_one(&found[0]),
            }
        })
    })
}

fn groups(written: &str) -> String {
    let groups: Vec<String> = written
        .split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .map(one_by_one)
        .collect();
    groups.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn telephone_numbers_are_read_digit_by_digit() {
        assert_spoken(&[
            ("Call 555-1234.", "Call five five five, one two three four."),
            ("(555) 123-4567", "five five five, one two three, four five six seven"),
            ("555-123-4567", "five five five, one two three, four five six seven"),
            ("1-800-555-1234", "one, eight zero zero, five five five, one two three four"),
            ("+44 20 7946 0018", "plus four four, two zero, seven nine four six, zero zero one eight"),
            ("5551234567", "five five five, one two three, four five six seven"),
            ("123-45-6789", "one two three, four five, six seven eight nine"),
        ]);
    }

    #[test]
    fn quantities_are_not() {
        assert_spoken(&[
            ("+5 points", "plus five points"),
            ("3-4 weeks", "three to four weeks"),
            ("123.4567", "one hundred twenty-three point four five six seven"),
            ("5000000000 stars", "five billion stars"),
        ]);
    }
}
