//! The ranks of a run that divides its minibatches into shards.

use std::rc::Rc;

use stochgrad_graph::GraphError;
use stochgrad_nn::Step;
use stochgrad_tape::{CommunicationError, Communicator, Shards, SingleRank, agree};
use stochgrad_tensor::Real;

use super::Trainer;
use crate::error::{TrainError, TrainResult};
use crate::source::OwnMembers;

/// Ranks that make the same steps. The first one writes the files, shows the progress and has the observers.
pub(super) struct Ranks(Rc<dyn Communicator>);

impl Ranks {
    pub(super) fn new(communicator: Option<Rc<dyn Communicator>>) -> Self {
        Ranks(communicator.unwrap_or_else(|| Rc::new(SingleRank)))
    }

    pub(super) fn is_first(&self) -> bool {
        self.0.rank() == 0
    }

    /// The result of work that differs between the ranks, if all of them succeeded, so that none waits for one that has
    /// stopped.
    ///
    /// # Errors
    ///
    /// That of this rank or of another one.
    pub(super) fn agreed<T>(&self, result: TrainResult<T>) -> TrainResult<T> {
        agree(&*self.0, result)
    }

    /// The members that this rank needs of a minibatch that is divided into shards; `None` for a rank that needs all.
    ///
    /// # Errors
    ///
    /// If the number of shards is not a multiple of the number of ranks.
    pub(super) fn own_members<F: Real>(&self, shards: Option<usize>) -> TrainResult<Option<OwnMembers>> {
        let Some(count) = shards.filter(|_| self.0.size() > 1) else { return Ok(None) };
        let shards = Shards::<F>::new(count, self.0.clone()).map_err(GraphError::from)?;
        Ok(Some(Rc::new(move |members| shards.own_members(members))))
    }

    /// Whether one of the ranks has been asked something, such as to stop.
    ///
    /// # Errors
    ///
    /// Those of the communicator.
    pub(super) fn any(&self, asked: bool) -> TrainResult<bool> {
        if self.0.size() == 1 {
            return Ok(asked);
        }
        let mut all = vec![0; self.0.size()];
        self.0.all_gather(&[u8::from(asked)], &mut all)?;
        Ok(all.contains(&1))
    }
}

impl From<CommunicationError> for TrainError {
    fn from(error: CommunicationError) -> Self {
        TrainError::Graph(error.into())
    }
}

impl<F: Real> Trainer<'_, F> {
    /// Divides each minibatch into a number of shards; see [`Step::shards`]. The results of a run depend on this number
    /// by rounding, so that a checkpoint must have the same one. They do not depend on the number of
    /// [ranks](Self::communicator) that hold the shards: a run resumes on any number that divides the number of shards,
    /// bit for bit. Each minibatch, and each chunk of held-out data, needs at least one member for each shard.
    ///
    /// ```
    /// use stochgrad_nn::{Parameters, Record, Sgd};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::Trainer;
    /// use stochgrad_train::source::Tensors;
    ///
    /// let data = Tensors::new().with("x", Tensor::from_fn([12], |i| i as f64))?;
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("mean", Tensor::scalar(0.0))?;
    /// Trainer::new(Sgd::new(0.1)).epochs(20).batch(6).shards(4).quiet().fit(
    ///     &mut parameters,
    ///     &data,
    ///     |record: &Record<'_, '_, f64>| {
    ///         record.cost("squared error", (record.param("mean")? - record.input("x")?).square())
    ///     },
    /// )?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shards(self, count: usize) -> Self {
        self.with(|settings| settings.shards = Some(count))
    }

    /// Sets the ranks that hold the [shards](Self::shards): the processes of an MPI run, for example, each of which
    /// calls [`fit`](Self::fit) with the same arguments. The first rank writes the files and shows the progress, and only
    /// its observers are called. All ranks read the checkpoint from the output folder, which they must share. Callbacks
    /// are called on all ranks, and one that stops the run stops it on all of them.
    pub fn communicator(self, communicator: Rc<dyn Communicator>) -> Self {
        Trainer { communicator: Some(communicator), ..self }
    }

    /// The step of a model on the shards of this trainer.
    pub(super) fn divided<'m>(&self, step: Step<'m, F>) -> Step<'m, F> {
        let step = match self.settings.shards {
            Some(count) => step.shards(count),
            None => step,
        };
        match &self.communicator {
            Some(communicator) => step.communicator(communicator.clone()),
            None => step,
        }
    }

    /// # Errors
    ///
    /// For several ranks without a number of shards, on which the results would then depend.
    pub(super) fn check_ranks(&self) -> TrainResult<()> {
        let ranks = self.communicator.as_ref().map_or(1, |communicator| communicator.size());
        if ranks == 1 || self.settings.shards.is_some() {
            return Ok(());
        }
        let (expected, found) = (format!("a multiple of the {ranks} ranks"), "none");
        let hint = "call Trainer::shards with a number that does not depend on the number of ranks";
        Err(TrainError::argument("the number of shards", expected, found, hint))
    }
}
