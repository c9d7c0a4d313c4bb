//! Parameters that are not trained for a while.

use stochgrad_tensor::Real;

use super::{NamePattern, Parameters, Position};
use crate::error::NnResult;

impl<F: Real> Parameters<F> {
    /// Freezes some parameters: models record them as values without a gradient, so that nothing is computed for their
    /// gradients alone, and no optimiser changes them, until they are [unfrozen](Self::unfreeze). This is not saved
    /// with the parameters: like a learning rate, it is a setting of the run.
    ///
    /// `names` is the name of a parameter or of a scope, or `*.bias` for all parameters whose last part is `bias`.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert_all([("encoder.scale", Tensor::scalar(2.0)), ("decoder.scale", Tensor::scalar(3.0))])?;
    /// parameters.freeze("encoder")?;
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let record = parameters.on(&graph);
    /// record.cost("product", record.param("encoder.scale")? * record.param("decoder.scale")?)?;
    /// let gradients = graph.backward()?;
    /// assert_eq!(gradients.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["decoder.scale"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if no parameter has such a name.
    pub fn freeze(&mut self, names: &str) -> NnResult<()> {
        self.set_frozen(names, true, "`names` of `Parameters::freeze`")
    }

    /// Trains parameters again that were [frozen](Self::freeze).
    ///
    /// # Errors
    ///
    /// As [`freeze`](Self::freeze).
    pub fn unfreeze(&mut self, names: &str) -> NnResult<()> {
        self.set_frozen(names, false, "`names` of `Parameters::unfreeze`")
    }

    fn set_frozen(&mut self, names: &str, is_frozen: bool, argument: &'static str) -> NnResult<()> {
        let names = NamePattern::new(names);
        names.check(self, argument)?;
        let matching = self.entries.iter_mut().filter(|entry| names.matches(&entry.name));
        matching.for_each(|entry| entry.is_frozen = is_frozen);
        Ok(())
    }

    /// Whether a parameter is [frozen](Self::freeze).
    pub fn is_frozen(&self, name: &str) -> bool {
        match self.positions.get(name) {
            Some(&Position::Parameter(position)) => self.entries[position].is_frozen,
            _ => false,
        }
    }

    /// Whether each parameter is frozen, in their order.
    pub(crate) fn frozen(&self) -> impl Iterator<Item = bool> {
        self.entries.iter().map(|entry| entry.is_frozen)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_tensor::Tensor;

    use crate::optimizers::{Optimizer, Sgd};
    use crate::testing::{gradients, two_parameters};

    #[test]
    fn an_optimiser_does_not_change_a_frozen_parameter() {
        let mut parameters = two_parameters();
        let slopes = gradients(&parameters, &[("w", Tensor::ones([2, 2])), ("a", Tensor::scalar(1.0))]);
        let mut sgd = Sgd::new(1.0).momentum(0.5);
        sgd.step(&mut parameters, &slopes).unwrap();
        parameters.freeze("w").unwrap();
        assert!(parameters.is_frozen("w") && !parameters.is_frozen("a") && !parameters.is_frozen("b"));
        let before = parameters.clone();
        sgd.step(&mut parameters, &slopes).unwrap();
        assert_eq!(parameters.get("w"), before.get("w"));
        assert_eq!(parameters.get("a"), Some(&Tensor::scalar(2.5)));
        parameters.freeze("a").unwrap();
        assert!(sgd.step(&mut parameters, &slopes).unwrap_err().to_string().contains("none"));
        parameters.unfreeze("w").unwrap();
        sgd.step(&mut parameters, &slopes).unwrap();
        assert_eq!(parameters.get("w").unwrap().as_slice(), [-1.5, -0.5, 0.5, 1.5]);
        assert!(parameters.freeze("b").unwrap_err().to_string().contains("`w`, `a`"));
    }
}
