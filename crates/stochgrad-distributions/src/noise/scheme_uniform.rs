//! Where a sampling scheme moves a uniform sample.

use stochgrad_tensor::sampling_scheme::Place;

/// The uniform sample of an element in a [`SamplingScheme`](stochgrad_tensor::sampling_scheme::SamplingScheme): a
/// sample of some layout, moved to its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SchemeUniform {
    /// The position of the sample in the layout.
    pub base: usize,
    /// Where the scheme moves it.
    pub place: Place,
}
