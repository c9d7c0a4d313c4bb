//! Recording a part of the tape again with other inputs, also with inputs on one more plate.

use std::sync::Arc;
use stochgrad_tape::{Id, IdMap, PlateKind, Primitive, PrimitiveInputs, Tape, Var};
use stochgrad_tensor::{Shape, Tensor};

/// Records all values that depend on `from` again, with `to` in its place. Returns the replacement of `result`.
fn replay<'t>(
    tape: &'t Tape<f64>,
    from: Var<'t, f64>,
    to: Var<'t, f64>,
    result: Var<'t, f64>,
) -> (Var<'t, f64>, IdMap) {
    let mut map = IdMap::identity();
    map.insert(from.id(), to.id());
    for id in tape.cone(from.id(), tape.len()) {
        let var = tape.var(id).unwrap();
        let again = tape.rerecord(var, &map);
        if again.id() != id {
            map.insert(id, again.id());
        }
    }
    (tape.var(map.get(result.id())).unwrap(), map)
}

#[test]
fn only_the_cone_is_recorded_again() {
    let tape = Tape::<f64>::new();
    let (x, a) = (tape.parameter([0.5, 1.5]), tape.parameter([2.0, 3.0]));
    let aside = (a * 2.0).exp();
    let y = (x * aside).sin();
    let z = y.sum() + aside.sum();
    let cone: Vec<Id> = tape.cone(x.id(), tape.len());
    assert_eq!(cone.len(), 4);
    assert!(cone.contains(&y.id()) && cone.contains(&z.id()) && !cone.contains(&aside.id()) && !cone.contains(&x.id()));
    assert_eq!(tape.cone(x.id(), y.id().index()).len(), 1);
    assert_eq!(tape.cone(x.id(), usize::MAX).len(), 4);
    assert_eq!(tape.cone(z.id(), tape.len()), []);

    let before = tape.len();
    let other = tape.parameter([-0.5, 0.25]);
    let (again, map) = replay(&tape, x, other, z);
    assert_eq!(tape.len(), before + 1 + 4);
    assert!(!map.changes(aside.id()) && map.changes(y.id()));
    let direct = (other * aside).sin().sum() + aside.sum();
    assert_eq!(again.peek().unwrap(), direct.peek().unwrap());
    assert_eq!(again.location(), z.location(), "a replayed operation belongs to the line that first recorded it");
    assert_eq!(tape.rerecord(aside, &map).id(), aside.id());
}

#[test]
fn a_replay_can_be_differentiated() {
    let tape = Tape::<f64>::new();
    let (x, theta) = (tape.constant(0.5), tape.parameter(0.7));
    let y = (x * theta).exp() * theta;
    let (again, _) = replay(&tape, x, theta.square(), y);
    let [gradient] = tape.backward(again, [theta]).unwrap();
    let t = 0.7_f64;
    let expected = t.powi(3).exp() * (1.0 + 3.0 * t.powi(3));
    assert!((gradient.item().unwrap() - expected).abs() < 1e-13);
}

struct Shifted;

impl Primitive<f64> for Shifted {
    fn name(&self) -> &str {
        "shifted"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        let x = &inputs.values[0];
        let full: Shape = inputs.plates.iter().chain(&x.shape()[inputs.plates.len()..]).copied().collect();
        if *x.shape() != full {
            return Err(format!("expected shape {full}, got {}", x.shape()));
        }
        Ok(x.map(|x| x + 0.5))
    }

    fn gradient<'t>(&self, _: &[Var<'t, f64>], _: Var<'t, f64>, adjoint: Var<'t, f64>) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint)]
    }
}

/// Each function is recorded at one input, replayed with three alternatives along a new plate, and compared with the
/// function at each alternative.
#[test]
fn alternatives_along_a_fresh_plate_are_the_function_at_each() {
    type Function = for<'t> fn(&'t Tape<f64>, Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    // x is on the plate of rows (2 members) with event shape [2, 3]; w is a parameter of shape [3, 3].
    let functions: [(&str, Function); 27] = [
        ("map", |_, x, _| x.exp()),
        ("zip", |_, x, w| x * w.sum_axis(0)),
        ("select", |_, x, w| x.step().select(x * 2.0, w.sum())),
        ("sum", |_, x, _| x.sum()),
        ("sum_axis", |_, x, _| x.sum_axis(0)),
        ("max", |_, x, _| x.max_axis(-1)),
        ("softmax", |_, x, _| x.softmax(1)),
        ("log_softmax", |_, x, _| x.log_softmax(0)),
        ("logsumexp", |_, x, _| x.logsumexp(0)),
        ("cumsum", |_, x, _| x.cumsum(1)),
        ("one_hot", |_, x, _| x.argmax(1).one_hot(3)),
        ("matmul", |_, x, w| x.matmul(w)),
        ("matmul on the right", |_, x, w| w.matmul(x.transpose())),
        ("matmul with itself", |_, x, _| x.matmul(x.transpose())),
        ("column", |_, x, w| w.matmul(x.index(0, 1))),
        ("reshape", |_, x, _| x.reshape([3, 2])),
        ("permute", |_, x, _| x.permute(&[1, 0])),
        ("slice", |_, x, _| x.slice(1, 1..3)),
        ("concat", |_, x, w| Var::concat(&[x, w], 0).unwrap()),
        ("index_select", |_, x, _| x.index_select(1, &[2, 2, 0])),
        ("gather", |_, x, w| w.gather(0, x.step().sum_axis(0).unsqueeze(0))),
        ("controls", |_, x, w| {
            x.stop_gradient().magic_box() + x.straight_through(w.slice(0, 0..2)) + x.broadcast_to([2, 2, 3])
        }),
        ("reduction over the plate", |_, x, _| x.sum_over(x.plates()[0]) + x.mean_over(x.plates()[0])),
        ("log_mean_exp_over", |_, x, _| x.log_mean_exp_over(x.plates()[0])),
        ("weighted sum", |_, x, _| x.weighted_sum_over(x.plates()[0], x.sum().sin())),
        ("member", |_, x, _| x.member(x.plates()[0], 1) + x.plate_to_event(x.plates()[0]).sum_axis(0)),
        ("primitive", |tape, x, _| tape.custom(Arc::new(Shifted), &[x])),
    ];
    for (name, function) in functions {
        for on_rows in [true, false] {
            let tape = Tape::<f64>::new();
            let rows = tape.plate("rows", 2, PlateKind::Data, &[]);
            let w = tape.constant([[0.3, -0.2, 0.5], [1.1, 0.4, -0.6], [0.2, 0.9, 0.7]]);
            let x = tape.constant_on(&[rows], Tensor::from_fn([2, 2, 3], |i| (i as f64 * 1.3).sin()));
            let y = function(&tape, x, w);
            let alternatives = tape.plate("alternatives", 3, PlateKind::Alternatives, &[]);
            let other = if on_rows {
                tape.constant_on(&[rows, alternatives], Tensor::from_fn([2, 3, 2, 3], |i| (i as f64 * 0.7).cos()))
            } else {
                tape.constant_on(&[alternatives], Tensor::from_fn([3, 2, 3], |i| (i as f64 * 0.7).cos()))
                    .expand_plates(&[rows])
            };
            let (again, _) = replay(&tape, x, other, y);
            tape.check().unwrap_or_else(|error| panic!("{name}: {error}"));
            for member in 0..3 {
                let direct = function(&tape, other.member(alternatives, member), w);
                let (replayed, direct) = (again.member(alternatives, member).peek().unwrap(), direct.peek().unwrap());
                assert_eq!(replayed.shape(), direct.shape(), "{name}");
                let difference = replayed.max_abs_difference(&direct).unwrap();
                assert!(difference < 1e-14, "{name}, member {member}: {replayed:?} and {direct:?}");
            }
        }
    }
}

#[test]
fn a_replayed_sample_keeps_its_site() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    let site = tape.new_site();
    let x = tape.sample(site, tape.constant(1.0), &[theta]);
    let (again, _) = replay(&tape, theta, tape.constant(0.9), x);
    assert_ne!(again.id(), x.id());
    assert_eq!(tape.sites(again.ancestors()), [site]);
    assert_eq!(again.peek().unwrap(), x.peek().unwrap());
}
