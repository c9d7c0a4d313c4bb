//! The multinomial distribution: how often each category occurs in n independent trials.
//!
//! $$P(X = x; n, p) = \frac{n!}{\prod_k x_k!} \prod_k p_k^{x_k}, \quad \sum_k x_k = n.$$
//!
//! Parameters: `trials` $n$, an integer of at least 0 that is not differentiated, one for each independent element, and
//! the logits or the probabilities $p$ with the categories along the last axis. The event shape is that to which they
//! broadcast; one element is the last axis. Support: vectors of counts with the sum $n$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | entropy | sums over the counts of each category, up to $n = 2^{20}$; any order in the probabilities |
//! | weak derivative | one trial moves: constant $n$, $X - e_I + e_k$ for every $k$, with the derivatives of $p_k$, $I$ the category of a trial of $X$ |
//!
//! The weak derivative moves one of the $n$ trials: its category has the derivatives of a categorical distribution, and
//! the other trials stay as they are. Given $X$, the chosen trial has category $i$ with probability $X_i/n$.

use crate::discrete::summed::Summed;
use crate::distribution::whole;
use crate::family;
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::prelude::*;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, TapeError};
use stochgrad_tensor::layout::category_counts;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce;
use stochgrad_tensor::special::binomial_cdf;

/// Counts of categories in a number of trials, given by probabilities or logits along the last axis.
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
pub struct Multinomial<V = stochgrad_tape::Id> {
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

    /// The counts where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (trials, p) = self.tables(draw)?;
        let (event, independent, count) = (self.event_shape(), self.independent(), self.parameter.count());
        let mut value = Tensor::zeros(draw.shape(&event));
        let mut left = trials;
        // Draws one category after the other, each given the earlier ones.
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
}

/// Counts of categories by inversion of a uniform value for each category, given probabilities and numbers of trials.
struct CategoryCounts;

impl<F: Real> Primitive<F> for CategoryCounts {
    fn name(&self) -> &str {
        "counts of categories"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [probabilities, trials, noise] = inputs.values else {
            return Err(format!("expected probabilities, trials and noise, got {} operands", inputs.values.len()));
        };
        let rank = noise.rank();
        if probabilities.rank() > rank || trials.rank() > rank || noise.shape().last() == Some(&0) {
            return Err(format!(
                "expected probabilities and trials that broadcast to shape {}, got shapes {} and {}",
                noise.shape(),
                probabilities.shape(),
                trials.shape()
            ));
        }
        let plates = inputs.plates.len();
        let full: Shape = inputs.plates.iter().chain(&noise.shape()[plates..]).copied().collect();
        // Missing event axes are between the plates and the axes that are there.
        let aligned = |value: &Tensor<F>| {
            let (own, event) = value.shape().split_at(plates);
            let missing = std::iter::repeat_n(&1, rank - value.rank());
            value.clone().with_shape(own.iter().chain(missing).chain(event).copied().collect::<Shape>())
        };
        let uniforms = reduce::expand(inputs.pool, noise, &full);
        let counts = category_counts(inputs.pool, &aligned(probabilities), &aligned(trials), &uniforms);
        inputs.pool.recycle(uniforms);
        Ok(counts)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[probabilities, trials, noise] = inputs else { return None };
        let shape = noise.shape();
        let count = shape.last().copied()?;
        let tape = noise.tape();
        let [zero, nan] = [0.0, f64::NAN].map(|number| tape.constant(number));
        let negative = probabilities.lt(zero);
        let weights = negative.select(nan, probabilities).broadcast_to(shape.clone());
        let wide = trials.broadcast_to(shape.with_size(shape.rank() - 1, 1)).index(-1, 0);
        let of = |values: Var<'t, F>, category: usize| values.index(-1, category);
        // The weights of a category and of all later ones.
        let mut rests: Vec<Var<'t, F>> = vec![of(weights, count - 1)];
        for category in (0..count - 1).rev() {
            let rest = rests[rests.len() - 1] + of(weights, category);
            rests.push(rest);
        }
        let total = rests[rests.len() - 1];
        let none = total.gt(zero).select(tape.constant(1.0), nan);
        let mut left = wide;
        let mut counts = Vec::with_capacity(count);
        for (category, &rest) in rests.iter().rev().enumerate() {
            let share = (of(weights, category) / rest).clamp(0.0, 1.0);
            let share = rest.equal(zero).select(none, share);
            let found = special::binomial_draw(of(noise, category), left, share);
            counts.push(found.unsqueeze(-1));
            left = left - found;
        }
        Var::concat(&counts, -1).ok().map(Description::of)
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None, None, None]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Jump
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
        // Independent Poisson counts with the same means, given their total: large factorials cancel inside each of
        // them.
        let trials = self.trials.stop_gradient();
        let total = value.sum_axis(-1);
        let fits = total.equal(trials);
        let wide = trials.unsqueeze(-1);
        let each = match self.parameter {
            ProbabilitiesOrLogits::Probabilities(p) => special::poisson_log_pmf(value, p * wide),
            ProbabilitiesOrLogits::Logits(_) => {
                special::poisson_log_pmf_by_log(value, self.parameter.finite_logs() + wide.ln())
            }
        };
        let log = each.sum_axis(-1) - special::poisson_log_pmf(trials, trials);
        // NaN stays NaN.
        fits.select(log, total.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.trials.tape();
        if !draw.records_noise(tape) || self.parameter.count() == 0 {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let noise = draw.record_noise(tape, Fill::Folded, &self.event_shape())?;
        let operands = [self.parameter.probabilities(), self.trials.unsqueeze(-1), noise];
        Ok(tape.custom(Arc::new(CategoryCounts), &operands).stop_gradient())
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

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Multinomial<Var<'t, F>> {
    /// The expectation of the log-probability, which is a sum of functions of single counts. The derivative with respect
    /// to a logit is right where its probability does not underflow.
    #[track_caller]
    fn entropy(&self) -> Var<'t, F> {
        let (event, at) = (self.event_shape(), Location::caller());
        let trials = self.trials.stop_gradient();
        let p = self.parameter.probabilities().broadcast_to(event.clone());
        let last = trials.unsqueeze(-1).broadcast_to(event);
        let [all, share] = [last, p].map(|table| table.unsqueeze(-1));
        match Summed::new("Multinomial", "trials", last, |count| special::binomial_log_pmf(count, all, share)) {
            Ok(summed) => {
                let each = summed.expectation(|count| -special::poisson_log_pmf(count, all * share)).sum_axis(-1);
                (each + special::poisson_log_pmf(trials, trials)).sum()
            }
            Err(error) => trials.tape().fail(TapeError::Other { message: error.to_string(), at }),
        }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Multinomial<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let x = sample.stop_gradient();
        let count = self.parameter.count();
        // The category of one of the trials.
        let chosen = draw.purpose("trial").record_categorical(x.tape(), &self.independent(), x)?.one_hot(count);
        let one = |category: usize| Tensor::from_fn([count], |k| F::from_usize(usize::from(k == category)));
        let values = (0..count).map(|category| x - chosen + x.tape().constant(one(category))).collect();
        let trials = self.trials.stop_gradient().unsqueeze(-1);
        let weights = self.parameter.slopes().into_iter().map(|slope| slope * trials).collect();
        Ok(Some(Alternatives { values, weights }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{Evaluated, check_family, on_samples, tangent, variance};
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use stochgrad_tape::{PlateKind, Plates, Tape};

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
    fn the_entropy_is_that_of_the_sum() {
        for by_logits in [true, false] {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(if by_logits { [0.3, -0.4, 0.1] } else { [0.2, 0.5, 0.3] });
            let distribution = match by_logits {
                true => Multinomial::from_logits(4.0, theta),
                false => Multinomial::from_probabilities(4.0, theta),
            };
            let table = tape.constant(Tensor::from(outcomes().concat().as_slice()).with_shape([outcomes().len(), 3]));
            let logs = distribution.log_prob_each(table);
            let (own, sum) = (distribution.entropy(), -(logs.exp() * logs).sum());
            assert_abs_diff_eq!(own.item().unwrap(), sum.item().unwrap(), epsilon = 1e-13);
            // Along directions that keep the sum of the probabilities.
            let slopes = [own, sum].map(|value| tangent(tape.backward(value, [theta]).unwrap()[0].as_slice()));
            for (own, sum) in slopes[0].iter().zip(&slopes[1]) {
                assert_abs_diff_eq!(own, sum, epsilon = 1e-12);
            }
        }
        let tape = Tape::<f64>::new();
        let certain = tape.parameter([1.0, 0.0]);
        let entropy = Multinomial::from_probabilities(5.0, certain).entropy();
        assert_abs_diff_eq!(entropy.item().unwrap(), 0.0, epsilon = 1e-15);
        assert!(tape.backward(entropy, [certain]).unwrap()[0].as_slice().iter().all(|slope| !slope.is_nan()));
        // Two categories are binomial.
        let both = Multinomial::from_probabilities(1e4, tape.constant([0.3, 0.7])).entropy().item().unwrap();
        let one = crate::discrete::Binomial::from_probabilities(1e4, tape.constant(0.3)).entropy().item().unwrap();
        assert_relative_eq!(both, one, max_relative = 1e-12);
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
            assert_abs_diff_eq!(p.sum().item().unwrap(), 1.0, epsilon = 1e-13);
            let costs: Vec<f64> = outcomes().iter().map(|x| cost(x)).collect();
            let [exact] = tape.backward((p * tape.constant(costs)).sum(), [theta]).unwrap();
            let noise = KeyedNoise::new(11, 0);
            let draw = on_samples(&tape, &noise, 100_000);
            let sample = distribution.draw(&draw).unwrap();
            for (x, p) in outcomes().iter().zip(p.peek().unwrap().as_slice()) {
                let found = sample.as_slice().chunks(3).filter(|row| row == x).count() as f64 / 1e5;
                assert!((found - p).abs() < 4.5 * (p * (1.0 - p) / 1e5).sqrt(), "{x:?}: {found}, expected {p}");
            }
            let parts = distribution.weak_derivative(0, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
            let parts = Evaluated::new(&distribution, &draw, &parts);
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
    fn counts_sum_to_trials_on_other_plates_than_the_probabilities() {
        let tape = Tape::<f64>::new();
        let data = tape.plate("data", 3, PlateKind::Data, &[]);
        let samples = tape.plate("samples", 200, PlateKind::Samples, &[]);
        let never = f64::NEG_INFINITY;
        let logits = tape.constant_on(&[data], [[0.3, -0.4], [5.0, never], [never, 0.1]]);
        let trials = tape.constant_on(&[samples], Tensor::from_fn([200], |i| (i % 5) as f64));
        let noise = KeyedNoise::new(4, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[data, samples]));
        let counts = Multinomial::from_logits(trials, logits).draw(&draw).unwrap();
        assert_eq!(counts.shape().to_vec(), [3, 200, 2]);
        for (row, x) in counts.as_slice().chunks(2).enumerate() {
            assert_eq!(x[0] + x[1], (row % 200 % 5) as f64);
            assert!((row < 400 || x[0] == 0.0) && (row / 200 != 1 || x[1] == 0.0), "{row}: {x:?}");
        }
    }

    #[test]
    fn large_counts_keep_their_digits() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.0, 0.0]);
        let distribution = Multinomial::from_logits(1e9, logits);
        let log = distribution.log_prob(tape.constant([5e8, 5e8]));
        let expected = stochgrad_tensor::special::binomial_log_pmf(5e8, 1e9, 0.5);
        assert_relative_eq!(log.item().unwrap(), expected, epsilon = 0.0, max_relative = 1e-12);
        assert!(tape.backward(log, [logits]).unwrap()[0].as_slice().iter().all(|slope| slope.abs() < 1e-3));
        assert!(Multinomial::from_logits(0.5, logits).validate().is_err());
    }
}
