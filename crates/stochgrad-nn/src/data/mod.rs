//! Data sets of small images, and minibatches of them.
//!
//! [`Digits`] needs no download. [`mnist`] reads MNIST and data sets in the same file format. [`Images`] convert to
//! tensors of intensities or of thresholded pixels, and [`binarize`] draws binary pixels from intensities. The order of
//! [`Minibatches`] depends only on the seed and the epoch, so that an interrupted run resumes with the same batches.

mod binarize;
mod digits;
mod idx;
mod images;
mod minibatches;
pub mod mnist;
mod npy;
mod rows;

pub use binarize::binarize;
pub use digits::Digits;
pub use idx::{IdxImages, read_idx_images, read_idx_labels, read_idx_pair, write_idx_images, write_idx_labels};
pub use images::Images;
pub use minibatches::{Epoch, Minibatches};
pub use npy::{read_npy, write_npy};
pub use rows::{rows, rows_into};
