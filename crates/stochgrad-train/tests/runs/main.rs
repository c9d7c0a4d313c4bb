//! Runs of the trainer: resumed, killed and asked to end; their evaluations and their errors.

mod common;
mod device;
mod errors;
mod evaluation;
#[cfg(unix)]
mod kill;
mod ranks;
mod resume;
mod warnings;
