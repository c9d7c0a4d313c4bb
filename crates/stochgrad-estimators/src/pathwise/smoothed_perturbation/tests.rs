use super::*;
use crate::pathwise::Pathwise;
use crate::relaxation::gumbel_softmax::GumbelSoftmax;
use crate::score_function::ScoreFunction;
use stochgrad_check::{SampleMoments, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Exponential, Gamma, LogNormal, Normal};
use stochgrad_graph::{Bias, Graph, GraphError, Seed};
use stochgrad_tape::{Tape, Workspace};
use stochgrad_tensor::Tensor;

/// The gradients of the recorded costs, which have no random variables, by the names of the parameters.
fn exact(model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> Vec<(String, Tensor<f64>)> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(0));
    model(&graph).unwrap();
    graph.backward().unwrap().iter().map(|(name, gradient)| (name.to_string(), gradient.clone())).collect()
}

fn assert_mean(
    runs: usize,
    model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>,
    exact: &[(impl AsRef<str>, Tensor<f64>)],
) -> SampleMoments {
    StatisticalTest::new().runs(runs).check(model, exact).unwrap().moments().clone()
}

/// A claim on a share that starts at 100, at the strike 105 and the barrier 90, after three quarters of a year.
fn claim<'t>(
    graph: &Graph<'t, f64>,
    dates: usize,
    payoff: impl Fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>,
) -> GraphResult<()> {
    let samples = graph.plate("samples", 500)?;
    let (start, volatility) = (graph.param("start", 100.0)?, graph.param("volatility", 0.25)?);
    let (rate, time) = (0.03, 0.75);
    let step = time / dates as f64;
    let (strike, barrier) = (graph.constant(105.0), graph.constant(90.0));
    let (mut share, mut alive) = (start, graph.constant(1.0));
    for date in 0..dates {
        let location = share.ln() + (rate - volatility.square() * 0.5) * step;
        let next = LogNormal::new(location, volatility * step.sqrt());
        share = graph.sample(("share", date), &next, &SmoothedPerturbation::new().on_plate(samples))?;
        if dates > 1 {
            alive = alive * share.gt(barrier);
        }
    }
    graph.cost("price", payoff(share, strike) * alive * (-rate * time).exp())
}

fn greeks(delta: f64, vega: f64) -> [(&'static str, Tensor<f64>); 2] {
    [("start", Tensor::scalar(delta)), ("volatility", Tensor::scalar(vega))]
}

#[test]
fn digital_and_barrier_options_have_their_known_derivatives() {
    let digital = |graph: &Graph<'_, f64>| claim(graph, 1, |share, strike| share.gt(strike));
    let moments = assert_mean(3, digital, &greeks(0.01754738596, 0.02002271968));
    assert!(moments.variance.iter().all(|variance| *variance < 1e-20), "{moments:?}");
    let call = |graph: &Graph<'_, f64>| claim(graph, 1, |share, strike| (share - strike).relu());
    assert_mean(100, call, &greeks(0.4947437319, 34.54641612));
    let barrier_call = |graph: &Graph<'_, f64>| claim(graph, 10, |share, strike| (share - strike).relu());
    assert_mean(60, barrier_call, &greeks(0.5602918527, 25.55335055));
    let barrier_digital = |graph: &Graph<'_, f64>| claim(graph, 10, |share, strike| share.gt(strike));
    assert_mean(60, barrier_digital, &greeks(0.02277541026, -0.4935786612));
}

/// The stock starts at s + q. Each period takes off an exponential demand, charges 1 for each unit in stock and 4 for
/// each that is missing, and orders up to s + q at a cost of 3 if less than s is left. The threshold that a demand crosses
/// depends on earlier demands and on the parameters.
#[test]
fn an_inventory_has_its_known_derivatives() {
    for (periods, by_reorder, by_quantity) in
        [(1, 0.5895750069, 0.1173859998), (2, 0.8280140837, -0.1192245078), (3, 0.9849403126, -0.2368323771)]
    {
        let model = |graph: &Graph<'_, f64>| {
            let samples = graph.plate("samples", 500)?;
            let (reorder, quantity) = (graph.param("s", 1.0)?, graph.param("q", 2.0)?);
            let full = reorder + quantity;
            let (mut stock, mut total) = (full, graph.constant(0.0));
            for period in 0..periods {
                let distribution = Exponential::new(graph.constant(1.0 / 1.2));
                let method = SmoothedPerturbation::new().on_plate(samples);
                let demand = graph.sample(("demand", period), &distribution, &method)?;
                let left = stock - demand;
                let is_short = demand.gt(stock - reorder);
                total = total + left.relu() + (-left).relu() * 4.0 + is_short * 3.0;
                stock = is_short.select(full, left);
            }
            graph.cost("cost", total)
        };
        assert_mean(100, model, &[("s", Tensor::scalar(by_reorder)), ("q", Tensor::scalar(by_quantity))]);
    }
}

/// Elements and members with thresholds of their own, two thresholds for each of them, and a cost of all elements together.
#[test]
fn every_element_and_member_has_its_own_thresholds() {
    let thresholds = [[0.1, -0.4], [0.8, 0.3], [-0.2, 0.5]];
    let model = |graph: &Graph<'_, f64>| {
        let (mu, low) = (graph.param("mu", [0.4, -0.3])?, graph.param("low", [0.0, -0.5])?);
        let high = graph.data("thresholds", thresholds)?;
        let x = graph.sample("x", &Normal::new(mu + high * 0.0, 0.7), &SmoothedPerturbation::new())?;
        graph.cost("cost", (x.gt(high) * 2.0 + high.gt(x) * x + x.le(low)).sum().square())
    };
    let of = |graph: &Graph<'_, f64>| {
        let (mu, low) = (graph.param("mu", [0.4, -0.3])?, graph.param("low", [0.0, -0.5])?);
        let high = graph.data("thresholds", thresholds)?;
        // Moments of g(x) = 2 [x > h] + x [x < h] + [x <= l] for each element by quadrature in z = (x − μ) / σ.
        let (count, width) = (4000, 16.0);
        let nodes: Vec<f64> = (0..count).map(|i| (i as f64 + 0.5) / count as f64 * width - width / 2.0).collect();
        let z = graph.constant(Tensor::from_fn([count, 1], |i| nodes[i]));
        let weight = (z.square() * -0.5).exp() * (width / count as f64 / (2.0 * std::f64::consts::PI).sqrt());
        let x = mu.unsqueeze(0) + z * 0.7;
        // Jumps are smoothed over a few nodes of the quadrature.
        fn step(distance: Var<'_, f64>) -> Var<'_, f64> {
            (distance * 250.0).sigmoid()
        }
        let g = step(x - high.unsqueeze(0)) * 2.0 + step(high.unsqueeze(0) - x) * x + step(low.unsqueeze(0) - x);
        let (mean, square) = ((g * weight).sum_axis(0), (g.square() * weight).sum_axis(0));
        graph.cost("cost", square.sum() + mean.sum().square() - mean.square().sum())
    };
    let reference = exact(of);
    let found = StatisticalTest::new().runs(8000);
    let moments = found.sample(|run| {
        let mut workspace = Workspace::new();
        let graph = Graph::new(workspace.tape(), Seed::new(3).step(run as usize));
        model(&graph).unwrap();
        let gradients = graph.backward().unwrap();
        reference.iter().flat_map(|(name, _)| gradients.get(name).unwrap().to_vec()).collect()
    });
    let moments = moments.unwrap();
    let expected: Vec<f64> = reference.iter().flat_map(|(_, gradient)| gradient.to_vec()).collect();
    for (component, expected) in expected.iter().enumerate() {
        // The smoothed reference is accurate to 1e-3.
        let error = (moments.mean[component] - expected).abs();
        assert!(
            error < 4.0 * moments.standard_error(component) + 2e-3,
            "{component}: {error}, {moments:?}, {expected}"
        );
    }
}

#[test]
fn distributions_of_other_nodes_may_jump() {
    let model = |graph: &Graph<'_, f64>| {
        let (shape, threshold) = (graph.param("shape", 2.0)?, graph.param("threshold", 1.5)?);
        let x = graph.sample("x", &Gamma::new(shape, 1.0), &SmoothedPerturbation::new().samples(20))?;
        let y = graph.sample("y", &Bernoulli::from_logits(x.gt(threshold) * 1.5 - 0.5), &ScoreFunction::new())?;
        graph.cost("cost", (y - 0.3).square())
    };
    let reference = exact(|graph| {
        let (shape, threshold) = (graph.param("shape", 2.0)?, graph.param("threshold", 1.5)?);
        let above = Gamma::new(shape, 1.0).survival(threshold);
        let bit = graph.constant(1.0).sigmoid() * above + graph.constant(-0.5).sigmoid() * (1.0 - above);
        graph.cost("cost", bit * (0.49 - 0.09) + 0.09)
    });
    assert_mean(1000, model, &reference);
}

/// P(x > y) of two normal values, each the threshold of the other; and the same comparison written three times.
#[test]
fn the_later_node_carries_a_comparison_and_equal_thresholds_share_a_term() {
    let model = |graph: &Graph<'_, f64>| {
        let (a, b) = (graph.param("a", 0.3)?, graph.param("b", -0.2)?);
        let method = SmoothedPerturbation::new().on_plate(graph.plate("samples", 10)?);
        let x = graph.sample("x", &Normal::new(a, 1.0), &method)?;
        let y = graph.sample("y", &Normal::new(b, 1.0), &method)?;
        graph.cost("cost", x.gt(y) * 2.0 - y.ge(x))
    };
    let reference = exact(|graph| {
        let (a, b) = (graph.param("a", 0.3)?, graph.param("b", -0.2)?);
        let above = Normal::new(a - b, 2.0_f64.sqrt()).survival(graph.constant(0.0));
        graph.cost("cost", above * 3.0 - 1.0)
    });
    assert_mean(2000, model, &reference);

    let threshold = |graph: &Graph<'_, f64>| {
        let (mu, threshold) = (graph.param("mu", 0.3)?, graph.param("threshold", 0.1)?);
        let x = graph.sample("x", &Normal::new(mu, 1.0), &SmoothedPerturbation::new())?;
        let again = threshold * 3.0 / 3.0 + 0.0;
        graph.cost("cost", x.gt(threshold) + x.le(again) * x.gt(threshold * 1.0) + x.ge(threshold))
    };
    let reference = exact(|graph| {
        let (mu, threshold) = (graph.param("mu", 0.3)?, graph.param("threshold", 0.1)?);
        graph.cost("cost", Normal::new(mu, 1.0).survival(threshold) * 2.0)
    });
    let moments = assert_mean(20, threshold, &reference);
    assert!(moments.variance.iter().all(|variance| *variance < 1e-20), "{moments:?}");
}

#[test]
fn without_a_threshold_it_is_the_pathwise_derivative() {
    let gradient = |smoothed: bool| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4));
        let mu = graph.param("mu", [0.3, 0.1]).unwrap();
        let normal = Normal::new(mu, 0.5);
        let x = match smoothed {
            true => graph.sample("x", &normal, &SmoothedPerturbation::new().samples(3)),
            false => graph.sample("x", &normal, &Pathwise::new().samples(3)),
        };
        graph.cost("cost", x.unwrap().exp().sum()).unwrap();
        let surrogate = graph.surrogate().unwrap();
        (graph.backward().unwrap().get("mu").unwrap().to_vec(), surrogate.hessian("mu").unwrap().to_vec())
    };
    assert_eq!(gradient(true), gradient(false));
}

/// The error of a model with one normal node.
fn refusal(cost: impl for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>) -> GraphError {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(4));
    let mu = graph.param("mu", 0.3).unwrap();
    let x = graph.sample("x", &Normal::new(mu, 0.5), &SmoothedPerturbation::new()).unwrap();
    graph.cost("cost", cost(&graph, x).unwrap()).unwrap();
    graph.backward().unwrap_err()
}

#[test]
fn other_jumps_are_refused() {
    let refused = |error: GraphError| assert!(matches!(error, GraphError::Refused { .. }), "{error}");
    refused(refusal(|graph, x| Ok(x.exp().gt(graph.constant(1.0)))));
    refused(refusal(|_, x| Ok(x.gt(x.square()))));
    refused(refusal(|_, x| Ok(x.round())));
    refused(refusal(|graph, x| Ok(x.gt(graph.constant([0.0, 1.0])).sum())));
    refused(refusal(|graph, x| Ok(x.gt(graph.data("thresholds", [0.0, 1.0])?))));
    // Both nodes would account for the jump at x = y.
    refused(refusal(|graph, x| {
        let y = graph.sample("y", &Normal::new(graph.param("nu", 0.1)?, 1.0), &SmoothedPerturbation::new())?;
        Ok(x.gt(y) * x.gt(y.relu()))
    }));
    // The derivative of another node would have to flow through the term, which only this method provides for.
    refused(refusal(|graph, x| {
        let y = graph.sample("y", &Normal::new(graph.param("nu", 0.1)?, 1.0), &Pathwise::new())?;
        Ok(x.gt(y))
    }));
    refused(refusal(|graph, x| {
        let logit = graph.param("logit", 0.1)?;
        let bit = graph.sample("bit", &Bernoulli::from_logits(logit), &GumbelSoftmax::new(0.5))?;
        Ok(x.gt(bit))
    }));
}

#[test]
fn second_derivatives_through_a_threshold_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(4));
    let (mu, threshold) = (graph.param("mu", 0.3).unwrap(), graph.param("threshold", 0.0).unwrap());
    let x = graph.sample("x", &Normal::new(mu, 0.5), &SmoothedPerturbation::new()).unwrap();
    graph.cost("cost", x.gt(threshold)).unwrap();
    let gradients = graph.backward().unwrap();
    for name in ["mu", "threshold"] {
        let guarantee = gradients.guarantee(name).unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Unbiased, Order::Finite(1)), "{name}");
        assert!(matches!(graph.surrogate().unwrap().hessian(name), Err(GraphError::Order { .. })), "{name}");
    }
}

#[test]
fn thresholds_that_are_never_crossed_have_no_term() {
    for threshold in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -3.0, 0.0, 1e300] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4));
        let location = graph.param("location", 0.3).unwrap();
        let x = graph.sample("x", &LogNormal::new(location, 0.5), &SmoothedPerturbation::new()).unwrap();
        let threshold = graph.param("threshold", threshold).unwrap();
        graph.cost("cost", x.gt(threshold) * x.ln()).unwrap();
        let gradients = graph.backward().unwrap();
        let above = if threshold.peek().unwrap().item().unwrap() <= 0.0 { 1.0 } else { 0.0 };
        assert_eq!(gradients.get("location").unwrap().item().unwrap(), above);
        assert_eq!(gradients.get("threshold").unwrap().item().unwrap(), 0.0);
    }
}

#[test]
fn compiled_graphs_do_the_same_in_both_precisions() {
    fn assert_compiled<F: Real>() {
        let tape = Tape::<F>::new();
        let seed = Seed::new(5);
        let graph = Graph::new(&tape, seed);
        let mu = graph.param("mu", [0.3, -0.2]).unwrap();
        let x = graph.sample("x", &Normal::new(mu, 1.0), &SmoothedPerturbation::new().samples(4)).unwrap();
        let y = graph.sample("y", &Normal::new(x.sum(), 1.0), &SmoothedPerturbation::new()).unwrap();
        let threshold = graph.param("threshold", 0.1).unwrap();
        graph.cost("cost", (x.gt(threshold) * y.gt(threshold) * y).sum()).unwrap();
        let recorded = graph.backward().unwrap();
        let mut compiled = graph.compile().unwrap();
        compiled.set("mu", &Tensor::from_fn([2], |i| F::from_f64([0.3, -0.2][i]))).unwrap();
        compiled.set("threshold", &Tensor::scalar(F::from_f64(0.1))).unwrap();
        let run = compiled.run(seed).unwrap();
        for name in ["mu", "threshold"] {
            assert_eq!(recorded.get(name).unwrap(), run.get(name).unwrap());
            assert!(recorded.get(name).unwrap().as_slice().iter().all(|g| *g != F::ZERO && g.to_f64().is_finite()));
        }
    }
    assert_compiled::<f64>();
    assert_compiled::<f32>();
}
