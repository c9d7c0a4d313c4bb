//! Convolutions, pooling and padding of images and signals.

use crate::cases::{Case, case, check, real, rows, two_plates};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::pooling::Pooling;

type Placed = for<'t> fn(&'t Tape<f64>, Var<'t, f64>, Var<'t, f64>) -> (Var<'t, f64>, Var<'t, f64>);

/// The plates of images and weights: the sizes that their shapes start with, and how they become plates.
fn places() -> [(&'static str, &'static [usize], &'static [usize], Placed); 7] {
    [
        ("no plates", &[], &[], |_, x, w| (x, w)),
        ("images on a plate", &[2], &[], |tape, x, w| (x.event_to_plate(two_plates(tape)[0]), w)),
        ("weights on a plate", &[], &[2], |tape, x, w| (x, w.event_to_plate(two_plates(tape)[0]))),
        ("both on a plate", &[2], &[2], |tape, x, w| {
            let [outer, _] = two_plates(tape);
            (x.event_to_plate(outer), w.event_to_plate(outer))
        }),
        ("different plates", &[2], &[3], |tape, x, w| {
            let [outer, inner] = two_plates(tape);
            (x.event_to_plate(outer), w.event_to_plate(inner))
        }),
        ("images on two plates, weights on the inner one", &[2, 3], &[3], |tape, x, w| {
            let [outer, inner] = two_plates(tape);
            (x.event_to_plate(outer).event_to_plate(inner), w.event_to_plate(inner))
        }),
        ("images on two plates, weights on the outer one", &[2, 3], &[2], |tape, x, w| {
            let [outer, inner] = two_plates(tape);
            (x.event_to_plate(outer).event_to_plate(inner), w.event_to_plate(outer))
        }),
    ]
}

pub(crate) fn image_cases() -> Vec<Case> {
    let plain = Convolution::new();
    let strided = plain.stride([2, 1]).padding([1, 0]);
    let spread = plain.stride([1, 2]).padding([2, 1]).dilation([2, 1]).groups(2);
    let shape = |before: &[usize], event: &[usize]| -> Vec<usize> { [before, event].concat() };
    let mut cases = Vec::new();
    for (place, before_x, before_w, placed) in places() {
        for (form, geometry, x, w) in [
            ("conv2d", strided, &[3, 3, 2][..], &[3, 2, 2, 2]),
            ("grouped conv2d", spread, &[3, 4, 2], &[2, 2, 1, 4]),
            ("pointwise conv2d", plain, &[2, 2, 3], &[1, 1, 3, 2]),
            ("conv2d with leading axes", plain, &[2, 2, 3, 1], &[2, 2, 1, 2]),
        ] {
            let inputs = vec![real(&shape(before_x, x), 600), real(&shape(before_w, w), 601)];
            cases.push(case(format!("{form}, {place}"), inputs, move |tape, x| {
                let (x, w) = placed(tape, x[0], x[1]);
                x.conv2d(w, geometry).sin()
            }));
        }
        for (form, geometry, extra, x, w) in [
            ("conv_transpose2d", strided, [1, 0], &[2, 2, 2][..], &[3, 2, 2, 2]),
            ("grouped conv_transpose2d", spread, [0, 1], &[3, 3, 4], &[2, 3, 1, 4]),
            ("pointwise conv_transpose2d", plain, [0, 0], &[2, 2, 2], &[1, 1, 3, 2]),
        ] {
            let inputs = vec![real(&shape(before_x, x), 602), real(&shape(before_w, w), 603)];
            cases.push(case(format!("{form}, {place}"), inputs, move |tape, x| {
                let (x, w) = placed(tape, x[0], x[1]);
                x.conv_transpose2d(w, geometry, extra).sin()
            }));
        }
    }
    cases.extend([
        case("conv1d", vec![real(&[5, 2], 604), real(&[3, 2, 3], 605)], |_, x| {
            x[0].conv1d(x[1], Convolution::new().stride([2]).padding([1]))
        }),
        case("conv_transpose1d", vec![real(&[2, 3, 4], 606), real(&[3, 1, 4], 607)], |tape, x| {
            let signals = x[0].event_to_plate(rows(tape, 2));
            signals.conv_transpose1d(x[1], Convolution::new().stride([3]).padding([1]).groups(2), [2])
        }),
        case(
            "two layers of convolutions and back",
            vec![real(&[2, 4, 4, 1], 608), real(&[2, 2, 1, 2], 609), real(&[2, 2, 1, 2], 610)],
            |tape, x| {
                let images = x[0].event_to_plate(rows(tape, 2));
                let geometry = Convolution::new().stride([2, 2]);
                images.conv2d(x[1], geometry).tanh().conv_transpose2d(x[2], geometry, [0, 0])
            },
        ),
        case("an image convolved with itself", vec![real(&[2, 2, 1], 611)], |_, x| {
            x[0].conv2d(x[0].unsqueeze(-1), Convolution::new().padding([1, 1]))
        }),
        case("pad", vec![real(&[2, 3], 612)], |_, x| x[0].pad(1, 2, 1).pad(0, 0, 1).square()),
    ]);
    for (name, pooling) in [
        ("windows side by side", Pooling::new([2, 2])),
        ("windows that overlap", Pooling::new([3, 2]).stride([1, 1]).padding([1, 1])),
    ] {
        cases.extend([
            case(format!("max_pool2d, {name}"), vec![real(&[2, 4, 3, 2], 613)], move |_, x| {
                x[0].max_pool2d(pooling).square()
            }),
            case(format!("max_pool2d on a plate, {name}"), vec![real(&[2, 4, 3, 2], 614)], move |tape, x| {
                x[0].event_to_plate(rows(tape, 2)).max_pool2d(pooling).sin()
            }),
            case(format!("avg_pool2d, {name}"), vec![real(&[2, 4, 3, 2], 615)], move |tape, x| {
                x[0].event_to_plate(rows(tape, 2)).avg_pool2d(pooling).square()
            }),
        ]);
    }
    cases.push(case("pooling of signals", vec![real(&[2, 7, 2], 616)], |_, x| {
        let pooling = Pooling::new([3]).stride([2]).padding([1]);
        x[0].max_pool1d(pooling) * x[0].avg_pool1d(pooling)
    }));
    cases
}

#[test]
fn images() {
    check(image_cases());
}

#[test]
fn the_derivative_of_a_maximum_flows_to_the_first_of_equal_elements() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(Tensor::from([[1.0, 2.0, 2.0, 1.0, 3.0, 3.0]]).with_shape([1, 6, 1]));
    let [dx] = tape.backward(x.max_pool2d(Pooling::new([1, 3])).sum(), [x]).unwrap();
    assert_eq!(dx.as_slice(), &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
}
