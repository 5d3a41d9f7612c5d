//! The golden vectors of upstream's splitter, its good rows kept and its bugs mended, and what holds for any text.

use proptest::prelude::*;

use super::*;

/// Small target, large cap: one sentence per chunk, as upstream's vectors were taken.
fn sentences_of(text: &str) -> Vec<String> {
    texts(text, Limits { target: 1, cap: 1_000, split: true })
}

fn texts(text: &str, limits: Limits) -> Vec<String> {
    split(text, limits).into_iter().map(|chunk| chunk.text).collect()
}

#[test]
fn golden_vectors() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "titles, saints and p.m.",
            "Dr. Smith went to St. Ives. He left at 5 p.m. today.",
            &["Dr. Smith went to St. Ives.", "He left at 5 p.m. today."],
        ),
        ("no. is a word", "I said no. You said yes.", &["I said no.", "You said yes."]),
        ("no. before a number is not", "See no. 5 now. Go.", &["See no. 5 now.", "Go."]),
        (
            "versions and decimals",
            "Version 2.3.4 is out. Pi is 3.14. Ok.",
            &["Version 2.3.4 is out.", "Pi is 3.14.", "Ok."],
        ),
        ("ellipsis before a small letter", "Wait... what? Yes.", &["Wait... what?", "Yes."]),
        ("straight quotes", "He said \"Stop.\" Then he left.", &["He said \"Stop.\"", "Then he left."]),
        ("curly quotes", "He said “Stop.” Then he left.", &["He said “Stop.”", "Then he left."]),
        (
            "lines and paragraphs",
            "Line one\nLine two\n\nPara two here.",
            &["Line one", "Line two", "Para two here."],
        ),
        (
            "bullets and the paragraph behind them",
            "Intro text. More.\n- item one. still one\n- item two\n\nTail paragraph. Another sentence.",
            &[
                "Intro text.",
                "More.",
                "- item one. still one",
                "- item two",
                "Tail paragraph.",
                "Another sentence.",
            ],
        ),
        ("full-width marks", "今日は。元気ですか？はい。", &["今日は。", "元気ですか？", "はい。"]),
        ("full-width quotes", "「行くよ。」と言った。", &["「行くよ。」", "と言った。"]),
        (
            "parentheses stay in the sentence",
            "Hello (laughs) there. See (page 4) now.",
            &["Hello (laughs) there.", "See (page 4) now."],
        ),
        ("numbers in a line", "1. First thing. 2. Second.", &["1. First thing.", "2. Second."]),
        ("numbered lines", "1. First\n2. Second", &["1. First", "2. Second"]),
        ("rows of marks", "A?! B!! C.", &["A?!", "B!!", "C."]),
        (
            "countries",
            "U.S. troops. They left the U.S. Today.",
            &["U.S. troops.", "They left the U.S.", "Today."],
        ),
        ("countries before names", "The U.S. Senate met. It voted.", &["The U.S. Senate met.", "It voted."]),
        ("tags in square brackets", "Well [laugh] no. [sigh] Yes.", &["Well [laugh] no.", "[sigh] Yes."]),
        (
            "a title glued to a bracket",
            "The man (Mr. Smith) left. Ok.",
            &["The man (Mr. Smith) left.", "Ok."],
        ),
        ("speech with its speaker", "\"Stop!\" he cried. \"Why?\"", &["\"Stop!\" he cried.", "\"Why?\""]),
        (
            "initials",
            "J. R. R. Tolkien wrote. George W. Bush did not.",
            &["J. R. R. Tolkien wrote.", "George W. Bush did not."],
        ),
        (
            "a letter that ends",
            "It was Plan B. Then came vitamin C. Most sleep.",
            &["It was Plan B.", "Then came vitamin C.", "Most sleep."],
        ),
        ("streets", "I live on Main St. He does not.", &["I live on Main St.", "He does not."]),
        (
            "a company",
            "We are Acme Inc. Nobody else is, etc. and so on.",
            &["We are Acme Inc.", "Nobody else is, etc. and so on."],
        ),
        (
            "spoken numbers",
            "It was in two thousand five. five people came.",
            &["It was in two thousand five.", "five people came."],
        ),
        (
            "lines wrapped for width",
            "This is a line that some mail program wrapped at some width\nand it goes on here. Done.",
            &["This is a line that some mail program wrapped at some width\nand it goes on here.", "Done."],
        ),
        ("windows line ends", "One.\r\n\r\nTwo is\r\nshort.", &["One.", "Two is\r\nshort."]),
    ];
    for (name, text, expected) in table {
        assert_eq!(sentences_of(text), *expected, "{name}");
    }
}

#[test]
fn sentences_are_packed_up_to_the_target_and_a_long_one_stays_whole() {
    let long =
        "This single sentence is very much longer than fifty characters, but the cap lets it be one chunk";
    let text = format!(
        "Short one. Second short. A third one of about thirty nine chars. {long}. The end is near, my friend."
    );
    let chunks = texts(&text, Limits { target: 50, cap: 200, split: true });
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.chars().count()).collect();
    assert_eq!(lengths, [24, 39, 97, 27]);
}

#[test]
fn short_texts_and_unsplit_texts_stay_in_one_chunk() {
    let text = "One sentence here. Another there.\n\nA new paragraph.";
    let limits = Limits { target: 35, cap: 500, split: true };
    assert_eq!(texts(text, limits).len(), 1, "up to 1.5 × the target");
    assert_eq!(texts(text, Limits { target: 33, ..limits }).len(), 2);
    assert_eq!(texts(text, Limits { target: 10, split: false, ..limits }), [text]);
    assert_eq!(
        texts(text, Limits { target: 10, split: false, cap: 40 }),
        ["One sentence here. Another there.", "A new paragraph."]
    );
}

#[test]
fn boundaries_say_what_follows() {
    let chunks = split(
        "First sentence. Second sentence.\n\nNew paragraph, with a clause, and another one behind it.",
        Limits { target: 16, cap: 30, split: true },
    );
    let got: Vec<(&str, Boundary)> = chunks.iter().map(|chunk| (chunk.text.as_str(), chunk.pause)).collect();
    assert_eq!(
        got,
        [
            ("First sentence.", Boundary::Sentence),
            ("Second sentence.", Boundary::Paragraph),
            ("New paragraph, with a clause,", Boundary::Clause),
            ("and another one behind it.", Boundary::End),
        ]
    );
}

#[test]
fn a_chunk_never_crosses_a_paragraph() {
    let chunks = texts(
        "One.\n\nTwo.\n\nThree is a longer sentence here.",
        Limits { target: 25, cap: 100, split: true },
    );
    assert_eq!(chunks, ["One.", "Two.", "Three is a longer sentence here."]);
}

#[test]
fn what_has_no_sound_is_not_a_chunk_of_its_own() {
    let chunks = texts(
        "First part of it.\n\n* * *\n\nSecond part of it.",
        Limits { target: 20, cap: 100, split: true },
    );
    assert_eq!(chunks, ["First part of it.\n\n* * *", "Second part of it."]);
}

#[test]
fn the_cap_cuts_at_clauses_then_words_then_letters_and_never_in_tags_or_graphemes() {
    let limits = |cap| Limits { target: cap, cap, split: true };
    assert_eq!(
        texts("When it rains, it pours; when it pours, we swim.", limits(26)),
        ["When it rains, it pours;", "when it pours, we swim."]
    );
    assert_eq!(
        texts("alpha beta gamma delta epsilon zeta", limits(18)),
        ["alpha beta gamma", "delta epsilon zeta"]
    );
    assert_eq!(texts("abcdefghijklmnopqrstuvwxyz", limits(10)), ["abcdefghij", "klmnopqrst", "uvwxyz"]);
    assert_eq!(texts("長い長い文、とても長い文。", limits(8)), ["長い長い文、", "とても長い文。"]);
    let tagged = texts("aaaa bbbb cccc [clear throat] dddd eeee ffff", limits(20));
    assert!(tagged.iter().any(|chunk| chunk.contains("[clear throat]")), "{tagged:?}");
    let family = "👨‍👩‍👧";
    for chunk in texts(&family.repeat(6), limits(12)) {
        assert_eq!(chunk.chars().count() % family.chars().count(), 0, "{chunk:?}");
    }
}

#[test]
fn a_hostile_text_takes_no_quadratic_time() {
    for bait in [". ", "a. ", "[", "[a", "((", "a", "\n", "\n\n", "- \n", "\" ", "…", ",", "1. "] {
        let text = bait.repeat(200_000 / bait.len());
        let start = std::time::Instant::now();
        split(&text, Limits { target: 120, cap: 150, split: true });
        assert!(start.elapsed().as_secs() < 10, "{bait:?} took {:?}", start.elapsed());
    }
}

fn without_whitespace(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn holds(text: &str, limits: Limits) -> Result<(), TestCaseError> {
    let chunks = split(text, limits);
    let joined: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    prop_assert_eq!(without_whitespace(&joined), without_whitespace(text));
    for (index, chunk) in chunks.iter().enumerate() {
        prop_assert!(!chunk.text.trim().is_empty());
        prop_assert_eq!(chunk.text.trim(), &chunk.text);
        prop_assert!(chunk.text.chars().count() <= limits.cap.max(1), "{:?}", chunk);
        prop_assert_eq!(chunk.pause == Boundary::End, index + 1 == chunks.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_character_is_lost_and_no_cap_exceeded_in_any_text(
        text in any::<String>(), target in 0usize..60, cap in 0usize..80, split in any::<bool>(),
    ) {
        holds(&text, Limits { target, cap, split })?;
    }

    #[test]
    fn nor_in_text_that_looks_like_text(
        text in r#"([A-Za-z]{1,12}|[0-9]{1,4}|Mr\.|no\.|p\.m\.|U\.S\.|[.!?,;:—…]|["'“”()]|\[laugh\]|\[|\n|\n\n|\r\n|- |。|、|今日|é|👨‍👩‍👧| {1,3}){0,60}"#,
        target in 1usize..200, cap in 1usize..300, split in any::<bool>(),
    ) {
        holds(&text, Limits { target, cap, split })?;
    }
}
