//! Primitives and samplers in terms of recorded operations, for back ends that cannot call their code.

use crate::tape::Tape;
use crate::var::Var;
use stochgrad_tensor::Real;

/// What a [`Primitive`](crate::Primitive) computes, as recorded operations.
/// [`Primitive::as_operations`](crate::Primitive::as_operations) returns it.
///
/// ```
/// use stochgrad_tape::{Description, Tape};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.parameter([1.0, -2.0]);
/// let description = Description::of(x.sqrt()).refusing(x.lt(tape.constant(0.0)), "expected numbers of at least 0");
/// assert_eq!(description.refusals[0].elements.peek()?.as_slice(), [0.0, 1.0]);
/// # Ok::<(), stochgrad_tape::TapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Description<'t, F: Real> {
    /// The value of the primitive.
    pub value: Var<'t, F>,
    /// The operands for which the primitive returns an error.
    pub refusals: Vec<Refusal<'t, F>>,
}

/// Operands for which a [`Primitive`](crate::Primitive) returns an error.
#[derive(Clone, Debug)]
pub struct Refusal<'t, F: Real> {
    /// 1 at elements that are refused, else 0.
    pub elements: Var<'t, F>,
    /// What was expected, and what to try.
    pub message: String,
}

impl<'t, F: Real> Description<'t, F> {
    /// A value for all operands.
    pub fn of(value: Var<'t, F>) -> Self {
        Description { value, refusals: Vec::new() }
    }

    /// Refuses operands where `elements` is 1.
    #[must_use]
    pub fn refusing(mut self, elements: Var<'t, F>, message: impl Into<String>) -> Self {
        self.refusals.push(Refusal { elements, message: message.into() });
        self
    }
}

/// The operands of one attempt of a [`Sampler`](crate::Sampler), as recorded values: the counterpart of
/// [`Attempt`](crate::Attempt). They have the shape of the draw, or broadcast to it.
#[derive(Clone, Debug)]
pub struct RecordedAttempt<'t, F: Real> {
    /// The tape.
    pub tape: &'t Tape<F>,
    /// The number of the attempt, from 0: a value without axes.
    pub number: Var<'t, F>,
    /// The parameters of the distribution.
    pub parameters: Vec<Var<'t, F>>,
    /// Uniform values in (0, 1) from each slot.
    pub uniforms: Vec<Var<'t, F>>,
    /// Standard normal samples from each slot and the next one, without one for the last slot.
    pub normals: Vec<Var<'t, F>>,
}

/// What an attempt of a [`Sampler`](crate::Sampler) proposes, as recorded values.
#[derive(Clone, Copy, Debug)]
pub struct RecordedProposal<'t, F: Real> {
    /// The proposed values.
    pub value: Var<'t, F>,
    /// 1 where the proposal is rejected, else 0.
    pub rejected: Var<'t, F>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_kept_in_their_order() {
        let tape = Tape::<f64>::new();
        let x = tape.parameter([0.5, -1.0]);
        let zero = tape.constant(0.0);
        let description = Description::of(x).refusing(x.lt(zero), "first").refusing(x.gt(zero), "second");
        let messages: Vec<&str> = description.refusals.iter().map(|refusal| refusal.message.as_str()).collect();
        assert_eq!(messages, ["first", "second"]);
        assert_eq!(description.refusals[1].elements.peek().unwrap().to_vec(), [1.0, 0.0]);
    }
}
