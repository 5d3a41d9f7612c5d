//! The part of SSML that has a meaning for these models: `speak, p, s, break, sub, say-as, voice, prosody rate`.
//!
//! Everything else is refused by name and place: what is passed over in silence would be missed, and what is read out would be
//! heard. Attributes that change nothing here (`version`, `xmlns`, languages) are taken; those that would have to change the
//! sound and cannot (`pitch`, `volume`) are not.

use std::time::Duration;

use super::pauses::LONGEST;
use super::{Name, Part, ScriptError, VOICE, add_pauses, name};
use crate::xml::{Element, Node, Reader, XmlError};

/// Tempos that a text may ask for, the whole's own being 1.
const RATES: std::ops::RangeInclusive<f32> = 0.25..=4.0;

impl From<XmlError> for ScriptError {
    fn from(error: XmlError) -> Self {
        Self::new(error.at, error.problem)
    }
}

/// What an open element changes for what stands inside of it.
#[derive(Clone, Default)]
struct Scope {
    voice: Option<Name>,
    /// 1 where nobody changed it.
    rate: Option<f32>,
    reading: Reading,
    closes: Closes,
}

/// How text is taken.
#[derive(Clone, Default, PartialEq)]
enum Reading {
    #[default]
    AsItStands,
    /// Something else was said for it.
    Not,
    Letters,
    Ordinal,
}

/// What the end of an element says.
#[derive(Clone, Copy, Default, PartialEq)]
enum Closes {
    #[default]
    Nothing,
    Paragraph,
    Sentence,
}

pub(super) fn parts(text: &str) -> Result<Vec<Part>, ScriptError> {
    let mut reader = Reader::new(text);
    let mut script = Script { parts: Vec::new(), buffer: String::new(), scopes: Vec::new() };
    while let Some(node) = reader.read()? {
        match node {
            Node::Start(element) => script.start(&element)?,
            Node::End => script.end(),
            Node::Text { text, at } => script.text(&text, at)?,
        }
    }
    script.flush();
    Ok(script.parts)
}

struct Script {
    parts: Vec<Part>,
    /// What was said since the last part.
    buffer: String,
    scopes: Vec<Scope>,
}

impl Script {
    fn start(&mut self, element: &Element) -> Result<(), ScriptError> {
        let at = element.at;
        let refuse = |problem: String| Err(ScriptError::new(at, problem));
        if self.scopes.is_empty() && element.name != "speak" {
            return refuse(format!("the outermost element must be <speak>, not <{}>", element.name));
        }
        let mut scope = Scope { closes: Closes::Nothing, ..self.scopes.last().cloned().unwrap_or_default() };
        match element.name {
            "speak" if self.scopes.is_empty() => {}
            "p" => {
                only(element, &[])?;
                self.buffer.push_str("\n\n");
                scope.closes = Closes::Paragraph;
            }
            "s" => {
                only(element, &[])?;
                scope.closes = Closes::Sentence;
            }
            "break" => {
                only(element, &["time", "strength"])?;
                self.pause(length(element)?);
                scope.reading = Reading::Not;
            }
            "sub" => {
                only(element, &["alias"])?;
                let Some(alias) = element.attribute("alias") else {
                    return refuse("<sub> needs an alias, which is said for it".to_owned());
                };
                if scope.reading != Reading::Not {
                    self.buffer.push_str(alias);
                }
                scope.reading = Reading::Not;
            }
            "say-as" => {
                only(element, &["interpret-as", "format", "detail"])?;
                scope.reading = reading(element)?;
            }
            "voice" => {
                only(element, &["name"])?;
                let named = element.attribute("name").map(|text| name(text, at)).transpose()?.flatten();
                let Some(named) = named else {
                    return refuse("<voice> needs a name, the id or the name of a voice".to_owned());
                };
                self.flush();
                scope.voice = Some(named);
            }
            "prosody" => {
                only(element, &["rate"])?;
                let Some(text) = element.attribute("rate") else {
                    return refuse(
                        "<prosody> needs a rate; nothing else of it can be changed here".to_owned(),
                    );
                };
                self.flush();
                scope.rate = Some(rate(text, scope.rate.unwrap_or(1.0)).ok_or_else(|| {
                    let expected =
                        "x-slow, slow, medium, fast, x-fast, a share such as 80% or +20%, or a number";
                    ScriptError::new(
                        at,
                        format!("the rate {text:?} is not {expected}, from 0.25 to 4 in all"),
                    )
                })?);
            }
            other => {
                let known = "speak, p, s, break, sub, say-as, voice and prosody";
                return refuse(format!("<{other}> has no meaning here; {known} have"));
            }
        }
        self.scopes.push(scope);
        Ok(())
    }

    fn end(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        let outer = self.scopes.last().cloned().unwrap_or_default();
        match scope.closes {
            Closes::Nothing => {}
            Closes::Paragraph => self.buffer.push_str("\n\n"),
            Closes::Sentence => {
                let said = self.buffer.trim_end();
                if said.ends_with(|last: char| last.is_alphanumeric()) {
                    self.buffer.truncate(said.len());
                    self.buffer.push('.');
                }
                self.buffer.push(' ');
            }
        }
        if scope.voice != outer.voice || scope.rate != outer.rate {
            self.say(&scope);
        }
    }

    fn text(&mut self, text: &str, at: usize) -> Result<(), ScriptError> {
        if let Some(found) = VOICE.find(text) {
            let problem = format!("within <speak>, {} is written <voice name=\"…\">", &text[found.range()]);
            return Err(ScriptError::new(at + found.start(), problem));
        }
        match self.scopes.last().map_or(&Reading::AsItStands, |scope| &scope.reading) {
            Reading::Not => {}
            // Line breaks and indents are those of the markup; paragraphs are told by <p>.
            Reading::AsItStands => push_words(&mut self.buffer, text),
            Reading::Letters => {
                let letters: Vec<String> = text
                    .split_whitespace()
                    .flat_map(str::chars)
                    .map(|letter| letter.to_uppercase().to_string())
                    .collect();
                self.buffer.push_str(&letters.join(" "));
            }
            Reading::Ordinal => {
                let number = text.trim().trim_end_matches('.');
                self.buffer.push_str(number);
                self.buffer.push_str(ordinal_ending(number));
            }
        }
        Ok(())
    }

    fn pause(&mut self, pause: Duration) {
        self.flush();
        if pause.is_zero() {
            return;
        }
        let scope = self.scopes.last().cloned().unwrap_or_default();
        let rate = scope.rate.unwrap_or(1.0);
        self.parts.push(Part { text: String::new(), voice: scope.voice, rate, pause: Some(pause) });
    }

    fn flush(&mut self) {
        let scope = self.scopes.last().cloned().unwrap_or_default();
        self.say(&scope);
    }

    /// What was said so far was said so.
    fn say(&mut self, scope: &Scope) {
        let said = std::mem::take(&mut self.buffer);
        add_pauses(&said, scope.voice.as_ref(), scope.rate.unwrap_or(1.0), &mut self.parts);
    }
}

/// Appends with every stretch of blanks as one.
fn push_words(buffer: &mut String, text: &str) {
    for (index, word) in text.split(char::is_whitespace).enumerate() {
        if index > 0 && !buffer.is_empty() && !buffer.ends_with(char::is_whitespace) {
            buffer.push(' ');
        }
        buffer.push_str(word);
    }
}

/// Refuses attributes that would be passed over.
fn only(element: &Element, known: &[&str]) -> Result<(), ScriptError> {
    let is_known = |name: &str| known.contains(&name) || name == "xml:lang" || name == "xml:id";
    match element.attributes.iter().find(|(name, _)| !is_known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let taken = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            let problem = format!("{name} of <{}> has no meaning here; it takes {taken}", element.name);
            Err(ScriptError::new(element.at, problem))
        }
    }
}

fn length(element: &Element) -> Result<Duration, ScriptError> {
    if let Some(time) = element.attribute("time") {
        let wrong = || {
            let most = LONGEST.as_secs();
            ScriptError::new(
                element.at,
                format!("the time {time:?} is not one such as 500ms or 2s, of {most} s at most"),
            )
        };
        let (number, unit) = time.trim().split_at(time.trim().find(char::is_alphabetic).unwrap_or(0));
        return super::pauses::length(number.trim(), unit).ok_or_else(wrong);
    }
    // SSML leaves the lengths open; these are about a comma, a sentence and a paragraph.
    let ms = match element.attribute("strength").unwrap_or("medium") {
        "none" => 0,
        "x-weak" => 100,
        "weak" => 250,
        "medium" => 500,
        "strong" => 750,
        "x-strong" => 1_000,
        other => {
            let expected = "none, x-weak, weak, medium, strong or x-strong";
            return Err(ScriptError::new(element.at, format!("the strength {other:?} is not {expected}")));
        }
    };
    Ok(Duration::from_millis(ms))
}

/// Dates, times and the like are read out by the rules for plain text, as they are written.
fn reading(element: &Element) -> Result<Reading, ScriptError> {
    match element.attribute("interpret-as") {
        Some("characters" | "spell-out" | "verbatim" | "digits") => Ok(Reading::Letters),
        Some("ordinal") => Ok(Reading::Ordinal),
        Some(
            "cardinal" | "number" | "date" | "time" | "telephone" | "currency" | "unit" | "fraction"
            | "address",
        ) => Ok(Reading::AsItStands),
        Some(other) => {
            let known = "characters, spell-out, digits, cardinal, number, ordinal, date, time, telephone, currency, unit, \
                         fraction and address";
            Err(ScriptError::new(element.at, format!("interpret-as {other:?} is not known; {known} are")))
        }
        None => Err(ScriptError::new(element.at, "<say-as> needs interpret-as")),
    }
}

fn ordinal_ending(number: &str) -> &'static str {
    if !number.ends_with(|last: char| last.is_ascii_digit()) {
        return "";
    }
    match (
        number.ends_with("11") || number.ends_with("12") || number.ends_with("13"),
        number.chars().next_back(),
    ) {
        (false, Some('1')) => "st",
        (false, Some('2')) => "nd",
        (false, Some('3')) => "rd",
        _ => "th",
    }
}

/// The tempo that a rate makes of the one around it.
fn rate(text: &str, around: f32) -> Option<f32> {
    let text = text.trim();
    let share = |text: &str| text.parse::<f32>().ok().map(|percent| percent / 100.0);
    let factor = match (text, text.strip_suffix('%')) {
        ("x-slow", _) => 0.5,
        ("slow", _) => 0.75,
        ("medium" | "default", _) => 1.0,
        ("fast", _) => 1.25,
        ("x-fast", _) => 1.6,
        (_, Some(change)) if change.starts_with(['+', '-']) => 1.0 + share(change)?,
        (_, Some(percent)) => share(percent)?,
        (number, None) => number.parse().ok()?,
    };
    Some(around * factor).filter(|rate| RATES.contains(rate))
}

#[cfg(test)]
mod tests {
    use super::super::ScriptError;
    use super::*;

    /// `voice×rate:text` of each part, `|ms|` of each pause.
    fn said(text: &str) -> String {
        let told = |part: Part| {
            let voice = part.voice.map_or(String::new(), |voice| format!("{}:", voice.name));
            let rate = if part.rate == 1.0 { String::new() } else { format!("×{}:", part.rate) };
            let pause = part.pause.map_or(String::new(), |pause| format!("|{}|", pause.as_millis()));
            let text = if part.text.trim().is_empty() { String::new() } else { part.text };
            format!("{}{}{text}{pause}", if text.is_empty() { String::new() } else { voice }, rate)
        };
        parts(text).unwrap().into_iter().map(told).collect::<Vec<_>>().join("/")
    }

    fn refused(text: &str) -> (usize, usize, String) {
        let error: ScriptError = parts(text).unwrap_err();
        let (line, column) = error.place(text);
        (line, column, error.problem)
    }

    #[test]
    fn each_element_means_what_it_says() {
        for (text, told) in [
            ("<speak>Hello\n   world &amp; all.</speak>", "Hello world & all."),
            (
                "<speak version='1.1' xmlns='x' xml:lang='en'>A<break time='500ms'/>B<break/>C<break strength='none'/>D</speak>",
                "A/|500|/B/|500|/C/D",
            ),
            ("<speak><p>One.</p><p>Two</p></speak>", "\n\nOne.\n\n\n\nTwo\n\n"),
            ("<speak><s>One</s><s>Two!</s></speak>", "One. Two! "),
            (
                "<speak>The <sub alias=\"World Wide Web Consortium\">W3C</sub> says.</speak>",
                "The World Wide Web Consortium says.",
            ),
            (
                "<speak>My <say-as interpret-as='characters'>pin 4b</say-as>, the <say-as interpret-as='ordinal'>12</say-as> and <say-as interpret-as='ordinal'>3</say-as>.</speak>",
                "My P I N 4 B, the 12th and 3rd.",
            ),
            (
                "<speak>On <say-as interpret-as='date' format='mdy'>2024-03-05</say-as>.</speak>",
                "On 2024-03-05.",
            ),
            (
                "<speak>I <voice name='Ada'>am <prosody rate='slow'>slow</prosody> Ada</voice> not.</speak>",
                "I /Ada:am /Ada:×0.75:slow/Ada:Ada/not.",
            ),
            (
                "<speak><prosody rate='+50%'>a<prosody rate='50%'>b</prosody></prosody><prosody rate='1.2'>c</prosody></speak>",
                "×1.5:a/×0.75:b/×1.2:c",
            ),
            ("<speak>One [pause:1s]two [laugh]</speak>", "One |1000|/two [laugh]"),
            ("<speak/>", ""),
        ] {
            assert_eq!(said(text), told, "{text}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name_and_place() {
        for (text, line, column, problem) in [
            ("<speak>\n <audio src='x'/></speak>", 2, 2, "<audio> has no meaning here"),
            ("<speak><phoneme ph='x'>y</phoneme></speak>", 1, 8, "<phoneme> has no meaning here"),
            ("<speak><speak/></speak>", 1, 8, "<speak> has no meaning here"),
            ("<speak><prosody pitch='high'>x</prosody></speak>", 1, 8, "pitch of <prosody> has no meaning"),
            ("<speak><prosody rate='9'>x</prosody></speak>", 1, 8, "the rate \"9\" is not"),
            ("<speak><prosody>x</prosody></speak>", 1, 8, "needs a rate"),
            ("<speak><break time='31s'/></speak>", 1, 8, "of 30 s at most"),
            ("<speak><break time='soon'/></speak>", 1, 8, "the time \"soon\" is not"),
            ("<speak><break strength='huge'/></speak>", 1, 8, "the strength \"huge\""),
            ("<speak><voice gender='female'>x</voice></speak>", 1, 8, "gender of <voice>"),
            ("<speak><voice name=' '>x</voice></speak>", 1, 8, "needs a name"),
            ("<speak><sub>x</sub></speak>", 1, 8, "needs an alias"),
            ("<speak><say-as interpret-as='poem'>x</say-as></speak>", 1, 8, "interpret-as \"poem\""),
            ("<speak>a [voice:Ada] b</speak>", 1, 10, "is written <voice name"),
            ("<speak>a <b</speak>", 1, 12, "<b> lacks its >"),
            ("<speak>a", 1, 1, "<speak> is never closed"),
        ] {
            let told = refused(text);
            assert_eq!((told.0, told.1), (line, column), "{text}: {}", told.2);
            assert!(told.2.contains(problem), "{text}: {}", told.2);
        }
    }
}
