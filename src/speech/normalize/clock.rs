//! Times of day, and the ratios that look like them.

use super::rewrite::{pattern, rewrite};
use super::words::cardinal;
use crate::speech::chunk::sentences::opens_sentence;

macro_rules! time {
    () => {
        r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?(?: ?([AaPp])(?:\.[Mm]\.?|[Mm]\b\.?))?"
    };
}

pub(super) fn read_out(text: &str) -> String {
    let span = pattern!(concat!(r"\b", time!(), r" ?[-–—] ?", time!()));
    let text = rewrite(text, span, |found, around| {
        let group = |at| found.get(at).map(|group| group.as_str());
        let dated = group(4).or(group(8)).is_some() || (group(2).is_some() && group(6).is_some());
        if !dated || !around.is_whole_number() {
            return None;
        }
        let from = time(group(1)?, group(2), group(3), group(4))?;
        let to = time(group(5)?, group(6), group(7), group(8))?;
        Some(format!("{from} to {to}"))
    });
    let single = pattern!(concat!(r"\b", time!()));
    let text = rewrite(&text, single, |found, around| {
        let group = |at| found.get(at).map(|group| group.as_str());
        let glued = around.previous() == Some(':') || around.next() == Some(':');
        if glued || !around.is_whole_number() || (group(2).is_none() && group(4).is_none()) {
            return None;
        }
        time(group(1)?, group(2), group(3), group(4))
    });
    rewrite(&text, pattern!(r"\b(\d{1,4}):(\d{1,4})\b"), |found, around| {
        let alone = around.previous() != Some(':') && around.next() != Some(':') && around.is_whole_number();
        // A chapter and verse of a book.
        let book = around.previous_word();
        let verse = book.len() > 2 && book.starts_with(char::is_uppercase) && !opens_sentence(book);
        let between = if verse { " " } else { " to " };
        let (first, second) = (cardinal(&found[1]), cardinal(&found[2]));
        // A digit that follows is a range for the number rules, so this one stays in digits.
        alone.then(|| {
            if around.next() == Some('-') {
                format!("{first}{between}{}", &found[2])
            } else {
                format!("{first}{between}{second}")
            }
        })
    })
}

/// `None` where it is no time: 25:00, 13 pm, 9:75.
fn time(hour: &str, minute: Option<&str>, second: Option<&str>, half: Option<&str>) -> Option<String> {
    let number = |digits: &str| digits.parse::<usize>().ok();
    let (hours, minutes) = (number(hour)?, minute.map_or(Some(0), number)?);
    let latest = if half.is_some() { 12 } else { 23 };
    if hours > latest || minutes > 59 || (half.is_some() && hours == 0) {
        return None;
    }
    let seconds = match second.map(number) {
        Some(Some(0)) | None => String::new(),
        Some(Some(seconds @ 1..60)) => {
            format!(" and {} second{}", cardinal(&seconds.to_string()), if seconds == 1 { "" } else { "s" })
        }
        Some(_) => return None,
    };
    let minutes = match (minute, minutes) {
        (None, _) => String::new(),
        (_, 0) if half.is_some() => String::new(),
        (_, 0) if hours == 0 => return Some(format!("midnight{seconds}")),
        (_, 0) if hours <= 12 => " o'clock".to_owned(),
        (_, 0) => " hundred".to_owned(),
        (_, 1..10) => format!(" oh {}", cardinal(&minutes.to_string())),
        _ => format!(" {}", cardinal(&minutes.to_string())),
    };
    let half = half.map_or(String::new(), |half| format!(" {}.m.", half.to_ascii_lowercase()));
    Some(format!("{}{minutes}{seconds}{half}", cardinal(hour)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn times_of_day() {
        assert_spoken(&[
            ("3:30 pm", "three thirty p.m."),
            ("at 3:05 PM today", "at three oh five p.m. today"),
            ("14:05", "fourteen oh five"),
            ("9am", "nine a.m."),
            ("9 a.m. sharp", "nine a.m. sharp"),
            ("9pm.", "nine p.m."),
            ("9pm, then", "nine p.m., then"),
            ("at 9:00", "at nine o'clock"),
            ("9:00 am", "nine a.m."),
            ("18:00", "eighteen hundred"),
            ("00:00", "midnight"),
            ("00:30", "zero thirty"),
            ("12:30:15", "twelve thirty and fifteen seconds"),
            ("9am–5pm", "nine a.m. to five p.m."),
            ("9-11 am", "nine to eleven a.m."),
            ("9:30-10:15", "nine thirty to ten fifteen"),
            ("He left at 5 p.m. today.", "He left at five p.m. today."),
        ]);
    }

    #[test]
    fn ratios_are_not_times() {
        assert_spoken(&[
            ("Psalm 23:4, Genesis 1:1-3", "Psalm twenty-three four, Genesis one one to three"),
            ("a 2:1 win", "a two to one win"),
            ("16:9", "sixteen to nine"),
            ("25:75", "twenty-five to seventy-five"),
            ("I am 5 among many", "I am five among many"),
        ]);
    }
}
