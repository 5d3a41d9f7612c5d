//! Numbers within their ranges.

use std::ops::RangeInclusive;

use super::DraftError;

pub(super) fn number(
    field: &'static str,
    value: Option<f64>,
    range: RangeInclusive<f64>,
) -> Result<Option<f32>, DraftError> {
    match value {
        Some(value) if !range.contains(&value) => Err(DraftError::field(
            field,
            format!("a number from {} to {}", range.start(), range.end()),
            value,
        )),
        value => Ok(value.map(|value| value as f32)),
    }
}

pub(super) fn whole(
    field: &'static str,
    value: Option<i64>,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, DraftError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let mut expected = format!("a whole number from {} to {}", range.start(), range.end());
            if field == "seed" {
                expected.push_str(" (0 and -1 draw one at random)");
            }
            Err(DraftError::field(field, expected, value))
        }
        value => Ok(value),
    }
}

pub(super) fn size(
    field: &'static str,
    value: Option<i64>,
    range: RangeInclusive<usize>,
) -> Result<Option<usize>, DraftError> {
    let range = *range.start() as i64..=*range.end() as i64;
    Ok(whole(field, value, range)?.map(|value| value as usize))
}
