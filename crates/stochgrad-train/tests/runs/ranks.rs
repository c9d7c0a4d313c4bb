//! Runs of several ranks.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{Autoencoder, patterns};
use stochgrad_nn::{Adam, Inputs, Parameters};
use stochgrad_tape::{Communicator, SingleRank, ThreadRank};
use stochgrad_tensor::Tensor;
use stochgrad_train::source::{MinibatchIter, OwnMembers, Tensors};
use stochgrad_train::{Epoch, Source, TrainResult, Trainer};

/// A source that counts the members that are read.
struct Counted<S> {
    source: S,
    members: Rc<Cell<usize>>,
}

impl<S: Source<f32>> Source<f32> for Counted<S> {
    fn size(&self) -> Option<usize> {
        self.source.size()
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, f32>> {
        Ok(self.counted(self.source.minibatches(epoch)?))
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, f32>> {
        Ok(self.counted(self.source.own_minibatches(epoch, own)?))
    }
}

impl<S: Source<f32>> Counted<S> {
    fn counted<'s>(&'s self, minibatches: MinibatchIter<'s, f32>) -> MinibatchIter<'s, f32> {
        Box::new(minibatches.inspect(|inputs: &TrainResult<Inputs<f32>>| {
            let read = inputs.as_ref().ok().and_then(Inputs::members).unwrap_or(0);
            self.members.set(self.members.get() + read);
        }))
    }
}

/// The parameters after two epochs, the last costs of the training and of the held-out data, and the number of members
/// of the training data that were read.
fn run(rank: Rc<dyn Communicator>, noisy: bool) -> (Vec<f32>, Vec<f64>, usize) {
    let (train, held_out): (Tensors<f32>, Tensors<f32>) = patterns();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let members = Rc::new(Cell::new(0));
    let moved = train.clone().threshold("x", 0.5).map("flip", |inputs, key| {
        let mut noise = vec![0.0_f32; inputs.get("x").map_or(0, Tensor::len)];
        key.uniform(0, &mut noise);
        let x = inputs.get("x").unwrap().to_vec();
        let shape = inputs.get("x").unwrap().shape().clone();
        let flipped = x.iter().zip(noise).map(|(x, noise)| if noise < 0.2 { 1.0 - x } else { *x }).collect();
        Ok(inputs.batch("x", Tensor::new(flipped, shape).unwrap()))
    });
    let plain = train.threshold("x", 0.5);
    let source: Box<dyn Source<f32>> = if noisy { Box::new(&moved) } else { Box::new(&plain) };
    let source = Counted { source, members: members.clone() };
    let trainer = Trainer::new(Adam::new(0.01)).epochs(2).batch(9).seed(7).shards(4).communicator(rank);
    let report = trainer
        .validate(&held_out)
        .evaluation_batch(11)
        .quiet()
        .fit(&mut parameters, &source, |record| model.record(record))
        .unwrap();
    let costs = report.last.training.iter().chain(report.last.validation.iter().flatten());
    let costs = costs.map(|(_, cost)| *cost).collect();
    (parameters.iter().flat_map(|(_, value)| value.to_vec()).collect(), costs, members.get())
}

#[test]
fn ranks_read_their_own_members_and_train_as_one() {
    for noisy in [false, true] {
        let (parameters, costs, read) = run(Rc::new(SingleRank), noisy);
        assert_eq!(read, 2 * 23);
        let threads: Vec<_> = ThreadRank::group(2)
            .into_iter()
            .map(|rank| std::thread::spawn(move || run(Rc::new(rank), noisy)))
            .collect();
        let mut read = Vec::new();
        for thread in threads {
            let (found, found_costs, own) = thread.join().unwrap();
            assert!(found == parameters && found_costs == costs, "{found_costs:?}, {costs:?}");
            read.push(own);
        }
        // Of nine members, the first two of four shards have three and two, and of five, two and one.
        assert_eq!(read, if noisy { [46, 46] } else { [2 * (5 + 5 + 3), 2 * (4 + 4 + 2)] });
    }
}
