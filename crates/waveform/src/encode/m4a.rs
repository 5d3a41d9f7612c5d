//! AAC-LC in MP4: the frames first, then the table of contents (`moov`), then the one number in front that was not known.
//!
//! The edit list cuts the encoder's delay and padding off to the sample; Apple's older note of the same (`iTunSMPB`) stands
//! beside it for players that read only that. What grows with the sound is two bytes for each frame: 3 MB for ten hours.
//!
//! An audiobook (m4b) is the same with another name in front, a cover among its tags, and chapters ([`chapters`]).

mod boxes;
mod chapters;

use super::aac::{FRAME, Frames};
use super::{Book, Codec, EncodeError, Encoding, Patch, Tags};
use boxes::{group, item, numbers};
use chapters::Chapter;

/// Frames of a chunk, the unit in which players read.
const CHUNK: usize = 24;

#[derive(Debug)]
pub(super) struct M4a {
    frames: Frames,
    encoding: Encoding,
    samples: u64,
    /// Where `mdat` begins.
    data_at: u64,
    /// Bytes of each frame; one channel's never exceed 768.
    sizes: Vec<u16>,
    chapters: Vec<Chapter>,
}

/// Of `mdat`, with room for a length of 64 bits.
const DATA_HEAD: u64 = 16;

impl M4a {
    pub(super) fn new(encoding: &Encoding, out: &mut Vec<u8>) -> Self {
        let brand = if encoding.book.is_some() { b"M4B " } else { b"M4A " };
        out.extend(item(*b"ftyp", &[&brand[..], b"\0\0\0\0M4A mp42isom"].concat()));
        let data_at = out.len() as u64;
        // A length of 1 says that the true one follows.
        out.extend([0, 0, 0, 1]);
        out.extend(b"mdat");
        out.extend(DATA_HEAD.to_be_bytes());
        let frames = Frames::new(encoding);
        let (sizes, chapters) = (Vec::new(), Vec::new());
        Self { frames, encoding: encoding.clone(), samples: 0, data_at, sizes, chapters }
    }
}

impl Codec for M4a {
    fn write(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.samples += samples.len() as u64;
        let sizes = &mut self.sizes;
        self.frames.write(samples, &mut |frame| {
            sizes.push(frame.len() as u16);
            out.extend(frame);
        })
    }

    fn begin_chapter(&mut self, title: &str) {
        let at = if self.chapters.is_empty() { 0 } else { self.samples };
        self.chapters.push(Chapter { at, title: title.to_owned() });
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<Vec<Patch>, EncodeError> {
        let sizes = &mut self.sizes;
        self.frames.finish(&mut |frame| {
            sizes.push(frame.len() as u16);
            out.extend(frame);
        })?;
        let sound: u64 = self.sizes.iter().copied().map(u64::from).sum();
        let texts: Vec<u8> = self.chapters.iter().flat_map(Chapter::text).collect();
        let data = sound + texts.len() as u64;
        // Also all that the durations' 32 bits can count.
        let duration = self.sizes.len() as u64 * FRAME as u64;
        if u32::try_from((self.data_at + DATA_HEAD + data).max(duration)).is_err() {
            return Err(EncodeError::TooLong);
        }
        let first_frame = self.data_at + DATA_HEAD;
        let movie = Movie {
            encoding: &self.encoding,
            samples: self.samples as u32,
            sizes: &self.sizes,
            first_frame: first_frame as u32,
            chapters: &self.chapters,
            first_text: (first_frame + sound) as u32,
        };
        out.extend(texts);
        out.extend(movie.contents());
        let length = (DATA_HEAD + data).to_be_bytes().to_vec();
        Ok(vec![Patch { at: self.data_at + 8, bytes: length }])
    }
}

/// What `moov` is written from. Times are in samples.
struct Movie<'a> {
    encoding: &'a Encoding,
    samples: u32,
    sizes: &'a [u16],
    first_frame: u32,
    chapters: &'a [Chapter],
    first_text: u32,
}

/// The unity matrix of positions and sizes, which only pictures have.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

impl Movie<'_> {
    fn contents(&self) -> Vec<u8> {
        let Self { encoding, samples, chapters, .. } = *self;
        let rate = encoding.sample_rate;
        let next_track = if chapters.is_empty() { chapters::TRACK } else { chapters::TRACK + 1 };
        // Version and flags, made, changed, timescale, duration, speed, volume.
        let head = numbers(&[0, 0, 0, rate, samples, 0x1_0000, 0x0100_0000, 0, 0]);
        let head = [head, numbers(&MATRIX), numbers(&[0; 6]), numbers(&[next_track])].concat();
        let mut parts = vec![item(*b"mvhd", &head), self.track()];
        let mut user_data = vec![tag_list(encoding, &self.gapless())];
        if !chapters.is_empty() {
            parts.push(chapters::track(chapters, rate, samples, self.first_text));
            user_data.push(chapters::list(chapters, rate));
        }
        parts.push(group(*b"udta", &user_data));
        group(*b"moov", &parts)
    }

    fn track(&self) -> Vec<u8> {
        // Enabled and in the movie; made, changed, number 1, duration.
        let head = numbers(&[0x0000_0007, 0, 0, 1, 0, self.samples, 0, 0, 0, 0x0100_0000]);
        let head = [head, numbers(&MATRIX), numbers(&[0, 0])].concat();
        let edits = numbers(&[0, 1, self.samples, FRAME as u32, 0x1_0000]);
        let mut parts = vec![item(*b"tkhd", &head), group(*b"edts", &[item(*b"elst", &edits)])];
        if !self.chapters.is_empty() {
            parts.push(group(*b"tref", &[item(*b"chap", &numbers(&[chapters::TRACK]))]));
        }
        parts.push(self.media());
        group(*b"trak", &parts)
    }

    fn media(&self) -> Vec<u8> {
        let duration = (self.sizes.len() * FRAME) as u32;
        // Language "und" in three times five bits.
        let head = numbers(&[0, 0, 0, self.encoding.sample_rate, duration, 0x55c4_0000]);
        let handler = [&numbers(&[0, 0]), &b"soun"[..], &[0; 12], b"Sound\0"].concat();
        let information = media_information(item(*b"smhd", &numbers(&[0, 0])), self.sample_table());
        group(*b"mdia", &[item(*b"mdhd", &head), item(*b"hdlr", &handler), information])
    }

    fn sample_table(&self) -> Vec<u8> {
        let count = self.sizes.len();
        let mut sizes = numbers(&[0, 0, count as u32]);
        sizes.extend(self.sizes.iter().flat_map(|&size| u32::from(size).to_be_bytes()));
        let chunks = self.sizes.chunks(CHUNK);
        let mut places = numbers(&[0, chunks.len() as u32]);
        let mut at = self.first_frame;
        for chunk in chunks {
            places.extend(at.to_be_bytes());
            at += chunk.iter().copied().map(u32::from).sum::<u32>();
        }
        // From which chunk on, frames in each, description.
        let mut runs = Vec::new();
        let (whole, rest) = (count / CHUNK, count % CHUNK);
        if whole > 0 {
            runs.push([1, CHUNK as u32, 1]);
        }
        if rest > 0 {
            runs.push([whole as u32 + 1, rest as u32, 1]);
        }
        let runs = [numbers(&[0, runs.len() as u32]), numbers(&runs.concat())].concat();
        group(
            *b"stbl",
            &[
                item(*b"stsd", &[numbers(&[0, 1]), self.description()].concat()),
                item(*b"stts", &numbers(&[0, 1, count as u32, FRAME as u32])),
                item(*b"stsc", &runs),
                item(*b"stsz", &sizes),
                item(*b"stco", &places),
            ],
        )
    }

    /// `mp4a` with the decoder's configuration in an `esds`, whose lengths fit one byte each.
    fn description(&self) -> Vec<u8> {
        let rate = self.encoding.sample_rate;
        let bits = self.encoding.bit_rate_kbps() * 1_000;
        let config = rusty_aac::audio_specific_config_bytes(rate, 1);
        let config = [&[5, config.len() as u8][..], &config].concat();
        // MPEG-4 audio, an audio stream, the buffer of one channel in bytes.
        let decoder = [&[0x40, 0x15, 0, 3, 0][..], &numbers(&[bits, bits]), &config].concat();
        let decoder = [&[4, decoder.len() as u8][..], &decoder].concat();
        // Stream number 0, no flags; the synchronisation of MP4.
        let stream = [&[0, 0, 0][..], &decoder, &[6, 1, 2]].concat();
        let stream = [&[0, 0, 0, 0, 3, stream.len() as u8][..], &stream].concat();
        // Reference 1; one channel of 16 bits; the rate in 16.16.
        let sound = numbers(&[0, 1, 0, 0, 0x0001_0010, 0, rate << 16]);
        item(*b"mp4a", &[sound, item(*b"esds", &stream)].concat())
    }

    /// Delay, padding and length as Apple's encoder notes them.
    fn gapless(&self) -> String {
        let padding = (self.sizes.len() * FRAME) as u64 - FRAME as u64 - u64::from(self.samples);
        let tail = " 00000000".repeat(8);
        format!(" 00000000 {FRAME:08X} {padding:08X} {:016X}{tail}", self.samples)
    }
}

/// What is said of a medium besides its head, whose data are in this very file.
fn media_information(head: Vec<u8>, sample_table: Vec<u8>) -> Vec<u8> {
    let references = [numbers(&[0, 1]), item(*b"url ", &numbers(&[1]))].concat();
    group(*b"minf", &[head, group(*b"dinf", &[item(*b"dref", &references)]), sample_table])
}

/// iTunes' list of tags.
fn tag_list(Encoding { tags, book, .. }: &Encoding, gapless: &str) -> Vec<u8> {
    let names = [(*b"\xa9nam", &tags.title), (*b"\xa9ART", &tags.artist), (*b"\xa9too", &tags.software)];
    let named =
        names.into_iter().filter(|(_, text)| !text.is_empty()).map(|(id, text)| group(id, &[value(text)]));
    let free = |(name, text): (&str, &str)| {
        let field = |id, text: &str| item(id, &[&numbers(&[0]), text.as_bytes()].concat());
        group(*b"----", &[field(*b"mean", "com.apple.iTunes"), field(*b"name", name), value(text)])
    };
    let details = tags.details.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let bound = book.iter().flat_map(|book| binding(book, tags));
    let list: Vec<_> = named.chain(bound).chain(details.chain([("iTunSMPB", gapless)]).map(free)).collect();
    let handler = [&numbers(&[0, 0]), &b"mdirappl"[..], &[0; 9]].concat();
    let meta = [numbers(&[0]), item(*b"hdlr", &handler), group(*b"ilst", &list)].concat();
    item(*b"meta", &meta)
}

/// What tells a shelf that this is a book: its name as that of an album, its kind, its cover.
fn binding(book: &Book, tags: &Tags) -> Vec<Vec<u8>> {
    // Kinds of values: 21 is a whole number, 14 a PNG. A medium of kind 2 is an audiobook.
    let mut parts = vec![group(*b"stik", &[item(*b"data", &[&numbers(&[21, 0])[..], &[2]].concat())])];
    if !tags.title.is_empty() {
        parts.push(group(*b"\xa9alb", &[value(&tags.title)]));
    }
    if !book.cover.is_empty() {
        parts.push(group(*b"covr", &[item(*b"data", &[&numbers(&[14, 0]), &book.cover[..]].concat())]));
    }
    parts
}

/// Text in UTF-8 (kind 1), of no country.
fn value(text: &str) -> Vec<u8> {
    item(*b"data", &[&numbers(&[1, 0]), text.as_bytes()].concat())
}
