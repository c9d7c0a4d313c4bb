//! The variance of single-sample gradients on a Gaussian toy, against exact values (Mohamed et al. 2020, figure 2).
//!
//! Each member of a plate has its own location and scale, so one run gives a thousand independent estimates.

use stochgrad::estimators::Constant;
use stochgrad::graph::{DynMethod, Reduction};
use stochgrad::prelude::*;
use stochgrad::tape::Id;
use stochgrad::tape::Workspace;

const MEMBERS: usize = 1000;
const RUNS: usize = 400;
/// The score-function gradient of a quadratic cost has heavy tails, so its variance needs more runs.
const MANY_RUNS: usize = 8000;

/// A cost of one variable, on the tape and as a function.
#[derive(Clone, Copy)]
enum Cost {
    Square(f64),
    Exp(f64),
    Cos(f64),
}

impl Cost {
    fn record<'t>(self, x: Var<'t, f64>) -> Var<'t, f64> {
        match self {
            Cost::Square(k) => (x - k).square(),
            Cost::Exp(k) => (x.square() * -k).exp(),
            Cost::Cos(k) => (x * k).cos(),
        }
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Cost::Square(k) => (x - k).powi(2),
            Cost::Exp(k) => (-k * x * x).exp(),
            Cost::Cos(k) => (k * x).cos(),
        }
    }

    /// The constant that minimises the variance: E[f s²] / E[s²], for the score `s` of location or scale.
    fn best_baseline(self, score: impl Fn(f64) -> f64) -> f64 {
        let (mut above, mut below) = (0.0, 0.0);
        for i in -20_000..=20_000 {
            let z = f64::from(i) * 5e-4;
            let weight = (-0.5 * z * z).exp() * score(z).powi(2);
            above += weight * self.value(1.0 + z);
            below += weight;
        }
        above / below
    }
}

/// The variances of the gradients with respect to location and scale, both of which are 1.
fn variances(cost: Cost, method: impl Fn() -> DynMethod<f64, Normal<Id>>) -> [f64; 2] {
    variances_over(RUNS, cost, method)
}

fn variances_over(runs: usize, cost: Cost, method: impl Fn() -> DynMethod<f64, Normal<Id>>) -> [f64; 2] {
    let names = ["location", "scale"];
    let ones = Tensor::<f64>::ones([MEMBERS]);
    let mut workspace = Workspace::new();
    let mut sums = [[0.0; 2]; 2];
    for run in 0..runs {
        let graph = Graph::new(workspace.tape(), Seed::new(11).step(run));
        let members = graph.plate("members", MEMBERS).expect("a plate");
        graph.set_reduction(members, Reduction::Sum).expect("a plate that nothing uses yet");
        let [location, scale] =
            names.map(|name| graph.param(name, &ones).expect("a parameter").event_to_plate(members));
        let x = graph.sample("x", &Normal::new(location, scale), &method()).expect("a sample");
        graph.cost("cost", cost.record(x)).expect("a cost");
        let gradients = graph.backward().expect("gradients");
        for (sums, name) in sums.iter_mut().zip(names) {
            for g in gradients.get(name).expect("a gradient").as_slice() {
                sums[0] += g;
                sums[1] += g * g;
            }
        }
    }
    let count = (MEMBERS * runs) as f64;
    sums.map(|[sum, squares]| squares / count - (sum / count).powi(2))
}

fn assert_near(what: &str, found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.03, "{what}: expected {expected}, got {found}");
}

#[test]
fn of_a_quadratic_cost() {
    for k in [-1.0, 0.0, 2.5] {
        let a2 = (1.0_f64 - k).powi(2);
        let cost = Cost::Square(k);
        let score = variances_over(MANY_RUNS, cost, || std::sync::Arc::new(ScoreFunction::new()));
        assert_near("score function, location", score[0], a2 * a2 + 14.0 * a2 + 15.0);
        assert_near("score function, scale", score[1], 2.0 * a2 * a2 + 60.0 * a2 + 74.0);
        let path = variances(cost, || std::sync::Arc::new(Pathwise::new()));
        assert_near("pathwise, location", path[0], 4.0);
        assert_near("pathwise, scale", path[1], 4.0 * a2 + 8.0);
        let measure = variances(cost, || std::sync::Arc::new(MeasureValued::new()));
        assert_near("measure-valued, location", measure[0], a2 * (16.0 / std::f64::consts::PI - 4.0));
        assert_near("measure-valued, scale", measure[1], 4.0 * a2 + 4.0);
    }
}

/// The variances for the score function, the same with the best constant baseline, pathwise and measure-valued.
type Row = [f64; 4];

fn check(cost: Cost, location: Row, scale: Option<Row>) {
    let plain = variances(cost, || std::sync::Arc::new(ScoreFunction::new()));
    let path = variances(cost, || std::sync::Arc::new(Pathwise::new()));
    let measure = variances(cost, || std::sync::Arc::new(MeasureValued::new()));
    let best =
        |baseline: f64| variances(cost, || std::sync::Arc::new(ScoreFunction::new().baseline(Constant(baseline))));
    let best = [best(cost.best_baseline(|z| z))[0], best(cost.best_baseline(|z| z * z - 1.0))[1]];
    for (index, row) in [Some(location), scale].into_iter().enumerate() {
        let Some(row) = row else { continue };
        for (name, found, expected) in [
            ("score function", plain[index], row[0]),
            ("best baseline", best[index], row[1]),
            ("pathwise", path[index], row[2]),
            ("measure-valued", measure[index], row[3]),
        ] {
            assert_near(&format!("{name}, parameter {index}"), found, expected);
        }
    }
}

#[test]
fn of_an_exponential_cost() {
    let location = [0.563532, 0.0404677, 0.0162902, 0.00250909];
    check(Cost::Exp(0.1), location, Some([0.935384, 0.140991, 0.02777, 0.0219705]));
    let location = [0.17575, 0.0722217, 0.211723, 0.0125676];
    check(Cost::Exp(1.0), location, Some([0.17669, 0.112784, 0.175731, 0.0706647]));
    let location = [0.0769404, 0.0601966, 0.941629, 0.0206558];
    check(Cost::Exp(10.0), location, Some([0.0090346, 0.00873908, 0.892046, 0.116732]));
}

#[test]
fn of_a_cosine_cost() {
    check(Cost::Cos(0.5), [0.455248, 0.117864, 0.0392846, 0.00827547], None);
    check(Cost::Cos(1.58), [0.324847, 0.324832, 1.05103, 0.162726], None);
    check(Cost::Cos(5.0), [0.5, 0.5, 12.5, 0.295717], None);
}
