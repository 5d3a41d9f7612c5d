//! What a kept weight is and how it becomes an f32 again.
#![expect(
    clippy::inline_always,
    reason = "a call would leave the code that pulp compiles for wide vectors, and with it their speed"
)]

use pulp::{Arch, Simd, WithSimd};

use crate::nn::kernels::pointwise::SHIFT;

/// Weights that share a scale, and the granularity to which rows are padded.
pub(super) const BLOCK: usize = 64;

/// A kept weight.
pub(super) trait Element: Copy + Send + Sync {
    /// Whether each block has a scale, with which its sums are multiplied.
    const SCALED: bool;

    fn wide(self) -> f32;
}

impl Element for f32 {
    const SCALED: bool = false;

    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
}

impl Element for half::bf16 {
    const SCALED: bool = false;

    /// `half`'s own conversion tells kinds of NaN apart, which costs the vector code; weights are numbers.
    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Element for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from(self)
    }
}

/// Rounds up to a block to integers of −127 to 127; returns what they are to be multiplied with.
pub(super) fn quantise(values: &[f32], out: &mut [i8]) -> f32 {
    let mut block = [0.0; BLOCK];
    block[..values.len()].copy_from_slice(values);
    // As many maxima as vectors have lanes; `f32::max` would keep the compiler from using them.
    let mut largest = [0.0_f32; 16];
    for piece in block.as_chunks::<16>().0 {
        for (largest, value) in largest.iter_mut().zip(piece) {
            *largest = if value.abs() > *largest { value.abs() } else { *largest };
        }
    }
    let largest = largest.into_iter().fold(0.0, f32::max);
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (out, value) in out.iter_mut().zip(block) {
        *out = (value * inverse + SHIFT).to_bits() as i8;
    }
    largest / 127.0
}

/// Turns whole blocks into f32.
pub(super) fn widen<E: Element>(arch: Arch, elements: &[E], scales: &[f32], out: &mut [f32]) {
    arch.dispatch(Widen { elements, scales, out });
}

struct Widen<'a, E> {
    elements: &'a [E],
    scales: &'a [f32],
    out: &'a mut [f32],
}

impl<E: Element> WithSimd for Widen<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let blocks = self.out.as_chunks_mut::<BLOCK>().0.iter_mut().zip(self.elements.as_chunks::<BLOCK>().0);
        for (index, (out, elements)) in blocks.enumerate() {
            let scale = if E::SCALED { self.scales[index] } else { 1.0 };
            for (out, element) in out.iter_mut().zip(elements) {
                *out = element.wide() * scale;
            }
        }
    }
}
