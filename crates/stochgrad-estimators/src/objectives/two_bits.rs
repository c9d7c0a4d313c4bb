//! Wake–sleep and the thermodynamic objective on a model of two latent and two observed bits, with known answers.

use super::{ThermodynamicObjective, WakeSleep};
use crate::score_function::ScoreFunction;
use crate::score_function::log_variance::detached;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Distribution};
use stochgrad_graph::{Bias, CompiledGraph, Graph, GraphResult, Order, Seed};
use stochgrad_tape::{Plate, Tape, Var};
use stochgrad_tensor::Tensor;

/// Prior logits `a`, likelihood logits `b + W z`, recognition logits `u + V x`, and the data `x`.
#[derive(Clone, Copy)]
struct Case {
    a: [f64; 2],
    b: [f64; 2],
    w: [[f64; 2]; 2],
    u: [f64; 2],
    v: [[f64; 2]; 2],
    x: [f64; 2],
    points: &'static [f64],
}

const CASES: [Case; 2] = [
    Case {
        a: [0.4, -0.3],
        b: [0.1, -0.5],
        w: [[1.2, -0.7], [0.5, 0.9]],
        u: [0.2, -0.1],
        v: [[0.6, -0.4], [-0.8, 0.3]],
        x: [1.0, 0.0],
        points: &[0.0, 0.25, 1.0],
    },
    Case {
        a: [-0.9, 0.8],
        b: [-0.4, 0.6],
        w: [[2.0, 0.5], [-1.5, 1.0]],
        u: [-0.5, 0.7],
        v: [[0.0, 1.0], [0.4, -1.1]],
        x: [1.0, 1.0],
        points: &[0.0, 0.1, 0.4, 1.0],
    },
];

const STATES: [[f64; 2]; 4] = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];

/// The parameters whose derivatives are known: a₁, W₁₁, u₁ and V₂₁.
type Derivatives = [f64; 4];

/// `matrix · vector`, for a recorded 2×2 matrix.
fn product<'t>(matrix: [Var<'t, f64>; 2], vector: Var<'t, f64>) -> [Var<'t, f64>; 2] {
    matrix.map(|row| (row * vector).sum())
}

/// The distributions of two bits, given two others.
type Network<'t> = Box<dyn Fn(Var<'t, f64>) -> [Bernoulli<Var<'t, f64>>; 2] + 't>;

struct Recorded<'t> {
    prior: Bernoulli<Var<'t, f64>>,
    likelihood: Network<'t>,
    recognition: Network<'t>,
}

impl Case {
    fn record<'t>(&self, graph: &Graph<'t, f64>) -> GraphResult<Recorded<'t>> {
        let rows = |name: &str, rows: [[f64; 2]; 2]| -> GraphResult<[Var<'t, f64>; 2]> {
            Ok([graph.param(format!("{name}1").as_str(), rows[0])?, graph.param(format!("{name}2").as_str(), rows[1])?])
        };
        let (a, b, u) = (graph.param("a", self.a)?, graph.param("b", self.b)?, graph.param("u", self.u)?);
        let (w, v) = (rows("W", self.w)?, rows("V", self.v)?);
        let affine = |offset: Var<'t, f64>, matrix: [Var<'t, f64>; 2]| {
            move |input: Var<'t, f64>| {
                let [first, second] = product(matrix, input);
                [first + offset.index(0, 0), second + offset.index(0, 1)].map(Bernoulli::from_logits)
            }
        };
        Ok(Recorded {
            prior: Bernoulli::from_logits(a),
            likelihood: Box::new(affine(b, w)),
            recognition: Box::new(affine(u, v)),
        })
    }

    /// A model with samples along a plate, and an objective of ln p(x, z) and ln q(z|x).
    fn wake(
        self,
        samples: usize,
        objective: impl for<'t> Fn(&Graph<'t, f64>, Plate, Var<'t, f64>, Var<'t, f64>) -> GraphResult<()>,
    ) -> impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()> {
        move |graph| {
            let model = self.record(graph)?;
            let plate = graph.plate("samples", samples)?;
            let x = graph.constant(self.x);
            let recognition = (model.recognition)(x);
            let method = ScoreFunction::new().on_plate(plate);
            let z1 = graph.sample("z1", &detached(&recognition[0])?, &method)?;
            let z2 = graph.sample("z2", &detached(&recognition[1])?, &method)?;
            let z = Var::stack(&[z1, z2])?;
            let likelihood = (model.likelihood)(z);
            let log_joint =
                model.prior.log_prob(z) + likelihood[0].log_prob(x.index(0, 0)) + likelihood[1].log_prob(x.index(0, 1));
            objective(graph, plate, log_joint, recognition[0].log_prob(z1) + recognition[1].log_prob(z2))
        }
    }

    fn sleep(self, graph: &Graph<'_, f64>) -> GraphResult<()> {
        let model = self.record(graph)?;
        let z = graph.sample("z", &detached(&model.prior)?, &ScoreFunction::new())?;
        let likelihood = (model.likelihood)(z);
        let x1 = graph.sample("x1", &detached(&likelihood[0])?, &ScoreFunction::new())?;
        let x2 = graph.sample("x2", &detached(&likelihood[1])?, &ScoreFunction::new())?;
        let recognition = (model.recognition)(Var::stack(&[x1, x2])?);
        let log_posterior = recognition[0].log_prob(z.index(0, 0)) + recognition[1].log_prob(z.index(0, 1));
        WakeSleep::record_sleep(graph, "sleep", log_posterior)
    }

    /// Sets the inputs of a compiled graph.
    fn set(&self, graph: &mut CompiledGraph<f64>) {
        let [w1, w2] = self.w;
        let [v1, v2] = self.v;
        let values = [("a", self.a), ("b", self.b), ("u", self.u), ("W1", w1), ("W2", w2), ("V1", v1), ("V2", v2)];
        for (name, value) in values {
            graph.set(name, &Tensor::from(value)).unwrap();
        }
    }

    /// ln w, ln q and the derivatives of ln p and of ln q with respect to a₁, W₁₁, u₁ and V₂₁, for each state of the
    /// latent bits, by plain arithmetic.
    fn states(&self) -> [(f64, f64, Derivatives, Derivatives); 4] {
        let sigmoid = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        let log_prob = |logit: f64, bit: f64| bit * logit - logit.exp().ln_1p();
        let dot = |row: [f64; 2], vector: [f64; 2]| row[0] * vector[0] + row[1] * vector[1];
        STATES.map(|z| {
            let (mut log_p, mut log_q) = (0.0, 0.0);
            for bit in 0..2 {
                log_p += log_prob(self.a[bit], z[bit]) + log_prob(self.b[bit] + dot(self.w[bit], z), self.x[bit]);
                log_q += log_prob(self.u[bit] + dot(self.v[bit], self.x), z[bit]);
            }
            let error = self.x[0] - sigmoid(self.b[0] + dot(self.w[0], z));
            let recognized = |bit: usize| z[bit] - sigmoid(self.u[bit] + dot(self.v[bit], self.x));
            let of_p = [z[0] - sigmoid(self.a[0]), error * z[0], 0.0, 0.0];
            let of_q = [0.0, 0.0, recognized(0), recognized(1) * self.x[0]];
            (log_p - log_q, log_q, of_p, of_q)
        })
    }
}

/// The exact mean of the estimates of −∇ with respect to a₁, W₁₁, u₁ and V₂₁.
fn mean(model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> Derivatives {
    let moments = Oracle::new().gradient(model).unwrap();
    ["a", "W1", "u", "V2"].map(|name| -moments.mean(name).unwrap().to_vec()[0])
}

fn assert_near(found: Derivatives, expected: Derivatives, tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "expected {expected}, got {found}");
    }
}

#[test]
fn wake_phases_have_the_known_means() {
    let known: [[Derivatives; 3]; 2] = [
        [
            [0.09128682102, 0.1757252767, 0.0, 0.0],
            [0.0710560469, 0.1691454013, -0.02023077411, -0.01752770407],
            [0.06377107251, 0.1668673108, -0.0275157485, -0.02328048689],
        ],
        [
            [0.3334088338, 0.086235029, 0.0, 0.0],
            [0.2100659566, 0.06398337668, -0.1233428773, 0.1328583322],
            [0.1517624121, 0.05486960618, -0.1816464218, 0.1862584441],
        ],
    ];
    for (case, known) in CASES.into_iter().zip(known) {
        for (samples, expected) in (1..).zip(known) {
            let model = case.wake(samples, |graph, plate, log_joint, log_posterior| {
                WakeSleep::new(plate).record(graph, "loss", log_joint, log_posterior)
            });
            assert_near(mean(&model), expected, 1e-9);
        }
    }
}

#[test]
fn the_value_is_the_importance_weighted_bound() {
    for (case, known) in
        CASES.into_iter().zip([[-1.272013501, -1.268488928, -1.267277061], [-1.407794089, -1.20178198, -1.121109602]])
    {
        for (samples, expected) in (1..).zip(known) {
            let model = case.wake(samples, |graph, plate, log_joint, log_posterior| {
                WakeSleep::new(plate).record(graph, "loss", log_joint, log_posterior)
            });
            let (found, _) = Oracle::new().gradient(model).unwrap().cost("loss").unwrap();
            assert!((found + expected).abs() < 1e-9, "{samples} samples: expected {expected}, got {}", -found);
        }
    }
}

#[test]
fn the_sleep_phase_has_the_known_mean() {
    let known = [[0.0, 0.0, 0.01374325823, 0.02506485218], [0.0, 0.0, -0.2552919623, 0.08303554694]];
    for (case, expected) in CASES.into_iter().zip(known) {
        assert_near(mean(|graph: &Graph<'_, f64>| case.sleep(graph)), expected, 1e-9);
        Oracle::new().verify(|graph: &Graph<'_, f64>| case.sleep(graph), 0..=2, 1e-9).unwrap();
    }
}

/// The mean of the thermodynamic estimator by a plain sum over all sets of samples.
fn thermodynamic_mean(case: &Case, samples: usize, is_upper: bool) -> Derivatives {
    let states = case.states();
    let mut total = [0.0; 4];
    for set in 0..4_usize.pow(samples as u32) {
        let members: Vec<_> = (0..samples).map(|at| states[set / 4_usize.pow(at as u32) % 4]).collect();
        let probability: f64 = members.iter().map(|(_, log_q, ..)| log_q.exp()).product();
        for interval in case.points.windows(2) {
            let beta = if is_upper { interval[1] } else { interval[0] };
            let sum: f64 = members.iter().map(|(log_weight, ..)| (beta * log_weight).exp()).sum();
            let weights = members.iter().map(|(log_weight, ..)| (beta * log_weight).exp() / sum);
            let average: f64 = weights.clone().zip(&members).map(|(weight, member)| weight * member.0).sum();
            let correction = samples as f64 / (samples - 1) as f64;
            for (weight, (log_weight, _, of_p, of_q)) in weights.zip(&members) {
                for (at, total) in total.iter_mut().enumerate() {
                    let direct = of_p[at] - of_q[at];
                    let density = (1.0 - beta) * of_q[at] + beta * of_p[at];
                    let term = weight * (direct + correction * (log_weight - average) * density);
                    *total += probability * (interval[1] - interval[0]) * term;
                }
            }
        }
    }
    total
}

#[test]
fn thermodynamic_gradients_have_the_mean_of_a_plain_sum() {
    for case in CASES {
        for samples in [2, 3] {
            for is_upper in [false, true] {
                let model = case.wake(samples, |graph, plate, log_joint, log_posterior| {
                    let objective = ThermodynamicObjective::new(plate, case.points);
                    let objective = if is_upper { objective.upper() } else { objective };
                    objective.record(graph, "loss", log_joint, log_posterior)
                });
                assert_near(mean(&model), thermodynamic_mean(&case, samples, is_upper), 1e-12);
            }
        }
    }
}

#[test]
fn one_interval_is_the_elbo_with_leave_one_out() {
    let known = [CASES[0].states(), CASES[1].states()].map(|states| {
        let mut elbo = [0.0; 4];
        for (log_weight, log_q, of_p, of_q) in states {
            for at in 0..4 {
                elbo[at] += log_q.exp() * (of_p[at] + log_weight * of_q[at]);
            }
        }
        elbo
    });
    for (case, expected) in CASES.into_iter().zip(known) {
        let model = case.wake(2, |graph, plate, log_joint, log_posterior| {
            ThermodynamicObjective::new(plate, [0.0, 1.0]).record(graph, "loss", log_joint, log_posterior)
        });
        assert_near(mean(&model), expected, 1e-12);
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&graph).unwrap();
        assert_eq!(graph.backward().unwrap().guarantee("u").unwrap().bias, Bias::Unbiased);
    }
}

#[test]
fn many_samples_approach_the_known_bounds_and_gradients() {
    // The bound, and its derivatives: at the left ends, and at the right ends.
    let known: [[(f64, Derivatives); 2]; 2] = [
        [
            (-1.269341511, [0.07570885621, 0.1707173264, -0.02596244068, -0.02189290999]),
            (-1.26020628, [0.02025617747, 0.1535743277, 0.02688494191, 0.02158195453]),
        ],
        [
            (-1.150985862, [0.1499314727, 0.0560011182, -0.1553023126, 0.1518313374]),
            (-0.7674546189, [-0.1165667581, 0.01904613341, 0.1474202542, -0.1334494558]),
        ],
    ];
    for (case, known) in CASES.into_iter().zip(known) {
        for (is_upper, (bound, derivatives)) in [false, true].into_iter().zip(known) {
            let model = case.wake(200_000, |graph, plate, log_joint, log_posterior| {
                let objective = ThermodynamicObjective::new(plate, case.points);
                let objective = if is_upper { objective.upper() } else { objective };
                objective.record(graph, "loss", log_joint, log_posterior)
            });
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            model(&graph).unwrap();
            let gradients = graph.backward().unwrap();
            assert!((gradients.cost("loss").unwrap() + bound).abs() < 0.01);
            assert_near(
                ["a", "W1", "u", "V2"].map(|name| -gradients.get(name).unwrap().to_vec()[0]),
                derivatives,
                0.01,
            );
        }
    }
}

#[test]
fn guarantees_name_the_objective() {
    let wake = CASES[0].wake(4, |graph, plate, log_joint, log_posterior| {
        WakeSleep::new(plate).record(graph, "loss", log_joint, log_posterior)
    });
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    wake(&graph).unwrap();
    let gradients = graph.backward().unwrap();
    let recognition = gradients.guarantee("u").unwrap();
    assert_eq!((recognition.bias, recognition.order), (Bias::Gradient, Order::Finite(1)));
    assert!(gradients.reasons("u").unwrap().iter().any(|reason| reason.contains("wake phase \"loss\"")));
    assert_eq!(gradients.guarantee("a").unwrap().bias, Bias::Unbiased);
}

#[test]
fn what_is_wrong_is_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let plate = graph.plate("samples", 3).unwrap();
    let q = Bernoulli::from_logits(graph.param("q", 0.3).unwrap());
    let held = detached(&q).unwrap();
    let live = graph.sample("live", &q, &ScoreFunction::new().on_plate(plate)).unwrap();
    let error = WakeSleep::new(plate).record(&graph, "loss", live, q.log_prob(live)).unwrap_err().to_string();
    assert!(error.contains("detached") && error.contains("two_bits.rs"), "{error}");
    let elsewhere = graph.sample("elsewhere", &held, &ScoreFunction::new()).unwrap();
    let error = WakeSleep::new(plate).record(&graph, "loss", elsewhere, q.log_prob(elsewhere)).unwrap_err().to_string();
    assert!(error.contains("along plate \"samples\""), "{error}");
    let z = graph.sample("z", &held, &ScoreFunction::new().on_plate(plate)).unwrap();
    for points in
        [vec![], vec![0.0], vec![0.0, 0.5], vec![0.2, 1.0], vec![0.0, 0.5, 0.5, 1.0], vec![0.0, f64::NAN, 1.0]]
    {
        let objective = ThermodynamicObjective::new(plate, points);
        let error = objective.record(&graph, "loss", z, q.log_prob(z)).unwrap_err().to_string();
        assert!(error.contains("increase from 0 to 1"), "{error}");
    }
    let single = graph.plate("single", 1).unwrap();
    let one = graph.sample("one", &held, &ScoreFunction::new().on_plate(single)).unwrap();
    let objective = ThermodynamicObjective::new(single, [0.0, 1.0]);
    assert!(objective.record(&graph, "loss", one, q.log_prob(one)).unwrap_err().to_string().contains("at least 2"));
}

#[test]
fn points_are_spaced_by_a_constant_factor() {
    let tape = Tape::<f64>::new();
    let plate = Graph::new(&tape, Seed::new(1)).plate("samples", 2).unwrap();
    let spaced = |intervals, first| ThermodynamicObjective::log_spaced(plate, intervals, first);
    let objective = spaced(3, 0.04);
    let points = objective.points();
    let expected = [0.0, 0.04, 0.2, 1.0];
    assert!(points.len() == 4 && points.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15));
    assert_eq!(spaced(1, 0.04), ThermodynamicObjective::new(plate, [0.0, 1.0]));
}

#[test]
fn compiled_graphs_do_the_same() {
    for is_wake in [true, false] {
        let model = CASES[0].wake(5, move |graph, plate, log_joint, log_posterior| {
            if is_wake {
                return WakeSleep::new(plate).record(graph, "loss", log_joint, log_posterior);
            }
            ThermodynamicObjective::new(plate, CASES[0].points).record(graph, "loss", log_joint, log_posterior)
        });
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3).step(0));
        model(&graph).unwrap();
        let mut compiled = graph.compile().unwrap();
        for step in 0..3 {
            let tape = Tape::<f64>::new();
            let fresh = Graph::new(&tape, Seed::new(3).step(step));
            model(&fresh).unwrap();
            let fresh = fresh.backward().unwrap();
            CASES[0].set(&mut compiled);
            let again = compiled.run(Seed::new(3).step(step)).unwrap();
            for name in ["a", "W1", "u", "V2"] {
                assert_eq!(again.get(name).unwrap().as_slice(), fresh.get(name).unwrap().as_slice());
            }
        }
    }
}
