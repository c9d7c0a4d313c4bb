//! A model in training, for all groups.

use std::rc::Rc;

use stochgrad::graph::{Gradients, GraphResult};
use stochgrad::nn::{Adam, Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::Communicator;
use stochgrad_xla::{Device, DeviceTensor, DeviceTraining, TrainingOptions};

use crate::BenchResult;

/// Adam's learning rate.
pub const LEARNING_RATE: f64 = 1e-3;

/// A model in training. The steps cycle through a few batches, which are the input `batch`.
pub struct Training {
    step: Step<'static, f32>,
    model: Rc<Model>,
    parameters: Parameters<f32>,
    optimizer: Adam<f32>,
    batches: Vec<Inputs<f32>>,
    images: Vec<Tensor<f32>>,
    number: usize,
}

/// What records a model.
type Model = dyn Fn(&Record<'_, '_, f32>) -> GraphResult<()>;

/// A model in training on a device, where its batches stay.
pub struct OnDevice {
    training: DeviceTraining<f32>,
    batches: Vec<DeviceTensor<f32>>,
    number: usize,
}

impl Training {
    /// Starts with these parameters, and with kernels on this number of threads.
    ///
    /// # Errors
    /// A list without batches.
    pub fn new(
        parameters: Parameters<f32>,
        batches: Vec<Tensor<f32>>,
        threads: usize,
        model: impl Fn(&Record<'_, '_, f32>) -> GraphResult<()> + 'static,
    ) -> BenchResult<Self> {
        if batches.is_empty() {
            return Err("a model in training needs a batch".into());
        }
        let model: Rc<Model> = Rc::new(model);
        let recorded = model.clone();
        Ok(Self {
            step: Step::new(move |record: &Record<'_, '_, f32>| recorded(record)).threads(threads),
            model,
            parameters,
            optimizer: Adam::new(LEARNING_RATE),
            batches: batches.iter().map(|batch| Inputs::new().batch("batch", batch.clone())).collect(),
            images: batches,
            number: 0,
        })
    }

    /// The same model in training on a device, from the present parameters on. Its loop makes up to `steps` steps, on
    /// rows of the images of all batches.
    ///
    /// # Errors
    /// The errors of the model and of the device.
    pub fn on_device(&self, device: &Device, steps: usize) -> BenchResult<OnDevice> {
        let optimizer = Adam::new(LEARNING_RATE);
        let all = stacked(&self.images)?;
        let options = match steps {
            0 => TrainingOptions::new(),
            steps => TrainingOptions::new().resident("batch", &all).steps(steps),
        };
        let model = |record: &Record<'_, '_, f32>| (self.model)(record);
        let training = device.compile_model(model, &self.parameters, &self.batches[0], &optimizer, &options)?;
        let batches = self.images.iter().map(|batch| device.upload(batch)).collect::<Result<_, _>>()?;
        Ok(OnDevice { training, batches, number: 0 })
    }

    /// The same model in training on one of several ranks, from the present parameters on. A batch of all ranks has a
    /// shard for each rank, of the size of the batches here.
    pub fn on_ranks(&self, ranks: Rc<dyn Communicator>) -> Self {
        let (rank, size) = (ranks.rank(), ranks.size());
        let inputs = |batch: &Tensor<f32>| {
            let members = batch.shape()[0];
            Inputs::new().batch("batch", batch.clone()).part_of_batch(rank * members, size * members)
        };
        let recorded = self.model.clone();
        Self {
            step: Step::new(move |record: &Record<'_, '_, f32>| recorded(record)).threads(1).communicator(ranks),
            model: self.model.clone(),
            parameters: self.parameters.clone(),
            optimizer: Adam::new(LEARNING_RATE),
            batches: self.images.iter().map(inputs).collect(),
            images: self.images.clone(),
            number: 0,
        }
    }

    /// Computes the gradients on the next batch, with fresh noise.
    ///
    /// # Errors
    /// The errors of the model.
    pub fn gradients(&mut self) -> GraphResult<&Gradients<f32>> {
        let (inputs, seed) = (&self.batches[self.number % self.batches.len()], Seed::new(0).step(self.number));
        self.number += 1;
        Ok(self.step.run(&self.parameters, inputs, seed)?)
    }

    /// Makes one training step, and returns the estimate of the loss before it.
    ///
    /// # Errors
    /// The errors of the model and of the optimiser.
    pub fn step(&mut self) -> BenchResult<f32> {
        let (inputs, seed) = (&self.batches[self.number % self.batches.len()], Seed::new(0).step(self.number));
        self.number += 1;
        Ok(self.step.train(&mut self.parameters, &mut self.optimizer, inputs, seed)?.total())
    }
}

impl OnDevice {
    /// Makes one training step, and returns the estimate of the loss before it.
    ///
    /// # Errors
    /// The errors of the device.
    pub fn step(&mut self) -> BenchResult<f32> {
        self.training.share("batch", &self.batches[self.number % self.batches.len()])?;
        let seed = Seed::new(0).step(self.number);
        self.number += 1;
        Ok(self.training.step(seed)?.total())
    }

    /// Makes training steps in one call, each on the next batch, and returns the estimates of the losses before them.
    ///
    /// # Errors
    /// The errors of the device.
    pub fn steps(&mut self, count: usize) -> BenchResult<Vec<f32>> {
        let size = self.batches[0].shape()[0];
        let batch = |step: usize| {
            let first = (self.number + step) % self.batches.len() * size;
            (first..first + size).collect()
        };
        let batches: Vec<Vec<usize>> = (0..count).map(batch).collect();
        let costs = self.training.run_steps(Seed::new(0).step(self.number), &batches)?;
        self.number += count;
        Ok(costs.as_slice().chunks(costs.shape()[1]).map(|costs| costs.iter().sum()).collect())
    }
}

/// Tensors with the same columns, one below the other.
fn stacked(parts: &[Tensor<f32>]) -> BenchResult<Tensor<f32>> {
    let rows = parts.iter().map(|part| part.shape()[0]).sum();
    let mut shape = parts[0].shape().to_vec();
    shape[0] = rows;
    Ok(Tensor::new(parts.iter().flat_map(Tensor::to_vec).collect(), &shape[..])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad::tape::SingleRank;
    use stochgrad_xla::pjrt::testing::plugin_for_test;

    #[test]
    fn a_single_rank_makes_the_same_steps() -> BenchResult<()> {
        let mut parameters = Parameters::new();
        parameters.insert("w", Tensor::from([1.0, -1.0]))?;
        let batches = vec![Tensor::from([[1.0, 2.0], [0.5, 1.0]]), Tensor::from([[0.0, 1.0], [3.0, 1.0]])];
        let mut training = Training::new(parameters, batches, 1, |record: &Record<'_, '_, f32>| {
            record.cost("loss", ((record.input("batch")? * record.param("w")?).sum() - 1.0).square())
        })?;
        let mut on_ranks = training.on_ranks(Rc::new(SingleRank));
        for _ in 0..3 {
            let (expected, found) = (training.step()?, on_ranks.step()?);
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        }
        Ok(())
    }

    #[test]
    fn a_device_makes_the_same_steps() -> BenchResult<()> {
        let Some(plugin) = plugin_for_test("a_device_makes_the_same_steps")? else { return Ok(()) };
        let device = Device::new(plugin.client(&[])?, 0);
        let mut parameters = Parameters::new();
        parameters.insert("w", Tensor::from([1.0, -1.0]))?;
        let batches = vec![Tensor::from([[1.0, 2.0], [0.5, 1.0]]), Tensor::from([[0.0, 1.0], [3.0, 1.0]])];
        let mut training = Training::new(parameters, batches, 1, |record: &Record<'_, '_, f32>| {
            record.cost("loss", ((record.input("batch")? * record.param("w")?).sum() - 1.0).square())
        })?;
        let mut on_device = training.on_device(&device, 3)?;
        let mut losses = vec![on_device.step()?, on_device.step()?];
        losses.extend(on_device.steps(3)?);
        for loss in losses {
            assert!((loss - training.step()?).abs() < 1e-5, "{loss}");
        }
        Ok(())
    }
}
