//! The relaxed one-hot categorical distribution (concrete, Gumbel-softmax): points of the simplex that are close to a
//! one-hot vector at low temperatures. Use it in place of categories where a differentiable path is needed.
//!
//! $$p(x; \tau, \eta) = (n - 1)!\, \tau^{n - 1} \prod_k \frac{e^{\eta_k} x_k^{-\tau - 1}}{\sum_i e^{\eta_i} x_i^{-\tau}}, \quad x \text{ on the simplex}, \quad \tau > 0,$$
//!
//! with respect to the first $n - 1$ coordinates.
//!
//! Parameters: the temperature $\tau > 0$, one for each independent element, and the logits $\eta$ or the probabilities
//! with the categories along the last axis. One element is the last axis. Support: the interior of the simplex.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mathrm{softmax}((\eta + G)/\tau)$ with Gumbel samples $G$, any order |
//!
//! Source: Maddison, Mnih and Teh, "The concrete distribution", 2017; Jang, Gu and Poole, "Categorical
//! reparameterization with Gumbel-softmax", 2017.

use crate::compound::bijector::range::held_between;
use crate::compound::invertible_map::OwnSample;
use crate::derivative::base_values::remember;
use crate::discrete::one_hot_categorical::OneHotCategorical;
use crate::distribution::Relaxed;
use crate::family;
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::prelude::*;
use stochgrad_tensor::special::lgamma;

/// The largest distance of the sum of the shares from 1.
const TOLERANCE: f64 = 1e-3;

/// The softmax, held inside the simplex.
fn shares<F: Real>(scaled: Var<'_, F>) -> Var<'_, F> {
    held_between(scaled.softmax(-1), F::MIN_POSITIVE.to_f64(), 1.0)
}

/// Points of the simplex that stand for categories, given by temperature and the logits or probabilities along the last
/// axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, RelaxedOneHotCategorical};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let soft = RelaxedOneHotCategorical::from_logits(1.0, tape.constant([0.0, 0.0, 0.0]));
/// let density = soft.log_prob(tape.constant([0.2, 0.3, 0.5])).item()?;
/// let sum: f64 = 1.0 / 0.2 + 1.0 / 0.3 + 1.0 / 0.5;
/// assert!((density - (2.0 / (0.2_f64 * 0.3 * 0.5).powi(2) / sum.powi(3)).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RelaxedOneHotCategorical<V = stochgrad_tape::Id> {
    temperature: V,
    parameter: ProbabilitiesOrLogits<V>,
}

impl<V> RelaxedOneHotCategorical<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<RelaxedOneHotCategorical<W>, E> {
        Ok(RelaxedOneHotCategorical { temperature: f(&self.temperature)?, parameter: self.parameter.try_map(f)? })
    }
}

family!(RelaxedOneHotCategorical);

impl<'t, F: Real> RelaxedOneHotCategorical<Var<'t, F>> {
    /// Relaxed categories with these logits, at a `temperature > 0` for each independent element.
    pub fn from_logits(temperature: impl IntoVar<'t, F>, logits: Var<'t, F>) -> Self {
        let temperature = temperature.into_var(logits.tape());
        RelaxedOneHotCategorical { temperature, parameter: ProbabilitiesOrLogits::Logits(logits) }
    }

    /// Relaxed categories with these probabilities, at a `temperature > 0` for each independent element.
    pub fn from_probabilities(temperature: impl IntoVar<'t, F>, probabilities: Var<'t, F>) -> Self {
        let temperature = temperature.into_var(probabilities.tape());
        RelaxedOneHotCategorical { temperature, parameter: ProbabilitiesOrLogits::Probabilities(probabilities) }
    }

    /// The temperature.
    pub fn temperature(&self) -> Var<'t, F> {
        self.temperature
    }

    /// The distribution of the category, which is that of the largest coordinate.
    pub fn hard(&self) -> OneHotCategorical<Var<'t, F>> {
        match self.parameter {
            ProbabilitiesOrLogits::Logits(logits) => OneHotCategorical::from_logits(logits),
            ProbabilitiesOrLogits::Probabilities(p) => OneHotCategorical::from_probabilities(p),
        }
    }

    /// A path of the distribution given the one-hot categories `hard`: values whose largest coordinate is that of the
    /// category.
    ///
    /// # Errors
    /// As [`Distribution::draw`].
    pub fn rsample_given(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.soften(self.hard().conditional_perturbed(hard, draw)?))
    }

    /// The log-density of each element given the one-hot categories `hard`; −∞ where another coordinate is the largest.
    pub fn log_prob_each_given(&self, hard: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let largest = value.argmax(-1).one_hot(self.parameter.count());
        let agrees = (largest * hard).sum_axis(-1);
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        agrees.select(self.log_prob_each(value) - self.hard().log_prob_each(hard), nothing)
    }

    /// The temperature with an axis for the categories.
    fn wide_temperature(&self) -> Var<'t, F> {
        self.temperature.unsqueeze(-1)
    }

    fn soften(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        // Differences from the largest one, which has the share 1 also where the quotients overflow.
        let highest = perturbed.max_axis(-1).unsqueeze(-1).stop_gradient();
        let most = 0.125 * F::MAX.to_f64();
        let scaled = ((perturbed - highest) / self.wide_temperature()).clamp(-most, most);
        remember(shares(scaled), scaled)
    }
}

impl<'t, F: Real> Distribution<'t, F> for RelaxedOneHotCategorical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "RelaxedOneHotCategorical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("temperature", self.temperature), self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.wide_temperature(), self.parameter.var()])
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Simplex(self.parameter.count())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let count = self.parameter.count();
        let (n, tape) = (count as f64, value.tape());
        let own = OwnSample::find_by(value, 1, |scaled| (scaled.shape() == value.shape()).then(|| shares(scaled)));
        // Positive on the simplex.
        let distance = (-(-value).max_axis(-1)).minimum(TOLERANCE - (value.sum_axis(-1) - 1.0).abs());
        let outside = Boundary::Excluded.outside(distance);
        let logs = outside.unsqueeze(-1).select(tape.constant(1.0 / n), value).ln();
        // A common summand of the scores cancels. With the smallest logarithm, none of them is +∞, and those of own
        // samples keep the digits that logarithms of shares lose at high temperatures.
        let (logs, powers) = match own {
            Some(own) => (own.recall(own.base().log_softmax(-1), logs, 1), own.recall(own.base(), logs, 1)),
            None => (logs, logs),
        };
        let lowest = (-(-powers).max_axis(-1)).unsqueeze(-1).stop_gradient();
        let scores = self.parameter.finite_logs() - self.wide_temperature() * (powers - lowest);
        let total = (scores - logs).sum_axis(-1) - scores.logsumexp(-1) * n;
        outside.select(tape.constant(f64::NEG_INFINITY), total + self.temperature.ln() * (n - 1.0) + lgamma(n))
    }

    drawn_by_path!();

    fn validate(&self) -> DistributionResult<()> {
        positive("RelaxedOneHotCategorical", "temperature", self.temperature)?;
        self.parameter.validate("RelaxedOneHotCategorical")
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for RelaxedOneHotCategorical<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for RelaxedOneHotCategorical<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = self.parameter.finite_logs();
        let gumbel = -draw.record_exponential(logs.tape(), &self.event_shape())?.ln();
        Ok(self.soften(logs + gumbel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    #[test]
    fn the_ends_of_the_range_of_temperatures() {
        for temperature in [5e-324, 1e-310, 1e-300, 1e17, f64::MAX] {
            for logits in [[0.3, -0.5, -1e-266], [1e100, 0.0, 1e-100], [0.3, -0.25, 1e5], [-1e300, -1e300, -5000.0]] {
                let tape = Tape::<f64>::new();
                let distribution = RelaxedOneHotCategorical::from_logits(temperature, tape.parameter(logits));
                let sample = distribution.draw(&on_samples(&tape, &KeyedNoise::new(3, 0), 1)).unwrap();
                let total: f64 = sample.as_slice().iter().sum();
                assert!((total - 1.0).abs() < 1e-12, "{temperature:e}, {logits:?}: {sample:?}");
                for value in [tape.constant(sample.reshape([3]).unwrap()), tape.constant([0.2, 0.3, 0.5])] {
                    let log = distribution.log_prob(value).item().unwrap();
                    assert!(!log.is_nan(), "{temperature:e}, {logits:?}: {value:?}");
                }
            }
        }
    }

    /// With two categories the first coordinate is a relaxed bit.
    #[test]
    fn two_categories_are_a_bit() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.9, 0.2]);
        let distribution = RelaxedOneHotCategorical::from_logits(0.6, logits);
        let bit = crate::RelaxedBernoulli::from_logits(0.6, tape.constant(0.7));
        for x in [0.01, 0.3, 0.9] {
            let density = distribution.log_prob(tape.constant([x, 1.0 - x])).item().unwrap();
            assert_abs_diff_eq!(density, bit.log_prob(tape.constant(x)).item().unwrap(), epsilon = 1e-12);
        }
        check_family(&tape, &distribution, tape.constant([0.3, 0.7]));
    }

    #[test]
    fn draws_have_the_categories_of_the_hard_distribution() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.9, 0.2, -0.5]);
        let distribution = RelaxedOneHotCategorical::from_logits(0.4, logits);
        distribution.validate().unwrap();
        let noise = KeyedNoise::new(4, 0);
        let draw = on_samples(&tape, &noise, 50_000);
        let x = distribution.rsample(&draw).unwrap();
        let shares = x.argmax(-1).one_hot(3).mean_over(draw.plates()[0]).peek().unwrap();
        let p = logits.softmax(-1).peek().unwrap();
        for (share, p) in shares.as_slice().iter().zip(p.as_slice()) {
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / 5e4).sqrt(), "{share} and {p}");
        }
        // The score has mean zero at draws of the distribution.
        let scores = distribution.log_prob(x.stop_gradient()).mean_over(draw.plates()[0]);
        for slope in tape.backward(scores, [logits]).unwrap()[0].as_slice() {
            assert!(slope.abs() < 0.03, "{slope}");
        }
        let hard = tape.constant([0.0, 1.0, 0.0]).expand_plates(draw.plates());
        let given = distribution.rsample_given(hard, &draw).unwrap();
        assert!(given.argmax(-1).peek().unwrap().as_slice().iter().all(|&k| k == 1.0));
        let density = distribution.log_prob_each_given(hard, given).peek().unwrap();
        assert!(density.all_finite());
    }

    #[test]
    fn own_samples_are_inside_and_values_off_the_simplex_have_density_zero() {
        let tape = Tape::<f32>::new();
        let noise = KeyedNoise::new(5, 0);
        let plate = tape.plate("samples", 2000, stochgrad_tape::PlateKind::Samples, &[]);
        let plates = stochgrad_tape::Plates::from_slice(&[plate]);
        let draw = Draw::new(&tape, &noise, crate::NoiseKey::new("x", None), plates);
        let logits = tape.parameter([0.9, 0.2, -0.5]);
        let distribution = RelaxedOneHotCategorical::from_logits(0.01, logits);
        let x = tape.sample(tape.new_site(), distribution.sample(&draw).unwrap(), &[]);
        let log = distribution.log_prob(x);
        assert!(log.peek().unwrap().all_finite());
        // The mean of the score is 0: its standard deviations are below 0.6.
        let [score] = tape.backward(log.mean_over(plate), [logits]).unwrap();
        assert!(score.as_slice().iter().all(|score| score.abs() < 4.0 * 0.6 / 2000.0_f32.sqrt()), "{score:?}");
        for value in [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [-0.5, 0.7, 0.8], [0.3, 0.3, 0.3], [0.5, 0.5, 0.5]] {
            let value = tape.parameter(value);
            let log = distribution.log_prob(value);
            assert_eq!(log.item().unwrap(), f32::NEG_INFINITY);
            let [slope, score] = tape.backward(log, [value, logits]).unwrap();
            assert!(slope.as_slice().iter().chain(score.as_slice()).all(|&slope| slope == 0.0));
        }
        assert!(distribution.log_prob(tape.constant([f64::NAN, 0.5, 0.5])).item().unwrap().is_nan());
    }
}
