//! Saving a training run, and going on with it.

use std::collections::BTreeMap;
use std::path::Path;

use stochgrad_graph::{GraphError, GraphResult, Method, MethodState};
use stochgrad_tensor::{Real, Tensor};

use crate::checkpoint::{Checkpoint, CheckpointTensor};
use crate::error::{NnError, NnResult};
use crate::optimizers::{Optimizer, OptimizerState};
use crate::parameters::Parameters;

const STEP: &str = "training/step";
const EPOCH: &str = "training/epoch";
const SEED: &str = "training/seed";
const OPTIMIZER_KIND: &str = "optimizer";
const OPTIMIZER_STEPS: &str = "optimizer_steps";
const OPTIMIZER_PREFIX: &str = "optimizer/";
const METHODS: &str = "methods";
const METHODS_PREFIX: &str = "methods/";
const SETTINGS_PREFIX: &str = "settings/";

/// Where a training run stands, besides parameters and optimiser: with both it makes one checkpoint, from which the run goes
/// on bit for bit as if it had not been interrupted.
///
/// ```
/// use stochgrad_nn::{Adam, Parameters, TrainingState};
/// use stochgrad_tensor::Tensor;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.safetensors");
///
/// let mut parameters = Parameters::<f32>::new();
/// parameters.insert("logits", Tensor::from([0.5, -1.0]))?;
/// let mut adam = Adam::new(1e-3);
/// let mut state = TrainingState::new(7);
/// state.step = 1200;
/// state.settings.insert("method".into(), "leave-one-out".into());
/// state.save(&path, &parameters, &adam)?;
///
/// parameters.set("logits", Tensor::zeros([2]))?;
/// let resumed = TrainingState::load(&path, &mut parameters, &mut adam)?;
/// assert_eq!(resumed, state);
/// assert_eq!(parameters.get("logits"), Some(&Tensor::from([0.5, -1.0])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrainingState {
    /// How many steps have been made.
    pub step: u64,
    /// How many epochs have been finished.
    pub epoch: u64,
    /// The seed of the run.
    pub seed: u64,
    /// What gradient methods remember, by the name of their node; see [`remember`](Self::remember).
    pub methods: BTreeMap<String, MethodState>,
    /// Anything else that belongs to the run: settings, the version of the data.
    pub settings: BTreeMap<String, String>,
}

impl TrainingState {
    /// The state before the first step.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Takes up what the gradient method of a node remembers.
    pub fn remember(&mut self, node: &str, method: &dyn Method) {
        self.methods.insert(node.into(), method.state());
    }

    /// Gives back to the gradient method of a node what it remembered.
    ///
    /// # Errors
    ///
    /// [`GraphError::State`] if nothing is known of the node, or the state is one of another method.
    pub fn recall(&self, node: &str, method: &dyn Method) -> GraphResult<()> {
        match self.methods.get(node) {
            Some(state) => method.load_state(state),
            None => Err(GraphError::State {
                method: method.name(),
                problem: format!(
                    "expected the state of node \"{node}\", came that of {}; was the checkpoint made with another model?",
                    in_words(self.methods.keys())
                ),
            }),
        }
    }

    /// Everything that the run needs to go on, in one checkpoint. Buffers are shared, not copied.
    ///
    /// # Errors
    ///
    /// Those of [`Checkpoint::insert`].
    pub fn to_checkpoint<F: Real>(
        &self,
        parameters: &Parameters<F>,
        optimizer: &dyn Optimizer<F>,
    ) -> NnResult<Checkpoint> {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert_u64s(STEP, &[self.step])?;
        checkpoint.insert_u64s(EPOCH, &[self.epoch])?;
        checkpoint.insert_u64s(SEED, &[self.seed])?;
        parameters.save_to(&mut checkpoint)?;
        let state = optimizer.state();
        checkpoint.set_metadata(OPTIMIZER_KIND, state.kind)?;
        checkpoint.insert_u64s(OPTIMIZER_STEPS, &[state.steps])?;
        for (slot, tensors) in &state.slots {
            for (name, tensor) in tensors {
                checkpoint.insert(entry_name(OPTIMIZER_PREFIX, slot, name), tensor)?;
            }
        }
        // Nodes without numbers have no tensors, and must come back all the same.
        let nodes: serde_json::Value = self.methods.keys().cloned().collect();
        checkpoint.set_metadata(METHODS, nodes.to_string())?;
        for (node, state) in &self.methods {
            for (key, numbers) in state {
                let tensor = Tensor::<f64>::new(numbers.clone(), [numbers.len()])?;
                checkpoint.insert(entry_name(METHODS_PREFIX, node, key), &tensor)?;
            }
        }
        for (key, value) in &self.settings {
            checkpoint.set_metadata(format!("{SETTINGS_PREFIX}{key}"), value)?;
        }
        Ok(checkpoint)
    }

    /// Restores parameters and optimiser from a checkpoint, and gives back the rest. Gradient methods get theirs with
    /// [`recall`](Self::recall).
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`], [`NnError::TensorMismatch`], [`NnError::InvalidCheckpoint`] or
    /// [`NnError::InvalidArgument`] if the checkpoint is not one of a run with this model and this optimiser. Neither is
    /// changed then.
    pub fn from_checkpoint<F: Real>(
        checkpoint: &Checkpoint,
        parameters: &mut Parameters<F>,
        optimizer: &mut dyn Optimizer<F>,
    ) -> NnResult<Self> {
        let location = "passed to `TrainingState::from_checkpoint`";
        Self::restore(checkpoint, location, parameters, optimizer)
    }

    /// Writes a checkpoint file; see [`to_checkpoint`](Self::to_checkpoint) and [`Checkpoint::save`].
    ///
    /// # Errors
    ///
    /// [`NnError::Io`] if the file cannot be written.
    pub fn save<F: Real>(
        &self,
        path: impl AsRef<Path>,
        parameters: &Parameters<F>,
        optimizer: &dyn Optimizer<F>,
    ) -> NnResult<()> {
        self.to_checkpoint(parameters, optimizer)?.save(path)
    }

    /// Reads a checkpoint file; see [`from_checkpoint`](Self::from_checkpoint).
    ///
    /// # Errors
    ///
    /// As [`from_checkpoint`](Self::from_checkpoint) and [`Checkpoint::load`]. Nothing is changed then.
    pub fn load<F: Real>(
        path: impl AsRef<Path>,
        parameters: &mut Parameters<F>,
        optimizer: &mut dyn Optimizer<F>,
    ) -> NnResult<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::load(path)?;
        let location = path.display().to_string();
        Self::restore(&checkpoint, &location, parameters, optimizer)
    }

    fn restore<F: Real>(
        checkpoint: &Checkpoint,
        location: &str,
        parameters: &mut Parameters<F>,
        optimizer: &mut dyn Optimizer<F>,
    ) -> NnResult<Self> {
        let reader = Reader {
            checkpoint,
            location,
        };
        let state = Self {
            step: reader.number(STEP)?,
            epoch: reader.number(EPOCH)?,
            seed: reader.number(SEED)?,
            methods: reader.methods()?,
            settings: reader.settings(),
        };
        let values = parameters.read_from(checkpoint, location)?;
        optimizer.load_state(&reader.optimizer(parameters)?)?;
        parameters.replace(values);
        Ok(state)
    }
}

/// A checkpoint, and where it is from.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    location: &'a str,
}

impl Reader<'_> {
    fn number(&self, name: &str) -> NnResult<u64> {
        match self.checkpoint.u64s(name)? {
            &[number] => Ok(number),
            numbers => Err(self.invalid(
                format!("one number in `{name}`"),
                format!("{}", numbers.len()),
            )),
        }
    }

    fn optimizer<F: Real>(&self, parameters: &Parameters<F>) -> NnResult<OptimizerState<F>> {
        let mut slots: BTreeMap<String, BTreeMap<String, Tensor<F>>> = BTreeMap::new();
        for entry in self.entries(OPTIMIZER_PREFIX) {
            let (full_name, _, slot, name) = entry?;
            let Some(value) = parameters.get(name) else {
                return Err(self.invalid(
                    "optimiser state of this model's parameters".into(),
                    format!("`{full_name}`"),
                ));
            };
            let tensor = self.checkpoint.tensor_of_shape(full_name, value.shape())?;
            slots.entry(slot).or_default().insert(name.into(), tensor);
        }
        Ok(OptimizerState {
            kind: self.checkpoint.required_metadata(OPTIMIZER_KIND)?.into(),
            steps: self.number(OPTIMIZER_STEPS)?,
            slots,
        })
    }

    fn methods(&self) -> NnResult<BTreeMap<String, MethodState>> {
        let listed = self.checkpoint.required_metadata(METHODS)?;
        let nodes: Vec<String> = serde_json::from_str(listed).map_err(|_| {
            self.invalid(
                format!("a list of node names in the metadata `{METHODS}`"),
                format!("`{listed}`"),
            )
        })?;
        let mut methods: BTreeMap<String, MethodState> = nodes
            .into_iter()
            .map(|node| (node, MethodState::new()))
            .collect();
        for entry in self.entries(METHODS_PREFIX) {
            let (full_name, tensor, node, key) = entry?;
            let Some(state) = methods.get_mut(&node) else {
                return Err(self.invalid(
                    format!("state of the nodes {}", in_words(methods.keys())),
                    format!("`{full_name}`"),
                ));
            };
            let numbers = self.checkpoint.tensor::<f64>(full_name)?;
            if tensor.shape().rank() != 1 {
                return Err(self.invalid(
                    format!("a list of numbers in `{full_name}`"),
                    format!("shape {}", tensor.shape()),
                ));
            }
            state.insert(key.into(), numbers.to_vec());
        }
        Ok(methods)
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let metadata = self.checkpoint.all_metadata().iter();
        metadata
            .filter_map(|(key, value)| {
                let key = key.strip_prefix(SETTINGS_PREFIX)?;
                Some((key.into(), value.clone()))
            })
            .collect()
    }

    /// Tensors whose name is the prefix, an owner and the rest: full name, tensor, owner, rest.
    fn entries(
        &self,
        prefix: &'static str,
    ) -> impl Iterator<Item = NnResult<(&str, &CheckpointTensor, String, &str)>> {
        let tensors = self.checkpoint.tensors().iter();
        tensors.filter_map(move |(full_name, tensor)| {
            let name = full_name.strip_prefix(prefix)?;
            Some(match name.split_once('/') {
                Some((owner, rest)) => Ok((full_name.as_str(), tensor, unescaped(owner), rest)),
                None => Err(self.invalid(
                    format!("`{prefix}`, a name, a slash and another name"),
                    format!("`{full_name}`"),
                )),
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

/// Slashes of the owner are escaped, so that the first slash after the prefix ends it.
fn entry_name(prefix: &str, owner: &str, rest: &str) -> String {
    let owner = owner.replace('%', "%25").replace('/', "%2F");
    format!("{prefix}{owner}/{rest}")
}

fn unescaped(owner: &str) -> String {
    owner.replace("%2F", "/").replace("%25", "%")
}

fn in_words<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}
