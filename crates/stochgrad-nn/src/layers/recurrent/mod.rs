//! Recurrent layers.

mod gates;
mod gru;
mod lstm;
mod sequence;

pub use gru::{Gru, GruCell};
pub use lstm::{Lstm, LstmCell};
