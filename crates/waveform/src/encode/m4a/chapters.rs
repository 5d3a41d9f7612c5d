//! Chapters of an MP4, told twice, since players read one or the other: as a track of text that the sound's track names as its
//! chapters (QuickTime, and all that Apple makes), and as a list among the user data (Nero; `chpl`).

use super::boxes::{group, item, numbers};
use super::{MATRIX, media_information};

/// The track's number; the sound's is 1.
pub(super) const TRACK: u32 = 2;

/// What Nero's list counts in a byte, of chapters as well as of the bytes of a title.
const NERO_MOST: usize = 255;
/// Units of Nero's list in a second.
const NERO_RATE: u64 = 10_000_000;

/// Behind a title: it is UTF-8, which QuickTime does not take for granted.
const UTF8: [u32; 3] = [12, u32::from_be_bytes(*b"encd"), 0x100];

/// A chapter, which lasts until the next one.
#[derive(Debug)]
pub(super) struct Chapter {
    /// In samples of the sound.
    pub(super) at: u64,
    pub(super) title: String,
}

impl Chapter {
    /// As the track holds it among the media data.
    pub(super) fn text(&self) -> Vec<u8> {
        let title = cut(&self.title, usize::from(u16::MAX));
        [&(title.len() as u16).to_be_bytes()[..], title.as_bytes(), &numbers(&UTF8)].concat()
    }
}

/// The track of a sound of `length` samples at `rate` Hz; its texts lie one behind the other from `place` on.
pub(super) fn track(chapters: &[Chapter], rate: u32, length: u32, place: u32) -> Vec<u8> {
    // In the movie and not enabled, or players would show it over the picture.
    let head = numbers(&[0x0000_0002, 0, 0, TRACK, 0, length, 0, 0, 0, 0]);
    let head = [head, numbers(&MATRIX), numbers(&[0, 0])].concat();
    let media_head = numbers(&[0, 0, 0, rate, length, 0x55c4_0000]);
    let handler = [&numbers(&[0, 0]), &b"text"[..], &[0; 12], b"Chapters\0"].concat();
    let media = group(
        *b"mdia",
        &[
            item(*b"mdhd", &media_head),
            item(*b"hdlr", &handler),
            media_information(generic_head(), sample_table(chapters, length, place)),
        ],
    );
    group(*b"trak", &[item(*b"tkhd", &head), media])
}

/// Media that are neither sound nor picture: a mode and colours of no meaning here, and the text's own matrix.
fn generic_head() -> Vec<u8> {
    let information = numbers(&[0, 0x0040_8000, 0x8000_8000, 0]);
    let matrix = [&[0, 1][..], &numbers(&[0, 0, 0, 1, 0, 0, 0, 0x4000]), &[0, 0]].concat();
    group(*b"gmhd", &[item(*b"gmin", &information), item(*b"text", &matrix)])
}

fn sample_table(chapters: &[Chapter], length: u32, place: u32) -> Vec<u8> {
    let count = chapters.len() as u32;
    let ends = chapters.iter().skip(1).map(|next| next.at as u32).chain([length]);
    let lasts = chapters.iter().zip(ends).flat_map(|(chapter, end)| [1, end - chapter.at as u32]);
    let times = [0, count].into_iter().chain(lasts).collect::<Vec<_>>();
    let sizes = chapters.iter().map(|chapter| chapter.text().len() as u32);
    let sizes = [0, 0, count].into_iter().chain(sizes).collect::<Vec<_>>();
    // Reference 1; how the text would look on a picture, which is nothing to say here.
    let look = [&numbers(&[0, 1, 1])[..], &[0; 40]].concat();
    group(
        *b"stbl",
        &[
            item(*b"stsd", &[numbers(&[0, 1]), item(*b"text", &look)].concat()),
            item(*b"stts", &numbers(&times)),
            item(*b"stsc", &numbers(&[0, 1, 1, count, 1])),
            item(*b"stsz", &numbers(&sizes)),
            item(*b"stco", &numbers(&[0, 1, place])),
        ],
    )
}

/// Nero's list; what it cannot count is left out.
pub(super) fn list(chapters: &[Chapter], rate: u32) -> Vec<u8> {
    let told = &chapters[..chapters.len().min(NERO_MOST)];
    let mut contents = numbers(&[0x0100_0000, 0]);
    contents.push(told.len() as u8);
    for Chapter { at, title } in told {
        let title = cut(title, NERO_MOST);
        contents.extend((at * NERO_RATE / u64::from(rate)).to_be_bytes());
        contents.push(title.len() as u8);
        contents.extend(title.as_bytes());
    }
    item(*b"chpl", &contents)
}

/// The beginning that fits so many bytes, cut between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
