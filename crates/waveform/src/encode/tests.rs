//! Every format is decoded again by a decoder that shares nothing with its encoder, and measured.

use std::io::Cursor;

use proptest::prelude::*;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::*;
use crate::decode;
use crate::resample::Resampler;
use crate::test_signals::{noise, sine, vowel};

fn encode_as(samples: &[f32], encoding: &Encoding, piece: usize) -> Vec<u8> {
    let mut encoder = FileEncoder::new(Cursor::new(Vec::new()), encoding).unwrap();
    for part in samples.chunks(piece.max(1)) {
        encoder.write(part).unwrap();
    }
    assert_eq!(encoder.frames(), samples.len() as u64);
    encoder.finish().unwrap().into_inner()
}

fn encode(samples: &[f32], format: Format, piece: usize) -> Vec<u8> {
    encode_as(samples, &Encoding::new(format, 24_000), piece)
}

fn stream(samples: &[f32], encoding: &Encoding, piece: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(encoding, Target::Stream, &mut bytes).unwrap();
    for part in samples.chunks(piece.max(1)) {
        encoder.write(part, &mut bytes).unwrap();
    }
    encoder.finish(&mut bytes).unwrap();
    bytes
}

fn tags() -> Tags {
    Tags {
        title: "Grüße, 世界".to_owned(),
        artist: "slt".to_owned(),
        software: "declaim".to_owned(),
        details: vec![("model".to_owned(), "pico".to_owned()), ("seed".to_owned(), "7".to_owned())],
    }
}

/// Something like speech: syllables with rests over a breath of noise, silence at both ends.
fn speech(rate: u32, length: usize) -> Vec<f32> {
    let mut sound = vowel(120.0, rate, length);
    let syllable = rate as usize / 6;
    for (n, (sample, noise)) in sound.iter_mut().zip(noise(length, 0.003)).enumerate() {
        let swell = (std::f32::consts::PI * (n % syllable) as f32 / syllable as f32).sin();
        *sample = *sample * swell + noise;
    }
    let edge = (rate as usize / 5).min(length / 4);
    sound[..edge].fill(0.0);
    sound[length - edge..].fill(0.0);
    sound
}

/// How far the noise that coding added lies below the sound, in decibels.
fn signal_to_noise(original: &[f32], decoded: &[f32]) -> f64 {
    let power = |sum: f64, value: f32| sum + f64::from(value).powi(2);
    let signal = original.iter().copied().fold(0.0, power);
    let noise = original.iter().zip(decoded).map(|(a, b)| a - b).fold(0.0, power);
    10.0 * (signal / noise).log10()
}

/// At the rate it was encoded from: Opus always decodes to 48 kHz.
fn decoded(file: &[u8], rate: u32) -> Vec<f32> {
    let sound = decode::read_from(Cursor::new(file), &decode::Limits::default()).unwrap();
    let mut resampler = Resampler::new(sound.sample_rate, rate);
    let mut samples = Vec::new();
    resampler.process(&sound.samples, &mut samples);
    resampler.finish(&mut samples);
    samples
}

/// What an MP4's edit list says of the sound: where it begins among the decoded samples, and its length.
fn edit(file: &[u8]) -> (usize, usize) {
    let at = file.windows(4).position(|id| id == b"elst").unwrap();
    let number =
        |index: usize| u32::from_be_bytes(file[at + 4 * index..at + 4 * index + 4].try_into().unwrap());
    assert_eq!((number(1), number(2), number(5)), (0, 1, 0x1_0000), "one edit at normal speed");
    (number(4) as usize, number(3) as usize)
}

/// Symphonia leaves the edit list to its callers; ffmpeg, in scripts/check-formats, follows it.
fn decoded_exactly(file: &[u8], format: Format, rate: u32) -> Vec<f32> {
    let samples = decoded(file, rate);
    if format != Format::M4a {
        return samples;
    }
    let (start, length) = edit(file);
    samples[start..start + length].to_vec()
}

const COVER: &[u8] = include_bytes!("../../tests/clips/picture.png");

/// Chapters as they begin and what they are called; the last one has a title that is longer than a list takes.
fn chapters() -> [(usize, String); 3] {
    let long = "世界".repeat(60);
    [(0, "Grüße".to_owned()), (30_001, "The 2nd: \"Tides\" & more".to_owned()), (70_000, long)]
}

/// A book of 100 003 samples.
fn book() -> Vec<u8> {
    let sound = speech(24_000, 100_003);
    let cover = COVER.to_vec();
    let encoding =
        Encoding { tags: tags(), book: Some(Book { cover }), ..Encoding::new(Format::M4a, 24_000) };
    let mut encoder = FileEncoder::new(Cursor::new(Vec::new()), &encoding).unwrap();
    let ends = chapters().map(|(start, _)| start).into_iter().skip(1).chain([sound.len()]);
    for ((start, title), end) in chapters().into_iter().zip(ends) {
        encoder.begin_chapter(&title);
        sound[start..end].chunks(999).for_each(|part| encoder.write(part).unwrap());
    }
    encoder.finish().unwrap().into_inner()
}

/// Writes one sound in all formats, for scripts/check-formats, which has other programs look at them.
#[test]
#[ignore = "writes files for other programs"]
fn files_for_other_programs() {
    let folder = std::env::var("DECLAIM_ENCODE_TO").unwrap();
    for (length, name) in [(100_003, "long"), (4_096 + 3, "short"), (1, "one")] {
        let samples = if length > 1 { speech(24_000, length) } else { vec![0.5] };
        for format in Format::ALL {
            let encoding = Encoding { tags: tags(), ..Encoding::new(format, 24_000) };
            std::fs::write(format!("{folder}/{name}.{format}"), encode_as(&samples, &encoding, 999)).unwrap();
            if format.can_stream() {
                let bytes = stream(&samples, &encoding, 999);
                std::fs::write(format!("{folder}/{name}-stream.{format}"), bytes).unwrap();
            }
        }
    }
}

/// Writes a book, and as JSON what its chapters are.
#[test]
#[ignore = "writes files for other programs"]
fn files_for_other_programs_a_book() {
    let folder = std::env::var("DECLAIM_ENCODE_TO").unwrap();
    std::fs::write(format!("{folder}/book.m4b"), book()).unwrap();
    let told = chapters().map(|(start, title)| format!("[{start}, {title:?}]")).join(", ");
    std::fs::write(format!("{folder}/book.json"), format!("[{told}]")).unwrap();
}

/// For wav the 44-byte head read by hand, for flac symphonia, which also checks the checksums.
fn decode_exactly(file: &[u8], format: Format) -> Vec<i16> {
    match format {
        Format::Pcm => file.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
        Format::Wav => {
            let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            assert_eq!(
                (&file[..4], &file[8..16], &file[36..40]),
                (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
            );
            assert_eq!(number(4) as usize, file.len() - 8);
            assert_eq!((number(16), number(20)), (16, 0x0001_0001), "PCM, one channel");
            assert_eq!((number(24), number(28), number(32)), (24_000, 48_000, 0x0010_0002));
            assert_eq!(number(40) as usize, file.len() - 44);
            decode_exactly(&file[44..], Format::Pcm)
        }
        _ => {
            let source = MediaSourceStream::new(
                Box::new(Cursor::new(file.to_vec())),
                MediaSourceStreamOptions::default(),
            );
            let (probe, codecs) = (symphonia::default::get_probe(), symphonia::default::get_codecs());
            let mut reader = probe
                .probe(&Hint::default(), source, FormatOptions::default(), MetadataOptions::default())
                .unwrap();
            let track = reader.default_track(TrackType::Audio).unwrap();
            let frames = track.num_frames;
            let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
            assert_eq!((parameters.sample_rate, parameters.bits_per_sample), (Some(24_000), Some(16)));
            let options = AudioDecoderOptions::default().verify(true);
            let mut decoder = codecs.make_audio_decoder(parameters, &options).unwrap();
            let mut samples = Vec::new();
            while let Some(packet) = reader.next_packet().unwrap() {
                let block = decoder.decode(&packet).unwrap();
                assert_eq!(block.samples_planar(), block.frames(), "one channel");
                let start = samples.len();
                samples.resize(start + block.frames(), 0i16);
                block.copy_to_slice_interleaved(&mut samples[start..]);
            }
            assert_eq!(frames, Some(samples.len() as u64));
            assert_eq!(decoder.finalize().verify_ok, Some(true), "the MD5 of all samples");
            samples
        }
    }
}

fn expected(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|&s| (f64::from(s.clamp(-1.0, 1.0)) * 32_767.0).round() as i16).collect()
}

#[test]
fn sixteen_bits_come_back_exactly() {
    let mut samples = sine(440.0, 24_000, 30_000, 0.9);
    samples.extend(noise(10_000, 1.0));
    samples.extend(vec![0.0; 9_000]);
    for format in [Format::Wav, Format::Flac, Format::Pcm] {
        // assert!, not assert_eq!: nobody reads 49,000 numbers.
        assert!(decode_exactly(&encode(&samples, format, 1_777), format) == expected(&samples), "{format}");
    }
}

#[test]
fn rounding_is_to_nearest_and_loud_samples_are_clipped() {
    let samples =
        [0.6 / 32_767.0, -0.6 / 32_767.0, 0.4 / 32_767.0, 1.0, -1.0, 1.7, -9.0, f32::NAN, f32::INFINITY];
    let decoded = decode_exactly(&encode(&samples, Format::Wav, 4), Format::Wav);
    assert_eq!(decoded, [1, -1, 0, 32_767, -32_767, 32_767, -32_768, 0, 32_767]);
}

#[test]
fn flac_is_smaller_than_wav_for_speech_like_sound() {
    let samples = vowel(120.0, 24_000, 48_000);
    let (flac, wav) = (encode(&samples, Format::Flac, 4_096), encode(&samples, Format::Wav, 4_096));
    assert!(flac.len() * 10 < wav.len() * 7, "{} of {}", flac.len(), wav.len());
}

/// The bounds are what was measured less 2 dB, rounded down.
#[test]
fn compressed_sound_comes_back_at_its_place_with_its_length_and_little_noise() {
    let table = [
        (Format::Mp3, 24_000, 32, 30.0),
        (Format::Mp3, 24_000, 64, 37.0),
        (Format::Mp3, 24_000, 96, 44.0),
        (Format::Mp3, 24_000, 160, 56.0),
        (Format::Mp3, 16_000, 64, 42.0),
        (Format::Mp3, 8_000, 32, 36.0),
        (Format::Mp3, 44_100, 64, 33.0),
        (Format::Mp3, 44_100, 128, 39.0),
        (Format::Mp3, 44_100, 320, 60.0),
        (Format::Mp3, 48_000, 128, 39.0),
        (Format::Opus, 24_000, 24, 13.0),
        (Format::Opus, 24_000, 48, 24.0),
        (Format::Opus, 24_000, 96, 33.0),
        (Format::Opus, 48_000, 48, 23.0),
        (Format::Opus, 48_000, 128, 32.0),
        (Format::Opus, 8_000, 24, 19.0),
        (Format::M4a, 24_000, 48, 6.0),
        (Format::M4a, 24_000, 96, 19.0),
        (Format::M4a, 24_000, 144, 28.0),
        (Format::M4a, 44_100, 64, 5.0),
        (Format::M4a, 44_100, 128, 13.0),
        (Format::M4a, 8_000, 32, 21.0),
    ];
    for (format, rate, kbps, bound) in table {
        let sound = speech(rate, rate as usize * 3 + 517);
        let encoding = Encoding { bit_rate_kbps: Some(kbps), ..Encoding::new(format, rate) };
        let file = encode_as(&sound, &encoding, 1_333);
        let samples = decoded_exactly(&file, format, rate);
        let measured = file.len() as f64 * 8.0 * f64::from(rate) / sound.len() as f64 / 1_000.0;
        let ratio = signal_to_noise(&sound, &samples);
        println!("{format} {rate} Hz {kbps} kbit/s: {measured:.0} kbit/s, {ratio:.1} dB");
        assert_eq!(samples.len(), sound.len(), "{format} {rate} {kbps}");
        assert!(ratio > bound, "{format} {rate} {kbps}: {ratio}");
        assert!(measured < 1.15 * f64::from(kbps) + 4.0, "{format} {rate} {kbps}: {measured}");
    }
}

#[test]
fn adts_comes_late_by_its_one_frame_of_delay_which_the_format_cannot_tell() {
    let sound = speech(24_000, 40_000);
    let samples = decoded(&encode(&sound, Format::Aac, 999), 24_000);
    assert_eq!(samples.len(), (40_000usize.div_ceil(1_024) + 1) * 1_024);
    assert!(signal_to_noise(&sound, &samples[1_024..]) > 10.0);
}

#[test]
fn every_length_keeps_its_length() {
    for format in [Format::Mp3, Format::Opus, Format::M4a] {
        for length in [1, 2, 94, 95, 479, 575, 576, 577, 1_023, 1_024, 1_025, 2_048, 4_321, 24_000] {
            let sound = sine(440.0, 24_000, length, 0.5);
            let samples = decoded_exactly(&encode(&sound, format, 333), format, 24_000);
            assert_eq!(samples.len(), length, "{format}");
        }
    }
}

#[test]
fn silence_stays_silent_at_both_ends() {
    let sound = speech(24_000, 60_000);
    for format in [Format::Mp3, Format::Opus, Format::M4a] {
        let samples = decoded_exactly(&encode(&sound, format, 5_000), format, 24_000);
        // 4,800 samples at either end are silent; a transform's window reaches 1,024 around the sound.
        let loudest = |part: &[f32]| crate::levels::to_decibels(crate::levels::peak(part));
        let (head, tail) = (loudest(&samples[..3_700]), loudest(&samples[60_000 - 3_700..]));
        assert!(head < -60.0 && tail < -60.0, "{format}: {head} {tail}");
    }
}

#[test]
fn a_stream_is_what_its_file_is_without_the_patches() {
    let sound = speech(24_000, 50_001);
    for format in Format::ALL.into_iter().filter(|format| format.can_stream()) {
        let encoding = Encoding::new(format, 24_000);
        let bytes = stream(&sound, &encoding, 700);
        if format == Format::Pcm {
            assert!(decode_exactly(&bytes, format) == expected(&sound));
            continue;
        }
        let samples = match format {
            // Its head claims 4 GB, as every wav that streams; the reader of uploads calls that broken off.
            Format::Wav => {
                let samples = decode_exactly(&bytes[44..], Format::Pcm);
                samples.iter().map(|&sample| f32::from(sample) / 32_767.0).collect()
            }
            _ => decoded(&bytes, 24_000),
        };
        let late = match format {
            Format::Aac => 1_024,
            // 528 and the 529 of every decoder.
            Format::Mp3 => 1_057,
            _ => 0,
        };
        let ratio = signal_to_noise(&sound, &samples[late..]);
        println!("{format} {ratio}");
        assert!(samples.len() - late >= sound.len() && ratio > 12.0, "{format} {ratio}");
    }
}

#[test]
fn bytes_come_while_samples_go_in_and_memory_stays_bounded() {
    for format in Format::ALL.into_iter().filter(|format| format.can_stream()) {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&Encoding::new(format, 24_000), Target::Stream, &mut bytes).unwrap();
        // AAC waits for a piece, the others for a third of a second at most.
        let wait = if format == Format::Aac { 150 * 1_024 } else { 8_000 };
        let second = speech(24_000, 24_000);
        let (mut sent, mut silent_for) = (0, 0);
        for part in second.chunks(480).cycle().take(600) {
            let before = bytes.len();
            encoder.write(part, &mut bytes).unwrap();
            sent += part.len();
            silent_for = if bytes.len() > before { 0 } else { silent_for + part.len() };
            assert!(silent_for <= wait, "{format} after {sent}");
        }
    }
}

#[test]
fn what_a_format_cannot_do_is_refused_at_the_door() {
    let open = |format, rate, kbps, target| {
        let encoding = Encoding { bit_rate_kbps: kbps, ..Encoding::new(format, rate) };
        Encoder::new(&encoding, target, &mut Vec::new()).map(|_| ()).map_err(|error| error.to_string())
    };
    for (format, rate, kbps, target, message) in [
        (Format::Opus, 44_100, None, Target::File, "opus has no sample rate of 44100 Hz"),
        (Format::Mp3, 24_000, Some(320), Target::File, "mp3 at 24000 Hz has no bit rate of 320 kbit/s"),
        (Format::M4a, 24_000, None, Target::Stream, "m4a cannot be sent while it is made"),
        (Format::Wav, 96_000, None, Target::File, "wav has no sample rate of 96000 Hz"),
    ] {
        assert!(open(format, rate, kbps, target).unwrap_err().starts_with(message));
    }
    assert!(open(Format::Wav, 24_000, Some(7), Target::File).is_ok(), "it has no bit rate to be wrong");
}

#[test]
fn tags_are_read_back() {
    use symphonia::core::meta::StandardTag;
    let sound = speech(24_000, 24_000);
    let plain = [Format::Flac, Format::Mp3, Format::Opus, Format::M4a, Format::Aac].map(|format| {
        (format.name(), encode_as(&sound, &Encoding { tags: tags(), ..Encoding::new(format, 24_000) }, 999))
    });
    for (format, file) in plain.into_iter().chain([("m4b", book())]) {
        let source = MediaSourceStream::new(Box::new(Cursor::new(file)), MediaSourceStreamOptions::default());
        let mut reader = symphonia::default::get_probe()
            .probe(&Hint::default(), source, FormatOptions::default(), MetadataOptions::default())
            .unwrap();
        let (mut found, mut pictures) = (Vec::new(), Vec::new());
        while let Some(packet) = reader.next_packet().transpose() {
            packet.unwrap();
        }
        let mut log = reader.metadata();
        loop {
            if let Some(revision) = log.current() {
                found.extend(revision.media.tags.iter().cloned());
                pictures.extend(revision.media.visuals.iter().map(|picture| picture.data.to_vec()));
            }
            if log.pop().is_none() {
                break;
            }
        }
        let title = found.iter().find_map(|tag| match &tag.std {
            Some(StandardTag::TrackTitle(title)) => Some(title.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(title.as_deref(), Some("Grüße, 世界"), "{format}: {found:?}");
        let all = format!("{found:?}");
        for value in ["slt", "pico", "declaim"] {
            assert!(all.contains(value), "{format} {value}: {all}");
        }
        assert_eq!(pictures == [COVER], format == "m4b", "{format}");
    }
}

/// Symphonia stops at the samples; ffmpeg, in scripts/check-formats, goes on.
#[test]
fn a_wav_files_tags_follow_its_samples() {
    let file = encode_as(&[0.5; 3], &Encoding { tags: tags(), ..Encoding::new(Format::Wav, 24_000) }, 9);
    let list = &file[44 + 6..];
    let length = u32::from_le_bytes(list[4..8].try_into().unwrap()) as usize;
    assert_eq!((&list[..4], &list[8..12], length), (&b"LIST"[..], &b"INFO"[..], list.len() - 8));
    let (mut fields, mut at) = (Vec::new(), 12);
    while at < list.len() {
        let length = u32::from_le_bytes(list[at + 4..at + 8].try_into().unwrap()) as usize;
        let text = std::str::from_utf8(&list[at + 8..at + 8 + length - 1]).unwrap();
        fields.push((std::str::from_utf8(&list[at..at + 4]).unwrap(), text));
        at += 8 + length + length % 2;
    }
    let expected =
        [("INAM", "Grüße, 世界"), ("IART", "slt"), ("ICMT", "model: pico, seed: 7"), ("ISFT", "declaim")];
    assert_eq!(fields, expected);
}

/// The contents of the boxes at this path of an MP4.
fn boxes<'f>(file: &'f [u8], path: &[&[u8; 4]]) -> Vec<&'f [u8]> {
    let Some((name, behind)) = path.split_first() else { return vec![file] };
    let (mut found, mut rest) = (Vec::new(), file);
    while rest.len() >= 8 {
        let length = match u32::from_be_bytes(rest[..4].try_into().unwrap()) {
            1 => u64::from_be_bytes(rest[8..16].try_into().unwrap()) as usize,
            length => length as usize,
        };
        if &rest[4..8] == *name {
            found.extend(boxes(&rest[8..length], behind));
        }
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "boxes fill what holds them");
    found
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|number| u32::from_be_bytes(number.try_into().unwrap())).collect()
}

#[test]
fn a_book_tells_its_chapters_as_a_track_and_as_a_list() {
    let file = book();
    assert_eq!(&file[8..12], b"M4B ");
    assert_eq!(decoded_exactly(&file, Format::M4a, 24_000).len(), 100_003);

    assert_eq!(boxes(&file, &[b"moov", b"trak", b"tref", b"chap"]), [2_u32.to_be_bytes()]);
    let table = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
    let of_text = |name| numbers(boxes(&file, &[&table[..], &[name]].concat())[1]);
    assert_eq!(of_text(b"stts"), [0, 3, 1, 30_001, 1, 39_999, 1, 30_003], "how long each lasts");
    let (sizes, mut at) = (of_text(b"stsz").split_off(3), of_text(b"stco")[2] as usize);
    assert_eq!(of_text(b"stsc"), [0, 1, 1, 3, 1]);
    for ((_, title), size) in chapters().into_iter().zip(sizes) {
        let text = &file[at..at + size as usize];
        assert_eq!(
            (&text[..2], &text[2..2 + title.len()]),
            (&(title.len() as u16).to_be_bytes()[..], title.as_bytes())
        );
        assert_eq!(&text[2 + title.len()..], b"\0\0\0\x0cencd\0\0\x01\0");
        at += size as usize;
    }

    let [list] = boxes(&file, &[b"moov", b"udta", b"chpl"])[..] else { panic!("one list") };
    assert_eq!(list[8], 3);
    let mut rest = &list[9..];
    for (start, title) in chapters() {
        assert_eq!(u64::from_be_bytes(rest[..8].try_into().unwrap()), start as u64 * 10_000_000 / 24_000);
        let length = usize::from(rest[8]);
        assert_eq!(length, title.len().min(255), "cut between two characters, which here have three bytes");
        assert_eq!(&rest[9..9 + length], &title.as_bytes()[..length]);
        rest = &rest[9 + length..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_book_of_many_chapters_has_them_all_in_its_track() {
    let encoding = Encoding { book: Some(Book::default()), ..Encoding::new(Format::M4a, 24_000) };
    let mut encoder = FileEncoder::new(Cursor::new(Vec::new()), &encoding).unwrap();
    for number in 0..300 {
        encoder.begin_chapter(&format!("Chapter {number}"));
        encoder.write(&[0.1; 100]).unwrap();
    }
    let file = encoder.finish().unwrap().into_inner();
    assert_eq!(boxes(&file, &[b"moov", b"udta", b"chpl"])[0][8], 255, "more than its list can count");
    let times = boxes(&file, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"])[1];
    assert_eq!(numbers(times)[1], 300);
}

#[test]
fn nothing_to_write_is_an_error() {
    for format in Format::ALL {
        let encoder = FileEncoder::new(Cursor::new(Vec::new()), &Encoding::new(format, 24_000)).unwrap();
        assert!(matches!(encoder.finish(), Err(EncodeError::Empty)));
    }
}

#[test]
fn a_full_disk_is_an_error_not_a_short_file() {
    for format in Format::ALL {
        let mut space = vec![0u8; 2_000];
        let destination = Cursor::new(&mut space[..]);
        let mut encoder = FileEncoder::new(destination, &Encoding::new(format, 24_000)).unwrap();
        let written = encoder.write(&noise(30_000, 1.0));
        assert!(written.is_err() || encoder.finish().is_err(), "{format}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_length_in_any_pieces_survives(length in 1usize..9_000, piece in 1usize..6_000, level in 0.0f32..1.2) {
        let samples = noise(length, level);
        let clipped: Vec<i16> = samples.iter().map(|&s| to_pcm16(s)).collect();
        for format in [Format::Wav, Format::Flac, Format::Pcm] {
            prop_assert!(decode_exactly(&encode(&samples, format, piece), format) == clipped);
        }
        for format in [Format::Mp3, Format::Opus, Format::M4a] {
            prop_assert_eq!(decoded_exactly(&encode(&samples, format, piece), format, 24_000).len(), length);
        }
    }
}
