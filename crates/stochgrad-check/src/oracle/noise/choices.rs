//! The choices that make up an outcome, and the order in which all outcomes are visited.
//!
//! An outcome of a program is the list of options it took, one for each split of an interval and each quadrature. The
//! lists are visited depth first: the program runs again with a recorded beginning of the list, and takes the first
//! option of every choice beyond it.

use crate::error::CheckError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use stochgrad_distributions::NoiseKey;

/// How far the probability of an option may differ between runs with the same choices before it.
const SAME: f64 = 1e-12;

/// The probabilities of some options, and the option taken.
#[derive(Clone, Debug)]
struct Choice {
    key: NoiseKey,
    index: u64,
    probabilities: Vec<f64>,
    taken: usize,
}

/// The choices of the present outcome.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    list: Vec<Choice>,
    /// How many choices the present run has made.
    made: usize,
    weight: f64,
    /// Takes the options of a run that takes them at random.
    probe: Option<ChaCha8Rng>,
}

impl Choices {
    /// Starts the run of an outcome.
    pub(crate) fn begin(&mut self) {
        self.made = 0;
        self.weight = 1.0;
    }

    /// Starts a run that takes each option with the same probability, whatever runs came before.
    pub(crate) fn begin_probe(&mut self, generator: ChaCha8Rng) {
        self.begin();
        self.clear();
        self.probe = Some(generator);
    }

    /// Forgets all choices, so that the next run is that of the first outcome.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The option taken.
    ///
    /// # Errors
    /// If an earlier run with the same choices before this one had other options here.
    pub(crate) fn take(&mut self, key: NoiseKey, index: u64, probabilities: &[f64]) -> Result<usize, CheckError> {
        let at = self.made;
        self.made += 1;
        if at == self.list.len() {
            let taken = self.probe.as_mut().map_or(0, |generator| generator.random_range(0..probabilities.len()));
            self.list.push(Choice { key, index, probabilities: probabilities.to_vec(), taken });
        }
        let choice = &self.list[at];
        let same = (choice.key, choice.index, choice.probabilities.len()) == (key, index, probabilities.len())
            && choice.probabilities.iter().zip(probabilities).all(|(before, now)| (before - now).abs() <= SAME);
        if !same {
            let problem =
                format!("choice {at} had different options in an earlier run that made the same choices before it");
            return Err(CheckError::NotDeterministic { problem });
        }
        self.weight *= choice.probabilities[choice.taken];
        Ok(choice.taken)
    }

    /// How many choices the present run has made.
    pub(crate) fn made(&self) -> usize {
        self.made
    }

    /// The options taken by the first `count` choices.
    pub(crate) fn taken(&self, count: usize) -> impl Iterator<Item = usize> {
        self.list[..count].iter().map(|choice| choice.taken)
    }

    /// The probability of the outcome that has been run.
    ///
    /// # Errors
    /// If the run made fewer choices than the one before it with the same beginning.
    pub(crate) fn weight(&self) -> Result<f64, CheckError> {
        if self.made < self.list.len() {
            let (before, now) = (self.list.len(), self.made);
            let problem =
                format!("an earlier run that began with the same choices made {before} of them, this one {now}");
            return Err(CheckError::NotDeterministic { problem });
        }
        Ok(self.weight)
    }

    /// Goes on to the next outcome; false if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        while let Some(last) = self.list.last_mut() {
            if last.taken + 1 < last.probabilities.len() {
                last.taken += 1;
                return true;
            }
            self.list.pop();
        }
        false
    }

    /// The part of the tree of choices that has been visited, if every option of a choice is taken to be equally large.
    pub(crate) fn explored(&self) -> f64 {
        let (mut explored, mut part) = (0.0, 1.0);
        for choice in &self.list {
            part /= choice.probabilities.len() as f64;
            explored += part * choice.taken as f64;
        }
        explored
    }

    /// The product of the numbers of options of the present run. After a probe, its mean is the number of outcomes
    /// (Knuth 1975).
    pub(crate) fn options(&self) -> f64 {
        self.list.iter().map(|choice| choice.probabilities.len() as f64).product()
    }
}
