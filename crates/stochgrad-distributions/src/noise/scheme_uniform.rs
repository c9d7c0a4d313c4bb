//! Where a sampling scheme moves a uniform sample.

use stochgrad_tensor::sampling_scheme::Place;

/// The number of an element by a [`SamplingScheme`](stochgrad_tensor::sampling_scheme::SamplingScheme): a number of
/// some layout, moved to its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SchemeUniform {
    /// The position in the layout.
    pub base: usize,
    /// Where it goes.
    pub place: Place,
}
