//! The shards of a minibatch, which are on this rank and on others.

use std::ops::Range;
use std::rc::Rc;

use stochgrad_graph::{GraphError, GraphResult};
use stochgrad_tape::{Communicator, Shards, SingleRank, agree};
use stochgrad_tensor::{Real, Shape, Tensor};

use super::Step;
use crate::inputs::Inputs;

/// How a step divides its minibatches.
pub(super) struct Division<F: Real> {
    communicator: Rc<dyn Communicator>,
    /// The number of shards; `None` if a minibatch is not divided.
    count: Option<usize>,
    /// Made for the first step.
    shards: Option<Shards<F>>,
}

impl<F: Real> Division<F> {
    /// Minibatches that are not divided.
    pub(super) fn none() -> Self {
        Division { communicator: Rc::new(SingleRank), count: None, shards: None }
    }

    pub(super) fn is_none(&self) -> bool {
        self.count.is_none()
    }

    fn make(&self) -> GraphResult<Option<Shards<F>>> {
        Ok(self.count.map(|count| Shards::new(count, self.communicator.clone())).transpose()?)
    }

    /// The shards, if minibatches are divided.
    ///
    /// # Errors
    ///
    /// If the number of shards does not fit the number of ranks.
    pub(super) fn shards(&mut self) -> GraphResult<Option<&mut Shards<F>>> {
        if self.shards.is_none() {
            self.shards = self.make()?;
        }
        Ok(self.shards.as_mut())
    }

    /// The result of this rank, if all ranks succeeded.
    ///
    /// # Errors
    ///
    /// That of this rank or of another one.
    pub(super) fn agreed<T>(&self, result: GraphResult<T>) -> GraphResult<T> {
        if self.is_none() { result } else { agree(&*self.communicator, result) }
    }
}

impl<F: Real> Step<'_, F> {
    /// Divides each minibatch into a number of shards, on the ranks of a [communicator](Self::communicator). Each shard
    /// has programs of its own, and reductions over the minibatch combine their parts in the order of the shards. The
    /// results are therefore the same, bit for bit, on every number of ranks that divides the number of shards. They are
    /// those of the undivided minibatch up to rounding, with the same noise; see [`Shards`].
    ///
    /// Inputs on [the plate of the minibatch](Inputs::members_plate) are divided. All others must be equal on all ranks,
    /// as the parameters, the buffers and the state of the optimiser are. A model that branches on values in host code,
    /// or that needs individual members of the whole minibatch, is an error.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("slope", 2.0.into())?;
    /// let model = |record: &Record<'_, '_, f64>| {
    ///     record.cost("loss", (record.param("slope")? * record.input("x")? - 1.0).square())
    /// };
    /// let inputs = Inputs::new().batch("x", [1.0, 2.0, 3.0, 4.0, 5.0]);
    /// let (mut whole, mut divided) = (Step::new(model), Step::new(model).shards(4));
    /// let expected = whole.run(&parameters, &inputs, Seed::new(7))?.get("slope")?.item()?;
    /// let found = divided.run(&parameters, &inputs, Seed::new(7))?.get("slope")?.item()?;
    /// assert!((found - expected).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shards(self, count: usize) -> Self {
        let division = Division { count: Some(count), shards: None, ..self.division };
        Step { division, prepared: Vec::new(), ..self }
    }

    /// Sets the ranks that hold the shards: the processes of an MPI run, for example. All ranks call the same functions
    /// of their steps, in the same order. Without a call of [`shards`](Self::shards), each rank holds one shard.
    ///
    /// A rank needs only its own members of a minibatch; see [`own_members`](Self::own_members).
    pub fn communicator(self, communicator: Rc<dyn Communicator>) -> Self {
        let count = self.division.count.or(Some(communicator.size()));
        Step { division: Division { communicator, count, shards: None }, prepared: Vec::new(), ..self }
    }

    /// The positions in a minibatch of some number of members of those that this rank needs. A rank that reads no others
    /// passes them with [`Inputs::part_of_batch`].
    ///
    /// # Errors
    ///
    /// If the number of shards is not a multiple of the number of ranks.
    pub fn own_members(&self, members: usize) -> GraphResult<Range<usize>> {
        Ok(self.division.make()?.map_or(0..members, |shards| shards.own_members(members)))
    }
}

/// The members of a shard among those of a minibatch.
#[derive(Debug)]
pub(super) struct Slice {
    /// The positions of the members in the inputs.
    range: Range<usize>,
    /// The position of the first member in the minibatch.
    first: usize,
    /// The number of members of the minibatch.
    members: usize,
}

/// The members of the shards of this rank, in their order.
///
/// # Errors
///
/// If the inputs have no members, lack some of them, or have fewer than there are shards.
pub(super) fn slices<F: Real>(inputs: &Inputs<F>, shards: &Shards<F>) -> GraphResult<Vec<Slice>> {
    let problem = |problem: String| GraphError::Compile { problem };
    let (Some(here), Some(members)) = (inputs.members(), inputs.batch_members()) else {
        return Err(problem(
            "expected a minibatch, which Inputs::batch adds, to divide into shards, got inputs without members".into(),
        ));
    };
    if members < shards.count() {
        return Err(problem(format!(
            "expected a minibatch with at least one member for each of the {} shards, got {members} members; leave out \
             the last minibatch of an epoch if it is too small, or use fewer shards",
            shards.count()
        )));
    }
    let first = inputs.part().map_or(0, |(first, _)| first);
    let own = shards.own_members(members);
    if own.start < first || own.end > first + here {
        return Err(problem(format!(
            "expected the members {own:?} of the minibatch, which are those of this rank, got {:?}; see \
             Step::own_members",
            first..first + here
        )));
    }
    let slice = |shard: usize| {
        let range = shards.members(shard, members);
        Slice { first: range.start, range: range.start - first..range.end - first, members }
    };
    Ok(shards.own().map(slice).collect())
}

impl Slice {
    /// The inputs of a shard.
    pub(super) fn of<F: Real>(&self, inputs: &Inputs<F>) -> Inputs<F> {
        let mut part = inputs.clone().part_of_batch(self.first, self.members);
        let Some(plate) = inputs.members_plate() else { return part };
        for input in part.entries_mut().filter(|input| input.plate.as_deref() == Some(plate)) {
            let rest = input.tensor.shape()[1..].iter().copied();
            input.tensor = Tensor::zeros([self.range.len()].into_iter().chain(rest).collect::<Shape>());
        }
        self.copy(inputs, &mut part);
        part
    }

    /// Copies the inputs of a step into those of a shard, which [`of`](Self::of) made for inputs of the same shapes.
    pub(super) fn copy<F: Real>(&self, inputs: &Inputs<F>, part: &mut Inputs<F>) {
        let plate = inputs.members_plate();
        for (to, from) in part.entries_mut().zip(inputs.entries()) {
            if plate.is_none() || from.plate.as_deref() != plate {
                to.tensor.clone_from(&from.tensor);
                continue;
            }
            let width: usize = from.tensor.shape()[1..].iter().product();
            let range = self.range.start * width..self.range.end * width;
            to.tensor.make_mut().copy_from_slice(&from.tensor.as_slice()[range]);
        }
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Seed;
    use stochgrad_tape::ThreadRank;

    use super::*;
    use crate::clipping::Clip;
    use crate::layers::{Layer, Mlp};
    use crate::{Activation, BatchNorm, Parameters, Record, Sgd};

    const SEED: Seed = Seed { seed: 7, step: 0 };

    /// A network with batch normalisation and dropout; costs of data, and one that all members share.
    struct Network {
        first: Mlp,
        norm: BatchNorm,
        last: Mlp,
    }

    impl Network {
        fn new(parameters: &mut Parameters<f64>) -> Self {
            let first = Mlp::new(&mut *parameters, "first", &[3, 5], Activation::Tanh, SEED).unwrap();
            let norm = BatchNorm::new(&mut *parameters, "norm", 5).unwrap();
            let last = Mlp::new(&mut *parameters, "last", &[5, 2], Activation::Tanh, SEED).unwrap();
            Network { first, norm, last }
        }

        fn record(&self, record: &Record<'_, '_, f64>) -> GraphResult<()> {
            let x = record.input("x")?;
            let hidden = self.norm.forward(record, self.first.forward(record, x)?)?;
            let kept = match record.is_training() {
                true => hidden * record.graph().mask("kept", 0.7, &x.plates(), [5])?,
                false => hidden,
            };
            let found = self.last.forward(record, kept)?;
            record.output("found", found)?;
            record.cost("data", (found - record.input("y")?).square().sum() * record.input("weight")?)?;
            record.cost("shared", record.param("first.0.weight")?.square().sum())
        }
    }

    fn inputs(members: Range<usize>) -> Inputs<f64> {
        let values = |width: usize, seed: f64| {
            let first = members.start * width;
            Tensor::from_fn([members.len(), width], |i| (((first + i) as f64 + 1.0) * seed).sin())
        };
        Inputs::new().batch("x", values(3, 1.7)).batch("y", values(2, 0.9)).value("weight", 0.5).of_data_set(40)
    }

    /// The costs, the parameters and the buffers after some steps, the costs of an evaluation, and predictions.
    fn trained(step: impl for<'m> FnOnce(Step<'m, f64>) -> Step<'m, f64>, only_own: bool) -> [Vec<f64>; 2] {
        let mut parameters = Parameters::new();
        let network = Network::new(&mut parameters);
        let mut step = step(Step::new(|record: &Record<'_, '_, f64>| network.record(record)));
        // Adam would amplify the rounding errors of the bias before the normalisation, whose gradient is 0.
        let mut sgd = Sgd::new(0.2).clip(Clip::by_global_norm(0.5));
        let mut found = Vec::new();
        let given = |step: &Step<'_, f64>, members: usize| match only_own {
            true => {
                let own = step.own_members(members).unwrap();
                inputs(own.clone()).part_of_batch(own.start, members)
            }
            false => inputs(0..members),
        };
        // The last minibatch of an epoch is smaller.
        for (number, members) in [9, 9, 6, 9, 6].into_iter().enumerate() {
            let inputs = given(&step, members);
            let gradients = step.train(&mut parameters, &mut sgd, &inputs, SEED.step(number)).unwrap();
            found.extend(gradients.costs().iter().map(|(_, cost)| *cost));
        }
        found.extend(parameters.iter().chain(parameters.buffers()).flat_map(|(_, value)| value.to_vec()));
        let inputs = given(&step, 9);
        found.extend(step.evaluate(&parameters, &inputs, SEED).unwrap().iter().map(|(_, cost)| cost));
        let predicted = step.predict(&parameters, &inputs, SEED).unwrap();
        [found, predicted.get("found").unwrap().to_vec()]
    }

    #[test]
    fn divided_minibatches_train_as_whole_ones() {
        let whole = trained(|step| step, false);
        for shards in [1, 2, 4, 6] {
            let found = trained(|step| step.shards(shards), false);
            for (found, expected) in found.iter().flatten().zip(whole.iter().flatten()) {
                assert!((found - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{shards}: {found}, {expected}");
            }
            assert_eq!(found.each_ref().map(Vec::len), whole.each_ref().map(Vec::len));
        }
    }

    #[test]
    fn ranks_have_the_same_bits_whether_they_read_all_members_or_their_own() {
        let expected = trained(|step| step.shards(4), false);
        for (ranks, only_own) in [(2, false), (2, true), (4, true)] {
            let threads: Vec<_> = ThreadRank::group(ranks)
                .into_iter()
                .map(|rank| {
                    std::thread::spawn(move || trained(|step| step.shards(4).communicator(Rc::new(rank)), only_own))
                })
                .collect();
            let mut predicted = Vec::new();
            for thread in threads {
                let [found, own] = thread.join().unwrap();
                assert_eq!(found, expected[0], "{ranks} ranks");
                predicted.extend(own);
            }
            assert_eq!(predicted, expected[1], "{ranks} ranks");
        }
    }

    #[test]
    fn minibatches_that_cannot_be_divided_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("slope", 2.0.into()).unwrap();
        let model = |record: &Record<'_, '_, f64>| {
            record.cost("loss", (record.param("slope")? * record.input("x")? - 1.0).square())
        };
        let error = |step: Step<'_, f64>, inputs: Inputs<f64>| {
            let mut step = step;
            step.run(&parameters, &inputs, SEED).unwrap_err().to_string()
        };
        let small = Inputs::new().batch("x", [1.0, 2.0]);
        assert!(error(Step::new(model).shards(3), small.clone()).contains("each of the 3 shards, got 2 members"));
        assert!(error(Step::new(model).shards(2), Inputs::new().value("x", 1.0)).contains("without members"));
        let part = small.clone().part_of_batch(2, 6);
        assert!(error(Step::new(model).shards(2), part.clone()).contains("the members 0..6 of the minibatch"));
        assert!(error(Step::new(model), part).contains("Step::shards"));
        let members = |record: &Record<'_, '_, f64>| {
            let x = record.input("x")?;
            record.graph().cost("loss", x.plate_to_event(x.plates()[0]).sum() * record.param("slope")?)
        };
        assert!(error(Step::new(members).shards(2), small.clone()).contains("got a shard of 1"));
        let reads = |record: &Record<'_, '_, f64>| {
            let x = record.input("x")?;
            let mean = x.mean_over(x.plates()[0]).item()?;
            record.cost("loss", record.param("slope")? * x * mean)
        };
        assert!(error(Step::new(reads).shards(2), small).contains("Shards::run"));
    }
}
