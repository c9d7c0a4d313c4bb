//! The minibatches of an epoch, as they are read or as rows of data on a device.

use std::iter::Peekable;

use stochgrad_nn::Inputs;
use stochgrad_tensor::Real;

use crate::error::TrainResult;
use crate::source::{Epoch, MinibatchIter, OwnMembers, Source};

/// The minibatches of an epoch that are left.
pub(super) enum Minibatches<'d, F: Real> {
    Read(Box<Peekable<MinibatchIter<'d, F>>>),
    Rows(Peekable<Box<dyn Iterator<Item = Vec<usize>>>>),
}

/// What the next steps are made with.
#[expect(clippy::large_enum_variant, reason = "a box would be allocated in each step")]
pub(super) enum Next<F: Real> {
    Minibatch(Inputs<F>),
    /// The rows of successive minibatches of the same size.
    Rows(Vec<Vec<usize>>),
}

impl<'d, F: Real> Minibatches<'d, F> {
    /// The minibatches that the source reads, with the members that this rank needs.
    pub(super) fn read(data: &'d dyn Source<F>, epoch: Epoch, own: Option<&OwnMembers>) -> TrainResult<Self> {
        Ok(Minibatches::Read(Box::new(read(data, epoch, own)?.peekable())))
    }

    /// The rows of data with a number of members.
    pub(super) fn rows(members: usize, epoch: Epoch) -> TrainResult<Self> {
        let indices: Box<dyn Iterator<Item = Vec<usize>>> = Box::new(epoch.indices(members)?);
        Ok(Minibatches::Rows(indices.peekable()))
    }

    pub(super) fn is_empty(&mut self) -> bool {
        match self {
            Minibatches::Read(minibatches) => minibatches.peek().is_none(),
            Minibatches::Rows(batches) => batches.peek().is_none(),
        }
    }

    /// The next minibatch, or the rows of the next ones up to a number.
    pub(super) fn next(&mut self, limit: usize) -> TrainResult<Option<Next<F>>> {
        Ok(match self {
            Minibatches::Read(minibatches) => minibatches.next().transpose()?.map(Next::Minibatch),
            Minibatches::Rows(batches) => {
                let Some(first) = batches.next() else { return Ok(None) };
                let members = first.len();
                let mut rows = vec![first];
                while rows.len() < limit
                    && let Some(batch) = batches.next_if(|batch| batch.len() == members)
                {
                    rows.push(batch);
                }
                Some(Next::Rows(rows))
            }
        })
    }
}

/// The minibatches of a source, with the members that this rank needs.
pub(super) fn read<'d, F: Real>(
    data: &'d dyn Source<F>,
    epoch: Epoch,
    own: Option<&OwnMembers>,
) -> TrainResult<MinibatchIter<'d, F>> {
    match own {
        Some(own) => data.own_minibatches(epoch, own.clone()),
        None => data.minibatches(epoch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_together_up_to_a_limit_and_a_change_of_size() {
        let epoch = Epoch { first: 1, ..Epoch::in_order(2) };
        let mut minibatches = Minibatches::<f64>::rows(11, epoch).unwrap();
        let mut found = Vec::new();
        while let Some(Next::Rows(rows)) = minibatches.next(3).unwrap() {
            found.push((rows, minibatches.is_empty()));
        }
        let expected =
            [(vec![vec![2, 3], vec![4, 5], vec![6, 7]], false), (vec![vec![8, 9]], false), (vec![vec![10]], true)];
        assert_eq!(found, expected);
    }
}
