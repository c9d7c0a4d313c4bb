//! The relaxed Bernoulli distribution (binary concrete): values between 0 and 1 that are close to a bit at low
//! temperatures. Use it in place of bits where a differentiable path is needed.
//!
//! $$p(x; \tau, \eta) = \frac{\tau e^{\eta}\, x^{-\tau - 1} (1 - x)^{-\tau - 1}}{(e^\eta x^{-\tau} + (1 - x)^{-\tau})^2}, \quad 0 < x < 1, \quad \tau > 0.$$
//!
//! Parameters: the temperature $\tau > 0$, and the log-odds $\eta$, any finite number, or the probability in $(0, 1)$
//! of the bit. The parameters broadcast; their common shape is the event shape, and each element is an independent
//! value. Support: the open unit interval.
//!
//! A temperature with which $(\lvert\eta\rvert + 800)/\tau$, more than the logit of any sample, overflows is refused.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma((\eta + \ln U - \ln(1 - U))/\tau)$, any order |
//!
//! Source: Maddison, Mnih and Teh, "The concrete distribution", 2017. As the temperature falls to 0 the distribution
//! becomes that of a bit.

use crate::compound::bijector::Bijector;
use crate::compound::invertible_map::OwnSample;
use crate::derivative::base_values::remember;
use crate::derivative::known_logarithms::log_odds_of;
use crate::discrete::bernoulli::Bernoulli;
use crate::distribution::Relaxed;
use crate::family;
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;

/// Values between 0 and 1 that stand for bits, given by temperature and the log-odds or the probability of the bit.
///
/// ```
/// use stochgrad_distributions::{Distribution, RelaxedBernoulli};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let soft = RelaxedBernoulli::from_logits(1.0, tape.constant(0.0));
/// assert!(soft.log_prob(tape.constant(0.3)).item()?.abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RelaxedBernoulli<V = stochgrad_tape::Id> {
    temperature: V,
    parameter: ProbabilityOrLogit<V>,
}

impl<V> RelaxedBernoulli<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<RelaxedBernoulli<W>, E> {
        Ok(RelaxedBernoulli { temperature: f(&self.temperature)?, parameter: self.parameter.try_map(f)? })
    }
}

family!(RelaxedBernoulli);

impl<'t, F: Real> RelaxedBernoulli<Var<'t, F>> {
    /// Relaxed bits with finite log-odds, at a `temperature > 0`.
    pub fn from_logits(temperature: impl IntoVar<'t, F>, logits: Var<'t, F>) -> Self {
        let temperature = temperature.into_var(logits.tape());
        RelaxedBernoulli { temperature, parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Relaxed bits with probabilities in (0, 1), at a `temperature > 0`.
    pub fn from_probabilities(temperature: impl IntoVar<'t, F>, probabilities: Var<'t, F>) -> Self {
        let temperature = temperature.into_var(probabilities.tape());
        RelaxedBernoulli { temperature, parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The temperature.
    pub fn temperature(&self) -> Var<'t, F> {
        self.temperature
    }

    /// The log-odds of the bit.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    /// The distribution of the bit, which is 1 where a value is above 1/2.
    pub fn hard(&self) -> Bernoulli<Var<'t, F>> {
        Bernoulli::from_logits(self.logits())
    }

    /// A path of the distribution given the bits `hard`: values on the side of 1/2 that belongs to the bit.
    ///
    /// # Errors
    /// As [`Distribution::draw`].
    pub fn rsample_given(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.soften(self.hard().conditional_perturbed(hard, draw)?))
    }

    /// The log-density of each element given the bits `hard`; −∞ on the other side of 1/2.
    pub fn log_prob_each_given(&self, hard: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let agrees = (value - 0.5).step().equal(hard);
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        agrees.select(self.log_prob_each(value) - self.hard().log_prob_each(hard), nothing)
    }

    fn soften(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        let logit = perturbed / self.temperature;
        remember(Bijector::Sigmoid.image(logit), logit)
    }

    /// The log-density at a value, given its logit, its logarithm and that of 1 minus the value.
    fn log_prob_of_logit(&self, odds: Var<'t, F>, log: Var<'t, F>, rest: Var<'t, F>) -> Var<'t, F> {
        // The logistic distribution of η − τy, with the logit y, and the slope of the logit.
        let z = self.logits() - self.temperature * odds;
        self.temperature.ln() - z.softplus() - (-z).softplus() - log - rest
    }

    /// A function of the distribution function: `of_logistic` of the standardised logit, and outside of the support
    /// `[below, above]`.
    fn of_tail(
        &self,
        value: Var<'t, F>,
        of_logistic: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
        outside: [f64; 2],
    ) -> Var<'t, F> {
        let tape = value.tape();
        if let Some(odds) = log_odds_of(value) {
            let odds = odds.clamp(-F::MAX.to_f64(), F::MAX.to_f64());
            return of_logistic(self.temperature * odds - self.logits());
        }
        // NaN is not outside.
        let beyond = value.minimum(1.0 - value).held().le(tape.constant(0.0));
        let x = beyond.select(tape.constant(0.5), value);
        let [below, above] = outside.map(|end| tape.constant(end));
        let inside = of_logistic(self.temperature * (x.ln() - (-x).log1p()) - self.logits());
        beyond.select((value.held() - 0.5).step().select(above, below), inside)
    }
}

impl<'t, F: Real> Distribution<'t, F> for RelaxedBernoulli<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "RelaxedBernoulli"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("temperature", self.temperature), self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.temperature, self.parameter.var()])
    }

    fn support(&self) -> Support {
        Support::UnitInterval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.log_prob_of_logit(odds, odds.log_sigmoid(), (-odds).log_sigmoid());
        }
        let half = value.tape().constant(0.5);
        let own = OwnSample::find(&Bijector::Sigmoid, value);
        Boundary::Excluded.confine(value.minimum(1.0 - value), value, half, |x| {
            let (log, rest) = (x.ln(), (-x).log1p());
            match own {
                None => self.log_prob_of_logit(log - rest, log, rest),
                Some(own) => {
                    let odds = own.recall(own.base(), log - rest, 0);
                    self.log_prob_of_logit(odds, odds.log_sigmoid(), (-odds).log_sigmoid())
                }
            }
        })
    }

    drawn_by_path!();

    fn validate(&self) -> DistributionResult<()> {
        positive("RelaxedBernoulli", "temperature", self.temperature)?;
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "use logits for unconstrained numbers";
                check_parameter(
                    "RelaxedBernoulli",
                    "probabilities",
                    p,
                    "in (0, 1)",
                    hint,
                    Condition::Inside { above: 0.0, below: 1.0 },
                )?;
            }
            ProbabilityOrLogit::Logit(l) => finite("RelaxedBernoulli", "logits", l)?,
        }
        // A standard logistic sample is smaller than that.
        let largest = (self.logits().abs() + 800.0) / self.temperature;
        let hint = "the logits of samples are beyond the range of numbers; use a larger temperature, or Bernoulli";
        check_parameter("RelaxedBernoulli", "logit of a sample", largest, "a finite number", hint, Condition::Finite)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for RelaxedBernoulli<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.of_tail(value, logistic, [0.0, 1.0])
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.of_tail(value, |z| logistic(-z), [1.0, 0.0])
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.of_tail(value, Var::log_sigmoid, [f64::NEG_INFINITY, 0.0])
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.of_tail(value, |z| (-z).log_sigmoid(), [0.0, f64::NEG_INFINITY])
    }
}

/// The logistic function, with derivatives that keep their digits in both tails.
fn logistic<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    z.held().step().select(1.0 - (-z).sigmoid(), z.sigmoid())
}

impl<'t, F: Real> QuantileFunction<'t, F> for RelaxedBernoulli<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, 1.0], |p| {
            ((self.logits() + p.ln() - (-p).log1p()) / self.temperature).sigmoid()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [1.0, 0.0], |p| {
            ((self.logits() + (-p).log1p() - p.ln()) / self.temperature).sigmoid()
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for RelaxedBernoulli<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for RelaxedBernoulli<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_noise(self.temperature.tape(), Fill::Logistic, &self.event_shape())?;
        Ok(self.soften(self.logits() + noise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at, on_samples};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(RelaxedBernoulli::from_logits(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        DistributionCheck::new(BUILD, &[0.7, 0.4], Domain::UnitInterval).assert_distribution(&[0.05, 0.4, 0.98], 271);
        assert_nothing_at(BUILD, &[0.7, 0.4], 1.0);
        for parameters in [[0.1, 50.0], [0.1, -50.0], [10.0, 0.0], [1e-2, 0.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    /// Given the bit, the values average to the distribution itself, and their density integrates to one.
    #[test]
    fn conditionals_make_up_the_distribution() {
        let tape = Tape::<f64>::new();
        let distribution = RelaxedBernoulli::from_logits(0.7, tape.parameter(0.4));
        let noise = KeyedNoise::new(4, 0);
        let draw = on_samples(&tape, &noise, 50_000);
        for bit in [0.0, 1.0] {
            let hard = tape.constant(bit).expand_plates(draw.plates());
            let x = distribution.rsample_given(hard, &draw).unwrap().peek().unwrap();
            assert!(x.as_slice().iter().all(|&x| (x > 0.5) == (bit == 1.0)));
            let grid: Vec<f64> = (0..20_000).map(|i| (f64::from(i) + 0.5) / 20_000.0).collect();
            let density =
                distribution.log_prob_each_given(tape.constant(bit), tape.constant(grid.clone())).exp().peek().unwrap();
            let total: f64 = density.as_slice().iter().sum::<f64>() / 20_000.0;
            assert!((total - 1.0).abs() < 0.02, "{total}");
            let mean: f64 = density.as_slice().iter().zip(&grid).map(|(p, x)| p * x).sum::<f64>() / 20_000.0;
            let found = x.as_slice().iter().sum::<f64>() / 50_000.0;
            assert!((mean - found).abs() < 0.01, "{mean} and {found}");
        }
    }

    #[test]
    fn single_precision_samples_are_inside() {
        let tape = Tape::<f32>::new();
        let plate = tape.plate("samples", 5000, stochgrad_tape::PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(4, 0);
        let plates = stochgrad_tape::Plates::from_slice(&[plate]);
        let draw = Draw::new(&tape, &noise, crate::NoiseKey::new("x", None), plates);
        let logits = tape.parameter(0.3_f64);
        let distribution = RelaxedBernoulli::from_logits(0.1, logits);
        let x = distribution.rsample(&draw).unwrap();
        assert!(x.peek().unwrap().as_slice().iter().all(|&x| x > 0.0 && x < 1.0));
        let [gradient] = tape.backward((distribution.log_prob(x) + x).mean_over(plate), [logits]).unwrap();
        assert!(gradient.all_finite());
    }

    /// The logarithms of the tails and the densities of the distribution function have all digits far out.
    #[test]
    fn tails_keep_their_digits() {
        let tape = Tape::<f32>::new();
        let distribution = RelaxedBernoulli::from_logits(20.0, tape.constant(0.3));
        for x in [0.1_f32, 0.3, 0.5, 0.7, 0.9] {
            let at = tape.parameter(x);
            let [slope] = tape.grad(distribution.cdf(at), [at]).unwrap();
            let density = distribution.log_prob(at).exp().item().unwrap();
            let slope = slope.item().unwrap();
            assert!((slope / density - 1.0).abs() < 1e-4, "{x}: {slope} and {density}");
            let log_survival = distribution.log_survival(at).item().unwrap();
            let z = 20.0 * (f64::from(x) / (1.0 - f64::from(x))).ln() - 0.3;
            let expected = -(z.max(0.0) + (-z.abs()).exp().ln_1p());
            assert!((f64::from(log_survival) / expected - 1.0).abs() < 1e-5, "{x}: {log_survival} and {expected}");
        }
        for (x, [cdf, log]) in
            [(-0.5, [0.0, 0.0]), (0.0, [0.0, 0.0]), (1.0, [1.0, f32::NEG_INFINITY]), (2.0, [1.0, f32::NEG_INFINITY])]
        {
            let at = tape.constant(x);
            assert_eq!(distribution.cdf(at).item().unwrap(), cdf);
            assert_eq!(distribution.log_survival(at).item().unwrap(), log);
        }
        assert!(distribution.cdf(tape.constant(f64::NAN)).item().unwrap().is_nan());
        let far = distribution.inverse_survival(tape.constant(1e-30)).item().unwrap();
        assert!(
            (distribution.log_survival(tape.constant(f64::from(far))).item().unwrap() / 1e-30_f32.ln() - 1.0).abs()
                < 1e-4
        );
    }

    /// The mean of the score at own samples is 0, also where they have rounded to the ends.
    #[test]
    fn own_samples_know_their_logit() {
        let tape = Tape::<f32>::new();
        let plate = tape.plate("samples", 5000, stochgrad_tape::PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(4, 0);
        let plates = stochgrad_tape::Plates::from_slice(&[plate]);
        let draw = Draw::new(&tape, &noise, crate::NoiseKey::new("x", None), plates);
        let (temperature, logits) = (tape.parameter(0.01_f64), tape.parameter(0.3_f64));
        let distribution = RelaxedBernoulli::from_logits(temperature, logits);
        let x = tape.sample(tape.new_site(), distribution.sample(&draw).unwrap(), &[]);
        let score = tape.grad(distribution.log_prob(x).mean_over(plate), [temperature, logits]).unwrap();
        let [temperature, logits] = score.map(|score| score.item().unwrap());
        // The standard errors are those of 1 + z tanh(z / 2) over the temperature, and of tanh(z / 2).
        assert!(
            (temperature * 0.01).abs() < 4.0 * 1.2 / 5000.0_f32.sqrt() && logits.abs() < 4.0 * 0.58 / 5000.0_f32.sqrt()
        );
    }

    #[test]
    fn temperatures_without_logits_are_refused() {
        let tape = Tape::<f64>::new();
        let at = |temperature: f64, logits: f64| RelaxedBernoulli::from_logits(temperature, tape.constant(logits));
        assert!(at(1e-300, 1e10).validate().unwrap_err().to_string().contains("larger temperature"));
        assert!(at(1e-306, 0.0).validate().is_err() && at(1e-300, 1e4).validate().is_ok());
    }
}
