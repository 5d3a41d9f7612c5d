//! Dates. `5/3/2024` is read the US way, May third, unless the first number cannot be a month.

use super::rewrite::{Around, pattern, rewrite};
use super::words::{ordinal, year};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

macro_rules! month {
    () => {
        r"(January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\.?"
    };
}

pub(super) fn read_out(text: &str) -> String {
    let text = rewrite(
        text,
        pattern!(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?Z?\b)?"),
        |found, around| {
            let time = found.get(4).map_or(String::new(), |time| format!(", {}", time.as_str()));
            whole(around)
                .then(|| date(&found[2], &found[3], Some(&found[1])).map(|date| date + &time))
                .flatten()
        },
    );
    let text = rewrite(&text, pattern!(r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b"), |found, around| {
        let us = date(&found[1], &found[2], Some(&found[3]));
        whole(around).then(|| us.or_else(|| date(&found[2], &found[1], Some(&found[3])))).flatten()
    });
    // With dots the day comes first everywhere.
    let text = rewrite(&text, pattern!(r"\b(\d{1,2})\.(\d{1,2})\.(\d{4})\b"), |found, around| {
        whole(around).then(|| date(&found[2], &found[1], Some(&found[3]))).flatten()
    });
    let text = month_then_day(&text);
    let text = day_then_month(&text);
    let text = rewrite(&text, pattern!(concat!(r"\b", month!(), r",? (\d{4})\b")), |found, around| {
        let number: usize = found[2].parse().ok()?;
        (whole(around) && (1000..3000).contains(&number))
            .then(|| format!("{} {}", month_name(&found[1]), year(number)))
    });
    abbreviated_alone(&text)
}

fn month_then_day(text: &str) -> String {
    let pattern = pattern!(concat!(
        r"\b",
        month!(),
        r" (\d{1,2})(?:st|nd|rd|th)?(?: ?[-–—] ?(\d{1,2})(?:st|nd|rd|th)?)?(?:,? (\d{4}))?\b"
    ));
    rewrite(text, pattern, |found, around| {
        let day = valid_day(&found[2])?;
        let until = found
            .get(3)
            .map(|until| valid_day(until.as_str()))
            .map_or(Some(String::new()), |day| day.map(|day| format!(" to {day}")))?;
        if !whole(around) || around.after.starts_with([':', '%', '°']) {
            return None;
        }
        let year = found.get(4).map_or(Some(String::new()), |year| spoken_year(year.as_str()))?;
        Some(format!("{} {day}{until}{year}", month_name(&found[1])))
    })
}

fn day_then_month(text: &str) -> String {
    let pattern = pattern!(concat!(
        r"\b(?:(\d{1,2})(?:st|nd|rd|th)? ?[-–—] ?)?(\d{1,2})(?:st|nd|rd|th)?(?: of)? ",
        month!(),
        r"(?:,? (\d{4})\b)?"
    ));
    rewrite(text, pattern, |found, around| {
        let day = valid_day(&found[2])?;
        if !whole(around) {
            return None;
        }
        let article = if around.previous_word().eq_ignore_ascii_case("the") { "" } else { "the " };
        let from = found
            .get(1)
            .map(|from| valid_day(from.as_str()))
            .map_or(Some(String::new()), |day| day.map(|day| format!("{day} to the ")))?;
        let year = found.get(4).map_or(Some(String::new()), |year| spoken_year(year.as_str()))?;
        // "5 Dec. The …": the period of the abbreviation was the sentence's as well.
        let stop = if found[0].ends_with('.') && around.sentence_ends() { "." } else { "" };
        Some(format!("{article}{from}{day} of {}{year}{stop}", month_name(&found[3])))
    })
}

/// "in Jan." and "Mon., "; without a neighbour that speaks of dates, `Mar.` and `Sat.` may be anything.
fn abbreviated_alone(text: &str) -> String {
    let text = rewrite(text, pattern!(r"\b(Jan|Feb|Mar|Apr|Aug|Sept|Sep|Oct|Nov|Dec)\."), |found, around| {
        let dated = matches!(
            around.previous_word().to_ascii_lowercase().as_str(),
            "in" | "of"
                | "by"
                | "since"
                | "until"
                | "from"
                | "to"
                | "last"
                | "next"
                | "this"
                | "every"
                | "late"
                | "early"
        );
        let stop = if around.sentence_ends() { "." } else { "" };
        dated.then(|| format!("{}{stop}", month_name(&found[1])))
    });
    rewrite(&text, pattern!(r"\b(Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun)\."), |found, around| {
        let day = match &found[1] {
            "Mon" => "Monday",
            "Tue" | "Tues" => "Tuesday",
            "Wed" => "Wednesday",
            "Thu" | "Thur" | "Thurs" => "Thursday",
            "Fri" => "Friday",
            "Sat" => "Saturday",
            _ => "Sunday",
        };
        let dated = around.after.starts_with(',')
            || MONTHS.contains(&around.next_word())
            || around.previous_word() == "on";
        let stop = if around.sentence_ends() && !MONTHS.contains(&around.next_word()) { "." } else { "" };
        dated.then(|| format!("{day}{stop}"))
    })
}

/// Not a part of something longer: a path, a version, a telephone number.
fn whole(around: Around<'_>) -> bool {
    let glued = |c: char| c.is_alphanumeric() || "/-–".contains(c);
    around.is_whole_number() && !around.previous().is_some_and(glued) && !around.next().is_some_and(glued)
}

fn date(month: &str, day: &str, year: Option<&str>) -> Option<String> {
    let month: usize = month.parse().ok()?;
    let name = MONTHS.get(month.checked_sub(1)?)?;
    let year = year.map_or(Some(String::new()), spoken_year)?;
    Some(format!("{name} {}{year}", valid_day(day)?))
}

fn valid_day(written: &str) -> Option<String> {
    let day: usize = written.parse().ok()?;
    (1..=31).contains(&day).then(|| ordinal(written))
}

/// With the comma in front. Two digits mean this century up to 49, the last from 50 on.
fn spoken_year(written: &str) -> Option<String> {
    let number: usize = written.parse().ok()?;
    let full = match (written.len(), number) {
        (2, 0..50) => 2000 + number,
        (2, _) => 1900 + number,
        _ => number,
    };
    (1000..3000).contains(&full).then(|| format!(", {}", year(full)))
}

fn month_name(written: &str) -> &'static str {
    MONTHS.into_iter().find(|name| name[..3] == written[..3]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn dates_in_every_common_form() {
        assert_spoken(&[
            ("2024-03-05", "March fifth, twenty twenty-four"),
            ("2024-03-05T14:05:00Z", "March fifth, twenty twenty-four, fourteen oh five"),
            ("on 5/3/2024", "on May third, twenty twenty-four"),
            ("on 25/3/2024", "on March twenty-fifth, twenty twenty-four"),
            ("12/31/99", "December thirty-first, nineteen ninety-nine"),
            ("05.03.2024", "March fifth, twenty twenty-four"),
            ("March 5, 2024", "March fifth, twenty twenty-four"),
            ("March 5th", "March fifth"),
            ("Sept. 11, 2001", "September eleventh, two thousand one"),
            ("Mar. 5", "March fifth"),
            ("July 3–5", "July third to fifth"),
            ("5 March", "the fifth of March"),
            ("the 5th of March 1905", "the fifth of March, nineteen oh five"),
            ("3-5 July", "the third to the fifth of July"),
            ("March 2024", "March twenty twenty-four"),
            ("since Jan. we wait", "since January we wait"),
            ("Mon., March 4", "Monday, March fourth"),
        ]);
    }

    #[test]
    fn what_is_no_date_is_left_to_the_numbers() {
        assert_spoken(&[
            ("May 45", "May forty-five"),
            ("13/13/2024", "thirteen slash thirteen slash twenty twenty-four"),
            ("I march 5 miles", "I march five miles"),
            ("The cat Sat. He saw", "The cat Sat. He saw"),
        ]);
    }
}
