//! The boxes that MP4 is made of: a length, a name of four letters, contents.

pub(super) fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

pub(super) fn group(id: [u8; 4], items: &[Vec<u8>]) -> Vec<u8> {
    item(id, &items.concat())
}

pub(super) fn item(id: [u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], &id, content].concat()
}
