//! Accumulated gradients.

use std::collections::BTreeMap;

use stochgrad_tensor::{Real, Tensor};

use super::slots::check_shape;
use crate::error::NnResult;
use crate::parameters::Parameters;

/// The mean of the gradients of several minibatches, as far as it is known.
///
/// A minibatch in which a parameter has no gradient counts with a gradient of 0. If a parameter has none in all of
/// them, it has no mean.
#[derive(Clone, Debug)]
pub(super) struct Accumulation<F: Real> {
    /// Ordered by name.
    means: Vec<Mean<F>>,
    /// The number of minibatches since the last update.
    count: u64,
    /// The number of the present update.
    update: u64,
}

#[derive(Clone, Debug)]
struct Mean<F: Real> {
    name: String,
    value: Tensor<F>,
    /// The number of the update to which the value belongs.
    update: u64,
}

impl<F: Real> Default for Accumulation<F> {
    fn default() -> Self {
        Accumulation { means: Vec::new(), count: 0, update: 0 }
    }
}

impl<F: Real> Accumulation<F> {
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.means.binary_search_by(|mean| mean.name.as_str().cmp(name))
    }

    /// Adds a gradient with a share.
    pub(super) fn add(&mut self, name: &str, gradient: &Tensor<F>, share: F) {
        let position = self.search(name).unwrap_or_else(|position| {
            let mean = Mean { name: name.into(), value: Tensor::zeros(gradient.shape().clone()), update: u64::MAX };
            self.means.insert(position, mean);
            position
        });
        let Mean { value, update, .. } = &mut self.means[position];
        let elements = value.make_mut().iter_mut().zip(gradient.as_slice());
        match *update == self.update {
            true => elements.for_each(|(mean, &gradient)| *mean += gradient * share),
            false => elements.for_each(|(mean, &gradient)| *mean = gradient * share),
        }
        *update = self.update;
    }

    /// Counts a minibatch, and returns how many there are now.
    pub(super) fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// The mean for a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&Tensor<F>> {
        let mean = &self.means[self.search(name).ok()?];
        (mean.update == self.update).then_some(&mean.value)
    }

    /// Starts the next mean.
    pub(super) fn finish(&mut self) {
        (self.count, self.update) = (0, self.update + 1);
    }

    /// Checks that the means have the shapes of the parameters.
    pub(super) fn check(&self, parameters: &Parameters<F>) -> NnResult<()> {
        let with_mean = parameters.iter().filter_map(|(name, value)| Some((name, value, self.get(name)?)));
        with_mean.into_iter().try_for_each(|(name, value, mean)| check_shape(name, mean, value))
    }

    /// The number of minibatches and the means; `None` between two updates.
    pub(super) fn state(&self) -> Option<(u64, BTreeMap<String, Tensor<F>>)> {
        let means = self.means.iter().filter(|mean| mean.update == self.update);
        (self.count > 0).then(|| (self.count, means.map(|mean| (mean.name.clone(), mean.value.clone())).collect()))
    }

    /// Restores the number of minibatches and the means.
    pub(super) fn from_state<'a>(count: u64, means: impl Iterator<Item = (&'a String, &'a Tensor<F>)>) -> Self {
        let mut means: Vec<Mean<F>> =
            means.map(|(name, value)| Mean { name: name.clone(), value: value.clone(), update: 0 }).collect();
        means.sort_by(|first, second| first.name.cmp(&second.name));
        Accumulation { means, count, update: 0 }
    }
}
