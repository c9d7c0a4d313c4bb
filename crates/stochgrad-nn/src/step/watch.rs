//! Detection of host values that a program would repeat although the model has changed them.

use stochgrad_graph::{Graph, GraphError, GraphResult, Seed};
use stochgrad_tape::{Difference, Snapshot};
use stochgrad_tensor::Real;

use crate::record::Record;

/// The first recording of a model, with which later ones are compared.
///
/// The model is recorded again right after the first recording, at the next step, which finds whatever depends on the
/// number of the step. A variable that the training loop changes differs only after some steps, and possibly after many:
/// at the end of a warm-up, for example. The model is therefore recorded again at the first two runs, and then at each
/// run whose number is a power of ten. The cost of this vanishes in a long training, since the number of recordings is
/// the logarithm of the number of runs.
#[derive(Debug)]
pub(super) struct Watch<F: Real> {
    snapshot: Snapshot<F>,
    step: u64,
    /// The number of runs so far.
    runs: u64,
}

impl<F: Real> Watch<F> {
    /// Watches a model that has just been recorded.
    pub(super) fn new(graph: &Graph<'_, F>) -> Self {
        Watch { snapshot: graph.snapshot(), step: graph.step(), runs: 0 }
    }

    /// Whether the model is recorded again before the next run.
    pub(super) fn is_due(&self) -> bool {
        let next = self.runs + 1;
        next == 2 || next.checked_ilog10().is_some_and(|exponent| next == 10_u64.pow(exponent))
    }

    /// Counts a run.
    pub(super) fn count(&mut self) {
        self.runs += 1;
    }

    /// Records the model again and compares. A model that cannot be recorded at this step is not compared: only the
    /// step itself may fail.
    ///
    /// # Errors
    ///
    /// [`GraphError::Frozen`] for the first difference.
    pub(super) fn check(
        &self,
        seed: Seed,
        threads: usize,
        record: impl Fn(&Graph<'_, F>) -> GraphResult<()>,
    ) -> GraphResult<()> {
        let tape = self.snapshot.tape(threads);
        let graph = Graph::new(&tape, seed);
        if record(&graph).is_err() {
            return Ok(());
        }
        match self.snapshot.difference(&graph.snapshot()) {
            None => Ok(()),
            Some(Difference { first, second, location: at }) => {
                Err(GraphError::Frozen { first, first_step: self.step, second, second_step: seed.step, at })
            }
        }
    }
}

/// A model as a function that records it.
pub(super) type Model<'m, F> = dyn Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm;

#[cfg(test)]
mod tests {
    use stochgrad_tape::Tape;

    use super::*;

    #[test]
    fn checks_become_rare() {
        let tape = Tape::<f64>::new();
        let mut watch = Watch::new(&Graph::new(&tape, Seed::new(7)));
        let mut due = Vec::new();
        for run in 1..=2000 {
            if watch.is_due() {
                due.push(run);
            }
            watch.count();
        }
        assert_eq!(due, [1, 2, 10, 100, 1000]);
    }
}
