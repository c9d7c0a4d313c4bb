//! Shuffled minibatches that can be resumed at any step.

use rand_chacha::rand_core::Rng;
use stochgrad_tensor::machine_memory;
use stochgrad_tensor::random::Key;

use crate::error::{NnError, NnResult};

/// The address of the random values of the shuffles.
const ADDRESS: u128 = u128::from_le_bytes(*b"minibatch order.");

/// Shuffled minibatches of the indices `0..examples`.
///
/// The order of an epoch depends only on the seed and the number of the epoch. A run that was interrupted at any step
/// therefore resumes with the same batches, and only the step has to be saved.
///
/// ```
/// use stochgrad_nn::data::Minibatches;
///
/// let minibatches = Minibatches::new(10, 4, 7)?;
/// let sizes: Vec<usize> = minibatches.epoch(0).iter().map(<[usize]>::len).collect();
/// assert_eq!(sizes, [4, 4, 2]);
///
/// // Step 5 is the third batch of epoch 1.
/// let resumed = minibatches.steps_from(5).next();
/// assert_eq!(resumed.as_deref(), minibatches.epoch(1).batch(2));
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minibatches {
    examples: usize,
    batch: usize,
    seed: u64,
    drop_last: bool,
}

impl Minibatches {
    /// Minibatches of `batch` out of `examples` examples.
    ///
    /// If `batch` does not divide `examples`, the last batch of an epoch is smaller; see
    /// [`drop_last`](Self::drop_last).
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if `examples` or `batch` is 0, or if there are more examples than the memory of the
    /// machine can list.
    pub fn new(examples: usize, batch: usize, seed: u64) -> NnResult<Self> {
        if examples == 0 {
            return Err(NnError::argument(
                "`examples` of `Minibatches::new`",
                "at least 1",
                "0",
                "check that the data set was loaded and the split left examples",
            ));
        }
        let most = machine_memory() / size_of::<usize>();
        if examples > most {
            return Err(NnError::argument(
                "`examples` of `Minibatches::new`",
                format!("at most {most}, since an epoch lists them all in memory"),
                examples.to_string(),
                "pass the number of examples of the data set",
            ));
        }
        if batch == 0 {
            return Err(NnError::argument(
                "`batch` of `Minibatches::new`",
                "at least 1",
                "0",
                "pass the number of examples of a step",
            ));
        }
        Ok(Self { examples, batch, seed, drop_last: false })
    }

    /// Leaves out the last batch of an epoch if it is not full, so that all steps have the same shape.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there are fewer examples than in one batch, since no batch would be left.
    pub fn drop_last(mut self) -> NnResult<Self> {
        if self.batch > self.examples {
            return Err(NnError::argument(
                "`batch` of `Minibatches::drop_last`",
                format!("at most {}, the number of examples", self.examples),
                self.batch.to_string(),
                "use a smaller batch, or keep the last batch",
            ));
        }
        self.drop_last = true;
        Ok(self)
    }

    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The number of examples of a full batch.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The number of batches of an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> usize {
        if self.drop_last { self.examples / self.batch } else { self.examples.div_ceil(self.batch) }
    }

    /// The batches of epoch `number`, counted from 0.
    pub fn epoch(&self, number: u64) -> Epoch {
        let mut order: Vec<usize> = (0..self.examples).collect();
        shuffle(&mut order, &mut Key::new(self.seed, number, ADDRESS).rng(0));
        order.truncate(self.batches_per_epoch().saturating_mul(self.batch));
        Epoch { order, batch: self.batch }
    }

    /// The batches from step `step` on, in an endless sequence of epochs.
    pub fn steps_from(&self, step: u64) -> impl Iterator<Item = Vec<usize>> + use<> {
        let minibatches = self.clone();
        let per_epoch = minibatches.batches_per_epoch();
        let first = step / per_epoch as u64;
        let skipped = (step % per_epoch as u64) as usize;
        std::iter::successors(Some(first), |number| number.checked_add(1))
            .flat_map(move |number| {
                let epoch = minibatches.epoch(number);
                (0..per_epoch).filter_map(move |i| epoch.batch(i).map(<[usize]>::to_vec))
            })
            .skip(skipped)
    }
}

/// The shuffled batches of one epoch. Iterate over a reference to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    order: Vec<usize>,
    batch: usize,
}

impl Epoch {
    /// The number of batches.
    pub fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch)
    }

    /// Whether there are no batches, which is never true for an epoch of [`Minibatches`].
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The indices of batch `index`, if there is one.
    pub fn batch(&self, index: usize) -> Option<&[usize]> {
        self.iter().nth(index)
    }

    /// The batches in their order.
    pub fn iter(&self) -> std::slice::Chunks<'_, usize> {
        self.order.chunks(self.batch)
    }
}

impl<'a> IntoIterator for &'a Epoch {
    type Item = &'a [usize];
    type IntoIter = std::slice::Chunks<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The Fisher–Yates shuffle. It is implemented here because that of a library may change between versions, which would
/// change the results of runs.
fn shuffle(order: &mut [usize], rng: &mut impl Rng) {
    for last in (1..order.len()).rev() {
        let chosen = below(rng, last as u64 + 1);
        order.swap(last, chosen as usize);
    }
}

/// A uniform integer in `0..bound`, without bias (Lemire 2019). `bound` must be positive.
fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= rejected {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_every_example_once() {
        for (examples, batch) in [(1, 1), (1, 5), (10, 3), (12, 4), (1797, 50)] {
            let minibatches = Minibatches::new(examples, batch, 1).unwrap();
            let epoch = minibatches.epoch(2);
            assert_eq!(epoch.len(), minibatches.batches_per_epoch());
            assert_eq!(epoch.iter().count(), epoch.len());
            let mut seen: Vec<usize> = epoch.iter().flatten().copied().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..examples).collect::<Vec<_>>());
            assert!(epoch.iter().rev().skip(1).all(|indices| indices.len() == batch));
        }
    }

    #[test]
    fn dropping_the_last_batch_leaves_only_full_ones() {
        let minibatches = Minibatches::new(10, 4, 1).unwrap();
        let full = minibatches.clone().drop_last().unwrap();
        assert_eq!((minibatches.batches_per_epoch(), full.batches_per_epoch()), (3, 2));
        for number in 0..5 {
            let (kept, dropped) = (minibatches.epoch(number), full.epoch(number));
            assert_eq!(dropped.len(), 2);
            assert!(dropped.iter().eq(kept.iter().take(2)));
        }
        let even = Minibatches::new(12, 4, 1).unwrap().drop_last().unwrap();
        assert_eq!(even.batches_per_epoch(), 3);
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_only() {
        let orders: Vec<Epoch> = (0..20).map(|e| Minibatches::new(100, 7, 5).unwrap().epoch(e)).collect();
        for (e, order) in orders.iter().enumerate().rev() {
            assert_eq!(&Minibatches::new(100, 7, 5).unwrap().epoch(e as u64), order);
            assert_ne!(&Minibatches::new(100, 7, 6).unwrap().epoch(e as u64), order);
        }
        for pair in orders.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        let other_batch = Minibatches::new(100, 30, 5).unwrap().epoch(3);
        assert!(other_batch.iter().flatten().eq(orders[3].iter().flatten()));
    }

    #[test]
    fn the_order_is_the_same_in_every_version() {
        // From an implementation of ChaCha8 and of the shuffle outside of this crate.
        let expected = [11, 10, 9, 8, 6, 5, 3, 1, 7, 0, 4, 2];
        let epoch = Minibatches::new(12, 5, 7).unwrap().epoch(3);
        assert!(epoch.iter().flatten().eq(&expected));
    }

    #[test]
    fn extreme_numbers_are_errors_or_have_an_end() {
        for examples in [1 << 40, usize::MAX] {
            let error = Minibatches::new(examples, 4, 9).unwrap_err().to_string();
            assert!(error.contains(&examples.to_string()) && error.contains("memory"), "{error}");
        }
        let all = Minibatches::new(3, usize::MAX, 9).unwrap();
        assert_eq!((all.batches_per_epoch(), all.epoch(u64::MAX).len()), (1, 1));
        assert_eq!(all.steps_from(u64::MAX).count(), 1);
    }

    #[test]
    fn resumed_steps_are_those_of_the_uninterrupted_run() {
        for minibatches in [
            Minibatches::new(10, 4, 9).unwrap(),
            Minibatches::new(10, 4, 9).unwrap().drop_last().unwrap(),
            Minibatches::new(3, 8, 9).unwrap(),
        ] {
            let run: Vec<Vec<usize>> = minibatches.steps_from(0).take(12).collect();
            for step in 0..12 {
                let resumed: Vec<Vec<usize>> = minibatches.steps_from(step as u64).take(12 - step).collect();
                assert_eq!(resumed, run[step..]);
            }
            let per_epoch = minibatches.batches_per_epoch();
            let second = minibatches.epoch(1);
            assert_eq!(Some(&run[per_epoch][..]), second.batch(0));
        }
    }

    #[test]
    fn all_orders_are_equally_likely() {
        let minibatches = Minibatches::new(4, 4, 11).unwrap();
        let epochs = 24_000_u64;
        let mut counts = std::collections::BTreeMap::new();
        for e in 0..epochs {
            *counts.entry(minibatches.epoch(e).order).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let expected = epochs as f64 / 24.0;
        let chi_squared: f64 = counts.values().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // The 99.9 % point of chi-squared with 23 degrees of freedom.
        assert!(chi_squared < 49.73, "{chi_squared}");
    }

    #[test]
    fn bounded_integers_reject_the_biased_part() {
        struct Words(Vec<u64>);
        impl rand_chacha::rand_core::TryRng for Words {
            type Error = std::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                self.try_next_u64().map(|word| word as u32)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(self.0.remove(0))
            }
            fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
                unreachable!("the shuffle takes whole words")
            }
        }
        // 2^64 is 1 modulo 3 and modulo 5, so exactly the word 0 must be thrown away.
        assert_eq!(below(&mut Words(vec![0, u64::MAX]), 3), 2);
        assert_eq!(below(&mut Words(vec![1]), 5), 0);
        assert_eq!(below(&mut Words(vec![0]), 1 << 40), 0);
    }

    #[test]
    fn empty_sets_and_batches_are_refused() {
        assert!(Minibatches::new(0, 4, 1).is_err());
        assert!(Minibatches::new(4, 0, 1).is_err());
        let message = Minibatches::new(4, 5, 1).unwrap().drop_last().unwrap_err().to_string();
        assert!(message.contains("at most 4"), "{message}");
    }
}
