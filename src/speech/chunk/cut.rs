//! A sentence that is longer than a model can take, cut where it hurts least: behind a clause mark, else between words,
//! else between graphemes; inside a tag or a grapheme only if that alone exceeds the cap.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Byte ranges that together cover `sentence`, none longer than `cap` code points. The pieces come out about equally long,
/// since a leftover of three words sounds worse than two halves.
pub(super) fn cut(sentence: &str, cap: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    loop {
        let rest = &sentence[start..];
        let length = rest.chars().count();
        if length <= cap {
            pieces.push(start..sentence.len());
            return pieces;
        }
        let end = start + best_break(rest, length, cap);
        pieces.push(start..end);
        // Whitespace at a seam belongs to neither piece and must not count for the next.
        start = end + (sentence[end..].len() - sentence[end..].trim_start().len());
    }
}

/// The byte offset at which to cut, more than 0 and at most `cap` characters in.
fn best_break(rest: &str, length: usize, cap: usize) -> usize {
    let ideal = length / length.div_ceil(cap);
    let mut best: Option<(u32, usize, usize)> = None;
    let mut fallback = 0;
    let mut position = 0;
    let mut tag_end = 0;
    let mut previous = ' ';
    for (offset, grapheme) in rest.grapheme_indices(true) {
        let first = grapheme.chars().next().unwrap_or(' ');
        if position > cap {
            break;
        }
        let inside_tag = offset < tag_end;
        if offset > 0 && !inside_tag {
            // A clause of a few letters is no clause to pause behind.
            let rank = if is_clause_mark(previous, first) && position * 4 >= cap {
                0
            } else if first.is_whitespace() || is_clause_mark(previous, first) {
                1
            } else {
                2
            };
            let distance = position.abs_diff(ideal);
            // Between letters only the last place counts: as few cut words as possible.
            let distance = if rank == 2 { cap - position } else { distance };
            if best.is_none_or(|(r, d, _)| (rank, distance) < (r, d)) {
                best = Some((rank, distance, offset));
            }
        }
        if first == '[' && !inside_tag {
            tag_end = offset + tag_length(&rest[offset..]);
        }
        if position <= cap {
            fallback = offset;
        }
        position += grapheme.chars().count();
        previous = grapheme.chars().next_back().unwrap_or(' ');
    }
    match best {
        Some((_, _, offset)) => offset,
        // One tag or one grapheme fills the cap.
        None if fallback > 0 && tag_end == 0 => fallback,
        None => rest.char_indices().nth(cap).map_or(rest.len(), |(offset, _)| offset),
    }
}

fn is_clause_mark(mark: char, next: char) -> bool {
    let western = matches!(mark, ',' | ';' | ':' | '—' | '–' | ')' | '"' | '”') && next.is_whitespace();
    let spaced_dash = next == '—';
    western || spaced_dash || matches!(mark, '、' | '，' | '；' | '：' | '—')
}

/// Bytes of the `[tag]` that the text begins with; 0 if it is none.
fn tag_length(text: &str) -> usize {
    const LONGEST: usize = 64;
    let end = text
        .char_indices()
        .take(LONGEST)
        .find(|(offset, c)| *c == ']' || (*offset > 0 && matches!(c, '[' | '\n')));
    end.filter(|(_, c)| *c == ']').map_or(0, |(offset, _)| offset + 1)
}
