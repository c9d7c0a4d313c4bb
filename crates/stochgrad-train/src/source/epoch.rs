//! Which minibatches of an epoch are read.

use std::ops::Range;

use stochgrad_nn::data::{self, Minibatches};
use stochgrad_tensor::random::{Key, address_hash};

use crate::error::TrainResult;

/// Which minibatches of an epoch are read, and in which order the members are.
///
/// ```
/// use stochgrad_train::Epoch;
///
/// let sizes = |epoch: Epoch| Ok::<_, stochgrad_train::TrainError>(epoch.indices(10)?.map(|batch| batch.len()));
/// assert!(sizes(Epoch::shuffled(0, 4, 7))?.eq([4, 4, 2]));
/// assert!(sizes(Epoch { drops_last: true, ..Epoch::shuffled(0, 4, 7) })?.eq([4, 4]));
/// assert!(sizes(Epoch { first: 2, ..Epoch::in_order(4) })?.eq([2]));
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The number of the epoch, from 0. It determines the order of the members together with the seed.
    pub number: u64,
    /// The number of members of a minibatch.
    pub batch: usize,
    /// The seed of the order, and of the noise of transformations.
    pub seed: u64,
    /// Whether the members are shuffled.
    pub is_shuffled: bool,
    /// Whether the last minibatch is left out if it has fewer members than the others.
    pub drops_last: bool,
    /// The number of the first minibatch. A run that resumes within an epoch skips those before it.
    pub first: usize,
}

impl Epoch {
    /// All members in a random order, which is a function of the seed and the number of the epoch.
    pub fn shuffled(number: u64, batch: usize, seed: u64) -> Self {
        Self { number, batch, seed, is_shuffled: true, drops_last: false, first: 0 }
    }

    /// All members in the order of the data, for an evaluation.
    pub fn in_order(batch: usize) -> Self {
        Self { number: 0, batch, seed: 0, is_shuffled: false, drops_last: false, first: 0 }
    }

    /// The members of each minibatch, as indices into data with a number of members. Sources whose members can be read
    /// in any order use it.
    ///
    /// # Errors
    ///
    /// Those of [`Minibatches::new`] and [`Minibatches::drop_last`].
    pub fn indices(&self, members: usize) -> TrainResult<impl Iterator<Item = Vec<usize>> + use<>> {
        let mut minibatches = self.members(members)?;
        Ok(std::iter::from_fn(move || minibatches.next().map(<[usize]>::to_vec)))
    }

    /// As [`indices`](Self::indices), for a source that allocates nothing for a minibatch.
    pub(super) fn members(&self, members: usize) -> TrainResult<Members> {
        let mut minibatches = Minibatches::new(members, self.batch, self.seed)?;
        if self.drops_last {
            minibatches = minibatches.drop_last()?;
        }
        let order = self.is_shuffled.then(|| minibatches.epoch(self.number));
        let numbers = self.first..minibatches.batches_per_epoch();
        Ok(Members { order, batch: self.batch, members, numbers, in_order: Vec::new() })
    }

    /// The key of the noise of a purpose for a minibatch: a function of the seed, the number of the epoch and the
    /// number of the minibatch in it.
    pub fn key(&self, purpose: &str, minibatch: usize) -> Key {
        Key::new(self.seed, minibatch as u64, address_hash(purpose, &[self.number]))
    }
}

/// The members of each minibatch of an epoch, one after the other.
pub(super) struct Members {
    order: Option<data::Epoch>,
    batch: usize,
    members: usize,
    /// The numbers of the minibatches that are left.
    numbers: Range<usize>,
    /// The members of a minibatch in the order of the data.
    in_order: Vec<usize>,
}

impl Members {
    pub(super) fn next(&mut self) -> Option<&[usize]> {
        let number = self.numbers.next()?;
        if let Some(order) = &self.order {
            return Some(order.batch(number).unwrap_or_default());
        }
        self.in_order.clear();
        self.in_order.extend(number * self.batch..self.members.min((number + 1).saturating_mul(self.batch)));
        Some(&self.in_order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(epoch: Epoch) -> Vec<Vec<usize>> {
        epoch.indices(10).unwrap().collect()
    }

    #[test]
    fn the_order_is_that_of_the_data_or_that_of_shuffled_minibatches() {
        assert_eq!(indices(Epoch::in_order(4)), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        let expected = Minibatches::new(10, 4, 7).unwrap().epoch(3);
        assert!(indices(Epoch::shuffled(3, 4, 7)).iter().eq(expected.iter()));
        assert_eq!(indices(Epoch { drops_last: true, ..Epoch::in_order(4) }).len(), 2);
        assert_eq!(indices(Epoch::in_order(usize::MAX)), [(0..10).collect::<Vec<_>>()]);
    }

    #[test]
    fn an_epoch_resumes_at_any_minibatch() {
        for epoch in [Epoch::in_order(3), Epoch::shuffled(5, 3, 1)] {
            let all = indices(epoch);
            for first in 0..6 {
                assert_eq!(indices(Epoch { first, ..epoch }), all[first.min(4)..]);
            }
        }
    }

    #[test]
    fn unusable_sizes_are_errors() {
        assert!(Epoch::in_order(0).indices(10).is_err());
        assert!(Epoch::in_order(4).indices(0).is_err());
        let error = Epoch { drops_last: true, ..Epoch::in_order(11) }.indices(10).err().unwrap().to_string();
        assert!(error.contains("at most 10"), "{error}");
    }

    #[test]
    fn keys_differ_by_purpose_epoch_minibatch_and_seed() {
        let key = Epoch::shuffled(0, 1, 7).key("pixels", 0);
        assert_eq!(key, Epoch::shuffled(0, 5, 7).key("pixels", 0));
        let others = [
            Epoch::shuffled(0, 1, 7).key("noise", 0),
            Epoch::shuffled(1, 1, 7).key("pixels", 0),
            Epoch::shuffled(0, 1, 7).key("pixels", 1),
            Epoch::shuffled(0, 1, 8).key("pixels", 0),
        ];
        assert!(others.iter().all(|other| *other != key));
    }
}
