//! Named tensors with a common leading axis.

use stochgrad_nn::Inputs;
use stochgrad_nn::data::{rows, rows_into};
use stochgrad_tape::IntoTensor;
use stochgrad_tensor::{Real, Tensor};

use super::{Epoch, MinibatchIter, OwnMembers, Source};
use crate::error::{TrainError, TrainResult};

/// Named tensors whose leading axis is that of the members of the data set.
///
/// ```
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::source::Tensors;
/// use stochgrad_train::{Epoch, Source};
///
/// let data = Tensors::<f32>::new()
///     .with("images", Tensor::zeros([1797, 64]))?
///     .with("labels", Tensor::zeros([1797]))?;
/// let (train, test) = data.split_at(1500)?;
/// assert_eq!((train.len(), test.len()), (1500, 297));
///
/// let mut minibatches = train.minibatches(Epoch::shuffled(0, 50, 7))?;
/// let first = minibatches.next().unwrap()?;
/// assert_eq!(first.get("images").unwrap().shape()[..], [50, 64]);
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors<F: Real> {
    tensors: Vec<(String, Tensor<F>)>,
}

impl<F: Real> Default for Tensors<F> {
    fn default() -> Self {
        Self { tensors: Vec::new() }
    }
}

impl<F: Real> Tensors<F> {
    /// No tensors, and no members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor of shape `[members, ..]`.
    ///
    /// # Errors
    ///
    /// For a scalar, a number of members that differs from that of the other tensors, and a name that is taken.
    pub fn with(mut self, name: impl Into<String>, tensor: impl IntoTensor<F>) -> TrainResult<Self> {
        const ARGUMENT: &str = "`tensor` of `Tensors::with`";
        let (name, tensor) = (name.into(), tensor.into_tensor());
        let Some(&members) = tensor.shape().first() else {
            return Err(TrainError::argument(
                ARGUMENT,
                format!("a tensor \"{name}\" with a leading axis of members"),
                "a scalar",
                "pass a tensor of rank 1 or more",
            ));
        };
        if let Some((known, other)) = self.tensors.first()
            && members != other.shape()[0]
        {
            return Err(TrainError::argument(
                ARGUMENT,
                format!("{} members, as in \"{known}\"", other.shape()[0]),
                format!("{members} in \"{name}\" of shape {}", tensor.shape()),
                "pass tensors with one row for each member",
            ));
        }
        if self.get(&name).is_some() {
            return Err(TrainError::argument(
                "`name` of `Tensors::with`",
                "a new name",
                format!("\"{name}\", which is taken"),
                "choose another name",
            ));
        }
        self.tensors.push((name, tensor));
        Ok(self)
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.tensors.first().map_or(0, |(_, tensor)| tensor.shape()[0])
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor<F>> {
        self.tensors.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// Names and tensors, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The members at some indices, in that order. An index may occur more than once.
    ///
    /// # Errors
    ///
    /// If an index is out of range.
    pub fn select(&self, indices: &[usize]) -> TrainResult<Self> {
        let selected = |(name, tensor): &(String, Tensor<F>)| Ok((name.clone(), rows(tensor, indices)?));
        Ok(Self { tensors: self.tensors.iter().map(selected).collect::<TrainResult<_>>()? })
    }

    /// The first `count` members, and the rest.
    ///
    /// # Errors
    ///
    /// If `count` exceeds the number of members.
    pub fn split_at(&self, count: usize) -> TrainResult<(Self, Self)> {
        if count > self.len() {
            return Err(TrainError::argument(
                "`count` of `Tensors::split_at`",
                format!("at most {}, the number of members", self.len()),
                count.to_string(),
                "request fewer members",
            ));
        }
        let part = |from: usize, to: usize| self.select(&(from..to).collect::<Vec<_>>());
        Ok((part(0, count)?, part(count, self.len())?))
    }

    /// A random part of `count` members, and the rest. The parts are a function of the seed.
    ///
    /// # Errors
    ///
    /// If `count` exceeds the number of members, or there are none.
    pub fn split_randomly(&self, count: usize, seed: u64) -> TrainResult<(Self, Self)> {
        let order: Vec<usize> = Epoch::shuffled(0, self.len().max(1), seed).indices(self.len())?.flatten().collect();
        self.select(&order)?.split_at(count)
    }

    /// The means of the elements of a tensor over the members, and their standard deviations, each of the shape of one
    /// member. A model divides by the deviations of the training data to standardise its inputs.
    ///
    /// ```
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::source::Tensors;
    ///
    /// let data = Tensors::<f64>::new().with("x", Tensor::from([[1.0, 5.0], [3.0, 5.0]]))?;
    /// let (means, deviations) = data.moments("x")?;
    /// assert_eq!((means, deviations), (Tensor::from([2.0, 5.0]), Tensor::from([1.0, 0.0])));
    /// # Ok::<(), stochgrad_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// For an unknown name, and if there are no members.
    pub fn moments(&self, name: &str) -> TrainResult<(Tensor<F>, Tensor<F>)> {
        let Some(tensor) = self.get(name).filter(|_| !self.is_empty()) else {
            let known: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            return Err(TrainError::argument(
                "`name` of `Tensors::moments`",
                format!("a tensor with members, one of {known:?}"),
                format!("\"{name}\" and {} members", self.len()),
                "pass the name of a tensor of the data",
            ));
        };
        let shape = &tensor.shape()[1..];
        let width = shape.iter().product::<usize>();
        let mean = |of: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; width];
            for row in tensor.as_slice().chunks_exact(width.max(1)) {
                sums.iter_mut().zip(row).enumerate().for_each(|(i, (sum, x))| *sum += of(i, x.to_f64()));
            }
            sums.into_iter().map(|sum| sum / self.len() as f64).collect()
        };
        let means = mean(&|_, x| x);
        let squares = mean(&|i, x| (x - means[i]).powi(2));
        let tensor = |values: &dyn Fn(usize) -> f64| Tensor::from_fn(shape, |i| F::from_f64(values(i)));
        Ok((tensor(&|i| means[i]), tensor(&|i| squares[i].sqrt())))
    }

    /// The members as inputs of one step.
    pub fn inputs(&self) -> Inputs<F> {
        self.tensors.iter().fold(Inputs::new(), |inputs, (name, tensor)| inputs.batch(name, tensor))
    }
}

impl<F: Real> Source<F> for Tensors<F> {
    fn size(&self) -> Option<usize> {
        Some(self.len())
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        let mut members = epoch.members(self.len())?;
        let mut kept = Kept::default();
        Ok(Box::new(std::iter::from_fn(move || Some(kept.next(self, members.next()?)))))
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        let mut members = epoch.members(self.len())?;
        let mut kept = Kept::default();
        Ok(Box::new(std::iter::from_fn(move || {
            let members = members.next()?;
            let own = own(members.len());
            let inputs = kept.next(self, &members[own.clone()]);
            Some(inputs.map(|inputs| inputs.part_of_batch(own.start, members.len())))
        })))
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        let all = self.iter().fold(Inputs::new(), |inputs, (name, tensor)| inputs.batch(name, tensor));
        Ok(Some(all))
    }
}

/// The last minibatches. Once the steps of the first of them have ended, the next minibatch is written into its memory.
struct Kept<F: Real> {
    minibatches: [Inputs<F>; KEPT],
    /// The position of the next one.
    next: usize,
}

/// A trainer holds the minibatch of the step and the one behind it.
const KEPT: usize = 3;

impl<F: Real> Default for Kept<F> {
    fn default() -> Self {
        Kept { minibatches: std::array::from_fn(|_| Inputs::new()), next: 0 }
    }
}

impl<F: Real> Kept<F> {
    fn next(&mut self, data: &Tensors<F>, members: &[usize]) -> TrainResult<Inputs<F>> {
        let inputs = &mut self.minibatches[self.next];
        self.next = (self.next + 1) % KEPT;
        for (name, tensor) in data.iter() {
            match inputs.get_mut(name) {
                Some(minibatch) => rows_into(minibatch, tensor, members)?,
                None => *inputs = std::mem::take(inputs).batch(name, rows(tensor, members)?),
            }
        }
        Ok(inputs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Tensors<f64> {
        Tensors::new()
            .with("x", Tensor::from_fn([10, 2, 3], |i| i as f64))
            .unwrap()
            .with("y", Tensor::from_fn([10], |i| i as f64))
            .unwrap()
    }

    #[test]
    fn minibatches_that_are_held_are_not_overwritten() {
        let data = Tensors::<f64>::new().with("x", Tensor::from_fn([23, 2], |i| i as f64)).unwrap();
        let epoch = Epoch::shuffled(1, 4, 7);
        let held: Vec<Inputs<f64>> = data.minibatches(epoch).unwrap().collect::<TrainResult<_>>().unwrap();
        let mut places = Vec::new();
        let read = data.minibatches(epoch).unwrap().map(|inputs| {
            let inputs = inputs.unwrap();
            places.push(inputs.get("x").unwrap().as_slice().as_ptr());
            inputs.get("x").unwrap().to_vec()
        });
        let read: Vec<Vec<f64>> = read.collect();
        for ((held, read), members) in held.iter().zip(&read).zip(epoch.indices(23).unwrap()) {
            assert_eq!(held.get("x").unwrap(), data.select(&members).unwrap().get("x").unwrap());
            assert_eq!(held.get("x").unwrap().as_slice(), read);
        }
        assert_eq!((read.len(), places[0], places[1]), (6, places[3], places[4]));
    }

    #[test]
    fn members_stay_together() {
        let data = data();
        let mut seen = Vec::new();
        for minibatch in data.minibatches(Epoch::shuffled(2, 4, 5)).unwrap() {
            let minibatch = minibatch.unwrap();
            assert_eq!(minibatch.names().collect::<Vec<_>>(), ["x", "y"]);
            let (x, y) = (minibatch.get("x").unwrap(), minibatch.get("y").unwrap());
            assert_eq!(x.shape()[1..], [2, 3]);
            for (row, &member) in x.as_slice().chunks_exact(6).zip(y.as_slice()) {
                assert_eq!(row[0], 6.0 * member);
                seen.push(member);
            }
        }
        assert_ne!(seen, (0..10).map(f64::from).collect::<Vec<_>>());
        seen.sort_by(f64::total_cmp);
        assert_eq!(seen, (0..10).map(f64::from).collect::<Vec<_>>());
        assert_eq!(Source::<f64>::size(&data), Some(10));
    }

    #[test]
    fn parts_are_disjoint_and_complete() {
        let (first, rest) = data().split_at(3).unwrap();
        assert_eq!(first.get("y").unwrap().as_slice(), [0.0, 1.0, 2.0]);
        assert_eq!((rest.len(), rest.get("x").unwrap().as_slice()[0]), (7, 18.0));
        assert!(data().split_at(0).unwrap().0.is_empty());

        let (first, rest) = data().split_randomly(4, 3).unwrap();
        assert_eq!(data().split_randomly(4, 3).unwrap(), (first.clone(), rest.clone()));
        assert_ne!(data().split_randomly(4, 4).unwrap().0, first);
        let mut all = [first.get("y").unwrap().to_vec(), rest.get("y").unwrap().to_vec()].concat();
        assert_eq!(all.len(), 10);
        all.sort_by(f64::total_cmp);
        assert_eq!(all, (0..10).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn moments_are_those_of_each_element() {
        let (means, deviations) = data().moments("x").unwrap();
        assert_eq!((&means.shape()[..], &deviations.shape()[..]), (&[2, 3][..], &[2, 3][..]));
        // Element i is i + 6k for the members k = 0, …, 9, whose variance is 99 / 12.
        for (i, (mean, deviation)) in means.as_slice().iter().zip(deviations.as_slice()).enumerate() {
            assert!((mean - (i as f64 + 27.0)).abs() < 1e-12, "{mean}");
            assert!((deviation - 6.0 * 8.25_f64.sqrt()).abs() < 1e-12, "{deviation}");
        }
        assert_eq!(data().moments("y").unwrap().0.item().unwrap(), 4.5);
        let empty = Tensors::<f64>::new().with("x", Tensor::zeros([2, 0])).unwrap().moments("x").unwrap();
        assert_eq!((empty.0.len(), empty.1.len()), (0, 0));
        let error = data().moments("z").unwrap_err().to_string();
        assert!(error.contains("[\"x\", \"y\"]") && error.contains("got \"z\""), "{error}");
        assert!(data().split_at(0).unwrap().0.moments("x").is_err());
    }

    #[test]
    fn unusable_tensors_are_errors() {
        let message = |error: TrainError| error.to_string();
        let error = message(data().with("z", 1.0).unwrap_err());
        assert!(error.contains("\"z\"") && error.contains("a scalar"), "{error}");
        let error = message(data().with("z", Tensor::zeros([9, 1])).unwrap_err());
        assert!(error.contains("10 members, as in \"x\"") && error.contains("got 9"), "{error}");
        assert!(message(data().with("x", Tensor::zeros([10])).unwrap_err()).contains("taken"));
        assert!(message(data().split_at(11).unwrap_err()).contains("at most 10"));
        assert!(message(data().select(&[10]).unwrap_err()).contains("indices below 10"));
        assert!(Tensors::<f64>::new().minibatches(Epoch::in_order(2)).is_err());
        assert!(Tensors::<f64>::new().split_randomly(0, 1).is_err());
    }
}
