//! The noise of the exact oracle: every uniform is an interval that queries split.
//!
//! An outcome of a program is the list of choices it took at these splits. [`Choices`] goes through all lists depth
//! first: the program is run again with the choices of a recorded prefix, and takes the first option of every choice
//! beyond it.

use crate::CheckError;
use crate::cells::cells;
use crate::oracle_cuts::{Cuts, Position};
use crate::quadrature::{BaseDistribution, Rule};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::HashMap;
use stochgrad_distributions::{
    DistributionError, DistributionResult, NoiseKey, NoiseLayout, NoiseSource, SchemeUniform, quantile,
};
use stochgrad_tensor::sampling_scheme::Place;

/// Narrower cells do not count where a number has been given out for an interval: its ends are known to rounding.
const NARROW: f64 = 1e-13;

/// The outcomes are gone through anew as often as this.
const MAX_PASSES: usize = 32;

/// A split: the probabilities of the options, and the option taken.
#[derive(Clone, Debug)]
struct Choice {
    key: NoiseKey,
    index: u64,
    probabilities: Vec<f64>,
    taken: usize,
}

/// What is known about one keyed number in the present run.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// The uniform lies in an interval.
    Interval(f64, f64),
    /// The uniform is this number, which stands for an interval.
    Point(f64, Position),
    /// The number is normal, and this one.
    Normal(f64),
}

#[derive(Debug, Default)]
struct State {
    choices: Vec<Choice>,
    /// How many choices the present run has made.
    made: usize,
    weight: f64,
    known: HashMap<(NoiseKey, u64), Known>,
    cuts: Cuts,
    /// The cuts of the next pass, where the present one has come upon an interval whose position was given out too
    /// early.
    next: Option<Cuts>,
    passes: usize,
    /// Decides the options of a run that takes them at random.
    probe: Option<ChaCha8Rng>,
    /// What stopped the present run, if it was this source.
    failure: Option<CheckError>,
}

/// The noise source of the exact oracle.
#[derive(Debug)]
pub(crate) struct OracleNoise {
    legendre: Rule,
    hermite: Rule,
    laguerre: Rule,
    state: RefCell<State>,
}

impl OracleNoise {
    pub(crate) fn new(nodes: usize) -> Self {
        OracleNoise {
            legendre: Rule::new(BaseDistribution::Uniform, nodes),
            hermite: Rule::new(BaseDistribution::Normal, nodes),
            laguerre: Rule::new(BaseDistribution::Exponential, nodes),
            state: RefCell::new(State::default()),
        }
    }

    /// Starts the run of an outcome.
    pub(crate) fn begin(&self) {
        let mut state = self.state.borrow_mut();
        state.made = 0;
        state.weight = 1.0;
        state.known.clear();
    }

    /// The probability of the outcome that has been run.
    ///
    /// # Errors
    /// If the run made fewer choices than the one before it with the same prefix.
    pub(crate) fn weight(&self) -> Result<f64, CheckError> {
        let state = self.state.borrow();
        if state.made < state.choices.len() {
            let problem = format!("{} choices with the same beginning, then {}", state.choices.len(), state.made);
            return Err(CheckError::NotDeterministic { problem });
        }
        Ok(state.weight)
    }

    /// What stopped the run, if it was this source and not the program.
    pub(crate) fn take_failure(&self) -> Option<CheckError> {
        self.state.borrow_mut().failure.take()
    }

    /// Goes on to the next outcome; false if there is none.
    pub(crate) fn advance(&self) -> bool {
        let choices = &mut self.state.borrow_mut().choices;
        while let Some(last) = choices.last_mut() {
            if last.taken + 1 < last.probabilities.len() {
                last.taken += 1;
                return true;
            }
            choices.pop();
        }
        false
    }

    /// Whether the outcomes have to be gone through again, since some of those visited stood for too much.
    pub(crate) fn is_refined(&self) -> bool {
        self.state.borrow().next.is_some()
    }

    /// Begins anew if the pass that has ended found intervals that must be cut before their positions are given out.
    ///
    /// # Errors
    /// If that does not come to an end.
    pub(crate) fn begin_again(&self) -> Result<bool, CheckError> {
        let state = &mut *self.state.borrow_mut();
        let Some(cuts) = state.next.take() else { return Ok(false) };
        state.cuts = cuts;
        state.choices.clear();
        state.passes += 1;
        if state.passes < MAX_PASSES {
            return Ok(true);
        }
        let problem = format!(
            "a uniform number was given out as a number and inverted afterwards, by distribution functions that differ each time \
             ({MAX_PASSES} times so far); invert first, draw the number for another purpose with draw.purpose(\"…\"), or use the \
             statistical test"
        );
        Err(CheckError::Noise { problem })
    }

    /// The part of the tree of choices that has been gone through, if at each choice every option counts alike.
    pub(crate) fn explored(&self) -> f64 {
        let (mut explored, mut part) = (0.0, 1.0);
        for choice in &self.state.borrow().choices {
            part /= choice.probabilities.len() as f64;
            explored += part * choice.taken as f64;
        }
        explored
    }

    /// Starts a run that takes options at random, each as likely as the others, whatever runs came before.
    pub(crate) fn begin_probe(&self, generator: ChaCha8Rng) {
        self.begin();
        let mut state = self.state.borrow_mut();
        state.choices.clear();
        state.probe = Some(generator);
    }

    /// The product of the numbers of options of the present run: after a probe, its mean is the number of outcomes
    /// (Knuth 1975).
    pub(crate) fn options(&self) -> f64 {
        self.state.borrow().choices.iter().map(|choice| choice.probabilities.len() as f64).product()
    }

    fn fail(&self, failure: CheckError) -> DistributionError {
        let error = DistributionError::Noise(failure.to_string());
        self.state.borrow_mut().failure = Some(failure);
        error
    }

    fn known(&self, key: NoiseKey, index: u64) -> Known {
        self.state.borrow().known.get(&(key, index)).copied().unwrap_or(Known::Interval(0.0, 1.0))
    }

    fn learn(&self, key: NoiseKey, index: u64, known: Known) {
        self.state.borrow_mut().known.insert((key, index), known);
    }

    /// The option taken at a split.
    fn choose(&self, key: NoiseKey, index: u64, probabilities: &[f64]) -> DistributionResult<usize> {
        if probabilities.len() == 1 {
            return Ok(0);
        }
        let state = &mut *self.state.borrow_mut();
        let at = state.made;
        state.made += 1;
        if at == state.choices.len() {
            let taken = state.probe.as_mut().map_or(0, |generator| generator.random_range(0..probabilities.len()));
            state.choices.push(Choice { key, index, probabilities: probabilities.to_vec(), taken });
        }
        let choice = &state.choices[at];
        let same = (choice.key, choice.index, choice.probabilities.len()) == (key, index, probabilities.len())
            && choice.probabilities.iter().zip(probabilities).all(|(before, now)| (before - now).abs() <= 1e-12);
        if !same {
            let problem =
                format!("choice {at} was among other options than in an earlier run with the same choices before it");
            let failure = CheckError::NotDeterministic { problem };
            let error = DistributionError::Noise(failure.to_string());
            state.failure = Some(failure);
            return Err(error);
        }
        state.weight *= choice.probabilities[choice.taken];
        Ok(choice.taken)
    }

    fn mixed(&self) -> DistributionError {
        self.fail(CheckError::Noise {
            problem: "normal and uniform numbers were drawn with one key, and would depend on one another; draw one of them for another purpose: \
                      draw.purpose(\"…\")"
                .into(),
        })
    }

    /// The interval of which a position is about to be given out: cut where an earlier pass found that it must be.
    fn cut(&self, key: NoiseKey, index: u64, low: f64, high: f64) -> DistributionResult<Position> {
        let (made, ends) = {
            let state = self.state.borrow();
            let taken = state.choices[..state.made].iter().map(|choice| choice.taken);
            (state.made, state.cuts.ends(taken, key, index, low, high))
        };
        let probabilities: Vec<f64> = ends.windows(2).map(|ends| (ends[1] - ends[0]) / (high - low)).collect();
        let part = self.choose(key, index, &probabilities)?;
        Ok(Position { low: ends[part], high: ends[part + 1], made })
    }

    /// A position inside the interval that is left, by Gauss–Legendre.
    fn position(&self, key: NoiseKey, index: u64) -> DistributionResult<f64> {
        match self.known(key, index) {
            Known::Point(u, _) => Ok(u),
            Known::Normal(_) => Err(self.mixed()),
            Known::Interval(low, high) => {
                let at = self.cut(key, index, low, high)?;
                let node = self.choose(key, index, &self.legendre.weights)?;
                let u = at.low + (at.high - at.low) * self.legendre.nodes[node];
                self.learn(key, index, Known::Point(u, at));
                Ok(u)
            }
        }
    }

    /// The state whose cell holds a number that was given out. Where the interval that it stands for has several
    /// states, the number alone would decide for all of it: the interval is then cut in the next pass.
    fn state_of(
        &self,
        (key, index): (NoiseKey, u64),
        (u, at): (f64, Position),
        place: Option<Place>,
        cdf: &dyn Fn(u64) -> f64,
    ) -> DistributionResult<u64> {
        let (low, high) = place.map_or((at.low, at.high), |place| place.image((at.low, at.high)));
        let cells = cells(low, high, cdf).map_err(|problem| self.fail(CheckError::Noise { problem }))?;
        let mut wide = cells.iter().filter(|cell| cell.high - cell.low > NARROW);
        if let (Some(cell), None) = (wide.next(), wide.next()) {
            return Ok(cell.state);
        }
        let ends = cells[1..].iter().map(|cell| place.map_or(cell.low, |place| place.preimage((cell.low, cell.low)).0));
        let state = &mut *self.state.borrow_mut();
        let taken = state.choices[..at.made].iter().map(|choice| choice.taken);
        state.next.get_or_insert_with(|| state.cuts.clone()).insert(taken, key, index, ends);
        Ok(quantile(place.map_or(u, |place| place.uniform(u)), cdf))
    }

    /// The state whose cell holds the number, as it is or moved to a place.
    fn state(
        &self,
        key: NoiseKey,
        index: u64,
        place: Option<Place>,
        cdf: &dyn Fn(u64) -> f64,
    ) -> DistributionResult<u64> {
        let known = match self.known(key, index) {
            Known::Point(u, at) => return self.state_of((key, index), (u, at), place, cdf),
            Known::Normal(_) => return Err(self.mixed()),
            Known::Interval(low, high) => (low, high),
        };
        let (low, high) = place.map_or(known, |place| place.image(known));
        let cells = cells(low, high, cdf).map_err(|problem| self.fail(CheckError::Noise { problem }))?;
        let probabilities: Vec<f64> = cells.iter().map(|cell| (cell.high - cell.low) / (high - low)).collect();
        let cell = &cells[self.choose(key, index, &probabilities)?];
        let (low, high) = place.map_or((cell.low, cell.high), |place| place.preimage((cell.low, cell.high)));
        self.learn(key, index, Known::Interval(low, high));
        Ok(cell.state)
    }

    fn each(
        &self,
        layout: &NoiseLayout,
        out: &mut [f64],
        number: impl Fn(usize, u64) -> DistributionResult<f64>,
    ) -> DistributionResult<()> {
        for (element, x) in out.iter_mut().enumerate() {
            *x = number(element, layout.index(element))?;
        }
        Ok(())
    }
}

impl NoiseSource<f64> for OracleNoise {
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
        self.each(layout, out, |_, index| self.position(key, index))
    }

    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
        self.each(layout, out, |_, index| match self.known(key, index) {
            Known::Normal(x) => Ok(x),
            Known::Interval(0.0, 1.0) => {
                let x = self.hermite.nodes[self.choose(key, index, &self.hermite.weights)?];
                self.learn(key, index, Known::Normal(x));
                Ok(x)
            }
            _ => Err(self.mixed()),
        })
    }

    fn exponential(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
        self.each(layout, out, |_, index| match self.known(key, index) {
            // Minus the logarithm of the uniform, as everywhere: below a bound, that of the bound and an exponential
            // number.
            Known::Interval(low, high) if low == 0.0 => {
                let at = self.cut(key, index, low, high)?;
                if at.low > 0.0 {
                    self.learn(key, index, Known::Interval(at.low, at.high));
                    return Ok(-self.position(key, index)?.ln());
                }
                let x = self.laguerre.nodes[self.choose(key, index, &self.laguerre.weights)?] - at.high.ln();
                self.learn(key, index, Known::Point((-x).exp(), at));
                Ok(x)
            }
            _ => Ok(-self.position(key, index)?.ln()),
        })
    }

    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [f64],
    ) -> DistributionResult<()> {
        self.each(layout, out, |element, index| Ok(self.state(key, index, None, &|k| cdf(element, k))? as f64))
    }

    fn invert_planned(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        numbers: &[SchemeUniform],
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [f64],
    ) -> DistributionResult<()> {
        for (element, (x, number)) in out.iter_mut().zip(numbers).enumerate() {
            let index = layout.index(number.base);
            *x = self.state(key, index, Some(number.place), &|k| cdf(element, k))? as f64;
        }
        Ok(())
    }

    fn generator(&self, _key: NoiseKey, _index: u64) -> DistributionResult<ChaCha8Rng> {
        Err(self.fail(CheckError::Noise {
            problem: "a sampler that needs a random number of random numbers (rejection) cannot be enumerated; use the statistical test for it".into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::sampling_scheme::SamplingScheme;

    /// All outcomes of a program: what it returned, and the probability.
    fn outcomes<T>(nodes: usize, mut program: impl FnMut(&OracleNoise) -> DistributionResult<T>) -> Vec<(T, f64)> {
        let noise = OracleNoise::new(nodes);
        let mut outcomes = Vec::new();
        loop {
            noise.begin();
            let value = program(&noise).expect("a program without errors");
            outcomes.push((value, noise.weight().expect("a deterministic program")));
            if !noise.advance() {
                return outcomes;
            }
        }
    }

    fn bit(noise: &OracleNoise, key: NoiseKey, p: f64) -> DistributionResult<f64> {
        let mut out = [0.0];
        noise.bernoulli(key, &NoiseLayout::flat(1), &[p], &mut out)?;
        Ok(out[0])
    }

    #[test]
    fn an_interval_is_split_again_by_a_coupled_query() {
        let key = NoiseKey::new("x", None);
        let found = outcomes(4, |noise| Ok((bit(noise, key, 0.3)?, bit(noise, key, 0.5)?, bit(noise, key, 0.3)?)));
        let expected = [((0.0, 0.0, 0.0), 0.5), ((0.0, 1.0, 0.0), 0.2), ((1.0, 1.0, 1.0), 0.3)];
        assert_eq!(found.len(), expected.len(), "a monotone coupling has three outcomes: {found:?}");
        for ((value, p), (expected, q)) in found.iter().zip(&expected) {
            assert_eq!(value, expected);
            assert_abs_diff_eq!(p, q, epsilon = 1e-15);
        }
    }

    #[test]
    fn keys_and_indices_are_independent() {
        let found = outcomes(4, |noise| {
            let mut out = [0.0; 2];
            noise.bernoulli(NoiseKey::new("x", None), &NoiseLayout::flat(2), &[0.3, 0.6], &mut out)?;
            Ok((out, bit(noise, NoiseKey::new("y", None), 0.5)?))
        });
        assert_eq!(found.len(), 8);
        let p: f64 = found.iter().filter(|((x, y), _)| *x == [1.0, 0.0] && *y == 1.0).map(|(_, p)| p).sum();
        assert_abs_diff_eq!(p, 0.3 * 0.4 * 0.5, epsilon = 1e-15);
    }

    #[test]
    fn a_position_respects_the_cell() {
        let key = NoiseKey::new("x", None);
        let found = outcomes(5, |noise| {
            let (x, mut u) = (bit(noise, key, 0.3)?, [0.0]);
            noise.uniform(key, &NoiseLayout::flat(1), &mut u)?;
            Ok((x, u[0], bit(noise, key, 0.3)?))
        });
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|((x, u, again), _)| (*u >= 0.7) == (*x == 1.0) && x == again));
        let integral: f64 = found.iter().map(|((x, u, _), p)| p * x * u * u).sum();
        assert_abs_diff_eq!(integral, (1.0 - 0.7_f64.powi(3)) / 3.0, epsilon = 1e-14);
    }

    #[test]
    fn normal_and_exponential_numbers_have_their_moments() {
        let found = outcomes(8, |noise| {
            let (mut x, mut e, mut again, mut u) = ([0.0], [0.0], [0.0], [0.0]);
            let (a, b) = (NoiseKey::new("x", None), NoiseKey::new("e", None));
            noise.normal(a, &NoiseLayout::flat(1), &mut x)?;
            noise.exponential(b, &NoiseLayout::flat(1), &mut e)?;
            noise.normal(a, &NoiseLayout::flat(1), &mut again)?;
            noise.uniform(b, &NoiseLayout::flat(1), &mut u)?;
            assert_eq!(x, again);
            assert!((u[0].ln() + e[0]).abs() < 1e-12);
            Ok(x[0].powi(4) * e[0].powi(3))
        });
        assert_eq!(found.len(), 64);
        let mean: f64 = found.iter().map(|(value, p)| value * p).sum();
        assert_abs_diff_eq!(mean, 18.0, epsilon = 1e-11);
    }

    #[test]
    fn numbers_of_a_plan_are_split_where_they_lie() {
        // An antithetic pair of bits and the two strata of a systematic pair, each from one number.
        for (plan, strata, both) in
            [(SamplingScheme::Antithetic, [0, 0], 0.0), (SamplingScheme::Systematic, [0, 1], 0.0)]
        {
            let found = outcomes(3, |noise| {
                let numbers: Vec<SchemeUniform> = strata
                    .iter()
                    .enumerate()
                    .map(|(member, &stratum)| SchemeUniform { base: 0, place: plan.place(2, member, stratum) })
                    .collect();
                let mut out = [0.0; 2];
                let cdf = |_: usize, k: u64| if k == 0 { 0.7 } else { 1.0 };
                noise.invert_planned(NoiseKey::new("x", None), &NoiseLayout::flat(1), &numbers, &cdf, &mut out)?;
                Ok(out)
            });
            let probability =
                |wanted: [f64; 2]| found.iter().filter(|(out, _)| *out == wanted).map(|(_, p)| p).sum::<f64>();
            assert!((probability([1.0, 1.0]) - both).abs() < 1e-15, "{plan}: {found:?}");
            let ones: f64 = found.iter().map(|(out, p)| (out[0] + out[1]) * p).sum();
            assert!((ones - 0.6).abs() < 1e-15, "{plan}: {found:?}");
        }
    }

    /// The mean over all outcomes of a program, going through them again until every interval is cut where it must be.
    fn mean(nodes: usize, mut program: impl FnMut(&OracleNoise) -> DistributionResult<f64>) -> Result<f64, CheckError> {
        let noise = OracleNoise::new(nodes);
        loop {
            let mut sum = 0.0;
            loop {
                noise.begin();
                let value = program(&noise).expect("a program without errors");
                sum += value * noise.weight()?;
                if !noise.advance() {
                    break;
                }
            }
            if !noise.begin_again()? {
                return Ok(sum);
            }
        }
    }

    fn position(noise: &OracleNoise, key: NoiseKey) -> DistributionResult<f64> {
        let mut u = [0.0];
        noise.uniform(key, &NoiseLayout::flat(1), &mut u)?;
        Ok(u[0])
    }

    #[test]
    fn an_interval_is_split_before_its_position_is_given_out_even_if_that_is_found_out_later() {
        let (x, y) = (NoiseKey::new("x", None), NoiseKey::new("y", None));
        for nodes in [1, 2, 5] {
            // The integrals of u over u ≥ 0.6, and where a bit decides: of u over u ≥ 0.9 and over u ≥ 0.2.
            let found = mean(nodes, |noise| Ok(position(noise, x)? * bit(noise, x, 0.4)?)).expect("a mean");
            assert_abs_diff_eq!(found, 0.32, epsilon = 1e-14);
            let found = mean(nodes, |noise| {
                let (u, other) = (position(noise, x)?, bit(noise, y, 0.25)?);
                Ok(u * bit(noise, x, if other == 1.0 { 0.1 } else { 0.8 })?)
            });
            let expected = 0.25 * (1.0 - 0.81) / 2.0 + 0.75 * (1.0 - 0.04) / 2.0;
            assert_abs_diff_eq!(*found.as_ref().expect("a mean"), expected, epsilon = 1e-14);
        }
    }

    #[test]
    fn a_position_answers_an_inversion_that_has_one_state_on_its_interval() {
        let key = NoiseKey::new("x", None);
        let noise = OracleNoise::new(3);
        noise.begin();
        bit(&noise, key, 0.3).expect("a bit");
        position(&noise, key).expect("a position");
        // Below 0.7 both are 0.
        assert_eq!((bit(&noise, key, 0.3), bit(&noise, key, 0.2)), (Ok(0.0), Ok(0.0)));
        assert!(!noise.is_refined());
        bit(&noise, key, 0.5).expect("a bit");
        assert!(noise.is_refined());
    }

    #[test]
    fn members_of_a_plan_are_split_before_their_positions_too() {
        let key = NoiseKey::new("x", None);
        for (plan, expected) in [(SamplingScheme::Antithetic, 0.02), (SamplingScheme::Systematic, 0.4 * 0.4)] {
            // A number and the second member of its pair: u over 1 − u ≥ 0.8; and u over (1 + u)/2 ≥ 0.8.
            let found = mean(2, |noise| {
                let u = position(noise, key)?;
                let numbers = [SchemeUniform { base: 0, place: plan.place(2, 1, 1) }];
                let mut out = [0.0];
                let cdf = |_: usize, k: u64| if k == 0 { 0.8 } else { 1.0 };
                noise.invert_planned(key, &NoiseLayout::flat(1), &numbers, &cdf, &mut out)?;
                Ok(u * out[0])
            });
            let expected = if plan == SamplingScheme::Antithetic { expected } else { (1.0 - 0.36) / 2.0 };
            assert!((found.as_ref().expect("a mean") - expected).abs() < 1e-14, "{plan}: {found:?}");
        }
    }

    #[test]
    fn exponential_numbers_are_split_before_they_are_given_out() {
        let key = NoiseKey::new("x", None);
        let found = mean(8, |noise| {
            let mut x = [0.0];
            noise.exponential(key, &NoiseLayout::flat(1), &mut x)?;
            Ok(x[0] * (1.0 - bit(noise, key, 0.5)?))
        });
        // −ln u over u < 1/2 is (1 + ln 2)/2.
        assert!((found.as_ref().expect("a mean") - 0.5 * (1.0 + 2.0_f64.ln())).abs() < 1e-13, "{found:?}");
    }

    #[test]
    fn numbers_that_decide_where_one_another_are_split_are_an_error() {
        let (x, y) = (NoiseKey::new("x", None), NoiseKey::new("y", None));
        let found = mean(1, |noise| {
            let (u, v) = (position(noise, x)?, position(noise, y)?);
            Ok(bit(noise, x, 0.9 * v)? * bit(noise, y, 0.7 * u)?)
        });
        assert!(matches!(&found, Err(CheckError::Noise { problem }) if problem.contains("given out")), "{found:?}");
    }

    #[test]
    fn a_countable_distribution_is_cut_in_its_tail() {
        let (key, layout) = (NoiseKey::new("x", None), NoiseLayout::flat(1));
        let found = outcomes(1, |noise| {
            let mut x = [0.0];
            noise.invert(key, &layout, &|_, k| -0.7_f64.powi(k as i32 + 1) + 1.0, &mut x)?;
            Ok(x[0])
        });
        let mean: f64 = found.iter().map(|(value, p)| value * p).sum();
        assert_abs_diff_eq!(mean, 0.7 / 0.3, epsilon = 1e-12);
        assert_abs_diff_eq!(found.iter().map(|(_, p)| p).sum::<f64>(), 1.0, epsilon = 1e-14);
    }

    #[test]
    fn what_cannot_be_enumerated_is_an_error() {
        let noise = OracleNoise::new(3);
        noise.begin();
        let key = NoiseKey::new("x", None);
        let layout = NoiseLayout::flat(1);
        assert!(noise.generator(key, 0).is_err_and(|error| error.to_string().contains("statistical test")));
        assert!(matches!(noise.take_failure(), Some(CheckError::Noise { .. })));
        noise.normal(key, &layout, &mut [0.0]).expect("normal numbers");
        assert!(noise.uniform(key, &layout, &mut [0.0]).is_err_and(|error| error.to_string().contains("purpose")));
        assert!(
            noise
                .invert(NoiseKey::new("y", None), &layout, &|_, _| f64::NAN, &mut [0.0])
                .is_err_and(|error| error.to_string().contains("NaN"))
        );
        let short = noise.invert(NoiseKey::new("z", None), &layout, &|_, _| 0.5, &mut [0.0]);
        assert!(short.is_err_and(|error| error.to_string().contains("0.5")));
    }
}
