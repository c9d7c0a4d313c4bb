//! Scores of classes with the labels of their members.

use stochgrad_tensor::{Real, Tensor};

use crate::error::{TrainError, TrainResult};

/// The scores of each member with the class of its label.
///
/// # Errors
///
/// For scores that are not a matrix, for another number of labels, and for a label that is not the number of a class.
pub(super) fn labelled<'a, F: Real>(
    argument: &'static str,
    scores: &'a Tensor<F>,
    labels: &'a Tensor<F>,
) -> TrainResult<impl Iterator<Item = (&'a [F], usize)>> {
    let (members, classes) = match scores.shape()[..] {
        [members, classes] if classes > 0 && labels.shape()[..] == [members] => (members, classes),
        _ => {
            return Err(TrainError::argument(
                argument,
                "scores of shape [members, classes] and labels of shape [members]",
                format!("{} and {}", scores.shape(), labels.shape()),
                "pass one row of scores and one label for each member",
            ));
        }
    };
    let class = move |label: F| {
        let label = label.to_f64();
        (label.fract() == 0.0 && 0.0 <= label && label < classes as f64).then_some(label as usize)
    };
    if let Some(position) = labels.as_slice().iter().position(|&label| class(label).is_none()) {
        return Err(TrainError::argument(
            argument,
            format!("labels from 0 to {}, the classes of the scores", classes - 1),
            format!("{} of member {position}", labels.as_slice()[position]),
            "number the classes from 0",
        ));
    }
    let rows = (0..members).map(move |member| &scores.as_slice()[member * classes..][..classes]);
    Ok(rows.zip(labels.as_slice().iter().filter_map(move |&label| class(label))))
}

/// The class with the largest score, the first of equal ones. NaN is never the largest, unless all are.
pub(super) fn largest<F: Real>(scores: &[F]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if scores[best].is_nan() || *score > scores[best] {
            best = class;
        }
    }
    best
}
