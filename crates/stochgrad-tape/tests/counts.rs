//! A derivative with respect to a count is an error, and no derivative flows through a jump.

use std::sync::Arc;
use stochgrad_tape::{PlateKind, Primitive, PrimitiveInputs, Smoothness, Tape, Var, special};
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

/// The score of a binomial logit, from the balance of both tails in double precision.
fn binomial_score(k: f64, n: f64, logit: f64) -> f64 {
    let (p, q) = (1.0 / (1.0 + (-logit).exp()), 1.0 / (1.0 + logit.exp()));
    k * q - (n - k) * p
}

#[test]
fn the_score_of_a_common_binomial_logit_keeps_its_digits() {
    for n in [0.0, 1.0, 10.0, 999.0, 1e6] {
        for logit in [-80.0, -17.0, -3.0, -0.4, 0.0, 0.3, 5.0, 16.0, 30.0] {
            let mean = n / (1.0 + f64::exp(-logit));
            for count in [0.0, mean.floor(), mean.ceil(), (1.1 * mean).round(), n] {
                let k = f64::min(count, n);
                let tape = Tape::<f32>::new();
                let (trials, common) = (tape.constant(n), tape.parameter(logit));
                let [score] = tape
                    .backward(special::binomial_log_pmf_by_logit(tape.constant(k), trials, common), [common])
                    .unwrap();
                let logit = f64::from(logit as f32);
                let expected = binomial_score(k, n, logit);
                // What rounding the logit and the two products changes.
                let tails = (k / (1.0 + logit.exp())).max((n - k) / (1.0 + (-logit).exp()));
                let bound = 4.0 * f64::from(f32::EPSILON) * tails + f64::from(f32::MIN_POSITIVE);
                let found = f64::from(score.item().unwrap());
                assert!((found - expected).abs() <= bound, "{k} of {n} at {logit}: {found:e}, expected {expected:e}");
            }
        }
    }
}

#[test]
fn a_common_binomial_logit_has_the_derivatives_of_one_for_each_count() {
    let (counts, weights) = ([3.0, 0.0, 7.0, 5.0], [1.0, -2.0, 0.0, 0.5]);
    for weighted in [false, true] {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("elements", 4, PlateKind::Samples, &[]);
        let values = |of: [f64; 4]| tape.constant_on(&[plate], Tensor::new(of.to_vec(), [4]).unwrap());
        let (logit, k) = (tape.parameter(0.7), values(counts));
        let each = special::binomial_log_pmf_by_logit(k, tape.constant(7.0), logit);
        // A branch that is taken at some elements masks their adjoints.
        let chosen = if weighted { values(weights).select(each * values(weights), tape.constant(0.0)) } else { each };
        let weights = if weighted { weights } else { [1.0; 4] };
        let [score] = tape.grad(chosen.sum_over(plate), [logit]).unwrap();
        let [curvature] = tape.grad(score, [logit]).unwrap();
        let expected: f64 = counts.iter().zip(weights).map(|(&k, w)| w * binomial_score(k, 7.0, 0.7)).sum();
        let (p, total) = (1.0 / (1.0 + f64::exp(-0.7)), weights.iter().sum::<f64>());
        assert!((score.item().unwrap() - expected).abs() < 1e-14);
        assert!((curvature.item().unwrap() + total * 7.0 * p * (1.0 - p)).abs() < 1e-14);
        let [third] = tape.backward(curvature, [logit]).unwrap();
        assert!((third.item().unwrap() + total * 7.0 * p * (1.0 - p) * (1.0 - 2.0 * p)).abs() < 1e-14);
    }
}

#[test]
fn common_parameters_give_the_bits_of_repeated_ones() {
    fn check<F: stochgrad_tensor::Real>() {
        let tape = Tape::<F>::new();
        let noise: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.005 - 0.4975).collect();
        let count = noise.len();
        let noise = tape.constant(noise);
        let same = |drawn: [Var<'_, F>; 3], what: &str| {
            let [common, repeated, wide] = drawn.map(|var| var.peek().unwrap());
            assert_eq!(common.as_slice(), repeated.as_slice(), "{what}");
            assert_eq!((wide.shape().to_vec(), wide.as_slice()), (vec![1, count], common.as_slice()), "{what}");
        };
        for (r, logit) in [(3.0, 0.3), (0.2, -5.0), (1e6, -2.0), (2.5, -700.0), (1.0, 40.0)] {
            let p = 1.0 / (1.0 + f64::exp(-logit));
            // In single precision the smallest probability is 0.
            for (x, by_logit) in [(p, false), (logit, true)].into_iter().filter(|(x, _)| x.abs() > 1e-30) {
                let draw = |r, x| {
                    if by_logit {
                        special::negative_binomial_draw_by_logit(noise, r, x)
                    } else {
                        special::negative_binomial_draw(noise, r, x)
                    }
                };
                let repeated = draw(tape.constant(vec![r; count]), tape.constant(vec![x; count]));
                let wide = draw(tape.constant(r), tape.constant(Tensor::full([1, 1], F::from_f64(x))));
                same([draw(tape.constant(r), tape.constant(x)), repeated, wide], &format!("{r}, {x}"));
                let [common, repeated] = [1, count].map(|times| {
                    let of = |x: f64| if times == 1 { tape.constant(x) } else { tape.constant(vec![x; times]) };
                    let counts = tape.constant((0..count).map(|k| k as f64 * 0.5 - 3.0).collect::<Vec<_>>());
                    let (r, trials, x) = (of(r), of(r.ceil() + 2.0), of(x));
                    let logs = if by_logit {
                        special::negative_binomial_log_pmf_by_logit(counts, r, x)
                            + special::binomial_log_pmf_by_logit(counts, trials, x)
                    } else {
                        special::negative_binomial_log_pmf(counts, r, x) + special::binomial_log_pmf(counts, trials, x)
                    };
                    logs.peek().unwrap()
                });
                assert_eq!(common, repeated, "{r}, {x}");
            }
        }
    }
    check::<f64>();
    check::<f32>();
}
