//! The Dirichlet-multinomial distribution: how often each category occurs in n trials whose common probabilities are a
//! Dirichlet variate. It models counts of categories that vary more than those of the multinomial distribution, such as
//! the words of documents.
//!
//! $$P(X = x; n, \alpha) = \frac{n!\, \Gamma(A)}{\Gamma(n + A)} \prod_k \frac{\Gamma(x_k + \alpha_k)}{x_k!\,
//! \Gamma(\alpha_k)}, \quad \sum_k x_k = n, \quad A = \sum_k \alpha_k.$$
//!
//! Parameters: `trials` $n$, an integer of at least 0 that is not differentiated, one for each independent element, and
//! the concentrations $\alpha_k > 0$ along the last axis. The event shape is that to which they broadcast; one element is
//! the last axis. Support: vectors of counts with the sum $n$. Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in the concentrations |
//!
//! The log-probability is that of independent negative binomial counts given their total: with
//! $X_k \sim \mathrm{NB}(\alpha_k, q)$ the total is of $\mathrm{NB}(A, q)$, for any probability $q$. At that for which
//! the mean of the total is $n$, large factorials and powers cancel inside each factor. The entropy is a sum over all
//! vectors of counts, and no cheap sampler is known for the parts of a weak derivative. With two categories, the first
//! count has the distribution [`BetaBinomial`](crate::BetaBinomial).

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::distribution::{moderate_total, whole};
use crate::multivariate::multinomial::Multinomial;
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::special::negative_binomial_log_pmf_by_logit;

distribution! {
    /// Counts of categories in trials whose probabilities are a Dirichlet variate, given by the number of trials and
    /// the concentrations along the last axis. Use it for counts that vary more than those of
    /// [`Multinomial`](crate::Multinomial).
    ///
    /// Concentrations whose sum is above an eighth of the largest number are errors.
    ///
    /// ```
    /// use stochgrad_distributions::{DirichletMultinomial, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // With concentrations of 1, all vectors of counts are equally likely: there are six with the sum 2.
    /// let words = DirichletMultinomial::new(2.0, tape.constant([1.0, 1.0, 1.0]));
    /// assert!((words.log_prob(tape.constant([1.0, 0.0, 1.0])).item()? + 6.0_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct DirichletMultinomial {
        /// The number of trials.
        trials,
        /// The concentrations.
        concentration,
    }
}

impl<'t, F: Real> DirichletMultinomial<Var<'t, F>> {
    /// Counts in `trials` trials, for each independent element, of categories with these concentrations, positive, along
    /// the last axis.
    pub fn new(trials: impl IntoVar<'t, F>, concentration: Var<'t, F>) -> Self {
        DirichletMultinomial { trials: trials.into_var(concentration.tape()), concentration }
    }

    /// The number of categories.
    pub fn categories(&self) -> usize {
        self.concentration.shape().last().copied().unwrap_or(0)
    }

    /// The sum of the concentrations.
    pub fn total(&self) -> Var<'t, F> {
        self.concentration.sum_axis(-1)
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }

    /// The counts where noise is not recorded: the exact oracle splits it instead. One category after the other is
    /// drawn given the earlier ones, from a beta-binomial distribution.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (event, independent, count) = (self.event_shape(), self.independent(), self.categories());
        let mut left = draw.parameter(self.trials, &independent)?;
        let concentrations = draw.parameter(self.concentration, &event)?;
        let mut value = Tensor::zeros(draw.shape(&event));
        for k in 0..count {
            let chance = |element: usize, up_to: u64| {
                let row = &concentrations.as_slice()[element * count..(element + 1) * count];
                let (n, own) = (left.as_slice()[element].to_f64(), row[k].to_f64());
                let rest: f64 = row[k + 1..].iter().map(|a| a.to_f64()).sum();
                let last = k + 1 == count;
                match (up_to as f64) < n {
                    false => 1.0,
                    true if last => 0.0,
                    true => (0..=up_to).map(|x| chance_of(x as f64, n, own, rest)).sum(),
                }
            };
            let counts = draw.purpose(&format!("category {k}")).invert(&independent, &chance)?;
            for (element, &found) in counts.as_slice().iter().enumerate() {
                value.make_mut()[element * count + k] = found;
                left.make_mut()[element] = left.as_slice()[element] - found;
            }
        }
        Ok(value)
    }
}

/// The probability of k among n trials of a category with this concentration, where the others have `rest`.
fn chance_of(k: f64, n: f64, own: f64, rest: f64) -> f64 {
    let logit = ((own + rest) / n).ln();
    let of = |count: f64, successes: f64| negative_binomial_log_pmf_by_logit(count, successes, logit);
    (of(k, own) + of(n - k, rest) - of(n, own + rest)).exp()
}

impl<'t, F: Real> Distribution<'t, F> for DirichletMultinomial<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "DirichletMultinomial"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let trials = Parameter::smooth("trials", self.trials).with_score(Smoothness::Constant);
        let concentration = Parameter::smooth("concentration", self.concentration);
        [trials, concentration].map(|parameter| parameter.with_path(SamplePath::None)).into_iter().collect()
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.trials.unsqueeze(-1), self.concentration])
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::CountVectors(self.categories())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (trials, all) = (self.trials.stop_gradient(), self.total());
        let total = value.sum_axis(-1);
        let fits = total.equal(trials);
        // The log-probability does not depend on these odds.
        let logit = all.held().ln() - trials.ln();
        let each = special::negative_binomial_log_pmf_by_logit(value, self.concentration, logit.unsqueeze(-1));
        let log = each.sum_axis(-1) - special::negative_binomial_log_pmf_by_logit(trials, all, logit);
        // NaN stays NaN.
        fits.select(log, total.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.trials.tape();
        if !draw.records_noise(tape) || self.categories() == 0 {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let logits = log_standard_gammas(self.concentration, &draw.purpose("shares"), &self.event_shape(), false)?;
        Multinomial::from_logits(self.trials, logits).sample(draw)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.concentration / self.total().unsqueeze(-1) * self.trials.unsqueeze(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (total, trials) = (self.total(), self.trials);
        let share = self.concentration / total.unsqueeze(-1);
        let growth = (total + trials) / (total + 1.0) * trials;
        Some(share * (1.0 - share) * growth.unsqueeze(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        if self.categories() == 0 {
            let problem =
                format!("expected concentrations along the last axis, got shape {}", self.concentration.shape());
            return Err(crate::DistributionError::Unsupported { distribution: "DirichletMultinomial", problem });
        }
        whole("DirichletMultinomial", "trials", self.trials, 0)?;
        positive("DirichletMultinomial", "concentration", self.concentration)?;
        moderate_total("DirichletMultinomial", self.total())
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for DirichletMultinomial<Var<'t, F>> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrete::BetaBinomial;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{assert_close, check_family, check_score, on_samples};
    use stochgrad_tape::{Plates, Tape};

    /// All counts of three categories in four trials.
    fn outcomes() -> Vec<[f64; 3]> {
        let pairs = (0..=4).flat_map(|a| (0..=4 - a).map(move |b| (a, b)));
        pairs.map(|(a, b)| [f64::from(a), f64::from(b), f64::from(4 - a - b)]).collect()
    }

    #[test]
    fn draws_and_moments_are_those_of_the_probabilities() {
        const DRAWS: usize = 50_000;
        for a in [[0.4, 1.5, 3.0], [1e-3, 2e-3, 1e-3], [1e8, 1e8, 3e8]] {
            let tape = Tape::<f64>::new();
            let distribution = DirichletMultinomial::new(4.0, tape.constant(a));
            distribution.validate().unwrap();
            let flat: Vec<f64> = outcomes().concat();
            let table = tape.constant(Tensor::from(flat.as_slice()).with_shape([outcomes().len(), 3]));
            let p = distribution.log_prob_each(table).exp().peek().unwrap().to_vec();
            assert_close(&[p.iter().sum()], &[1.0], 1e-12);
            let noise = KeyedNoise::new(11, 0);
            let sample = distribution.draw(&on_samples(&tape, &noise, DRAWS)).unwrap();
            for (x, p) in outcomes().iter().zip(&p) {
                let found = sample.as_slice().chunks(3).filter(|row| row == x).count() as f64 / DRAWS as f64;
                let spread = (p * (1.0 - p) / DRAWS as f64).sqrt();
                assert!((found - p).abs() < 4.5 * spread + 1e-9, "{a:?} at {x:?}: {found}, expected {p}");
            }
            for k in 0..3 {
                let moment = |f: &dyn Fn(f64) -> f64| outcomes().iter().zip(&p).map(|(x, p)| p * f(x[k])).sum::<f64>();
                let mean = moment(&|x| x);
                let own = distribution.mean().unwrap().peek().unwrap().as_slice()[k];
                let spread = distribution.variance().unwrap().peek().unwrap().as_slice()[k];
                assert_close(&[own, spread], &[mean, moment(&|x| (x - mean).powi(2))], 1e-11);
            }
            check_family(&tape, &distribution, tape.constant([1.0, 1.0, 2.0]));
        }
    }

    #[test]
    fn two_categories_are_beta_binomial() {
        let tape = Tape::<f64>::new();
        for (n, a, b) in [(7.0, 2.3, 1.4), (1e9, 40.0, 1e5), (3.0, 1e-9, 1e-5), (0.0, 1.0, 2.0)] {
            let [x, y] = [a, b].map(|a| tape.parameter(a));
            let both = DirichletMultinomial::new(n, Var::stack(&[x, y]).unwrap());
            let count = (0.4_f64 * n).floor();
            let (own, other) = (
                both.log_prob(tape.constant([count, n - count])),
                BetaBinomial::new(n, x, y).log_prob(tape.constant(count)),
            );
            assert_close(&[own.item().unwrap()], &[other.item().unwrap()], 1e-12);
            let slopes = [own, other].map(|log| tape.backward(log, [x, y]).unwrap().map(|slope| slope.item().unwrap()));
            assert_close(&slopes[0], &slopes[1], 1e-10);
        }
        check_score(&[0.4, 1.5, 3.0], |a| {
            DirichletMultinomial::new(5.0, a).log_prob(a.tape().constant([1.0, 0.0, 4.0]))
        });
    }

    #[test]
    fn elements_plates_and_mistakes() {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("rows", 2, stochgrad_tape::PlateKind::Data, &[]);
        let concentration = tape.parameter([[[0.5, 1.0, 2.0]], [[2.0, 3.0, 1.0]]]).event_to_plate(plate);
        let distribution = DirichletMultinomial::new(tape.constant([3.0, 5.0]), concentration);
        assert_eq!(distribution.event_shape().to_vec(), [2, 3]);
        let noise = KeyedNoise::new(1, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let sample = distribution.sample(&draw).unwrap();
        assert_eq!(sample.sum_axis(-1).peek().unwrap().to_vec(), [3.0, 5.0, 3.0, 5.0]);
        assert!(distribution.log_prob_each(sample).peek().unwrap().all_finite());
        let a = tape.parameter([0.5, 1.0, 2.0]);
        let one = DirichletMultinomial::new(3.0, a);
        for value in [[1.0, 1.0, 2.0], [4.0, -1.0, 0.0], [0.5, 0.5, 2.0], [f64::INFINITY, 0.0, 0.0]] {
            let log = one.log_prob(tape.constant(value));
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{value:?}");
            let [slope] = tape.backward(log, [a]).unwrap();
            assert!(slope.as_slice().iter().all(|s| !s.is_nan()), "{value:?}: {slope:?}");
        }
        assert!(one.log_prob(tape.constant([f64::NAN, 1.0, 2.0])).item().unwrap().is_nan());
        assert!(DirichletMultinomial::new(2.5, a).validate().is_err());
        assert!(DirichletMultinomial::new(2.0, tape.constant([1.0, 0.0])).validate().is_err());
        assert!(DirichletMultinomial::new(2.0, tape.constant(1.0)).validate().is_err());
        assert!(DirichletMultinomial::new(2.0, tape.constant([1.0, 1e307])).validate().is_ok());
        assert!(DirichletMultinomial::new(2.0, tape.constant([1.0, f64::MAX])).validate().is_err());
    }
}
