//! Checks of groups of samples that a sampling scheme draws, and of methods with noise or replays of their own under a
//! scheme.

use crate::auto::Auto;
use crate::control_variate::lax::Lax;
use crate::control_variate::rebar::Rebar;
use crate::control_variate::relax::Relax;
use crate::counterfactual::bit_flip::BitFlip;
use crate::counterfactual::discrete_go::DiscreteGo;
use crate::counterfactual::finite_difference::FiniteDifference;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::counterfactual::spsa::Spsa;
use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
use crate::enumeration::local_expectation::LocalExpectation;
use crate::pathwise::generalized::GeneralizedReparameterization;
use crate::pathwise::implicit::ImplicitPathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::{BatchMean, EachCost, LeaveOneOut};
use crate::testing::models::{self, BitMethod};
use crate::testing::sampling_schemes::SCHEMES;
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Exponential, Gamma, Normal};
use stochgrad_graph::{Graph, Method, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// Leave-one-out over groups of scheme members.
fn grouped(scheme: SamplingScheme, samples: usize, groups: usize) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples).scheme(scheme).groups(groups).baseline(LeaveOneOut))
}

#[test]
fn leave_one_out_over_groups_is_exact_at_every_order() {
    let single: BitMethod = Arc::new(ScoreFunction::new());
    for scheme in SCHEMES {
        let groups = grouped(scheme, 2, 2);
        for [first, second] in [[&groups, &single], [&single, &groups]] {
            let model = |graph: &Graph<'_, f64>| models::chain(graph, first, second);
            Oracle::new().verify(model, 0..=3, 1e-9).unwrap_or_else(|error| panic!("{scheme}: {error}"));
        }
        let model = |graph: &Graph<'_, f64>| models::skip_edge(graph, [&groups, &single, &single]);
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap_or_else(|error| panic!("{scheme}, skip edge: {error}"));
        let model = |graph: &Graph<'_, f64>| models::two_costs(graph, &groups, &single);
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap_or_else(|error| panic!("{scheme}, two costs: {error}"));
    }
}

/// Two strata for one bit of probability p < ½: the lower one has no 1, and the upper one has it with probability 2p.
#[test]
fn leave_one_out_over_groups_has_its_known_variance() {
    for p in [0.1_f64, 0.3, 0.5] {
        // For each outcome of a group: its probability, and the means of f s, s and f over the two members.
        let [zero, one] = [(0.0, -p), (1.0, 1.0 - p)].map(|(b, score): (f64, f64)| ((b - 0.45).powi(2), score));
        let mean = |x: (f64, f64), y: (f64, f64)| [(x.0 * x.1 + y.0 * y.1) / 2.0, (x.1 + y.1) / 2.0, (x.0 + y.0) / 2.0];
        let outcomes = [(1.0 - 2.0 * p, mean(zero, zero)), (2.0 * p, mean(zero, one))];
        for groups in [2_usize, 3] {
            let (mut first, mut second) = (0.0, 0.0);
            for joint in 0..1_usize << groups {
                let drawn: Vec<(f64, [f64; 3])> = (0..groups).map(|g| outcomes[joint >> g & 1]).collect();
                let chance: f64 = drawn.iter().map(|group| group.0).product();
                let total: f64 = drawn.iter().map(|group| group.1[2]).sum();
                let gradient = drawn
                    .iter()
                    .map(|(_, [product, score, cost])| product - score * (total - cost) / (groups - 1) as f64);
                let gradient = gradient.sum::<f64>() / groups as f64;
                first += chance * gradient;
                second += chance * gradient * gradient;
            }
            let (mean, variance) = models::moments(&grouped(SamplingScheme::Stratified, 2, groups), 0.45, p);
            assert_abs_diff_eq!(mean, first, epsilon = 1e-12);
            assert_abs_diff_eq!(mean, p * (1.0 - p) * 0.1, epsilon = 1e-12);
            assert_abs_diff_eq!(variance, second - first * first, epsilon = 1e-12);
        }
    }
}

#[test]
fn other_baselines_and_methods_take_groups() {
    let grouped = ScoreFunction::new().samples(2).scheme(SamplingScheme::Stratified).groups(2);
    let single: BitMethod = Arc::new(ScoreFunction::new());
    let methods: [BitMethod; 4] = [
        Arc::new(grouped),
        Arc::new(grouped.baseline(BatchMean)),
        Arc::new(grouped.baseline(EachCost::new(LeaveOneOut))),
        Arc::new(Auto::new().limit(1).samples(2).scheme(SamplingScheme::Systematic).groups(2)),
    ];
    for method in &methods {
        let model = |graph: &Graph<'_, f64>| models::chain(graph, method, &single);
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
    let report = |groups: usize| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let method = Auto::new().limit(1).samples(2).scheme(SamplingScheme::Systematic).groups(groups);
        let t = graph.param("t", 0.3).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t), &method).unwrap();
        graph.cost("cost", x).unwrap();
        format!("{:?}", graph.backward().unwrap().reports())
    };
    assert!(report(2).contains("with leave-one-out") && !report(1).contains("with leave-one-out"), "{}", report(2));
}

#[test]
fn methods_that_replay_take_schemes() {
    let single: BitMethod = Arc::new(ScoreFunction::new());
    for scheme in SCHEMES {
        let methods: [BitMethod; 6] = [
            Arc::new(MeasureValued::new().samples(2).scheme(scheme)),
            Arc::new(StochasticDerivatives::new().samples(2).scheme(scheme)),
            Arc::new(DiscreteGo::new().samples(2).scheme(scheme)),
            Arc::new(LocalExpectation::new().samples(2).scheme(scheme)),
            Arc::new(BitFlip::new().samples(2).scheme(scheme)),
            Arc::new(Auto::new().limit(1).samples(2).scheme(scheme)),
        ];
        for method in &methods {
            for [first, second] in [[method, &single], [&single, method]] {
                let model = |graph: &Graph<'_, f64>| models::chain(graph, first, second);
                let result = Oracle::new().nodes(2).verify(model, 0..=1, 1e-9);
                result.unwrap_or_else(|error| panic!("{}: {error}", method.name()));
            }
        }
    }
}

fn cost(b: Var<'_, f64>) -> Var<'_, f64> {
    (b - 0.3).square() * 2.0
}

#[test]
fn methods_with_noise_of_their_own_take_schemes() {
    for scheme in SCHEMES {
        let model = |graph: &Graph<'_, f64>| {
            let [r, x, l, e, g] = ["r", "x", "l", "e", "g"].map(|name| graph.param(name, 0.7));
            let rebar = Rebar::new().samples(2).scheme(scheme).groups(2);
            graph.cost("rebar", cost(graph.sample("rebar", &Bernoulli::from_logits(r?), &rebar)?))?;
            let relax = Relax::new().samples(2).scheme(scheme);
            graph.cost("relax", cost(graph.sample("relax", &Bernoulli::from_logits(x?), &relax)?))?;
            let lax = Lax::new().samples(2).scheme(scheme).groups(2);
            graph.cost("lax", graph.sample("lax", &Normal::new(l?, 1.0), &lax)?.square())?;
            let implicit = ImplicitPathwise::new().samples(2).scheme(scheme);
            graph.cost("implicit", graph.sample("implicit", &Exponential::new(e?), &implicit)?)?;
            let general = GeneralizedReparameterization::new().samples(2).scheme(scheme).groups(2);
            graph.cost("generalized", graph.sample("generalized", &Gamma::new(g?, 2.0), &general)?)
        };
        let p = 1.0 / (1.0 + (-0.7_f64).exp());
        let bit = p * (1.0 - p) * 0.8;
        let exact = [("r", bit), ("x", bit), ("l", 1.4), ("e", -1.0 / 0.49), ("g", 0.5)]
            .map(|(name, value)| (name, Tensor::scalar(value)));
        StatisticalTest::new().runs(1000).check(model, &exact).unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
}

/// Finite differences of the common noise are exact for a cost that is linear in the parameter.
#[test]
fn finite_differences_use_the_noise_of_the_scheme() {
    for scheme in SCHEMES {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4));
        let [t, s] = [graph.param("t", 0.7).unwrap(), graph.param("s", 0.2).unwrap()];
        let method = FiniteDifference::new(0.01).samples(4).scheme(scheme).groups(2);
        let x = graph.sample("x", &Normal::new(t, 1.0), &method).unwrap();
        graph.cost("x", x * 3.0).unwrap();
        let y = graph.sample("y", &Normal::new(s, 1.0), &Spsa::new(0.01).samples(4).scheme(scheme)).unwrap();
        graph.cost("y", y * 2.0).unwrap();
        let gradients = graph.backward().unwrap();
        assert_abs_diff_eq!(gradients.get("t").unwrap().item().unwrap(), 3.0, epsilon = 1e-9);
        assert_abs_diff_eq!(gradients.get("s").unwrap().item().unwrap(), 2.0, epsilon = 1e-9);
    }
}

#[test]
fn compiled_graphs_do_the_same() {
    for scheme in SCHEMES {
        models::assert_compiled(&grouped(scheme, 2, 3));
        models::assert_compiled(&(Arc::new(MeasureValued::new().samples(3).scheme(scheme)) as BitMethod));
    }
}
