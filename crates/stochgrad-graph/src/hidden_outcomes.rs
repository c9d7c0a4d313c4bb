//! Outcomes that samples never show although the expectation has a derivative there.
//!
//! A bit of probability $p = 0$ is never 1, and yet $\partial_p E[f] = f(1) - f(0)$. An estimator that is made of samples and
//! their scores cannot see $f(1)$: its mean is $-f(0)$, and nothing in a run tells the difference. Such a node is refused, unless
//! no derivative with respect to a parameter passes through the probability.

use crate::error::GraphResult;
use crate::surrogate::Builder;
use std::collections::HashSet;
use stochgrad_tape::{Op, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

impl<'t, F: Real> Builder<'_, 't, F> {
    /// Refuses a node whose method learns from samples alone, where an outcome is hidden from them.
    pub(crate) fn check_hidden_outcomes(&self, node: usize) -> GraphResult<()> {
        let node = &self.nodes[node];
        for parameter in node.parameters.iter().filter(|parameter| !parameter.hiding.is_empty()) {
            let value = parameter.var.inspect()?;
            let hides = |number: &F| parameter.hiding.contains(&number.to_f64());
            let Some(position) = value.as_slice().iter().position(hides) else { continue };
            if !self.has_derivative(parameter.var, &value, &hides)? {
                continue;
            }
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

    /// Whether some element that hides an outcome has a derivative with respect to a parameter.
    fn has_derivative(&self, var: Var<'t, F>, value: &Tensor<F>, hides: &dyn Fn(&F) -> bool) -> GraphResult<bool> {
        let parameters = self.parameters_behind(var);
        if parameters.is_empty() {
            return Ok(false);
        }
        // Different factors, so that derivatives of different elements do not cancel.
        let adjoint = Tensor::from_fn(value.shape().clone(), |i| {
            if hides(&value.as_slice()[i]) { F::from_f64((i as f64 + 1.0).sqrt()) } else { F::ZERO }
        });
        let mark = self.tape.len();
        let adjoint = self.tape.constant_on(&var.plates(), adjoint);
        let products = self.tape.vector_jacobian_product(var, adjoint, &parameters)?;
        let mut found = false;
        for product in products {
            found |= product.inspect()?.as_slice().iter().any(|slope| *slope != F::ZERO);
        }
        self.tape.truncate(mark);
        Ok(found)
    }

    /// The trainable leaves to which a derivative of a value flows.
    fn parameters_behind(&self, var: Var<'t, F>) -> Vec<Var<'t, F>> {
        let (mut found, mut pending, mut seen) = (Vec::new(), vec![var], HashSet::new());
        while let Some(var) = pending.pop() {
            if !seen.insert(var.id()) {
                continue;
            }
            match var.op() {
                Some(Op::Leaf { trainable: true }) => found.push(var),
                Some(op) => {
                    // A sample passes derivatives to its value, and not to the parameters of its distribution.
                    let inputs = if matches!(op, Op::Sample(_)) { 1 } else { usize::MAX };
                    let passes = |input: usize| {
                        matches!(self.tape.smoothness(var, input), Smoothness::Smooth | Smoothness::Kinked)
                    };
                    let inputs = var.inputs().into_iter().enumerate().take(inputs);
                    pending.extend(inputs.filter(|(input, _)| passes(*input)).map(|(_, operand)| operand));
                }
                None => {}
            }
        }
        found
    }
}
