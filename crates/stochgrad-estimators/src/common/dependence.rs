//! Which values depend on a trainable parameter.

use std::collections::HashSet;
use stochgrad_tape::{Op, Smoothness, Var};
use stochgrad_tensor::Real;

/// Whether the derivative of a value with respect to some trainable parameter may differ from zero. A method can skip
/// the parameters of a distribution for which it cannot.
pub fn is_differentiable<F: Real>(value: Var<'_, F>) -> bool {
    let tape = value.tape();
    let mut pending = vec![value];
    let mut seen = HashSet::new();
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        match var.op() {
            None => {}
            Some(Op::Leaf { trainable: true }) => return true,
            Some(Op::Sample(_)) => pending.extend(var.inputs().into_iter().take(1)),
            Some(_) => {
                let passes =
                    |input: usize| matches!(tape.smoothness(var, input), Smoothness::Smooth | Smoothness::Kinked);
                pending.extend(
                    var.inputs().into_iter().enumerate().filter(|(input, _)| passes(*input)).map(|(_, var)| var),
                );
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn only_paths_that_pass_gradients_count() {
        let tape = Tape::<f64>::new();
        let parameter = tape.parameter([1.0, 2.0]);
        assert!(is_differentiable((parameter * 2.0).sum()));
        assert!(!is_differentiable(parameter.stop_gradient() + 1.0));
        assert!(!is_differentiable(tape.constant(3.0).exp()));
        let site = tape.new_site();
        assert!(!is_differentiable(tape.sample(site, tape.constant(1.0), &[parameter])));
    }
}
