//! The zeta distribution, which is Zipf's distribution with infinitely many ranks: the rank of a word in a language
//! without a last word, the size of a cascade or the degree of a node in a network, where frequencies fall as a power.
//!
//! $$P(X = k; s) = \frac{k^{-s}}{\zeta(s)}, \quad k \in \{1, 2, \dots\}, \quad s > 1, \quad
//! \zeta(s) = \sum_{j=1}^\infty j^{-s}.$$
//!
//! Parameter: `exponent` $s$, at least 17/16 in `f64` and 5/4 in `f32`; its shape is the event shape, and each element is
//! an independent value. Support: $1, 2, \dots$ Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | $-\ln x$ less its mean, any order |
//! | entropy | $\ln\zeta(s) - s\,\zeta'(s)/\zeta(s)$, any order |
//! | distribution function | quotients of sums of powers; its inverse by three steps of Newton's method |
//!
//! The sums of powers, and the derivatives of $\zeta$, are a few terms and the formula of Euler and Maclaurin for the
//! others, at any exponent. Distribution and survival function and their logarithms keep their digits in both tails: the
//! relative error is a few roundings, and that of the exponent times the logarithm of the value. The mean is infinite for
//! $s \le 2$, and the variance for $s \le 3$.
//!
//! The tail is so heavy near $s = 1$ that samples exceed the largest number $M$ of a type: $P(X > M)$ is about
//! $M^{1 - s}$. Smaller exponents than the stated ones are refused, so that this probability is at most $2^{-64}$ in `f64`
//! and $2^{-32}$ in `f32`, the resolution of the noise; such a sample is $M$ itself. Use [`Zipf`](crate::Zipf), with a
//! finite number of ranks, below them. A sample above $2^{53}$, or $2^{24}$ in `f32`, is rounded to a number of the type,
//! all of which are integers there, and thus values of the distribution. The logarithm of such a sample, and its score,
//! have no larger error than other logarithms.
//!
//! Samples are drawn by rejection, and with a sampling scheme by the quantile function, which on a large plate takes a few
//! microseconds and 5 kB for each element.
//!
//! The weak derivative has no simple sampler: its positive part is the product of the sample and an independent power of
//! a prime number.

mod ranks;
mod sums;

use crate::discrete::tails::{Tail, of_probability, tails};
use crate::discrete::zeta::ranks::Ranks;
use crate::discrete::zeta::sums::{SumFrom, sum_from, sum_from_two};
use crate::distribution::{IntegerSupport, above, log_unless_likely};
use crate::prelude::*;
use std::f64::consts::LN_2;
use std::sync::Arc;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

distribution! {
    /// Positive integers whose probabilities fall as a power, given by the exponent.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Zeta};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let rank = Zeta::new(tape.constant(2.0));
    /// // 6/π², the probability that two numbers have no common divisor.
    /// let expected = 6.0 / std::f64::consts::PI.powi(2);
    /// assert!((rank.log_prob(tape.constant(1.0)).item()?.exp() - expected).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Zeta {
        /// The exponent.
        exponent: exponent.with_path(SamplePath::None),
    }
    support: Counts
}

/// The least exponent: a sample is above the largest number of the type with a probability of at most 2 to the power of
/// minus the number of its bits.
fn least<F: Real>() -> f64 {
    let bits = 8.0 * size_of::<F>() as f64;
    1.0 + bits / F::MAX.to_f64().log2().round()
}

/// Checks an exponent.
fn exponent<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let expected = match size_of::<F>() {
        4 => "a finite number, in single precision at least 5/4",
        _ => "a finite number, at least 17/16",
    };
    let hint = "samples would exceed the largest number of the type: use Zipf, with a finite number of ranks, or more \
                precision";
    let condition = Condition::AtLeast { low: least::<F>(), below: f64::INFINITY };
    check_parameter(distribution, parameter, var, expected, hint, condition)
}

impl<'t, F: Real> Zeta<Var<'t, F>> {
    /// Positive integers whose probabilities fall with the power `exponent`, at least 17/16 in `f64` and 5/4 in `f32`.
    pub fn new(exponent: Var<'t, F>) -> Self {
        Zeta { exponent }
    }

    /// ζ(s) − 1.
    fn others(&self) -> Var<'t, F> {
        sum_from_two(self.exponent, 0)
    }

    /// The mean of ln X, and its variance.
    fn moments_of_log(&self) -> [Var<'t, F>; 2] {
        let total = self.others() + 1.0;
        let [first, second] = [1, 2].map(|order| sum_from_two(self.exponent, order) / total);
        [first, second - first.square()]
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let exponents = draw.parameter(self.exponent, &event)?;
        // The counts of the source begin at 0.
        let ranks = draw.invert(&event, &|element, k| {
            let (s, first) = (exponents.as_slice()[element].to_f64(), k as f64 + 2.0);
            1.0 - first.powf(1.0 - s) * sum_from(s, first) / sum_from(s, 1.0)
        })?;
        Ok(ranks.map(|rank| rank + F::ONE))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Zeta<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let one = value.tape().constant(1.0);
        let whole = value.equal(value.floor()) * value.map(Map::Within(1.0, F::MAX.to_f64()));
        // NaN stays NaN.
        let elsewhere = value.map(Map::MinScalar(f64::NEG_INFINITY));
        let inside = -(self.exponent * whole.select(value, one).ln()) - self.others().log1p();
        whole.select(inside, elsewhere)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.tape()?, self.event_shape());
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let ranks = match draw.has_scheme() {
            true => {
                let noise = draw.record_noise(tape, Fill::Mirrored, &event)?;
                self.inverse_survival(noise).map(Map::MinScalar(F::MAX.to_f64()))
            }
            false => draw.record_draw(tape, Arc::new(Ranks), &[self.exponent], &event)?,
        };
        Ok(ranks.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        let (finite, tape) = (above(self.exponent, 2.0), self.exponent.tape());
        let safe = finite.select(self.exponent, tape.constant(3.0));
        let mean = (sum_from_two(safe - 1.0, 0) + 1.0) / (sum_from_two(safe, 0) + 1.0);
        Some(finite.select(mean, tape.constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (finite, tape) = (above(self.exponent, 3.0), self.exponent.tape());
        let safe = finite.select(self.exponent, tape.constant(4.0));
        // The moments of X − 1, from sums without their first term: what is common to both moments of X cancels.
        let [total, first, second] = [0.0, 1.0, 2.0].map(|power| sum_from_two(safe - power, 0));
        let (mean, square) = ((first - total) / (total + 1.0), (second - first * 2.0 + total) / (total + 1.0));
        Some(finite.select(square - mean.square(), tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.exponent.held() * 0.0 + 1.0)
    }

    capabilities!();
}

impl<'t, F: Real> Zeta<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let one = tape.constant(1.0);
        tail.of(value, [value.lt(one), value.ge(tape.constant(f64::INFINITY))], one, |count| {
            let (first, others) = (count + 1.0, self.others());
            let sum = SumFrom::new(self.exponent, first).value();
            let survival = first.pow(1.0 - self.exponent) * sum / (others + 1.0);
            match tail {
                Tail::Lower => 1.0 - survival,
                Tail::Upper => survival,
                Tail::LogLower => (-survival).log1p(),
                Tail::LogUpper => {
                    let log = sum.ln() - (self.exponent - 1.0) * first.ln() - others.log1p();
                    log_unless_likely(log, 1.0 - survival)
                }
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Zeta<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for Zeta<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

/// Steps of Newton's method in ln a, before one in a. From where they start, the error after all of them is a rounding.
const STEPS: usize = 2;

impl<'t, F: Real> QuantileFunction<'t, F> for Zeta<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // Half the distance of numbers near 1, by which a value of the distribution function has rounded.
        let rounding = probability.lt(probability.tape().constant(1.0)) * (0.25 * F::EPSILON.to_f64());
        of_probability(
            probability,
            self.inverse_survival((1.0 - probability + rounding).minimum(probability * 0.0 + 1.0)),
        )
    }

    /// From the real number a at which the sum of all powers from a on is this share of ζ(s): the quantile is the largest
    /// integer below a. Infinite where it is above the largest number of the type.
    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let (tape, s) = (probability.tape(), self.exponent);
        let (excess, others) = (s - 1.0, self.others());
        let [zero, half, largest] = [0.0, -LN_2, F::MAX.to_f64().ln() - 2.0].map(|number| tape.constant(number));
        let target = probability.ln() + others.log1p();
        // For a far above s, the sum is the integral from a − 1/2 on; far below it is its first term.
        let far = (-(target + excess.ln()) / excess).zip(Zip::LogAddExp, half);
        let begin = far.maximum(-target / s).maximum(zero);
        let near = (0..STEPS).fold(begin.minimum(largest), |log, _| {
            let sum = SumFrom::new(s, log.exp());
            let value = sum.value();
            let step = (value.ln() - excess * log - target) * value / sum.slope();
            (log + step).maximum(zero).minimum(largest)
        });
        // The last step has no logarithm of the probability, whose rounding would count.
        let first = near.exp();
        let sum = SumFrom::new(s, first);
        let value = sum.value();
        let share = first.pow(-excess) * value / (others + 1.0) / probability;
        let solution = first * (share.ln() * value / sum.slope()).exp();
        // Reduced by the rounding error, so that the quantile of the distribution function at k is k.
        let rounding = (excess.recip() + 1.0) * (8.0 * F::EPSILON.to_f64());
        let count = ((solution * (1.0 - rounding)).ceil() - 1.0).map(Map::MaxScalar(1.0));
        of_probability(probability, begin.gt(largest).select(begin.exp().floor(), count))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Zeta<Var<'t, F>> {}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Zeta<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let others = self.others();
        (others.log1p() + self.exponent * sum_from_two(self.exponent, 1) / (others + 1.0)).sum()
    }
}

/// The nodes of Gauss and Legendre on (0, 1) and their weights, each for the node and for its mirror image.
const NODES: [(f64, f64); 4] = [
    (0.019_855_071_751_231_856, 0.050_614_268_145_188_13),
    (0.101_666_761_293_186_63, 0.111_190_517_226_687_24),
    (0.237_233_795_041_835_5, 0.156_853_322_938_943_64),
    (0.408_282_678_752_175_1, 0.181_341_891_689_181),
];

impl<'t, F: Real> KlDivergence<'t, F> for Zeta<Var<'t, F>> {
    /// For nearly equal exponents, where the terms of the usual formula cancel, with d their difference, d² times the
    /// integral of (1 − u) times the variance of ln X at the exponent s + d u, for u from 0 to 1.
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (tape, difference) = (self.exponent.tape(), other.exponent - self.exponent);
        let least = self.exponent.minimum(other.exponent).held() - 1.0;
        let close = above(least / (least + 2.0) - difference.held().abs(), 0.0);
        let [mean, _] = self.moments_of_log();
        let usual = difference * mean + other.others().log1p() - self.others().log1p();
        let node = |at: usize| if at < 4 { NODES[at].0 } else { 1.0 - NODES[7 - at].0 };
        let numbers = |of: &dyn Fn(usize) -> f64| tape.constant(Tensor::from_fn([8], |at| F::from_f64(of(at))));
        let nodes = numbers(&node);
        let weights = numbers(&|at| NODES[at.min(7 - at)].1 * (1.0 - node(at)));
        let small = close.select(difference, tape.constant(0.0));
        let between = Zeta::new(self.exponent.unsqueeze(-1) + small.unsqueeze(-1) * nodes);
        let [_, variances] = between.moments_of_log();
        close.select(small.square() * (variances * weights).sum_axis(-1), usual).sum()
    }
}

#[cfg(test)]
mod tests;
