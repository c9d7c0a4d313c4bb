//! Saving and resuming a training run.

mod layout;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use stochgrad_graph::{GraphError, GraphResult, MethodState, NodeMethod};
use stochgrad_tensor::{Real, Tensor, instantiated};

use crate::checkpoint::Checkpoint;
use crate::error::NnResult;
use crate::optimizers::Optimizer;
use crate::parameters::Parameters;
use layout::{
    EPOCH, METHODS, METHODS_PREFIX, OPTIMIZER_COUNTERS, OPTIMIZER_KIND, OPTIMIZER_PREFIX, OPTIMIZER_STEPS, SEED,
    SETTINGS_PREFIX, STEP, entry_name,
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

    /// Stores the states of the gradient methods of a graph, which [`Graph::methods`](stochgrad_graph::Graph::methods)
    /// and [`CompiledGraph::methods`](stochgrad_graph::CompiledGraph::methods) list. A method that keeps nothing between
    /// steps is left out, and so is one that shares its slots with an earlier node.
    pub fn remember(&mut self, methods: &[NodeMethod]) {
        for method in with_own_slots(methods) {
            self.methods.insert(method.node.clone(), method.state());
        }
    }

    /// Restores the states that [`remember`](Self::remember) stored, for the methods of the same model.
    ///
    /// # Errors
    ///
    /// [`GraphError::State`] if there is no state for a node whose method keeps something between steps, or if it
    /// belongs to another method. Nothing is changed in this case.
    pub fn recall(&self, methods: &[NodeMethod]) -> GraphResult<()> {
        let mut found = Vec::new();
        for method in with_own_slots(methods) {
            let Some(state) = self.methods.get(&method.node) else {
                return Err(GraphError::State {
                    method: method.name.clone(),
                    problem: format!(
                        "expected the state of node \"{}\", got that of {}; check that the checkpoint was saved from \
                         the same model",
                        method.node,
                        in_words(self.methods.keys())
                    ),
                });
            };
            method.slots.check(&method.name, state)?;
            found.push((method, state));
        }
        found.into_iter().try_for_each(|(method, state)| method.load_state(state))
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
        instantiated!(
            F: fn(&TrainingState, &Parameters<F>, &dyn Optimizer<F>) -> NnResult<Checkpoint> =
                TrainingState::to_checkpoint_body
        )(self, parameters, optimizer)
    }

    fn to_checkpoint_body<F: Real>(
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
        for (name, number) in &state.counters {
            checkpoint.insert_u64s(format!("{OPTIMIZER_COUNTERS}{name}"), &[*number])?;
        }
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
        instantiated!(
            F: fn(&Checkpoint, &str, &mut Parameters<F>, &mut dyn Optimizer<F>) -> NnResult<TrainingState> =
                TrainingState::restore_body
        )(checkpoint, location, parameters, optimizer)
    }

    fn restore_body<F: Real>(
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

/// The methods that keep something between steps, without those that share their slots with an earlier one.
fn with_own_slots(methods: &[NodeMethod]) -> impl Iterator<Item = &NodeMethod> {
    let own = |index: usize| methods[..index].iter().all(|before| !before.slots.is(&methods[index].slots));
    let methods = methods.iter().enumerate().filter(move |(index, method)| !method.slots.is_empty() && own(*index));
    methods.map(|(_, method)| method)
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, MethodSlots, Seed, SlotDomain, SlotPart, SlotSet};
    use stochgrad_tape::Workspace;

    use super::*;
    use crate::data::{Minibatches, rows};
    use crate::layers::{Activation, Layer, Mlp};
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

    /// A method that keeps a mean, and one that keeps nothing.
    fn methods(node: &str, mean: &SlotSet) -> [NodeMethod; 2] {
        let slots = MethodSlots::from(mean);
        [
            NodeMethod { node: node.into(), name: "running mean".into(), slots },
            NodeMethod { node: "w".into(), name: "score function".into(), slots: MethodSlots::default() },
        ]
    }

    fn mean() -> SlotSet {
        const PARTS: &[SlotPart] = &[SlotPart { name: "mean/of %2F", domain: SlotDomain::Finite }];
        SlotSet::new(PARTS)
    }

    #[test]
    fn counters_settings_and_the_state_of_methods_come_back() {
        let kept = mean();
        let slot = |set: &SlotSet| set.slot("x", "mean/of %2F", [3], |_| 0.0);
        slot(&kept).write(&[0.1, -0.0, f64::MIN_POSITIVE / 8.0]);
        let mut state = TrainingState::new(u64::MAX);
        state.step = (1 << 53) + 1;
        state.epoch = 3;
        for node in ["z", "x[3]", "a/b%2F", ""] {
            state.remember(&methods(node, &kept));
        }
        assert!(!state.methods.contains_key("w"));
        state.settings.insert("learning rate".into(), "0.1".into());
        state.settings.insert("a/b".into(), "\"\n".into());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let mut adam = Adam::new(0.1);
        state.save(&path, &parameters, &adam).unwrap();
        let loaded = TrainingState::load(&path, &mut parameters, &mut adam).unwrap();
        assert_eq!(loaded, state);

        let restored = mean();
        loaded.recall(&methods("a/b%2F", &restored)).unwrap();
        let bits = |set: &SlotSet| slot(set).values().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&restored), bits(&kept));
        let message = loaded.recall(&methods("v", &restored)).unwrap_err().to_string();
        assert!(message.contains("\"v\"") && message.contains("`x[3]`"), "{message}");
        loaded.recall(&methods("v", &restored)[1..]).unwrap();
    }

    #[test]
    fn shared_slots_are_stored_once_and_a_refused_state_changes_nothing() {
        let (first, second) = (mean(), mean());
        first.slot("x", "mean/of %2F", [], |_| 0.0).write(&[1.0]);
        second.slot("x", "mean/of %2F", [], |_| 0.0).write(&[2.0]);
        let all: Vec<NodeMethod> = [("a", &first), ("b", &first), ("c", &second)]
            .iter()
            .map(|(node, set)| methods(node, set)[0].clone())
            .collect();
        let mut state = TrainingState::new(1);
        state.remember(&all);
        assert_eq!(state.methods.keys().collect::<Vec<_>>(), ["a", "c"]);
        first.slot("x", "mean/of %2F", [], |_| 0.0).write(&[3.0]);
        let values = |set: &SlotSet| set.slot("x", "mean/of %2F", [], |_| 0.0).values();
        let mut broken = state.clone();
        broken.methods.insert("c".into(), [("x / median".into(), vec![1.0])].into());
        assert!(matches!(broken.recall(&all), Err(GraphError::State { .. })));
        assert_eq!(values(&first), [3.0]);
        state.recall(&all).unwrap();
        assert_eq!((values(&first), values(&second)), (vec![1.0], vec![2.0]));
    }
}
