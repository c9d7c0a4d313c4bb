//! The model's memory: named tensors.

use std::collections::HashMap;

use stochgrad_graph::{CompiledGraph, Graph, GraphError, GraphResult};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::{NnError, NnResult};

/// Parameters of a checkpoint have names that start with this.
const PREFIX: &str = "parameters/";

/// Named tensors in the order of their insertion: what is trained.
///
/// Layers hold names, not numbers. A tape shares the buffers. An optimiser writes in place where nothing shares them
/// any more, as after the run of a compiled graph, and otherwise into second buffers: a training loop of fixed shape
/// allocates nothing here after its second step, provided that each step's tape has been cleared by the end of the
/// next.
///
/// ```
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_nn::Parameters;
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("slope", Tensor::from([2.0, 3.0]))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let model = parameters.on(&graph);
/// graph.cost("loss", model.param("slope")?.square().sum())?;
/// assert_eq!(graph.backward()?.get("slope")?.as_slice(), [4.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parameters<F: Real> {
    entries: Vec<Entry<F>>,
    positions: HashMap<String, usize>,
}

#[derive(Debug)]
struct Entry<F: Real> {
    name: String,
    value: Tensor<F>,
    /// The buffer of the value before the last update, where that was shared.
    spare: Option<Tensor<F>>,
}

impl<F: Real> Clone for Entry<F> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), value: self.value.clone(), spare: None }
    }
}

impl<F: Real> Default for Parameters<F> {
    fn default() -> Self {
        Self { entries: Vec::new(), positions: HashMap::new() }
    }
}

impl<F: Real> Parameters<F> {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the name is empty or taken.
    pub fn insert(&mut self, name: impl Into<String>, value: Tensor<F>) -> NnResult<()> {
        let name = name.into();
        if name.is_empty() || self.positions.contains_key(&name) {
            return Err(NnError::argument(
                "`name` of `Parameters::insert`",
                "a name that no other parameter has, not empty",
                format!("`{name}`"),
                "name each layer differently, or change a value with `Parameters::set`",
            ));
        }
        self.positions.insert(name.clone(), self.entries.len());
        self.entries.push(Entry { name, value, spare: None });
        Ok(())
    }

    /// Replaces a value by another of the same shape.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for an unknown name and for another shape.
    pub fn set(&mut self, name: &str, value: Tensor<F>) -> NnResult<()> {
        let Some(&position) = self.positions.get(name) else {
            return Err(NnError::argument(
                "`name` of `Parameters::set`",
                format!("one of {}", self.names_in_words()),
                format!("`{name}`"),
                "check the spelling, or add it with `Parameters::insert`",
            ));
        };
        let entry = &mut self.entries[position];
        if entry.value.shape() != value.shape() {
            return Err(NnError::argument(
                "`value` of `Parameters::set`",
                format!("shape {} for `{name}`", entry.value.shape()),
                format!("shape {}", value.shape()),
                "build the model with the sizes of this value",
            ));
        }
        entry.value = value;
        Ok(())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor<F>> {
        let &position = self.positions.get(name)?;
        Some(&self.entries[position].value)
    }

    /// Names and values, in the order of insertion.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// The names, in the order of insertion.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many numbers there are in all tensors together.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|entry| entry.value.len()).sum()
    }

    /// The parameters as leaves of a graph.
    pub fn on<'a, 't>(&'a self, graph: &'a Graph<'t, F>) -> Bound<'a, 't, F> {
        Bound { graph, parameters: self }
    }

    /// A view that puts `prefix` and a dot in front of all names.
    pub fn scope(&mut self, prefix: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(prefix)
    }

    /// Changes every parameter: `change` gets its name, its shape and its elements. What others hold of the old values
    /// stays as it is.
    ///
    /// The building block of an optimiser.
    ///
    /// # Errors
    ///
    /// The first error of `change`. The parameters that were visited before have changed: check beforehand what can be
    /// checked.
    pub fn update(&mut self, mut change: impl FnMut(&str, &Shape, &mut [F]) -> NnResult<()>) -> NnResult<()> {
        for Entry { name, value, spare } in &mut self.entries {
            if !value.is_unique() {
                let kept = spare.take_if(|spare| spare.is_unique() && spare.shape() == value.shape());
                let mut copy = kept.unwrap_or_else(|| Tensor::zeros(value.shape()));
                copy.make_mut().copy_from_slice(value.as_slice());
                *spare = Some(std::mem::replace(value, copy));
            }
            let shape = value.shape().clone();
            change(name, &shape, value.make_mut())?;
        }
        Ok(())
    }

    /// Gives a compiled graph the values of the parameters that it was recorded with, for its next run.
    ///
    /// # Errors
    /// Those of [`CompiledGraph::set`].
    pub fn set_on(&self, graph: &mut CompiledGraph<F>) -> GraphResult<()> {
        for (name, value) in self.iter() {
            if graph.has_input(name) {
                graph.set(name, value)?;
            }
        }
        Ok(())
    }

    /// Adds all values to a checkpoint. The buffers are shared, not copied.
    ///
    /// # Errors
    ///
    /// Those of [`Checkpoint::insert`].
    pub fn save_to(&self, checkpoint: &mut Checkpoint) -> NnResult<()> {
        self.iter().try_for_each(|(name, value)| checkpoint.insert(format!("{PREFIX}{name}"), value))
    }

    /// Takes all values from a checkpoint, for instance to evaluate a trained model.
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`], [`NnError::TensorMismatch`] or [`NnError::InvalidCheckpoint`] unless the checkpoint has
    /// exactly these parameters, with these shapes and this element type. Nothing is changed then.
    pub fn load_from(&mut self, checkpoint: &Checkpoint) -> NnResult<()> {
        let values = self.read_from(checkpoint, "passed to `Parameters::load_from`")?;
        self.replace(values);
        Ok(())
    }

    /// The values of a checkpoint, one for each parameter in order.
    pub(crate) fn read_from(&self, checkpoint: &Checkpoint, location: &str) -> NnResult<Vec<Tensor<F>>> {
        let values = self
            .iter()
            .map(|(name, value)| checkpoint.tensor_of_shape(&format!("{PREFIX}{name}"), value.shape()))
            .collect::<NnResult<Vec<_>>>()?;
        let saved = || {
            let names = checkpoint.tensors().keys();
            names.filter_map(|name| name.strip_prefix(PREFIX))
        };
        match saved().find(|name| !self.positions.contains_key(*name)) {
            None => Ok(values),
            Some(extra) => Err(NnError::InvalidCheckpoint {
                location: location.into(),
                expected: format!("the {} parameter(s) of this model", self.len()),
                found: format!("{}, `{extra}` among them", saved().count()),
                hint: "build the model with the layers that it was saved with",
                source: None,
            }),
        }
    }

    /// Takes over what [`read_from`](Self::read_from) gave.
    pub(crate) fn replace(&mut self, values: Vec<Tensor<F>>) {
        for (entry, value) in self.entries.iter_mut().zip(values) {
            entry.value = value;
        }
    }

    pub(crate) fn names_in_words(&self) -> String {
        let names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "no parameters".into() } else { names.join(", ") }
    }

    fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.positions.retain(|_, position| *position < len);
    }
}

/// Parameters whose names start with a prefix: where a layer adds its own.
///
/// Layers take anything that becomes a scope: `&mut parameters`, or `&mut scope`.
///
/// ```
/// use stochgrad_nn::Parameters;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let mut encoder = parameters.scope("encoder");
/// encoder.scope("0").insert("weight", Tensor::zeros([2, 3]))?;
/// assert!(parameters.get("encoder.0.weight").is_some());
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Scope<'a, F: Real> {
    parameters: &'a mut Parameters<F>,
    /// Empty, or with a dot at the end.
    prefix: String,
}

impl<'a, F: Real> From<&'a mut Parameters<F>> for Scope<'a, F> {
    fn from(parameters: &'a mut Parameters<F>) -> Self {
        Scope { parameters, prefix: String::new() }
    }
}

impl<'a, F: Real> From<&'a mut Scope<'_, F>> for Scope<'a, F> {
    fn from(scope: &'a mut Scope<'_, F>) -> Self {
        Scope { parameters: scope.parameters, prefix: scope.prefix.clone() }
    }
}

impl<'a, F: Real> Scope<'a, F> {
    /// A scope inside this one. An empty name leaves the prefix as it is.
    pub fn scope(&mut self, name: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(name)
    }

    pub(crate) fn into_scope(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.prefix += name;
            self.prefix.push('.');
        }
        self
    }

    /// The full name of a parameter of this scope.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Adds a tensor, and gives back its full name.
    ///
    /// # Errors
    ///
    /// As [`Parameters::insert`].
    pub fn insert(&mut self, name: &str, value: Tensor<F>) -> NnResult<String> {
        let full_name = self.full_name(name);
        self.parameters.insert(full_name.clone(), value)?;
        Ok(full_name)
    }

    /// Adds several tensors or, on an error, none: a layer that could not be built leaves no parameters behind.
    ///
    /// ```
    /// use stochgrad_nn::{NnResult, Parameters, Scope};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut layer: Scope<'_, f32> = parameters.scope("layer");
    /// let built: NnResult<()> = layer.all_or_none(|layer| {
    ///     layer.insert("weight", Tensor::zeros([2, 3]))?;
    ///     layer.insert("weight", Tensor::zeros([3]))?; // the name is taken
    ///     Ok(())
    /// });
    /// assert!(built.is_err() && parameters.is_empty());
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `add`.
    pub fn all_or_none<R>(&mut self, add: impl FnOnce(&mut Self) -> NnResult<R>) -> NnResult<R> {
        let before = self.parameters.len();
        let result = add(self);
        if result.is_err() {
            self.parameters.truncate(before);
        }
        result
    }
}

/// Parameters as leaves of a graph; made with [`Parameters::on`]. What layers compute with.
pub struct Bound<'a, 't, F: Real> {
    graph: &'a Graph<'t, F>,
    parameters: &'a Parameters<F>,
}

impl<F: Real> Clone for Bound<'_, '_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Real> Copy for Bound<'_, '_, F> {}

impl<F: Real> std::fmt::Debug for Bound<'_, '_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("parameters", self.parameters).finish_non_exhaustive()
    }
}

impl<'a, 't, F: Real> Bound<'a, 't, F> {
    /// A parameter by its full name. Asking again gives the same leaf.
    ///
    /// # Errors
    ///
    /// [`GraphError::Unknown`] for a name that no parameter has, and [`GraphError::Duplicate`] if the graph has another
    /// tensor under it.
    #[track_caller]
    pub fn param(&self, name: &str) -> GraphResult<Var<'t, F>> {
        match self.parameters.get(name) {
            Some(value) => self.graph.param(name, value),
            None => Err(GraphError::Unknown {
                what: "parameter",
                name: name.into(),
                known: self.parameters.names_in_words(),
            }),
        }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph<'t, F> {
        self.graph
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stochgrad_graph::Seed;
    use stochgrad_tape::{Tape, Workspace};

    use super::*;
    use crate::optimizers::{Adam, Optimizer};
    use crate::testing::{gradients, one_parameter};

    fn two() -> Parameters<f64> {
        let mut parameters = Parameters::new();
        parameters.insert("w", Tensor::from([[1.0, 2.0], [3.0, 4.0]])).unwrap();
        parameters.insert("a", Tensor::scalar(5.0)).unwrap();
        parameters
    }

    #[test]
    fn parameters_keep_their_order_and_are_counted() {
        let parameters = two();
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["w", "a"]);
        assert_eq!(parameters.iter().len(), 2);
        assert_eq!((parameters.len(), parameters.count()), (2, 5));
        assert!(parameters.get("b").is_none() && !parameters.is_empty());
    }

    #[test]
    fn unusable_names_and_shapes_are_errors_and_change_nothing() {
        let mut parameters = two();
        for name in ["w", ""] {
            let error = parameters.insert(name, Tensor::scalar(0.0)).unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
        let message = parameters.set("w", Tensor::zeros([4])).unwrap_err().to_string();
        assert!(message.contains("[2, 2]") && message.contains("[4]"), "{message}");
        let message = parameters.set("b", Tensor::zeros([4])).unwrap_err().to_string();
        assert!(message.contains("`w`, `a`"), "{message}");
        assert_eq!(parameters.len(), 2);
        assert_eq!(parameters.get("w"), two().get("w"));
    }

    #[test]
    fn scopes_put_prefixes_in_front() {
        let mut parameters = Parameters::<f64>::new();
        let mut outer = parameters.scope("encoder");
        let mut inner = outer.scope("0");
        assert_eq!(inner.insert("weight", Tensor::scalar(1.0)).unwrap(), "encoder.0.weight");
        let mut same = Scope::from(&mut inner);
        same.insert("bias", Tensor::scalar(2.0)).unwrap();
        outer.scope("").insert("scale", Tensor::scalar(3.0)).unwrap();
        let names: Vec<&str> = parameters.names().collect();
        assert_eq!(names, ["encoder.0.weight", "encoder.0.bias", "encoder.scale"]);
    }

    #[test]
    fn a_bound_parameter_is_one_leaf_that_shares_the_buffer() {
        let parameters = two();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let w = model.param("w").unwrap();
        assert_eq!(w.id(), model.param("w").unwrap().id());
        assert!(w.peek().unwrap().shares_buffer_with(parameters.get("w").unwrap()));
        let message = model.param("weight").unwrap_err().to_string();
        assert!(message.contains("weight") && message.contains("`w`, `a`"), "{message}");
    }

    #[test]
    fn an_update_stops_at_the_first_error() {
        let mut parameters = two();
        let error = parameters.update(|name, _, values| {
            if name == "a" {
                return Err(NnError::argument("a", "b", "c", "d"));
            }
            values.fill(9.0);
            Ok(())
        });
        assert!(error.is_err());
        assert!(parameters.get("w").unwrap().as_slice().iter().all(|&w| w == 9.0));
        assert_eq!(parameters.get("a"), two().get("a"));
    }

    #[test]
    fn values_that_others_hold_never_change() {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let copy = parameters.clone();
        let mut held = Vec::new();
        for step in 0..4 {
            held.push(parameters.get("x").unwrap().clone());
            parameters
                .update(|_, _, values| {
                    assert_eq!(values[0], 1.0 + f64::from(step));
                    values.iter_mut().for_each(|value| *value += 1.0);
                    Ok(())
                })
                .unwrap();
        }
        for (step, held) in held.iter().enumerate() {
            assert_eq!(held.as_slice(), [1.0 + step as f64, 2.0 + step as f64]);
        }
        assert_eq!(copy.get("x").unwrap().as_slice(), [1.0, 2.0]);
    }

    #[test]
    fn what_nobody_shares_is_changed_in_place() {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let address = parameters.get("x").unwrap().as_slice().as_ptr();
        parameters
            .update(|_, shape, values| {
                assert_eq!(shape[..], [2]);
                values[1] = 5.0;
                Ok(())
            })
            .unwrap();
        let x = parameters.get("x").unwrap().as_slice();
        assert_eq!((x, x.as_ptr()), (&[1.0, 5.0][..], address));
    }

    #[test]
    fn a_thousand_steps_use_two_buffers_a_parameter_and_one_a_moment() {
        let mut parameters = one_parameter(Tensor::from_fn([7, 3], |i| i as f64));
        let mut adam = Adam::new(0.01);
        let mut workspace = Workspace::new();
        let mut addresses = [BTreeSet::new(), BTreeSet::new()];
        // A buffer that was given back to the allocator would be taken by one of these.
        let mut decoys = Vec::new();
        for step in 0..1000 {
            let graph = Graph::new(workspace.tape(), Seed::new(7).step(step));
            let x = parameters.on(&graph).param("x").unwrap();
            graph.cost("square", x.square().sum()).unwrap();
            adam.step(&mut parameters, &graph.backward().unwrap()).unwrap();
            addresses[0].insert(parameters.get("x").unwrap().as_slice().as_ptr());
            let moment = &adam.state().slots["first_moment"]["x"];
            addresses[1].insert(moment.as_slice().as_ptr());
            decoys.push(vec![0.0_f64; 21]);
        }
        assert_eq!(addresses.map(|addresses| addresses.len()), [2, 1]);
        assert_eq!(decoys.len(), 1000);
    }

    #[test]
    fn a_checkpoint_holds_the_values_and_must_fit() {
        let parameters = two();
        let mut checkpoint = Checkpoint::new();
        parameters.save_to(&mut checkpoint).unwrap();
        let mut restored = two();
        restored
            .update(|_, _, values| {
                values.fill(0.0);
                Ok(())
            })
            .unwrap();
        restored.load_from(&checkpoint).unwrap();
        assert!(restored.iter().eq(parameters.iter()));

        let mut larger = two();
        larger.insert("b", Tensor::scalar(0.5)).unwrap();
        let error = larger.load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::MissingEntry { .. }), "{error}");
        let mut smaller = one_parameter(Tensor::scalar(0.5));
        let mut extra = Checkpoint::new();
        larger.save_to(&mut extra).unwrap();
        extra.insert("parameters/x", &Tensor::scalar(1.0)).unwrap();
        let message = smaller.load_from(&extra).unwrap_err().to_string();
        assert!(message.contains("1 parameter(s)") && message.contains('4'), "{message}");
        assert_eq!(smaller.get("x"), Some(&Tensor::scalar(0.5)));
        let mut single = Parameters::<f32>::new();
        single.insert("w", Tensor::zeros([2, 2])).unwrap();
        let error = single.load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::TensorMismatch { .. }), "{error}");
    }

    #[test]
    fn gradients_come_by_full_name() {
        let parameters = two();
        let slopes = [("a", Tensor::scalar(2.0))];
        assert_eq!(gradients(&parameters, &slopes).get("a").unwrap(), &Tensor::scalar(2.0));
    }
}
