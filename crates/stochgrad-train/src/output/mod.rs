//! Files and displays of a training run.
//!
//! The [observers](crate::Observer) can be used with a training loop of your own.

#[cfg(feature = "plots")]
mod curves;
mod folder;
mod graph_drawing;
mod history;
mod metrics_file;
#[cfg(feature = "images")]
mod picture;
#[cfg(feature = "progress")]
mod progress;
mod summary;
mod tensorboard;
mod totals_file;

#[cfg(feature = "plots")]
pub use curves::save_curves;
pub use folder::RunFolder;
pub use graph_drawing::graph_svg;
pub use history::{History, Part};
pub use metrics_file::MetricsFile;
#[cfg(feature = "images")]
pub use picture::{ImageGrid, Picture};
#[cfg(feature = "progress")]
pub use progress::ProgressBar;
pub use summary::{add_results, save_summary};
pub use tensorboard::TensorBoard;
pub use totals_file::TotalsFile;
