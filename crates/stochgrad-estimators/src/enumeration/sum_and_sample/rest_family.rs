//! The distributions that a method inside [`SumAndSample`](crate::SumAndSample) can get for the states that are left.

use stochgrad_distributions::{Categorical, Family, Id, OneHotCategorical};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// A categorical distribution, of vectors or of numbers.
pub trait RestFamily<F: Real>: Family<F> {
    /// The distribution with these logits.
    fn from_logits<'t>(logits: Var<'t, F>) -> Self::On<'t>;

    /// The one-hot vectors of values.
    fn vectors(value: Var<'_, F>, states: usize) -> Var<'_, F>;

    /// The values of one-hot vectors.
    fn value(vectors: Var<'_, F>) -> Var<'_, F>;
}

impl<F: Real> RestFamily<F> for OneHotCategorical<Id> {
    fn from_logits<'t>(logits: Var<'t, F>) -> OneHotCategorical<Var<'t, F>> {
        OneHotCategorical::from_logits(logits)
    }

    fn vectors(value: Var<'_, F>, _states: usize) -> Var<'_, F> {
        value
    }

    fn value(vectors: Var<'_, F>) -> Var<'_, F> {
        vectors
    }
}

impl<F: Real> RestFamily<F> for Categorical<Id> {
    fn from_logits<'t>(logits: Var<'t, F>) -> Categorical<Var<'t, F>> {
        Categorical::from_logits(logits)
    }

    fn vectors(value: Var<'_, F>, states: usize) -> Var<'_, F> {
        value.one_hot(states)
    }

    fn value(vectors: Var<'_, F>) -> Var<'_, F> {
        let states = vectors.shape().numel();
        (vectors * vectors.tape().constant(Tensor::from_fn([states], F::from_usize))).sum()
    }
}
