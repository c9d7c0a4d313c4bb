//! Operations whose derivative is by design not that of their value.

use crate::cases::{Case, case, real, rows};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_tape::{Attempt, NoiseSeed, PlateKind, Sampler, Slot, Tape, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Shape, Tensor};

/// Uniform values between 0 and the parameter.
struct Scaled;

impl Sampler<f64> for Scaled {
    fn name(&self) -> &str {
        "scaled"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, f64>) {
        let mut uniform = [0.0; Attempt::<f64>::LARGEST];
        attempt.uniform(0, &mut uniform[..attempt.len()]);
        for (element, &uniform) in uniform.iter().enumerate().take(attempt.len()) {
            attempt.values[element] = uniform * attempt.parameter(0)[element];
            attempt.rejected[element] = false;
        }
    }
}

/// Operations whose derivative is by design not that of their value. The tests below check them.
pub(crate) fn control_cases() -> Vec<Case> {
    vec![
        case("stop_gradient", vec![real(&[2], 106)], |_, x| x[0].stop_gradient() * x[0]),
        case("dot on crossed plates", vec![real(&[2, 3], 113), real(&[4, 3], 114)], |tape, x| {
            let [rows, columns] = [2, 4].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
            x[0].event_to_plate(rows).dot(x[1].sin().event_to_plate(columns))
        }),
        case("dot with a common plate", vec![real(&[2, 3, 2], 115), real(&[4, 3, 2], 116)], |tape, x| {
            let [rows, common, columns] = [2, 3, 4].map(|size| tape.plate("plate", size, PlateKind::Data, &[]));
            let left = x[0].event_to_plate(rows).event_to_plate(common);
            let right = x[1].event_to_plate(columns).event_to_plate(common);
            right.dot(left * left) * left.sum()
        }),
        case("drawn", vec![real(&[2], 112)], |_, x| x[0].drawn() * x[0]),
        case("held", vec![real(&[2], 117)], |_, x| x[0].held() * x[0]),
        case("magic_box", vec![real(&[2], 107)], |_, x| x[0].magic_box()),
        case("straight_through", vec![real(&[2], 108)], |_, x| x[0].step().straight_through(x[0].sigmoid())),
        case("noise", vec![real(&[2], 109)], |tape, x| {
            let plate = tape.plate("samples", 3, PlateKind::Samples, &[]);
            let noise = tape.noise(NoiseSeed::default(), Fill::Normal, 1, &[plate], &Shape::from([2])).unwrap();
            (x[0] * noise).sin()
        }),
        case("draw", vec![real(&[2], 118)], |tape, x| {
            let plate = tape.plate("samples", 3, PlateKind::Samples, &[]);
            let bound = tape.constant([0.5, 2.0]);
            let draw = tape.draw(NoiseSeed::default(), Arc::new(Scaled), 1, &[bound], &[plate], &Shape::from([2]));
            (x[0] * draw.unwrap()).sin()
        }),
        case("categories", vec![real(&[2, 3], 111)], |tape, x| {
            let uniforms = tape.constant([0.2, 0.9]);
            x[0] * x[0].softmax(-1).categories(uniforms).one_hot(3)
        }),
        case("slot", vec![real(&[2], 110)], |tape, x| (x[0] * tape.slot(&Slot::new("slot", [], [1.5]))).exp()),
    ]
}

/// First, second and third derivatives of the weighted total along the direction of all ones.
fn derivatives<G>(inputs: &[Tensor<f64>], function: G) -> Vec<Vec<f64>>
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = inputs.iter().map(|input| tape.parameter(input)).collect();
    let value = function(&tape, &vars);
    let weights = tape.constant_on(&value.plates(), real(&full_shape(&tape, value), 200));
    let mut total = (value * weights).sum();
    for plate in total.plates() {
        total = total.sum_over(plate);
    }
    let mut orders = Vec::new();
    for order in 0..3 {
        let gradients = tape.gradients(total, &vars).unwrap();
        let mut flat = vec![total.peek().unwrap().item().unwrap()];
        total = tape.constant(0.0);
        for (at, gradient) in gradients.iter().enumerate() {
            flat.extend(gradient.peek().unwrap().to_vec());
            total = total + (*gradient * (1.0 + 0.3 * at as f64)).sum();
        }
        if order > 0 {
            flat.remove(0);
        }
        orders.push(flat);
    }
    orders
}

fn full_shape(tape: &Tape<f64>, value: Var<'_, f64>) -> Vec<usize> {
    value.plates().iter().map(|&plate| tape.plate_size(plate)).chain(value.shape().iter().copied()).collect()
}

fn assert_same_derivatives(name: &str, left: &[Vec<f64>], right: &[Vec<f64>]) {
    for (order, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(left.len(), right.len(), "{name}, order {}", order + 1);
        for (element, (a, b)) in left.iter().zip(right).enumerate() {
            let close = (a - b).abs() <= 1e-10 * (1.0 + a.abs().max(b.abs()));
            assert!(close, "{name}, order {}, element {element}: {a} and {b}", order + 1);
        }
    }
}

#[test]
fn a_box_has_the_derivatives_of_a_likelihood_ratio() {
    let inputs = [real(&[2, 3], 110), real(&[3], 111)];
    let log_prob = |tape: &Tape<f64>, theta: &Tensor<f64>| -> Tensor<f64> {
        let plate = rows(tape, 2);
        (tape.constant(theta).event_to_plate(plate).sin() * 0.5).sum().peek().unwrap()
    };
    let theta = inputs[0].clone();
    let boxed = derivatives(&inputs, |tape, x| {
        let l = (x[0].event_to_plate(rows(tape, 2)).sin() * 0.5).sum();
        l.magic_box() * (x[1] * x[1]).exp()
    });
    let ratio = derivatives(&inputs, move |tape, x| {
        let plate = rows(tape, 2);
        let l = (x[0].event_to_plate(plate).sin() * 0.5).sum();
        (l - tape.constant_on(&[plate], log_prob(tape, &theta))).exp() * (x[1] * x[1]).exp()
    });
    assert_same_derivatives("box", &boxed, &ratio);
    assert!(boxed.iter().all(|order| order.iter().any(|x| x.abs() > 1e-3)));
}

#[test]
fn stopping_a_gradient_makes_a_constant() {
    let inputs = [real(&[3], 112)];
    let fixed = inputs[0].clone();
    let stopped = derivatives(&inputs, |_, x| x[0].stop_gradient() * x[0].exp());
    let constant = derivatives(&inputs, move |tape, x| tape.constant(&fixed) * x[0].exp());
    assert_same_derivatives("stop_gradient", &stopped, &constant);
}

#[test]
fn straight_through_has_the_hard_value_and_the_soft_derivative() {
    let inputs = [real(&[2, 3], 113), real(&[3], 114)];
    let tape = Tape::<f64>::new();
    let x = tape.parameter(&inputs[0]);
    assert_eq!(x.step().straight_through(x.sigmoid()).peek().unwrap(), x.step().peek().unwrap());
    for hard_on_plate in [false, true] {
        let soft_only = derivatives(&inputs, move |tape, x| {
            let plate = rows(tape, 2);
            let soft = x[1].sigmoid() * 2.0;
            let wide = if hard_on_plate { soft.expand_plates(&[plate]) } else { soft };
            wide + x[0].stop_gradient().sum() * 0.0
        });
        let through = derivatives(&inputs, move |tape, x| {
            let plate = rows(tape, 2);
            let hard = if hard_on_plate { x[0].event_to_plate(plate).step() } else { x[0].index(0, 0).step() };
            hard.straight_through(x[1].sigmoid() * 2.0)
        });
        let derivatives_only =
            |orders: &[Vec<f64>]| vec![orders[0][1..].to_vec(), orders[1].clone(), orders[2].clone()];
        assert_same_derivatives("straight_through", &derivatives_only(&through), &derivatives_only(&soft_only));
    }
    let soft_on_plate = derivatives(&inputs, |tape, x| {
        let soft = x[0].event_to_plate(rows(tape, 2)).tanh();
        x[1].step().straight_through(soft)
    });
    let soft_alone =
        derivatives(&inputs, |tape, x| x[0].event_to_plate(rows(tape, 2)).tanh() + x[1].stop_gradient() * 0.0);
    assert_same_derivatives("soft on a plate", &soft_on_plate[1..], &soft_alone[1..]);
}

#[test]
fn a_closed_sample_lets_no_gradient_through() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(0.5);
    let site = tape.new_site();
    let z = tape.sample(site, x.exp(), &[x]);
    let y = z * x;
    let [open] = tape.backward(y, [x]).unwrap();
    assert_abs_diff_eq!(open.item().unwrap(), 1.5 * 0.5_f64.exp(), epsilon = 1e-14);
    tape.set_closed(site, true);
    let [closed] = tape.backward(y, [x]).unwrap();
    assert_abs_diff_eq!(closed.item().unwrap(), 0.5_f64.exp(), epsilon = 1e-14);
}
