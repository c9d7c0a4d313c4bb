//! The Bernoulli distribution: a bit.
//!
//! $$p(x; \theta) = \theta^x (1 - \theta)^{1 - x}, \quad x \in \{0, 1\}, \quad \theta = \sigma(\eta).$$
//!
//! | capability | |
//! |---|---|
//! | score | $\ln p = x\eta - \operatorname{softplus}(\eta)$, any order |
//! | finite support | 0, 1 |
//! | weak derivative | $\partial_\theta p = \delta_1 - \delta_0$; by $\eta$ times $\theta(1-\theta)$. One replay: the bit flipped |
//! | stochastic derivative | right: 0 → 1 at rate $1/(1-\theta)$; left: 1 → 0 at rate $1/\theta$ (Arya et al. 2022) |
//! | relaxation | $\sigma((\eta + \operatorname{logit} u)/\tau)$ (Maddison et al. 2017; Jang et al. 2017) |
//!
//! An impossible bit has the log-probability −∞, and by logits the score $x - \theta$ all the same. At probabilities 0
//! and 1 entropy, divergence and relaxation stay finite, and so do their derivatives: $\ln 0$ counts as about −690
//! there (−85 in single precision), and infinite logits as $\pm 10^{30}$.

use crate::capabilities;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IndependentBits,
    IndependentCategories, IntegerSupport, KlDivergence, Parameters, QuantileFunction, RecordedAlternatives, Relaxed,
    ScoreDifferentiable, Side, StochasticDerivative, Support, Tempered, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, check_sample, released};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Bits, by logit or by probability.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let bits = Bernoulli::from_probabilities(tape.constant([0.25, 0.5]));
/// let value = tape.constant([1.0, 0.0]);
/// assert!((bits.log_prob(value).item()? - (0.125_f64).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bernoulli<V> {
    parameter: ProbabilityOrLogit<V>,
}

impl<V> Bernoulli<V> {
    /// Bits whose log-odds are `logits`: any real numbers, ±∞ included.
    pub fn from_logits(logits: V) -> Self {
        Bernoulli { parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Bits that are 1 with the given probabilities, in [0, 1].
    pub fn from_probabilities(probabilities: V) -> Self {
        Bernoulli { parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Bernoulli<W>, E> {
        Ok(Bernoulli { parameter: self.parameter.try_map(f)? })
    }
}

family!(Bernoulli);

impl<'t, F: Real> Bernoulli<Var<'t, F>> {
    /// The probabilities of a 1.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of a 1.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }
}

impl<'t, F: Real> Distribution<'t, F> for Bernoulli<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Bernoulli"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::Bits
    }

    /// By logits the form is linear in the value, so that relaxed bits have a cross-entropy.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Logit(_) => {
                // At infinite logits this would be ∞ − ∞.
                let finite = self.parameter.finite_logit();
                (value * finite).zip(Zip::SubUnguarded, finite.softplus())
            }
            // 0 · ln 0 is 0: a state of probability 0 contributes only where it occurs.
            ProbabilityOrLogit::Probability(p) => chance(value, p).map(Map::LnHeld),
        }
    }

    /// The values and the logits may lie on different plates: the pairs of their members are never laid out element by
    /// element.
    fn log_prob(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Logit(logits) if logits.shape() == value.shape() => {
                let finite = self.parameter.finite_logit();
                let crossed = logits.plates().iter().any(|plate| !value.plates().contains(plate))
                    && value.plates().iter().any(|plate| !logits.plates().contains(plate));
                if crossed {
                    // In sums apart an infinite logit drowns the digits of the other bits.
                    released(value.dot(finite) - finite.softplus().sum())
                } else if value.shape().is_empty() {
                    self.log_prob_each(value)
                } else {
                    released((value * finite - finite.softplus()).sum())
                }
            }
            _ => self.log_prob_each(value).sum(),
        }
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        draw.bernoulli(&event, &self.parameter.probabilities(draw, &event)?)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.parameter.var().tape();
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.draw(draw)?));
        }
        let noise = draw.record_uniform(tape, &self.event_shape())?;
        Ok(noise.ge(1.0 - self.probabilities()))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.probabilities())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.probabilities();
        Some(p * (1.0 - p))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some((self.logits()).step())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Bernoulli")
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Bernoulli<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        // 1 − p between 0 and 1.
        let zero = value.tape().constant(0.0);
        let (possible, certain) = (value.ge(zero), value.ge(zero + 1.0));
        possible * certain.select(zero + 1.0, self.parameter.complement())
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Bernoulli<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        1.0 - value
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Bernoulli<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        probability.gt(self.parameter.complement())
    }
}

impl<'t, F: Real> Tempered<'t, F> for Bernoulli<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Bernoulli::from_logits(self.logits() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Bernoulli<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Bernoulli<Var<'t, F>> {
    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([2], F::from_usize))
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => chance(value, p),
            ProbabilityOrLogit::Logit(_) => self.log_prob_each(value).exp(),
        }
    }
}

/// The probability of a bit that is 1 with probability `p`.
fn chance<'t, F: Real>(bit: Var<'t, F>, p: Var<'t, F>) -> Var<'t, F> {
    bit * p + (1.0 - bit) * (1.0 - p)
}

impl<'t, F: Real> WeakDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Bernoulli", sample, p.shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let weights = Tensor::from_fn(p.shape().clone(), |i| {
            (F::ONE - sample.as_slice()[i] - sample.as_slice()[i]) * self.parameter.derivative(p.as_slice()[i])
        });
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![weights] }))
    }

    fn record_weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let sample = sample.stop_gradient();
        let sign = 1.0 - sample - sample;
        let weight = match self.parameter {
            ProbabilityOrLogit::Probability(_) => sign,
            ProbabilityOrLogit::Logit(logit) => {
                let p = logit.stop_gradient().sigmoid();
                sign * (p * (1.0 - p))
            }
        };
        Ok(Some(RecordedAlternatives { values: vec![1.0 - sample], weights: vec![weight] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let at_end = self.parameter.ends()?;
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Bernoulli", sample, p.shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let half = F::from_f64(0.5);
        let rate = |i: usize| {
            let (x, p) = (sample.as_slice()[i], p.as_slice()[i]);
            let (right, left) = (self.parameter.rate_up(F::ONE - x, p), -self.parameter.rate_down(x, p));
            match side {
                _ if at_end(p) => right + left,
                Side::Right => right,
                Side::Left => left,
                Side::TwoSided => half * (right + left),
            }
        };
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![Tensor::from_fn(p.shape().clone(), rate)] }))
    }

    fn record_stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let sample = sample.stop_gradient();
        let other = 1.0 - sample;
        let one = sample.tape().constant(1.0);
        let (up, down, inside) = match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                // A bit that was drawn had a chance.
                let p = p.stop_gradient();
                let (possible, zero) = (sample.select(p, 1.0 - p), sample * 0.0);
                let inside = (p * (1.0 - p)).gt(one * 0.0);
                (sample.select(zero, 1.0 / possible), sample.select(1.0 / possible, zero), inside)
            }
            ProbabilityOrLogit::Logit(logit) => {
                let p = logit.stop_gradient().sigmoid();
                (other * p, sample * (1.0 - p), one)
            }
        };
        let weight = match side {
            Side::Right => inside.select(up, up - down),
            Side::Left => inside.select(-down, up - down),
            Side::TwoSided => (up - down) * inside.select(one * 0.5, one),
        };
        Ok(Some(RecordedAlternatives { values: vec![other], weights: vec![weight] }))
    }
}

impl<'t, F: Real> IndependentBits<'t, F> for Bernoulli<Var<'t, F>> {
    fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }
}

/// Two categories: 0, then 1.
impl<'t, F: Real> IndependentCategories<'t, F> for Bernoulli<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        let (one, zero) = self.parameter.finite_logs();
        let tape = one.tape();
        zero.unsqueeze(-1) * tape.constant([1.0, 0.0]) + one.unsqueeze(-1) * tape.constant([0.0, 1.0])
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        one_hot.index(-1, 1)
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.one_hot(2)
    }
}

impl<'t, F: Real> Relaxed<'t, F> for Bernoulli<Var<'t, F>> {
    fn location(&self) -> Var<'t, F> {
        self.parameter.finite_logit()
    }

    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logits = self.parameter.finite_logit();
        let u = draw.record_uniform(logits.tape(), &self.event_shape())?;
        let noise = u.ln() - (-u).log1p();
        Ok(logits + noise)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logits = self.parameter.finite_logit();
        let v = draw.record_uniform(logits.tape(), &self.event_shape())?;
        let noise = v.ln() - (-v).log1p();
        // Given a 1 the uniform behind z is 1 − p (1 − v), given a 0 it is (1 − p) v. Its logit plus that of p is, with
        // s = ±1 for the bit and w = logit v, s · ln(1 + exp(s w) (1 + exp(s η))): of the bit's sign whatever the
        // rounding.
        let sign = hard + hard - 1.0;
        Ok(sign * (sign * noise + (sign * logits).softplus()).softplus())
    }

    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        perturbed.ge(perturbed * 0.0)
    }

    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F> {
        (perturbed / temperature).sigmoid()
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Bernoulli<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.parameter.entropy().sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Bernoulli<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        COSTS, States, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
        check_uniform, check_weak_derivative, with_gradient,
    };
    use stochgrad_tape::{PlateKind, Plates, Tape};

    type Build = for<'t> fn(Var<'t, f64>) -> Bernoulli<Var<'t, f64>>;

    fn both() -> [(Build, f64); 2] {
        [(|v| Bernoulli::from_probabilities(v), 0.3), (|v| Bernoulli::from_logits(v), (0.3_f64 / 0.7).ln())]
    }

    #[test]
    fn log_probabilities_are_those_of_the_formula() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let bit = build(tape.parameter(theta));
            let log = |x: f64| bit.log_prob(tape.constant(x)).item().unwrap();
            assert_close(&[log(0.0), log(1.0)], &[0.7_f64.ln(), 0.3_f64.ln()], 1e-14);
            check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([1.0, 0.0])));
        }
    }

    #[test]
    fn derivatives_of_the_distribution_are_exact() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            check_stochastic_derivative(&tape, &build(theta), theta, 2, <[f64]>::to_vec);
            check_weak_derivative(&tape, &build(theta), theta, 2, <[f64]>::to_vec);
        }
    }

    #[test]
    fn known_derivatives_at_three_tenths() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(0.3);
        let bit = Bernoulli::from_probabilities(theta);
        let states = States::new(&tape, &bit, 2);
        for (f, known) in COSTS[1..].iter().zip([7.0, 3.0, 0.41421]) {
            assert_close(&states.exact(&bit, theta, *f), &[known], 1e-5);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            check_draws(&tape, &build(tape.parameter(theta)), 2);
        }
    }

    #[test]
    fn entropy_and_divergence_are_those_of_the_formula() {
        let (p, q) = (0.3_f64, 0.25_f64);
        let entropy = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        let divergence = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let bits = build(tape.parameter([theta, theta]));
            assert_close(&[bits.entropy().item().unwrap()], &[2.0 * entropy], 1e-13);
            let other = Bernoulli::from_probabilities(tape.constant([q, q]));
            assert_close(&[bits.kl_to(&other).item().unwrap()], &[2.0 * divergence], 1e-13);
        }
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(0.5);
        let (_, slope) = with_gradient(
            Bernoulli::from_probabilities(theta).kl_to(&Bernoulli::from_probabilities(tape.constant(0.25))),
            theta,
        );
        assert_close(&slope, &[1.098_612_288_668_11], 1e-13);
    }

    #[test]
    fn certain_bits_give_no_nan() {
        let infinity = f64::INFINITY;
        let cases: [(Build, [f64; 4]); 2] =
            [(both()[0].0, [0.0, 0.5, 1.0, 1.0]), (both()[1].0, [-infinity, 50.0, -50.0, infinity])];
        for (build, theta) in cases {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            let bits = build(theta);
            let draw_noise = KeyedNoise::new(3, 0);
            let draw = Draw::new(&tape, &draw_noise, NoiseKey::new("x", None), Plates::new());
            let sample = bits.draw(&draw).unwrap();
            let p = bits.probabilities().peek().unwrap();
            assert!(
                sample
                    .as_slice()
                    .iter()
                    .zip(p.as_slice())
                    .all(|(x, &p)| (p > 0.0 || *x == 0.0) && (p < 1.0 || *x == 1.0))
            );
            let value = tape.constant(sample.clone());
            let conditional = bits.conditional_perturbed(value, &draw).unwrap();
            let perturbed = bits.perturbed(&draw).unwrap();
            let temperature = tape.constant(0.5);
            let other = Bernoulli::from_logits(tape.constant([0.1, 0.2, 0.3, 0.4]));
            let scalars = [
                bits.log_prob(value),
                bits.entropy(),
                bits.kl_to(&bits),
                bits.kl_to(&other),
                bits.soften(conditional, temperature).sum(),
                bits.soften(perturbed, temperature).sum(),
                bits.mean().unwrap().sum() + bits.variance().unwrap().sum(),
            ];
            for scalar in scalars {
                let (value, gradient) = with_gradient(scalar, theta);
                assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
            }
            for side in crate::testing::SIDES {
                let alternatives = bits.stochastic_derivative(0, side, &sample, &draw).unwrap().unwrap();
                assert!(alternatives.weights[0].all_finite());
            }
            assert!(bits.weak_derivative(0, &sample, &draw).unwrap().unwrap().weights[0].all_finite());
            assert!(bits.validate().is_ok());
        }
    }

    #[test]
    fn impossible_bits_are_impossible() {
        let tape = Tape::<f64>::new();
        let certain = Bernoulli::from_probabilities(tape.constant([0.0, 1.0]));
        assert_eq!(certain.log_prob_each(tape.constant([1.0, 0.0])).peek().unwrap().to_vec(), [f64::NEG_INFINITY; 2]);
        let far = Bernoulli::from_logits(tape.constant([-50.0, 50.0]));
        assert_close(far.log_prob_each(tape.constant([1.0, 0.0])).peek().unwrap().as_slice(), &[-50.0, -50.0], 1e-12);
        let logits = tape.parameter([f64::NEG_INFINITY, f64::INFINITY]);
        let certain = Bernoulli::from_logits(logits);
        assert_eq!(certain.log_prob_each(tape.constant([0.0, 1.0])).peek().unwrap().to_vec(), [0.0; 2]);
        let impossible = certain.log_prob_each(tape.constant([1.0, 0.0]));
        assert_eq!(impossible.peek().unwrap().to_vec(), [f64::NEG_INFINITY; 2]);
        // The score of what cannot be is x − p, and so is that of what must.
        assert_eq!(with_gradient(impossible.sum(), logits), (f64::NEG_INFINITY, vec![1.0, -1.0]));
        assert_eq!(with_gradient(certain.log_prob(tape.constant([0.0, 1.0])), logits), (0.0, vec![0.0; 2]));
        // Beside a bit that is free.
        let logits = tape.parameter([f64::INFINITY, 0.0]);
        let mixed = Bernoulli::from_logits(logits);
        let (value, slope) = with_gradient(mixed.log_prob(tape.constant([1.0, 1.0])), logits);
        assert_close(&[value, slope[0], slope[1]], &[0.5_f64.ln(), 0.0, 0.5], 1e-15);
        assert_eq!(mixed.log_prob(tape.constant([0.0, 1.0])).item(), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn the_log_probability_by_logits_is_linear_in_the_value() {
        let tape = Tape::<f64>::new();
        let bits = tape.parameter([0.3, 0.9]);
        let distribution = Bernoulli::from_logits(tape.constant([1.7, -0.4]));
        let (value, slope) = with_gradient(distribution.log_prob(bits), bits);
        let between = |x: f64, logit: f64| x * logit - (1.0 + logit.exp()).ln();
        assert_close(&[value], &[between(0.3, 1.7) + between(0.9, -0.4)], 1e-15);
        assert_close(&slope, &[1.7, -0.4], 1e-15);
    }

    #[test]
    fn relaxations_agree_with_the_bit() {
        const DRAWS: usize = 100_000;
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let plates = Plates::from_slice(&[tape.plate("draws", DRAWS, PlateKind::Samples, &[])]);
            let noise = KeyedNoise::new(5, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates);
            let bit = build(tape.parameter(theta));
            let hard = bit.draw(&draw).unwrap();
            let z = bit.perturbed(&draw).unwrap();
            assert_eq!(bit.harden(z).peek().unwrap(), hard);

            let conditional =
                bit.conditional_perturbed(draw.record(&tape, hard.clone()), &draw.purpose("conditional")).unwrap();
            assert_eq!(bit.harden(conditional).peek().unwrap(), hard);

            let logit = (0.3_f64 / 0.7).ln();
            for z in [z, conditional] {
                check_uniform(
                    z.peek().unwrap().as_slice().iter().map(|z| stochgrad_tensor::special::sigmoid(z - logit)),
                );
            }
            let softened = bit.soften(z, tape.constant(0.01)).peek().unwrap();
            let near = softened
                .as_slice()
                .iter()
                .zip(hard.as_slice())
                .filter(|(soft, hard)| (*soft - *hard).abs() < 0.01)
                .count();
            assert!(near > DRAWS * 9 / 10);
        }
    }

    #[test]
    fn the_conditional_relaxation_in_single_precision_keeps_the_bit() {
        let tape = Tape::<f32>::new();
        let plates = Plates::from_slice(&[tape.plate("draws", 20_000, PlateKind::Samples, &[])]);
        let noise = KeyedNoise::new(11, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates.clone());
        let bits = Bernoulli::from_logits(tape.parameter([-15.0, -3.0, 0.0, 3.0, 15.0]));
        for bit in [0.0, 1.0] {
            let hard = tape.constant_on(&plates, Tensor::full([20_000, 5], bit));
            let z = bits.conditional_perturbed(hard, &draw).unwrap();
            assert!(bits.harden(z).peek().unwrap().as_slice().iter().all(|&found| found == bit));
        }
    }

    #[test]
    fn stored_and_bound_it_is_the_same() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let bit = build(tape.parameter(theta));
            check_family(&tape, &bit, tape.constant(1.0));
            assert_eq!(capabilities(&bit), [true, false, true, true, true, true, true]);
            assert_eq!(bit.element_support().unwrap().to_vec(), [0.0, 1.0]);
            let one = bit.to_one_hot(tape.constant(1.0));
            assert_eq!(one.peek().unwrap().to_vec(), [0.0, 1.0]);
            assert_eq!(bit.value_from_one_hot(one).item(), Ok(1.0));
            assert_eq!((one * bit.category_log_probs()).sum().item(), bit.log_prob(tape.constant(1.0)).item());
        }
    }

    #[test]
    fn parameters_outside_their_domain_are_errors() {
        let tape = Tape::<f64>::new();
        let wrong = [
            Bernoulli::from_probabilities(tape.constant([0.5, 1.2])),
            Bernoulli::from_logits(tape.constant([0.5, f64::NAN])),
        ];
        for bits in wrong {
            assert!(matches!(
                bits.validate(),
                Err(DistributionError::Parameter { distribution: "Bernoulli", position: 1, .. })
            ));
        }
        let message = wrong[0].validate().unwrap_err().to_string();
        assert!(message.contains("in [0, 1]") && message.contains("1.2"), "{message}");
        assert!(Bernoulli::from_probabilities(tape.constant(f64::NAN)).validate().is_err());
    }
}
