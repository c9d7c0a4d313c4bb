//! The temperature of a relaxation.

use serde_json::{Value, json};

use crate::settings::float;

/// The temperature of a relaxation over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Annealing {
    /// At the first step.
    pub(crate) start: f64,
    /// At the last step.
    pub(crate) end: f64,
    /// The temperature of the derivative, if it differs.
    pub(crate) backward: Option<f64>,
}

impl Annealing {
    /// The form in a checkpoint, with strings for floats, like all floats there.
    pub(crate) fn to_json(self) -> Value {
        let numbers = [Some(self.start), Some(self.end), self.backward];
        json!(numbers.into_iter().flatten().map(|number| number.to_string()).collect::<Vec<_>>())
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let (start, end, backward) = match value.as_array()?.as_slice() {
            [start, end] => (start, end, None),
            [start, end, backward] => (start, end, Some(float(backward)?)),
            _ => return None,
        };
        Some(Self { start: float(start)?, end: float(end)?, backward })
    }
}
