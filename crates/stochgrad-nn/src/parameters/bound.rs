//! Parameters on a graph.

use stochgrad_graph::{Graph, GraphError, GraphResult};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use super::{Parameters, in_words};

/// Parameters and buffers as leaves of a graph, for the `forward` of layers; made with [`Parameters::on`].
pub struct Bound<'a, 't, F: Real> {
    graph: &'a Graph<'t, F>,
    parameters: &'a Parameters<F>,
}

impl<F: Real> Parameters<F> {
    /// The parameters and buffers as leaves of a graph.
    pub fn on<'a, 't>(&'a self, graph: &'a Graph<'t, F>) -> Bound<'a, 't, F> {
        Bound { graph, parameters: self }
    }
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
    /// A parameter by its full name. Calls with the same name return the same leaf.
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

    /// A buffer by its full name, as a value without a gradient. Calls with the same name return the same leaf. A
    /// compiled graph has it as an input, which [`Parameters::set_on`] sets.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("scale", Tensor::scalar(2.0))?;
    /// parameters.insert_buffer("mean", Tensor::scalar(0.5))?;
    ///
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let model = parameters.on(&graph);
    /// graph.cost("loss", model.param("scale")? * model.buffer("mean")?)?;
    /// let gradients = graph.backward()?;
    /// assert_eq!(gradients.get("scale")?.item()?, 0.5);
    /// assert!(gradients.get("mean").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GraphError::Unknown`] for a name that no buffer has, and [`GraphError::Duplicate`] if the graph has another
    /// input under it.
    #[track_caller]
    pub fn buffer(&self, name: &str) -> GraphResult<Var<'t, F>> {
        match self.parameters.buffer(name) {
            Some(value) => self.graph.input(name, value),
            None => Err(GraphError::Unknown {
                what: "buffer",
                name: name.into(),
                known: in_words(self.parameters.buffers().map(|(name, _)| name), "no buffers"),
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
    use stochgrad_graph::Seed;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::testing::two_parameters as two;

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
    fn a_bound_buffer_is_an_input_without_a_gradient() {
        let mut parameters = two();
        parameters.insert_buffer("mean", Tensor::scalar(3.0)).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let mean = model.buffer("mean").unwrap();
        assert_eq!(mean.id(), model.buffer("mean").unwrap().id());
        assert!(mean.inspect().unwrap().shares_buffer_with(parameters.buffer("mean").unwrap()));
        assert!(graph.input("mean", Tensor::scalar(3.0)).is_err());
        let message = model.buffer("a").unwrap_err().to_string();
        assert!(message.contains("buffer") && message.contains("`mean`"), "{message}");
        graph.cost("product", model.param("a").unwrap() * mean).unwrap();
        let mut compiled = graph.compile().unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(gradients.get("a").unwrap().item().unwrap(), 3.0);
        assert!(gradients.get("mean").is_err());

        parameters.set("mean", Tensor::scalar(5.0)).unwrap();
        parameters.set_on(&mut compiled).unwrap();
        let gradients = compiled.run(Seed::new(7)).unwrap();
        assert_eq!(gradients.get("a").unwrap().item().unwrap(), 5.0);
    }
}
