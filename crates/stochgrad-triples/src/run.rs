//! A run of a program: its noise, and the jump that it follows.

use crate::error::TripleError;
use crate::triple::Triple;
use rand::distr::Open01;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One run of a program, which draws its samples from it.
///
/// Every discrete draw may jump to a neighbour when the argument of the program changes, with a rate that is known. Of
/// all jumps of a run, one is kept, with probabilities proportional to the rates, and stands for all. With the sum w of
/// the rates, the result f and the result f′ after this jump, w (f′ − f) is an unbiased estimate of the derivative that
/// discrete draws cause. The choice is made while the program runs, so that memory and time do not grow with the number
/// of draws.
#[derive(Debug)]
pub struct Run {
    noise: ChaCha8Rng,
    /// Chooses among jumps. It is not the noise of the program, which is the same with and without the jump.
    choices: ChaCha8Rng,
    /// The number of jumps that were chosen so far; the last one is still chosen.
    events: u64,
    /// The chosen jump, or 0 if there is none, or if control flow has parted from it for now.
    pub(crate) live: u64,
    /// Whether the program is run as it would run after the chosen jump.
    pub(crate) is_after_jump: bool,
    /// The sum of the rates of all jumps.
    rate: f64,
    pub(crate) loop_limit: u64,
    error: Option<TripleError>,
}

impl Run {
    pub(crate) fn new(seed: u64, sample: u64) -> Self {
        let stream = |number: u64| {
            let mut stream = ChaCha8Rng::seed_from_u64(seed);
            stream.set_stream(2 * sample + number);
            stream
        };
        Run {
            noise: stream(0),
            choices: stream(1),
            events: 0,
            live: 0,
            is_after_jump: false,
            rate: 0.0,
            loop_limit: 1 << 32,
            error: None,
        }
    }

    /// A uniform value in (0, 1), which does not depend on the argument of the program.
    pub fn uniform(&mut self) -> Triple {
        Triple::constant(self.uniform_value())
    }

    /// A standard normal value. `mean + deviation * run.standard_normal()` is a sample of any normal distribution.
    pub fn standard_normal(&mut self) -> Triple {
        Triple::constant(stochgrad_tensor::special::normal_icdf(self.uniform_value()))
    }

    /// A standard exponential value. `run.standard_exponential() / rate` has any rate.
    pub fn standard_exponential(&mut self) -> Triple {
        Triple::constant(-self.uniform_value().ln())
    }

    pub(crate) fn uniform_value(&mut self) -> f64 {
        self.noise.sample(Open01)
    }

    /// The value of a triple in this run.
    pub(crate) fn current(&self, x: Triple) -> f64 {
        if self.is_after_jump { x.if_jumped(self.live) } else { x.value }
    }

    /// Whether a triple has an alternative that this run follows.
    pub(crate) fn has_alternative(&self, x: Triple) -> bool {
        self.live != 0 && x.event == self.live
    }

    /// Adds jumps with a rate. Returns the number of the event if they are chosen, in place of the jump that was chosen
    /// before.
    pub(crate) fn offer(&mut self, rate: f64) -> Option<u64> {
        if rate == 0.0 {
            return None;
        }
        self.rate += rate;
        let threshold: f64 = self.choices.random();
        (threshold * self.rate < rate).then(|| {
            self.events += 1;
            self.live = self.events;
            self.events
        })
    }

    /// A uniform value in [0, 1) that is not part of the noise of the program.
    pub(crate) fn choice(&mut self) -> f64 {
        self.choices.random()
    }

    /// Whether a jump is still the chosen one.
    pub(crate) fn is_chosen(&self, event: u64) -> bool {
        event != 0 && self.events == event
    }

    /// The derivative of a result.
    pub(crate) fn derivative(&self, result: Triple) -> f64 {
        let jump = if self.has_alternative(result) { self.rate * (result.alternative - result.value) } else { 0.0 };
        result.derivative + jump
    }

    /// A key for noise of its own, for a block of the program. What follows the block has the same noise however much
    /// the block draws.
    pub(crate) fn key(&mut self) -> u64 {
        self.noise.next_u64()
    }

    /// Runs a block with the noise of a key and a number.
    pub(crate) fn with_noise<R>(&mut self, key: u64, number: u64, block: impl FnOnce(&mut Run) -> R) -> R {
        let mut noise = ChaCha8Rng::seed_from_u64(key);
        noise.set_stream(number);
        let outside = std::mem::replace(&mut self.noise, noise);
        let result = block(self);
        self.noise = outside;
        result
    }

    /// Keeps the first error. The run goes on with a random bit: a loop of host code that waits for a certain value
    /// would not end with NaN, or with the same value each time.
    pub(crate) fn fail(&mut self, error: TripleError) -> Triple {
        self.error.get_or_insert(error);
        Triple::constant(f64::from(u8::from(self.choice() < 0.5)))
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    pub(crate) fn into_error(self) -> Option<TripleError> {
        self.error
    }
}
