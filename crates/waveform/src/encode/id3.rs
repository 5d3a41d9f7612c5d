//! ID3v2.3 in front of mp3 and ADTS: the version that every player reads. UTF-16, its only encoding for all scripts.

use super::Tags;

/// The whole tag; nothing where there is nothing to say.
pub(super) fn tag(tags: &Tags) -> Vec<u8> {
    let mut frames = Vec::new();
    for (id, text) in [(*b"TIT2", &tags.title), (*b"TPE1", &tags.artist), (*b"TSSE", &tags.software)] {
        if !text.is_empty() {
            frame(id, utf16(text), &mut frames);
        }
    }
    for (name, value) in &tags.details {
        let mut content = utf16(name);
        content.extend([0, 0]);
        content.extend(utf16(value));
        frame(*b"TXXX", content, &mut frames);
    }
    if frames.is_empty() {
        return frames;
    }
    // Seven bits a byte, so that no size looks like the start of an mp3 frame.
    let size = frames.len() as u32;
    let size = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
    [&b"ID3\x03\0\0"[..], &size, &frames].concat()
}

fn frame(id: [u8; 4], text: Vec<u8>, frames: &mut Vec<u8>) {
    frames.extend(id);
    frames.extend((text.len() as u32 + 1).to_be_bytes());
    // No flags; encoding 1 is UTF-16 with a byte order mark.
    frames.extend([0, 0, 1]);
    frames.extend(text);
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}
