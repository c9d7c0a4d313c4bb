//! A derivative with respect to a count is an error, and no derivative flows through a jump.

use std::sync::Arc;
use stochgrad_tape::{Primitive, PrimitiveInputs, Smoothness, Tape, Var, special};
use stochgrad_tensor::Tensor;

type Function = for<'t> fn(&[Var<'t, f64>]) -> Var<'t, f64>;

/// Requests the derivative with respect to each operand of a function.
fn check(function: Function, operands: &[f64], counts: &[(usize, &str)]) {
    for input in 0..operands.len() {
        let tape = Tape::<f64>::new();
        let operands: Vec<Var<'_, f64>> = operands.iter().map(|&operand| tape.parameter(operand)).collect();
        let value = function(&operands);
        let gradient = tape.grad(value, [operands[input]]);
        match counts.iter().find(|(count, _)| *count == input) {
            Some((_, name)) => {
                assert_eq!(tape.smoothness(value, input), Smoothness::Jump);
                let message = gradient.unwrap_err().to_string();
                assert!(message.contains(&format!("expected {name} of")), "{message}");
                assert!(message.contains("stop_gradient") && message.contains("counts.rs"), "{message}");
            }
            None => {
                assert_eq!(tape.smoothness(value, input), Smoothness::Smooth);
                assert_ne!(gradient.unwrap()[0].peek().unwrap().item().unwrap(), 0.0);
            }
        }
    }
    // The other derivatives are available once the counts are stopped.
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = operands.iter().map(|&operand| tape.parameter(operand)).collect();
    let is_count = |input: usize| counts.iter().any(|(count, _)| *count == input);
    let mut stopped = parameters.clone();
    counts.iter().for_each(|(count, _)| stopped[*count] = stopped[*count].stop_gradient());
    for (input, gradient) in tape.gradients(function(&stopped), &parameters).unwrap().into_iter().enumerate() {
        assert_eq!(gradient.peek().unwrap().item().unwrap() == 0.0, is_count(input));
    }
}

#[test]
fn the_difference_of_the_skellam_distribution_function_is_a_count() {
    check(|x| special::skellam_cdf(x[0], x[1], x[2]), &[1.0, 2.0, 1.5], &[(0, "the difference")]);
}

#[test]
fn the_failures_of_the_negative_binomial_log_probability_are_a_count() {
    let counts = [(0, "the number of failures")];
    check(|x| special::negative_binomial_log_pmf(x[0], x[1], x[2]), &[3.0, 2.0, 0.3], &counts);
    check(|x| special::negative_binomial_log_pmf_by_logit(x[0], x[1], x[2]), &[3.0, 2.0, 0.3], &counts);
}

#[test]
fn successes_and_trials_of_the_binomial_log_probability_are_counts() {
    let counts = [(0, "the number of successes"), (1, "the number of trials")];
    check(|x| special::binomial_log_pmf(x[0], x[1], x[2]), &[2.0, 5.0, 0.3], &counts);
    check(|x| special::binomial_log_pmf_by_logit(x[0], x[1], x[2]), &[2.0, 5.0, 0.3], &counts);
}

#[test]
fn the_order_of_the_bessel_function_is_a_count() {
    check(|x| special::log_bessel_ie(x[0], x[1]), &[2.0, 1.5], &[(0, "the order")]);
}

#[test]
fn the_trials_of_the_binomial_entropy_are_a_count() {
    let counts = [(0, "the number of trials")];
    check(|x| special::binomial_entropy(x[0], x[1]), &[5.0, 0.3], &counts);
    check(|x| special::binomial_entropy_by_logit(x[0], x[1]), &[5.0, 0.3], &counts);
}

#[test]
fn the_difference_of_the_skellam_log_probability_is_a_count() {
    let tape = Tape::<f64>::new();
    let (k, up, down) = (tape.parameter(1.0), tape.parameter(2.0), tape.parameter(1.5));
    let message = tape.grad(special::skellam_log_pmf(k, up, down), [k]).unwrap_err().to_string();
    assert!(message.contains("the order of the Bessel function"), "{message}");
}

/// Rounds its operand down, but has a derivative rule.
struct Rounded(Smoothness);

impl Primitive<f64> for Rounded {
    fn name(&self) -> &str {
        "rounded"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].map(f64::floor))
    }

    fn gradient<'t>(&self, _: &[Var<'t, f64>], _: Var<'t, f64>, adjoint: Var<'t, f64>) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint)]
    }

    fn smoothness(&self, _: usize) -> Smoothness {
        self.0
    }
}

#[test]
fn a_primitive_passes_a_derivative_where_it_says_so() {
    for (smoothness, passes) in [
        (Smoothness::Constant, false),
        (Smoothness::Smooth, true),
        (Smoothness::Kinked, true),
        (Smoothness::Jump, false),
    ] {
        let tape = Tape::<f64>::new();
        let x = tape.parameter(2.5);
        let y = tape.custom(Arc::new(Rounded(smoothness)), &[x]);
        let slope = f64::from(u8::from(passes));
        assert_eq!(smoothness.passes_gradient(), passes);
        assert_eq!(tape.has_derivative(y, &|_| true).unwrap(), passes);
        assert_eq!(tape.backward(y, [x]).unwrap()[0].item().unwrap(), slope);
        assert_eq!(tape.grad(y, [x]).unwrap()[0].peek().unwrap().item().unwrap(), slope);
        tape.visit_backwards(tape.len(), &mut |visit| {
            if visit.id == y.id() {
                assert_eq!(visit.passes_gradient(0), passes);
            }
        });
    }
}
