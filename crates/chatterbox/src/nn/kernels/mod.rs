//! The CPU's own kernels, for what burn-flex does slowly: channels-last convolutions without an unfolded copy, attention
//! that leaves the heads where they are, weights kept small for decoding, and vectorised functions of one number on all
//! threads.
//!
//! Everything here works on plain slices; [`host_values`] and [`host_tensor`] are the way in and out. On other devices the
//! layers of [`super`] use burn's operations instead, and tests hold the two against each other.

pub(super) mod attention;
pub(crate) mod compact;
pub(super) mod conv;
pub(crate) mod decoding;
pub(crate) mod linear;
mod matrix;
pub(super) mod pointwise;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData};

/// Work below this many numbers is done before a second thread has woken up.
const WORTH_SHARING: usize = 32 * 1024;

/// Whether tensors of this device lie in the program's own memory.
pub(crate) fn is_host(device: &Device) -> bool {
    Tensor::<1>::zeros([1], device).try_into_primitive::<Flex>().is_ok()
}

/// The tensor as contiguous values, if it lies in memory.
pub(crate) fn on_host<const D: usize>(x: &Tensor<D>) -> Option<FlexTensor> {
    Some(x.clone().try_into_primitive::<Flex>().ok()?.to_contiguous())
}

/// The tensor as contiguous values in memory.
///
/// # Panics
/// On other devices than the CPU: a layer whose weights are in memory was given a tensor that is not.
pub(crate) fn host_values<const D: usize>(x: Tensor<D>) -> FlexTensor {
    match x.try_into_primitive::<Flex>() {
        Ok(values) => values.to_contiguous(),
        Err(error) => panic!("the layer is on the CPU, its input is not: {error:?}"),
    }
}

/// Values, row-major, as a tensor on `device`, which is the CPU's.
pub(crate) fn host_tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
