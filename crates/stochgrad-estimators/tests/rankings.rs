//! Rankings and subsets with the methods that apply to them.

use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Family, KSubset, PlackettLuce, RankingRelaxation};
use stochgrad_estimators::{
    Enumerate, GumbelRao, GumbelSoftmax, LeaveOneOut, LocalExpectation, Rebar, Relax, ScoreFunction, Simple,
    SumAndSample, UnorderedSet, WithoutReplacement,
};
use stochgrad_graph::{Bias, DynMethod, Graph, GraphResult, Order, Seed};
use stochgrad_tape::{Id, Tape, Var};
use stochgrad_tensor::Tensor;

const LOGITS: [f64; 3] = [0.5, -0.2, 0.3];
const PAIR_LOGITS: [[f64; 4]; 2] = [[0.2, -0.4, 1.0, 0.0], [0.9, 0.3, -2.0, 0.1]];
const RELAXATIONS: [RankingRelaxation; 3] =
    [RankingRelaxation::SuccessiveSoftmax, RankingRelaxation::SoftSort, RankingRelaxation::NeuralSort];

type Rankings = DynMethod<f64, PlackettLuce<Id>>;
type Subsets = DynMethod<f64, KSubset<Id>>;

/// A cost of the first two of three items, that depends on their order, and a node below the ranking.
fn ranking(graph: &Graph<'_, f64>, relaxation: RankingRelaxation, method: &Rankings) -> GraphResult<()> {
    let logits = graph.param("logits", LOGITS)?;
    let ranking = graph.sample("x", &PlackettLuce::from_logits(logits).top(2).relaxation(relaxation), method)?;
    let scores = (ranking * graph.constant([1.0, -1.0, 2.0])).sum_axis(-1);
    let [first, second] = [0, 1].map(|place| scores.index(0, place));
    graph.cost("cost", (first + second * 0.5 - 0.3).square() + first * second * logits.index(0, 0))
}

/// Subsets of two of four items, twice, with a cost of both together.
fn subset(graph: &Graph<'_, f64>, method: &Subsets) -> GraphResult<()> {
    let logits = graph.param("logits", PAIR_LOGITS)?;
    let x = graph.sample("x", &KSubset::from_logits(2, logits), method)?;
    let sum = (x * graph.constant([[1.0, -2.0, 0.5, 0.3], [0.0, 1.5, -1.0, 2.0]])).sum();
    graph.cost("cost", (sum * 0.3).exp() * (1.0 + logits.index(0, 0).index(0, 1)))
}

#[test]
fn exact_methods_agree_with_the_oracle_at_every_order() {
    let methods: [(Rankings, usize); 7] = [
        (Arc::new(ScoreFunction::new()), 2),
        (Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)), 2),
        (Arc::new(Enumerate::new()), 2),
        (Arc::new(LocalExpectation::new()), 1),
        (Arc::new(UnorderedSet::new(2)), 2),
        (Arc::new(SumAndSample::new(2, 1)), 2),
        (Arc::new(Enumerate::new()), 3),
    ];
    for (method, order) in &methods {
        let model = |graph: &Graph<'_, f64>| ranking(graph, RankingRelaxation::default(), method);
        Oracle::new().verify(model, 0..=*order, 1e-9).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
    let methods: [(Subsets, usize); 5] = [
        (Arc::new(ScoreFunction::new()), 2),
        (Arc::new(Enumerate::new()), 2),
        (Arc::new(LocalExpectation::new()), 1),
        (Arc::new(UnorderedSet::new(1)), 2),
        (Arc::new(SumAndSample::new(1, 1)), 1),
    ];
    for (method, order) in &methods {
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| subset(graph, method), 0..=*order, 1e-9)
            .unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
}

#[test]
fn sampled_methods_agree_with_the_exact_gradient() {
    let method: Rankings = Arc::new(WithoutReplacement::new(3));
    let model = |graph: &Graph<'_, f64>| ranking(graph, RankingRelaxation::default(), &method);
    let exact = Oracle::new().exact_gradient(model).unwrap();
    StatisticalTest::new().runs(4000).check(model, &exact).unwrap();
}

#[test]
fn relaxed_control_variates_of_rankings_are_unbiased() {
    for relaxation in RELAXATIONS {
        let methods: [Rankings; 2] =
            [Arc::new(Rebar::new().temperature(0.7)), Arc::new(Relax::new().hidden(4).relaxed_cost())];
        for method in methods {
            let model = |graph: &Graph<'_, f64>| ranking(graph, relaxation, &method);
            let exact = Oracle::new().exact_gradient(model).unwrap();
            StatisticalTest::new()
                .runs(1200)
                .check(model, &exact)
                .unwrap_or_else(|error| panic!("{relaxation:?}, {}: {error}", method.name()));
        }
    }
}

#[test]
fn relaxed_control_variates_lower_the_variance() {
    let variance = |method: Rankings| {
        let run = |seed| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            ranking(&graph, RankingRelaxation::default(), &method).unwrap();
            graph.backward().unwrap().get("logits").unwrap().to_vec()
        };
        StatisticalTest::new().runs(2000).sample(run).unwrap().variance.iter().sum::<f64>()
    };
    let (plain, controlled) = (variance(Arc::new(ScoreFunction::new())), variance(Arc::new(Rebar::new())));
    assert!(controlled < 0.7 * plain, "{controlled} and {plain}");
}

/// The gradient of a method, and its guarantee.
fn gradient(relaxation: RankingRelaxation, method: &Rankings) -> (Vec<f64>, Bias, Order) {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    ranking(&graph, relaxation, method).unwrap();
    let gradients = graph.backward().unwrap();
    let guarantee = gradients.guarantee("logits").unwrap();
    (gradients.get("logits").unwrap().to_vec(), guarantee.bias, guarantee.order)
}

#[test]
fn guarantees_state_bias_and_order() {
    for relaxation in RELAXATIONS {
        let kinks = relaxation != RankingRelaxation::SuccessiveSoftmax;
        let order = if kinks { Order::Finite(1) } else { Order::Any };
        let first = Order::Finite(1);
        let cases: [(Rankings, Bias, Order); 5] = [
            (Arc::new(ScoreFunction::new()), Bias::Unbiased, Order::Any),
            (Arc::new(Rebar::new()), Bias::Unbiased, order),
            (Arc::new(GumbelSoftmax::new(0.5)), Bias::Distribution, order),
            (Arc::new(GumbelSoftmax::new(0.5).straight_through()), Bias::Gradient, first),
            (Arc::new(GumbelRao::new(0.5)), Bias::Gradient, first),
        ];
        for (method, bias, order) in cases {
            let (gradient, found_bias, found_order) = gradient(relaxation, &method);
            assert!(gradient.iter().all(|g| g.is_finite()), "{relaxation:?}, {}: {gradient:?}", method.name());
            assert_eq!((found_bias, found_order), (bias, order), "{relaxation:?}, {}", method.name());
        }
    }
}

#[test]
fn straight_through_rankings_have_the_right_costs() {
    let exact = Oracle::new()
        .exact_cost(|graph: &Graph<'_, f64>| {
            let method: Rankings = Arc::new(Enumerate::new());
            ranking(graph, RankingRelaxation::default(), &method)
        })
        .unwrap();
    let method: Rankings = Arc::new(GumbelSoftmax::new(0.5).straight_through().samples(20_000));
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    ranking(&graph, RankingRelaxation::default(), &method).unwrap();
    let found = graph.backward().unwrap().cost("cost").unwrap();
    // The costs lie between −2 and 6.
    assert!((found - exact).abs() < 4.0 * 3.0 / 20_000_f64.sqrt(), "{found} where {exact} is exact");
}

#[test]
fn compiled_graphs_repeat_the_recording() {
    fn check<D: Family<f64>>(
        method: &DynMethod<f64, D>,
        logits: &Tensor<f64>,
        model: impl Fn(&Graph<'_, f64>, &DynMethod<f64, D>) -> GraphResult<()>,
    ) {
        let record = |seed: u64| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            model(&graph, method).unwrap();
            (graph.backward().unwrap().get("logits").unwrap().to_vec(), graph.compile().unwrap())
        };
        let (first, mut compiled) = record(3);
        for seed in [3, 4, 5] {
            compiled.set("logits", logits).unwrap();
            let found = compiled.run(Seed::new(seed)).unwrap().get("logits").unwrap().to_vec();
            assert_eq!(found, record(seed).0, "{}", method.name());
        }
        assert!(first.iter().all(|g| g.is_finite()));
    }
    let rankings: [Rankings; 4] = [
        Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut)),
        Arc::new(Enumerate::new()),
        Arc::new(Rebar::new()),
        Arc::new(GumbelSoftmax::new(0.5).samples(2)),
    ];
    for method in &rankings {
        for relaxation in RELAXATIONS {
            let model = |graph: &Graph<'_, f64>, method: &Rankings| ranking(graph, relaxation, method);
            check(method, &Tensor::from(LOGITS), model);
        }
    }
    let subsets: [Subsets; 3] = [
        Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut)),
        Arc::new(Enumerate::new()),
        Arc::new(Simple::new().samples(2)),
    ];
    subsets.iter().for_each(|method| check(method, &Tensor::from(PAIR_LOGITS), subset));
}

#[test]
fn sparse_maps_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let logits: Var<'_, f64> = graph.param("logits", LOGITS).unwrap();
    let method = GumbelSoftmax::new(0.5).simplex_map(stochgrad_estimators::SimplexMap::Sparsemax);
    let error = graph.sample("x", &PlackettLuce::from_logits(logits), &method).unwrap_err().to_string();
    assert!(error.contains("leave .simplex_map(…) out"), "{error}");
}
