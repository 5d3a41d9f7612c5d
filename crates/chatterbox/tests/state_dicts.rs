//! Names and shapes of every published file against what our networks ask for.
//!
//! The listings are the state dicts of the reference's own classes. A network is loaded from its listing as it would be from
//! the file, with zeros for values; loading is strict, so that it succeeds only if both agree in every name and shape, apart
//! from what a network leaves aside and says so.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chatterbox::s3gen::{self, S3Gen};
use chatterbox::s3tokenizer::{S3Tokenizer, S3TokenizerConfig};
use chatterbox::speaker::campplus::{CampPlus, CampPlusConfig};
use chatterbox::speaker::voice_encoder::{self, VoiceEncoder, VoiceEncoderConfig};
use chatterbox::t3::{self, T3};
use chatterbox::variant::ModelConfig;
use chatterbox::watermark::{self, Watermark};
use chatterbox::weights::{Scope, WeightError, Weights};
use common::device;

type Listing = BTreeMap<String, Vec<usize>>;

/// A network, the file that it is in, and what of the file it leaves aside.
struct Network {
    listing: &'static str,
    load: fn(&Scope) -> Result<(), WeightError>,
    unused: &'static [&'static str],
}

const NETWORKS: [Network; 9] = [
    Network {
        listing: "t3_nano",
        load: |scope| T3::load(scope, &ModelConfig::nano().t3, 1).map(drop),
        unused: &t3::UNUSED,
    },
    Network {
        listing: "t3_turbo",
        load: |scope| T3::load(scope, &ModelConfig::turbo().t3, 1).map(drop),
        unused: &t3::UNUSED,
    },
    Network {
        listing: "s3gen_meanflow",
        load: |scope| {
            let config = ModelConfig::turbo();
            S3Gen::load(scope, &config.s3gen, &config.hift, 1).map(drop)
        },
        unused: &s3gen::UNUSED,
    },
    Network {
        listing: "t3_cfg",
        load: |scope| T3::load(scope, &ModelConfig::original().t3, 1).map(drop),
        unused: &t3::UNUSED,
    },
    Network {
        listing: "t3_mtl",
        load: |scope| T3::load(scope, &ModelConfig::multilingual().t3, 1).map(drop),
        unused: &t3::UNUSED,
    },
    Network {
        listing: "s3gen",
        load: |scope| {
            let config = ModelConfig::original();
            S3Gen::load(scope, &config.s3gen, &config.hift, 1).map(drop)
        },
        unused: &s3gen::UNUSED,
    },
    // The other half of the same file.
    Network {
        listing: "s3gen",
        load: |scope| {
            S3Tokenizer::load(&scope.at("tokenizer"), &S3TokenizerConfig::published(), 1)?;
            CampPlus::load(&scope.at("speaker_encoder"), &CampPlusConfig::published()).map(drop)
        },
        // The spectrum's window and filters, which are computed; synthesis.
        unused: &["tokenizer._mel_filters", "tokenizer.window", "flow.", "mel2wav."],
    },
    Network {
        listing: "ve",
        load: |scope| VoiceEncoder::load(scope, &VoiceEncoderConfig::published()).map(drop),
        unused: &voice_encoder::UNUSED,
    },
    Network { listing: "perth", load: |scope| Watermark::load(scope).map(drop), unused: &watermark::UNUSED },
];

fn listing(name: &str) -> Listing {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/state_dicts/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Loads the network from a listing and sees that nothing is left over. Only one is in memory at a time.
fn hold(network: &Network, listing: Listing) -> Result<(), WeightError> {
    let weights = Weights::listing(network.listing, listing, &device());
    (network.load)(&weights.root())?;
    weights.finish(network.unused)
}

#[test]
fn every_network_asks_for_exactly_what_its_published_file_holds() {
    for network in &NETWORKS {
        hold(network, listing(network.listing)).unwrap();
    }
}

#[test]
fn a_listing_that_differs_in_one_tensor_is_noticed() {
    let network = &NETWORKS[0];
    let changed = |change: fn(&mut Listing)| {
        let mut listing = listing(network.listing);
        change(&mut listing);
        hold(network, listing).unwrap_err()
    };
    let missing = changed(|listing| drop(listing.remove("tfmr.h.11.mlp.c_fc.bias")));
    assert!(
        matches!(&missing, WeightError::Missing { tensor, .. } if tensor == "tfmr.h.11.mlp.c_fc.bias"),
        "{missing}"
    );
    let extra = changed(|listing| drop(listing.insert("tfmr.h.12.ln_1.weight".to_owned(), vec![768])));
    assert!(
        matches!(&extra, WeightError::Unknown { names, .. } if names == &["tfmr.h.12.ln_1.weight"]),
        "{extra}"
    );
    let misshapen = changed(|listing| listing.get_mut("speech_head.weight").unwrap().reverse());
    assert!(
        matches!(&misshapen, WeightError::Shape { tensor, .. } if tensor == "speech_head.weight"),
        "{misshapen}"
    );
}

/// So that the table above cannot be held against an empty file.
#[test]
fn the_listings_have_as_many_tensors_as_the_reference_counts() {
    for (name, count) in [
        ("t3_nano", 155),
        ("t3_turbo", 299),
        ("t3_cfg", 292),
        ("t3_mtl", 292),
        ("s3gen", 2490),
        ("s3gen_meanflow", 2491),
        ("ve", 16),
        ("perth", 59),
    ] {
        assert_eq!(listing(name).len(), count, "{name}");
    }
}
