//! Reductions of event axes, and functions along them.

use crate::cases::{Case, case, check, real, rows, two_plates};
use stochgrad_tape::{Tape, Var};

pub(crate) fn reduction_cases() -> Vec<Case> {
    type Reduction = for<'t> fn(Var<'t, f64>, isize) -> Var<'t, f64>;
    let along: [(&str, Reduction); 10] = [
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
    let whole: [(&str, Whole); 6] = [
        ("sum", |x| x.sum()),
        ("mean", |x| x.mean()),
        ("max", |x| x.max()),
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
