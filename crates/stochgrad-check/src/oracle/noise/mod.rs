//! The noise of the exact oracle: every uniform is an interval, and each query splits it further.

mod cells;
mod choices;
mod cuts;
mod quadrature;

use crate::error::CheckError;
use crate::oracle::noise::cells::cells;
use crate::oracle::noise::choices::Choices;
use crate::oracle::noise::cuts::{Cuts, Position};
use crate::oracle::noise::quadrature::{BaseDistribution, Rule};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::HashMap;
use stochgrad_distributions::{
    DistributionError, DistributionResult, NoiseKey, NoiseLayout, NoiseSource, SchemeUniform, quantile,
};
use stochgrad_tensor::sampling_scheme::Place;

/// The ends of an interval are known to rounding only, so cells narrower than this do not count as further states
/// where a position inside the interval has been used.
const NARROW: f64 = 1e-13;

/// How often the outcomes may be visited again.
const MAX_PASSES: usize = 32;

/// What is known about one keyed random value in the present run.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// The uniform lies in an interval.
    Interval(f64, f64),
    /// The uniform has this value, which stands for an interval.
    Point(f64, Position),
    /// The value is a normal sample.
    Normal(f64),
}

#[derive(Debug, Default)]
struct State {
    choices: Choices,
    known: HashMap<(NoiseKey, u64), Known>,
    cuts: Cuts,
    /// The cuts of the next pass, once the present one has found an interval whose position was used too early.
    next: Option<Cuts>,
    passes: usize,
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
        let state = &mut *self.state.borrow_mut();
        state.choices.begin();
        state.known.clear();
    }

    /// Starts a run that takes each option with the same probability, whatever runs came before.
    pub(crate) fn begin_probe(&self, generator: ChaCha8Rng) {
        let state = &mut *self.state.borrow_mut();
        state.choices.begin_probe(generator);
        state.known.clear();
    }

    /// The probability of the outcome that has been run.
    ///
    /// # Errors
    /// If the run made fewer choices than the one before it with the same beginning.
    pub(crate) fn weight(&self) -> Result<f64, CheckError> {
        self.state.borrow().choices.weight()
    }

    /// What stopped the run, if it was this source and not the program.
    pub(crate) fn take_failure(&self) -> Option<CheckError> {
        self.state.borrow_mut().failure.take()
    }

    /// Goes on to the next outcome; false if there is none.
    pub(crate) fn advance(&self) -> bool {
        self.state.borrow_mut().choices.advance()
    }

    /// Whether the outcomes must be visited again, because some positions stood for more than one state.
    pub(crate) fn is_refined(&self) -> bool {
        self.state.borrow().next.is_some()
    }

    /// Starts from the first outcome again if the pass that has ended found intervals that must be cut before their
    /// positions are used.
    ///
    /// # Errors
    /// If [`MAX_PASSES`] passes were not enough.
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
            "a uniform value was given out and inverted afterwards, with a distribution function that differed each \
             time ({MAX_PASSES} times so far); invert first, draw the value for another purpose with \
             draw.purpose(\"…\"), or use the statistical test"
        );
        Err(CheckError::Noise { problem })
    }

    /// The part of the tree of choices that has been visited, if every option of a choice is taken to be equally large.
    pub(crate) fn explored(&self) -> f64 {
        self.state.borrow().choices.explored()
    }

    /// The product of the numbers of options of the present run. After a probe, its mean is the number of outcomes
    /// (Knuth 1975).
    pub(crate) fn options(&self) -> f64 {
        self.state.borrow().choices.options()
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
        let taken = self.state.borrow_mut().choices.take(key, index, probabilities);
        taken.map_err(|failure| self.fail(failure))
    }

    fn mixed(&self) -> DistributionError {
        let problem = "a normal and a uniform value were drawn with the same key and would depend on each other; draw \
                       one of them for another purpose: draw.purpose(\"…\")";
        self.fail(CheckError::Noise { problem: problem.into() })
    }

    /// The part of an interval in which a position is about to be used. The interval is cut where an earlier pass
    /// found that it must be.
    fn cut(&self, key: NoiseKey, index: u64, low: f64, high: f64) -> DistributionResult<Position> {
        let (made, ends) = {
            let state = self.state.borrow();
            let made = state.choices.made();
            (made, state.cuts.ends(state.choices.taken(made), key, index, low, high))
        };
        let probabilities: Vec<f64> = ends.windows(2).map(|ends| (ends[1] - ends[0]) / (high - low)).collect();
        let part = self.choose(key, index, &probabilities)?;
        Ok(Position { low: ends[part], high: ends[part + 1], made })
    }

    /// A position inside the interval that is left, by Gauss–Legendre quadrature.
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

    /// The state whose cell holds a position that has been used. If the interval that the position stands for has
    /// several states, the position must not decide for all of them, and the next pass cuts the interval first.
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
        let taken = state.choices.taken(at.made);
        state.next.get_or_insert_with(|| state.cuts.clone()).insert(taken, key, index, ends);
        Ok(quantile(place.map_or(u, |place| place.uniform(u)), cdf))
    }

    /// The state whose cell holds the uniform, either as it is or moved to a place of a sampling scheme.
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
        value: impl Fn(usize, u64) -> DistributionResult<f64>,
    ) -> DistributionResult<()> {
        for (element, x) in out.iter_mut().enumerate() {
            *x = value(element, layout.index(element))?;
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
            // An exponential sample is minus the logarithm of the uniform. Below a bound, that is minus the logarithm
            // of the bound, plus an exponential sample.
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

    fn invert_by_scheme(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        uniforms: &[SchemeUniform],
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [f64],
    ) -> DistributionResult<()> {
        for (element, (x, uniform)) in out.iter_mut().zip(uniforms).enumerate() {
            let index = layout.index(uniform.base);
            *x = self.state(key, index, Some(uniform.place), &|k| cdf(element, k))? as f64;
        }
        Ok(())
    }

    fn generator(&self, _key: NoiseKey, _index: u64) -> DistributionResult<ChaCha8Rng> {
        Err(self.fail(CheckError::Noise {
            problem: "a sampler by rejection draws an unknown number of random values; use the statistical test for it"
                .into(),
        }))
    }
}

#[cfg(test)]
mod tests;
