//! Probabilities from recorded log-probabilities.
//!
//! At a probability of zero, the derivative of $\exp(\ln p)$ is $0 \cdot \infty$ by the chain rule and 1 in truth. So where a state is
//! impossible, the logarithms of the recorded log-probability are undone instead: $e^{\ln x} = x$, $e^{a + b} = e^a e^b$ and
//! $e^{n \ln x} = x^n$. Log-probabilities from logits are left alone: their derivatives vanish there.

use stochgrad_tape::{Op, Var};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

/// How deep an expression is searched for logarithms.
const DEPTH: usize = 16;

/// The highest power that is written as a product.
const POWER: usize = 256;

/// `exp` of a log-probability, with the right derivatives at probability zero.
pub(crate) fn probability<F: Real>(log_prob: Var<'_, F>) -> Var<'_, F> {
    let impossible = |x: &F| x.to_f64() == f64::NEG_INFINITY;
    match log_prob.peek() {
        Ok(value) if value.as_slice().iter().any(impossible) => {
            undone(log_prob, DEPTH).unwrap_or_else(|| log_prob.exp())
        }
        _ => log_prob.exp(),
    }
}

/// The exponential of an expression that contains logarithms; `None` if none is found.
fn undone<F: Real>(log: Var<'_, F>, depth: usize) -> Option<Var<'_, F>> {
    let depth = depth.checked_sub(1)?;
    let inputs = log.inputs();
    let first = *inputs.first()?;
    match log.op()? {
        Op::Map(Map::Ln) => Some(first),
        Op::Map(Map::Log1p) => Some(first + 1.0),
        Op::Reshape(shape) => Some(undone(first, depth)?.reshape(shape)),
        Op::Expand(plates, shape) => Some(undone(first, depth)?.expand_plates(&plates).broadcast_to(shape)),
        Op::Gather(axis) => Some(undone(first, depth)?.gather(axis as isize, inputs[1])),
        Op::Reduce(Reduce::Sum, axes) => {
            let shape = first.shape();
            let single = axes.iter().all(|&axis| shape[axis] == 1);
            let kept: Shape = (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
            if single { Some(undone(first, depth)?.reshape(kept)) } else { None }
        }
        Op::Zip(Zip::Add) => match (undone(first, depth), undone(inputs[1], depth)) {
            (None, None) => None,
            (left, right) => Some(left.unwrap_or_else(|| first.exp()) * right.unwrap_or_else(|| inputs[1].exp())),
        },
        Op::Zip(Zip::Mul) => {
            let (count, base) = if let Some(base) = undone(inputs[1], depth) {
                (first, base)
            } else {
                (inputs[1], undone(first, depth)?)
            };
            whole_power(base, count)
        }
        _ => None,
    }
}

/// `baseⁿ` for whole numbers `n`, as a product: all its derivatives are right at 0.
fn whole_power<'t, F: Real>(base: Var<'t, F>, count: Var<'t, F>) -> Option<Var<'t, F>> {
    let counts = count.peek().ok()?;
    let highest = counts.as_slice().iter().map(|n| n.to_f64()).fold(0.0, f64::max);
    let whole = counts.as_slice().iter().all(|n| n.to_f64() >= 0.0 && n.to_f64().fract() == 0.0);
    if !whole || highest > POWER as f64 {
        return None;
    }
    let one = base.tape().constant(1.0);
    let factors = (1..=highest as usize).map(|n| (count - (n as f64 - 0.5)).step().select(base, one));
    factors.reduce(|product, factor| product * factor).or(Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn logarithms_of_zero_are_undone() {
        let tape = Tape::<f64>::new();
        let p = tape.parameter([0.0, 0.25, 0.75]);
        let index = tape.constant([[0.0], [2.0]]);
        let gathered = p.ln().broadcast_to([2, 3]).gather(-1, index).sum_axis(-1);
        let recovered = probability(gathered);
        assert_eq!(recovered.peek().unwrap().as_slice(), &[0.0, 0.75]);
        let [gradient] = tape.backward((recovered * tape.constant([3.0, 5.0])).sum(), [p]).unwrap();
        assert_eq!(gradient.as_slice(), &[3.0, 0.0, 5.0]);
    }

    #[test]
    fn powers_of_zero_have_all_their_derivatives() {
        let tape = Tape::<f64>::new();
        let p = tape.parameter(0.0);
        // p² (1 − p) and p (1 − p)², as a binomial law writes them.
        let successes = tape.constant([2.0, 1.0]);
        let failures = 3.0 - successes;
        let law = probability(successes * p.ln() + failures * (-p).log1p());
        let [first] = tape.grad(law.index(0, 0), [p]).unwrap();
        let [second] = tape.backward(first, [p]).unwrap();
        let [other] = tape.grad(law.index(0, 1), [p]).unwrap();
        let [curvature] = tape.backward(other, [p]).unwrap();
        let numbers = (first.item().unwrap(), second.item().unwrap(), other.item().unwrap(), curvature.item().unwrap());
        assert_eq!(numbers, (0.0, 2.0, 1.0, -4.0));
    }

    #[test]
    fn an_impossible_state_of_logits_has_no_derivative() {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([f64::NEG_INFINITY, 0.0, 1.0]);
        let chances = probability(logits.log_softmax(-1));
        let [gradient] = tape.backward((chances * tape.constant([7.0, 1.0, 0.0])).sum(), [logits]).unwrap();
        let q = 1.0 / (1.0 + 1.0_f64.exp());
        assert_eq!(gradient.as_slice()[0], 0.0);
        assert!((gradient.as_slice()[1] - q * (1.0 - q)).abs() < 1e-15);
    }
}
