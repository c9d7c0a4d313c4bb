//! The user's iterator as a source.

use stochgrad_nn::Inputs;
use stochgrad_tensor::Real;

use super::{Epoch, MinibatchIter, Source};
use crate::error::TrainResult;

/// Minibatches that a function of the user makes, one iterator for each epoch. Use it for data that does not fit into
/// memory, and for data that is generated.
///
/// The minibatches must be a function of the [`Epoch`], so that a run can be resumed. A run that resumes within an epoch
/// reads and discards those before [`Epoch::first`]; implement [`Source`] if the data can skip them at less cost.
///
/// ```
/// use stochgrad_nn::Inputs;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::source::Stream;
/// use stochgrad_train::{Epoch, Source};
///
/// // A new random sine wave for each minibatch, 100 minibatches in an epoch.
/// let waves = Stream::new(|epoch: Epoch| {
///     (0..100).map(move |number| {
///         let mut phases = vec![0.0_f64; epoch.batch];
///         epoch.key("phases", number).uniform(0, &mut phases);
///         let waves = Tensor::from_fn([epoch.batch, 32], |i| (0.1 * (i % 32) as f64 + phases[i / 32]).sin());
///         Ok(Inputs::new().batch("waves", waves))
///     })
/// });
/// let first = waves.minibatches(Epoch::shuffled(0, 8, 7))?.next().unwrap()?;
/// assert_eq!(first.get("waves").unwrap().shape()[..], [8, 32]);
/// assert_eq!(waves.size(), None);
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stream<T> {
    minibatches: T,
    size: Option<usize>,
}

impl<T> Stream<T> {
    /// The minibatches that a function makes for an epoch, from the first one on.
    pub fn new<F, I>(minibatches: T) -> Self
    where
        F: Real,
        T: Fn(Epoch) -> I,
        I: Iterator<Item = TrainResult<Inputs<F>>>,
    {
        Self { minibatches, size: None }
    }

    /// Sets the number of members of the data set, by which costs that all members share are divided.
    pub fn of_size(self, members: usize) -> Self {
        Self { size: Some(members), ..self }
    }
}

impl<F, T, I> Source<F> for Stream<T>
where
    F: Real,
    T: Fn(Epoch) -> I,
    I: Iterator<Item = TrainResult<Inputs<F>>> + 'static,
{
    fn size(&self) -> Option<usize> {
        self.size
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        let mut minibatches = (self.minibatches)(epoch);
        // An error among the discarded minibatches would also have ended the run that is resumed.
        for _ in 0..epoch.first {
            match minibatches.next() {
                Some(discarded) => drop(discarded?),
                None => break,
            }
        }
        Ok(Box::new(minibatches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TrainError;

    fn first_values(source: &impl Source<f64>, epoch: Epoch) -> Vec<f64> {
        let minibatches = source.minibatches(epoch).unwrap();
        minibatches.map(|inputs| inputs.unwrap().get("x").unwrap().as_slice()[0]).collect()
    }

    #[test]
    fn a_resumed_epoch_gives_the_same_minibatches() {
        let stream = Stream::new(|epoch: Epoch| {
            (0..5).map(move |number| {
                let mut values = [0.0];
                epoch.key("x", number).normal(0, &mut values);
                Ok(Inputs::new().batch("x", values))
            })
        });
        let epoch = Epoch::shuffled(3, 1, 7);
        let all = first_values(&stream, epoch);
        assert_eq!(all.len(), 5);
        for first in 0..7 {
            assert_eq!(first_values(&stream, Epoch { first, ..epoch }), all[first.min(5)..]);
        }
        assert_ne!(first_values(&stream, Epoch::shuffled(4, 1, 7)), all);
        assert_eq!(Source::<f64>::size(&stream.of_size(12)), Some(12));
    }

    #[test]
    fn an_error_of_the_iterator_is_passed_on() {
        let stream = Stream::new(|_| {
            let failed = TrainError::argument("a", "b", "c", "d");
            [Ok(Inputs::<f64>::new()), Err(failed)].into_iter()
        });
        let mut minibatches = stream.minibatches(Epoch::in_order(1)).unwrap();
        assert!(minibatches.next().unwrap().is_ok());
        assert_eq!(minibatches.next().unwrap().unwrap_err().to_string(), "a: expected b, got c; d");
        assert!(stream.minibatches(Epoch { first: 2, ..Epoch::in_order(1) }).is_err());
    }
}
