//! The random part of a value that a backward pass keeps.

use stochgrad_graph::{GraphResult, Guarantee, Order};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::record::Record;

/// The fraction of the rows or the units that a backward pass keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KeptFraction(f64);

// It is never NaN.
impl Eq for KeptFraction {}

impl KeptFraction {
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the fraction is outside (0, 1].
    pub(super) fn new(fraction: f64, argument: &'static str, layer: &str) -> NnResult<Self> {
        if fraction > 0.0 && fraction <= 1.0 {
            return Ok(Self(fraction));
        }
        Err(NnError::argument(
            argument,
            "a fraction in (0, 1]",
            format!("{fraction} for layer `{layer}`"),
            "pass the fraction that the backward pass keeps, for instance 0.1",
        ))
    }

    /// The number that is kept, at least one.
    pub(super) fn of(self, size: usize) -> usize {
        ((self.0 * size as f64).round() as usize).max(1)
    }

    /// Random positions below `size`; `None` if all are kept.
    pub(super) fn positions<'t, F: Real>(
        self,
        record: &Record<'_, 't, F>,
        address: &str,
        size: usize,
    ) -> GraphResult<Option<Var<'t, F>>> {
        let count = self.of(size);
        if count >= size {
            return Ok(None);
        }
        record.graph().subset(address, count, size).map(Some)
    }
}

/// States that a value has estimated derivatives, which are those of random rows or units.
pub(super) fn limit_order<'t, F: Real>(record: &Record<'_, 't, F>, value: Var<'t, F>, kept: &str) {
    let because = format!("the backward pass keeps random {kept}, whose derivatives are estimated once only");
    record.graph().qualify(&[value], Guarantee::unbiased(Order::Finite(1)), because);
}
