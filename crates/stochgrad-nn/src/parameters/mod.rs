//! The named tensors of a model.

mod entry;
mod freeze;
mod pattern;
mod saved;
mod scope;
mod update;

pub use pattern::NamePattern;
pub use scope::Scope;

use std::collections::HashMap;

use stochgrad_graph::{CompiledGraph, GraphResult};
use stochgrad_tensor::{Real, Tensor};

use crate::error::{NnError, NnResult};
use crate::pytorch::{Form, Layout};
use entry::Entry;

/// The named tensors of a model: trainable parameters, and buffers, which no optimiser changes. Both keep the order in
/// which they were inserted.
///
/// Layers contain names and sizes, and the values are here. [`Parameters::on`] puts them on a graph.
///
/// The tape shares the buffers of the values. [`update`](Self::update), which optimisers call, writes in place where no
/// other tensor shares the buffer, as after the run of a compiled graph, and otherwise into a second buffer. A training
/// loop of fixed shapes therefore allocates nothing here after its second step, provided that the tape of each step is
/// cleared before the end of the next one.
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
    buffers: Vec<(String, Tensor<F>)>,
    positions: HashMap<String, Position>,
    /// The tensors that have another name or layout in files of PyTorch.
    forms: HashMap<String, Form>,
}

/// The position of the tensor with a name.
#[derive(Clone, Copy, Debug)]
enum Position {
    Parameter(usize),
    Buffer(usize),
}

impl<F: Real> Default for Parameters<F> {
    fn default() -> Self {
        Self { entries: Vec::new(), buffers: Vec::new(), positions: HashMap::new(), forms: HashMap::new() }
    }
}

impl<F: Real> Parameters<F> {
    /// No parameters and no buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trainable tensor.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the name is empty or taken.
    pub fn insert(&mut self, name: impl Into<String>, value: Tensor<F>) -> NnResult<()> {
        let name = self.free_name(name.into(), "`name` of `Parameters::insert`")?;
        self.positions.insert(name.clone(), Position::Parameter(self.entries.len()));
        self.entries.push(Entry { name, value, is_frozen: false, spare: None });
        Ok(())
    }

    /// Adds several trainable tensors or, on an error, none.
    ///
    /// ```
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// parameters.insert_all([("weight", Tensor::zeros([2, 3])), ("bias", Tensor::zeros([3]))])?;
    /// let taken = parameters.insert_all([("scale", Tensor::zeros([3])), ("bias", Tensor::zeros([3]))]);
    /// assert!(taken.is_err() && parameters.get("scale").is_none());
    /// # Ok::<(), stochgrad_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), for the first name that is empty or taken.
    pub fn insert_all<N: Into<String>>(&mut self, tensors: impl IntoIterator<Item = (N, Tensor<F>)>) -> NnResult<()> {
        self.all_or_none(|parameters| tensors.into_iter().try_for_each(|(name, value)| parameters.insert(name, value)))
    }

    /// Adds a buffer: a tensor that belongs to the model but is not trained, such as a running mean or a statistic of
    /// the data. It is saved and loaded with the parameters, and no optimiser changes it.
    ///
    /// Parameters and buffers share one space of names. [`set`](Self::set) changes a buffer, [`Record::buffer`](crate::Record::buffer) puts it
    /// on a graph as a value without a gradient.
    ///
    /// ```
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// parameters.insert_buffer("data.mean", Tensor::from([0.5, 2.0]))?;
    /// parameters.set("data.mean", Tensor::from([0.6, 1.9]))?;
    /// assert_eq!(parameters.buffer("data.mean"), Some(&Tensor::from([0.6, 1.9])));
    /// assert!(parameters.is_empty()); // nothing to train
    /// # Ok::<(), stochgrad_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the name is empty or taken.
    pub fn insert_buffer(&mut self, name: impl Into<String>, value: Tensor<F>) -> NnResult<()> {
        let name = self.free_name(name.into(), "`name` of `Parameters::insert_buffer`")?;
        self.positions.insert(name.clone(), Position::Buffer(self.buffers.len()));
        self.buffers.push((name, value));
        Ok(())
    }

    fn free_name(&self, name: String, argument: &'static str) -> NnResult<String> {
        if name.is_empty() || self.positions.contains_key(&name) {
            return Err(NnError::argument(
                argument,
                "a name that is not empty and that no other parameter or buffer has",
                format!("`{name}`"),
                "name each layer differently, or change a value with `Parameters::set`",
            ));
        }
        Ok(name)
    }

    /// Replaces the value of a parameter or a buffer by another one of the same shape.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for an unknown name and for another shape.
    pub fn set(&mut self, name: &str, value: Tensor<F>) -> NnResult<()> {
        let current = match self.positions.get(name) {
            Some(&Position::Parameter(position)) => &mut self.entries[position].value,
            Some(&Position::Buffer(position)) => &mut self.buffers[position].1,
            None => {
                let mut known = self.names_in_words();
                for (buffer, _) in &self.buffers {
                    known += &format!(", `{buffer}`");
                }
                return Err(NnError::argument(
                    "`name` of `Parameters::set`",
                    format!("one of {known}"),
                    format!("`{name}`"),
                    "check the spelling, or add it with `Parameters::insert`",
                ));
            }
        };
        if current.shape() != value.shape() {
            return Err(NnError::argument(
                "`value` of `Parameters::set`",
                format!("shape {} for `{name}`", current.shape()),
                format!("shape {}", value.shape()),
                "build the model with the sizes of this value",
            ));
        }
        *current = value;
        Ok(())
    }

    /// The value of a parameter. For a buffer, see [`buffer`](Self::buffer).
    pub fn get(&self, name: &str) -> Option<&Tensor<F>> {
        match self.positions.get(name)? {
            &Position::Parameter(position) => Some(&self.entries[position].value),
            Position::Buffer(_) => None,
        }
    }

    /// The value of a buffer.
    pub fn buffer(&self, name: &str) -> Option<&Tensor<F>> {
        match self.positions.get(name)? {
            &Position::Buffer(position) => Some(&self.buffers[position].1),
            Position::Parameter(_) => None,
        }
    }

    /// Names and values of the parameters, in the order of insertion.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// Names and values of the buffers, in the order of insertion.
    pub fn buffers(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.buffers.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names of the parameters, in the order of insertion.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The number of parameters, each a tensor.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of elements of all parameters together.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|entry| entry.value.len()).sum()
    }

    /// Gives a compiled graph the values of the parameters and buffers that it was recorded with, for its next run.
    ///
    /// # Errors
    /// Those of [`CompiledGraph::set`].
    pub fn set_on(&self, graph: &mut CompiledGraph<F>) -> GraphResult<()> {
        for (name, value) in self.iter().chain(self.buffers()) {
            if graph.has_input(name) {
                graph.set(name, value)?;
            }
        }
        Ok(())
    }

    /// Runs `add` and, if it fails, removes the parameters and buffers that it inserted: a layer that could not be
    /// built leaves nothing behind. Values changed by [`set`](Self::set) stay changed.
    ///
    /// # Errors
    ///
    /// The error of `add`.
    pub fn all_or_none<R>(&mut self, add: impl FnOnce(&mut Self) -> NnResult<R>) -> NnResult<R> {
        let before = self.mark();
        let result = add(self);
        if result.is_err() {
            self.truncate(before);
        }
        result
    }

    fn mark(&self) -> [usize; 2] {
        [self.entries.len(), self.buffers.len()]
    }

    /// Removes all parameters and buffers that were inserted after the mark.
    fn truncate(&mut self, mark: [usize; 2]) {
        let [entries, buffers] = mark;
        self.entries.truncate(entries);
        self.buffers.truncate(buffers);
        self.positions.retain(|_, position| match *position {
            Position::Parameter(position) => position < entries,
            Position::Buffer(position) => position < buffers,
        });
        self.forms.retain(|name, _| self.positions.contains_key(name));
    }

    /// The name and layout of a parameter or a buffer in files of PyTorch.
    pub(crate) fn form(&self, name: &str) -> Form {
        self.forms.get(name).cloned().unwrap_or_else(|| Form { name: name.into(), layout: Layout::SAME })
    }

    pub(crate) fn names_in_words(&self) -> String {
        in_words(self.names(), "no parameters")
    }
}

pub(crate) fn in_words<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { none.into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::{Adam, Optimizer};
    use crate::testing::{gradients, two_parameters as two};

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
    fn buffers_share_the_names_and_are_not_trained() {
        let mut parameters = two();
        parameters.insert_buffer("mean", Tensor::from([1.0, 2.0])).unwrap();
        assert!(parameters.insert("mean", Tensor::scalar(0.0)).is_err());
        assert!(parameters.insert_buffer("w", Tensor::scalar(0.0)).is_err());
        assert_eq!((parameters.len(), parameters.count(), parameters.buffers().len()), (2, 5, 1));
        assert!(parameters.get("mean").is_none() && parameters.buffer("w").is_none());
        parameters.set("mean", Tensor::from([3.0, 4.0])).unwrap();
        assert!(parameters.set("mean", Tensor::scalar(0.0)).is_err());
        let message = parameters.set("b", Tensor::zeros([4])).unwrap_err().to_string();
        assert!(message.contains("`w`, `a`, `mean`"), "{message}");
        let step = gradients(&parameters, &[("a", Tensor::scalar(1.0))]);
        Adam::new(0.1).step(&mut parameters, &step).unwrap();
        assert_eq!(parameters.buffer("mean"), Some(&Tensor::from([3.0, 4.0])));
    }

    #[test]
    fn an_insertion_that_fails_leaves_nothing_behind() {
        let mut parameters = two();
        let result = parameters.insert_all([("b", Tensor::scalar(0.0)), ("w", Tensor::scalar(1.0))]);
        assert!(result.unwrap_err().to_string().contains("`w`"));
        let result = parameters.all_or_none(|parameters| {
            parameters.insert_buffer("mean", Tensor::scalar(0.0))?;
            parameters.insert("mean", Tensor::scalar(0.0))
        });
        assert!(result.is_err());
        assert!(parameters.get("b").is_none() && parameters.buffer("mean").is_none());
        parameters.insert_all([("b", Tensor::scalar(0.0)), ("mean", Tensor::scalar(1.0))]).unwrap();
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["w", "a", "b", "mean"]);
    }

    #[test]
    fn gradients_come_by_full_name() {
        let parameters = two();
        let slopes = [("a", Tensor::scalar(2.0))];
        assert_eq!(gradients(&parameters, &slopes).get("a").unwrap(), &Tensor::scalar(2.0));
    }
}
