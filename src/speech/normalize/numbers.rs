//! Every number that no other family has taken: ordinals, decades, fractions, ranges, versions, years, and plain ones.

use super::rewrite::{Around, number, pattern, rewrite};
use super::words::{cardinal, number as spoken_number, one_by_one, ordinal, plural, year};

pub(super) fn read_out(text: &str) -> String {
    let rules =
        [ordinals, decades, fractions, year_ranges, scales, dimensions, versions, ranges, signs, plain];
    rules.into_iter().fold(text.to_owned(), |text, rule| rule(&text))
}

fn ordinals(text: &str) -> String {
    rewrite(text, pattern!(r"\b(\d{1,3}(?:,\d{3})+|\d+)(?i:st|nd|rd|th)\b"), |found, around| {
        around.is_whole_number().then(|| ordinal(&found[1]))
    })
}

/// "1990s", "'90s", "the 20s".
fn decades(text: &str) -> String {
    rewrite(text, pattern!(r"'?\b(\d\d)?(\d0)'?s\b"), |found, around| {
        let number = found.get(1).map_or(String::new(), |century| century.as_str().to_owned()) + &found[2];
        let apostrophe_is_a_quote = around.previous().is_some_and(char::is_alphanumeric);
        let words = if number.len() == 4 { year(number.parse().ok()?) } else { cardinal(&number) };
        (around.is_whole_number() && !apostrophe_is_a_quote && &found[2] != "10" || number.len() == 4)
            .then(|| plural(&words))
    })
}

fn fractions(text: &str) -> String {
    rewrite(text, pattern!(r"(?:\b(\d+) )?\b(\d+(?:\.\d+)?)/(\d+)\b"), |found, around| {
        let (over, under) = (&found[2], &found[3]);
        let glued = |c: Option<char>| c.is_some_and(|c| c == '/' || c == '-');
        if !around.is_whole_number() || glued(around.previous()) || glued(around.next()) {
            return None;
        }
        if around.soon_after().trim_start().starts_with('=') && found.get(1).is_none() {
            return Some(format!("{} divided by {}", spoken_number(over), cardinal(under)));
        }
        let whole = found.get(1).map(|whole| cardinal(whole.as_str()));
        let part = fraction(over, under, whole.is_some());
        Some(whole.map_or(part.clone(), |whole| format!("{whole} and {part}")))
    })
}

fn fraction(over: &str, under: &str, mixed: bool) -> String {
    let (numerator, denominator) =
        (over.parse::<u64>().unwrap_or(u64::MAX), under.parse::<u64>().unwrap_or(u64::MAX));
    let spoken = spoken_number(over);
    match (numerator, denominator) {
        (50, 50) => "fifty-fifty".to_owned(),
        (24, 7) | (9, 11) => format!("{spoken} {}", cardinal(under)),
        // Shares of a hundred.
        (n, d) if n < 100 && d < 100 && n + d == 100 => format!("{spoken} {}", cardinal(under)),
        (1, 2) if mixed => "a half".to_owned(),
        (1, 2) => "one half".to_owned(),
        (1, 4) if mixed => "a quarter".to_owned(),
        (1, 4) => "one quarter".to_owned(),
        (3, 4) => "three quarters".to_owned(),
        // What is out of ten or a hundred is a mark.
        (_, 10 | 100) if !mixed => format!("{spoken} out of {}", cardinal(under)),
        _ if over.contains('.') => format!("{spoken} out of {}", cardinal(under)),
        (1, 3..=100) => format!("{} {}", if mixed { "a" } else { "one" }, ordinal(under)),
        (n, 3..=20 | 32 | 64) if n < denominator => format!("{spoken} {}", plural(&ordinal(under))),
        (n, d) if n == d => format!("{spoken} out of {}", cardinal(under)),
        _ => format!("{spoken} over {}", cardinal(under)),
    }
}

fn year_ranges(text: &str) -> String {
    rewrite(text, pattern!(r"\b(\d{4}) ?[-–—] ?(\d{4}|\d{2})\b"), |found, around| {
        let from: usize = found[1].parse().ok()?;
        let to: usize = found[2].parse().ok()?;
        let to_words = if found[2].len() == 2 { cardinal(&found[2]) } else { year(to) };
        let later = if found[2].len() == 2 { to > from % 100 } else { to > from && is_year(to) };
        (is_year(from) && later && around.is_whole_number() && around.stands_alone())
            .then(|| format!("{} to {to_words}", year(from)))
    })
}

fn is_year(number: usize) -> bool {
    (1100..2100).contains(&number)
}

/// `100k`, `5M`, `2bn`; but 4K and 8K are names, and `204B` is a room as often as a number.
fn scales(text: &str) -> String {
    rewrite(text, pattern!(concat!(r"(", number!(), r")(k|K|M|bn|B|tn)\b")), |found, around| {
        let scale = match (&found[1], &found[2]) {
            ("2" | "4" | "5" | "8" | "10", "K") => "K",
            (_, "k" | "K") => "thousand",
            (_, "M") => "million",
            (_, "tn") => "trillion",
            (_, "bn") => "billion",
            (number, _) if number.contains('.') || around.next_word().starts_with(char::is_lowercase) => {
                "billion"
            }
            _ => return None,
        };
        let free = around.is_whole_number() && around.stands_alone() && around.previous() != Some('-');
        free.then(|| format!("{} {scale}", spoken_number(&found[1])))
    })
}

fn dimensions(text: &str) -> String {
    let pattern = pattern!(concat!(r"(", number!(), r") ?[x×] ?(\d)"));
    rewrite(text, pattern, |found, around| {
        // 0x1F is a number of its own kind.
        let free =
            !around.previous().is_some_and(|c| c.is_alphanumeric() || ".,".contains(c)) && &found[1] != "0";
        free.then(|| format!("{} by {}", spoken_number(&found[1]), &found[2]))
    })
}

/// `2.3.4` has points, `192.168.1.1` has dots; `v2` is a version.
fn versions(text: &str) -> String {
    let text = rewrite(text, pattern!(r"\bv\.? ?(\d)"), |found, around| {
        let named = if around.previous_word().eq_ignore_ascii_case("version") { "" } else { "version " };
        around.stands_alone_before().then(|| format!("{named}{}", &found[1]))
    });
    rewrite(&text, pattern!(r"\d+(?:\.\d+){2,}"), |found, around| {
        let parts: Vec<String> = found[0].split('.').map(cardinal).collect();
        let joint = if parts.len() == 4 { " dot " } else { " point " };
        around.is_whole_number().then(|| spaced(&parts.join(joint), around))
    })
}

fn ranges(text: &str) -> String {
    let pattern = pattern!(concat!(r"(", number!(), r")( ?)[-–—]( ?)(", number!(), r")"));
    rewrite(text, pattern, |found, around| {
        let equation = around.soon_after().trim_start().starts_with('=');
        let between = if equation { "minus" } else { "to" };
        let glued = around.previous().is_some_and(|c| c.is_alphanumeric() || "-–/".contains(c));
        (!glued && around.is_whole_number()).then(|| {
            spaced(
                &format!("{} {between} {}", plain_number(&found[1], around), plain_number(&found[4], around)),
                around,
            )
        })
    })
}

fn signs(text: &str) -> String {
    rewrite(text, pattern!(r"([-+±]) ?(\.?\d)"), |found, around| {
        let name = match &found[1] {
            "-" => "minus",
            "+" => "plus",
            _ => "plus or minus",
        };
        // " - 5" between words is a dash; "+ 5" and "-5" are signs.
        let dash = found[0].starts_with("- ") && !around.before.trim_end().ends_with(['=', '(']);
        (around.allows_sign() && !dash).then(|| format!("{name} {}", &found[2]))
    })
}

/// Whatever digits are left, with space between them and the letters that touch them.
fn plain(text: &str) -> String {
    let text = rewrite(text, pattern!(r"'(\d\d)\b"), |found, around| {
        // '98 the year; in '98 ways' the number is quoted.
        let closes = around.next() == Some('\'') || around.previous().is_some_and(char::is_alphanumeric);
        (!closes && around.is_whole_number()).then(|| cardinal(&found[1]))
    });
    rewrite(&text, pattern!(number!()), |found, around| {
        // ".5" is a decimal; in "end.5" the point is a full stop.
        if found[0].starts_with('.') && around.previous().is_some_and(char::is_alphanumeric) {
            return None;
        }
        Some(spaced(&plain_number(&found[0], around), around))
    })
}

fn plain_number(written: &str, around: Around<'_>) -> String {
    let whole = !written.contains(['.', ',']);
    if whole && written.len() > 1 && written.starts_with('0') {
        return one_by_one(written);
    }
    let number: usize = if whole { written.parse().unwrap_or(0) } else { 0 };
    let dated = matches!(around.previous_word(), "in" | "In" | "since" | "Since" | "until" | "year")
        || matches!(around.next_word(), "AD" | "BC" | "CE" | "BCE");
    if written.len() == 4 && (is_year(number) || (dated && (1010..1100).contains(&number))) {
        return year(number);
    }
    spoken_number(written)
}

/// `MP3` → "MP three", `COVID-19` → "COVID nineteen", `5-year-old` → "five-year-old".
fn spaced(words: &str, around: Around<'_>) -> String {
    let before = if around.previous().is_some_and(|c| c.is_alphanumeric() || c == ',') { " " } else { "" };
    let after = if around.next().is_some_and(char::is_alphanumeric) { " " } else { "" };
    format!("{before}{words}{after}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn cardinals_and_decimals() {
        assert_spoken(&[
            ("I have 42 cats.", "I have forty-two cats."),
            (
                "1,234,567 people",
                "one million two hundred thirty-four thousand five hundred sixty-seven people",
            ),
            ("-5 and -0.5", "minus five and minus zero point five"),
            ("−7", "minus seven"),
            ("3.14", "three point one four"),
            (".5", "point five"),
            ("007", "zero zero seven"),
            ("5-year-old", "five-year-old"),
            ("１２", "twelve"),
        ]);
    }

    #[test]
    fn ordinals_and_decades() {
        assert_spoken(&[
            ("the 1st, 2nd, 3rd and 21st", "the first, second, third and twenty-first"),
            ("the 1990s", "the nineteen nineties"),
            ("the '80s", "the eighties"),
            ("in his 20s", "in his twenties"),
            ("the 2000s and 1900s", "the two thousands and nineteen hundreds"),
        ]);
    }

    #[test]
    fn fractions_and_marks() {
        assert_spoken(&[
            ("1/2", "one half"),
            ("3/4 cup", "three quarters cup"),
            ("2 1/2 cups", "two and a half cups"),
            ("2½ cups", "two and a half cups"),
            ("⅓", "one third"),
            ("2/3", "two thirds"),
            ("5/8", "five eighths"),
            ("8/10", "eight out of ten"),
            ("24/7", "twenty-four seven"),
            ("9.5/10", "nine point five out of ten"),
            ("50/50 or 60/40", "fifty-fifty or sixty forty"),
            ("7/3", "seven over three"),
            ("Windows 95/98", "Windows ninety-five over ninety-eight"),
            ("8/2=4", "eight divided by two equals four"),
        ]);
    }

    #[test]
    fn years_and_ranges() {
        assert_spoken(&[
            ("in 1999 and 2005", "in nineteen ninety-nine and two thousand five"),
            ("in 1066", "in ten sixty-six"),
            ("1066 people", "one thousand sixty-six people"),
            ("1066 AD", "ten sixty-six AD"),
            ("back in '98, she", "back in ninety-eight, she"),
            ("2010–2019", "twenty ten to twenty nineteen"),
            ("1914-18", "nineteen fourteen to eighteen"),
            ("5–10", "five to ten"),
            ("pages 3-7", "pages three to seven"),
            ("10-3=7", "ten minus three equals seven"),
            ("5 - 3 = 2", "five minus three equals two"),
        ]);
    }

    #[test]
    fn versions_scales_and_names() {
        assert_spoken(&[
            (
                "Version 2.3.4 is out. Pi is 3.14. Ok.",
                "Version two point three point four is out. Pi is three point one four. Ok.",
            ),
            ("v2.5", "version two point five"),
            ("Version v1.2.3-beta4", "Version one point two point three-beta four"),
            ("Room 204B", "Room two hundred four B"),
            ("7B parameters", "seven billion parameters"),
            ("192.168.1.1", "one hundred ninety-two dot one hundred sixty-eight dot one dot one"),
            ("100k users", "one hundred thousand users"),
            ("a 4K screen", "a four K screen"),
            ("3x4", "three by four"),
            ("MP3 and H2O", "M P three and H two O"),
            ("COVID-19", "COVID-nineteen"),
        ]);
    }
}
