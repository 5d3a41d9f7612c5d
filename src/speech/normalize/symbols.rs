//! Symbols that are words, and symbols that are nothing: the last digits and signs become words or go.

use super::rewrite::{pattern, rewrite};

pub(super) fn read_out(text: &str) -> String {
    // Markup that slipped through: tags, emphasis, code.
    let text = rewrite(text, pattern!(r"</?[A-Za-z][^<>\n\u{e000}]{0,60}>"), |_, _| Some(" ".to_owned()));
    let text = rewrite(&text, pattern!(r"\bC(\+\+|#)"), |found, around| {
        let name = if &found[1] == "#" { "C sharp" } else { "C plus plus" };
        around.stands_alone_before().then(|| name.to_owned())
    });
    let text = rewrite(&text, pattern!(r"#(\w)"), |found, around| {
        let number = around.before.is_empty() || around.allows_sign();
        let digit_words = [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
            "twelve",
        ];
        let word: String =
            found[1].chars().chain(around.after.chars().take_while(|c| c.is_alphabetic())).collect();
        let counts = digit_words.contains(&word.as_str())
            || word.ends_with("teen")
            || word.ends_with("ty") && word.len() < 8;
        number.then(|| format!("{} {}", if counts { "number" } else { "hashtag" }, &found[1]))
    });
    let text = rewrite(&text, pattern!(r"(->|=>|<-|--+>)"), |_, _| Some(" to ".to_owned()));
    let text = rewrite(&text, pattern!(r"~ ?(\w)"), |found, around| {
        around.allows_sign().then(|| format!("about {}", &found[1]))
    });
    // Between two values `*` multiplies and `^` raises; anywhere else they are decoration.
    let text = rewrite(&text, pattern!(r"(\w) ?([*^]) ?(\w)"), |found, around| {
        let values = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero", "ten"];
        let single = !around.previous().is_some_and(char::is_alphanumeric)
            && !around.next().is_some_and(char::is_alphanumeric);
        let numeric = values.iter().any(|value| {
            format!("{}{}", around.before, &found[1]).ends_with(value)
                || format!("{}{}", &found[3], around.after).starts_with(value)
        });
        let name = if &found[2] == "*" { "times" } else { "to the power of" };
        (single || numeric).then(|| format!("{} {name} {}", &found[1], &found[3]))
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
