//! Saving and resuming a training run.

mod layout;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use stochgrad_graph::{GraphError, GraphResult, Method, MethodState};
use stochgrad_tensor::{Real, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::NnResult;
use crate::optimizers::Optimizer;
use crate::parameters::Parameters;
use layout::{
    EPOCH, METHODS, METHODS_PREFIX, OPTIMIZER_KIND, OPTIMIZER_PREFIX, OPTIMIZER_STEPS, SEED, SETTINGS_PREFIX, STEP,
    entry_name,
};
use reader::{Reader, in_words};

/// The state of a training run, apart from its parameters and its optimiser. All three together are one checkpoint,
/// from which the run can be resumed. The results are bit for bit those of a run without interruption.
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
    /// The number of completed steps.
    pub step: u64,
    /// The number of completed epochs.
    pub epoch: u64,
    /// The seed of the run.
    pub seed: u64,
    /// The states of gradient methods, by the names of their nodes; see [`remember`](Self::remember).
    pub methods: BTreeMap<String, MethodState>,
    /// Anything else that belongs to the run, such as settings or the version of the data.
    pub settings: BTreeMap<String, String>,
}

impl TrainingState {
    /// The state before the first step.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Stores the state of the gradient method of a node.
    pub fn remember(&mut self, node: &str, method: &dyn Method) {
        self.methods.insert(node.into(), method.state());
    }

    /// Restores the state of the gradient method of a node.
    ///
    /// # Errors
    ///
    /// [`GraphError::State`] if there is no state for the node, or it belongs to another method.
    pub fn recall(&self, node: &str, method: &dyn Method) -> GraphResult<()> {
        match self.methods.get(node) {
            Some(state) => method.load_state(state),
            None => Err(GraphError::State {
                method: method.name(),
                problem: format!(
                    "expected the state of node \"{node}\", got that of {}; check that the checkpoint was saved from \
                     the same model",
                    in_words(self.methods.keys())
                ),
            }),
        }
    }

    /// Everything that is needed to resume the run, in one checkpoint. The memory of tensors is shared, not copied.
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
        // A method without state has no tensors, so its node is listed here.
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

    /// Restores parameters and optimiser from a checkpoint, and returns the rest. Restore the gradient methods with
    /// [`recall`](Self::recall).
    ///
    /// # Errors
    ///
    /// If the checkpoint was not saved from a run with this model and this optimiser: an entry is missing, has another
    /// shape or type, or holds a value that is not valid (see [`NnError`](crate::NnError)).
    /// Neither of them is changed in this case.
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
    /// [`NnError::Io`](crate::NnError::Io) if the file cannot be written.
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
    /// As [`from_checkpoint`](Self::from_checkpoint) and [`Checkpoint::load`]. Nothing is changed in this case.
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
        let reader = Reader { checkpoint, location };
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use stochgrad_graph::{Graph, Order, Profile, Seed};
    use stochgrad_tape::Workspace;

    use super::*;
    use crate::data::{Minibatches, rows};
    use crate::layers::{Activation, Mlp};
    use crate::optimizers::{Adam, Sgd};
    use crate::testing::one_parameter;

    /// A run whose data, order of data and model depend on its state only.
    struct Run {
        parameters: Parameters<f32>,
        mlp: Mlp,
        optimizer: Box<dyn Optimizer<f32>>,
        state: TrainingState,
    }

    impl Run {
        fn new(optimizer: Box<dyn Optimizer<f32>>) -> Self {
            let mut parameters = Parameters::new();
            let seed = Seed::new(7);
            let sizes = [2, 8, 1];
            let mlp = Mlp::new(&mut parameters, "f", &sizes, Activation::Tanh, seed).unwrap();
            Self { parameters, mlp, optimizer, state: TrainingState::new(7) }
        }

        fn go_on(&mut self, steps: u64) {
            let x = Tensor::from_fn([30, 2], |i| (i as f32).sin());
            let y = Tensor::from_fn([30, 1], |i| (i as f32).cos());
            let batches = Minibatches::new(30, 8, self.state.seed).unwrap();
            let mut workspace = Workspace::new();
            let batches = batches.steps_from(self.state.step);
            for batch in batches.take(usize::try_from(steps).unwrap()) {
                let graph = Graph::new(workspace.tape(), Seed::new(self.state.seed));
                let x = graph.data("batch", rows(&x, &batch).unwrap()).unwrap();
                let y = graph.data("batch", rows(&y, &batch).unwrap()).unwrap();
                let output = self.mlp.forward(&self.parameters.on(&graph), x).unwrap();
                graph.cost("error", (output - y).square().sum()).unwrap();
                let gradients = graph.backward().unwrap();
                self.optimizer.step(&mut self.parameters, &gradients).unwrap();
                self.state.step += 1;
            }
        }

        fn bits(&self) -> Vec<u32> {
            let values = self.parameters.iter().flat_map(|(_, value)| value.to_vec());
            values.map(f32::to_bits).collect()
        }
    }

    #[test]
    fn a_run_that_is_resumed_is_bit_identical() {
        type Make = fn() -> Box<dyn Optimizer<f32>>;
        let makers: [Make; 2] =
            [|| Box::new(Adam::new(0.01).weight_decay(0.1)), || Box::new(Sgd::new(0.01).momentum(0.9))];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        for make in makers {
            let mut whole = Run::new(make());
            whole.go_on(13);
            whole.state.save(&path, &whole.parameters, &*whole.optimizer).unwrap();
            let halfway = whole.bits();
            whole.go_on(17);

            let mut resumed = Run::new(make());
            resumed.state = TrainingState::load(&path, &mut resumed.parameters, &mut *resumed.optimizer).unwrap();
            assert_eq!(resumed.state.step, 13);
            assert_eq!(resumed.bits(), halfway);
            resumed.go_on(17);
            assert_eq!(resumed.bits(), whole.bits());
            assert_eq!(resumed.optimizer.state(), whole.optimizer.state());
            assert_ne!(resumed.bits(), halfway);

            let mut forgetful = Run::new(make());
            TrainingState::load(&path, &mut forgetful.parameters, &mut *make()).unwrap();
            forgetful.state.step = 13;
            forgetful.go_on(17);
            assert_ne!(forgetful.bits(), whole.bits());
        }
    }

    #[derive(Default)]
    struct Mean(Mutex<Vec<f64>>);

    impl Method for Mean {
        fn name(&self) -> String {
            "running mean".into()
        }

        fn profile(&self) -> Profile {
            Profile::unbiased(Order::Any)
        }

        fn state(&self) -> MethodState {
            MethodState::from([("mean/of %2F".into(), self.0.lock().unwrap().clone())])
        }

        fn load_state(&self, state: &MethodState) -> GraphResult<()> {
            *self.0.lock().unwrap() = state["mean/of %2F"].clone();
            Ok(())
        }
    }

    struct Stateless;

    impl Method for Stateless {
        fn name(&self) -> String {
            "score function".into()
        }

        fn profile(&self) -> Profile {
            Profile::unbiased(Order::Any)
        }
    }

    #[test]
    fn counters_settings_and_the_state_of_methods_come_back() {
        let method = Mean::default();
        *method.0.lock().unwrap() = vec![0.1, -0.0, f64::MIN_POSITIVE / 8.0, f64::INFINITY];
        let mut state = TrainingState::new(u64::MAX);
        state.step = (1 << 53) + 1;
        state.epoch = 3;
        for node in ["z", "x[3]", "a/b%2F", ""] {
            state.remember(node, &method);
        }
        state.remember("w", &Stateless);
        state.settings.insert("learning rate".into(), "0.1".into());
        state.settings.insert("a/b".into(), "\"\n".into());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let mut adam = Adam::new(0.1);
        state.save(&path, &parameters, &adam).unwrap();
        let loaded = TrainingState::load(&path, &mut parameters, &mut adam).unwrap();
        assert_eq!(loaded, state);

        let restored = Mean::default();
        loaded.recall("a/b%2F", &restored).unwrap();
        let bits = |method: &Mean| {
            let numbers = method.0.lock().unwrap().clone();
            numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(&restored), bits(&method));
        loaded.recall("w", &Stateless).unwrap();
        let message = loaded.recall("v", &restored).unwrap_err().to_string();
        assert!(message.contains("\"v\"") && message.contains("`x[3]`"), "{message}");
        assert!(loaded.recall("z", &Stateless).is_err());
    }
}
