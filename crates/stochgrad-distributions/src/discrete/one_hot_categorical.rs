//! The categorical distribution over one-hot vectors.
//!
//! $$p(x; \pi) = \prod_k \pi_k^{x_k}, \quad x \in \{e_1, \dots, e_C\}, \quad \pi = \operatorname{softmax}(\eta).$$
//!
//! | capability | |
//! |---|---|
//! | score | $\sum_k x_k \ln \pi_k$, any order |
//! | finite support | the unit vectors |
//! | weak derivative with respect to $\eta_k$ | every unit vector $e_a$, with $\partial\pi_a/\partial\eta_k = \pi_a(1[a = k] - \pi_k)$ |
//! | weak derivative with respect to $\pi_k$ | every unit vector $e_a$, with $1[a = k]$ |
//! | stochastic derivative | to the neighbouring category (Arya et al. 2022) |
//! | relaxation | $\operatorname{softmax}((\ln\pi + g)/\tau)$, $g$ Gumbel (Maddison et al. 2017; Jang et al. 2017) |
//!
//! Probabilities must sum to 1, as those of a [`Categorical`](crate::Categorical), and derivatives by them mean the
//! same.

use crate::capabilities;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, Distribution, FiniteSupport, IndependentCategories, KlDivergence, Parameters,
    Relaxed, ScoreDifferentiable, Side, StochasticDerivative, Support, Tempered, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::categories::{OtherCategories, ProbabilitiesOrLogits};
use crate::parameter::probability::{check_sample, released};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Shape, Tensor};

/// One-hot vectors, by logits or by probabilities. The last axis of the parameter, and of the values, holds the
/// categories.
///
/// ```
/// use stochgrad_distributions::{Distribution, OneHotCategorical};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let colour = OneHotCategorical::from_probabilities(tape.constant([0.5, 0.2, 0.3]));
/// let third = tape.constant([0.0, 0.0, 1.0]);
/// assert!((colour.log_prob(third).item()? - 0.3_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneHotCategorical<V> {
    parameter: ProbabilitiesOrLogits<V>,
}

impl<V> OneHotCategorical<V> {
    /// One-hot vectors whose unnormalised log-probabilities are `logits`; −∞ forbids a category.
    pub fn from_logits(logits: V) -> Self {
        OneHotCategorical { parameter: ProbabilitiesOrLogits::Logits(logits) }
    }

    /// One-hot vectors with the given probabilities, which sum to 1 along the last axis.
    pub fn from_probabilities(probabilities: V) -> Self {
        OneHotCategorical { parameter: ProbabilitiesOrLogits::Probabilities(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<OneHotCategorical<W>, E> {
        Ok(OneHotCategorical { parameter: self.parameter.try_map(f)? })
    }
}

family!(OneHotCategorical);

impl<'t, F: Real> OneHotCategorical<Var<'t, F>> {
    /// The probabilities, with the categories along the last axis.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probabilities()
    }

    /// The logarithms of the probabilities, with the categories along the last axis.
    pub fn log_probabilities(&self) -> Var<'t, F> {
        self.parameter.logs()
    }

    /// The number of categories.
    pub fn categories(&self) -> usize {
        self.parameter.count()
    }

    fn vectors(&self, numbers: &Tensor<F>) -> Tensor<F> {
        let categories = self.categories();
        let shape: Shape = numbers.shape().iter().copied().chain([categories]).collect();
        let mut vectors = Tensor::zeros(shape);
        if categories > 0 {
            for (vector, number) in vectors.make_mut().chunks_mut(categories).zip(numbers.as_slice()) {
                vector[(number.to_f64() as usize).min(categories - 1)] = F::ONE;
            }
        }
        vectors
    }

    fn numbers(&self, vectors: &Tensor<F>) -> Tensor<F> {
        let categories = self.categories().max(1);
        let shape: Shape = vectors.shape()[..vectors.rank().saturating_sub(1)].into();
        let number = |row: usize| {
            vectors.as_slice()[row * categories..(row + 1) * categories].iter().position(|&x| x != F::ZERO).unwrap_or(0)
        };
        Tensor::from_fn(shape, |row| F::from_usize(number(row)))
    }

    fn alternatives(&self, others: OtherCategories<F>) -> Alternatives<F> {
        Alternatives {
            values: others.categories.iter().map(|numbers| self.vectors(numbers)).collect(),
            weights: others.weights,
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "OneHotCategorical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::OneHot(self.categories())
    }

    /// By logits the form is linear in the value, so that relaxed vectors have a cross-entropy. An impossible category
    /// is −∞ of the sum only: in a term it would make NaN of the categories that are not taken.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Logits(_) => released((value * self.parameter.finite_logs()).sum_axis(-1)),
            ProbabilitiesOrLogits::Probabilities(p) => (value * p).sum_axis(-1).map(Map::LnHeld),
        }
    }

    fn log_prob(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Logits(_) => released(value.dot(self.parameter.finite_logs())),
            ProbabilitiesOrLogits::Probabilities(_) => self.log_prob_each(value).sum(),
        }
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let table = self.parameter.table("OneHotCategorical", draw)?;
        Ok(self.vectors(&draw.categorical(&self.parameter.independent(), &table)?))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.parameter.var().tape();
        if !draw.records_noise(tape) || self.categories() == 0 {
            return Ok(draw.record(tape, self.draw(draw)?));
        }
        let noise = draw.record_uniform(tape, &self.parameter.independent())?;
        Ok(self.probabilities().categories(noise).one_hot(self.categories()))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.probabilities())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.probabilities();
        Some(p * (1.0 - p))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.logs().argmax(-1).one_hot(self.categories()))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("OneHotCategorical")
    }

    capabilities!();
}

impl<'t, F: Real> Tempered<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(OneHotCategorical::from_logits(self.parameter.logs() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for OneHotCategorical<Var<'t, F>> {}

impl<'t, F: Real> IndependentCategories<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        self.parameter.finite_logs()
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        one_hot
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::eye(self.categories()))
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Probabilities(p) => (value * p).sum_axis(-1),
            ProbabilitiesOrLogits::Logits(_) => self.log_prob_each(value).exp(),
        }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let table = self.parameter.table("OneHotCategorical", draw)?;
        check_sample("OneHotCategorical", sample, table.shape())?;
        Ok(Some(self.alternatives(self.parameter.all_categories(&table))))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for OneHotCategorical<Var<'t, F>> {
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
        let table = self.parameter.table("OneHotCategorical", draw)?;
        check_sample("OneHotCategorical", sample, table.shape())?;
        Ok(Some(self.alternatives(self.parameter.neighbours(side, &self.numbers(sample), &table))))
    }
}

impl<'t, F: Real> Relaxed<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn location(&self) -> Var<'t, F> {
        self.parameter.finite_logs()
    }

    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = self.parameter.finite_logs();
        let gumbel = -draw.record_exponential(logs.tape(), &self.event_shape())?.ln();
        Ok(logs + gumbel)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = self.parameter.finite_logs();
        let noise = draw.record_exponential(logs.tape(), &self.event_shape())?.ln();
        // With E_k exponential, exp(−z_k) is exponential with rate π_k, and the smallest of them, E_b, exponential with
        // rate 1 and independent of b. The others exceed it by E_k / π_k: z_b = −ln E_b, z_k = −ln(E_b + E_k / π_k).
        // All of them share the winner's E_b.
        let winner = (hard * noise).sum_axis(-1).unsqueeze(-1);
        let others = winner + (noise - logs - winner).softplus();
        Ok(-hard.select(noise, others))
    }

    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        perturbed.argmax(-1).one_hot(self.categories())
    }

    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F> {
        (perturbed / temperature).softmax(-1)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.parameter.entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative, check_uniform,
        check_weak_derivative, tangent, with_gradient,
    };
    use stochgrad_tape::{PlateKind, Plates, Tape};

    const P: [f64; 4] = [0.1, 0.4, 0.2, 0.3];
    const THIRD: [f64; 4] = [0.0, 0.0, 1.0, 0.0];

    fn logits() -> [f64; 4] {
        P.map(|p| p.ln() + 0.7)
    }

    #[test]
    fn log_probabilities_are_those_of_the_formula() {
        let tape = Tape::<f64>::new();
        for distribution in [
            OneHotCategorical::from_probabilities(tape.constant(P)),
            OneHotCategorical::from_logits(tape.constant(logits())),
        ] {
            assert_close(&[distribution.log_prob(tape.constant(THIRD)).item().unwrap()], &[0.2_f64.ln()], 1e-13);
        }
        check_score(&P, |v| OneHotCategorical::from_probabilities(v).log_prob(v.tape().constant(THIRD)));
        check_score(&logits(), |v| OneHotCategorical::from_logits(v).log_prob(v.tape().constant(THIRD)));
    }

    #[test]
    fn derivatives_of_the_distribution_are_exact() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(P);
        check_stochastic_derivative(&tape, &OneHotCategorical::from_probabilities(theta), theta, 4, tangent);
        check_weak_derivative(&tape, &OneHotCategorical::from_probabilities(theta), theta, 4, tangent);
        let theta = tape.parameter(logits());
        check_stochastic_derivative(&tape, &OneHotCategorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
        check_weak_derivative(&tape, &OneHotCategorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let tape = Tape::<f64>::new();
        check_draws(&tape, &OneHotCategorical::from_probabilities(tape.constant(P)), 4);
        check_draws(&tape, &OneHotCategorical::from_logits(tape.constant(logits())), 4);
    }

    #[test]
    fn relaxations_agree_with_the_vector() {
        const DRAWS: usize = 100_000;
        let tape = Tape::<f64>::new();
        let plates = Plates::from_slice(&[tape.plate("draws", DRAWS, PlateKind::Samples, &[])]);
        let noise = KeyedNoise::new(5, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates);
        for distribution in [
            OneHotCategorical::from_probabilities(tape.constant(P)),
            OneHotCategorical::from_logits(tape.constant(logits())),
        ] {
            let hard = distribution.draw(&draw).unwrap();
            let z = distribution.perturbed(&draw.purpose("relaxation")).unwrap();
            let hardened = distribution.harden(z).peek().unwrap();
            for (k, p) in P.iter().enumerate() {
                let share = hardened.as_slice().iter().skip(k).step_by(4).sum::<f64>() / DRAWS as f64;
                assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / DRAWS as f64).sqrt(), "{share} where {p} is exact");
            }

            let conditional = distribution
                .conditional_perturbed(draw.record(&tape, hard.clone()), &draw.purpose("conditional"))
                .unwrap();
            assert_eq!(distribution.harden(conditional).peek().unwrap(), hard);

            let gumbel_cdf = |z: f64| (-(-z).exp()).exp();
            for z in [z, conditional] {
                let z = z.peek().unwrap();
                for (k, p) in P.iter().enumerate() {
                    check_uniform(z.as_slice().iter().skip(k).step_by(4).map(|z| gumbel_cdf(z - p.ln())));
                }
                // The joint distribution too: the largest is a standard Gumbel number.
                check_uniform(
                    z.as_slice().chunks(4).map(|row| gumbel_cdf(row.iter().copied().fold(f64::MIN, f64::max))),
                );
            }
            let soft = distribution.soften(z, tape.constant(0.5)).peek().unwrap();
            assert!(soft.as_slice().chunks(4).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        }
    }

    #[test]
    fn the_conditional_relaxation_has_the_derivative_of_its_formula() {
        let noise = KeyedNoise::new(8, 0);
        let conditional = |v: Var<'_, f64>| -> Vec<f64> {
            let tape = v.tape();
            let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::new());
            OneHotCategorical::from_logits(v)
                .conditional_perturbed(tape.constant(THIRD), &draw)
                .unwrap()
                .peek()
                .unwrap()
                .to_vec()
        };
        let tape = Tape::<f64>::new();
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let e = draw.exponential(&[4].into()).unwrap().to_vec();
        let expected: Vec<f64> = (0..4).map(|k| if k == 2 { -e[2].ln() } else { -(e[2] + e[k] / P[k]).ln() }).collect();
        assert_close(&conditional(tape.constant(logits())), &expected, 1e-12);
        check_score(&logits(), |v| {
            let tape = v.tape();
            let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::new());
            let z = OneHotCategorical::from_logits(v).conditional_perturbed(tape.constant(THIRD), &draw).unwrap();
            (z * tape.constant([1.0, -2.0, 3.0, 0.5])).sum()
        });
    }

    #[test]
    fn impossible_categories_give_no_nan() {
        let tape = Tape::<f64>::new();
        for (theta, by_logit) in [
            ([0.0, 1.0, 0.0], false),
            ([f64::NEG_INFINITY, 50.0, -50.0], true),
            ([f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY], true),
        ] {
            let theta = tape.parameter(theta);
            let distribution = if by_logit {
                OneHotCategorical::from_logits(theta)
            } else {
                OneHotCategorical::from_probabilities(theta)
            };
            let hard = tape.constant([0.0, 1.0, 0.0]);
            let noise = KeyedNoise::new(3, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
            assert_eq!(distribution.draw(&draw).unwrap().to_vec(), [0.0, 1.0, 0.0]);
            assert_eq!(distribution.log_prob(tape.constant([1.0, 0.0, 0.0])).item().unwrap(), f64::NEG_INFINITY);
            let weights = tape.constant([1.0, 2.0, 4.0]);
            let temperature = tape.constant(0.5);
            let scalars = [
                distribution.log_prob(hard),
                distribution.entropy(),
                distribution.kl_to(&distribution),
                (distribution.soften(distribution.perturbed(&draw).unwrap(), temperature) * weights).sum(),
                (distribution.soften(distribution.conditional_perturbed(hard, &draw).unwrap(), temperature) * weights)
                    .sum(),
            ];
            for scalar in scalars {
                let (value, gradient) = with_gradient(scalar, theta);
                assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
            }
        }
    }

    #[test]
    fn entropy_and_divergence_are_those_of_the_formula() {
        let tape = Tape::<f64>::new();
        let entropy = -P.iter().map(|p| p * p.ln()).sum::<f64>();
        for distribution in [
            OneHotCategorical::from_probabilities(tape.constant(P)),
            OneHotCategorical::from_logits(tape.constant(logits())),
        ] {
            assert_close(&[distribution.entropy().item().unwrap()], &[entropy], 1e-13);
            let uniform = OneHotCategorical::from_logits(tape.constant([0.0; 4]));
            assert_close(&[distribution.kl_to(&uniform).item().unwrap()], &[4.0_f64.ln() - entropy], 1e-13);
            assert_close(distribution.mean().unwrap().peek().unwrap().as_slice(), &P, 1e-13);
            assert_close(distribution.variance().unwrap().peek().unwrap().as_slice(), &P.map(|p| p * (1.0 - p)), 1e-13);
        }
    }

    #[test]
    fn stored_and_bound_it_is_the_same() {
        let tape = Tape::<f64>::new();
        for distribution in [
            OneHotCategorical::from_probabilities(tape.parameter(P)),
            OneHotCategorical::from_logits(tape.parameter(logits())),
        ] {
            check_family(&tape, &distribution, tape.constant(THIRD));
            assert_eq!(capabilities(&distribution), [true, false, true, true, true, true, true]);
            assert_eq!(distribution.element_support().unwrap(), Tensor::eye(4));
            assert_close(distribution.category_log_probs().peek().unwrap().as_slice(), &P.map(f64::ln), 1e-13);
            let third = tape.constant(THIRD);
            assert_eq!(distribution.to_one_hot(distribution.value_from_one_hot(third)).peek(), third.peek());
        }
    }

    #[test]
    fn independent_axes_are_kept_apart() {
        let tape = Tape::<f64>::new();
        let distribution = OneHotCategorical::from_logits(tape.constant(Tensor::from_fn([2, 3], |i| i as f64)));
        let noise = KeyedNoise::new(2, 0);
        let plate = tape.plate("draws", 7, PlateKind::Samples, &[]);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let sample = distribution.draw(&draw).unwrap();
        assert_eq!(*sample.shape(), [7, 2, 3].into());
        assert_eq!(distribution.log_prob_each(draw.record(&tape, sample.clone())).shape(), [2].into());
        let weak = distribution.weak_derivative(0, &sample, &draw).unwrap().unwrap();
        assert_eq!(
            (weak.values.len(), weak.values[0].shape(), weak.weights[0].shape()),
            (3, sample.shape(), sample.shape())
        );
    }

    #[test]
    fn parameters_outside_their_domain_are_errors() {
        let tape = Tape::<f64>::new();
        for wrong in [[0.5, 1.2], [0.5, 0.4], [0.5, f64::NAN]] {
            let found = OneHotCategorical::from_probabilities(tape.constant(wrong)).validate();
            assert!(
                matches!(found, Err(DistributionError::Parameter { distribution: "OneHotCategorical", .. })),
                "{found:?}"
            );
        }
        assert!(OneHotCategorical::from_logits(tape.constant([0.0, f64::NAN])).validate().is_err());
    }
}
