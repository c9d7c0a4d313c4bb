//! Outcomes that samples never show although the expectation has a derivative there.
//!
//! A bit of probability $p = 0$ is never 1, and yet $\partial_p E[f] = f(1) - f(0)$. An estimator that is made of
//! samples and their scores cannot see $f(1)$: its mean is $-f(0)$, and nothing in a run tells the difference. Such a
//! node is refused, unless no derivative with respect to a parameter passes through the probability.

use crate::error::GraphResult;
use crate::surrogate::Builder;
use stochgrad_tensor::Real;

impl<F: Real> Builder<'_, '_, F> {
    /// Refuses a node whose method learns from samples alone, where an outcome is hidden from them.
    pub(crate) fn check_hidden_outcomes(&self, node: usize) -> GraphResult<()> {
        let node = &self.nodes[node];
        for parameter in node.parameters.iter().filter(|parameter| !parameter.hiding.is_empty()) {
            let hides = |number: F| parameter.hiding.contains(&number.to_f64());
            if !self.tape.has_derivative(parameter.var, &hides)? {
                continue;
            }
            let value = parameter.var.inspect()?;
            let position = value.as_slice().iter().position(|&number| hides(number)).unwrap_or(0);
            return Err(node.refused(format!(
                "{} of {} are {} at position {position}: samples never show an outcome of probability zero, and its part of the \
                 derivative would be missing. Keep them inside, for instance with logits, or use a method that looks at all \
                 outcomes, such as Enumerate or MeasureValued",
                parameter.name,
                node.distribution,
                value.as_slice()[position]
            )));
        }
        Ok(())
    }
}
