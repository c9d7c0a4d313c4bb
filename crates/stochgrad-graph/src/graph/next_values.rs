//! The next values of inputs: what a step computes for the state of a model, such as a running mean.

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use std::panic::Location;
use stochgrad_tape::{TapeError, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// Names the value that an [input](Self::input) gets after this step. It has no effect on the gradients, which
    /// carry it in [`Gradients::next_values`](crate::Gradients::next_values), so that a compiled graph computes it as
    /// well. A second call with the same name replaces the value.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.data("points", [1.0, 3.0])?;
    /// let mean = graph.input("mean", Tensor::scalar(1.0))?;
    /// graph.set_next_value("mean", mean * 0.9 + x.mean_over(x.plates()[0]) * 0.1)?;
    /// graph.cost("loss", graph.param("slope", 2.0)? * x)?;
    /// let gradients = graph.backward()?;
    /// let next: Vec<_> = gradients.next_values().map(|(name, value)| (name, value.as_slice()[0])).collect();
    /// assert_eq!(next, [("mean", 1.1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If no input has this name, for a value with plates or of another shape than the input, inside a
    /// [loop](Self::scan), whose steps would all set the same value, and for earlier errors on the tape.
    #[track_caller]
    pub fn set_next_value(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        let at = Location::caller();
        self.tape().check()?;
        if !std::ptr::eq(value.tape(), self.tape()) {
            return Err(TapeError::Foreign { what: format!("the next value of \"{name}\""), at }.into());
        }
        let Some(input) = self.data_of(name) else {
            let known: Vec<String> = self.state().data.iter().map(|(name, _)| name.clone()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(GraphError::Unknown { what: "input", name: name.into(), known });
        };
        let refused = |problem: String| Err(GraphError::Data { name: name.into(), problem, at });
        if !value.plates().is_empty() || value.shape() != input.shape() {
            return refused(format!(
                "expected a next value of shape {} without plates, got shape {} with {} plates; reduce the plates",
                input.shape(),
                value.shape(),
                value.plates().len()
            ));
        }
        if !self.state().scans.is_empty() {
            return refused(
                "expected one next value in each step of the training, got one in each step of a loop; set it outside \
                 the loop"
                    .into(),
            );
        }
        let mut state = self.state_mut();
        match state.next_values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => state.next_values.push((name.into(), value)),
        }
        Ok(())
    }

    /// The value that an input gets after this step, if one was set: for a layer that is used twice in a model.
    pub fn next_value(&self, name: &str) -> Option<Var<'t, F>> {
        self.state().next_values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    #[test]
    fn compiled_next_values_are_those_of_a_recording() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let slope = graph.param("slope", 2.0).unwrap();
        let mean = graph.input("mean", Tensor::scalar(1.0)).unwrap();
        graph.set_next_value("mean", mean + 1.0).unwrap();
        graph.set_next_value("mean", graph.next_value("mean").unwrap() * slope.exp()).unwrap();
        graph.cost("loss", slope.square()).unwrap();
        let mut compiled = graph.compile().unwrap();
        let expected = graph.backward().unwrap();
        assert_eq!(expected.next_values().count(), 1);
        compiled.set("slope", &Tensor::scalar(2.0)).unwrap();
        compiled.set("mean", &Tensor::scalar(1.0)).unwrap();
        compiled.run(Seed::new(7)).unwrap();
        assert!(compiled.gradients().next_values().eq(expected.next_values()));
        assert_eq!(expected.next_values().next().unwrap().1.as_slice(), [2.0 * 2.0_f64.exp()]);
        assert!(compiled.listing().to_string().contains("the next value of input \"mean\""));
        compiled.set("slope", &Tensor::scalar(1e4)).unwrap();
        compiled.set("mean", &Tensor::scalar(1.0)).unwrap();
        let message = compiled.run(Seed::new(7)).unwrap_err().to_string();
        assert!(message.contains("the next value of input \"mean\""), "{message}");
    }

    #[test]
    fn values_that_do_not_fit_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let x = graph.data("points", [1.0, 2.0]).unwrap();
        let mean = graph.input("mean", Tensor::scalar(1.0)).unwrap();
        let message = graph.set_next_value("variance", mean).unwrap_err().to_string();
        assert!(message.contains("variance") && message.contains("points, mean"), "{message}");
        let message = graph.set_next_value("mean", x).unwrap_err().to_string();
        assert!(message.contains("expected a next value of shape []") && message.contains("1 plates"), "{message}");
        assert!(graph.set_next_value("mean", graph.constant([1.0, 2.0])).is_err());
        let looped = graph.scan("loop", 2, mean, |_, mean| {
            graph.set_next_value("mean", mean)?;
            Ok((mean, ()))
        });
        assert!(looped.unwrap_err().to_string().contains("outside the loop"));
        assert!(graph.next_value("mean").is_none());
    }
}
