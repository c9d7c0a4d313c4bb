//! Changes of shape: slices, permutations, concatenations and gathers.

use crate::cases::{Case, case, check, real, two_plates};
use stochgrad_tape::Var;

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

#[test]
fn changes_of_shape() {
    check(shape_cases());
}
