//! Symbols that are words, and symbols that are nothing: the last digits and signs become words or go.

use super::rewrite::{pattern, rewrite};

/// What a number that was read out before begins or ends with.
const NUMERALS: [&str; 31] = [
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
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
];

pub(super) fn read_out(text: &str) -> String {
    // Markup that slipped through: tags, emphasis, code.
    let text = rewrite(text, pattern!(r"</?[A-Za-z][^<>\n\u{e000}]{0,60}>"), |_, _| Some(" ".to_owned()));
    let text = rewrite(&text, pattern!(r"\bC(\+\+|#)"), |found, around| {
        let name = if &found[1] == "#" { "C sharp" } else { "C plus plus" };
        around.stands_alone_before().then(|| name.to_owned())
    });
    let text = rewrite(&text, pattern!(r"#(\w)"), |found, around| {
        let number = around.before.is_empty() || around.allows_sign();
        let tail = around.after.chars().take_while(|c| c.is_alphabetic());
        let word: String = found[1].chars().chain(tail).collect();
        let counts = NUMERALS.contains(&word.as_str());
        number.then(|| format!("{} {}", if counts { "number" } else { "hashtag" }, &found[1]))
    });
    let text = rewrite(&text, pattern!(r"<=|>=|!=|==+|-+>|=>|<-+"), |found, _| {
        let name = match &found[0] {
            "<=" => " less than or equal to ",
            ">=" => " greater than or equal to ",
            "!=" => " is not equal to ",
            equals if equals.starts_with("==") => " equals ",
            _ => " to ",
        };
        Some(name.to_owned())
    });
    let text = rewrite(&text, pattern!(r"~ ?(\w)"), |found, around| {
        around.allows_sign().then(|| format!("about {}", &found[1]))
    });
    // Between numbers or single letters `*` multiplies and `^` raises; anywhere else they are decoration.
    let text = rewrite(&text, pattern!(r" ?([*^]) ?"), |found, around| {
        let is_value = |word: &str| word.chars().count() == 1 || NUMERALS.contains(&word);
        let before = around.just_before().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let after = around.soon_after().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let name = if &found[1] == "*" { " times " } else { " to the power of " };
        (is_value(before) && is_value(after)).then(|| name.to_owned())
    });
    let mut output = String::with_capacity(text.len());
    let characters: Vec<char> = text.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        let alone = |at: Option<&char>| !at.is_some_and(|c| c.is_alphabetic());
        match name(character) {
            Some(name) => output.push_str(name),
            None if is_greek(character)
                && alone(characters.get(index + 1))
                && alone(index.checked_sub(1).and_then(|at| characters.get(at))) =>
            {
                output.push_str(greek(character));
            }
            None => output.push(character),
        }
    }
    output
}

/// The words for a character, with the spaces they need; "" for what has no sound; `None` for what stays.
fn name(character: char) -> Option<&'static str> {
    Some(match character {
        '&' => " and ",
        '@' => " at ",
        '+' => " plus ",
        '=' => " equals ",
        '%' => " percent",
        '°' => " degrees",
        '×' => " times ",
        '÷' => " divided by ",
        '±' => " plus or minus ",
        '≈' => " about ",
        '≠' => " is not equal to ",
        '<' => " less than ",
        '>' => " greater than ",
        '≤' => " less than or equal to ",
        '≥' => " greater than or equal to ",
        '→' | '⇒' | '➜' | '➔' => " to ",
        '/' | '⁄' => " slash ",
        '\\' => " backslash ",
        '$' => " dollar ",
        '€' => " euro ",
        '£' => " pound ",
        '¥' => " yen ",
        '¢' => " cent ",
        '§' => " section ",
        '№' => " number ",
        '∞' => " infinity ",
        '√' => " square root of ",
        '∑' => " sum ",
        '²' => " squared",
        '³' => " cubed",
        '|' | '•' | '·' | '‣' => ", ",
        '#' | '*' | '^' | '~' | '`' | '{' | '}' | '¶' | '†' | '‡' | '®' | '™' | '©' | '¹' | '⁰' | '‹'
        | '›' => "",
        // Superscripts are notes; arrows, boxes, shapes, dingbats, emoji and their joints have no sound.
        '_'
        | '\u{2070}'..='\u{207f}'
        | '\u{20a0}'..='\u{20cf}'
        | '\u{2190}'..='\u{2bff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{1f000}'..='\u{1fbff}' => " ",
        _ => return None,
    })
}

fn is_greek(character: char) -> bool {
    !greek(character).is_empty()
}

/// Greek letters that stand alone are mathematics, not Greek.
fn greek(character: char) -> &'static str {
    match character {
        'α' => " alpha ",
        'β' => " beta ",
        'γ' => " gamma ",
        'δ' | 'Δ' => " delta ",
        'ε' => " epsilon ",
        'θ' => " theta ",
        'λ' => " lambda ",
        'μ' => " mu ",
        'π' => " pi ",
        'ρ' => " rho ",
        'σ' | 'Σ' => " sigma ",
        'τ' => " tau ",
        'φ' => " phi ",
        'ω' | 'Ω' => " omega ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn symbols_that_are_words() {
        assert_spoken(&[
            ("salt & pepper", "salt and pepper"),
            ("R&D", "R and D"),
            ("1 + 1 = 2", "one plus one equals two"),
            ("3 × 4", "three by four"),
            ("3 * 4", "three times four"),
            ("2^8", "two to the power of eight"),
            ("a*b*c", "a times b times c"),
            ("x <= y, x != z", "x less than or equal to y, x is not equal to z"),
            ("x²", "x squared"),
            ("@anna", "at anna"),
            ("#1", "number one"),
            ("#winning", "hashtag winning"),
            ("C++ and C#", "C plus plus and C sharp"),
            ("~5 days", "about five days"),
            ("A → B", "A to B"),
            ("a < b", "a less than b"),
            ("±5", "plus or minus five"),
            ("§ 5", "section five"),
            ("pass/fail", "pass slash fail"),
            ("π is about 3", "pi is about three"),
        ]);
    }

    #[test]
    fn symbols_that_are_nothing() {
        assert_spoken(&[
            ("**bold** and _it_ and `code`", "bold and it and code"),
            ("<b>bold</b> text", "bold text"),
            ("Great 😀👍🏽!", "Great!"),
            ("I ❤️ you", "I you"),
            ("Acme™ and Co®", "Acme and Co"),
            ("🇩🇪 flag 👨‍👩‍👧", "flag"),
        ]);
    }
}
