//! Reductions of event axes, and functions along them.

use crate::cases::{Case, case, check, real, rows, two_plates};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

pub(crate) fn reduction_cases() -> Vec<Case> {
    type Reduction = for<'t> fn(Var<'t, f64>, isize) -> Var<'t, f64>;
    let along: [(&str, Reduction); 20] = [
        ("sum_axis", |x, axis| x.sum_axis(axis)),
        ("mean_axis", |x, axis| x.mean_axis(axis)),
        ("max_axis", |x, axis| x.max_axis(axis)),
        ("logsumexp", |x, axis| x.logsumexp(axis)),
        ("softmax", |x, axis| x.softmax(axis)),
        ("log_softmax", |x, axis| x.log_softmax(axis)),
        ("cumsum", |x, axis| x.cumsum(axis)),
        ("softmax of a sum", |x, axis| x.softmax(axis).sum_axis(axis)),
        ("square of a sum", |x, axis| (x * x.sum_axis(axis).unsqueeze(axis)).tanh()),
        ("argmax", |x, axis| x * x.argmax(axis).unsqueeze(axis)),
        ("argmin", |x, axis| x * x.argmin(axis).unsqueeze(axis)),
        ("min_axis", |x, axis| x.min_axis(axis)),
        ("prod_axis", |x, axis| x.prod_axis(axis)),
        ("cumprod", |x, axis| x.cumprod(axis)),
        ("logcumsumexp", |x, axis| x.logcumsumexp(axis)),
        ("norm_axis", |x, axis| x.norm_axis(axis)),
        ("norm of order 1", |x, axis| x.norm_of_order(1.0, axis)),
        ("norm of order 3", |x, axis| x.norm_of_order(3.0, axis)),
        ("norm of order 2.5", |x, axis| x.norm_of_order(2.5, axis)),
        ("norm of order 4 and the maximum norm", |x, axis| {
            x.norm_of_order(4.0, axis) * x.norm_of_order(f64::INFINITY, axis)
        }),
    ];
    let mut cases = Vec::new();
    for (name, reduce) in along {
        for axis in 0..3 {
            cases.push(case(format!("{name} {axis}"), vec![real(&[2, 3, 2], 30)], move |_, x| reduce(x[0], axis)));
            cases.push(case(
                format!("{name} {axis}, two axes summed afterwards"),
                vec![real(&[2, 3, 2], 31)],
                move |_, x| {
                    let y = reduce(x[0], axis);
                    (y.sum_axis(0).sin()).sum_last(1)
                },
            ));
        }
        for axis in [-1, 0] {
            cases.push(case(format!("{name} {axis} on two plates"), vec![real(&[2, 3, 2, 2], 32)], move |tape, x| {
                let [outer, inner] = two_plates(tape);
                reduce(x[0].event_to_plate(outer).event_to_plate(inner), axis)
            }));
        }
        cases.push(case(format!("{name} of size 1"), vec![real(&[1, 2], 33)], move |_, x| reduce(x[0], 0) + x[0]));
    }
    type Whole = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let whole: [(&str, Whole); 9] = [
        ("sum", |x| x.sum()),
        ("mean", |x| x.mean()),
        ("max", |x| x.max()),
        ("min", |x| x.min()),
        ("prod", |x| x.prod()),
        ("norm", |x| x.norm()),
        ("sum_last 2", |x| x.sum_last(2)),
        ("sum_last 0", |x| x.sum_last(0)),
        ("two sums", |x| x.sum_axis(0).sum_axis(0)),
    ];
    for (name, reduce) in whole {
        cases.push(case(name, vec![real(&[2, 3], 34)], move |_, x| reduce(x[0])));
        cases.push(case(format!("{name} on a plate"), vec![real(&[3, 2, 2], 35)], move |tape, x| {
            reduce(x[0].event_to_plate(rows(tape, 3)))
        }));
        cases.push(case(format!("{name} of rank 0 on a plate"), vec![real(&[3], 36)], move |tape, x| {
            let x = x[0].event_to_plate(rows(tape, 3));
            if name == "two sums" { x } else { reduce(x) }
        }));
    }
    cases
}

#[test]
fn reductions_and_functions_along_axes() {
    check(reduction_cases());
}

/// Rows without zeros, with one and with two.
fn with_zeros() -> Tensor<f64> {
    Tensor::from([[0.7, -1.3, 0.4, 1.6], [0.7, 0.0, 0.4, 1.6], [0.0, -1.3, 0.0, 1.6], [0.0, 0.0, 0.0, 1.6]])
}

#[test]
fn products_of_zeros_have_exact_derivatives() {
    check(vec![
        case("prod_axis along rows", vec![with_zeros()], |_, x| x[0].prod_axis(1)),
        case("prod_axis along columns", vec![with_zeros()], |_, x| x[0].prod_axis(0)),
        case("prod", vec![with_zeros().map(|x| x + 0.5)], |_, x| (x[0] - 0.5).slice(0, 0..2).prod()),
        case("cumprod along rows", vec![with_zeros()], |_, x| x[0].cumprod(1)),
        case("cumprod along columns", vec![with_zeros()], |_, x| x[0].cumprod(0).exp()),
        case("products of products", vec![with_zeros()], |_, x| {
            (x[0].prod_axis(1) + x[0].cumprod(0).index(0, 3)).prod()
        }),
        case("prod of plates", vec![with_zeros()], |tape, x| {
            let [outer, _] = two_plates(tape);
            x[0].reshape([2, 2, 4]).event_to_plate(outer).prod()
        }),
    ]);
}

#[test]
fn rows_of_minus_infinity_have_finite_derivatives() {
    let tape = Tape::<f64>::new();
    let infinite = f64::NEG_INFINITY;
    let x = tape.parameter([[0.5, infinite], [infinite, infinite]]);
    let y = x.logsumexp(1).index(0, 0) + x.softmax(1).sum();
    let [first] = tape.grad(y, [x]).unwrap();
    assert_eq!(first.peek().unwrap().to_vec(), [1.0, 0.0, 0.0, 0.0]);
    let [second] = tape.backward(first.square().sum(), [x]).unwrap();
    assert!(second.all_finite(), "{second:?}");
}

#[test]
fn running_sums_that_start_at_minus_infinity_have_finite_derivatives() {
    let tape = Tape::<f64>::new();
    let infinite = f64::NEG_INFINITY;
    let x = tape.parameter([infinite, 0.5, infinite, -0.25, 800.0, infinite]);
    let weights = tape.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // The first element of the result is −∞.
    let total = (x.logcumsumexp(0) * weights).slice(0, 1..6).square().sum();
    let [first] = tape.grad(total, [x]).unwrap();
    // By the definition, with y = ln Σ exp(x).
    let value = x.peek().unwrap().to_vec();
    let y: Vec<f64> = (0..6)
        .map(|i| {
            let largest = value[..=i].iter().copied().fold(infinite, f64::max);
            largest + value[..=i].iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
        })
        .collect();
    let expected = |j: usize| -> f64 {
        (j.max(1)..6).map(|i| 2.0 * ((i + 1) as f64).powi(2) * y[i] * (value[j] - y[i]).exp()).sum()
    };
    for (j, found) in first.peek().unwrap().to_vec().into_iter().enumerate() {
        assert!((found - expected(j)).abs() <= 1e-12 * expected(j).abs(), "element {j}: {found}, not {}", expected(j));
    }
    let [second] = tape.grad(first.square().sum(), [x]).unwrap();
    assert!(second.peek().unwrap().all_finite(), "{second:?}");
    let [third] = tape.backward(second.sum(), [x]).unwrap();
    assert!(third.all_finite(), "{third:?}");
}

#[test]
fn norms_at_zero_have_the_derivative_zero_at_every_order() {
    type Norm = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let norms: [(&str, Norm); 6] = [
        ("1", |x| x.norm_of_order(1.0, 1)),
        ("2", |x| x.norm_axis(1)),
        ("2.5", |x| x.norm_of_order(2.5, 1)),
        ("3", |x| x.norm_of_order(3.0, 1)),
        ("4", |x| x.norm_of_order(4.0, 1)),
        ("infinity", |x| x.norm_of_order(f64::INFINITY, 1)),
    ];
    for (name, norm) in norms {
        let tape = Tape::<f64>::new();
        let x = tape.parameter([[0.0, 0.0, 0.0], [3.0, 0.0, -4.0]]);
        let mut derivative = norm(x);
        assert_eq!(derivative.peek().unwrap().as_slice()[0], 0.0, "order {name}");
        for _ in 0..3 {
            [derivative] = tape.grad(derivative.sum(), [x]).unwrap();
            let found = derivative.peek().unwrap();
            assert!(found.all_finite() && found.as_slice()[..3] == [0.0; 3], "order {name}: {found:?}");
        }
    }
}

#[test]
fn norms_do_not_overflow_and_keep_nan_and_infinity() {
    let tape = Tape::<f64>::new();
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = tape.constant([[3e-200, 4e-200], [3e200, -4e200], [inf, 1.0], [nan, 1.0]]);
    for order in [2.0, 4.0, 2.5] {
        let found = x.norm_of_order(order, 1).peek().unwrap().to_vec();
        let expected = (3.0_f64.powf(order) + 4.0_f64.powf(order)).powf(1.0 / order);
        for (found, scale) in [(found[0], 1e-200), (found[1], 1e200)] {
            assert!((found / scale - expected).abs() < 1e-14 * expected, "order {order}: {found}");
        }
        assert!(found[2] == inf && found[3].is_nan(), "order {order}: {found:?}");
    }
    assert_eq!(tape.constant([0.0; 0]).norm().peek().unwrap().to_vec(), [0.0]);
    assert_eq!(tape.constant(-2.0).norm().peek().unwrap().to_vec(), [2.0]);
}
