use super::*;
use crate::auto::Auto;
use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
use crate::enumeration::enumerate::Enumerate;
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::LeaveOneOut;
use approx::assert_abs_diff_eq;
use std::sync::{Arc, Mutex};
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{
    Bernoulli, Binomial, Categorical, Distribution, Geometric, Id, Normal, OneHotCategorical, Poisson, Side, Weibull,
};
use stochgrad_graph::{DynMethod, Graph, GraphError, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

type Bits = DynMethod<f64, Bernoulli<Id>>;

/// Methods that use replays, and methods that may be in the same graph, all chosen at run time.
fn methods() -> (Vec<Bits>, Vec<Bits>) {
    let replayed: Vec<Bits> = vec![
        Arc::new(MeasureValued::new()),
        Arc::new(StochasticDerivatives::new()),
        Arc::new(StochasticDerivatives::new().side(Side::Right)),
        Arc::new(StochasticDerivatives::new().side(Side::Left)),
        Arc::new(MeasureValued::new().samples(2)),
    ];
    let others: Vec<Bits> = vec![
        Arc::new(MeasureValued::new()),
        Arc::new(ScoreFunction::new()),
        Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)),
        Arc::new(Enumerate::new()),
        Arc::new(Auto::new()),
        Arc::new(MeasureValued::new().samples(2)),
    ];
    (replayed, others)
}

fn bit<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &Bits) -> GraphResult<Var<'t, f64>> {
    graph.sample(name, &Bernoulli::from_logits(logit), method)
}

fn chain(graph: &Graph<'_, f64>, first: &Bits, second: &Bits) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = bit(graph, "x", t, first)?;
    let y = bit(graph, "y", t * x + 0.25 + t / 3.0, second)?;
    graph.cost("cost", (x - 2.0 * y + 1.0).square() + t * x * y)
}

fn fork(graph: &Graph<'_, f64>, first: &Bits, second: &Bits) -> GraphResult<()> {
    let (t, s) = (graph.param("t", 0.3)?, graph.param("s", -0.4)?);
    let x = bit(graph, "x", t, first)?;
    let left = bit(graph, "left", s * x + t, second)?;
    let right = bit(graph, "right", s - x, first)?;
    graph.cost("left", (left - 0.3).square() * t)?;
    graph.cost("right", right * 2.0 - right * s)?;
    graph.cost("both", left * right * x * 3.0)
}

fn skip(graph: &Graph<'_, f64>, first: &Bits, second: &Bits) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.2])?;
    let x = bit(graph, "x", t.index(0, 0), first)?;
    let y = bit(graph, "y", t.index(0, 1) + x * 0.7, second)?;
    let z = bit(graph, "z", x * 0.5 - y + t.sum(), first)?;
    graph.cost("early", (x - 0.4).square() * 2.0)?;
    graph.cost("late", (x + 2.0 * y - 3.0 * z).square())
}

fn agrees(model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>, what: &str) {
    if let Err(error) = Oracle::new().verify(model, 0..=1, 1e-9) {
        panic!("{what}: {error}");
    }
}

#[test]
fn the_first_derivative_is_exact_beside_every_method() {
    let (replayed, others) = methods();
    for first in &replayed {
        for second in &others {
            let what = format!("{} and {}", first.name(), second.name());
            agrees(|graph: &Graph<'_, f64>| chain(graph, first, second), &format!("chain, {what}"));
            agrees(|graph: &Graph<'_, f64>| chain(graph, second, first), &format!("chain reversed, {what}"));
        }
    }
}

#[test]
fn forks_skip_edges_and_several_costs_are_exact() {
    let (replayed, others) = methods();
    for first in &replayed[..4] {
        for second in &others[..5] {
            let what = format!("{} and {}", first.name(), second.name());
            agrees(|graph: &Graph<'_, f64>| fork(graph, first, second), &format!("fork, {what}"));
            agrees(|graph: &Graph<'_, f64>| skip(graph, first, second), &format!("skip edge, {what}"));
        }
    }
}

#[test]
fn the_chain_has_its_known_derivative() {
    let method: Bits = Arc::new(MeasureValued::new());
    let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| chain(graph, &method, &method)).unwrap();
    assert!((moments.mean("t").unwrap().as_slice()[0] + 0.1220900823).abs() < 1e-9);
}

#[test]
fn data_plates_are_exact() {
    let (replayed, others) = methods();
    for (case, first) in replayed.iter().enumerate() {
        // Two samples for each of two rows, and two more below each, would be 4096 outcomes; other tests have enough of
        // them.
        let beside = if case < 4 { 4 } else { 2 };
        for second in &others[..beside] {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let rows = graph.data("rows", [0.6, -1.1])?;
                let x = bit(graph, "x", t * rows, first)?;
                let y = bit(graph, "y", x - t, second)?;
                graph.cost("row", (x * 2.0 + y - rows).square())
            };
            agrees(model, &format!("{} and {}", first.name(), second.name()));
        }
    }
}

#[test]
fn members_that_meet_in_a_cost_change_one_at_a_time() {
    let methods: [Bits; 2] =
        [Arc::new(MeasureValued::new().samples(2)), Arc::new(StochasticDerivatives::new().samples(2))];
    for method in &methods {
        let product = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let x = bit(graph, "x", t, method)?;
            let plate = graph.plate_named("x").expect("the node has a plate");
            graph.cost("product", x.member(plate, 0) * x.member(plate, 1) + t)
        };
        agrees(product, "product of two members");
        let evidence = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let rows = graph.data("rows", [0.6, -1.1])?;
            let x = bit(graph, "x", t + rows, method)?;
            let plate = graph.plate_named("x").expect("the node has a plate");
            graph.cost("evidence", (x * t * 2.0 - rows).log_mean_exp_over(plate))
        };
        agrees(evidence, "log-mean-exp of the members");
    }
}

#[test]
fn elements_are_replaced_one_at_a_time() {
    let methods: [Bits; 2] = [Arc::new(MeasureValued::new()), Arc::new(StochasticDerivatives::new())];
    for method in &methods {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.7, 1.1])?;
            let x = bit(graph, "x", t, method)?;
            let y = bit(graph, "y", (x * t).sum(), method)?;
            let product = x.index(0, 0) * x.index(0, 1) - x.index(0, 2) * 2.0;
            graph.cost("cost", (product + y).square())
        };
        agrees(model, &method.name());
    }
}

#[test]
fn categories_are_exact() {
    let logits = [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]];
    agrees(
        |graph: &Graph<'_, f64>| {
            let t = graph.param("t", logits)?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(t), &MeasureValued::new())?;
            let score = (x * graph.constant([1.0, -2.0, 0.5])).sum_axis(-1);
            let y = graph.sample("y", &Bernoulli::from_logits(score.sum()), &ScoreFunction::new())?;
            graph.cost("cost", (score.index(0, 0) * score.index(0, 1) + y).square())
        },
        "one-hot, measure-valued",
    );
    agrees(
        |graph: &Graph<'_, f64>| {
            let t = graph.param("t", logits)?;
            let x = graph.sample("x", &Categorical::from_logits(t), &StochasticDerivatives::new())?;
            let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - 1.0), &MeasureValued::new())?;
            graph.cost("cost", (x.index(0, 0) - x.index(0, 1) * 2.0 + y).square())
        },
        "categories, stochastic derivatives",
    );
}

#[test]
fn counts_are_exact() {
    macro_rules! check {
        ($what:literal, $distribution:expr) => {
            check!($what, $distribution, MeasureValued::new());
            check!($what, $distribution, StochasticDerivatives::new());
        };
        ($what:literal, $distribution:expr, $method:expr) => {
            let model = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", 0.6)?;
                let x = graph.sample("x", &$distribution(p), &$method)?;
                let y = graph.sample("y", &Bernoulli::from_logits(x * 0.4 - 1.0), &ScoreFunction::new())?;
                graph.cost("cost", (x + 1.0 - y * 2.0).square() * 0.1 + p * x * y)
            };
            agrees(model, $what);
        };
    }
    check!("Poisson", Poisson::from_rate);
    check!("Poisson by log-rate", Poisson::from_log_rate);
    check!("Binomial", |p| Binomial::from_probabilities(3.0, p));
    check!("Binomial by logit", |p| Binomial::from_logits(3.0, p));
    check!("Geometric", Geometric::from_probabilities);
}

#[test]
fn a_poisson_below_a_bit_has_its_known_gradient() {
    let model = |graph: &Graph<'_, f64>| {
        let (p, a, c) = (graph.param("p", 0.3)?, graph.param("a", 1.2)?, graph.param("c", 0.8)?);
        let b = graph.sample("b", &Bernoulli::from_probabilities(p), &MeasureValued::new())?;
        let n = graph.sample("n", &Poisson::from_rate(a + c * b), &MeasureValued::new())?;
        graph.cost("cost", (n - 2.0).square() + p * b)
    };
    let moments = Oracle::new().gradient(model).unwrap();
    assert_abs_diff_eq!(moments.total(), 1.978, epsilon = 1e-9);
    for (name, exact) in [("p", 0.76), ("a", -0.12), ("c", 0.30)] {
        assert!((moments.mean(name).unwrap().as_slice()[0] - exact).abs() < 1e-9, "{name}");
    }
}

#[test]
fn binomials_in_a_row_have_their_known_gradient() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let first = graph.sample("first", &Binomial::from_probabilities(10.0, p), &MeasureValued::new())?;
        let second = graph.sample("second", &Binomial::from_probabilities(first, p), &MeasureValued::new())?;
        graph.cost("cost", second)
    };
    let moments = Oracle::new().gradient(model).unwrap();
    assert_abs_diff_eq!(moments.mean("p").unwrap().as_slice()[0], 6.0, epsilon = 1e-8);
}

#[test]
fn the_scale_of_a_normal_is_exact_under_quadrature() {
    let model = |graph: &Graph<'_, f64>| {
        let log_scale = graph.param("log_scale", 0.2)?;
        let z = graph.sample("z", &Normal::from_log_scale(graph.constant(0.7), log_scale), &MeasureValued::new())?;
        let x = graph.sample("x", &Normal::new(z * 2.0, 0.5), &Pathwise::new())?;
        graph.cost("cost", x.square() + z)
    };
    Oracle::new().nodes(4).verify(model, 0..=1, 1e-9).unwrap();
}

/// Table (a) of Mohamed et al. (2020) for the cost (x − k)², with a = μ − k.
#[test]
fn a_normal_has_the_known_mean_and_variance() {
    let model = |graph: &Graph<'_, f64>| {
        let (mu, sigma) = (graph.param("mu", 1.0)?, graph.param("sigma", 1.0)?);
        let x = graph.sample("x", &Normal::new(mu, sigma), &MeasureValued::new())?;
        graph.cost("cost", (x + 1.0).square())
    };
    let test = StatisticalTest::new().runs(10_000);
    let number = |x: f64| Tensor::scalar(x);
    test.check(model, &[("mu", number(4.0)), ("sigma", number(2.0))]).unwrap();
    let a_squared = 4.0;
    let by_mu = a_squared * (16.0 / std::f64::consts::PI - 4.0);
    test.check_variance(model, &[("mu", number(by_mu)), ("sigma", number(4.0 * a_squared + 4.0))], 0.08).unwrap();
}

#[test]
fn jumps_in_the_cost_are_seen() {
    let model = |graph: &Graph<'_, f64>| {
        let mu = graph.param("mu", 0.5)?;
        let x = graph.sample("x", &Normal::new(mu, 1.0), &MeasureValued::new())?;
        graph.cost("cost", x + x.step() * 3.0)
    };
    StatisticalTest::new().runs(10_000).check(model, &[("mu", Tensor::scalar(2.056_196))]).unwrap();
}

#[test]
fn evidence_bounds_have_their_known_gradients() {
    let model = |graph: &Graph<'_, f64>| {
        let (location, scale) = (graph.param("location", [0.0, 0.0])?, graph.param("scale", 1.0)?);
        let q = Normal::new(location, scale);
        let z = graph.sample("z", &q, &MeasureValued::new())?;
        let (data, zero) = (graph.constant([-0.5, 2.0]), graph.constant([0.0, 0.0]));
        graph.cost("loss", q.log_prob(z) - Normal::new(zero, 1.0).log_prob(z) - Normal::new(z, 1.0).log_prob(data))
    };
    let exact = [("location", Tensor::from_fn([2], |i| [0.5, -2.0][i])), ("scale", Tensor::scalar(2.0))];
    StatisticalTest::new().runs(10_000).check(model, &exact).unwrap();
    let model = |graph: &Graph<'_, f64>| {
        let q = Bernoulli::from_probabilities(graph.param("q", 0.5)?);
        let b = graph.sample("b", &q, &MeasureValued::new())?;
        graph.cost("divergence", q.log_prob(b) - Bernoulli::from_probabilities(graph.constant(0.25)).log_prob(b))
    };
    let moments = Oracle::new().gradient(model).unwrap();
    assert_abs_diff_eq!(moments.mean("q").unwrap().as_slice()[0], 1.098_612_288_668, epsilon = 1e-9);
}

#[test]
fn the_second_derivative_is_refused() {
    let method: Bits = Arc::new(MeasureValued::new());
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    chain(&graph, &method, &method).unwrap();
    let error = graph.surrogate().unwrap().directional(&[("t", Tensor::scalar(1.0))], 2).unwrap_err();
    assert!(matches!(error, GraphError::Order { asked: 2, guaranteed: Order::Finite(1), .. }), "{error}");
}

#[test]
fn a_constant_added_to_the_cost_changes_nothing() {
    let gradient = |constant: f64, method: &Bits| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5));
        let t = graph.param("t", [0.3, -0.2]).unwrap();
        let x = bit(&graph, "x", t, method).unwrap();
        let y = bit(&graph, "y", x.sum() - 1.0, method).unwrap();
        graph.cost("cost", (x.sum() - y * 3.0).square() + constant).unwrap();
        graph.backward().unwrap().get("t").unwrap().to_vec()
    };
    for method in methods().0 {
        for (plain, shifted) in gradient(0.0, &method).into_iter().zip(gradient(1000.0, &method)) {
            assert!((plain - shifted).abs() < 1e-9, "{}: {plain} and {shifted}", method.name());
        }
    }
}

/// Replays a node with the value that it has, and remembers the differences.
#[derive(Clone, Default)]
struct SameValue(Arc<Mutex<Vec<f64>>>);

impl Method for SameValue {
    fn name(&self) -> String {
        "same value".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for SameValue {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(distribution, SamplePlate::New(2))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, f64>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, f64>> {
        for difference in context.element_differences(&[context.value()], distribution.element_rank())? {
            self.0.lock().unwrap().extend(difference.values[0].peek()?.as_slice());
        }
        Ok(Terms::default())
    }
}

#[test]
fn a_replay_with_the_own_value_changes_nothing_at_all() {
    let same = SameValue::default();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let t = graph.param("t", [0.3, -0.2]).unwrap();
    let x = graph.sample("x", &Bernoulli::from_logits(t), &same).unwrap();
    let sum = (x * t).sum();
    let many = graph.sample("many", &Bernoulli::from_logits(sum), &ScoreFunction::new().samples(3)).unwrap();
    let all = graph.sample("all", &Bernoulli::from_logits(sum + 0.1), &Enumerate::new()).unwrap();
    let normal = graph.sample("normal", &Normal::new(sum, 0.7), &Pathwise::new().samples(2)).unwrap();
    let count = graph.sample("count", &Poisson::from_log_rate(sum), &MeasureValued::new()).unwrap();
    graph.cost("cost", (many - all * normal + count).square() + sum).unwrap();
    graph.backward().unwrap();
    let differences = same.0.lock().unwrap();
    assert_eq!(differences.len(), 4);
    assert!(differences.iter().all(|&difference| difference == 0.0), "{differences:?}");
}

#[test]
fn a_branch_of_host_code_is_an_error_at_its_line() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let t = graph.param("t", 0.3).unwrap();
    let x = graph.sample("x", &Bernoulli::from_logits(t), &MeasureValued::new()).unwrap();
    let y = graph.sample("y", &Bernoulli::from_logits(x - t), &ScoreFunction::new()).unwrap();
    let (read, line) = (y.item().unwrap(), line!());
    graph.cost("cost", graph.constant(if read == 1.0 { 5.0 } else { 1.0 })).unwrap();
    match graph.backward() {
        Err(GraphError::Replay { node, at, .. }) => assert_eq!((node.as_str(), at.line()), ("x", line)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_parameter_without_a_weak_derivative_is_an_error_that_names_it() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let (shape, scale) = (graph.param("shape", 2.0).unwrap(), graph.param("scale", 1.5).unwrap());
    let x = graph.sample("x", &Weibull::new(shape, scale), &MeasureValued::new()).unwrap();
    graph.cost("cost", x).unwrap();
    let error = graph.backward().unwrap_err().to_string();
    assert!(error.contains("\"concentration\"") && error.contains("Pathwise"), "{error}");
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let scale = graph.param("scale", 1.5).unwrap();
    let x = graph.sample("x", &Weibull::new(graph.constant(2.0), scale), &MeasureValued::new()).unwrap();
    graph.cost("cost", x).unwrap();
    graph.backward().unwrap();
}

#[test]
fn certain_bits_give_no_nan() {
    for method in methods().0 {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let p = graph.param("p", [0.0, 0.5, 1.0]).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method).unwrap();
        let logits = graph.param("logits", [f64::NEG_INFINITY, 0.0, f64::INFINITY]).unwrap();
        let y = bit(&graph, "y", logits, &method).unwrap();
        graph.cost("cost", (x.sum() - y.sum() * 2.0).square()).unwrap();
        let gradients = graph.backward().unwrap();
        assert!(gradients.total().is_finite());
        for name in ["p", "logits"] {
            assert!(gradients.get(name).unwrap().all_finite(), "{}: {gradients:?}", method.name());
        }
    }
}
