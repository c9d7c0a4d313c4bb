//! The distribution function and the survival function of whole numbers, and their logarithms, at any real argument.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// A tail of a distribution, or its logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// P(X ≤ x)
    Lower,
    /// P(X > x)
    Upper,
    /// ln P(X ≤ x)
    LogLower,
    /// ln P(X > x)
    LogUpper,
}

impl Tail {
    /// The values below the support, and from its last value on.
    fn ends(self) -> [f64; 2] {
        match self {
            Tail::Lower => [0.0, 1.0],
            Tail::Upper => [1.0, 0.0],
            Tail::LogLower => [f64::NEG_INFINITY, 0.0],
            Tail::LogUpper => [0.0, f64::NEG_INFINITY],
        }
    }

    /// The value of the tail where the distribution has no mass on the side of `Tail::Upper`.
    pub(crate) fn at_last(self) -> f64 {
        self.ends()[1]
    }

    /// The tail at `value`. `below` and `above` are 1 where the value is below the support, and where it is not below
    /// its last value. Between them the tail is `inside` of the value rounded down, and elsewhere `inside` gets the
    /// number `within`, so that its derivatives are finite.
    pub(crate) fn of<'t, F: Real>(
        self,
        value: Var<'t, F>,
        [below, above]: [Var<'t, F>; 2],
        within: Var<'t, F>,
        inside: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let outside = below + above + value.map(Map::IsNan);
        let [low, high] = self.ends().map(|end| value.tape().constant(end));
        let count = outside.select(within, value.floor());
        // NaN stays NaN.
        let elsewhere = above.select(high, below.select(low, value));
        outside.select(elsewhere, inside(count))
    }

    /// As [`of`](Self::of), for the counts 0, 1, …
    pub(crate) fn of_counts<'t, F: Real>(
        self,
        value: Var<'t, F>,
        inside: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let tape = value.tape();
        let zero = tape.constant(0.0);
        let above = value.ge(tape.constant(f64::INFINITY));
        self.of(value, [value.lt(zero), above], zero, inside)
    }
}

/// Writes the functions of `CumulativeDistribution` by a method `tail`.
macro_rules! tails {
    () => {
        fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
            self.tail(value, Tail::Lower)
        }

        fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
            self.tail(value, Tail::Upper)
        }

        fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
            self.tail(value, Tail::LogLower)
        }

        fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
            self.tail(value, Tail::LogUpper)
        }
    };
}

pub(crate) use tails;

/// A sum of probabilities without the rounding that takes it above 1; the derivative is that of the sum.
pub(crate) fn at_most_one<F: Real>(sum: Var<'_, F>) -> Var<'_, F> {
    sum - (sum.held() - 1.0).relu()
}

/// A quantile where the probability is one, else NaN.
pub(crate) fn of_probability<'t, F: Real>(probability: Var<'t, F>, quantile: Var<'t, F>) -> Var<'t, F> {
    probability.map(Map::Within(0.0, 1.0)).select(quantile, probability.tape().constant(f64::NAN))
}

/// A probability, increased by more than the error of distribution functions: the quantile of the result is the next
/// one where the probability is a value of the distribution function.
pub(crate) fn just_above<F: Real>(probability: Var<'_, F>) -> Var<'_, F> {
    let smaller = probability.minimum(1.0 - probability);
    let rounding = (2.0 * F::EPSILON.to_f64()).max(64.0 * f64::EPSILON);
    // What is above 1 stays so, and has no quantile.
    let most = probability.maximum(probability.tape().constant(1.0));
    (probability * (1.0 + rounding) + smaller * 4e-12).minimum(most)
}

#[cfg(test)]
mod tests;
