//! The ordered logistic distribution: an ordered category, such as a rating from one to five stars, that is decided by
//! where a logistic variate falls among cutpoints.
//!
//! $$P(X \le k; \eta, c) = \sigma(c_k - \eta), \quad k \in \{0, \dots, C - 2\}, \quad c_0 < c_1 < \dots < c_{C - 2}.$$
//!
//! Parameters: the predictor $\eta$, a location, and the cutpoints $c$, increasing along their last axis. There is one
//! category more than cutpoints. The predictor and the axes of the cutpoints before the last broadcast to the event
//! shape: independent categories. Support: $0, \dots, C - 1$. Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in $\eta$ and $c$ |
//! | finite support | $0, \dots, C - 1$ |
//! | weak derivative | every category, with the derivatives of its probability |
//! | stochastic derivative | to the neighbouring category, at the rate at which mass crosses the cutpoint between them |
//! | distribution function | $\sigma(c_k - \eta)$, with survival function, logarithms and inverses |
//!
//! The probability of a category between two cutpoints is computed without a difference of distribution functions, so
//! that it keeps its digits in both tails:
//!
//! $$\sigma(b) - \sigma(a) = \sigma(b)\, \sigma(-a)\, (1 - e^{a - b}).$$

use crate::discrete::categorical::{Categorical, pick};
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::{FiniteSupport, IndependentCategories, IntegerSupport, Side, StochasticDerivative, Tempered};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

distribution! {
    /// Ordered categories as integers `0, 1, …, C − 1`, given by a predictor and `C − 1` increasing cutpoints along the
    /// last axis. Use it for ratings and grades: a larger predictor makes higher categories more probable.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, OrderedLogistic};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let rating = OrderedLogistic::new(tape.constant(0.5), tape.constant([-1.0, 0.5, 2.0]));
    /// let lower_half = rating.log_prob_each(tape.constant([0.0, 1.0])).exp().sum();
    /// assert!((lower_half.item()? - 0.5).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct OrderedLogistic {
        /// The location of the logistic variate.
        predictor,
        /// The cutpoints, along the last axis.
        cutpoints,
    }
}

impl<'t, F: Real> OrderedLogistic<Var<'t, F>> {
    /// Categories of a logistic variate around `predictor`, divided by `cutpoints`, which increase along the last axis.
    pub fn new(predictor: Var<'t, F>, cutpoints: Var<'t, F>) -> Self {
        OrderedLogistic { predictor, cutpoints }
    }

    /// The number of categories.
    pub fn categories(&self) -> usize {
        self.divisions() + 1
    }

    /// The probabilities, with the categories along the last axis.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.log_probabilities().exp()
    }

    /// The logarithms of the probabilities, with the categories along the last axis.
    pub fn log_probabilities(&self) -> Var<'t, F> {
        let shift = self.shifts();
        let cuts = self.cutpoints;
        let widths = match self.divisions() {
            0 | 1 => None,
            count => {
                let bounds = |first: usize| cuts.index_select(-1, &(first..first + count - 1).collect::<Vec<_>>());
                Some(special::log1mexp(bounds(0) - bounds(1)))
            }
        };
        let below = self.joined(&[Some(shift.log_sigmoid()), None]);
        let above = self.joined(&[None, Some((-shift).log_sigmoid())]);
        let logs = below + above;
        if widths.is_some() { logs + self.joined(&[None, widths, None]) } else { logs }
    }

    /// The number of cutpoints.
    fn divisions(&self) -> usize {
        self.cutpoints.shape().last().copied().unwrap_or(0)
    }

    /// The cutpoints relative to the predictor, for each element.
    fn shifts(&self) -> Var<'t, F> {
        self.wide(self.cutpoints - self.predictor.unsqueeze(-1))
    }

    /// A row for each element.
    fn wide(&self, row: Var<'t, F>) -> Var<'t, F> {
        let last = row.shape().last().copied();
        row.broadcast_to(self.event_shape().iter().copied().chain(last).collect::<Shape>())
    }

    /// Pieces of rows side by side; a missing piece is a 0.
    fn joined(&self, pieces: &[Option<Var<'t, F>>]) -> Var<'t, F> {
        let zero = self.predictor.tape().constant([0.0]);
        let pieces: Vec<Var<'t, F>> = pieces.iter().map(|piece| self.wide(piece.unwrap_or(zero))).collect();
        // The tape holds the error.
        Var::concat(&pieces, -1).unwrap_or(zero)
    }

    fn numbers(&self) -> Var<'t, F> {
        self.predictor.tape().constant(Tensor::from_fn([self.categories()], F::from_usize))
    }

    /// The density of the logistic variate at each cutpoint, and its logarithm. No gradient flows through them.
    fn log_crossings(&self) -> Var<'t, F> {
        let shift = self.shifts().stop_gradient();
        shift.log_sigmoid() + (-shift).log_sigmoid()
    }

    /// The categories where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let full: Shape = event.iter().copied().chain([self.categories()]).collect();
        draw.categorical(&event, &draw.parameter(self.probabilities(), &full)?)
    }
}

impl<'t, F: Real> Distribution<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "OrderedLogistic"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let parameters = [("predictor", self.predictor), ("cutpoints", self.cutpoints)];
        parameters.into_iter().map(|(name, var)| Parameter::smooth(name, var).with_path(SamplePath::None)).collect()
    }

    fn event_shape(&self) -> Shape {
        let cuts = self.cutpoints.shape();
        let rows: Shape = cuts.iter().take(cuts.len().saturating_sub(1)).copied().collect();
        Shape::broadcast(&self.predictor.shape(), &rows).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Categories(self.categories())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // −∞ at what is not a category; NaN stays NaN.
        let count = value.zip(Zip::MulCount, value.tape().constant(1.0));
        let category = count.map(Map::Within(0.0, self.categories() as f64 - 1.0));
        let place = category.select(value, value.tape().constant(0.0));
        let log = pick(self.log_probabilities(), self.event_shape(), place);
        category.select(log, value.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.predictor.tape(), self.event_shape());
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, tape, &event)?;
        let log_odds = tail.ln() - (-tail).log1p();
        let logistic = lower.select(log_odds, -log_odds);
        Ok(logistic.unsqueeze(-1).gt(self.shifts()).sum_axis(-1).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        // The sum of the survival function over the categories.
        Some((-self.shifts()).sigmoid().sum_axis(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (p, x) = (self.probabilities(), self.numbers());
        let mean = (p * x).sum_axis(-1).unsqueeze(-1);
        Some((p * (x - mean).square()).sum_axis(-1))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.log_probabilities().argmax(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        let count = self.divisions();
        if count == 0 {
            let problem = format!(
                "expected at least one cutpoint along the last axis, got shape {}; one category has no choice",
                self.cutpoints.shape()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "OrderedLogistic", problem });
        }
        finite("OrderedLogistic", "predictor", self.predictor)?;
        finite("OrderedLogistic", "cutpoints", self.cutpoints)?;
        if count == 1 {
            return Ok(());
        }
        let bounds = |first: usize| self.cutpoints.index_select(-1, &(first..first + count - 1).collect::<Vec<_>>());
        let hint = "make them a cumulative sum of positive numbers";
        let condition = Condition::AtMost { above: 0.0, high: f64::INFINITY };
        let steps = bounds(1) - bounds(0);
        check_parameter("OrderedLogistic", "steps of the cutpoints", steps, "a positive number", hint, condition)
    }

    capabilities!();
}

impl<'t, F: Real> OrderedLogistic<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let (zero, last) = (tape.constant(0.0), tape.constant(self.categories() as f64 - 1.0));
        tail.of(value, [value.lt(zero) * value.lt(last), value.ge(last)], zero, |category| {
            let shift = pick(self.shifts(), self.event_shape(), category);
            match tail {
                Tail::Lower => shift.sigmoid(),
                Tail::Upper => (-shift).sigmoid(),
                Tail::LogLower => shift.log_sigmoid(),
                Tail::LogUpper => (-shift).log_sigmoid(),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for OrderedLogistic<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(value.tape().constant(self.categories() as f64 - 1.0))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // The number of categories up to which there is less, up to rounding.
        let sums = self.shifts().sigmoid() * (1.0 + 8.0 * F::EPSILON.to_f64());
        let short = sums.lt(probability.unsqueeze(-1)).sum_axis(-1);
        let all = probability.ge(probability.tape().constant(1.0));
        of_probability(probability, all.select(short * 0.0 + self.divisions() as f64, short))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let least = probability.unsqueeze(-1) * (1.0 + 8.0 * F::EPSILON.to_f64());
        let more = (-self.shifts()).sigmoid().gt(least).sum_axis(-1);
        let none = probability.le(probability.tape().constant(0.0));
        of_probability(probability, none.select(more * 0.0 + self.divisions() as f64, more))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for OrderedLogistic<Var<'t, F>> {}

impl<'t, F: Real> Tempered<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Categorical::from_logits(self.log_probabilities() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> IndependentCategories<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        self.log_probabilities()
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        (one_hot * self.numbers()).sum_axis(-1)
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.one_hot(self.categories())
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        Ok(self.categories() as u128)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([self.categories()], F::from_usize))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let crossing = self.log_crossings().exp();
        let row = |category: usize, sign: f64| {
            // The cutpoint above a category, and the one below it.
            Tensor::from_fn([self.divisions()], |cut| {
                F::from_f64(sign * (f64::from(u8::from(cut == category)) - f64::from(u8::from(cut + 1 == category))))
            })
        };
        let weight = |category: usize| {
            let of_cutpoints = |sign| crossing * crossing.tape().constant(row(category, sign));
            match parameter {
                0 => of_cutpoints(-1.0).sum_axis(-1),
                _ => of_cutpoints(1.0),
            }
        };
        let values = (0..self.categories()).map(|category| sample.stop_gradient() * 0.0 + category as f64).collect();
        Ok(Some(Alternatives { values, weights: (0..self.categories()).map(weight).collect() }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let x = sample.stop_gradient();
        let (cuts, crossings) = (Tensor::from_fn([self.divisions()], F::from_usize), self.log_crossings());
        let cuts = x.tape().constant(cuts);
        let own = self.log_prob_each(x).stop_gradient().unsqueeze(-1);
        // The rates at which mass leaves the category through each cutpoint: through that above it, and that below it.
        let zero = x.tape().constant(0.0);
        let rates = |at: Var<'t, F>| {
            let here = cuts.equal(at.unsqueeze(-1));
            here.select((crossings - own).exp(), zero)
        };
        let (up, down) = (rates(x), rates(x - 1.0));
        // A larger predictor moves mass up, a larger cutpoint moves it down.
        let (up, down) = match parameter {
            0 => (up.sum_axis(-1), -down.sum_axis(-1)),
            _ => (-up, down),
        };
        let last = self.divisions() as f64;
        let (higher, lower) = ((x + 1.0).map(Map::MinScalar(last)), (x - 1.0).relu());
        Ok(Some(match (side, parameter) {
            (Side::TwoSided, _) => Alternatives { values: vec![higher, lower], weights: vec![up * 0.5, down * 0.5] },
            (Side::Right, 0) | (Side::Left, 1..) => Alternatives { values: vec![higher], weights: vec![up] },
            (Side::Left, 0) | (Side::Right, 1..) => Alternatives { values: vec![lower], weights: vec![down] },
        }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let logs = self.log_probabilities();
        -(logs.exp() * logs).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for OrderedLogistic<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The sum of the deviances is the divergence, since both rows have the sum 1.
        special::deviance_by_log(self.log_probabilities(), other.log_probabilities()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        COSTS, SIDES, States, assert_close, check_draws, check_enumeration, check_family, check_score,
    };
    use stochgrad_tape::{PlateKind, Plates, Tape};

    #[test]
    fn everything_follows_the_distribution() {
        for cuts in [vec![0.3], vec![-1.0, 0.5], vec![-1.0, -0.4, 1.0, 4.0]] {
            let tape = Tape::<f64>::new();
            let (predictor, cutpoints) = (tape.parameter(0.6), tape.parameter(cuts.clone()));
            let distribution = OrderedLogistic::new(predictor, cutpoints);
            distribution.validate().unwrap();
            check_draws(&tape, &distribution, cuts.len() + 1);
            check_enumeration(&distribution, predictor);
            check_enumeration(&distribution, cutpoints);
            check_family(&tape, &distribution, tape.constant(1.0));
            let counts: Vec<f64> = (0..=cuts.len()).map(|k| k as f64).collect();
            let at = |value: Var<'_, f64>| value.peek().unwrap().to_vec();
            let beyond = at(distribution.survival(tape.constant(counts.clone())));
            let up_to = at(distribution.cdf(tape.constant(counts.clone())));
            for k in 0..counts.len() {
                assert!((beyond[k] + up_to[k] - 1.0).abs() < 1e-15);
            }
            assert_close(&at(distribution.log_survival(tape.constant(counts.clone())).exp()), &beyond, 1e-14);
            assert_close(&at(distribution.log_cdf(tape.constant(counts.clone())).exp()), &up_to, 1e-14);
            assert_eq!(at(distribution.icdf(tape.constant(up_to))), counts);
            assert_eq!(at(distribution.inverse_survival(tape.constant(beyond))), counts);
        }
        check_score(&[0.6, -1.0, 0.5, 3.0], |v| {
            let cuts = v.index_select(0, &[1, 2, 3]);
            OrderedLogistic::new(v.index(0, 0), cuts).log_prob(v.tape().constant([0.0, 1.0, 2.0, 3.0]))
        });
    }

    #[test]
    fn derivatives_of_the_distribution_are_exact() {
        let tape = Tape::<f64>::new();
        let (predictor, cutpoints) = (tape.parameter(0.6), tape.parameter([-1.0, 0.5, 3.0]));
        let distribution = OrderedLogistic::new(predictor, cutpoints);
        let states = States::new(&tape, &distribution, 4);
        let noise = KeyedNoise::new(1, 0);
        let draw = states.draw(&noise);
        for (parameter, leaf) in [predictor, cutpoints].into_iter().enumerate() {
            for f in COSTS {
                let exact = states.exact(&distribution, leaf, f);
                let weak = distribution.weak_derivative(parameter, states.recorded(), &draw).unwrap().unwrap();
                assert_close(&states.estimated(&distribution, &weak, f), &exact, 1e-9);
                for side in SIDES {
                    let jumps = distribution.stochastic_derivative(parameter, side, states.recorded(), &draw);
                    assert_close(&states.estimated(&distribution, &jumps.unwrap().unwrap(), f), &exact, 1e-9);
                }
            }
        }
    }

    /// Far from all cutpoints, differences of distribution functions would be 0.
    #[test]
    fn probabilities_keep_their_digits() {
        let tape = Tape::<f64>::new();
        let predictor = tape.parameter(-800.0);
        let distribution = OrderedLogistic::new(predictor, tape.constant([0.0, 1e-12, 1.0]));
        let logs = distribution.log_prob_each(tape.constant([0.0, 1.0, 2.0, 3.0])).peek().unwrap().to_vec();
        let expected = [0.0, -800.0 + 1e-12_f64.ln(), -800.0 + (-(-1.0_f64).exp()).ln_1p(), -801.0];
        assert_close(&logs, &expected, 1e-14);
        let [slope] = tape.backward(distribution.log_prob(tape.constant(2.0)), [predictor]).unwrap();
        assert_close(slope.as_slice(), &[1.0], 1e-14);
        assert_close(&[distribution.kl_to(&distribution).item().unwrap()], &[0.0], 1e-300);
    }

    #[test]
    fn elements_plates_and_mistakes() {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
        let predictor = tape.parameter([[0.1, 2.0, -1.0], [0.3, 0.0, 1.0]]).event_to_plate(plate);
        let cutpoints = tape.parameter([-1.0, 1.0]);
        let distribution = OrderedLogistic::new(predictor, cutpoints);
        assert_eq!(distribution.event_shape().to_vec(), [3]);
        let noise = KeyedNoise::new(1, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let sample = distribution.sample(&draw).unwrap();
        assert!(sample.peek().unwrap().as_slice().iter().all(|x| [0.0, 1.0, 2.0].contains(x)));
        let log = distribution.log_prob(sample).plate_to_event(plate).sum();
        assert!(tape.backward(log, [cutpoints]).unwrap()[0].all_finite());
        let q = OrderedLogistic::new(tape.constant(0.4), tape.constant([-0.5, 1.0]));
        let p = OrderedLogistic::new(tape.constant(0.1), tape.constant([-1.0, 2.0]));
        let all = tape.constant([0.0, 1.0, 2.0]);
        let (own, other) = (p.log_prob_each(all), q.log_prob_each(all));
        let expected = (own.exp() * (own - other)).sum().item().unwrap();
        assert_close(&[p.kl_to(&q).item().unwrap()], &[expected], 1e-13);
        assert_close(&[p.entropy().item().unwrap()], &[-(own.exp() * own).sum().item().unwrap()], 1e-14);
        for value in [-1.0, 0.5, 3.0, f64::INFINITY] {
            assert_eq!(p.log_prob(tape.constant(value)).item(), Ok(f64::NEG_INFINITY));
        }
        assert!(p.log_prob(tape.constant(f64::NAN)).item().unwrap().is_nan());
        let equal = OrderedLogistic::new(tape.constant(0.1), tape.constant([1.0, 1.0]));
        assert!(equal.validate().unwrap_err().to_string().contains("cumulative sum"));
        assert!(OrderedLogistic::new(tape.constant(0.1), tape.constant(1.0)).validate().is_err());
        assert!(OrderedLogistic::new(tape.constant(f64::NAN), tape.constant([1.0])).validate().is_err());
    }
}
