//! Runs of the trainer: resumed, killed and asked to end; their evaluations and their errors.

mod common;
mod errors;
mod evaluation;
#[cfg(unix)]
mod kill;
mod resume;
mod warnings;
