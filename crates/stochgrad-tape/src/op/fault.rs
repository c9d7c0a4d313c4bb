//! The reason why the operands of an operation do not fit.

use crate::error::TapeError;
use crate::op::Op;
use std::panic::Location;
use stochgrad_tensor::Shape;

/// The reason why operands do not fit. It becomes a [`TapeError`] once the line of the user is known.
pub(crate) enum Fault {
    Broadcast { left: Shape, right: Shape, plates: String },
    Operand { problem: String, shape: Shape, plates: String },
}

impl Fault {
    pub(crate) fn into_error(self, op: &Op, at: &'static Location<'static>) -> TapeError {
        let op = op.to_string();
        match self {
            Fault::Broadcast { left, right, plates } => TapeError::Shapes { op, left, right, plates, at },
            Fault::Operand { problem, shape, plates } => TapeError::Operand { op, problem, shape, plates, at },
        }
    }
}
