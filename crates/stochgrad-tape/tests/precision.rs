//! Both precisions, and literals of either in expressions.

use stochgrad_tape::{IntoTensor, IntoVar, Tape, Var};
use stochgrad_tensor::{Real, Tensor};

#[test]
fn literals_of_both_precisions_mix_with_single_precision() {
    let tape = Tape::<f32>::new();
    let x = tape.parameter([1.5_f32, -2.0]);
    let value = |var: Var<'_, f32>| var.peek().unwrap().to_vec();
    assert_eq!(value(x + 0.25_f32), value(x + 0.25_f64));
    assert_eq!(value(x + 0.25_f32), [1.75, -1.75]);
    assert_eq!(value(x + 0.25_f32), value(0.25 + x));
    assert_eq!(value(x - 0.5_f32), [1.0, -2.5]);
    assert_eq!(value(0.5 - x), [-1.0, 2.5]);
    assert_eq!(value(x * 2.0_f32), value(2.0_f64 * x));
    assert_eq!(value(x / 2.0_f32), [0.75, -1.0]);
    assert_eq!(value(x / 2.0_f64), [0.75, -1.0]);
    assert_eq!(value(3.0 / x), [2.0, -1.5]);
    assert_eq!(value(-x), [-1.5, 2.0]);
    assert_eq!(value(0.1_f64 * x)[0], 0.1_f32 * 1.5);
    assert_eq!(value(0.5.into_var(&tape) + x), [2.0, -1.5]);
}

#[test]
fn literals_mix_with_double_precision() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([1.5, -2.0]);
    let value = |var: Var<'_, f64>| var.peek().unwrap().to_vec();
    assert_eq!(value(x + 0.25), [1.75, -1.75]);
    assert_eq!(value(0.5 - x), [-1.0, 2.5]);
    assert_eq!(value(x - 0.5), [1.0, -2.5]);
    assert_eq!(value(2.0 * x), [3.0, -4.0]);
    assert_eq!(value(x / 2.0), [0.75, -1.0]);
    assert_eq!(value(3.0 / x), [2.0, -1.5]);
    let y = tape.parameter([4.0, 8.0]);
    assert_eq!(value(x + y), [5.5, 6.0]);
    assert_eq!(value(x - y), [-2.5, -10.0]);
    assert_eq!(value(x * y), [6.0, -16.0]);
    assert_eq!(value(x / y), [0.375, -0.25]);
}

#[test]
fn literals_become_tensors_of_the_precision_of_the_tape() {
    fn check<F: Real>() {
        let tape = Tape::<F>::new();
        let expected = Tensor::from_fn([2], |i| F::from_f64([1.0, 2.5][i]));
        let borrowed: &[f64; 2] = &[1.0, 2.5];
        let forms = [
            tape.constant([1.0, 2.5]),
            tape.constant(borrowed),
            tape.constant(vec![1.0, 2.5]),
            tape.constant([1.0, 2.5].as_slice()),
            tape.constant(&expected),
            tape.constant(expected.clone()),
        ];
        for form in forms {
            assert_eq!(form.peek().unwrap(), expected);
        }
        let matrix = tape.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(matrix.peek().unwrap(), Tensor::from_fn([2, 3], |i| F::from_usize(i + 1)));
        assert_eq!(tape.constant(7.0).peek().unwrap(), Tensor::scalar(F::from_f64(7.0)));
        assert_eq!(IntoTensor::<F>::into_tensor([1.0, 2.5]), expected);
    }
    check::<f32>();
    check::<f64>();
    let tape = Tape::<f32>::new();
    for form in
        [tape.constant([1.0_f32, 2.5]), tape.constant(vec![1.0_f32, 2.5]), tape.constant([1.0_f32, 2.5].as_slice())]
    {
        assert_eq!(form.peek().unwrap(), Tensor::from([1.0_f32, 2.5]));
    }
    assert_eq!(tape.constant(7.0_f32).peek().unwrap(), Tensor::scalar(7.0_f32));
}

/// A function that uses many derivative rules.
fn function<'t, F: Real>(x: Var<'t, F>, w: Var<'t, F>) -> Var<'t, F> {
    let hidden = x.matmul(w).tanh() + 0.1;
    let logits = hidden.log_softmax(-1) * hidden.softplus();
    logits.logsumexp(0).square().sum() + (hidden / (x.square().sum() + 1.0)).max()
}

fn derivatives<F: Real>() -> (Vec<f64>, Vec<f64>) {
    let tape = Tape::<F>::new();
    let x = tape.parameter([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]]);
    let w = tape.parameter([[0.5, -0.1], [0.3, 0.8], [-0.6, 0.4]]);
    let y = function(x, w);
    let wide = |tensors: Vec<Tensor<F>>| -> Vec<f64> {
        tensors.iter().flat_map(|t| t.as_slice().iter().map(|x| x.to_f64())).collect()
    };
    let first = tape.backward_all(y, &[x, w]).unwrap();
    let second = tape.hessian_vector_product(y, &[x, w], &[x.exp(), w.cos()]).unwrap();
    (wide(first), wide(second))
}

#[test]
fn single_precision_agrees_with_double() {
    let (first, second) = derivatives::<f32>();
    let (exact_first, exact_second) = derivatives::<f64>();
    assert_eq!(first.len(), 12);
    for (found, expected) in first.iter().zip(&exact_first).chain(second.iter().zip(&exact_second)) {
        assert!((found - expected).abs() < 2e-5 * (1.0 + expected.abs()), "{found}, not {expected}");
    }
    assert!(first.iter().zip(&exact_first).any(|(found, expected)| found != expected));
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = |tape: Tape<f64>| {
        let x = tape.parameter(Tensor::from_fn([300, 64], |i| (i as f64 * 0.37).sin()));
        let w = tape.parameter(Tensor::from_fn([64, 80], |i| (i as f64 * 0.73).cos()));
        let y = (x.matmul(w).softplus() * 0.01).log_softmax(-1).square().sum();
        tape.backward(y, [x, w]).unwrap()
    };
    assert_eq!(run(Tape::new()), run(Tape::with_threads(4)));
}
