//! Paragraphs, lines and list items: which line breaks mean something.
//!
//! A blank line always ends a paragraph. A single line break is a boundary before a list item, behind a finished sentence,
//! and behind a short line; otherwise it is where a mail program or a PDF wrapped the line, and means a space.

use std::ops::Range;

/// Longer lines were wrapped; shorter ones were ended.
const SHORT_LINE: usize = 45;

/// Byte ranges of the paragraphs: what lies between blank lines.
pub(crate) fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut paragraphs = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for line in raw_lines(text) {
        let blank = text[line.clone()].trim().is_empty();
        match (&mut open, blank) {
            (Some(paragraph), false) => paragraph.end = line.end,
            (None, false) => open = Some(line.clone()),
            (_, true) => paragraphs.extend(open.take()),
        }
        if text[line.end..].starts_with('\u{2029}') {
            paragraphs.extend(open.take());
        }
    }
    paragraphs.extend(open);
    paragraphs
}

/// Byte ranges of the blocks of a paragraph: lines joined where the break between them was only a wrap.
pub(crate) fn blocks(paragraph: &str) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut previous = "";
    for line in raw_lines(paragraph) {
        let current = &paragraph[line.clone()];
        match blocks.last_mut() {
            Some(block) if !is_break(previous, current) => block.end = line.end,
            _ => blocks.push(line),
        }
        previous = current;
    }
    blocks
}

/// Whether the line break between two lines is a boundary.
pub(crate) fn is_break(line: &str, next: &str) -> bool {
    let (line, next) = (line.trim(), next.trim());
    let finished = line
        .trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '」', '』'])
        .ends_with(['.', '!', '?', ':', '…', '。', '！', '？']);
    let continues = line.ends_with([',', ';', '-', '—', '–']) || next.starts_with(char::is_lowercase);
    is_item(next) || finished || (line.chars().count() < SHORT_LINE && !continues)
}

/// Whether the line begins like an item of a list: `- `, `• `, `* `, `3. `, `3) `.
pub(crate) fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let behind_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - behind_number.len();
    let numbered = (1..=3).contains(&digits)
        && behind_number.strip_prefix(['.', ')']).is_some_and(|rest| rest.starts_with(char::is_whitespace));
    numbered || unmarked(line).len() < line.len()
}

/// The line without the bullet in front of it; numbers stay.
pub(crate) fn unmarked(line: &str) -> &str {
    let bare = line.trim_start();
    match bare.strip_prefix(['-', '*', '•', '‣', '▪', '◦', '·', '–', '—', '●', '○', '■']) {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => line,
    }
}

/// Byte ranges between line terminators of any platform.
fn raw_lines(text: &str) -> Vec<Range<usize>> {
    let is_terminator = |c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, terminator) in text.char_indices().filter(|(_, c)| is_terminator(*c)) {
        // The \n of \r\n ends an empty line that is none.
        if !(terminator == '\n' && text[..at].ends_with('\r')) {
            lines.push(start..at);
        }
        start = at + terminator.len_utf8();
    }
    lines.push(start..text.len());
    lines
}
