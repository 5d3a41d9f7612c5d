//! Amounts of money, with the symbol before or behind, in small change, in millions, and per month.

use super::rewrite::{Around, number, pattern, rewrite};
use super::words::{cardinal, number as spoken_number};

/// What a currency is called: one and many of it, one and many of its hundredth ("" where it has none).
struct Currency(&'static str, &'static str, &'static str, &'static str);

const DOLLAR: Currency = Currency("dollar", "dollars", "cent", "cents");

fn currency(sign: &str) -> Option<Currency> {
    Some(match sign {
        "$" | "USD" | "CAD" | "AUD" => DOLLAR,
        "£" | "GBP" => Currency("pound", "pounds", "penny", "pence"),
        "€" | "EUR" => Currency("euro", "euros", "cent", "cents"),
        "¥" | "JPY" => Currency("yen", "yen", "", ""),
        "₹" | "INR" => Currency("rupee", "rupees", "paisa", "paise"),
        "CHF" => Currency("franc", "francs", "centime", "centimes"),
        "₩" => Currency("won", "won", "", ""),
        "₽" => Currency("ruble", "rubles", "kopeck", "kopecks"),
        "₿" => Currency("bitcoin", "bitcoins", "", ""),
        "₪" => Currency("shekel", "shekels", "", ""),
        "₺" => Currency("lira", "lira", "", ""),
        _ => return None,
    })
}

/// Whose dollars.
fn country(prefix: &str) -> &'static str {
    match prefix {
        "US" => "US ",
        "C" | "CA" => "Canadian ",
        "A" | "AU" => "Australian ",
        "NZ" => "New Zealand ",
        "HK" => "Hong Kong ",
        "S" => "Singapore ",
        _ => "",
    }
}

macro_rules! scale {
    () => {
        r"(?:[ -]?(thousand|million|billion|trillion|mn|bn|tn|[kKmMbB])\b)?"
    };
}

pub(super) fn read_out(text: &str) -> String {
    // Behind a euro amount the comma is a decimal point: 1.000,50 €.
    let text =
        &rewrite(text, pattern!(r"\b(\d{1,3}(?:\.\d{3})+|\d+),(\d{2}) ?(€|EUR\b)"), |found, around| {
            around
                .is_whole_number()
                .then(|| format!("{}.{} {}", found[1].replace('.', ""), &found[2], &found[3]))
        });
    let before = pattern!(concat!(
        r"(-)?(US|CA|C|AU|A|NZ|HK|S)?([$£€¥₹₩₽₿₪₺]|\b(?:USD|CAD|AUD|GBP|EUR|JPY|INR|CHF) ?) ?(-)?(",
        number!(),
        ")",
        r"(?: ?[-–—] ?[$£€¥₹]?(",
        number!(),
        "))?",
        scale!(),
        r"(?:/([a-z]+)\b)?"
    ));
    let text = rewrite(text, before, |found, around| {
        let group = |at| found.get(at).map(|group| group.as_str());
        let sign = group(3)?.trim_end();
        let currency = currency(sign)?;
        let glued = around.previous().is_some_and(char::is_alphanumeric)
            && (group(1).is_some() || group(2).is_some());
        let sign_is_a_hyphen = group(1).is_some() && !around.allows_sign();
        if glued || sign_is_a_hyphen || !rest_is_whole(around) {
            return None;
        }
        let minus = if group(1).or(group(4)).is_some() { "minus " } else { "" };
        let amount =
            amount(&currency, country(group(2).unwrap_or("")), group(5)?, group(6), group(7), around);
        Some(format!("{minus}{amount}{}", per(group(8))))
    });
    let behind = pattern!(concat!(
        "(",
        number!(),
        ")(?: ?[-–—] ?(",
        number!(),
        "))?",
        scale!(),
        r" ?([€£¥¢₽]|(?:USD|CAD|AUD|GBP|EUR|JPY|INR|CHF)\b)(?:/([a-z]+)\b)?"
    ));
    rewrite(&text, behind, |found, around| {
        let group = |at| found.get(at).map(|group| group.as_str());
        let glued = around.previous().is_some_and(|c| c.is_alphanumeric() || ".,".contains(c));
        if glued || around.next().is_some_and(char::is_alphanumeric) {
            return None;
        }
        let words = if group(4)? == "¢" {
            amount(&Currency("cent", "cents", "", ""), "", group(1)?, group(2), group(3), around)
        } else {
            amount(&currency(group(4)?)?, "", group(1)?, group(2), group(3), around)
        };
        Some(words + &per(group(5)))
    })
}

/// The amount is not cut out of a longer number.
fn rest_is_whole(around: Around<'_>) -> bool {
    let mut rest = around.after.chars();
    match rest.next() {
        Some('.' | ',') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
        next => !next.is_some_and(char::is_alphanumeric),
    }
}

fn amount(
    currency: &Currency,
    country: &str,
    low: &str,
    high: Option<&str>,
    scale: Option<&str>,
    around: Around<'_>,
) -> String {
    let Currency(one, many, hundredth, hundredths) = currency;
    // "a five dollar bill"
    let attribute = matches!(around.previous_word(), "a" | "an" | "A" | "An") && around.next() == Some(' ');
    let unit = |single: bool| if single || attribute { *one } else { *many };
    let last = high.unwrap_or(low);
    let head = high.map_or(String::new(), |_| format!("{} to ", spoken_number(low)));
    if let Some(scale) = scale {
        return format!("{head}{} {} {country}{}", spoken_number(last), scale_name(scale), unit(false));
    }
    let (whole, decimals) = last.split_once('.').unwrap_or((last, ""));
    let whole_is_zero = whole.bytes().all(|digit| digit == b'0');
    if decimals.len() != 2 || hundredth.is_empty() || high.is_some() {
        return format!("{head}{} {country}{}", spoken_number(last), unit(last == "1"));
    }
    let small = format!("{} {}", cardinal(decimals), if decimals == "01" { hundredth } else { hundredths });
    let large = format!("{} {country}{}", cardinal(whole), unit(whole == "1"));
    match (whole_is_zero, decimals) {
        (_, "00") => large,
        (true, _) => small,
        (false, _) => format!("{large} and {small}"),
    }
}

fn scale_name(written: &str) -> &str {
    match written {
        "k" | "K" => "thousand",
        "m" | "M" | "mn" => "million",
        "b" | "B" | "bn" => "billion",
        "tn" => "trillion",
        word => word,
    }
}

fn per(unit: Option<&str>) -> String {
    let unit = match unit {
        None => return String::new(),
        Some("hr" | "h") => "hour",
        Some("mo") => "month",
        Some("yr") => "year",
        Some("wk") => "week",
        Some("kg") => "kilogram",
        Some("lb") => "pound",
        Some(word) => word,
    };
    format!(" per {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn amounts_in_every_common_form() {
        assert_spoken(&[
            ("$5.20", "five dollars and twenty cents"),
            ("$1", "one dollar"),
            ("$1.01", "one dollar and one cent"),
            ("$0.99", "ninety-nine cents"),
            ("$5.00", "five dollars"),
            ("$5.5", "five point five dollars"),
            ("£3m", "three million pounds"),
            ("€1,000", "one thousand euros"),
            ("1.000,00 €", "one thousand euros"),
            ("5,20 €", "five euros and twenty cents"),
            ("$3.5 billion", "three point five billion dollars"),
            ("50¢", "fifty cents"),
            ("5 €", "five euros"),
            ("20 USD", "twenty dollars"),
            ("EUR 20", "twenty euros"),
            ("US$5", "five U S dollars"),
            ("-$5", "minus five dollars"),
            ("$5–10", "five to ten dollars"),
            ("$5-$10", "five to ten dollars"),
            ("¥500", "five hundred yen"),
            ("$10/month", "ten dollars per month"),
            ("£2.50/kg", "two pounds and fifty pence per kilogram"),
            ("a $5 bill", "a five dollar bill"),
            ("He paid $5. Then", "He paid five dollars. Then"),
            (
                "$1,234,567.89!",
                "one million two hundred thirty-four thousand five hundred sixty-seven dollars and eighty-nine cents!",
            ),
        ]);
    }
}
