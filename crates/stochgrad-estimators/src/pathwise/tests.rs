use super::*;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::enumeration::enumerate::Enumerate;
use crate::enumeration::without_replacement::WithoutReplacement;
use crate::score_function::ScoreFunction;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{
    Bernoulli, Beta, Bijector, Categorical, Distribution, Family, Gamma, Id, InverseGaussian, Laplace, Live, Normal,
    Relaxed, Reparameterized, StudentT, TransformedDistribution, Uniform,
};
use stochgrad_graph::{CostContext, DynMethod, GradientTerm, Graph, GraphError, Seed, Terms};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

fn scalar(number: f64) -> Tensor<f64> {
    Tensor::scalar(number)
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} where {expected} is exact");
    }
}

#[test]
fn the_gradient_has_the_known_variance() {
    for samples in [1, 2] {
        let model = |graph: &Graph<'_, f64>| {
            let (a, b, c) = (graph.param("a", 5.0)?, graph.param("b", -3.0)?, graph.param("c", 0.23)?);
            let e = graph.sample("e", &Normal::new(b + c, 1.0), &Pathwise::new().samples(samples))?;
            graph.cost("f", (a + b) * e.square())
        };
        let oracle = Oracle::new().nodes(6);
        let moments = oracle.gradient(model).unwrap();
        let means = ["a", "b", "c"].map(|name| moments.mean(name).unwrap().as_slice()[0]);
        assert_close(&means, &[8.6729, -2.4071, -11.08], 1e-9);
        assert_close(&[moments.total()], &[17.3458], 1e-9);
        assert_close(moments.variance("c").unwrap().as_slice(), &[16.0 / samples as f64], 1e-8);
        assert_close(&oracle.derivative(model, &[("c", scalar(1.0))], 2).unwrap().mean, &[4.0], 1e-9);
        oracle.verify(model, 0..=3, 1e-9).unwrap();
    }
}

#[test]
fn gaussian_nodes_have_their_known_gradients() {
    let model = |graph: &Graph<'_, f64>| {
        let (mu, log_sigma) = (graph.param("mu", [1.0, 2.0, 3.0])?, graph.param("log_sigma", [-1.0, 0.3, -2.0])?);
        let x = graph.sample("x", &Normal::from_log_scale(mu, log_sigma), &Pathwise::new())?;
        graph.cost("square", x.sum().square())
    };
    let moments = Oracle::new().nodes(3).gradient(model).unwrap();
    assert_close(moments.mean("mu").unwrap().as_slice(), &[12.0; 3], 1e-9);
    assert_close(moments.mean("log_sigma").unwrap().as_slice(), &[0.270_671, 3.644_238, 0.036_631], 1e-6);
    let model = |graph: &Graph<'_, f64>| {
        let (mu, log_sigma) = (graph.param("mu", [1.0, 1.0])?, graph.param("log_sigma", [1.0, 1.0])?);
        let x = graph.sample("x", &Normal::from_log_scale(mu, log_sigma), &Pathwise::new())?;
        graph.cost("squares", x.square().sum())
    };
    let moments = Oracle::new().nodes(3).gradient(model).unwrap();
    assert_close(moments.mean("mu").unwrap().as_slice(), &[2.0; 2], 1e-9);
    assert_close(moments.mean("log_sigma").unwrap().as_slice(), &[2.0 * 1_f64.exp().powi(2); 2], 1e-9);
}

#[test]
fn evidence_bounds_have_their_known_gradients() {
    let model = |graph: &Graph<'_, f64>| {
        let (location, scale) = (graph.param("location", [0.0, 0.0])?, graph.param("scale", 1.0)?);
        let q = Normal::new(location, scale);
        let z = graph.sample("z", &q, &Pathwise::new())?;
        let (data, zero) = (graph.constant([-0.5, 2.0]), graph.constant([0.0, 0.0]));
        graph.cost("loss", q.log_prob(z) - Normal::new(zero, 1.0).log_prob(z) - Normal::new(z, 1.0).log_prob(data))
    };
    let moments = Oracle::new().nodes(4).gradient(model).unwrap();
    assert_close(moments.mean("location").unwrap().as_slice(), &[0.5, -2.0], 1e-9);
    assert_close(moments.mean("scale").unwrap().as_slice(), &[2.0], 1e-9);
}

#[test]
fn a_support_that_moves_is_followed() {
    let model = |graph: &Graph<'_, f64>| {
        let high = graph.param("high", 2.0)?;
        let x = graph.sample("x", &Uniform::new(graph.constant(0.0), high), &Pathwise::new())?;
        graph.cost("square", x.square())
    };
    assert_close(Oracle::new().gradient(model).unwrap().mean("high").unwrap().as_slice(), &[4.0 / 3.0], 1e-9);
}

#[test]
fn a_kink_of_the_density_matters_to_the_score_function_only() {
    fn laplace<'t, M>(graph: &Graph<'t, f64>, method: &M) -> GraphResult<()>
    where
        M: GradientMethod<f64, Laplace<Id>> + Clone + 'static,
    {
        let mu = graph.param("mu", 0.4)?;
        let x = graph.sample("x", &Laplace::new(mu, 1.0), method)?;
        graph.cost("square", x.square())
    }
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    laplace(&graph, &Pathwise::new()).unwrap();
    let second = graph.surrogate().unwrap().directional(&[("mu", scalar(1.0))], 2).unwrap();
    assert_close(&[second.item().unwrap()], &[2.0], 1e-12);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    laplace(&graph, &ScoreFunction::new()).unwrap();
    let refused = graph.surrogate().unwrap().directional(&[("mu", scalar(1.0))], 2);
    assert!(matches!(refused, Err(GraphError::Order { guaranteed: Order::Finite(1), .. })), "{refused:?}");
}

fn normal<'t>(graph: &Graph<'t, f64>, method: Pathwise) -> GraphResult<Var<'t, f64>> {
    let mu = graph.param("mu", 0.5)?;
    graph.sample("x", &Normal::new(mu, 1.0), &method)
}

#[test]
fn a_kink_on_the_path_allows_the_first_derivative_only() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = normal(&graph, Pathwise::new()).unwrap();
    graph.cost("cost", x.relu()).unwrap();
    let surrogate = graph.surrogate().unwrap();
    assert!(surrogate.directional(&[("mu", scalar(1.0))], 1).is_ok());
    let refused = surrogate.directional(&[("mu", scalar(1.0))], 2);
    assert!(matches!(refused, Err(GraphError::Order { guaranteed: Order::Finite(1), .. })), "{refused:?}");
    // Φ(0.5): the probability that the path has slope 1.
    let model = |graph: &Graph<'_, f64>| {
        let x = normal(graph, Pathwise::new())?;
        graph.cost("cost", x.relu())
    };
    StatisticalTest::new().runs(4000).check(model, &[("mu", scalar(0.691_462_461))]).unwrap();
}

#[test]
fn a_jump_on_the_path_is_refused_at_its_place() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = normal(&graph, Pathwise::new()).unwrap();
    let (jump, line) = (x.step(), line!());
    graph.cost("cost", x + jump * 3.0).unwrap();
    let error = graph.backward().unwrap_err();
    assert!(matches!(error, GraphError::Refused { .. }), "{error}");
    let message = error.to_string();
    for part in
        ["Step", "ScoreFunction", "MeasureValued", &format!("pathwise{}tests.rs:{line}", std::path::MAIN_SEPARATOR)]
    {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[test]
fn a_branch_of_host_code_is_a_jump() {
    let record = |method: Pathwise| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let x = normal(&graph, method)?;
        let twice = x.item()? > 0.0;
        graph.cost("cost", if twice { x * 2.0 } else { x })?;
        graph.backward().map(|gradients| gradients.guarantee("mu").map(|guarantee| guarantee.order))
    };
    let error = record(Pathwise::new()).unwrap_err().to_string();
    assert!(error.contains("host code"), "{error}");
    assert_eq!(record(Pathwise::new().assume_continuous()).unwrap(), Ok(Order::Finite(1)));
}

#[test]
fn continuity_may_be_assumed_to_order_one() {
    // |x| written as a branch: the jumps of its parts cancel.
    let model = |graph: &Graph<'_, f64>| {
        let x = normal(graph, Pathwise::new().assume_continuous())?;
        graph.cost("cost", x.gt(x * 0.0).select(x, -x))
    };
    // 2Φ(0.5) − 1.
    StatisticalTest::new().runs(4000).check(model, &[("mu", scalar(0.382_924_923))]).unwrap();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph).unwrap();
    let refused = graph.surrogate().unwrap().directional(&[("mu", scalar(1.0))], 2);
    assert!(matches!(refused, Err(GraphError::Order { .. })), "{refused:?}");
}

#[test]
fn implicit_derivatives_have_the_order_of_the_distribution() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let (shape, rate) = (graph.param("shape", 2.0).unwrap(), graph.param("rate", 1.5).unwrap());
    let x = graph.sample("x", &Gamma::new(shape, rate), &Pathwise::new()).unwrap();
    graph.cost("cost", x.square()).unwrap();
    let surrogate = graph.surrogate().unwrap();
    assert_eq!(surrogate.guarantee("shape").unwrap().order, Order::Finite(2));
    assert_eq!(surrogate.guarantee("rate").unwrap().order, Order::Any);
    let refused = surrogate.directional(&[("shape", scalar(1.0))], 3);
    assert!(matches!(refused, Err(GraphError::Order { guaranteed: Order::Finite(2), .. })), "{refused:?}");
    let y = graph.sample("y", &InverseGaussian::new(shape, rate), &Pathwise::new()).unwrap();
    graph.cost("other", y.square()).unwrap();
    assert_eq!(graph.surrogate().unwrap().guarantee("shape").unwrap().order, Order::Finite(1));
}

/// Checks the first and the second derivatives of an expected cost against exact ones, over many samples.
fn assert_orders<D>(
    what: &str,
    at: &[f64],
    distribution: impl for<'t> Fn(&[Var<'t, f64>]) -> D::On<'t>,
    cost: for<'t> fn(Var<'t, f64>) -> Var<'t, f64>,
    exact: &[(&[f64], usize, f64)],
) where
    D: Family<f64>,
    for<'t> D::On<'t>: Live<'t, f64, Family = D> + Reparameterized<'t, f64>,
{
    const RUNS: usize = 40;
    let mut found = vec![Vec::new(); exact.len()];
    for run in 0..RUNS {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5).step(run));
        let names: Vec<String> = (0..at.len()).map(|index| index.to_string()).collect();
        let parameters: Vec<Var<'_, f64>> =
            names.iter().zip(at).map(|(name, &value)| graph.param(name, value).unwrap()).collect();
        let x = graph.sample("x", &distribution(&parameters), &Pathwise::new().samples(1000)).unwrap();
        graph.cost("cost", cost(x)).unwrap();
        let surrogate = graph.surrogate().unwrap();
        for (found, (along, order, _)) in found.iter_mut().zip(exact) {
            let along: Vec<(&str, Tensor<f64>)> =
                names.iter().zip(*along).map(|(name, &part)| (name.as_str(), scalar(part))).collect();
            found.push(surrogate.directional(&along, *order).unwrap().item().unwrap());
        }
    }
    for (found, (along, order, expected)) in found.iter().zip(exact) {
        let mean = found.iter().sum::<f64>() / RUNS as f64;
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (RUNS - 1) as f64;
        let error = (variance / RUNS as f64).sqrt();
        let within = (mean - expected).abs() < 4.0 * error;
        assert!(within, "{what}, order {order} along {along:?}: {mean} ± {error}, expected {expected}");
    }
}

/// Exact values from closed forms and quadrature.
#[test]
fn second_derivatives_along_gamma_variates_are_unbiased() {
    fn gamma<'t>(p: &[Var<'t, f64>]) -> Gamma<Var<'t, f64>> {
        Gamma::new(p[0], 1.0)
    }
    fn beta<'t>(p: &[Var<'t, f64>]) -> Beta<Var<'t, f64>> {
        Beta::new(p[0], p[1])
    }
    fn student_t<'t>(p: &[Var<'t, f64>]) -> StudentT<Var<'t, f64>> {
        StudentT::new(p[0], 0.0, 1.0)
    }
    type Cost = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let (log, root, sine): (Cost, Cost, Cost) = (|x| x.ln(), |x| x.sqrt(), |x| x.sin());
    let (square, tripled, cosine): (Cost, Cost, Cost) = (|x| x.square(), |x| (x * 3.0).sin(), |x| x.cos());
    let one: &[f64] = &[1.0];
    for (a, cost, first, second) in [
        (0.7, log, 2.834049157, -6.434992874),
        (0.7, root, 0.6585236177, -0.495097768),
        (0.7, sine, 0.3833303847, -0.5678182001),
        (2.3, log, 0.5425374587, -0.2881302434),
        (2.3, sine, -0.2344807187, -0.1603889179),
        (9.0, root, 0.1689278259, -0.009629574844),
        (9.0, sine, 0.01371326791, -0.03253542326),
        (2.3, square, 5.6, 2.0),
    ] {
        assert_orders::<Gamma>(&format!("Gamma({a})"), &[a], gamma, cost, &[(one, 1, first), (one, 2, second)]);
    }
    for (at, cost, by_a, [aa, ab, bb]) in [
        ([1.4, 2.2], log, 0.7054786915, [-0.8876291296, 0.101499494, 0.101499494]),
        ([1.4, 2.2], square, 0.1289995099, [-0.03148484686, -0.03863203815, 0.07499371741]),
        ([1.4, 2.2], tripled, 0.1841016023, [-0.2447455927, 0.07802183473, -0.04790337487]),
        ([0.6, 3.0], square, 0.1041447875, [0.01063305893, -0.04435655576, 0.0214267764]),
        ([0.6, 3.0], tripled, 0.487999251, [-0.4623024348, -0.04041814223, 0.0207126921]),
    ] {
        let exact: [(&[f64], usize, f64); 4] =
            [(&[1.0, 0.0], 1, by_a), (&[1.0, 0.0], 2, aa), (&[0.0, 1.0], 2, bb), (&[1.0, 1.0], 2, aa + 2.0 * ab + bb)];
        assert_orders::<Beta>(&format!("Beta{at:?}"), &at, beta, cost, &exact);
    }
    for (nu, cost, first, second) in [
        (3.5, cosine, 0.02389683517, -0.00997641858),
        (8.0, square, -0.05555555556, 0.01851851852),
        (8.0, cosine, 0.006260688621, -0.001386780974),
    ] {
        assert_orders::<StudentT>(
            &format!("StudentT({nu})"),
            &[nu],
            student_t,
            cost,
            &[(one, 1, first), (one, 2, second)],
        );
    }
}

#[test]
fn it_may_be_chosen_at_run_time_and_lie_along_a_shared_plate() {
    let model = |graph: &Graph<'_, f64>| {
        let plate = graph.plate("samples", 2)?;
        let method: DynMethod<f64, Normal<Id>> = Arc::new(Pathwise::new().on_plate(plate));
        let (a, b) = (graph.param("a", 0.3)?, graph.param("b", -0.2)?);
        let x = graph.sample("x", &Normal::new(a, 1.0), &method)?;
        let y = graph.sample("y", &Normal::new(x * b, 0.5), &method)?;
        assert_eq!((x.plates().as_slice(), y.plates().as_slice()), (&[plate][..], &[plate][..]));
        graph.cost("cost", (x * y + a).square())
    };
    Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap();
}

#[test]
fn it_composes_with_methods_that_draw_again() {
    let model = |graph: &Graph<'_, f64>| {
        let (t, s) = (graph.param("t", 0.3)?, graph.param("s", 0.2)?);
        let x = graph.sample("x", &Normal::new(t, 1.0), &Pathwise::new())?;
        let b = graph.sample("b", &Bernoulli::from_logits(s), &MeasureValued::new())?;
        let c = graph.sample("c", &Bernoulli::from_logits(b - s), &Enumerate::new())?;
        let y = graph.sample("y", &Normal::new(x * c + b, 0.5), &Pathwise::new())?;
        graph.cost("cost", (y - t).square() + c * x)
    };
    Oracle::new().nodes(4).verify(model, 0..=1, 1e-9).unwrap();
}

#[test]
fn implicit_paths_downstream_of_a_replay_are_drawn_again() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new().samples(20))?;
        let x = graph.sample("x", &Gamma::new(b * 2.0 + 1.0, 1.0), &Pathwise::new())?;
        graph.cost("cost", x.square())
    };
    // E x² is 2 at concentration 1, and 12 at 3.
    let p = 1.0 / (1.0 + (-0.3_f64).exp());
    StatisticalTest::new().runs(300).check(model, &[("t", scalar(10.0 * p * (1.0 - p)))]).unwrap();
}

/// The part of REBAR that replays: the derivative of the cost at the relaxed value, with gradients.
#[derive(Clone)]
struct RecordedReplay;

impl Method for RecordedReplay {
    fn name(&self) -> String {
        "recorded replay".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for RecordedReplay
where
    for<'t> D::On<'t>: Relaxed<'t, f64>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(distribution, SamplePlate::Single)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, f64>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, f64>> {
        let relaxed = distribution.perturbed(&context.draw("relaxed")).map_err(|source| context.error(source))?;
        let soft = distribution.soften(relaxed, context.tape().constant(1.0));
        let mut terms = Terms::default();
        for cost in context.recorded_replay(soft)? {
            let value = cost.value - cost.value.stop_gradient();
            terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        Ok(terms)
    }
}

#[test]
fn a_recorded_replay_passes_pathwise_nodes_and_refuses_another_distribution() {
    fn record<'t, D, M>(
        tape: &'t Tape<f64>,
        distribution: impl Fn(Var<'t, f64>) -> D,
        method: &M,
    ) -> GraphResult<Vec<f64>>
    where
        D: Live<'t, f64>,
        M: GradientMethod<f64, D::Family> + Clone + 'static,
    {
        let graph = Graph::new(tape, Seed::new(4));
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &RecordedReplay)?;
        let x = graph.sample("x", &distribution(b), method)?;
        graph.cost("cost", x * 3.0)?;
        Ok(graph.backward()?.get("t")?.to_vec())
    }
    let tape = Tape::<f64>::new();
    let biased = WithoutReplacement::new(2).normalized();
    let error = record(&tape, Bernoulli::from_logits, &biased).unwrap_err();
    assert!(matches!(&error, GraphError::Replay { node, .. } if node == "b"), "{error}");
    let tape = Tape::<f64>::new();
    let gradient = record(&tape, |b| Normal::new(b * 2.0, 1.0), &Pathwise::new()).unwrap();
    // 6 times the derivative of the sigmoid at the perturbed logit, which lies in (0, 1/4].
    assert!(gradient[0] > 0.0 && gradient[0] <= 1.5, "{gradient:?}");
}

/// One of two particles is selected in proportion to weights that move along a path, and both g and its mean are
/// known.
#[test]
fn new_weights_after_a_selection_keep_every_derivative() {
    let g = |x: f64| (0.2 + 0.1 * x) * x * x + (0.8 - 0.1 * x) * 3.0 * x;
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let x = graph.sample("x", &Uniform::new(t, t + 1.0), &Pathwise::new())?;
        let weights = Var::stack(&[x * 0.1 + 0.2, 0.8 - x * 0.1])?;
        let selection = Categorical::from_probabilities(weights.held());
        let selected = graph.sample("selected", &selection, &ScoreFunction::new())?.one_hot(2);
        let new = (selected * weights).sum().weight_after_selection();
        graph.cost("cost", new * (selected * Var::stack(&[x.square(), x * 3.0])?).sum())
    };
    Oracle::new().nodes(6).verify(model, 0..=2, 1e-9).unwrap();
    let moments = Oracle::new().nodes(6).gradient(model).unwrap();
    assert_close(moments.mean("t").unwrap().as_slice(), &[g(1.3) - g(0.3)], 1e-9);
}

/// A layer with random weights on two data: the weights drawn once, or the products drawn for each datum.
fn random_layer(graph: &Graph<'_, f64>, inputs: [[f64; 2]; 2], local: bool) -> GraphResult<()> {
    let x = graph.data("data", inputs)?;
    let location = graph.param("location", [[0.4, 1.0], [-0.2, 0.3]])?;
    let weights = Normal::new(location, graph.param("scale", [[0.6, 0.3], [0.8, 0.5]])?);
    let products = if local {
        graph.sample("products", &weights.products(x), &Pathwise::new())?
    } else {
        x.matmul(graph.sample("weights", &weights, &Pathwise::new())?)
    };
    graph.cost("cost", (products - graph.constant([0.5, -0.3])).square().sum())
}

#[test]
fn products_have_the_mean_gradient_of_random_weights_and_less_variance() {
    let inputs = [[1.0, 0.5], [1.0, 0.3]];
    let [weights, products] = [false, true].map(|local| {
        let model = |graph: &Graph<'_, f64>| random_layer(graph, inputs, local);
        Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap();
        Oracle::new().nodes(4).gradient(model).unwrap()
    });
    for name in ["location", "scale"] {
        assert_close(products.mean(name).unwrap().as_slice(), weights.mean(name).unwrap().as_slice(), 1e-9);
        let (local, whole) = (products.variance(name).unwrap(), weights.variance(name).unwrap());
        let less = local.as_slice().iter().zip(whole.as_slice()).all(|(local, whole)| local < whole);
        assert!(less, "{name}: {local:?}, {whole:?}");
    }
    // Two data that push a weight in opposite ways are worse off with noise of their own: it cancels no longer.
    let opposite = [false, true].map(|local| {
        let model = |graph: &Graph<'_, f64>| random_layer(graph, [[1.0, 0.5], [1.0, -0.3]], local);
        Oracle::new().nodes(4).gradient(model).unwrap().variance("location").unwrap().get(&[1, 0])
    });
    assert!(opposite[0] < opposite[1], "{opposite:?}");
    // Of one input that is 1 in both data, y has the derivative 2 (y − c): variance 4 s² with one draw, half of it
    // with one for each.
    for (local, expected) in [(false, 4.0), (true, 2.0)] {
        let model = |graph: &Graph<'_, f64>| random_layer(graph, [[1.0, 0.0]; 2], local);
        let moments = Oracle::new().nodes(4).gradient(model).unwrap();
        let variance = moments.variance("location").unwrap();
        assert_close(&variance.as_slice()[..2], &[expected * 0.36, expected * 0.09], 1e-9);
    }
}

type MakeMap = fn(&Tape<f64>) -> Bijector<Var<'_, f64>>;

/// The log-probability of an own sample is a function of the base value: the path through the map is smooth, and the
/// gradient of the entropy is that of the base distribution and of the slope.
#[test]
fn costs_may_hold_the_log_probability_of_a_transformed_sample() {
    let maps: [(&str, MakeMap); 7] = [
        ("exp", |_| Bijector::Exp),
        ("sigmoid", |_| Bijector::Sigmoid),
        ("softplus", |_| Bijector::Softplus),
        ("tanh", |_| Bijector::Tanh),
        ("action", |tape| Bijector::chain([Bijector::Tanh, Bijector::affine(tape.constant(2.0), -3.0)])),
        ("power", |tape| Bijector::chain([Bijector::Exp, Bijector::Power(tape.constant(1.5))])),
        ("twice", |_| Bijector::chain([Bijector::Exp, Bijector::Softplus.inverted(), Bijector::Tanh])),
    ];
    for (name, map) in maps {
        let run = |method: &DynMethod<f64, TransformedDistribution<Normal<Id>, Bijector<Id>>>| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(11));
            let (location, scale) = (graph.param("location", 0.3).unwrap(), graph.param("scale", 1.2).unwrap());
            let distribution = TransformedDistribution::new(Normal::new(location, scale), map(&tape));
            let x = graph.sample("x", &distribution, method).unwrap();
            graph.cost("log", distribution.log_prob(x)).unwrap();
            let gradients = graph.backward().unwrap();
            ["location", "scale"].map(|name| gradients.get(name).unwrap().as_slice()[0])
        };
        let samples = 20_000;
        let path = run(&(Arc::new(Pathwise::new().samples(samples)) as _));
        let score = run(&(Arc::new(ScoreFunction::new().samples(samples)) as _));
        assert!(path.iter().chain(&score).all(|slope| slope.is_finite()), "{name}");
        for (path, score) in path.iter().zip(score) {
            assert!((path - score).abs() < 0.15, "{name}: {path} and {score}");
        }
    }
    let exp = |graph: &Graph<'_, f64>| {
        let (location, scale) = (graph.param("location", 0.3)?, graph.param("scale", 1.2)?);
        let distribution = TransformedDistribution::new(Normal::new(location, scale), Bijector::Exp);
        let x = graph.sample("x", &distribution, &Pathwise::new())?;
        graph.cost("log", distribution.log_prob(x))
    };
    let moments = Oracle::new().nodes(4).gradient(exp).unwrap();
    assert_close(moments.mean("location").unwrap().as_slice(), &[-1.0], 1e-9);
    assert_close(moments.mean("scale").unwrap().as_slice(), &[-1.0 / 1.2], 1e-9);
}

/// The entropy of a squashed policy in single precision, where many actions round to the end: finite in every step, in a
/// compiled graph to the bit.
#[test]
fn the_entropy_of_a_squashed_policy_is_finite_in_every_step() {
    let build = |tape: &Tape<f32>, seed: usize| {
        let graph = Graph::new(tape, Seed::new(3).step(seed));
        let (location, scale) = (graph.param("location", 0.0).unwrap(), graph.param("scale", 5.0).unwrap());
        let policy = TransformedDistribution::new(Normal::new(location, scale), Bijector::Tanh);
        let action = graph.sample("action", &policy, &Pathwise::new().samples(64)).unwrap();
        graph.cost("cost", action + policy.log_prob(action) * 0.1).unwrap();
        let gradients = graph.backward().unwrap();
        ["location", "scale"].map(|name| gradients.get(name).unwrap().as_slice()[0])
    };
    for seed in 0..100 {
        let gradients = build(&Tape::new(), seed);
        assert!(gradients.iter().all(|slope| slope.is_finite()), "step {seed}: {gradients:?}");
    }
}
