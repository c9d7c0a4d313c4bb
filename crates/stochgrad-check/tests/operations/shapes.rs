//! Changes of shape: slices, permutations, concatenations and gathers.

use crate::cases::{Case, case, check, positive, real, two_plates};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sort::Order;

pub(crate) fn shape_cases() -> Vec<Case> {
    type Reshaped = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let changes: [(&str, Reshaped); 17] = [
        ("reshape", |x| x.reshape([3, 4])),
        ("reshape to rank 1", |x| x.reshape([12])),
        ("permute", |x| x.permute(&[2, 0, 1])),
        ("permute and sum", |x| x.permute(&[1, 2, 0]).sum_axis(1)),
        ("transpose", |x| x.transpose()),
        ("slice", |x| x.slice(1, 1..3)),
        ("slice of nothing", |x| x.slice(1, 1..1)),
        ("slice of all", |x| x.slice(-1, 0..2)),
        ("slices that overlap", |x| x.slice(1, 0..2) * x.slice(1, 1..3)),
        ("index", |x| x.index(1, 2)),
        ("index_select", |x| x.index_select(1, &[2, 0, 2, 2])),
        ("index_select of an index_select", |x| x.index_select(0, &[1, 1]).index_select(-1, &[0, 1, 0])),
        ("unsqueeze", |x| x.unsqueeze(1) * x.sum_axis(0).unsqueeze(0)),
        ("broadcast_to", |x| x.sum_axis(1).unsqueeze(1).broadcast_to([5, 2, 3, 2])),
        ("slice of a sum", |x| x.sum_axis(0).slice(0, 0..2)),
        ("reshape of a sum", |x| x.sum_axis(0).reshape([2, 3])),
        ("index of a softmax", |x| x.softmax(1).index(1, 0)),
    ];
    let mut cases = Vec::new();
    for (name, change) in changes {
        cases.push(case(name, vec![real(&[2, 3, 2], 50)], move |_, x| change(x[0])));
        cases.push(case(format!("{name} on two plates"), vec![real(&[2, 3, 2, 3, 2], 51)], move |tape, x| {
            let [outer, inner] = two_plates(tape);
            change(x[0].event_to_plate(outer).event_to_plate(inner))
        }));
        cases.push(case(
            format!("{name} of a product over a plate"),
            vec![real(&[2, 3, 2], 52), real(&[2], 53)],
            move |tape, x| change(x[0] * x[1].event_to_plate(two_plates(tape)[0])).sin(),
        ));
    }
    for axis in [0_isize, 1] {
        let inputs = vec![real(&[2, 2], 54), real(&[2, 2], 55)];
        cases.push(case(format!("concat {axis}"), inputs.clone(), move |_, x| {
            Var::concat(&[x[0], x[1], x[0]], axis).unwrap()
        }));
        cases.push(case(format!("concat {axis} of plates"), inputs, move |tape, x| {
            let [outer, _] = two_plates(tape);
            let on_plate = x[0].event_to_plate(outer).unsqueeze(0);
            Var::concat(&[on_plate, x[1].slice(0, 0..1)], axis).unwrap().sin()
        }));
    }
    cases.push(case(
        "concat of different plates",
        vec![real(&[2, 2], 56), real(&[3, 4], 57), real(&[1], 58)],
        |tape, x| {
            let [outer, inner] = two_plates(tape);
            Var::concat(&[x[0].event_to_plate(outer), x[1].event_to_plate(inner), x[2]], 0).unwrap()
        },
    ));
    cases.push(case("stack", vec![real(&[2, 3], 59), real(&[2, 3], 60)], |_, x| {
        Var::stack(&[x[0], x[1], x[0] * x[1]]).unwrap()
    }));
    cases.push(case("gather", vec![real(&[2, 3], 61)], |tape, x| {
        x[0].gather(1, tape.constant([[0.0, 2.0, 2.0, 1.0], [1.0, 1.0, 0.0, 2.0]]))
    }));
    cases.push(case("gather along the first axis", vec![real(&[3, 2], 62)], |tape, x| {
        x[0].gather(0, tape.constant([[2.0, 2.0], [0.0, 2.0]])).exp()
    }));
    cases.push(case("gather by an index that is broadcast", vec![real(&[2, 3], 63)], |tape, x| {
        x[0].gather(1, tape.constant([[2.0, 2.0]]))
    }));
    cases.push(case("gather from a value that is broadcast", vec![real(&[1, 3], 64)], |tape, x| {
        x[0].gather(1, tape.constant([[0.0, 2.0], [1.0, 1.0]]))
    }));
    cases.push(case("gather by an index on a plate", vec![real(&[3], 65)], |tape, x| {
        let index = tape.constant([[0.0], [2.0]]).event_to_plate(two_plates(tape)[0]);
        x[0].gather(0, index).square()
    }));
    cases.push(case("gather from a plate", vec![real(&[2, 3], 66)], |tape, x| {
        x[0].event_to_plate(two_plates(tape)[0]).gather(0, tape.constant([2.0, 1.0, 2.0]))
    }));
    cases.push(case("gather from one plate by an index on another", vec![real(&[2, 3], 67)], |tape, x| {
        let [outer, inner] = two_plates(tape);
        let index = tape.constant([[0.0, 1.0], [2.0, 2.0], [0.0, 0.0]]).event_to_plate(inner);
        x[0].event_to_plate(outer).gather(-1, index)
    }));
    cases.push(case("one_hot of argmax", vec![real(&[2, 3], 68)], |_, x| x[0] * x[0].argmax(1).one_hot(3)));
    cases
}

pub(crate) fn order_cases() -> Vec<Case> {
    type Sorted = for<'t> fn(Var<'t, f64>, isize) -> Var<'t, f64>;
    let sorts: [(&str, Sorted); 4] = [
        ("sort", |x, axis| x.sort(axis, Order::Ascending).0),
        ("sort, descending", |x, axis| x.sort(axis, Order::Descending).0.cumsum(axis)),
        ("topk", |x, axis| x.topk(axis, 2).0),
        ("sort with positions", |x, axis| {
            let (values, positions) = x.sort(axis, Order::Ascending);
            values * positions + x.argsort(axis, Order::Descending) * x
        }),
    ];
    let mut cases = Vec::new();
    for (name, sort) in sorts {
        for axis in 0..3 {
            cases.push(case(format!("{name} {axis}"), vec![real(&[3, 4, 2], 70)], move |_, x| sort(x[0], axis)));
        }
        cases.push(case(format!("{name} on two plates"), vec![real(&[2, 3, 4], 71)], move |tape, x| {
            let [outer, inner] = two_plates(tape);
            sort(x[0].event_to_plate(outer).event_to_plate(inner), -1)
        }));
        cases.push(case(format!("{name} of a product over a plate"), vec![real(&[4], 72), real(&[2], 73)], {
            move |tape, x| sort(x[0] * x[1].event_to_plate(two_plates(tape)[0]), 0).sin()
        }));
    }
    cases
}

fn index<'t>(tape: &'t Tape<f64>, shape: &[usize]) -> Var<'t, f64> {
    tape.constant(Tensor::from_fn(shape, |i| ((i * 5 + 2) % 4) as f64))
}

pub(crate) fn lookup_cases() -> Vec<Case> {
    vec![
        case("lookup", vec![real(&[4, 3], 80)], move |tape, x| x[0].lookup(index(tape, &[2, 5]))),
        case("lookup of one", vec![real(&[4, 3], 81)], move |tape, x| x[0].lookup(index(tape, &[]))),
        case("lookup of nothing", vec![real(&[4, 3], 82)], move |tape, x| x[0].lookup(index(tape, &[0]))),
        case("lookup of width 1", vec![real(&[4, 1], 83)], move |tape, x| x[0].lookup(index(tape, &[1, 3]))),
        case("lookup on two plates", vec![real(&[4, 3], 84)], move |tape, x| {
            let [outer, inner] = two_plates(tape);
            x[0].lookup(index(tape, &[2, 3, 2]).event_to_plate(outer).event_to_plate(inner)).tanh()
        }),
        case("lookup of rows of a sum", vec![real(&[4, 3], 85)], move |tape, x| {
            let [outer, _] = two_plates(tape);
            x[0].square().lookup(index(tape, &[2]).event_to_plate(outer)).sum()
        }),
        case("lookup in tables on a plate", vec![real(&[2, 4, 3], 86)], move |tape, x| {
            x[0].event_to_plate(two_plates(tape)[0]).lookup(index(tape, &[3])).exp()
        }),
        case("lookup in tables on one plate at positions on another", vec![real(&[2, 4, 3], 87)], move |tape, x| {
            let [outer, inner] = two_plates(tape);
            x[0].event_to_plate(outer).lookup(index(tape, &[3, 2]).event_to_plate(inner))
        }),
        case("lookup in tables on the plates of the positions", vec![real(&[2, 4, 3], 88)], move |tape, x| {
            let [outer, _] = two_plates(tape);
            x[0].event_to_plate(outer).lookup(index(tape, &[2, 3]).event_to_plate(outer)).square()
        }),
        case("lookups and a product", vec![real(&[4, 3], 89), real(&[3, 2], 90)], move |tape, x| {
            x[0].lookup(index(tape, &[5])).matmul(x[1]).tanh() * x[0].lookup(index(tape, &[5])).sum()
        }),
        case("scatter", vec![real(&[2, 4], 91), real(&[2, 3], 92)], |tape, x| {
            x[0].scatter(1, tape.constant([[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]]), x[1]).sin()
        }),
        case("scatter along the first axis", vec![real(&[4, 2], 93), real(&[3, 2], 94)], |tape, x| {
            x[0].scatter(0, tape.constant([[0.0], [3.0], [0.0]]), x[1]) * x[0]
        }),
        case("scatter on plates", vec![real(&[2, 4], 95), real(&[3], 96)], |tape, x| {
            let [outer, inner] = two_plates(tape);
            let index = tape.constant([[0.0, 3.0, 0.0], [1.0, 1.0, 1.0], [2.0, 0.0, 2.0]]).event_to_plate(inner);
            x[0].event_to_plate(outer).scatter(0, index, x[1])
        }),
        case("scatter_add", vec![real(&[2, 4], 97), real(&[2, 3], 98)], |tape, x| {
            x[0].scatter_add(1, tape.constant([[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]]), x[1]).square()
        }),
        case("scatter of nothing", vec![real(&[2, 4], 99)], |tape, x| {
            let nothing = tape.constant(Tensor::zeros([2, 0]));
            x[0].scatter(1, nothing, nothing) + x[0].scatter_add(1, nothing, nothing)
        }),
        case("xlogy", vec![real(&[3, 2], 100), positive(&[2], 101)], |_, x| x[0].xlogy(x[1])),
        case("xlogy on plates", vec![real(&[2, 2], 102), positive(&[3, 1], 103)], |tape, x| {
            let [outer, inner] = two_plates(tape);
            x[0].event_to_plate(outer).xlogy(x[1].event_to_plate(inner))
        }),
    ]
}

#[test]
fn elements_in_order() {
    check(order_cases());
}

#[test]
fn lookups_and_scatters() {
    check(lookup_cases());
}

#[test]
fn changes_of_shape() {
    check(shape_cases());
}
