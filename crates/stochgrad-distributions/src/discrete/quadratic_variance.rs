//! Distributions of counts whose variance is a quadratic function of their mean.
//!
//! $$\operatorname{Var} = V(\mu) = \mu + v \mu^2$$
//!
//! | distribution | curvature $v$ |
//! |---|---|
//! | Poisson | 0 |
//! | Bernoulli | −1 |
//! | binomial with $n$ trials | $-1/n$ |
//! | geometric | 1 |
//! | negative binomial with $r$ successes | $1/r$ |
//!
//! They are the natural exponential families of counts with this property (Morris 1982, "Natural exponential families
//! with quadratic variance functions"): all central moments, and the polynomials that are orthogonal under the
//! distribution, follow from the mean and the curvature.

use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::geometric::Geometric;
use crate::discrete::negative_binomial::NegativeBinomial;
use crate::discrete::poisson::Poisson;
use crate::distribution::Distribution;
use crate::distribution::QuadraticVariance;
use crate::error::{DistributionError, DistributionResult};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

fn too_few(distribution: &'static str, expected: usize, found: usize) -> DistributionError {
    DistributionError::Unsupported {
        distribution,
        problem: format!(
            "expected at least {expected} values, got an element with {found}; lower the degree, or use an unbiased \
             method"
        ),
    }
}

impl<'t, F: Real> QuadraticVariance<'t, F> for Poisson<Var<'t, F>> {
    fn curvature(&self) -> Var<'t, F> {
        self.rate() * 0.0
    }
}

impl<'t, F: Real> QuadraticVariance<'t, F> for Bernoulli<Var<'t, F>> {
    fn curvature(&self) -> Var<'t, F> {
        self.probabilities() * 0.0 - 1.0
    }

    fn check_states(&self, states: usize) -> DistributionResult<()> {
        if states > 2 { Err(too_few(self.name(), states, 2)) } else { Ok(()) }
    }
}

impl<'t, F: Real> QuadraticVariance<'t, F> for Binomial<Var<'t, F>> {
    fn curvature(&self) -> Var<'t, F> {
        // Without a trial the mean is 0, so that the curvature has no effect.
        -self.trials().maximum(self.trials() * 0.0 + 1.0).recip()
    }

    fn check_states(&self, states: usize) -> DistributionResult<()> {
        let trials = self.trials().inspect()?;
        let few = trials.as_slice().iter().map(|n| n.to_f64()).find(|&n| n > 0.0 && n + 1.0 < states as f64);
        few.map_or(Ok(()), |n| Err(too_few(self.name(), states, n as usize + 1)))
    }
}

impl<'t, F: Real> QuadraticVariance<'t, F> for Geometric<Var<'t, F>> {
    fn curvature(&self) -> Var<'t, F> {
        self.probabilities() * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuadraticVariance<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn curvature(&self) -> Var<'t, F> {
        self.successes().recip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn variances_are_quadratic_in_the_mean() {
        let tape = Tape::<f64>::new();
        let p = tape.constant([0.2, 0.7]);
        let check = |distribution: &dyn QuadraticVariance<'_, f64>| {
            let (mean, variance) = (distribution.mean().unwrap(), distribution.variance().unwrap());
            let expected = mean + distribution.curvature() * mean.square();
            let difference = (variance - expected).peek().unwrap();
            assert!(difference.as_slice().iter().all(|x| x.abs() < 1e-12), "{}: {difference:?}", distribution.name());
            assert!(distribution.capabilities().quadratic_variance.is_some());
        };
        check(&Poisson::from_rate(p));
        check(&Bernoulli::from_probabilities(p));
        check(&Binomial::from_probabilities(tape.constant([0.0, 5.0]), p));
        check(&Geometric::from_probabilities(p));
        check(&NegativeBinomial::from_logits(2.5, p));
    }
}
