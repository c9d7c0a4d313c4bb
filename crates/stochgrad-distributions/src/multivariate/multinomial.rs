//! The multinomial distribution: how often each category came in n trials.
//!
//! $$P(X = x; n, p) = \frac{n!}{\prod_k x_k!} \prod_k p_k^{x_k}, \quad \sum_k x_k = n.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | weak derivative | one trial moves: constant $n$, $X - e_I + e_k$ for every $k$, with the derivatives of $p_k$, $I$ the category of a trial of $X$ |
//!
//! The weak derivative: choose one of the n trials. Its category has the derivatives of a categorical distribution, and
//! the other trials do not matter. Given $X$, the chosen trial has category $i$ with probability $X_i/n$.

use crate::distribution::whole;
use crate::family;
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::parameter::probability::check_sample;
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::special::binomial_cdf;

/// Counts of categories in a number of trials, by probabilities or logits along the last axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, Multinomial};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let votes = Multinomial::from_probabilities(3.0, tape.constant([0.5, 0.3, 0.2]));
/// let probability = votes.log_prob(tape.constant([1.0, 1.0, 1.0])).item()?.exp();
/// assert!((probability - 6.0 * 0.5 * 0.3 * 0.2).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Multinomial<V> {
    trials: V,
    parameter: ProbabilitiesOrLogits<V>,
}

impl<V> Multinomial<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Multinomial<W>, E> {
        Ok(Multinomial { trials: f(&self.trials)?, parameter: self.parameter.try_map(f)? })
    }
}

family!(Multinomial);

impl<'t, F: Real> Multinomial<Var<'t, F>> {
    /// Counts in `trials` trials, for each independent element, of categories with these logits.
    pub fn from_logits(trials: impl IntoVar<'t, F>, logits: Var<'t, F>) -> Self {
        Multinomial { trials: trials.into_var(logits.tape()), parameter: ProbabilitiesOrLogits::Logits(logits) }
    }

    /// Counts in `trials` trials, for each independent element, of categories with these probabilities.
    pub fn from_probabilities(trials: impl IntoVar<'t, F>, probabilities: Var<'t, F>) -> Self {
        let trials = trials.into_var(probabilities.tape());
        Multinomial { trials, parameter: ProbabilitiesOrLogits::Probabilities(probabilities) }
    }

    /// The number of trials.
    pub fn trials(&self) -> Var<'t, F> {
        self.trials
    }

    /// The probabilities of the categories.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probabilities()
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }

    /// Trials and probabilities on the plates of a request.
    fn tables(&self, draw: &Draw<'_, F>) -> DistributionResult<(Tensor<F>, Tensor<F>)> {
        let trials = draw.parameter(self.trials, &self.independent())?;
        Ok((trials, draw.parameter(self.parameter.probabilities(), &self.event_shape())?))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Multinomial<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Multinomial"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let trials =
            Parameter::smooth("trials", self.trials).with_score(Smoothness::Constant).with_path(SamplePath::None);
        smallvec![self.parameter.parameter(), trials]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.trials.unsqueeze(-1), self.parameter.var()])
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::CountVectors(self.parameter.count())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // Independent Poisson counts with the same means, given their total: large factorials cancel inside of each.
        let tape = value.tape();
        let trials = self.trials.stop_gradient();
        let fits = value.sum_axis(-1).equal(trials);
        let wide = trials.unsqueeze(-1);
        let each = match self.parameter {
            ProbabilitiesOrLogits::Probabilities(p) => special::poisson_log_pmf(value, p * wide),
            ProbabilitiesOrLogits::Logits(_) => {
                special::poisson_log_pmf_by_log(value, self.parameter.finite_logs() + wide.ln())
            }
        };
        let log = each.sum_axis(-1) - special::poisson_log_pmf(trials, trials);
        fits.select(log, tape.constant(f64::NEG_INFINITY))
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (trials, p) = self.tables(draw)?;
        let (event, independent, count) = (self.event_shape(), self.independent(), self.parameter.count());
        let mut value = Tensor::zeros(draw.shape(&event));
        let mut left = trials;
        // One category after the other, each given those before it.
        for k in 0..count {
            let share = |element: usize| {
                let row = &p.as_slice()[element * count..(element + 1) * count];
                let rest: f64 = row[k..].iter().map(|p| p.to_f64()).sum();
                if k + 1 == count || rest <= 0.0 { 1.0 } else { (row[k].to_f64() / rest).min(1.0) }
            };
            let counts = draw.purpose(&format!("category {k}")).invert(&independent, &|element, x| {
                binomial_cdf(x as f64, left.as_slice()[element].to_f64(), share(element))
            })?;
            for (element, &found) in counts.as_slice().iter().enumerate() {
                value.make_mut()[element * count + k] = found;
                left.make_mut()[element] = left.as_slice()[element] - found;
            }
        }
        Ok(value)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.probabilities() * self.trials.unsqueeze(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.parameter.probabilities();
        Some(p * (1.0 - p) * self.trials.unsqueeze(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        whole("Multinomial", "trials", self.trials, 1)?;
        self.parameter.validate("Multinomial")
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Multinomial<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Multinomial<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let (trials, p) = self.tables(draw)?;
        check_sample("Multinomial", sample, p.shape())?;
        let count = self.parameter.count();
        // The category of one of the trials.
        let chosen = draw.purpose("trial").categorical(&self.independent(), sample)?;
        let moved = |to: usize| {
            Tensor::from_fn(sample.shape().clone(), |at| {
                let from = chosen.as_slice()[at / count].to_f64() as usize;
                let change = |k: usize| if at % count == k { F::ONE } else { F::ZERO };
                sample.as_slice()[at] + change(to) - change(from)
            })
        };
        let weights = self.parameter.all_categories(&p).weights;
        let scaled = weights.into_iter().map(|weight| {
            Tensor::from_fn(weight.shape().clone(), |at| weight.as_slice()[at] * trials.as_slice()[at / count])
        });
        Ok(Some(Alternatives { values: (0..count).map(moved).collect(), weights: scaled.collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::discrete_checks::check_family;
    use crate::testing::distribution_checks::{on_samples, variance};
    use stochgrad_tape::Tape;

    /// All counts of three categories in four trials.
    fn outcomes() -> Vec<[f64; 3]> {
        let mut all = Vec::new();
        for a in 0..=4 {
            for b in 0..=4 - a {
                all.push([f64::from(a), f64::from(b), f64::from(4 - a - b)]);
            }
        }
        all
    }

    fn cost(x: &[f64]) -> f64 {
        (x[0] + 2.0 * x[1]).sin() + 0.1 * x[2] * x[2]
    }

    #[test]
    fn draws_and_derivatives_are_exact_in_the_mean() {
        for by_logits in [true, false] {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(if by_logits { [0.3, -0.4, 0.1] } else { [0.2, 0.5, 0.3] });
            let distribution = if by_logits {
                Multinomial::from_logits(4.0, theta)
            } else {
                Multinomial::from_probabilities(4.0, theta)
            };
            distribution.validate().unwrap();
            let flat: Vec<f64> = outcomes().concat();
            let count = outcomes().len();
            let table = tape.constant(Tensor::from(flat.as_slice()).with_shape([count, 3]));
            let p = distribution.log_prob_each(table).exp();
            assert!((p.sum().item().unwrap() - 1.0).abs() < 1e-13);
            let costs: Vec<f64> = outcomes().iter().map(|x| cost(x)).collect();
            let [exact] = tape.backward((p * tape.constant(costs)).sum(), [theta]).unwrap();
            let noise = KeyedNoise::new(11, 0);
            let draw = on_samples(&tape, &noise, 100_000);
            let sample = distribution.draw(&draw).unwrap();
            for (x, p) in outcomes().iter().zip(p.peek().unwrap().as_slice()) {
                let found = sample.as_slice().chunks(3).filter(|row| row == x).count() as f64 / 1e5;
                assert!((found - p).abs() < 4.5 * (p * (1.0 - p) / 1e5).sqrt(), "{x:?}: {found}, expected {p}");
            }
            let parts = distribution.weak_derivative(0, &sample, &draw).unwrap().unwrap();
            let tangent = |gradient: &dyn Fn(usize) -> f64, k: usize| gradient(k) - gradient(2);
            for k in 0..2 {
                let terms: Vec<f64> = (0..100_000)
                    .map(|s| {
                        let row = |value: &Tensor<f64>| cost(&value.as_slice()[3 * s..3 * s + 3]);
                        let slope = |c: usize| -> f64 {
                            (0..3)
                                .map(|a| {
                                    parts.weights[a].as_slice()[3 * s + c] * (row(&parts.values[a]) - row(&sample))
                                })
                                .sum()
                        };
                        tangent(&slope, k)
                    })
                    .collect();
                let mean = terms.iter().sum::<f64>() / 1e5;
                let error = (variance(&terms) / 1e5).sqrt();
                let expected = tangent(&|c| exact.as_slice()[c], k);
                assert!(
                    (mean - expected).abs() < 4.0 * error,
                    "{by_logits}, {k}: {mean} ± {error}, expected {expected}"
                );
            }
            check_family(&tape, &distribution, tape.constant([1.0, 2.0, 1.0]));
            assert_eq!(distribution.log_prob(tape.constant([1.0, 2.0, 2.0])).item(), Ok(f64::NEG_INFINITY));
        }
    }

    #[test]
    fn large_counts_keep_their_digits() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.0, 0.0]);
        let distribution = Multinomial::from_logits(1e9, logits);
        let log = distribution.log_prob(tape.constant([5e8, 5e8]));
        let expected = stochgrad_tensor::special::binomial_log_pmf(5e8, 1e9, 0.5);
        assert!((log.item().unwrap() - expected).abs() < 1e-12 * expected.abs());
        assert!(tape.backward(log, [logits]).unwrap()[0].as_slice().iter().all(|slope| slope.abs() < 1e-3));
        assert!(Multinomial::from_logits(0.5, logits).validate().is_err());
    }
}
