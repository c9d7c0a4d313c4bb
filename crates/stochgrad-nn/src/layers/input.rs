//! Inputs that do not fit a layer.

use std::panic::Location;

use stochgrad_graph::GraphError;
use stochgrad_tape::{TapeError, Var};
use stochgrad_tensor::Real;

/// The error of an input that does not fit. `layer` names the layer, and `problem` says what it expects.
pub(super) fn unfit<F: Real>(
    x: Var<'_, F>,
    layer: String,
    problem: String,
    at: &'static Location<'static>,
) -> GraphError {
    let plates = x.plates();
    let plates = if plates.is_empty() { String::new() } else { format!(", plates {}", x.tape().plate_names(&plates)) };
    TapeError::Operand { op: layer, problem, shape: x.shape(), plates, at }.into()
}

/// Checks the number of elements on the last event axis.
///
/// # Errors
///
/// If it is another one.
pub(super) fn expect_last<F: Real>(
    x: Var<'_, F>,
    size: usize,
    layer: impl FnOnce() -> String,
    at: &'static Location<'static>,
) -> Result<(), GraphError> {
    if x.shape().last() == Some(&size) {
        return Ok(());
    }
    Err(unfit(x, layer(), format!("expected {size} elements on the last event axis"), at))
}
