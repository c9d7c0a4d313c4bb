//! The chi-squared distribution: the sum of the squares of independent standard normal samples. It is the distribution
//! of sample variances and of many test statistics.
//!
//! $$p(x; \nu) = \frac{x^{\nu/2 - 1} e^{-x/2}}{2^{\nu/2}\,\Gamma(\nu/2)}, \quad x > 0, \quad \nu > 0.$$
//!
//! Parameter: `degrees_of_freedom` $\nu > 0$, not necessarily an integer; its shape is the event shape, and each
//! element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | that of the [gamma distribution](crate::Gamma) with concentration $\nu/2$ and rate $1/2$: order 2 |
//!
//! The weak derivative with respect to the degrees of freedom is half of that of the [gamma distribution](crate::Gamma)
//! by its concentration.

use crate::continuous::gamma::Gamma;
use crate::distribution::WeaklyReparameterized;
use crate::distribution::{WeakNoise, WeakPath};
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Sums of squares of standard normal samples, given by the degrees of freedom. Use it for sample variances.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Chi2};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Chi2::new(tape.constant(3.0));
    /// assert_eq!((distribution.mean().unwrap().item()?, distribution.variance().unwrap().item()?), (3.0, 6.0));
    /// # Ok(())
    /// # }
    /// ```
    pub struct Chi2 {
        /// The degrees of freedom.
        degrees_of_freedom: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
    }
    support: Positive
}

impl<'t, F: Real> Chi2<Var<'t, F>> {
    /// Sums of `degrees_of_freedom > 0` squares.
    pub fn new(degrees_of_freedom: Var<'t, F>) -> Self {
        Chi2 { degrees_of_freedom }
    }

    /// The same distribution as a gamma distribution.
    pub fn gamma(&self) -> Gamma<Var<'t, F>> {
        // The halves of the smallest numbers are not 0.
        Gamma::new((self.degrees_of_freedom * 0.5).map(Map::MaxScalar(F::MIN_POSITIVE.to_f64())), 0.5)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Chi2<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.gamma().log_prob_each(value)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.degrees_of_freedom)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.degrees_of_freedom * 2.0)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some((self.degrees_of_freedom - 2.0).relu())
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Chi2<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.gamma().cdf(value)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.gamma().survival(value)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.gamma().log_cdf(value)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.gamma().log_survival(value)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Chi2<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.gamma().icdf(probability)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.gamma().inverse_survival(probability)
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Chi2<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        self.gamma().weak_rsample(draw, noise)
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Chi2<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Chi2<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.gamma().rsample(draw)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Chi2<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let by_concentration = self.gamma().weak_derivative(0, sample, draw)?;
        Ok(by_concentration.map(|Alternatives { values, weights }| {
            let weights = weights.into_iter().map(|weight| weight * 0.5).collect();
            Alternatives { values, weights }
        }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Chi2<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.gamma().entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Chi2<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.gamma().kl_to(&other.gamma())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Chi2::new(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[3.4], Domain::HalfLine).with_weak_samples(20_000);
        distribution.assert_distribution(&[0.05, 1.7, 9.0], 71);
        assert_nothing_at(BUILD, &[3.4], 0.0);
        assert_nothing_at(BUILD, &[3.4], -1.0);
        for parameters in [[1e-3], [1.0], [1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Chi2::new(tape.constant(3.4)), Chi2::new(tape.constant(5.0)));
        distribution.assert_divergence(&[5.0], p.kl_to(&q).item().unwrap());
    }
}
