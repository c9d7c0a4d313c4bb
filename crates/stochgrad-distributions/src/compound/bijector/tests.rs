use super::*;
use stochgrad_tape::Tape;

fn maps(tape: &Tape<f64>) -> Vec<(Bijector<Var<'_, f64>>, Vec<f64>)> {
    let number = |map| (map, vec![0.7]);
    vec![
        number(Bijector::affine(tape.parameter(0.3), -1.7)),
        number(Bijector::Exp),
        number(Bijector::Sigmoid),
        number(Bijector::Softplus),
        number(Bijector::Tanh),
        number(Bijector::Power(tape.parameter(-1.3))),
        number(Bijector::Exp.inverted()),
        number(Bijector::chain([
            Bijector::Softplus,
            Bijector::affine(tape.parameter(1.0), 2.0),
            Bijector::Exp.inverted(),
        ])),
        (Bijector::SoftmaxCentred, vec![0.3, -1.2, 0.8]),
        (Bijector::StickBreaking, vec![0.3, -1.2, 0.8]),
        (Bijector::LowerCholesky, vec![0.3, -1.2, 0.8, 0.1, 2.0, -0.4]),
        (Bijector::chain([Bijector::affine(tape.parameter(0.5), 3.0), Bijector::StickBreaking]), vec![0.3, -0.2]),
    ]
}

/// The determinant by elimination.
fn log_determinant(mut matrix: Vec<Vec<f64>>) -> f64 {
    let n = matrix.len();
    let mut log = 0.0;
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| matrix[a][i].abs().total_cmp(&matrix[b][i].abs())).unwrap();
        matrix.swap(i, pivot);
        log += matrix[i][i].abs().ln();
        let (above, below) = matrix.split_at_mut(i + 1);
        let pivot = &above[i];
        for row in below {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(pivot).skip(i).for_each(|(x, above)| *x -= factor * above);
        }
    }
    log
}

#[test]
fn inverses_invert_and_slopes_are_determinants() {
    let tape = Tape::<f64>::new();
    for (map, values) in maps(&tape) {
        let (before, after) = map.element_ranks();
        let x = if before == 0 { tape.parameter(values[0]) } else { tape.parameter(values.as_slice()) };
        let y = map.forward(x);
        assert_eq!(y.shape(), map.output_shape(&x.shape()), "{map:?}");
        assert_eq!(y.shape().len(), after);
        let back = map.inverse(y).peek().unwrap();
        for (back, value) in back.as_slice().iter().zip(&values) {
            assert!((back - value).abs() < 1e-12, "{map:?}: {back} and {value}");
        }
        // The coordinates that vary freely: a simplex has one less, a triangle those below the diagonal.
        let n = values.len();
        let flat = y.reshape([y.shape().iter().product::<usize>()]);
        let free: Vec<usize> = match after {
            2 => (0..3).flat_map(|row| (0..=row).map(move |column| row * 3 + column)).collect(),
            _ => (0..n).collect(),
        };
        let jacobian: Vec<Vec<f64>> =
            free.iter().map(|&row| tape.grad(flat.index(0, row), [x]).unwrap()[0].peek().unwrap().to_vec()).collect();
        let slope = map.log_slope(x).item().unwrap();
        assert!((slope - log_determinant(jacobian)).abs() < 1e-11, "{map:?}: {slope}");
        let inverted = map.clone().inverted();
        assert!((inverted.log_slope(y).item().unwrap() + slope).abs() < 1e-10, "{map:?}");
        assert_eq!(inverted.output_shape(&y.shape()), x.shape(), "{map:?}");
    }
}

#[test]
fn simplices_sum_to_one_and_extremes_are_finite() {
    let tape = Tape::<f64>::new();
    for map in [Bijector::SoftmaxCentred, Bijector::StickBreaking] {
        for values in [[0.0, 0.0], [30.0, -30.0], [-40.0, 40.0], [1e-9, 600.0]] {
            let x = tape.parameter(values);
            let y = map.forward(x).peek().unwrap();
            assert!((y.as_slice().iter().sum::<f64>() - 1.0).abs() < 1e-13, "{map:?}: {y:?}");
            let slope = map.log_slope(x);
            assert!(slope.item().unwrap().is_finite());
            assert!(tape.backward(slope, [x]).unwrap()[0].all_finite());
        }
    }
    let equal = Bijector::StickBreaking.forward(tape.constant([0.0, 0.0, 0.0])).peek().unwrap();
    assert!(equal.as_slice().iter().all(|share| (share - 0.25).abs() < 1e-15));
    for map in [Bijector::Exp, Bijector::Sigmoid, Bijector::Softplus, Bijector::Tanh] {
        for value in [-300.0, -20.0, 1e-9, 20.0, 300.0] {
            let x = tape.parameter(value);
            let slope = map.log_slope(x);
            assert!(slope.item().unwrap().is_finite(), "{map:?} at {value}");
            assert!(tape.backward(slope, [x]).unwrap()[0].all_finite());
        }
    }
}

/// Inverting twice is the identity, and a chain grows without nesting: no operation depends on a depth.
#[test]
fn inverses_and_chains_do_not_nest() {
    let tape = Tape::<f64>::new();
    let mut map = Bijector::chain([Bijector::Exp, Bijector::affine(tape.constant(1.0), 2.0)]);
    for _ in 0..200_000 {
        map = map.inverted();
    }
    assert!((map.forward(tape.constant(0.0)).item().unwrap() - 3.0).abs() < 1e-15);
    let mut map = Bijector::Exp;
    for _ in 0..200_001 {
        map = map.inverted();
    }
    assert_eq!(map.forward(tape.constant(1.0)).item().unwrap(), 0.0);
    assert!(matches!(map.inverted(), Bijector::Exp));

    let mut map = Bijector::chain([]);
    for _ in 0..50_000 {
        map = Bijector::chain([map, Bijector::Exp, Bijector::Exp.inverted()]);
        map = Bijector::chain([map]);
    }
    let copy = map.clone();
    assert!(format!("{copy:?}").len() > 100_000);
    let y = map.forward(tape.constant(0.5));
    assert!((y.item().unwrap() - 0.5).abs() < 1e-9);
    assert!((copy.inverted().forward(y).item().unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(map.output_shape(&Shape::scalar()), Shape::scalar());
}
