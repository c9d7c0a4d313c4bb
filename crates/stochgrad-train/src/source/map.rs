//! Transformations of minibatches.

use stochgrad_nn::data::binarize;
use stochgrad_nn::{Inputs, NnError};
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Real, Shape, Tensor};

use super::{Epoch, MinibatchIter, OwnMembers, Source};
use crate::error::{TrainError, TrainResult};

/// A source whose minibatches are transformed when they are read; see [`Source::map`].
pub(super) struct Map<S, T> {
    pub(super) source: S,
    pub(super) name: String,
    pub(super) transformation: T,
    /// Whether each member is transformed by itself, without noise, so that all can be transformed at once.
    pub(super) is_of_rows: bool,
}

/// A source with a transformation of each member by itself, without noise.
pub(super) fn of_rows<F, S, T>(source: S, transformation: T) -> Map<S, T>
where
    F: Real,
    T: Fn(Inputs<F>, Key) -> TrainResult<Inputs<F>>,
{
    Map { source, name: String::new(), transformation, is_of_rows: true }
}

impl<F, S, T> Source<F> for Map<S, T>
where
    F: Real,
    S: Source<F>,
    T: Fn(Inputs<F>, Key) -> TrainResult<Inputs<F>>,
{
    fn size(&self) -> Option<usize> {
        self.source.size()
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        let minibatches = self.source.minibatches(epoch)?.enumerate();
        Ok(Box::new(minibatches.map(move |(index, inputs)| {
            (self.transformation)(inputs?, epoch.key(&self.name, epoch.first.saturating_add(index)))
        })))
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        if !self.is_of_rows {
            return self.minibatches(epoch);
        }
        let key = epoch.key(&self.name, 0);
        let minibatches = self.source.own_minibatches(epoch, own)?;
        Ok(Box::new(minibatches.map(move |inputs| (self.transformation)(inputs?, key))))
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        if !self.is_of_rows {
            return Ok(None);
        }
        let rows = self.source.rows()?;
        rows.map(|rows| (self.transformation)(rows, Epoch::in_order(1).key(&self.name, 0))).transpose()
    }
}

/// The inputs with one of them replaced.
pub(super) fn replace<F: Real>(
    inputs: Inputs<F>,
    name: &str,
    change: impl FnOnce(&Tensor<F>) -> TrainResult<Tensor<F>>,
) -> TrainResult<Inputs<F>> {
    let Some(tensor) = inputs.get(name) else {
        let known: Vec<&str> = inputs.names().collect();
        return Err(TrainError::argument(
            "`name` of a transformation of minibatches",
            format!("one of the inputs {known:?}"),
            format!("\"{name}\""),
            "pass the name of an input of the source",
        ));
    };
    let changed = change(tensor)?;
    Ok(inputs.batch(name, changed))
}

/// Draws binary values, with the values of the input as probabilities.
pub(super) fn binarized<F: Real>(inputs: Inputs<F>, name: &str, key: Key) -> TrainResult<Inputs<F>> {
    replace(inputs, name, |intensities| Ok(binarize(intensities, key)))
}

/// 1 where the value is above the threshold.
pub(super) fn thresholded<F: Real>(inputs: Inputs<F>, name: &str, threshold: f64) -> TrainResult<Inputs<F>> {
    let threshold = F::from_f64(threshold);
    let above = |value: F| if value > threshold { F::ONE } else { F::ZERO };
    replace(inputs, name, |values| {
        let source = values.as_slice();
        Ok(Tensor::from_fn(values.shape().clone(), |i| above(source[i])))
    })
}

/// Classes as vectors with a 1 at the class.
pub(super) fn one_hot<F: Real>(inputs: Inputs<F>, name: &str, classes: usize) -> TrainResult<Inputs<F>> {
    replace(inputs, name, |labels| {
        let class = |label: F| (0..classes).find(|&class| F::from_f64(class as f64) == label);
        if let Some(position) = labels.as_slice().iter().position(|&label| class(label).is_none()) {
            return Err(TrainError::argument(
                "`classes` of `Source::one_hot`",
                format!("labels \"{name}\" that are whole numbers below {classes}"),
                format!("{} at position {position}", labels.as_slice()[position]),
                "pass the number of classes, and number them from 0",
            ));
        }
        let shape: Shape = labels.shape().iter().copied().chain([classes]).collect();
        let mut values = vec![F::ZERO; shape.numel()];
        for (row, &label) in values.chunks_exact_mut(classes.max(1)).zip(labels.as_slice()) {
            class(label).into_iter().for_each(|class| row[class] = F::ONE);
        }
        Tensor::new(values, shape).map_err(|error| NnError::from(error).into())
    })
}

/// The input with another shape of a member.
pub(super) fn reshaped<F: Real>(inputs: Inputs<F>, name: &str, shape: &[usize]) -> TrainResult<Inputs<F>> {
    replace(inputs, name, |values| {
        let whole: Shape = values.shape().iter().take(1).chain(shape).copied().collect();
        values.reshape(whole).map_err(|error| NnError::from(error).into())
    })
}
