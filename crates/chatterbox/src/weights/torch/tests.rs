//! Files as torch writes them, and files that mean harm.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// Instructions, joined.
fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn text(value: &str) -> Vec<u8> {
    [b"X", &u32::try_from(value.len()).unwrap().to_le_bytes()[..], value.as_bytes()].concat()
}

fn int(value: i32) -> Vec<u8> {
    [b"J", &value.to_le_bytes()[..]].concat()
}

fn ints(values: &[i32]) -> Vec<u8> {
    [b"(".to_vec(), values.iter().flat_map(|value| int(*value)).collect(), b"t".to_vec()].concat()
}

/// A tensor in storage `0`.
fn tensor(kind: &str, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    pickle(&[
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        format!("ctorch\n{kind}\n").as_bytes(),
        &text("0"),
        &text("cuda:0"),
        &int(4),
        b"tQ",
        &int(offset),
        &ints(shape),
        &ints(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ])
}

/// `{name: value, …}`
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries.iter().flat_map(|(name, value)| [text(name), value.clone()]).flatten().collect();
    [b"}(".to_vec(), entries, b"u".to_vec()].concat()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(
            *name,
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn file(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", pickle, b"."].concat();
    archive(&[("x/data.pkl", &pickle), ("x/byteorder", b"little"), ("x/data/0", storage)])
}

fn read(pickle: &[u8], storage: &[u8]) -> Result<Contents, TorchError> {
    index(Cursor::new(file(pickle, storage)))
}

fn refusal(pickle: &[u8]) -> String {
    read(pickle, &[0; 16]).unwrap_err().to_string()
}

#[test]
fn tensors_and_numbers_are_found_under_their_path() {
    let values: Vec<u8> = [1_f32, 2., 3., 4.].iter().flat_map(|v| v.to_le_bytes()).collect();
    let state =
        dictionary(&[("a.weight", tensor("FloatStorage", 1, &[1, 3], &[3, 1])), ("none", b"N".to_vec())]);
    // As `state_dict()` pickles itself: an OrderedDict, filled, with the versions of its modules as an attribute.
    let state = pickle(&[
        b"ccollections\nOrderedDict\n)R(",
        &text("a.weight"),
        &tensor("FloatStorage", 1, &[1, 3], &[3, 1]),
        b"u}(",
        &text("_metadata"),
        &state,
        b"ub",
    ]);
    let root = dictionary(&[("model", pickle(&[b"](", &state, b"e"])), ("step", int(250_000))]);
    let bytes = file(&root, &values);
    let contents = index(Cursor::new(&bytes)).unwrap();
    assert_eq!(contents.numbers.into_iter().collect::<Vec<_>>(), [("step".to_owned(), 250_000.0)]);
    assert_eq!(contents.tensors.keys().collect::<Vec<_>>(), ["model.a.weight"]);
    let stored = &contents.tensors["model.a.weight"];
    assert_eq!((&stored.shape[..], &stored.strides), (&[1, 3][..], &None));
    let raw = stored.read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(stored.floats(&raw).unwrap(), [2., 3., 4.]);
}

#[test]
fn what_is_remembered_can_be_recalled_and_filled_later() {
    // {"a": list of one tensor, remembered before it is filled}
    let bytes = pickle(&[b"}(", &text("a"), b"]q\x05", &tensor("LongStorage", 0, &[], &[]), b"a0"]);
    assert!(refusal(&bytes).contains("0x30"), "POP is not needed");
    let bytes =
        pickle(&[b"}(", &text("a"), b"]r\x05\x01\x00\x00", &tensor("LongStorage", 0, &[], &[]), b"au"]);
    assert_eq!(read(&bytes, &[0; 8]).unwrap().tensors["a"].length, 8);
    assert!(refusal(&pickle(&[b"h\x07"])).contains("recalls"));
}

#[test]
fn a_foreign_function_is_named_and_not_run() {
    let bytes = pickle(&[b"cos\nsystem\n(", &text("touch /tmp/owned"), b"tR"]);
    assert!(refusal(&bytes).contains("asks for os.system"), "{}", refusal(&bytes));
    assert!(refusal(b"cbuiltins\neval\n").contains("builtins.eval"));
    assert!(refusal(b"ctorch\nload\n").contains("torch.load"));
    // By name from the stack, and by inheritance: neither instruction is known.
    for opcode in [&b"\x93"[..], b"i", b"o", b"\x81", b"\x92", b"\x82\x01"] {
        assert!(refusal(&pickle(&[&text("os"), &text("system"), opcode])).contains("instruction"));
    }
    // Known names in places where they make no sense.
    assert!(refusal(b"ctorch\nFloatStorage\n)R").contains("cannot be called"));
    assert!(refusal(b"ccollections\nOrderedDict\nK\x01\x85R").contains("cannot be called"));
    assert!(refusal(b"ctorch._utils\n_rebuild_tensor_v2\n)R").contains("builds a tensor"));
    assert!(refusal(b"K\x01Q").contains("no storage"));
}

#[test]
fn nesting_cycles_and_repetition_end_soon() {
    assert!(refusal(&b"(".repeat(100_000)).contains("nested too deeply"));
    // A million tuples inside each other: no recursion when they are dropped. A tuple of one thing counts as that thing.
    assert!(matches!(read(&[b")".to_vec(), b"\x85".repeat(1_000_000)].concat(), &[]), Err(TorchError::Deep)));
    let deep = (0..40).fold(b"N".to_vec(), |inner, _| dictionary(&[("a", inner)]));
    assert!(matches!(read(&deep, &[]), Err(TorchError::Deep)));
    // A dictionary inside itself.
    let cycle = pickle(&[b"}q\x00(", &text("a"), b"h\x00u"]);
    assert!(matches!(read(&cycle, &[]), Err(TorchError::Twice(name)) if name == "a"));
    // Doubling at each of thirty levels.
    let mut laughs = pickle(&[b"}q\x00"]);
    for level in 0..30_u8 {
        let inner = [b'h', level];
        laughs.extend(dictionary(&[("a", inner.to_vec()), ("b", inner.to_vec())]));
        laughs.extend([b'q', level + 1]);
    }
    assert!(matches!(read(&laughs, &[]), Err(TorchError::Twice(_) | TorchError::Deep)));
}

#[test]
fn a_shape_beyond_its_storage_is_an_error_and_reserves_nothing() {
    let of = |offset, shape: &[i32], strides: &[i32]| {
        read(&dictionary(&[("a", tensor("FloatStorage", offset, shape, strides))]), &[0; 16])
    };
    assert!(of(0, &[2, 2], &[1, 2]).is_ok());
    assert!(of(0, &[0, 9], &[9, 1]).is_ok(), "an empty tensor is no harm");
    for (offset, shape, strides) in [
        (0, &[5][..], &[1][..]),
        (1, &[4], &[1]),
        (0, &[2, 2], &[9, 1]),
        // The same element over and over.
        (0, &[1 << 30, 1 << 30], &[0, 0]),
        (0, &[i32::MAX; 8], &[i32::MAX; 8]),
        (i32::MAX, &[0], &[1]),
    ] {
        let error = of(offset, shape, strides).unwrap_err();
        assert!(matches!(&error, TorchError::Shape { tensor } if tensor == "a"), "{shape:?}: {error}");
    }
    assert!(matches!(of(0, &[-1], &[1]), Err(TorchError::Pickle { .. })));
    assert!(matches!(of(0, &[1], &[1, 1]), Err(TorchError::Pickle { .. })));
    assert!(matches!(of(0, &[1; 9], &[1; 9]), Err(TorchError::Pickle { .. })));
    // An integer of 2⁶³ − 1 and one of a kilobyte.
    let huge = [&b"\x8a\x08"[..], &i64::MAX.to_le_bytes()].concat();
    assert!(read(&dictionary(&[("a", huge)]), &[]).is_ok());
    assert!(refusal(&[&b"\x8a\xff"[..], &[0; 255]].concat()).contains("64 bits"));
}

#[test]
fn every_cut_of_a_good_file_is_an_error() {
    let whole = file(&dictionary(&[("a", tensor("FloatStorage", 0, &[4], &[1]))]), &[0; 16]);
    assert!(index(Cursor::new(&whole)).is_ok());
    for length in 0..whole.len() {
        assert!(index(Cursor::new(&whole[..length])).is_err(), "{length} of {} bytes", whole.len());
    }
    let pickle = dictionary(&[("a", tensor("FloatStorage", 0, &[4], &[1]))]);
    for length in 0..pickle.len() {
        // Without the dot that ends it.
        let bytes = archive(&[("x/data.pkl", &pickle[..length]), ("x/data/0", &[0; 16])]);
        assert!(matches!(
            index(Cursor::new(bytes)),
            Err(TorchError::Pickle { .. } | TorchError::Global { .. })
        ));
    }
}

#[test]
fn random_damage_is_an_error_or_harmless_but_never_a_panic() {
    use rand::{RngExt as _, SeedableRng as _};
    let whole = file(&dictionary(&[("a", tensor("FloatStorage", 0, &[4], &[1]))]), &[0; 16]);
    let mut random = rand_chacha::ChaCha12Rng::seed_from_u64(1);
    for _ in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            let place = random.random_range(0..bytes.len());
            bytes[place] = random.random();
        }
        if let Ok(contents) = index(Cursor::new(&bytes)) {
            for stored in contents.tensors.values() {
                assert!(stored.start + stored.length as u64 <= bytes.len() as u64);
            }
        }
    }
}

/// Zip bombs are compressed entries; ours must be stored, so that nothing ever grows.
#[test]
fn compressed_encrypted_and_oversized_entries_are_refused() {
    let whole = file(&dictionary(&[("a", tensor("FloatStorage", 0, &[4], &[1]))]), &[0; 16]);
    let central = |entry: &str| {
        // The last mention of a name is in the central directory, 46 bytes into its record.
        let at = whole.windows(entry.len()).rposition(|window| window == entry.as_bytes()).unwrap() - 46;
        assert_eq!(&whole[at..at + 4], b"PK\x01\x02");
        at
    };
    let patched = |entry: &str, offset: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        let at = central(entry) + offset;
        bytes[at..at + value.len()].copy_from_slice(value);
        index(Cursor::new(bytes)).unwrap_err().to_string()
    };
    for entry in ["x/data.pkl", "x/data/0"] {
        for (offset, value) in [
            // Method 8, deflate.
            (10, &[8, 0][..]),
            // The bit for encryption.
            (8, &[1, 0]),
            // Four gigabytes, uncompressed.
            (24, &[0xFE, 0xFF, 0xFF, 0xFF]),
        ] {
            let error = patched(entry, offset, value);
            assert!(
                error.contains(entry) && error.contains("stores plainly"),
                "{entry} at {offset}: {error}"
            );
        }
    }
}

#[test]
fn what_is_no_torch_file_says_so() {
    assert!(matches!(index(Cursor::new(b"\x80\x02}.")), Err(TorchError::Zip(_))));
    let message = index(Cursor::new(archive(&[("readme", b"")]))).unwrap_err().to_string();
    assert!(message.contains("no data.pkl"), "{message}");
    let missing = dictionary(&[("a", tensor("FloatStorage", 0, &[4], &[1]))]);
    let message =
        index(Cursor::new(archive(&[("x/data.pkl", &pickle(&[&missing, b"."]))]))).unwrap_err().to_string();
    assert!(message.contains("no x/data/0"), "{message}");
    let big = archive(&[("x/data.pkl", b"}."), ("x/byteorder", b"big")]);
    assert!(matches!(index(Cursor::new(big)), Err(TorchError::ByteOrder)));
    let long = vec![b'N'; LONGEST_PICKLE as usize + 1];
    assert!(matches!(index(Cursor::new(archive(&[("x/data.pkl", &long)]))), Err(TorchError::Long)));
    assert!(matches!(
        read(&pickle(&[b"}(", &text("a"), b"NN", &text("b"), b"u"]), &[]),
        Err(TorchError::Pickle { .. })
    ));
}
