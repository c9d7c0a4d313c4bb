//! Tails and quantiles of counts with finitely many values, as sums over all of them.
//!
//! All terms are positive, so that a sum has the relative error of its terms. A function costs as many log-probabilities
//! as there are values.

use crate::discrete::tails::{Tail, at_most_one, of_probability};
use crate::distribution::{check_parameter, log_unless_likely};
use crate::error::{DistributionError, DistributionResult};
use stochgrad_tape::{Condition, Var};
use stochgrad_tensor::{Real, Tensor};

/// The largest count up to which sums are formed.
const MOST: f64 = 1_048_576.0;

/// The log-probabilities of the counts from 0 to the largest one of all elements.
pub(crate) struct Summed<'t, F: Real> {
    /// The counts, along one axis.
    numbers: Var<'t, F>,
    /// Their log-probabilities: the axes of the elements, then the counts.
    logs: Var<'t, F>,
    /// The largest count of each element; NaN where a replay has a larger one than the recording.
    last: Var<'t, F>,
}

impl<'t, F: Real> Summed<'t, F> {
    /// The counts up to `last`, the parameter of a distribution with this name. `log_prob` gives the log-probabilities
    /// of counts along a last axis that the elements do not have, and −∞ beyond the largest count of an element.
    ///
    /// # Errors
    /// If the largest count is above 2²⁰, or if there is no room for the sum.
    pub(crate) fn new(
        distribution: &'static str,
        parameter: &'static str,
        last: Var<'t, F>,
        log_prob: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> DistributionResult<Self> {
        let (tape, last) = (last.tape(), last.stop_gradient());
        // The condition below holds in each run of a program, so that the number of terms may depend on the recording.
        let most = last.inspect()?.as_slice().iter().map(|n| n.to_f64()).fold(0.0, f64::max);
        if most > MOST {
            let problem = format!(
                "expected a number of values of at most {MOST} for a distribution function, which is a sum over them, \
                 got {most:e}; count samples"
            );
            return Err(DistributionError::Unsupported { distribution, problem });
        }
        let count = most as usize + 1;
        tape.check_memory("the values of a distribution", &last.plates(), last.shape().numel().saturating_mul(count))?;
        let hint = "record this step afresh: a distribution function is a sum over the values of the recording";
        let condition = Condition::Between { low: 0.0, high: most };
        check_parameter(distribution, parameter, last, "at most the largest number of the recording", hint, condition)?;
        let numbers = tape.constant(Tensor::from_fn([count], F::from_usize));
        let [most, unknown] = [most, f64::NAN].map(|number| tape.constant(number));
        let beyond = last.gt(most);
        let logs = beyond.unsqueeze(-1).select(unknown, log_prob(numbers));
        Ok(Summed { numbers, logs, last: beyond.select(unknown, last) })
    }

    /// A tail at counts of the support.
    pub(crate) fn tail(&self, count: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let at = count.unsqueeze(-1);
        let [zero, nothing] = [0.0, f64::NEG_INFINITY].map(|number| count.tape().constant(number));
        let (lower, upper) = (self.numbers.le(at), self.numbers.gt(at));
        let probability = |chosen: Var<'t, F>| at_most_one(chosen.select(self.logs.exp(), zero).sum_axis(-1));
        let log = |chosen: Var<'t, F>, others: Var<'t, F>| {
            log_unless_likely(chosen.select(self.logs, nothing).logsumexp(-1), probability(others))
        };
        match tail {
            Tail::Lower => probability(lower),
            Tail::Upper => probability(upper),
            Tail::LogLower => log(lower, upper),
            Tail::LogUpper => log(upper, lower),
        }
    }

    /// The entropies of the elements. All terms are positive.
    pub(crate) fn entropy(&self) -> Var<'t, F> {
        self.expectation(|_| -self.logs)
    }

    /// The expectations of a function of the counts.
    pub(crate) fn expectation(&self, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        // What is impossible, or has underflowed, has no part in it.
        let probability = self.logs.exp();
        let (impossible, zero) = (probability.held().le(probability.held() * 0.0), probability.tape().constant(0.0));
        let logs = impossible.select(zero, self.logs);
        let terms = logs.exp() * impossible.select(zero, function(self.numbers));
        impossible.select(zero, terms).sum_axis(-1)
    }

    /// The probabilities, with the counts along the last axis.
    pub(crate) fn probabilities(&self) -> Var<'t, F> {
        self.logs.exp()
    }

    /// The errors of sums of probabilities.
    fn rounding(&self) -> f64 {
        (8.0 + self.numbers.shape().numel() as f64) * F::EPSILON.to_f64()
    }

    /// The smallest count at which the distribution function reaches a probability, up to the rounding of the sums.
    pub(crate) fn quantile(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let sums = self.logs.exp().cumsum(-1) * (1.0 + self.rounding());
        let short = sums.lt(probability.unsqueeze(-1)).sum_axis(-1).minimum(self.last);
        let all = probability.ge(probability.tape().constant(1.0));
        of_probability(probability, all.select(self.last, short))
    }

    /// The smallest count at which the survival function falls to a probability, up to the rounding of the sums.
    pub(crate) fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let count = self.numbers.shape().numel();
        let reverse: Vec<usize> = (1..count).rev().collect();
        let beyond = self.logs.exp().index_select(-1, &reverse).cumsum(-1);
        let more = beyond.gt(probability.unsqueeze(-1) * (1.0 + self.rounding())).sum_axis(-1);
        let none = probability.le(probability.tape().constant(0.0));
        of_probability(probability, none.select(self.last, more.minimum(self.last)))
    }
}
