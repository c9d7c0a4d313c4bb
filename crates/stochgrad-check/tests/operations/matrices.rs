//! Products, factorisations and triangular systems of matrices.

use crate::cases::{Case, case, check, real, rows, two_plates};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

pub(crate) fn matmul_cases() -> Vec<Case> {
    let forms: [(&str, &[usize], &[usize]); 13] = [
        ("matrix, weights", &[2, 3], &[3, 4]),
        ("row, weights", &[3], &[3, 4]),
        ("matrix, column", &[2, 3], &[3]),
        ("row, column", &[3], &[3]),
        ("batch of matrices, weights", &[2, 2, 3], &[3, 2]),
        ("batch of matrices, column", &[2, 2, 3], &[3]),
        ("batch, batch", &[2, 2, 3], &[2, 3, 2]),
        ("batch, broadcast batch", &[2, 1, 2, 3], &[3, 3, 2]),
        ("matrix, batch", &[2, 3], &[2, 3, 2]),
        ("row, batch", &[3], &[2, 3, 2]),
        ("batch of one, batch", &[1, 2, 3], &[2, 3, 2]),
        ("batch, batch of one", &[2, 2, 3], &[1, 3, 2]),
        ("one by one", &[1, 1], &[1, 1]),
    ];
    type Placed = for<'t> fn(&'t Tape<f64>, Var<'t, f64>, Var<'t, f64>) -> (Var<'t, f64>, Var<'t, f64>);
    let places: [(&str, &[usize], &[usize], Placed); 6] = [
        ("no plates", &[], &[], |_, a, b| (a, b)),
        ("left on a plate", &[2], &[], |tape, a, b| (a.event_to_plate(two_plates(tape)[0]), b)),
        ("right on a plate", &[], &[2], |tape, a, b| (a, b.event_to_plate(two_plates(tape)[0]))),
        ("both on a plate", &[2], &[2], |tape, a, b| {
            let [outer, _] = two_plates(tape);
            (a.event_to_plate(outer), b.event_to_plate(outer))
        }),
        ("on different plates", &[2], &[3], |tape, a, b| {
            let [outer, inner] = two_plates(tape);
            (a.event_to_plate(outer), b.event_to_plate(inner))
        }),
        ("left on two plates", &[2, 3], &[], |tape, a, b| {
            let [outer, inner] = two_plates(tape);
            (a.event_to_plate(outer).event_to_plate(inner), b)
        }),
    ];
    let mut cases = Vec::new();
    for (form, left, right) in forms {
        for (place, before_left, before_right, placed) in places {
            let shape =
                |before: &[usize], event: &[usize]| -> Vec<usize> { before.iter().chain(event).copied().collect() };
            let inputs = vec![real(&shape(before_left, left), 40), real(&shape(before_right, right), 41)];
            cases.push(case(format!("matmul of {form}, {place}"), inputs, move |tape, x| {
                let (a, b) = placed(tape, x[0], x[1]);
                a.matmul(b)
            }));
        }
    }
    cases.push(case(
        "two layers",
        vec![real(&[4, 3], 42), real(&[3, 3], 43), real(&[3], 44), real(&[3, 2], 45)],
        |tape, x| {
            let batch = x[0].event_to_plate(rows(tape, 4));
            (batch.matmul(x[1]) + x[2]).tanh().matmul(x[3])
        },
    ));
    cases.push(case("weights transposed", vec![real(&[4, 3], 46), real(&[2, 3], 47)], |_, x| {
        x[0].matmul(x[1].transpose())
    }));
    cases
        .push(case("a matrix with itself", vec![real(&[3, 3], 48)], |_, x| x[0].matmul(x[0]).matmul(x[0].transpose())));
    cases
}

#[test]
fn matrix_products() {
    check(matmul_cases());
}

pub(crate) fn matrix_cases() -> Vec<Case> {
    // A positive definite matrix for any `x`.
    fn definite<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        x.matmul(x.transpose()) + x.tape().constant(Tensor::eye(x.shape()[x.shape().len() - 1]))
    }
    vec![
        case("cholesky", vec![real(&[3, 3], 350)], |_, x| definite(x[0]).cholesky()),
        case("cholesky of many", vec![real(&[2, 2, 2], 351)], |tape, x| {
            definite(x[0].event_to_plate(rows(tape, 2))).cholesky()
        }),
        case("triangular_solve", vec![real(&[3, 3], 352), real(&[3, 2], 353)], |_, x| {
            definite(x[0]).cholesky().triangular_solve(x[1])
        }),
        case("transposed_triangular_solve", vec![real(&[3, 3], 354), real(&[3, 2], 355)], |_, x| {
            definite(x[0]).cholesky().transposed_triangular_solve(x[1])
        }),
        case("triangular_solve, broadcast", vec![real(&[2, 2], 356), real(&[3, 2, 1], 357)], |tape, x| {
            definite(x[0]).cholesky().triangular_solve(x[1].event_to_plate(rows(tape, 3)))
        }),
        case("triangular_solve with many triangles", vec![real(&[3, 2, 2], 358), real(&[2, 2], 359)], |_, x| {
            definite(x[0]).cholesky().triangular_solve(x[1])
        }),
        case("diagonals and triangles", vec![real(&[2, 3, 3], 360)], |_, x| {
            x[0].lower_triangle() * x[0] + x[0].diagonal().to_diagonal()
        }),
    ]
}

#[test]
fn matrices() {
    check(matrix_cases());
    let tape = Tape::<f64>::new();
    let error = tape.constant([[1.0, 2.0], [2.0, 1.0]]).cholesky().peek().unwrap_err().to_string();
    assert!(error.contains("positive definite") && error.contains("row 1"), "{error}");
}
