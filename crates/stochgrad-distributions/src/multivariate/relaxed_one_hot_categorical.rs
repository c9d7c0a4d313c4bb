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

use crate::discrete::one_hot_categorical::OneHotCategorical;
use crate::distribution::Relaxed;
use crate::family;
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::prelude::*;
use stochgrad_tensor::special::lgamma;

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
pub struct RelaxedOneHotCategorical<V> {
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
        (perturbed / self.wide_temperature()).softmax(-1).clamp(F::MIN_POSITIVE.to_f64(), 1.0)
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
        let n = self.parameter.count() as f64;
        let logs = value.ln();
        let scores = self.parameter.finite_logs() - self.wide_temperature() * logs;
        let total = (scores - logs).sum_axis(-1) - scores.logsumexp(-1) * n;
        total + self.temperature.ln() * (n - 1.0) + lgamma(n)
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
}
