//! The total cost of an outcome by plain loops, to check the graph's own reduction.
//!
//! The graph removes averages over plates from a cost and reduces its parts again. This file reduces each cost as it
//! was passed, member by member on the host, over exactly the plates that the cost and the weights of its plates carry.

use crate::error::{CheckError, CheckResult};
use crate::oracle::direction::Parameters;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Id, Plate, Plates, Tape, Var, Weights};
use stochgrad_tensor::{Shape, Tensor};

/// How far two ways of adding up the same values may differ, relative to the sum of the magnitudes.
const ROUNDING: f64 = 1e-9;

/// The members of some plates, in row-major order.
struct Members {
    plates: Plates,
    sizes: Vec<usize>,
}

impl Members {
    /// The members of the plates of a value and of the weights of its plates.
    fn of(tape: &Tape<f64>, value: Var<'_, f64>) -> GraphResult<Self> {
        let mut plates = value.plates();
        let mut at = 0;
        while let Some(&plate) = plates.get(at) {
            at += 1;
            if let Weights::Given { id, .. } = tape.weights(plate) {
                let more = tape.var(id)?.plates();
                let new: Plates = more.iter().copied().filter(|plate| !plates.contains(plate)).collect();
                plates.extend(new);
            }
        }
        let sizes = plates.iter().map(|&plate| tape.plate_size(plate)).collect();
        Ok(Members { plates, sizes })
    }

    fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The position of a member in a value that carries some of the plates, in any order of plates.
    fn position(&self, member: usize, carried: &[Plate]) -> usize {
        let mut index = vec![0; self.sizes.len()];
        let mut rest = member;
        for (axis, &size) in self.sizes.iter().enumerate().rev() {
            index[axis] = rest % size;
            rest /= size;
        }
        carried.iter().fold(0, |position, plate| {
            let axis = self.plates.iter().position(|other| other == plate).unwrap_or(0);
            position * self.sizes[axis] + index[axis]
        })
    }
}

/// A tensor on the tape that the total depends on, and the derivative of the total with respect to each of its
/// elements.
struct Dependence {
    id: Id,
    adjoint: Vec<f64>,
}

/// The total cost of an outcome by plain loops.
struct PlainTotal {
    value: f64,
    /// The sum of the magnitudes of all summands.
    magnitude: f64,
    dependences: Vec<Dependence>,
}

impl PlainTotal {
    fn new(graph: &Graph<'_, f64>) -> GraphResult<Self> {
        let mut total = PlainTotal { value: 0.0, magnitude: 0.0, dependences: Vec::new() };
        for (_, cost) in graph.passed_costs() {
            total.add(graph.tape(), cost)?;
        }
        Ok(total)
    }

    fn add(&mut self, tape: &Tape<f64>, cost: Var<'_, f64>) -> GraphResult<()> {
        let members = Members::of(tape, cost)?;
        let value = cost.inspect()?;
        // Each plate contributes a factor that is the same for all members, or a recorded weight.
        let mut constant = 1.0;
        let mut weights: Vec<(Var<'_, f64>, Tensor<f64>, bool)> = Vec::new();
        for &plate in &members.plates {
            match tape.weights(plate) {
                Weights::Mean => constant /= tape.plate_size(plate) as f64,
                Weights::Sum => {}
                Weights::Given { id, differentiable } => {
                    let var = tape.var(id)?;
                    weights.push((var, var.inspect()?, differentiable));
                }
            }
        }
        let mut of_cost = vec![0.0; value.len()];
        let mut of_weights: Vec<Vec<f64>> = weights.iter().map(|(_, values, _)| vec![0.0; values.len()]).collect();
        for member in 0..members.count() {
            let at = members.position(member, &cost.plates());
            let own = value.as_slice()[at];
            let positions: Vec<usize> =
                weights.iter().map(|(var, ..)| members.position(member, &var.plates())).collect();
            let factors: Vec<f64> =
                weights.iter().zip(&positions).map(|((_, values, _), &at)| values.as_slice()[at]).collect();
            let weight = factors.iter().fold(constant, |product, factor| product * factor);
            self.value += weight * own;
            self.magnitude += (weight * own).abs();
            of_cost[at] += weight;
            for (index, &position) in positions.iter().enumerate() {
                let others = factors.iter().enumerate().filter(|(other, _)| *other != index);
                of_weights[index][position] += own * others.fold(constant, |product, (_, factor)| product * factor);
            }
        }
        self.dependences.push(Dependence { id: cost.id(), adjoint: of_cost });
        for ((var, _, differentiable), adjoint) in weights.iter().zip(of_weights) {
            if *differentiable {
                self.dependences.push(Dependence { id: var.id(), adjoint });
            }
        }
        Ok(())
    }

    /// The gradients of the total times the probability p of the outcome, divided by p: C ∂ ln p + ∂C.
    fn gradients(
        &self,
        tape: &Tape<f64>,
        log_prob: Var<'_, f64>,
        parameters: &[Var<'_, f64>],
    ) -> GraphResult<Vec<Vec<f64>>> {
        let scores = tape.backward_all(tape.var(log_prob.id())?, parameters)?;
        let mut found: Vec<Vec<f64>> =
            scores.iter().map(|score| score.as_slice().iter().map(|slope| self.value * slope).collect()).collect();
        for Dependence { id, adjoint } in &self.dependences {
            let var = tape.var(*id)?;
            let sizes: Shape = var.inspect()?.shape().clone();
            let adjoint = tape.constant_on(&var.plates(), Tensor::from_fn(sizes, |i| adjoint[i]));
            for (sum, part) in found.iter_mut().zip(tape.vector_jacobian_product(var, adjoint, parameters)?) {
                sum.iter_mut().zip(part.inspect()?.as_slice()).for_each(|(sum, part)| *sum += part);
            }
        }
        Ok(found)
    }
}

/// Compares the weighted cost of an outcome and its gradient with the result of plain loops over the recorded costs.
///
/// # Errors
/// [`CheckError::Library`] for the first value that differs.
pub(crate) fn check_reduction<'t>(
    graph: &Graph<'t, f64>,
    weighted: Var<'t, f64>,
    parameters: &Parameters<'t>,
) -> CheckResult<()> {
    let tape = graph.tape();
    let plain = PlainTotal::new(graph)?;
    let engine = weighted.inspect()?.as_slice().iter().sum();
    compare(|| "the total cost".into(), engine, plain.value, plain.magnitude)?;
    let mark = tape.len();
    let vars: Vec<Var<'t, f64>> = parameters.iter().map(|(_, var)| *var).collect();
    let by_graph = tape.backward_all(weighted, &vars)?;
    let by_hand = plain.gradients(tape, graph.joint_log_prob(), &vars)?;
    for (((name, _), engine), hand) in parameters.iter().zip(&by_graph).zip(&by_hand) {
        let scale = hand.iter().fold(plain.magnitude, |scale, slope| scale.max(slope.abs()));
        for (element, (&engine, &plain)) in engine.as_slice().iter().zip(hand).enumerate() {
            compare(|| format!("element {element} of the gradient with respect to \"{name}\""), engine, plain, scale)?;
        }
    }
    tape.truncate(mark);
    Ok(())
}

/// Two values that are not finite are reported elsewhere; if only one of them is finite, they differ.
fn compare(what: impl FnOnce() -> String, engine: f64, plain: f64, scale: f64) -> CheckResult<()> {
    let same = match (engine.is_finite(), plain.is_finite()) {
        (true, true) => (engine - plain).abs() <= ROUNDING * scale.max(1.0),
        (false, false) => true,
        _ => false,
    };
    if same { Ok(()) } else { Err(CheckError::Library { what: what(), engine, plain }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_graph::{Reduction, Seed};

    /// A plate of 3 rows, averaged, and a plate of 2 steps, summed, with one cost for each combination of the plates.
    fn record<'t>(graph: &Graph<'t, f64>) -> GraphResult<Var<'t, f64>> {
        let t = graph.param("t", [0.5, -2.0])?;
        let rows = graph.data("rows", [1.0, 2.0, 6.0])?;
        let steps = graph.plate("steps", 2)?;
        graph.set_reduction(steps, Reduction::Sum)?;
        let by_step = t.event_to_plate(steps);
        graph.cost("both", rows * by_step.square())?;
        graph.cost("one", by_step * 3.0 + by_step.sum_over(steps))?;
        graph.cost("none", t.sum())?;
        Ok(t)
    }

    #[test]
    fn each_cost_is_reduced_over_the_plates_that_it_carries() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = record(&graph).expect("a model");
        let total = PlainTotal::new(&graph).expect("a total");
        // (1 + 2 + 6)/3 · (0.25 + 4) + (1.5 − 1.5) + (−6 − 1.5) − 1.5.
        assert_abs_diff_eq!(total.value, (12.75 - 7.5 - 1.5), epsilon = 1e-14);
        let log_prob = t.index(0, 1) * 0.1;
        let found = total.gradients(&tape, log_prob, &[t]).expect("gradients");
        // 3 · 2t + 3 + 2 + 1, and the total times ∂ ln p.
        let expected = [3.0 + 6.0, -12.0 + 6.0 + 0.1 * total.value];
        assert_abs_diff_eq!(&found[0][..], &expected[..], epsilon = 1e-13);
    }

    #[test]
    fn recorded_weights_and_the_plates_that_they_carry_are_reduced_too() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = graph.param("t", [0.2, 0.8]).expect("a parameter");
        let rows = graph.data("rows", [1.0, 3.0]).expect("data");
        let states = graph.plate("states", 2).expect("a plate");
        let weights = t.event_to_plate(states) * rows;
        tape.set_weights(states, Weights::Given { id: weights.id(), differentiable: true });
        let value = graph.constant([5.0, 7.0]).event_to_plate(states);
        graph.cost("states", value + 0.0 * t.event_to_plate(states)).expect("a cost");
        let total = PlainTotal::new(&graph).expect("a total");
        // The mean of the rows is 2.
        assert_abs_diff_eq!(total.value, 2.0 * (0.2 * 5.0 + 0.8 * 7.0), epsilon = 1e-14);
        let found = total.gradients(&tape, t.sum() * 0.0, &[t]).expect("gradients");
        assert_abs_diff_eq!(&found[0][..], &[10.0, 14.0][..], epsilon = 1e-13);
    }

    #[test]
    fn another_total_or_another_gradient_is_an_error_of_the_library() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = record(&graph).expect("a model");
        let (a, b) = (t.index(0, 0), t.index(0, 1));
        let right = 3.0 * (a.square() + b.square()) + 6.0 * (a + b);
        check_reduction(&graph, right, &graph.parameters()).expect("the right total");
        let error = check_reduction(&graph, right * 2.0, &graph.parameters()).expect_err("twice the total");
        assert!(error.to_string().contains("the total cost") && error.to_string().contains("report"), "{error}");
        let error = check_reduction(&graph, right + (b + 2.0), &graph.parameters()).expect_err("another slope");
        assert!(matches!(&error, CheckError::Library { what, .. } if what.contains("element 1")), "{error}");
        let error = check_reduction(&graph, right / (b + 2.0), &graph.parameters()).expect_err("an infinite total");
        assert!(matches!(error, CheckError::Library { .. }), "{error}");
    }
}
