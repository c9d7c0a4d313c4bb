//! A loop of training steps on a device.

use crate::device::operands::{seed_words, words_of};
use crate::device::spread::{Spread, run};
use crate::device::{DeviceReal, DeviceTraining, mismatch};
use crate::error::{XlaError, XlaResult};
use crate::pjrt::Executable;
use std::sync::Arc;
use stochgrad_graph::Seed;
use stochgrad_tensor::Tensor;

/// A loop of steps.
pub(super) struct Several {
    pub(super) program: Executable,
    /// The largest number of steps.
    pub(super) steps: usize,
    /// The number of rows of a batch on each device.
    pub(super) rows: usize,
    /// Whether each device gets rows of its own.
    pub(super) sharded: bool,
    /// The smallest number of rows of the resident data.
    pub(super) limit: usize,
    /// The resident data.
    pub(super) data: Vec<Arc<Spread>>,
    /// The positions among the given inputs of those that are not resident.
    pub(super) others: Vec<usize>,
}

impl<F: DeviceReal> DeviceTraining<F> {
    /// Makes a training step for each batch, in one call: step `i` has the noise of step `seed.step + i`, and its batch
    /// consists of these rows of the [resident data](crate::TrainingOptions::resident). Without resident data, the batches are
    /// empty lists, and each step has the inputs that were set. Returns the costs before each update, a row for each
    /// step.
    ///
    /// # Errors
    /// As [`step`](Self::step), after the steps before the one that fails; if there are more batches than the
    /// [steps](crate::TrainingOptions::steps) for which this was compiled; and if a batch has another number of rows, or rows
    /// that do not exist.
    pub fn run_steps<B: AsRef<[usize]>>(&mut self, seed: Seed, batches: &[B]) -> XlaResult<Tensor<F>> {
        match self.try_steps(seed, batches)? {
            (costs, None) => Ok(costs),
            (_, Some(failure)) => Err(failure),
        }
    }

    /// As [`run_steps`](Self::run_steps). If a check of a step failed, this returns the costs of those before it, and why
    /// it was not made.
    pub(in crate::device) fn try_steps<B: AsRef<[usize]>>(
        &mut self,
        seed: Seed,
        batches: &[B],
    ) -> XlaResult<(Tensor<F>, Option<XlaError>)> {
        let width = self.interface.costs.len() + 1;
        let several = self
            .several
            .as_ref()
            .ok_or_else(|| mismatch("run_steps", "a program of several steps", "none", "set TrainingOptions::steps"))?;
        if batches.len() > several.steps {
            let expected = format!("at most {} batches", several.steps);
            return Err(mismatch("run_steps", &expected, &batches.len().to_string(), "set TrainingOptions::steps"));
        }
        let devices = self.device.numbers.len();
        let mut operands = Vec::new();
        if !several.data.is_empty() {
            let shards = if several.sharded { devices } else { 1 };
            let (rows, shape) = (several.rows_of(batches, shards)?, [several.steps, several.rows * shards]);
            operands.push(match several.sharded {
                true => self.device.sharded(&rows, &shape, 1)?,
                false => self.device.replicated(&rows, &shape)?,
            });
        }
        if !self.interface.schedules.is_empty() {
            let mut values = Vec::with_capacity(several.steps * self.interface.schedules.len());
            for step in 0..batches.len() {
                values.extend(self.interface.schedules_at::<F>(seed.step + step as u64)?);
            }
            values.resize(several.steps * self.interface.schedules.len(), F::ZERO);
            operands.push(self.device.replicated(&values, &[several.steps, self.interface.schedules.len()])?);
        }
        let ([a, b, c, d], [e, f]) = (seed_words(seed), words_of(self.updates));
        operands.push(self.device.control(&[a, b, c, d, e, f, batches.len() as u32])?);
        let arguments =
            self.arguments(several.others.iter().copied(), several.data.iter().map(|data| &**data).chain(&operands))?;
        let results = run(&several.program, self.device.numbers.len(), &arguments)?;
        let (reports, checks) = self.keep(results)?;
        let reports: Vec<F> = reports.read()?;
        let rows: Vec<&[F]> = reports.chunks(width).take(batches.len()).collect();
        let made = rows.iter().position(|row| row[width - 1] == F::ZERO).unwrap_or(rows.len());
        self.updates += made as u64;
        let failure = (made < rows.len()).then(|| self.failure(seed.step + made as u64, checks));
        let costs = |at: usize| rows[at / (width - 1)][at % (width - 1)];
        Ok((Tensor::from_fn([made, width - 1], costs), failure))
    }
}

impl Several {
    /// The rows of all batches, one after the other, with zeros for the batches up to the largest number.
    fn rows_of<B: AsRef<[usize]>>(&self, batches: &[B], shards: usize) -> XlaResult<Vec<i32>> {
        let size = self.rows * shards;
        let mut rows = Vec::with_capacity(self.steps * size);
        for batch in batches {
            let batch = batch.as_ref();
            if batch.len() != size {
                let expected = format!("batches of {size} rows");
                let advice = "the shapes of the recorded inputs say how many rows a batch has";
                return Err(mismatch("run_steps", &expected, &format!("{} rows", batch.len()), advice));
            }
            for &row in batch {
                if row >= self.limit {
                    let expected = format!("rows below {}, the number of rows of the resident data", self.limit);
                    return Err(mismatch("run_steps", &expected, &row.to_string(), "rows are counted from 0"));
                }
                rows.push(row as i32);
            }
        }
        rows.resize(self.steps * size, 0);
        Ok(rows)
    }
}
