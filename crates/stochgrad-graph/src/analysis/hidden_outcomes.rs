//! Outcomes that samples never show although the expectation has a derivative there.
//!
//! A bit of probability $p = 0$ is never 1, and yet $\partial_p E[f] = f(1) - f(0)$. An estimator that is made of
//! samples and their scores never evaluates $f(1)$: its mean is $-f(0)$, and nothing in a run reveals the error. Such a
//! node is refused, unless no derivative with respect to a parameter passes through the probability.

use crate::error::GraphResult;
use crate::graph::node::StochasticNode;
use stochgrad_tensor::Real;

/// Refuses a node from whose samples an outcome is hidden, for methods that learn from samples alone.
pub(crate) fn check_hidden_outcomes<F: Real>(node: &StochasticNode<'_, F>) -> GraphResult<()> {
    for parameter in node.parameters.iter().filter(|parameter| !parameter.hiding.is_empty()) {
        let hides = |number: F| parameter.hiding.contains(&number.to_f64());
        if !parameter.var.tape().has_derivative(parameter.var, &hides)? {
            continue;
        }
        let value = parameter.var.inspect()?;
        let position = value.as_slice().iter().position(|&number| hides(number)).unwrap_or(0);
        return Err(node.refused(format!(
            "{} of {} are {} at position {position}: samples never show an outcome of probability zero, and its part \
             of the derivative would be missing. Keep them inside, for instance with logits, or use a method that \
             uses all outcomes, such as Enumerate or MeasureValued",
            parameter.name,
            node.distribution,
            value.as_slice()[position]
        )));
    }
    Ok(())
}
