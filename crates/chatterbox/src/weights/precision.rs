//! How exactly the weights of the token model are kept in the CPU's memory.
//!
//! Decoding a token reads every weight once and does little else, so it is as quick as the weights are small. Sums are f32
//! in every case; only the weights themselves are rounded. docs/PERFORMANCE.md says what each costs in closeness.

use std::fmt;
use std::str::FromStr;

/// What a weight is rounded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As published. The parity tests run with this one.
    #[default]
    F32,
    /// The upper half of an f32: 8 significant bits.
    Bf16,
    /// Eight-bit integers in blocks of 64 inputs with a scale each.
    Int8,
}

/// The words for it.
pub const NAMES: [&str; 3] = ["f32", "bf16", "int8"];

impl Precision {
    /// What is best for a network of so many weights, where nobody asks for another: small ones lie in the processor's cache
    /// and would gain little. The measurements behind it are in docs/PERFORMANCE.md.
    pub fn for_weights(count: usize) -> Self {
        const IN_CACHE: usize = 10_000_000;
        if count > IN_CACHE { Self::Int8 } else { Self::F32 }
    }

    /// What so many weights take.
    pub fn bytes_for(self, count: usize) -> usize {
        match self {
            Self::F32 => 4 * count,
            Self::Bf16 => 2 * count,
            // A scale of four bytes for each 64.
            Self::Int8 => count + count / 16,
        }
    }
}

/// There is no such precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no precision called {0:?}; use one of {names}", names = NAMES.join(", "))]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "f32" => Self::F32,
            "bf16" => Self::Bf16,
            "int8" => Self::Int8,
            _ => return Err(UnknownPrecision(name.to_owned())),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_advertised_name_is_understood_and_others_are_refused_with_the_list() {
        for name in NAMES {
            let precision: Precision = name.parse().unwrap();
            assert_eq!(precision.to_string(), name);
        }
        let message = "int4".parse::<Precision>().unwrap_err().to_string();
        assert!(message.contains("f32, bf16, int8"), "{message}");
    }
}
