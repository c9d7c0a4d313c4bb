//! Convolutions of signals and images, and pooling.

mod conv;
mod conv_kernel;
mod conv_transpose;
mod flatten;
mod kernel;
mod pool;

pub use conv::{Conv, Conv1d, Conv2d};
pub use conv_kernel::ConvKernel;
pub use conv_transpose::{ConvTranspose, ConvTranspose1d, ConvTranspose2d};
pub use flatten::Flatten;
pub use pool::{AvgPool, AvgPool1d, AvgPool2d, MaxPool, MaxPool1d, MaxPool2d};
