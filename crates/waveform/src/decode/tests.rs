//! Every clip of `tests/clips` (made by the script there) is read, and none of what can be wrong with a file passes or
//! panics.

use std::io::Cursor;

use super::*;
use crate::test_signals::{noise, tone_power, tone_to_noise_decibels};

fn clip(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clips").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn decoded(bytes: &[u8]) -> Result<Recording, DecodeError> {
    read_from(Cursor::new(bytes), &Limits::default())
}

/// File, rate, samples, how many more there may be (what a container does not tell of an encoder's padding), amplitude of
/// the tone (LAME turns it down by 5 % at constant bit rates), and how many decibels it stands above everything else.
const CLIPS: [(&str, u32, usize, usize, f64, f64); 30] = [
    ("u8.wav", 8_000, 2_000, 0, 0.5, 35.0),
    ("s16_stereo.wav", 8_000, 2_000, 0, 0.375, 80.0),
    ("s24.wav", 8_000, 2_000, 0, 0.5, 120.0),
    ("s32.wav", 8_000, 2_000, 0, 0.5, 130.0),
    ("f32.wav", 8_000, 2_000, 0, 0.5, 130.0),
    ("f64.wav", 8_000, 1_000, 0, 0.5, 130.0),
    ("alaw.wav", 8_000, 2_000, 0, 0.5, 30.0),
    ("mulaw.wav", 8_000, 2_000, 0, 0.5, 30.0),
    ("adpcm_ms.wav", 8_000, 2_000, 50, 0.5, 20.0),
    ("adpcm_ima.wav", 8_000, 2_000, 50, 0.5, 20.0),
    ("six_channels.wav", 8_000, 500, 0, 0.1875, 70.0),
    ("piped.wav", 8_000, 2_000, 0, 0.5, 80.0),
    ("s16.aiff", 8_000, 2_000, 0, 0.5, 80.0),
    ("s16.flac", 22_050, 5_513, 0, 0.5, 80.0),
    ("s24_stereo.flac", 22_050, 2_756, 0, 0.375, 120.0),
    ("mono.mp3", 44_100, 22_050, 0, 0.475, 40.0),
    ("tagged.mp3", 44_100, 22_050, 0, 0.475, 40.0),
    ("without_head.mp3", 44_100, 22_050, 3_000, 0.356, 40.0),
    ("mpeg2.mp3", 24_000, 12_000, 0, 0.5, 30.0),
    ("vorbis.ogg", 44_100, 22_050, 0, 0.5, 30.0),
    ("vorbis_stereo.ogg", 48_000, 24_000, 0, 0.375, 30.0),
    ("vorbis.webm", 44_100, 22_050, 1_500, 0.5, 30.0),
    ("music.opus", 48_000, 24_000, 0, 0.375, 30.0),
    ("speech.opus", 48_000, 24_000, 0, 0.5, 15.0),
    ("opus.webm", 48_000, 24_000, 960, 0.5, 30.0),
    ("opus.mp4", 48_000, 24_000, 960, 0.5, 30.0),
    ("aac.m4a", 44_100, 22_050, 2_500, 0.375, 25.0),
    ("video.mp4", 44_100, 22_050, 2_500, 0.5, 30.0),
    ("adts.aac", 44_100, 22_050, 2_500, 0.5, 30.0),
    ("alac.m4a", 16_000, 4_000, 0, 0.5, 80.0),
];

#[test]
fn every_format_gives_the_tone_at_its_rate_length_and_level() {
    for (name, rate, samples, surplus, amplitude, purity) in CLIPS {
        let recording = decoded(&clip(name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let found = &recording.samples;
        let middle = &found[found.len() / 4..found.len() * 3 / 4];
        let level = tone_power(middle, 440.0, rate).sqrt();
        let clear = tone_to_noise_decibels(middle, 440.0, rate);
        println!("{name}: {} samples, level {level:.4}, {clear:.1} dB", found.len());
        assert_eq!(recording.sample_rate, rate, "{name}");
        assert!((samples..=samples + surplus).contains(&found.len()), "{name}: {} samples", found.len());
        assert!((level - amplitude).abs() < amplitude * 0.03, "{name}: level {level}");
        assert!(clear > purity, "{name}: {clear} dB");
    }
}

#[test]
fn a_file_is_read_by_its_path_as_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clips");
    assert_eq!(
        read(folder.join("s16.flac"), &Limits::default()).unwrap(),
        decoded(&clip("s16.flac")).unwrap()
    );
    assert!(matches!(read(folder.join("none.wav"), &Limits::default()), Err(DecodeError::Open(_))));
}

#[test]
fn encoders_delay_is_gone_where_the_file_tells_it() {
    for name in ["mono.mp3", "vorbis.ogg", "music.opus", "opus.webm", "opus.mp4"] {
        let samples = decoded(&clip(name)).unwrap().samples;
        // The tone begins at 0 with rising sign; a delay of a millisecond would have it in another phase.
        let quarter = samples.len() / 4;
        let (mut sine, mut cosine) = (0.0, 0.0);
        let rate = decoded(&clip(name)).unwrap().sample_rate;
        for (n, sample) in samples.iter().enumerate().take(3 * quarter).skip(quarter) {
            let angle = std::f64::consts::TAU * 440.0 * n as f64 / f64::from(rate);
            sine += f64::from(*sample) * angle.sin();
            cosine += f64::from(*sample) * angle.cos();
        }
        let phase = cosine.atan2(sine);
        assert!(phase.abs() < 0.1, "{name}: {phase}");
    }
}

#[test]
fn what_is_no_sound_is_said_so() {
    let text = "A letter to the server.\n".repeat(400).into_bytes();
    let random: Vec<u8> = noise(60_000, 1.0).iter().map(|sample| (sample * 127.0) as i8 as u8).collect();
    for file in [clip("picture.png"), text, vec![0; 50_000], random, b"RIFF".to_vec(), vec![7]] {
        let error = decoded(&file).unwrap_err();
        assert!(matches!(error, DecodeError::NotSound(_) | DecodeError::Truncated), "{error:?}");
    }
    assert!(matches!(decoded(&[]), Err(DecodeError::Empty)));
    assert!(matches!(decoded(&clip("no_sound.mp4")), Err(DecodeError::Silent)));
}

#[test]
fn a_file_that_breaks_off_is_refused_where_it_tells_its_length() {
    for name in ["s16_stereo.wav", "s16.flac", "mono.mp3", "aac.m4a", "alac.m4a", "s16.aiff"] {
        let whole = long(name);
        let Err(error) = decoded(&whole[..whole.len() / 2]) else { panic!("{name}: half a file was read") };
        assert!(matches!(error, DecodeError::Truncated | DecodeError::Damaged(_)), "{name}: {error:?}");
    }
    // Ogg pages and raw frames tell no length; half of the file is half of the sound.
    for name in ["vorbis.ogg", "music.opus", "without_head.mp3", "adts.aac"] {
        let whole = clip(name);
        if let Ok(half) = decoded(&whole[..whole.len() * 2 / 3]) {
            assert!(half.samples.len() < decoded(&whole).unwrap().samples.len(), "{name}");
        }
    }
}

/// The clip, or for formats that the slack would forgive half a clip of, a longer one.
fn long(name: &str) -> Vec<u8> {
    let format = match name {
        "s16_stereo.wav" => crate::encode::Format::Wav,
        "s16.flac" => crate::encode::Format::Flac,
        _ => return clip(name),
    };
    let encoding = crate::encode::Encoding::new(format, 24_000);
    let mut encoder = crate::encode::FileEncoder::new(Cursor::new(Vec::new()), &encoding).unwrap();
    encoder.write(&noise(60_000, 0.5)).unwrap();
    encoder.finish().unwrap().into_inner()
}

#[test]
fn limits_are_kept_and_named() {
    let bytes = clip("s16_stereo.wav");
    let with = |limits: Limits| read_from(Cursor::new(&bytes), &limits);
    let all = Limits::default();
    let just = Limits {
        bytes: bytes.len() as u64,
        duration: Duration::from_millis(250),
        channels: 2,
        lowest_rate: 8_000,
        highest_rate: 8_000,
    };
    assert!(with(just).is_ok());
    let error = |limits| with(limits).unwrap_err().to_string();
    assert_eq!(error(Limits { bytes: 8_000, ..all }), "the file is larger than 0 MB");
    assert_eq!(error(Limits { channels: 1, ..all }), "the sound has 2 channels; at most 1 can be read");
    assert_eq!(
        error(Limits { lowest_rate: 8_001, highest_rate: 48_000, ..all }),
        "the sound has 8000 samples per second; 8001 to 48000 can be read"
    );
    assert!(matches!(
        with(Limits { duration: Duration::from_millis(249), ..all }),
        Err(DecodeError::TooLong { .. })
    ));
}

/// A wav file with the given fields in its head.
fn wav(format: u16, channels: u16, rate: u32, block: u16, bits: u16, declared: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend(declared.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.wrapping_mul(u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(declared.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn absurd_heads_are_errors() {
    let data = vec![1; 4_000];
    let fine = wav(1, 1, 16_000, 2, 16, 4_000, &data);
    assert_eq!(decoded(&fine).unwrap().samples.len(), 2_000);
    let unknown = decoded(&wav(0x4242, 1, 16_000, 2, 16, 4_000, &data));
    assert!(matches!(unknown, Err(DecodeError::Unsupported(_))));
    for (what, file) in [
        ("no channels", wav(1, 0, 16_000, 2, 16, 4_000, &data)),
        ("65,535 channels", wav(1, 65_535, 16_000, 65_534, 16, 4_000, &data)),
        ("no rate", wav(1, 1, 0, 2, 16, 4_000, &data)),
        ("four gigahertz", wav(1, 1, u32::MAX, 2, 16, 4_000, &data)),
        ("no bits", wav(1, 1, 16_000, 2, 0, 4_000, &data)),
        ("1,000 bits", wav(1, 1, 16_000, 125, 1_000, 4_000, &data)),
        ("no data", wav(1, 1, 16_000, 2, 16, 0, &[])),
        ("a tag of 256 MB", [b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), fine.clone()].concat()),
        ("an atom of 2⁶³ bytes", b"\0\0\0\x01ftyp\x7f\xff\xff\xff\xff\xff\xff\xffM4A ".to_vec()),
        ("not a number", wav(3, 1, 16_000, 4, 32, 4_000, &[0xff; 4_000])),
        ("integers called floats", wav(3, 1, 16_000, 4, 32, 8, &1e4f32.to_le_bytes().repeat(2))),
    ] {
        println!("{what}: {:?}", decoded(&file).expect_err(what));
    }
    // What a program writes that does not know the length yet.
    for unknown in [u32::MAX, 0x7fff_f000] {
        assert_eq!(decoded(&wav(1, 1, 16_000, 2, 16, unknown, &data)).unwrap().samples.len(), 2_000);
    }
}

/// Damages every clip in `rounds` ways and reads it.
fn read_damaged_files(rounds: u64) {
    let limits = Limits { duration: Duration::from_secs(20), ..Limits::default() };
    let mut crashes = 0;
    for (index, (name, ..)) in CLIPS.iter().enumerate() {
        let whole = clip(name);
        for round in 0..rounds {
            let mut dice = Dice(index as u64 * 1_000_003 + round);
            let mut file = whole.clone();
            for _ in 0..=dice.below(8) {
                dice.damage(&mut file);
            }
            match read_from(Cursor::new(&file), &limits) {
                Ok(recording) => {
                    assert!(recording.duration() <= limits.duration, "{name}, round {round}");
                    assert!(recording.samples.iter().all(|s| s.is_finite()), "{name}, round {round}");
                }
                Err(DecodeError::Crashed) => crashes += 1,
                Err(_) => {}
            }
        }
    }
    println!("{crashes} of {} made a decoder panic", CLIPS.len() as u64 * rounds);
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn damage(&mut self, file: &mut Vec<u8>) {
        // Heads are short and decide most; half of the damage is done there.
        let reach = if self.below(2) == 0 { file.len().min(200) } else { file.len() };
        let at = self.below(reach);
        match self.below(6) {
            0 => file.truncate(at),
            1 => drop(file.drain(at..(at + self.below(40)).min(file.len()))),
            2 => {
                let piece = file[at..(at + self.below(60)).min(file.len())].to_vec();
                file.splice(at..at, piece);
            }
            3 => {
                let end = (at + self.below(9)).min(file.len());
                let value = [0, 0xff, 0x7f, 0x80][self.below(4)];
                file[at..end].fill(value);
            }
            _ => {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }
}

#[test]
fn damaged_files_are_survived() {
    read_damaged_files(30);
}

#[test]
#[ignore = "the same for minutes"]
fn many_damaged_files_are_survived() {
    read_damaged_files(5_000);
}
