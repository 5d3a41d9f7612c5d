//! How far the estimate of `alignment` lies from the truth, where that is known: the embedded voice's speech tokens are phones,
//! so they say to 40 ms when each word begins.

use std::ops::ControlFlow;

use chatterbox::noise::Seeded;
use chatterbox::pipeline::Chatterbox;

use crate::speech::alignment::Alignment;
use crate::speech::stitch::Stitching;
use crate::speech::timeline::SpokenText;

/// Seconds that a speech token lasts.
const TOKEN: f64 = 0.04;
const RATE: u32 = 24_000;

/// Sentences that nobody was taught with, word by word, as the voice's teacher says them.
const SENTENCES: [&str; 10] = [
    "She sh iy|laughed, l ae f t|shook sh uh k|her hh er|head, hh eh d|and ae n d|walked w ao k t|out aw t|of ax v|the dh ax|room. r uw m",
    "What w ah t|would w uh d|you y uw|like l ay k|for f ao r|breakfast? b r eh k f ax s t",
    "Nobody n ow b aa d iy|knew n uw|why w ay|the dh ax|lights l ay t s|had hh ae d|gone g ao n|out. aw t",
    "He hh iy|painted p ey n t ax d|the dh ax|kitchen k ih ch ax n|yellow, y eh l ow|and ae n d|the dh ax|hallway hh ao l w ey|blue. b l uw",
    "Is ih z|there dh eh r|a ax|doctor d aa k t er|in ih n|the dh ax|building? b ih l d ih ng",
    "The dh ax|children ch ih l d r ax n|built b ih l t|a ax|castle k ae s ax l|out aw t|of ax v|wet w eh t|sand. s ae n d",
    "Please p l iy z|speak s p iy k|slowly s l ow l iy|and ae n d|clearly. k l ih r l iy",
    "How hh aw|long l ao ng|have hh ae v|you y uw|been b ih n|waiting w ey t ih ng|here? hh ih r",
    "Turn t er n|left l eh f t|at ae t|the dh ax|church, ch er ch|then dh eh n|take t ey k|the dh ax|second s eh k ax n d|road r ow d|on aa n|the dh ax|right. r ay t",
    "Winter w ih n t er|in ih n|the dh ax|mountains m aw n t ax n z|is ih z|long, l ao ng|dark, d aa r k|and ae n d|very v eh r iy|cold. k ow l d",
];

const PLAIN: &str = "b ch d dh f g hh jh k p s sh t th v z zh";
const PITCHED: &str = "aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw l r m n ng w y";

/// The phone of a speech token and the frames that it still lasts, as `config.json` numbers them; `None` for silence.
fn phone(token: usize) -> Option<(&'static str, usize)> {
    const PAUSES: usize = 10;
    const FRAMES: usize = 6;
    const PITCHES: usize = 4;

    let sound = token.checked_sub(1 + PAUSES)?;
    let plain: Vec<&str> = PLAIN.split(' ').collect();
    if let Some(phone) = plain.get(sound / FRAMES) {
        return Some((phone, sound % FRAMES));
    }
    let sound = sound - plain.len() * FRAMES;
    PITCHED.split(' ').nth(sound / (FRAMES * PITCHES)).map(|phone| (phone, sound % FRAMES))
}

/// Each phone that is said, and the token with which it begins.
fn phones(tokens: &[u32]) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    let mut before: Option<(&str, usize)> = None;
    for (at, &token) in tokens.iter().enumerate() {
        let now = phone(token as usize);
        let goes_on = now
            .zip(before)
            .is_some_and(|(now, before)| now.0 == before.0 && now.1 <= before.1 && before.1 > 0);
        if let Some((phone, _)) = now.filter(|_| !goes_on) {
            found.push((phone, at));
        }
        before = now;
    }
    found
}

/// For each expected phone the one that was said for it, by the fewest changes.
fn matched(expected: &[&str], said: &[(&str, usize)]) -> Vec<Option<usize>> {
    let (rows, columns) = (expected.len() + 1, said.len() + 1);
    let mut cost = vec![vec![0_usize; columns]; rows];
    let change = |i: usize, j: usize| usize::from(expected[i] != said[j].0);
    for i in 0..rows {
        for j in 0..columns {
            cost[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => (cost[i - 1][j - 1] + change(i - 1, j - 1))
                    .min(cost[i - 1][j] + 1)
                    .min(cost[i][j - 1] + 1),
            };
        }
    }
    let (mut i, mut j) = (expected.len(), said.len());
    let mut found = vec![None; expected.len()];
    while i > 0 && j > 0 {
        if cost[i][j] == cost[i - 1][j - 1] + change(i - 1, j - 1) {
            (i, j) = (i - 1, j - 1);
            found[i] = Some(j);
        } else if cost[i][j] == cost[i - 1][j] + 1 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found
}

#[test]
fn words_begin_about_when_the_estimate_says() {
    let choice = chatterbox::device::choose(chatterbox::device::Request::Cpu).unwrap();
    let model = Chatterbox::load(chatterbox::pico::checkpoint(&choice.device).unwrap(), &choice).unwrap();
    let mut errors = Vec::new();
    let mut changes = 0;
    let mut all_phones = 0;
    for voice in chatterbox::pico::voices().unwrap() {
        for sentence in SENTENCES {
            let words: Vec<(&str, Vec<&str>)> = sentence
                .split('|')
                .map(|word| word.split_once(' ').unwrap())
                .map(|(word, phones)| (word, phones.split(' ').collect()))
                .collect();
            let text = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ");
            let sampling = &model.config().sampling;
            let spoken = model
                .speak(&text, None, &voice.voice, sampling, &mut Seeded::new(7), &mut |_| {
                    ControlFlow::Continue(())
                })
                .unwrap();
            let stitching = Stitching::new(RATE, RATE);
            let kept = stitching.kept(&spoken.samples);
            let span = stitching.span(0, &spoken.samples[kept.clone()]);
            let alignment = Alignment::of(&SpokenText::new(&text, &span, RATE, None));

            let said = phones(&spoken.tokens);
            let expected: Vec<&str> = words.iter().flat_map(|(_, phones)| phones.clone()).collect();
            let matched = matched(&expected, &said);
            all_phones += expected.len();
            let same = |(&phone, at): (&&str, &Option<usize>)| at.is_some_and(|at| said[at].0 == phone);
            changes += expected.len() - expected.iter().zip(&matched).filter(|&pair| same(pair)).count();
            let (mut phone, mut character) = (0, 0);
            for (index, (word, phones)) in words.iter().enumerate() {
                // How the first one begins, the silence before it says.
                if let Some(at) = matched[phone].filter(|_| index > 0) {
                    let truth = said[at].1 as f64 * TOKEN - kept.start as f64 / f64::from(RATE);
                    errors.push((alignment.starts[character] - truth).abs());
                }
                phone += phones.len();
                character += word.chars().count() + 1;
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    let share = |share: f64| errors[((errors.len() - 1) as f64 * share) as usize];
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    println!(
        "{} words, {changes} of {all_phones} phones otherwise: mean {:.0} ms, half within {:.0} ms, nine of ten within {:.0} ms, worst {:.0} ms",
        errors.len(),
        mean * 1e3,
        share(0.5) * 1e3,
        share(0.9) * 1e3,
        share(1.0) * 1e3
    );
    assert!(errors.len() > 130, "the words were not found");
    assert!(changes * 5 < all_phones, "the phones are not those of the text");
    assert!(mean < 0.13 && share(0.9) < 0.26, "the estimate is worse than docs/API.md says");
}
