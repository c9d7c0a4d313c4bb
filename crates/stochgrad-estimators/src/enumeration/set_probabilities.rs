//! The probabilities of the orders in which a set can be drawn without replacement: what estimators of unordered sets
//! have in common, for states that are listed and for sequences.
//!
//! The probability that the states of a set $S$ that are missing in $A \subset S$ follow it, in any order, is
//!
//! $$P(S \setminus A \mid A) = \sum_{s \in S \setminus A} \frac{p(s)}{m(A)}\, P(S \setminus (A \cup s) \mid A \cup s),
//!     \qquad m(A) = 1 - \sum_{a \in A} p(a).$$
//!
//! Divided by the product of the probabilities of the missing states, it is $q(A) = m(A)^{-1} \sum_s q(A \cup s)$, in
//! which no probability occurs but in the sums $m(A)$. Its logarithm is therefore finite for sequences whose
//! probabilities are below the smallest number.

use stochgrad_tape::{TapeResult, Var};
use stochgrad_tensor::Real;

/// The largest set. The sums over the orders of a larger one would take longer than enumeration.
pub(crate) const LARGEST: usize = 10;

/// The probabilities of the orders in which a set can be completed.
pub(crate) struct SetProbabilities<'t, F: Real> {
    /// $\ln q(A)$ for each subset, as a bit mask.
    completed: Vec<Var<'t, F>>,
}

impl<'t, F: Real> SetProbabilities<'t, F> {
    /// From the logarithms of the probabilities of the states of the set, and of that of all others together.
    pub(crate) fn new(logs: &[Var<'t, F>], log_rest: Var<'t, F>) -> TapeResult<Self> {
        let size = logs.len();
        let mut completed = vec![log_rest.tape().constant(0.0); 1 << size];
        for subset in (0..(1 << size) - 1).rev() {
            let missing = || (0..size).filter(|s| subset >> s & 1 == 0);
            let masses: Vec<Var<'t, F>> = missing().map(|s| logs[s]).chain([log_rest]).collect();
            let next: Vec<Var<'t, F>> = missing().map(|s| completed[subset | 1 << s]).collect();
            completed[subset] = log_sum(&next)? - log_sum(&masses)?;
        }
        Ok(SetProbabilities { completed })
    }

    /// $p(s)\, R(S, s)$, the weight of a state, with the leave-one-out ratio $R(S, s) = P(S \setminus s \mid s) / P(S)$.
    pub(crate) fn weight(&self, s: usize) -> Var<'t, F> {
        (self.completed[1 << s] - self.completed[0]).exp()
    }

    /// $p(s^\prime)\, R^{D \setminus s}(S, s^\prime)$, the weight of another state, given that $s$ was drawn first.
    pub(crate) fn weight_without(&self, s: usize, other: usize) -> Var<'t, F> {
        (self.completed[1 << s | 1 << other] - self.completed[1 << s]).exp()
    }

    /// For each state $s$, the estimate of $\mathbb{E}[f]$ by the set, given that $s$ was drawn first.
    pub(crate) fn baselines(
        &self,
        chances: &[Var<'t, F>],
        cost: impl Fn(usize) -> Var<'t, F>,
    ) -> TapeResult<Var<'t, F>> {
        let of = |s: usize| {
            let others = (0..chances.len()).filter(|&other| other != s);
            others.fold(chances[s] * cost(s), |sum, other| sum + self.weight_without(s, other) * cost(other))
        };
        Var::stack(&(0..chances.len()).map(of).collect::<Vec<_>>())
    }
}

/// The logarithm of a sum.
fn log_sum<'t, F: Real>(logs: &[Var<'t, F>]) -> TapeResult<Var<'t, F>> {
    match logs {
        [one] => Ok(*one),
        [one, other] => Ok(one.logaddexp(*other)),
        _ => Ok(Var::stack(logs)?.logsumexp(0)),
    }
}
