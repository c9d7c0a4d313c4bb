//! Running means of named values.

use stochgrad_nn::{Checkpoint, CheckpointTensor, NnResult};
use stochgrad_tensor::Tensor;

use crate::error::TrainResult;
use crate::metrics::Values;

/// Weighted means of named values, in the order in which the names were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Means {
    entries: Vec<(String, Sum)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    sum: f64,
    weight: f64,
}

impl Means {
    pub(super) fn add(&mut self, name: &str, value: f64, weight: f64) {
        let index = match self.entries.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                self.entries.push((name.into(), Sum::default()));
                self.entries.len() - 1
            }
        };
        let sum = &mut self.entries[index].1;
        sum.sum += value * weight;
        sum.weight += weight;
    }

    /// The means of all values that were added since the last [`clear`](Self::clear).
    pub(super) fn values(&self) -> Values {
        let added = self.entries.iter().filter(|(_, sum)| sum.weight > 0.0);
        added.map(|(name, sum)| (name.clone(), sum.sum / sum.weight)).collect()
    }

    /// Forgets the values. The names keep their order and their memory.
    pub(super) fn clear(&mut self) {
        self.entries.iter_mut().for_each(|(_, sum)| *sum = Sum::default());
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint, prefix: &str) -> NnResult<()> {
        let entries = self.entries.iter().map(|(name, sum)| (name.as_str(), [sum.sum, sum.weight]));
        save_rows(checkpoint, prefix, entries)
    }

    pub(super) fn load(checkpoint: &Checkpoint, prefix: &str) -> TrainResult<Self> {
        let rows = load_rows(checkpoint, prefix)?;
        Ok(Self { entries: rows.into_iter().map(|(name, [sum, weight])| (name, Sum { sum, weight })).collect() })
    }
}

pub(super) fn save_values(checkpoint: &mut Checkpoint, prefix: &str, values: &[(String, f64)]) -> NnResult<()> {
    save_rows(checkpoint, prefix, values.iter().map(|(name, value)| (name.as_str(), [*value])))
}

pub(super) fn load_values(checkpoint: &Checkpoint, prefix: &str) -> TrainResult<Values> {
    Ok(load_rows(checkpoint, prefix)?.into_iter().map(|(name, [value])| (name, value)).collect())
}

/// Saves each row as a tensor with its name. The number of the row is its first element.
pub(super) fn save_rows<'a, const N: usize>(
    checkpoint: &mut Checkpoint,
    prefix: &str,
    rows: impl Iterator<Item = (&'a str, [f64; N])>,
) -> NnResult<()> {
    for (number, (name, row)) in rows.enumerate() {
        let tensor = Tensor::<f64>::from_fn([1 + N], |i| if i == 0 { number as f64 } else { row[i - 1] });
        checkpoint.insert(format!("{prefix}/{name}"), &tensor)?;
    }
    Ok(())
}

pub(super) fn load_rows<const N: usize>(checkpoint: &Checkpoint, prefix: &str) -> TrainResult<Vec<(String, [f64; N])>> {
    let mut rows = Vec::new();
    let tensors: &std::collections::BTreeMap<String, CheckpointTensor> = checkpoint.tensors();
    for full_name in tensors.keys() {
        let Some(name) = full_name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let tensor: Tensor<f64> = checkpoint.tensor_of_shape(full_name, &[1 + N].into())?;
        let values = tensor.as_slice();
        rows.push((values[0], (name.to_owned(), std::array::from_fn(|i| values[1 + i]))));
    }
    rows.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_weighted_and_keep_the_order_of_names() {
        let mut means = Means::default();
        means.add("z", 1.0, 3.0);
        means.add("a", 7.0, 1.0);
        means.add("z", 5.0, 1.0);
        assert_eq!(means.values(), [("z".into(), 2.0), ("a".into(), 7.0)]);
        means.clear();
        means.add("a", 4.0, 2.0);
        assert_eq!(means.values(), [("a".into(), 4.0)]);
    }

    #[test]
    fn a_checkpoint_keeps_order_and_bits() {
        let mut means = Means::default();
        for (number, name) in ["z", "a/b", "", "kl of \"x\"", "b", "c", "d", "e", "f", "g", "h"].iter().enumerate() {
            means.add(name, 0.1 * number as f64, 3.0);
            means.add(name, 1.0 / 3.0, 1.0);
        }
        let values = vec![("nan".into(), f64::INFINITY), ("a".into(), -0.0)];
        let mut checkpoint = Checkpoint::new();
        means.save(&mut checkpoint, "run/training").unwrap();
        save_values(&mut checkpoint, "run/train", &values).unwrap();
        assert_eq!(Means::load(&checkpoint, "run/training").unwrap(), means);
        let loaded = load_values(&checkpoint, "run/train").unwrap();
        assert_eq!(loaded, values);
        assert!(loaded[1].1.is_sign_negative());
        assert!(load_values(&checkpoint, "run/other").unwrap().is_empty());
        assert!(load_values(&checkpoint, "run/training").is_err());
    }
}
