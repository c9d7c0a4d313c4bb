//! Data, read minibatch by minibatch.
//!
//! | source | data |
//! |---|---|
//! | [`Tensors`] | named tensors in memory |
//! | [`Images`](stochgrad_nn::data::Images) | the embedded digits, MNIST and other IDX files |
//! | [`ImageFolder`] | folders of PNG files, one for each class; with the feature `images` |
//! | [`CsvTable`] | files of comma-separated values |
//! | [`Stream`] | an iterator of the user |
//!
//! A source of your own implements [`Source`].

mod csv;
mod epoch;
#[cfg(feature = "images")]
mod image_folder;
mod images;
mod map;
mod stream;
mod tensors;

pub use self::csv::{CsvReader, CsvTable};
pub use epoch::Epoch;
#[cfg(feature = "images")]
pub use image_folder::ImageFolder;
pub use stream::Stream;
pub use tensors::Tensors;

use std::ops::Range;
use std::rc::Rc;

use stochgrad_nn::Inputs;
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Real, Shape};

use crate::error::TrainResult;

/// The minibatches of an epoch, in order.
pub type MinibatchIter<'a, F> = Box<dyn Iterator<Item = TrainResult<Inputs<F>>> + 'a>;

/// The positions of the members that a rank needs in a minibatch of a number of members; see
/// [`Step::own_members`](stochgrad_nn::Step::own_members).
pub type OwnMembers = Rc<dyn Fn(usize) -> Range<usize>>;

/// Data that is read minibatch by minibatch. The minibatches of an epoch are a function of the fields of [`Epoch`], so
/// that a run can resume at any of them.
///
/// ```
/// use stochgrad_nn::data::Digits;
/// use stochgrad_train::{Epoch, Source};
///
/// // The pixels are drawn anew in each epoch, with the intensities as probabilities.
/// let (train, test) = Digits::embedded().split_at(1500)?;
/// let train = Source::<f32>::binarize(train, "images").reshape("images", [8, 8, 1]);
/// let minibatch = train.minibatches(Epoch::shuffled(0, 50, 7))?.next().unwrap()?;
/// assert_eq!(minibatch.get("images").unwrap().shape()[..], [50, 8, 8, 1]);
/// assert_eq!(train.size(), Some(1500));
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
pub trait Source<F: Real> {
    /// The number of members of the data set, if it is known. Costs that all members share are divided by it.
    fn size(&self) -> Option<usize>;

    /// The minibatches of an epoch.
    ///
    /// # Errors
    ///
    /// If the data cannot be read, and for a batch size that does not fit it.
    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>>;

    /// As [`minibatches`](Self::minibatches), for a rank that needs only its own members of each minibatch; the inputs
    /// state their place with [`Inputs::part_of_batch`]. By default, all members are read, from which a step takes those
    /// that it needs.
    ///
    /// # Errors
    ///
    /// Those of [`minibatches`](Self::minibatches).
    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        let _ = own;
        self.minibatches(epoch)
    }

    /// All members as the inputs of one minibatch, in the order of the data, if each minibatch consists of the rows of
    /// them that [`Epoch::indices`] states. A run on a device copies them there once. By default, `None`: minibatches
    /// are read one by one.
    ///
    /// ```
    /// use stochgrad_nn::data::Digits;
    /// use stochgrad_train::Source;
    ///
    /// let digits = Source::<f32>::threshold(Digits::embedded(), "images", 0.5);
    /// assert_eq!(digits.rows()?.unwrap().get("images").unwrap().shape()[..], [1797, 64]);
    /// // Pixels that are drawn anew in each epoch are no rows.
    /// assert!(Source::<f32>::binarize(Digits::embedded(), "images").rows()?.is_none());
    /// # Ok::<(), stochgrad_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the data cannot be read.
    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        Ok(None)
    }

    /// The same data with a transformation of each minibatch, when it is read. The key is that of the noise of the
    /// minibatch, a function of the name, the seed, the epoch and the number of the minibatch.
    ///
    /// ```
    /// use stochgrad_nn::Inputs;
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::source::Tensors;
    /// use stochgrad_train::{Epoch, Source};
    ///
    /// let clean = Tensors::<f64>::new().with("x", [1.0, 2.0, 3.0])?;
    /// let noisy = clean.map("jitter", |inputs, key| {
    ///     let mut noise = vec![0.0; inputs.get("x").map_or(0, Tensor::len)];
    ///     key.normal(0, &mut noise);
    ///     Ok(inputs.batch("noise", Tensor::from(noise)))
    /// });
    /// let minibatch = noisy.minibatches(Epoch::in_order(3))?.next().unwrap()?;
    /// assert!(minibatch.names().eq(["x", "noise"]));
    /// # Ok::<(), stochgrad_train::TrainError>(())
    /// ```
    fn map<T>(self, name: impl Into<String>, transformation: T) -> impl Source<F>
    where
        Self: Sized,
        T: Fn(Inputs<F>, Key) -> TrainResult<Inputs<F>>,
    {
        map::Map { source: self, name: name.into(), transformation, is_of_rows: false }
    }

    /// The same data with binary values of an input, drawn for each minibatch with the values as probabilities
    /// (dynamic binarisation); see [`binarize`](stochgrad_nn::data::binarize).
    fn binarize(self, name: impl Into<String>) -> impl Source<F>
    where
        Self: Sized,
    {
        let name = name.into();
        self.map(format!("binarized {name}"), move |inputs, key| map::binarized(inputs, &name, key))
    }

    /// The same data with 1 where the value of an input is above a threshold, and 0 elsewhere.
    fn threshold(self, name: impl Into<String>, threshold: f64) -> impl Source<F>
    where
        Self: Sized,
    {
        let name = name.into();
        map::of_rows(self, move |inputs, _| map::thresholded(inputs, &name, threshold))
    }

    /// The same data with classes as vectors: a label becomes `classes` values, 1 at the label and 0 elsewhere, along a
    /// new last axis.
    ///
    /// ```
    /// use stochgrad_nn::data::Digits;
    /// use stochgrad_train::{Epoch, Source};
    ///
    /// let digits = Source::<f32>::one_hot(Digits::embedded(), "labels", 10);
    /// let minibatch = digits.minibatches(Epoch::in_order(3))?.next().unwrap()?;
    /// let labels = minibatch.get("labels").unwrap();
    /// assert_eq!(labels.shape()[..], [3, 10]);
    /// assert_eq!(labels.as_slice()[10..20], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), stochgrad_train::TrainError>(())
    /// ```
    fn one_hot(self, name: impl Into<String>, classes: usize) -> impl Source<F>
    where
        Self: Sized,
    {
        let name = name.into();
        map::of_rows(self, move |inputs, _| map::one_hot(inputs, &name, classes))
    }

    /// The same data with another shape of each member of an input, such as `[28, 28, 1]` for images whose pixels are
    /// one axis.
    fn reshape(self, name: impl Into<String>, shape: impl Into<Shape>) -> impl Source<F>
    where
        Self: Sized,
    {
        let (name, shape) = (name.into(), shape.into());
        map::of_rows(self, move |inputs, _| map::reshaped(inputs, &name, &shape))
    }
}

impl<F: Real, S: Source<F> + ?Sized> Source<F> for &S {
    fn size(&self) -> Option<usize> {
        (**self).size()
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        (**self).minibatches(epoch)
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        (**self).own_minibatches(epoch, own)
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        (**self).rows()
    }
}

impl<F: Real, S: Source<F> + ?Sized> Source<F> for Box<S> {
    fn size(&self) -> Option<usize> {
        (**self).size()
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        (**self).minibatches(epoch)
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        (**self).own_minibatches(epoch, own)
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        (**self).rows()
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_nn::data::{Digits, binarize, rows};
    use stochgrad_tensor::Tensor;

    use super::*;

    fn images(source: impl Source<f32>, epoch: Epoch) -> Vec<Tensor<f32>> {
        let minibatches = source.minibatches(epoch).unwrap();
        minibatches.map(|inputs| inputs.unwrap().get("images").unwrap().clone()).collect()
    }

    #[test]
    fn binary_pixels_are_a_function_of_seed_epoch_and_minibatch() {
        let (digits, _) = Digits::embedded().split_at(100).unwrap();
        let drawn = digits.clone().binarize("images");
        let epoch = Epoch::shuffled(2, 30, 5);
        let all = images(&drawn, epoch);
        let intensities = images(&digits, epoch);
        for (number, (drawn, intensities)) in all.iter().zip(&intensities).enumerate() {
            assert_eq!(*drawn, binarize(intensities, epoch.key("binarized images", number)));
        }
        assert_eq!(images(&drawn, Epoch { first: 2, ..epoch }), all[2..]);
        assert_ne!(images(&drawn, Epoch::shuffled(3, 30, 5)), all);
        assert_eq!(drawn.size(), Some(100));
    }

    #[test]
    fn thresholds_and_shapes_are_those_of_the_images() {
        let (digits, _) = Digits::embedded().split_at(20).unwrap();
        let expected = digits.thresholded::<f32>(0.5).unwrap();
        let source = digits.threshold("images", 0.5).reshape("images", [8, 8, 1]);
        let images = images(source, Epoch::in_order(20)).remove(0);
        assert_eq!(images.shape()[..], [20, 8, 8, 1]);
        assert_eq!(images.as_slice(), expected.as_slice());
    }

    #[test]
    fn sources_are_passed_by_reference_and_in_a_box() {
        let (digits, _) = Digits::embedded().split_at(20).unwrap();
        let boxed: Box<dyn Source<f32>> = Box::new(digits.clone());
        assert_eq!(images(&boxed, Epoch::in_order(7)), images(&digits, Epoch::in_order(7)));
        assert_eq!(boxed.size(), (&digits as &dyn Source<f32>).size());
    }

    #[test]
    fn a_label_is_the_position_of_a_one() {
        let labels = Tensors::<f64>::new().with("labels", [2.0, 0.0]).unwrap();
        let first = |source: &dyn Source<f64>| source.minibatches(Epoch::in_order(2)).unwrap().next().unwrap();
        let minibatch = first(&labels.clone().one_hot("labels", 3)).unwrap();
        assert_eq!(minibatch.get("labels"), Some(&Tensor::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])));
        let message = first(&labels.one_hot("labels", 2)).unwrap_err().to_string();
        assert!(message.contains("whole numbers below 2, got 2 at position 0"), "{message}");
        for wrong in [-1.0, 0.5, f64::NAN] {
            assert!(first(&Tensors::new().with("labels", [wrong]).unwrap().one_hot("labels", 3)).is_err());
        }
    }

    #[test]
    fn rows_and_own_members_are_those_of_the_minibatches() {
        let (digits, _) = Digits::embedded().split_at(20).unwrap();
        let tensors = Tensors::<f32>::new().with("images", Tensor::from_fn([20, 3], |i| i as f32)).unwrap();
        let sources: [Box<dyn Source<f32>>; 5] = [
            Box::new(digits.clone()),
            Box::new(digits.clone().threshold("images", 0.5).reshape("images", [8, 8, 1])),
            Box::new(Source::<f32>::one_hot(digits.clone(), "labels", 10)),
            Box::new(&tensors),
            Box::new(digits.binarize("images")),
        ];
        let epoch = Epoch { first: 1, ..Epoch::shuffled(2, 7, 3) };
        let own: OwnMembers = Rc::new(|members| 2..members);
        for (number, source) in sources.iter().enumerate() {
            let all = source.rows().unwrap();
            assert_eq!(all.is_some(), number < 4);
            let parts = source.own_minibatches(epoch, own.clone()).unwrap();
            let mut count = 0;
            for ((members, minibatch), part) in
                epoch.indices(20).unwrap().zip(source.minibatches(epoch).unwrap()).zip(parts)
            {
                let (minibatch, part) = (minibatch.unwrap(), part.unwrap());
                for (name, value) in minibatch.iter() {
                    let own: Vec<usize> =
                        if all.is_some() { (2..members.len()).collect() } else { (0..members.len()).collect() };
                    assert_eq!(part.get(name).unwrap(), &rows(value, &own).unwrap());
                    if let Some(all) = &all {
                        assert_eq!(value, &rows(all.get(name).unwrap(), &members).unwrap());
                    }
                }
                assert_eq!(part.batch_members(), Some(members.len()));
                count += 1;
            }
            assert_eq!(count, 2);
        }
    }

    #[test]
    fn an_unknown_input_is_an_error() {
        let source = Digits::embedded().binarize("pixels");
        let first: TrainResult<Inputs<f64>> = source.minibatches(Epoch::in_order(7)).unwrap().next().unwrap();
        let error = first.unwrap_err().to_string();
        assert!(error.contains("[\"images\", \"labels\"]") && error.contains("got \"pixels\""), "{error}");
        let source = Digits::embedded().reshape("images", [8, 7]);
        let first: TrainResult<Inputs<f64>> = source.minibatches(Epoch::in_order(7)).unwrap().next().unwrap();
        assert!(first.is_err());
    }
}
