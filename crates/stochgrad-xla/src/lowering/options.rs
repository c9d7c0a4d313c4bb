//! How a program is lowered.

/// The precision of products of matrices and of convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// That of the device by default. Some GPUs round the factors of products in single precision.
    #[default]
    Default,
    /// Full precision.
    Highest,
}

/// How a program is lowered.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The precision of products of matrices and of convolutions.
    pub precision: Precision,
    /// The numbers of the outputs that must be finite.
    pub finite: Vec<usize>,
}
