//! Numbers in English words (US: no "and" inside a number).

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Short scale, one name per group of three digits.
const SCALES: [&str; 12] = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
];

/// A whole number given in digits, with or without thousands separators. Numbers that English has no common name for are
/// read digit by digit.
pub(super) fn cardinal(written: &str) -> String {
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return ONES[0].to_owned();
    }
    if significant.len() > SCALES.len() * 3 {
        return one_by_one(&digits);
    }
    let mut words = Vec::new();
    let mut rest = significant;
    while !rest.is_empty() {
        let (group, tail) = rest.split_at((rest.len() - 1) % 3 + 1);
        let value = group.bytes().fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        if value > 0 {
            words.push(below_thousand(value));
            words.push(SCALES[tail.len() / 3].to_owned());
        }
        rest = tail;
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn below_thousand(value: usize) -> String {
    match value {
        100.. if value.is_multiple_of(100) => format!("{} hundred", ONES[value / 100]),
        100.. => format!("{} hundred {}", ONES[value / 100], below_thousand(value % 100)),
        20.. if value.is_multiple_of(10) => TENS[value / 10].to_owned(),
        20.. => format!("{}-{}", TENS[value / 10], ONES[value % 10]),
        _ => ONES[value].to_owned(),
    }
}

/// `21` → "twenty-first".
pub(super) fn ordinal(written: &str) -> String {
    let cardinal = cardinal(written);
    let split = cardinal.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (head, last) = cardinal.split_at(split);
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        tens if tens.ends_with('y') => format!("{}ieth", &tens[..tens.len() - 1]),
        other => format!("{other}th"),
    };
    format!("{head}{last}")
}

/// "zero zero seven". Anything that is not a digit is left out.
pub(super) fn one_by_one(written: &str) -> String {
    let words: Vec<&str> =
        written.bytes().filter(u8::is_ascii_digit).map(|digit| ONES[usize::from(digit - b'0')]).collect();
    words.join(" ")
}

/// A number with an optional decimal part, with or without thousands separators: `1,250.5`, `.5`.
pub(super) fn number(written: &str) -> String {
    match written.split_once('.') {
        Some(("", decimals)) => format!("point {}", one_by_one(decimals)),
        Some((whole, decimals)) => format!("{} point {}", cardinal(whole), one_by_one(decimals)),
        None => cardinal(written),
    }
}

/// A year of up to four digits as it is said: "nineteen oh five", "two thousand five", "twenty twenty-four".
pub(super) fn year(year: usize) -> String {
    let (century, rest) = (year / 100, year % 100);
    match (century, rest) {
        (0..10, _) | (_, 0) if century.is_multiple_of(10) || century < 10 => cardinal(&year.to_string()),
        (_, 0) => format!("{} hundred", below_thousand(century)),
        (_, 1..10) if century.is_multiple_of(10) => cardinal(&year.to_string()),
        (_, 1..10) => format!("{} oh {}", below_thousand(century), ONES[rest]),
        _ => format!("{} {}", below_thousand(century), below_thousand(rest)),
    }
}

/// The plural of a word that [`cardinal`], [`ordinal`] or [`year`] ends in.
pub(super) fn plural(word: &str) -> String {
    match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if word.ends_with("six") => format!("{word}es"),
        None => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cardinals_of_every_size() {
        for (written, spoken) in [
            ("0", "zero"),
            ("000", "zero"),
            ("7", "seven"),
            ("13", "thirteen"),
            ("20", "twenty"),
            ("42", "forty-two"),
            ("100", "one hundred"),
            ("101", "one hundred one"),
            ("999", "nine hundred ninety-nine"),
            ("1,000", "one thousand"),
            ("1001", "one thousand one"),
            ("12,345", "twelve thousand three hundred forty-five"),
            ("1000000", "one million"),
            ("1,000,001", "one million one"),
            ("5000000000", "five billion"),
            ("1000000000000000000000000000000000", "one decillion"),
        ] {
            assert_eq!(cardinal(written), spoken);
        }
        assert_eq!(cardinal(&"1".repeat(37)).split(' ').count(), 37);
    }

    #[test]
    fn ordinals_end_as_they_should() {
        for (written, spoken) in [
            ("1", "first"),
            ("2", "second"),
            ("3", "third"),
            ("5", "fifth"),
            ("8", "eighth"),
            ("9", "ninth"),
            ("12", "twelfth"),
            ("20", "twentieth"),
            ("21", "twenty-first"),
            ("100", "one hundredth"),
            ("113", "one hundred thirteenth"),
            ("1,000", "one thousandth"),
        ] {
            assert_eq!(ordinal(written), spoken);
        }
    }

    #[test]
    fn years_are_said_in_pairs() {
        for (number, spoken) in [
            (1066, "ten sixty-six"),
            (1500, "fifteen hundred"),
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (1999, "nineteen ninety-nine"),
            (2000, "two thousand"),
            (2005, "two thousand five"),
            (2010, "twenty ten"),
            (2024, "twenty twenty-four"),
            (1000, "one thousand"),
            (476, "four hundred seventy-six"),
            (1003, "one thousand three"),
            (3000, "three thousand"),
        ] {
            assert_eq!(year(number), spoken);
        }
    }
}
