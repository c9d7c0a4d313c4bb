//! Reading a training run from a checkpoint.

use std::collections::BTreeMap;

use stochgrad_graph::MethodState;
use stochgrad_tensor::{Real, Tensor};

use super::layout::{
    METHODS, METHODS_PREFIX, OPTIMIZER_COUNTERS, OPTIMIZER_KIND, OPTIMIZER_PREFIX, OPTIMIZER_STEPS, SETTINGS_PREFIX,
    unescaped,
};
use crate::checkpoint::{Checkpoint, CheckpointTensor};
use crate::error::{NnError, NnResult};
use crate::optimizers::OptimizerState;
use crate::parameters::Parameters;

/// A checkpoint, and a description of its origin for messages.
pub(super) struct Reader<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) location: &'a str,
}

impl Reader<'_> {
    pub(super) fn number(&self, name: &str) -> NnResult<u64> {
        match self.checkpoint.u64s(name)? {
            &[number] => Ok(number),
            numbers => Err(self.invalid(format!("one number in `{name}`"), format!("{}", numbers.len()))),
        }
    }

    pub(super) fn optimizer<F: Real>(&self, parameters: &Parameters<F>) -> NnResult<OptimizerState<F>> {
        let mut slots: BTreeMap<String, BTreeMap<String, Tensor<F>>> = BTreeMap::new();
        for entry in self.entries(OPTIMIZER_PREFIX) {
            let (full_name, _, slot, name) = entry?;
            let Some(value) = parameters.get(name) else {
                return Err(self.invalid("optimiser state of this model's parameters".into(), format!("`{full_name}`")));
            };
            let tensor = self.checkpoint.tensor_of_shape(full_name, value.shape())?;
            slots.entry(slot).or_default().insert(name.into(), tensor);
        }
        let mut counters = BTreeMap::new();
        for full_name in self.checkpoint.tensors().keys() {
            if let Some(name) = full_name.strip_prefix(OPTIMIZER_COUNTERS) {
                counters.insert(name.into(), self.number(full_name)?);
            }
        }
        Ok(OptimizerState {
            counters,
            kind: self.checkpoint.required_metadata(OPTIMIZER_KIND)?.into(),
            steps: self.number(OPTIMIZER_STEPS)?,
            slots,
        })
    }

    pub(super) fn methods(&self) -> NnResult<BTreeMap<String, MethodState>> {
        let listed = self.checkpoint.required_metadata(METHODS)?;
        let nodes: Vec<String> = serde_json::from_str(listed).map_err(|_| {
            self.invalid(format!("a list of node names in the metadata `{METHODS}`"), format!("`{listed}`"))
        })?;
        let mut methods: BTreeMap<String, MethodState> =
            nodes.into_iter().map(|node| (node, MethodState::new())).collect();
        for entry in self.entries(METHODS_PREFIX) {
            let (full_name, tensor, node, key) = entry?;
            let Some(state) = methods.get_mut(&node) else {
                return Err(
                    self.invalid(format!("state of the nodes {}", in_words(methods.keys())), format!("`{full_name}`"))
                );
            };
            let numbers = self.checkpoint.tensor::<f64>(full_name)?;
            if tensor.shape().rank() != 1 {
                return Err(
                    self.invalid(format!("a tensor of rank 1 in `{full_name}`"), format!("shape {}", tensor.shape()))
                );
            }
            state.insert(key.into(), numbers.to_vec());
        }
        Ok(methods)
    }

    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let metadata = self.checkpoint.all_metadata().iter();
        metadata
            .filter_map(|(key, value)| {
                let key = key.strip_prefix(SETTINGS_PREFIX)?;
                Some((key.into(), value.clone()))
            })
            .collect()
    }

    /// The tensors whose names consist of the prefix, an owner and a rest. Returns full name, tensor, owner and rest.
    fn entries(&self, prefix: &'static str) -> impl Iterator<Item = NnResult<(&str, &CheckpointTensor, String, &str)>> {
        let tensors = self.checkpoint.tensors().iter();
        tensors.filter_map(move |(full_name, tensor)| {
            let name = full_name.strip_prefix(prefix)?;
            Some(match name.split_once('/') {
                Some((owner, rest)) => Ok((full_name.as_str(), tensor, unescaped(owner), rest)),
                None => {
                    Err(self.invalid(format!("`{prefix}`, a name, a slash and another name"), format!("`{full_name}`")))
                }
            })
        })
    }

    fn invalid(&self, expected: String, found: String) -> NnError {
        NnError::InvalidCheckpoint {
            location: self.location.into(),
            expected,
            found,
            hint: "check that the file was saved by `TrainingState::save` from the same model",
            source: None,
        }
    }
}

pub(super) fn in_words<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::optimizers::{Adam, Optimizer, Sgd};
    use crate::testing::{gradients, one_parameter};
    use crate::training_state::TrainingState;

    fn trained() -> (Parameters<f64>, Adam<f64>) {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let mut adam = Adam::new(0.1);
        let gradients = gradients(&parameters, &[("x", Tensor::from([1.0, -1.0]))]);
        adam.step(&mut parameters, &gradients).unwrap();
        (parameters, adam)
    }

    fn refused(checkpoint: &Checkpoint, parts: &[&str]) {
        let (mut parameters, mut adam) = trained();
        let (values, state) = (parameters.clone(), adam.state());
        let error = TrainingState::from_checkpoint(checkpoint, &mut parameters, &mut adam).unwrap_err();
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(parameters.iter().eq(values.iter()));
        assert_eq!(adam.state(), state);
    }

    #[test]
    fn checkpoints_of_other_models_and_optimisers_are_errors_that_change_nothing() {
        let state = TrainingState::new(7);
        let fresh = Adam::new(0.1);
        let other = |value: Tensor<f64>| state.to_checkpoint(&one_parameter(value), &fresh);
        refused(&other(Tensor::zeros([3])).unwrap(), &["parameters/x", "[2]", "[3]"]);
        let mut two = one_parameter(Tensor::zeros([2]));
        two.insert("y", Tensor::zeros([2])).unwrap();
        let more = state.to_checkpoint(&two, &fresh).unwrap();
        refused(&more, &["1 parameter(s)", "`y`"]);
        let mut named = Parameters::new();
        named.insert("y", Tensor::<f64>::zeros([2])).unwrap();
        let renamed = state.to_checkpoint(&named, &fresh).unwrap();
        refused(&renamed, &["parameters/x", "parameters/y"]);
        let mut single = Parameters::new();
        single.insert("x", Tensor::<f32>::zeros([2])).unwrap();
        let single = state.to_checkpoint(&single, &Adam::new(0.1)).unwrap();
        refused(&single, &["parameters/x", "f64", "f32"]);
        let parameters = one_parameter(Tensor::zeros([2]));
        let sgd = state.to_checkpoint(&parameters, &Sgd::new(0.1)).unwrap();
        refused(&sgd, &["adam", "sgd"]);
        refused(&Checkpoint::new(), &["training/step"]);
    }

    #[test]
    fn damaged_entries_are_errors_that_change_nothing() {
        let (parameters, adam) = trained();
        let good = || {
            let mut state = TrainingState::new(7);
            state.methods.insert("z".into(), MethodState::from([("mean".into(), vec![0.5])]));
            state.to_checkpoint(&parameters, &adam).unwrap()
        };
        type Damage = fn(&mut Checkpoint) -> NnResult<()>;
        let cases: [(Damage, &[&str]); 7] = [
            (|c| c.insert("optimizer/first_moment/x", &Tensor::scalar(1.0)), &["first_moment/x", "[2]", "[]"]),
            (|c| c.insert("optimizer/first_moment/y", &Tensor::scalar(1.0)), &["first_moment/y"]),
            (|c| c.insert("optimizer/other/x", &Tensor::from([1.0, 2.0])), &["`other`"]),
            (|c| c.insert("methods/v/mean", &Tensor::from([1.0])), &["methods/v/mean", "`z`"]),
            (|c| c.insert("methods/z", &Tensor::from([1.0])), &["methods/z"]),
            (|c| c.set_metadata("methods", "{"), &["`{`"]),
            (|c| c.insert_u64s("training/step", &[1, 2]), &["training/step"]),
        ];
        for (damage, parts) in cases {
            let mut checkpoint = good();
            damage(&mut checkpoint).unwrap();
            refused(&checkpoint, parts);
        }
        let (mut parameters, mut adam) = trained();
        TrainingState::from_checkpoint(&good(), &mut parameters, &mut adam).unwrap();
    }

    #[test]
    fn a_truncated_file_is_an_error_that_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        let (mut parameters, mut adam) = trained();
        TrainingState::new(7).save(&path, &parameters, &adam).unwrap();
        let bytes = fs::read(&path).unwrap();
        let (values, state) = (parameters.clone(), adam.state());
        for length in [0, 7, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = TrainingState::load(&path, &mut parameters, &mut adam).unwrap_err();
            assert!(matches!(error, NnError::InvalidCheckpoint { .. }), "{error}");
            assert!(parameters.iter().eq(values.iter()));
            assert_eq!(adam.state(), state);
        }
    }
}
