//! Data sets of small images, and minibatches of them.
//!
//! [`Digits`] needs no download; [`mnist`] reads MNIST and the sets that share its file format. [`Images`] turns into
//! tensors, of intensities or of thresholded pixels; [`binarize`] draws Bernoulli pixels afresh. [`Minibatches`]
//! shuffles by seed and epoch alone, so that an interrupted run goes on with the batches that it would have seen.

mod binarize;
mod digits;
mod idx;
mod images;
mod minibatches;
pub mod mnist;
mod rows;

pub use binarize::binarize;
pub use digits::Digits;
pub use idx::{IdxImages, read_idx_images, read_idx_labels, read_idx_pair, write_idx_images, write_idx_labels};
pub use images::Images;
pub use minibatches::{Epoch, Minibatches};
pub use rows::rows;
