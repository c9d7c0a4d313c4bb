//! Reductions over plates, weights, and axes that move to plates and back.

use crate::cases::{Case, case, check, positive, real, two_plates};
use stochgrad_tape::{Plate, Tape, Var, Weights};
use stochgrad_tensor::zip::Zip;

fn weighted<'t>(tape: &'t Tape<f64>, plate: Plate, weights: Var<'t, f64>) {
    tape.set_weights(plate, Weights::Given { id: weights.id(), differentiable: true });
}

pub(crate) fn plate_cases() -> Vec<Case> {
    type Removal = for<'t> fn(Var<'t, f64>, Plate) -> Var<'t, f64>;
    let removals: [(&str, Removal); 6] = [
        ("sum_over", |x, plate| x.sum_over(plate)),
        ("mean_over", |x, plate| x.mean_over(plate)),
        ("log_mean_exp_over", |x, plate| x.log_mean_exp_over(plate)),
        ("deviation from the mean", |x, plate| (x - x.mean_over(plate)).square()),
        ("member", |x, plate| x.expand_plates(&[plate]).member(plate, 1)),
        ("plate_to_event", |x, plate| x.expand_plates(&[plate]).plate_to_event(plate)),
    ];
    let mut cases = Vec::new();
    for (name, remove) in removals {
        cases.push(case(name, vec![real(&[2, 3], 70)], move |tape, x| {
            let plate = two_plates(tape)[0];
            remove(x[0].event_to_plate(plate), plate)
        }));
        cases.push(case(format!("{name} of scalars"), vec![real(&[2], 71)], move |tape, x| {
            let plate = two_plates(tape)[0];
            remove(x[0].event_to_plate(plate), plate)
        }));
        cases.push(case(format!("{name} of a value that lacks the plate"), vec![real(&[3], 72)], move |tape, x| {
            remove(x[0], two_plates(tape)[0])
        }));
        for which in [0, 1] {
            cases.push(case(format!("{name}, plate {which} of two"), vec![real(&[2, 3, 2], 73)], move |tape, x| {
                let plates = two_plates(tape);
                remove(x[0].event_to_plate(plates[0]).event_to_plate(plates[1]), plates[which]).tanh()
            }));
            cases.push(case(
                format!("{name}, one plate after the other, {which} first"),
                vec![real(&[2, 3, 2], 74)],
                move |tape, x| {
                    let plates = two_plates(tape);
                    let y = remove(x[0].event_to_plate(plates[0]).event_to_plate(plates[1]), plates[which]);
                    if y.plates().contains(&plates[1 - which]) { remove(y, plates[1 - which]) } else { y }
                },
            ));
        }
        cases.push(case(
            format!("{name} with given weights"),
            vec![real(&[2, 3], 75), positive(&[2], 76)],
            move |tape, x| {
                let plate = two_plates(tape)[0];
                weighted(tape, plate, x[1].event_to_plate(plate));
                remove(x[0].event_to_plate(plate), plate)
            },
        ));
        cases.push(case(
            format!("{name} with given weights on two plates"),
            vec![real(&[3, 2], 77), positive(&[2, 3], 78)],
            move |tape, x| {
                let [outer, inner] = two_plates(tape);
                weighted(tape, inner, x[1].event_to_plate(outer).event_to_plate(inner));
                remove(x[0].event_to_plate(inner), inner)
            },
        ));
        cases.push(case(
            format!("{name} with given weights, of a value that lacks the plate"),
            vec![real(&[2], 79), positive(&[3], 80)],
            move |tape, x| {
                let [_, inner] = two_plates(tape);
                weighted(tape, inner, x[1].event_to_plate(inner));
                remove(x[0], inner)
            },
        ));
    }
    cases.push(case("weighted_sum_over", vec![real(&[2, 2], 81), real(&[2], 82)], |tape, x| {
        let plate = two_plates(tape)[0];
        x[0].event_to_plate(plate).weighted_sum_over(plate, x[1].event_to_plate(plate).softmax_weights(plate))
    }));
    cases.push(case("members times their weights", vec![real(&[3], 181), real(&[2, 3], 182)], |_, x| {
        x[0].zip(Zip::Weigh, x[1]).square()
    }));
    cases.push(case("members held by their weights", vec![real(&[3], 183)], |tape, x| {
        x[0].zip(Zip::Hold, tape.constant([0.0, 0.5, 0.25])).sin()
    }));
    cases.push(case(
        "weighted_sum_over with weights that lack the plate",
        vec![real(&[2, 2], 83), real(&[], 84)],
        |tape, x| {
            let plate = two_plates(tape)[0];
            x[0].event_to_plate(plate).weighted_sum_over(plate, x[1])
        },
    ));
    cases.push(case(
        "weighted_sum_over where nothing carries the plate",
        vec![real(&[2], 85), real(&[], 86)],
        |tape, x| x[0].weighted_sum_over(two_plates(tape)[0], x[1]).square(),
    ));
    cases.push(case(
        "weighted_sum_over with weights on another plate too",
        vec![real(&[2], 87), real(&[2, 3], 88)],
        |tape, x| {
            let [outer, inner] = two_plates(tape);
            x[0].event_to_plate(outer).weighted_sum_over(outer, x[1].event_to_plate(outer).event_to_plate(inner))
        },
    ));
    cases.push(case("expand_plates", vec![real(&[2], 89)], |tape, x| {
        (x[0].expand_plates(&two_plates(tape)) * x[0].exp()).sin()
    }));
    cases.push(case("there and back", vec![real(&[3, 2, 2], 90)], |tape, x| {
        let [outer, inner] = two_plates(tape);
        let moved = x[0].event_to_plate(inner).event_to_plate(outer);
        moved.plate_to_event(inner).sin() + moved.plate_to_event(outer).sum()
    }));
    cases.push(case("members differ", vec![real(&[3], 91)], |tape, x| {
        let [_, inner] = two_plates(tape);
        let x = x[0].event_to_plate(inner);
        x * x.member(inner, 2) * x.member(inner, 0)
    }));
    cases
}

/// Weights along a plate that sum to 1.
trait SoftmaxWeights {
    fn softmax_weights(self, plate: Plate) -> Self;
}

impl SoftmaxWeights for Var<'_, f64> {
    fn softmax_weights(self, plate: Plate) -> Self {
        self.exp() / self.exp().sum_over(plate)
    }
}

#[test]
fn plates() {
    check(plate_cases());
}
