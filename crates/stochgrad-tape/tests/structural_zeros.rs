//! Branches that were not taken, and members that are removed by a weight of 0, add nothing to derivatives of any
//! order.

use stochgrad_tape::{PlateKind, Tape, Var, Weights};
use stochgrad_tensor::{Real, Tensor};

/// The derivatives of orders 1 to `N` of a function of a vector, summed over its elements. They are computed on the
/// tape, as plain tensors and by a compiled program, which must agree.
fn derivatives<F: Real, const N: usize>(
    x: &[f64],
    function: impl for<'t> Fn(&'t Tape<F>, Var<'t, F>) -> Var<'t, F>,
) -> [Vec<f64>; N] {
    let tape = Tape::<F>::new();
    let x = tape.parameter(x);
    let mut value = function(&tape, x).sum();
    std::array::from_fn(|_| {
        let [plain] = tape.backward(value, [x]).unwrap();
        let [recorded] = tape.grad(value, [x]).unwrap();
        let mut program = tape.compile(&[x], &[recorded]).unwrap();
        program.set(0, &x.inspect().unwrap()).unwrap();
        program.run(Default::default()).unwrap();
        let numbers = |tensor: &Tensor<F>| tensor.as_slice().iter().map(|x| x.to_f64()).collect::<Vec<_>>();
        assert_eq!(numbers(&recorded.inspect().unwrap()), numbers(&plain));
        assert_eq!(numbers(program.output(0).unwrap()), numbers(&plain));
        value = recorded.sum();
        numbers(&plain)
    })
}

fn positive<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x.gt(x.tape().constant(0.0))
}

fn nothing<F: Real>(tape: &Tape<F>) -> Var<'_, F> {
    tape.constant(0.0)
}

#[test]
fn the_root_of_a_branch_that_was_not_taken_has_no_slope() {
    fn check<F: Real>() {
        let found = derivatives::<F, 3>(&[0.0, 4.0], |tape, x| positive(x).select(x.sqrt(), nothing(tape)));
        assert_eq!(found, [vec![0.0, 0.25], vec![0.0, -1.0 / 32.0], vec![0.0, 3.0 / 256.0]]);
        let found =
            derivatives::<F, 2>(&[0.0, 4.0], |tape, x| x.le(nothing(tape)).select(nothing(tape), x.sqrt() * 2.0));
        assert_eq!(found, [vec![0.0, 0.5], vec![0.0, -1.0 / 16.0]]);
    }
    check::<f64>();
    check::<f32>();
}

#[test]
fn every_singular_function_of_a_branch_that_was_not_taken_is_left_out() {
    let functions: [fn(Var<'_, f64>) -> Var<'_, f64>; 10] = [
        |x| x.ln(),
        |x| x.recip(),
        |x| x.powf(0.5),
        |x| x * x.ln(),
        |x| 1.0 / x,
        |x| (x - 1.0).log1p(),
        |x| x.pow(x * 0.5),
        |x| x.lgamma(),
        |x| (x.ln() * 2.0).exp() + x.sqrt().sin(),
        |x| x.ln().abs().softplus() / x.sqrt(),
    ];
    for (which, function) in functions.into_iter().enumerate() {
        let guarded = derivatives::<f64, 3>(&[0.0, 0.7], |tape, x| {
            let inside = positive(x);
            inside.select(function(inside.select(x, tape.constant(1.0))), nothing(tape))
        });
        let plain = derivatives::<f64, 3>(&[0.0, 0.7], |tape, x| positive(x).select(function(x), nothing(tape)));
        for (plain, guarded) in plain.iter().flatten().zip(guarded.iter().flatten()) {
            assert!((plain - guarded).abs() <= 1e-12 * guarded.abs().max(1.0), "{which}: {plain}, not {guarded}");
        }
    }
}

#[test]
fn a_derivative_that_does_not_exist_is_not_0() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.0]);
    let [found] = tape.backward((x - 1.0).square().sqrt().sum(), [x]).unwrap();
    assert!(found.as_slice()[0].is_nan(), "{found:?}");
    // The same for the branch that was taken.
    let x = tape.parameter([0.0, 4.0]);
    let root = x.ge(tape.constant(0.0)).select(x.square().sqrt(), tape.constant(0.0));
    let [found] = tape.backward(root.sum(), [x]).unwrap();
    assert!(found.as_slice()[0].is_nan() && found.as_slice()[1] == 1.0, "{found:?}");
    // An unguarded use of the same value, in addition to a branch that was not taken.
    let y = x.ln();
    let sum = positive(x).select(y, nothing(&tape)) + y * 0.0;
    let [found] = tape.backward(sum.sum(), [x]).unwrap();
    assert!(found.as_slice()[0].is_nan(), "{found:?}");
}

#[test]
fn masks_pass_through_sums_and_rearrangements() {
    let functions: [fn(Var<'_, f64>) -> Var<'_, f64>; 9] = [
        |x| x.sqrt().reshape([2, 2]).transpose().reshape([4]),
        |x| x.ln().slice(0, 1..3).sum_axis(0).unsqueeze(0).broadcast_to([4]),
        |x| Var::concat(&[x.ln().slice(0, 2..4), x.recip().slice(0, 0..2)], 0).unwrap(),
        |x| x.sqrt().index_select(0, &[3, 3, 1, 0]),
        |x| x.sqrt().cumsum(0),
        |x| x.sqrt().gather(0, x.tape().constant([2.0, 0.0, 1.0, 1.0])),
        |x| x.index(0, 0).ln() * x,
        |x| x.reshape([2, 2]).sqrt().sum_axis(0).unsqueeze(1).broadcast_to([2, 2]).reshape([4]),
        |x| x.ln().logsumexp(0) + x,
    ];
    for (which, function) in functions.into_iter().enumerate() {
        let values = [0.5, 0.0, 2.0, 0.0];
        for condition in [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0; 4], [1.0; 4]] {
            let tape = Tape::<f64>::new();
            let x = tape.parameter(values);
            let taken = tape.constant(condition).select(function(x), nothing(&tape));
            let [found] = tape.backward(taken.sum(), [x]).unwrap();
            // The elements that take part, one by one. A derivative that is infinite there is truly infinite.
            for (element, &found) in found.as_slice().iter().enumerate() {
                let difference = |step: f64| {
                    let tape = Tape::<f64>::new();
                    let mut moved = values;
                    moved[element] += step;
                    let value = tape.constant(condition).select(function(tape.constant(moved)), nothing(&tape));
                    value.sum().item().unwrap()
                };
                let (near, far) = (difference(1e-7) / 1e-7, difference(2e-7) / 2e-7);
                let slope = (difference(1e-7) - difference(0.0)) / 1e-7;
                let exists = near.is_finite() && far.is_finite() && slope.abs() < 1e3;
                if exists && difference(0.0).is_finite() && values[element] > 0.0 {
                    assert!((found - slope).abs() < 1e-5, "{which}, {condition:?}, {element}: {found}, not {slope}");
                } else if exists && slope == 0.0 {
                    assert_eq!(found, 0.0, "{which}, {condition:?}, {element}");
                }
            }
        }
    }
}

#[test]
fn a_broadcast_branch_is_left_out_member_by_member() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
    let scale = tape.parameter([4.0, 0.0]);
    let rows = tape.constant_on(&[plate], [1.0, 0.0, 2.0]);
    // The second element takes part in none of the rows.
    let takes = tape.constant_on(&[plate], Tensor::from([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]));
    let value = takes.select(rows * scale.sqrt() + (rows / rows), nothing(&tape)).sum().mean_over(plate);
    let [found] = tape.backward(value, [scale]).unwrap();
    assert_eq!(found.as_slice(), &[0.25, 0.0]);
    // The same after a mean over the rows.
    let mean = (rows * scale.sqrt()).mean_over(plate);
    let value = tape.constant([1.0, 0.0]).select(mean, nothing(&tape)).sum();
    let [found] = tape.backward(value, [scale]).unwrap();
    assert_eq!(found.as_slice(), &[0.25, 0.0]);
}

#[test]
fn nested_choices_leave_out_what_either_leaves_out() {
    let found = derivatives::<f64, 2>(&[0.0, 4.0, 0.25], |tape, x| {
        let inner = x.lt(tape.constant(1.0)).select(x.sqrt(), x.recip());
        positive(x).select(inner, nothing(tape))
    });
    assert_eq!(found, [vec![0.0, -1.0 / 16.0, 1.0], vec![0.0, 1.0 / 32.0, -2.0]]);
}

#[test]
fn no_operation_is_added_where_no_slope_is_infinite() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.0, 4.0]);
    let taken = positive(x).select(x * 2.0 + 1.0, nothing(&tape)).sum();
    let before = tape.len();
    tape.grad(taken, [x]).unwrap();
    // The seed and two reshapes of the sum; a 0, the choice and the factor.
    assert_eq!(tape.len() - before, 6);
    // A branch that is guarded inside needs no further `select`.
    let inside = positive(x);
    let guarded = inside.select(inside.select(x, tape.constant(1.0)).sqrt(), nothing(&tape)).sum();
    let before = tape.len();
    tape.grad(guarded, [x]).unwrap();
    // The seed and two reshapes; a 0 and the choice, the two factors of the root, a 0 and the inner choice.
    assert_eq!(tape.len() - before, 9);
}

fn weighted<'t, F: Real>(
    tape: &'t Tape<F>,
    weights: &[f64],
    members: Tensor<F>,
) -> (Var<'t, F>, Var<'t, F>, stochgrad_tape::Plate) {
    let plate = tape.plate("states", weights.len(), PlateKind::Enumerated, &[]);
    let weights = Tensor::from_fn([weights.len()], |i| F::from_f64(weights[i]));
    (tape.parameter_on(&[plate], weights), tape.parameter_on(&[plate], members), plate)
}

#[test]
fn a_weight_of_0_takes_an_infinite_member_away() {
    fn check<F: Real>() {
        for absent in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let tape = Tape::<F>::new();
            let members = Tensor::from_fn([3], |i| F::from_f64([2.0, absent, 3.0][i]));
            let (w, x, plate) = weighted(&tape, &[0.5, 0.0, 0.0], members);
            let sum = x.weighted_sum_over(plate, w);
            assert_eq!(sum.item().unwrap(), F::ONE);
            let [by_weight, by_member] = tape.backward(sum, [w, x]).unwrap();
            assert_eq!(by_weight.as_slice(), &[2.0, 0.0, 3.0].map(F::from_f64));
            assert_eq!(by_member.as_slice(), &[0.5, 0.0, 0.0].map(F::from_f64));
            // The mixed derivative.
            let [by_weight] = tape.grad(sum, [w]).unwrap();
            let [mixed] = tape.backward(by_weight.sum_over(plate), [x]).unwrap();
            assert_eq!(mixed.as_slice(), &[1.0, 0.0, 1.0].map(F::from_f64));
        }
    }
    check::<f64>();
    check::<f32>();
}

#[test]
fn what_an_absent_member_was_made_of_gets_no_derivative() {
    let tape = Tape::<f64>::new();
    let (w, x, plate) = weighted(&tape, &[0.25, 0.75, 0.0], Tensor::from([1.0, 2.0, 0.0]));
    let mut value = (x.ln() + x.recip() * x.square().sqrt()).weighted_sum_over(plate, w);
    for expected in [[0.25, 0.375, 0.0], [-0.25, -0.1875, 0.0], [0.5, 0.1875, 0.0]] {
        let [by_member] = tape.backward(value, [x]).unwrap();
        assert_eq!(by_member.as_slice(), &expected);
        let [again] = tape.grad(value, [x]).unwrap();
        value = again.sum_over(plate);
    }
}

#[test]
fn the_log_of_a_weighted_average_has_derivatives_at_weight_0() {
    let tape = Tape::<f64>::new();
    let (w, x, plate) = weighted(&tape, &[0.25, 0.75, 0.0, 0.0], Tensor::from([1.0, -1.0, 0.5, f64::INFINITY]));
    tape.set_weights(plate, Weights::Given { id: w.id(), differentiable: true });
    let value = x.log_mean_exp_over(plate);
    let mean = 0.25 * 1f64.exp() + 0.75 * (-1f64).exp();
    assert!((value.item().unwrap() - mean.ln()).abs() < 1e-14);
    let [by_weight, by_member] = tape.backward(value, [w, x]).unwrap();
    let expected = [1f64.exp() / mean, (-1f64).exp() / mean, 0.5f64.exp() / mean, 0.0];
    for (found, expected) in by_weight.as_slice().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-13, "{by_weight:?}");
    }
    let expected = [0.25 * 1f64.exp() / mean, 0.75 * (-1f64).exp() / mean, 0.0, 0.0];
    for (found, expected) in by_member.as_slice().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-13, "{by_member:?}");
    }
    // ∂²/∂w² = −(e^x / mean)².
    let [by_weight] = tape.grad(value, [w]).unwrap();
    let [second] = tape.backward(by_weight.member(plate, 2), [w]).unwrap();
    let expected = -(0.5f64.exp() / mean).powi(2);
    assert!((second.as_slice()[2] - expected).abs() < 1e-13, "{second:?}");
    tape.set_weights(plate, Weights::Given { id: w.id(), differentiable: false });
    let [by_member] = tape.backward(x.log_mean_exp_over(plate), [x]).unwrap();
    assert!((by_member.as_slice()[0] - 0.25 * 1f64.exp() / mean).abs() < 1e-13 && by_member.as_slice()[3] == 0.0);
}
