//! Derivatives of second and third order, compared with exact ones, and derivatives at infinity.

use stochgrad_tape::{PlateKind, Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::map::Map;

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-12 * (1.0 + expected.abs())
}

/// The value and the first derivatives of a function of one variable.
fn orders(count: usize, at: f64, function: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Vec<f64> {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(at);
    let mut y = function(x);
    let mut found = vec![y.peek().unwrap().item().unwrap()];
    for _ in 0..count {
        [y] = tape.grad(y, [x]).unwrap();
        found.push(y.peek().unwrap().item().unwrap());
    }
    found
}

fn assert_orders(name: &str, found: &[f64], expected: &[f64]) {
    for (order, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(close(found, expected), "{name}, order {order}: {found}, not {expected}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn powers_to_the_end() {
    let x = 1.3_f64;
    let expected = [x.powi(5), 5.0 * x.powi(4), 20.0 * x.powi(3), 60.0 * x * x, 120.0 * x, 120.0, 0.0];
    assert_orders("powf", &orders(6, x, |x| x.powf(5.0)), &expected);
    assert_orders("products", &orders(6, x, |x| x * x * x * x * x), &expected);
    assert_orders("squares", &orders(6, x, |x| x.square().square() * x), &expected);
    assert_orders("quotient", &orders(3, x, |x| x.powf(7.0) / x.square()), &expected[..4]);
}

#[test]
fn exponentials_and_logarithms() {
    let x = 0.6_f64;
    assert_orders("exp", &orders(4, x, |x| x.exp()), &[x.exp(); 5]);
    assert_orders("expm1", &orders(3, x, |x| x.expm1()), &[x.exp_m1(), x.exp(), x.exp(), x.exp()]);
    assert_orders(
        "ln",
        &orders(4, x, |x| x.ln()),
        &[x.ln(), 1.0 / x, -1.0 / x.powi(2), 2.0 / x.powi(3), -6.0 / x.powi(4)],
    );
    let s = 1.0 / (1.0 + (-x).exp());
    let slope = s * (1.0 - s);
    let sigmoid = [s, slope, slope * (1.0 - 2.0 * s), slope * (1.0 - 6.0 * s + 6.0 * s * s)];
    assert_orders("sigmoid", &orders(3, x, |x| x.sigmoid()), &sigmoid);
    assert_orders("softplus", &orders(4, x, |x| x.softplus())[1..], &sigmoid);
    assert_orders("log-sum-exp", &orders(4, x, |x| Var::stack(&[x, x * 0.0]).unwrap().logsumexp(0))[1..], &sigmoid);
    assert_orders("softmax", &orders(3, x, |x| Var::stack(&[x, x * 0.0]).unwrap().softmax(0).index(0, 0)), &sigmoid);
}

/// With l = t² and c = t³, all derivatives of box(l)·c follow from those of exp(l − l₀)·c at t₀.
#[test]
fn products_of_boxes() {
    let t = 0.8_f64;
    let (l1, l2) = (2.0 * t, 2.0);
    let b = [1.0, l1, l1 * l1 + l2, l1.powi(3) + 3.0 * l1 * l2];
    let c = [t.powi(3), 3.0 * t * t, 6.0 * t, 6.0];
    let product = [
        c[0],
        b[1] * c[0] + c[1],
        b[2] * c[0] + 2.0 * b[1] * c[1] + c[2],
        b[3] * c[0] + 3.0 * b[2] * c[1] + 3.0 * b[1] * c[2] + c[3],
    ];
    assert_orders("box", &orders(3, t, |t| t.square().magic_box()), &b);
    assert_orders("box times cost", &orders(3, t, |t| t.square().magic_box() * t.powf(3.0)), &product);
    assert_orders("box minus 1", &orders(3, t, |t| (t.square().magic_box() - 1.0) * t.powf(3.0))[1..], &{
        let rest: Vec<f64> = product[1..].iter().zip(&c[1..]).map(|(product, c)| product - c).collect();
        rest
    });
    let joint = orders(3, t, |t| (t.square() + t.sin()).magic_box() * t.exp());
    let split = orders(3, t, |t| t.square().magic_box() * t.sin().magic_box() * t.exp());
    assert_orders("two boxes", &split, &joint);
    assert_orders(
        "a box of a stopped value",
        &orders(2, t, |t| t.stop_gradient().magic_box() * t.square()),
        &[t * t, 2.0 * t, 2.0],
    );
}

#[test]
fn the_product_with_the_hessian_is_exact() {
    // f(x, y) = x₀²x₁ + x₁y³ + exp(x₀ y), for x with two elements and a scalar y.
    let (a, b, y) = (0.7_f64, -1.2, 0.9);
    let e = (a * y).exp();
    let hessian = [
        [2.0 * b + y * y * e, 2.0 * a, (1.0 + a * y) * e],
        [2.0 * a, 0.0, 3.0 * y * y],
        [(1.0 + a * y) * e, 3.0 * y * y, 6.0 * b * y + a * a * e],
    ];
    let tape = Tape::<f64>::new();
    let x = tape.parameter([a, b]);
    let z = tape.parameter(y);
    let (x0, x1) = (x.index(0, 0), x.index(0, 1));
    let f = x0.square() * x1 + x1 * z.powf(3.0) + (x0 * z).exp();
    for direction in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, -2.0, 1.7]] {
        let along = [tape.constant([direction[0], direction[1]]), tape.constant(direction[2])];
        let product = tape.hessian_vector_product(f, &[x, z], &along).unwrap();
        let found = [product[0].as_slice()[0], product[0].as_slice()[1], product[1].as_slice()[0]];
        for (row, found) in hessian.iter().zip(found) {
            let expected: f64 = row.iter().zip(&direction).map(|(h, d)| h * d).sum();
            assert!(close(found, expected), "{direction:?}: {found}, not {expected}");
        }
    }
}

#[test]
fn the_hessian_of_a_value_on_a_plate() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
    let x = tape.constant_on(&[plate], [[0.5, 1.0], [-0.3, 2.0], [0.8, -1.0]]);
    let direction = tape.constant_on(&[plate], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let f = x.powf(4.0).sum().mean_over(plate);
    let [product] = <[Tensor<f64>; 1]>::try_from(tape.hessian_vector_product(f, &[x], &[direction]).unwrap()).unwrap();
    let (x, direction) = (x.peek().unwrap(), direction.peek().unwrap());
    assert_eq!(product.shape(), x.shape());
    for ((&found, &x), &d) in product.as_slice().iter().zip(x.as_slice()).zip(direction.as_slice()) {
        assert!(close(found, 4.0 * x * x * d), "{found}");
    }
}

#[test]
fn a_vector_jacobian_product_is_the_gradient_of_the_weighted_sum() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
    let x = tape.parameter([0.3, -0.8]);
    let y = x.exp().event_to_plate(plate) * x;
    let adjoint = tape.constant_on(&[plate], [[1.0, 2.0], [3.0, 4.0]]);
    let product = tape.vector_jacobian_product(y, adjoint, &[x]).unwrap();
    let [expected] = tape.grad((y * adjoint).sum().sum_over(plate), [x]).unwrap();
    assert_eq!(product[0].peek().unwrap(), expected.peek().unwrap());
}

#[test]
fn variables_that_the_output_does_not_depend_on_get_zeros() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
    let (x, aside) = (tape.parameter(0.5), tape.constant_on(&[plate], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    let y = x.exp();
    let later = tape.parameter([1.0, 2.0]);
    let [of_x, of_aside, of_later, of_y, again] = tape.backward(y, [x, aside, later, y, x]).unwrap();
    assert_eq!((of_x.to_vec(), of_y.to_vec()), (vec![0.5_f64.exp()], vec![1.0]));
    assert_eq!((of_aside, of_later), (Tensor::zeros([2, 3]), Tensor::zeros([2])));
    assert_eq!(of_x, again);
    let constant = tape.constant(2.0);
    assert_eq!(tape.backward(constant, [x]).unwrap(), [Tensor::scalar(0.0)]);
}

#[test]
fn gradients_of_values_in_the_middle() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.5, 0.2]);
    let h = x.sin();
    let y = (h * h * x).sum();
    let [of_h, of_x] = tape.backward(y, [h, x]).unwrap();
    for i in 0..2 {
        let (x, h) = (x.peek().unwrap().as_slice()[i], h.peek().unwrap().as_slice()[i]);
        assert!(close(of_h.as_slice()[i], 2.0 * h * x));
        assert!(close(of_x.as_slice()[i], h * h + 2.0 * h * x * x.cos()));
    }
}

#[test]
fn an_output_of_one_element_and_several_axes() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([[3.0]]);
    let y = tape.parameter(2.0);
    let z = x.square() * y;
    assert_eq!(z.shape()[..], [1, 1]);
    let [dx, dy] = tape.backward(z, [x, y]).unwrap();
    assert_eq!((dx, dy), (Tensor::from([[12.0]]), Tensor::scalar(9.0)));
    assert_eq!(tape.hessian_vector_product(z, &[x], &[tape.constant([[1.0]])]).unwrap(), [Tensor::from([[4.0]])]);
}

#[test]
fn a_guard_passes_slopes_at_infinity_and_a_clamp_does_not() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([f64::NEG_INFINITY, 0.5, f64::INFINITY]);
    for (map, outside) in [(Map::Guard(1e30), 1.0), (Map::Clamp(-1e30, 1e30), 0.0)] {
        let y = x.map(map);
        assert_eq!(y.peek().unwrap().to_vec(), [-1e30, 0.5, 1e30]);
        let [slope] = tape.backward(y.sum(), [x]).unwrap();
        assert_eq!(slope.to_vec(), [outside, 1.0, outside]);
    }
}
