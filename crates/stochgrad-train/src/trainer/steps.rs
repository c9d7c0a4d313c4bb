//! The steps of a run, on the host or on a device.

use stochgrad_graph::Seed;
use stochgrad_nn::Inputs;
use stochgrad_tensor::Real;

use super::held_out::of_data_set;
use super::on_device::{OnDevice, OnHost};
use super::run::{Run, find_cost};
use super::warnings::Warnings;
use crate::error::TrainResult;
use crate::metrics::Values;
use crate::observer::StepMetrics;
use crate::output::graph_svg;
use crate::warning::Warning;

impl<F: Real> Run<'_, '_, F> {
    fn seed(&self) -> Seed {
        Seed { seed: self.settings.seed, step: self.state.step }
    }

    /// Updates the parameters, and adds the costs to their means.
    pub(super) fn make_step(&mut self, inputs: &Inputs<F>) -> TrainResult<()> {
        let seed = self.seed();
        self.estimate_variance(inputs, seed)?;
        let total = match self.step_on_device(inputs, seed)? {
            Some(total) => total,
            None => self.step_on_host(inputs, seed)?,
        };
        let drawn = self.draw(inputs, seed);
        self.ranks.agreed(drawn)?;
        self.count_step(inputs.batch_members().unwrap_or(1), total)
    }

    /// Updates the parameters by the engine of this library. Returns the total cost.
    fn step_on_host(&mut self, inputs: &Inputs<F>, seed: Seed) -> TrainResult<f64> {
        self.fetch()?;
        let gradients = self.step.train(self.parameters, &mut *self.optimizer, inputs, seed);
        let costs = gradients.map(|gradients| {
            let costs = gradients.costs().iter().map(|(name, cost)| (name.as_str(), *cost));
            set_costs(&mut self.costs, costs)
        });
        self.device.iter_mut().for_each(OnDevice::host_is_newer);
        self.in_step(costs)
    }

    /// Updates the parameters on the device. Returns the total cost; `None` if the host has to make the step.
    fn step_on_device(&mut self, inputs: &Inputs<F>, seed: Seed) -> TrainResult<Option<f64>> {
        let Run { device: Some(device), step, parameters, optimizer, .. } = self else { return Ok(None) };
        let made = device.step(OnHost { step, parameters, optimizer: &mut **optimizer }, inputs, seed);
        let made = self.in_step(made)?;
        Ok(made.steps().next().map(|costs| set_costs(&mut self.costs, costs)))
    }

    /// Makes a step for each batch of rows of the data on the device. Returns whether a callback stops the run.
    pub(super) fn make_steps(&mut self, batches: &[Vec<usize>], is_end_of_epoch: bool) -> TrainResult<bool> {
        let (mut left, mut stops) = (batches, false);
        while let Some(members) = left.first().map(Vec::len) {
            let seed = self.seed();
            if self.variance_is_due() {
                let inputs = self.minibatch()?;
                self.estimate_variance(&inputs, seed)?;
            }
            let example = match self.device.as_ref().and_then(|device| device.example(members)) {
                Some(example) => example,
                None => self.minibatch()?,
            };
            let longest = self.longest(members);
            let Run { device: Some(device), step, parameters, optimizer, .. } = self else { return Ok(stops) };
            let host = OnHost { step, parameters, optimizer: &mut **optimizer };
            let made = device.run_steps(host, (&example, longest), left, seed);
            let made = self.in_step(made)?;
            for costs in made.steps() {
                let total = set_costs(&mut self.costs, costs);
                self.draw(&example, seed)?;
                self.count_step(members, total)?;
                left = &left[1..];
                stops |= self.after_step(is_end_of_epoch && left.is_empty())?;
            }
            if made.has_failed {
                let (inputs, seed) = (self.minibatch()?, self.seed());
                let total = self.step_on_host(&inputs, seed)?;
                self.draw(&inputs, seed)?;
                self.count_step(members, total)?;
                left = &left[1..];
                stops |= self.after_step(is_end_of_epoch && left.is_empty())?;
            }
        }
        Ok(stops)
    }

    /// The minibatch of the next step.
    fn minibatch(&self) -> TrainResult<Inputs<F>> {
        let next = self.data.minibatches(self.epoch())?.next().transpose()?;
        Ok(of_data_set(next.unwrap_or_default(), self.data.size()))
    }

    /// Fetches the values after the last step from the device, if the host does not have them.
    pub(super) fn fetch(&mut self) -> TrainResult<()> {
        let Run { device: Some(device), step, parameters, optimizer, .. } = self else { return Ok(()) };
        device.fetch(OnHost { step, parameters, optimizer: &mut **optimizer })
    }

    /// Counts a step that was made, and adds its costs to their means.
    fn count_step(&mut self, members: usize, total: f64) -> TrainResult<()> {
        self.costs.iter().for_each(|(name, cost)| self.state.training.add(name, *cost, members as f64));
        let epoch = self.state.epoch;
        self.state.step += 1;
        self.compare_costs()?;
        if Warnings::look_at_methods(self.state.step, self.step.methods()) {
            self.fetch()?;
        }
        let warnings = self.state.warnings.observe_methods(total, self.state.step, self.step.methods());
        warnings.iter().try_for_each(|warning| self.warn(warning))?;
        self.state.position += 1;
        let metrics = StepMetrics { step: self.state.step, epoch, members, costs: &self.costs, total };
        let called = self.observers.iter_mut().try_for_each(|observer| observer.step(&metrics));
        self.ranks.agreed(called)
    }

    /// Whether the variance of the gradients is estimated before the next step.
    fn variance_is_due(&self) -> bool {
        self.settings.gradient_variance.as_ref().is_some_and(|variance| variance.is_due(self.state.step))
    }

    /// Estimates the variance of the gradients before a step, if it is due.
    fn estimate_variance(&mut self, inputs: &Inputs<F>, seed: Seed) -> TrainResult<()> {
        if !self.variance_is_due() {
            return Ok(());
        }
        self.fetch()?;
        let step = self.state.step;
        let Some(variance) = &self.settings.gradient_variance else { return Ok(()) };
        let estimates = variance.estimate(&mut self.step, self.parameters, inputs, seed);
        let estimates = estimates.map_err(|error| self.located(error))?;
        let mut warnings = Vec::new();
        for estimate in &estimates {
            self.state.variances.add(&estimate.name, estimate.variance(), 1.0);
            let node = estimate.node.as_ref();
            warnings.extend(node.and_then(|node| self.state.warnings.observe_gradient(node, &estimate.spread, step)));
        }
        warnings.iter().try_for_each(|warning| self.warn(warning))
    }

    /// Compares the costs of the last step with the limits of the program.
    fn compare_costs(&mut self) -> TrainResult<()> {
        for index in 0..self.settings.cost_limits.len() {
            let limit = &self.settings.cost_limits[index];
            let value = find_cost(&self.costs, &limit.cost, "`Trainer::warn_below`")?;
            if let Some(warning) = self.state.warnings.observe_cost(limit, value, self.state.step) {
                self.warn(&warning)?;
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: &Warning) -> TrainResult<()> {
        if self.settings.is_quiet || !cfg!(feature = "progress") {
            log::warn!("{warning}");
        }
        self.observers.iter_mut().try_for_each(|observer| observer.warning(warning))
    }

    /// Draws the graph of the model, after the first step of this call.
    fn draw(&mut self, inputs: &Inputs<F>, seed: Seed) -> TrainResult<()> {
        let Some(folder) = self.folder.as_ref().filter(|_| !self.is_drawn) else { return Ok(()) };
        let svg = self.step.inspect(self.parameters, inputs, seed, |graph| graph_svg(&graph.to_petgraph()))?;
        folder.save_graph(&svg)?;
        self.is_drawn = true;
        Ok(())
    }
}

/// Replaces the costs of the last step. Returns their total, added in the precision of the run.
fn set_costs<'c, F: Real>(known: &mut Values, costs: impl Iterator<Item = (&'c str, F)>) -> f64 {
    let (mut total, mut count) = (F::ZERO, 0);
    for (name, cost) in costs {
        match known.get_mut(count) {
            Some((known, value)) if known == name => *value = cost.to_f64(),
            Some(other) => *other = (name.into(), cost.to_f64()),
            None => known.push((name.into(), cost.to_f64())),
        }
        total += cost;
        count += 1;
    }
    known.truncate(count);
    total.to_f64()
}
