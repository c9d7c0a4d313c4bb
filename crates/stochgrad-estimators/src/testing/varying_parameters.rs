//! Checks of every method along a shared plate on which the parameters of its distribution vary: by constants, by data,
//! and by other nodes. A method that uses values of the other members must use their distributions as well, not that of
//! the member itself.

use crate::antithetic::arm::Arm;
use crate::antithetic::arms::Arms;
use crate::antithetic::ars::Ars;
use crate::antithetic::arsm::Arsm;
use crate::antithetic::carms::Carms;
use crate::antithetic::categorical_disarm::CategoricalDisArm;
use crate::antithetic::disarm::DisArm;
use crate::antithetic::ugc::Ugc;
use crate::auto::Auto;
use crate::control_variate::double_control_variate::DoubleControlVariate;
use crate::control_variate::rebar::Rebar;
use crate::control_variate::relax::Relax;
use crate::control_variate::rodeo::Rodeo;
use crate::counterfactual::bit_flip::BitFlip;
use crate::counterfactual::discrete_go::DiscreteGo;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
use crate::enumeration::local_expectation::LocalExpectation;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::Baseline;
use crate::score_function::baseline::BatchMean;
use crate::score_function::baseline::Constant;
use crate::score_function::baseline::ControlFunction;
use crate::score_function::baseline::DeltaMethod;
use crate::score_function::baseline::EachCost;
use crate::score_function::baseline::FreshSample;
use crate::score_function::baseline::LeaveOneOut;
use crate::score_function::baseline::LinearControlVariates;
use crate::score_function::baseline::MovingAverage;
use crate::score_function::baseline::MuProp;
use crate::score_function::baseline::Nvil;
use crate::score_function::baseline::OptimalBaseline;
use crate::score_function::baseline::Ovis;
use crate::score_function::baseline::OvisMonteCarlo;
use crate::score_function::baseline::SelfCritical;
use crate::score_function::baseline::Vimco;
use crate::testing::models::BitMethod;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Distribution};
use stochgrad_graph::{Graph, GraphResult, Method, Seed};
use stochgrad_tape::{Plate, PlateKind, Tape, Var};

/// A method that draws one bit for each member of a plate.
type Along = Box<dyn Fn(Plate) -> BitMethod>;
type Model = for<'t> fn(&Graph<'t, f64>, &Along) -> GraphResult<()>;

fn bit<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &BitMethod) -> GraphResult<Var<'t, f64>> {
    graph.sample(name, &Bernoulli::from_logits(logit), method)
}

/// The parameter of the second bit differs between the samples of the first bit.
fn by_another_node(graph: &Graph<'_, f64>, method: &Along) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.6])?;
    let samples = graph.plate("samples", 2)?;
    let score: BitMethod = Arc::new(ScoreFunction::new().on_plate(samples));
    let x = bit(graph, "x", t.index(0, 0), &score)?;
    let y = bit(graph, "y", t.index(0, 1) + x, &method(samples))?;
    graph.cost("cost", (x - y * 2.0 + 0.7).square() + t.index(0, 0) * x * y)
}

/// Two bits for each member; a constant along the plate is in the parameters and in the cost.
fn by_constants(graph: &Graph<'_, f64>, method: &Along) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.6])?;
    let samples = graph.plate("samples", 2)?;
    let features = graph.tape().constant_on(&[samples], [0.5, -1.5]);
    let y = bit(graph, "y", t * features + 0.2, &method(samples))?;
    let sum = (y * graph.constant([1.0, -2.0])).sum();
    graph.cost("cost", (sum + features - 0.3).square() * features + t.index(0, 0) * sum)
}

/// Two bits for each row of data, of which neither depends on the other.
fn by_data(graph: &Graph<'_, f64>, method: &Along) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("rows", [0.5, -1.5])?;
    let rows = features.plates()[0];
    let x = bit(graph, "x", t.index(0, 0) * features, &method(rows))?;
    let y = bit(graph, "y", t.index(0, 1) + features, &method(rows))?;
    graph.cost("cost", (x + y * features - 0.3).square() - t.index(0, 1) * x)
}

/// A joint cost of all members, and a cost of each of them.
fn joint(graph: &Graph<'_, f64>, method: &Along) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.6])?;
    let samples = graph.plate("samples", 2)?;
    let features = graph.tape().constant_on(&[samples], [0.5, -1.5]);
    let y = bit(graph, "y", t.index(0, 0) * features + t.index(0, 1), &method(samples))?;
    graph.cost("joint", -(y * 1.3 * features - t.index(0, 0) * y).log_mean_exp_over(samples))?;
    graph.cost("each", (y - 0.3 * features).square())
}

const MODELS: [(&str, Model); 4] =
    [("another node", by_another_node), ("constants", by_constants), ("data", by_data), ("a joint cost", joint)];

/// The score function with a baseline, whose state all graphs share.
fn with(baseline: impl Baseline<f64> + Clone + 'static) -> Along {
    Box::new(move |plate| Arc::new(ScoreFunction::new().on_plate(plate).baseline(baseline.clone())))
}

fn number_of_ones() -> ControlFunction<f64> {
    ControlFunction::new("the number of ones", |x, distribution: &dyn Distribution<'_, f64>| {
        Ok((x.sum(), distribution.parameters()[0].var.sigmoid().sum()))
    })
}

macro_rules! along {
    ($($method:expr),+ $(,)?) => {
        vec![$({
            let method = $method;
            Box::new(move |plate| Arc::new(method.clone().on_plate(plate)) as BitMethod) as Along
        }),+]
    };
}

/// Methods that accept joint costs of several members of the plate.
fn methods() -> Vec<Along> {
    let mut methods = along![
        ScoreFunction::new(),
        MeasureValued::new(),
        StochasticDerivatives::new(),
        LocalExpectation::new(),
        DiscreteGo::new(),
        BitFlip::new(),
    ];
    methods.extend([
        Box::new(|plate| Arc::new(DoubleControlVariate::on_plate(plate)) as BitMethod) as Along,
        Box::new(|plate| Arc::new(DoubleControlVariate::on_plate(plate).scale(-0.4)) as BitMethod),
        Box::new(|plate| Arc::new(Rodeo::on_plate(plate)) as BitMethod),
        with(LeaveOneOut),
        with(BatchMean),
        with(Vimco::new()),
        with(Vimco::arithmetic()),
        with(Ovis),
        with(OvisMonteCarlo::new(1)),
        with(Constant(0.7)),
        with(SelfCritical),
        with(FreshSample),
        with(MuProp::new()),
        with(DeltaMethod::new()),
        with(EachCost::new(LeaveOneOut)),
        with(MovingAverage::new(0.9)),
        with(OptimalBaseline::new(0.9)),
        with(OptimalBaseline::new(0.9).by_element()),
        with(Nvil::new()),
        with(LinearControlVariates::cross_fitted().with(Constant(1.0)).with(MuProp::new())),
        with(LinearControlVariates::cross_fitted().with(number_of_ones())),
        with(LinearControlVariates::from_past(0.9).with(LeaveOneOut)),
    ]);
    methods
}

/// Methods that draw a set of weighted or dependent values for each member of the plate.
fn sets() -> Vec<Along> {
    along![
        DisArm::new(),
        Arm::new(),
        Arms::new(2),
        Carms::new(2),
        CategoricalDisArm::new(),
        CategoricalDisArm::importance_weighted(),
        Ugc::new(),
        Auto::new(),
    ]
}

/// Methods with continuous draws, of which the gradient is not a polynomial.
fn sampled() -> Vec<Along> {
    along![Arsm::new(), Ars::new(), Rebar::new(), Relax::new().hidden(4)]
}

/// Trains a method for a few steps, and returns it with its name.
fn train(model: Model, along: &Along) -> String {
    for step in 0..5 {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5).step(step));
        model(&graph, along).and_then(|()| graph.backward()).unwrap().advance();
    }
    let tape = Tape::<f64>::new();
    along(tape.plate("shared", 2, PlateKind::Samples, &[])).name()
}

#[test]
fn other_members_are_not_taken_for_the_own_one() {
    for (what, model) in MODELS {
        let separate = if what == "a joint cost" { Vec::new() } else { sets() };
        for along in methods().into_iter().chain(separate) {
            let name = train(model, &along);
            let run = |graph: &Graph<'_, f64>| model(graph, &along);
            Oracle::new()
                .nodes(4)
                .verify(run, 0..=1, 1e-9)
                .unwrap_or_else(|error| panic!("{name}, parameters that vary by {what}: {error}"));
        }
    }
}

#[test]
fn methods_that_can_only_be_sampled_do_not_take_other_members_for_the_own_one() {
    for (what, model) in MODELS {
        let score: Along = Box::new(|plate| Arc::new(ScoreFunction::new().on_plate(plate)));
        let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| model(graph, &score)).unwrap();
        for along in sampled() {
            let name = train(model, &along);
            StatisticalTest::new()
                .runs(6000)
                .check(|graph: &Graph<'_, f64>| model(graph, &along), &exact)
                .unwrap_or_else(|error| panic!("{name}, parameters that vary by {what}: {error}"));
        }
    }
}

/// The derivatives with respect to both parameters, by enumeration of the four bits by hand.
#[test]
fn the_double_control_variate_has_the_known_gradient_below_another_node() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (t0, t1) = (0.3, -0.6);
    let p = sigmoid(t0);
    let cost = |x: f64, y: f64| (x - 2.0 * y + 0.7).powi(2) + t0 * x * y;
    let (mut first, mut second) = (0.0, 0.0);
    for x in [0.0, 1.0] {
        let q = sigmoid(t1 + x);
        let chance = if x == 1.0 { p } else { 1.0 - p };
        let sign = if x == 1.0 { 1.0 } else { -1.0 };
        first += sign * p * (1.0 - p) * (q * cost(x, 1.0) + (1.0 - q) * cost(x, 0.0)) + chance * q * x;
        second += chance * q * (1.0 - q) * (cost(x, 1.0) - cost(x, 0.0));
    }
    assert!((second + 0.228207).abs() < 1e-6, "{second}");
    for scale in [1.0, 0.7] {
        let along: Along = Box::new(move |plate| Arc::new(DoubleControlVariate::on_plate(plate).scale(scale)));
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| by_another_node(graph, &along)).unwrap();
        let found = moments.mean("t").unwrap().to_vec();
        assert!((found[0] - first).abs() < 1e-12 && (found[1] - second).abs() < 1e-12, "{found:?}, {first}, {second}");
    }
}
