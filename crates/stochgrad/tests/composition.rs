//! Compositions of several nodes and methods, with gradients in closed form.

use approx::assert_relative_eq;
use stochgrad::check::Oracle;
use stochgrad::distributions::Binomial;
use stochgrad::graph::{DynMethod, GradientMethod, GraphError, GraphResult};
use stochgrad::prelude::*;

/// The exact mean of the gradient estimate with respect to a parameter, over all outcomes of the estimator's draws.
fn mean_gradient(
    oracle: &Oracle,
    model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    parameter: &str,
) -> Vec<f64> {
    let moments = oracle.gradient(model).expect("the oracle runs");
    moments.mean(parameter).expect("the parameter").to_vec()
}

#[test]
fn a_normal_whose_location_and_scale_depend_on_counts() {
    // E = 20p²a + …: the gradient of E[a c y] is 40p + 570p² − 840p³.
    let p = 0.5;
    let expected = 40.0 * p + 570.0 * p * p - 840.0 * p * p * p;
    assert_eq!(expected, 57.5);
    fn model<M, N>(graph: &Graph<'_, f64>, count: &M, bit: &N) -> GraphResult<()>
    where
        M: GradientMethod<f64, Binomial<stochgrad::tape::Id>> + Clone + 'static,
        N: GradientMethod<f64, Bernoulli<stochgrad::tape::Id>> + Clone + 'static,
    {
        let p = graph.param("p", 0.5)?;
        let a = p * (1.0 - p);
        let b = graph.sample("b", &Binomial::from_probabilities(10.0, p), count)?;
        let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), bit)?;
        let c = b * 2.0 + bit * 3.0;
        let y = graph.sample("y", &Normal::new(b, a), &Pathwise::new())?;
        graph.cost("cost", a * c * y)
    }
    let oracle = Oracle::new().nodes(4);
    let score = ScoreFunction::new();
    oracle.verify(|graph| model(graph, &score, &score), 0..=2, 1e-9).expect("exact at orders 0 to 2");
    let found = mean_gradient(&oracle, |graph| model(graph, &score, &Enumerate::new()), "p");
    assert_relative_eq!(found[0], expected, epsilon = 1e-9);
    let found = mean_gradient(&oracle, |graph| model(graph, &MeasureValued::new(), &StochasticDerivatives::new()), "p");
    assert_relative_eq!(found[0], expected, epsilon = 1e-9);
}

#[test]
fn a_weighted_sum_of_a_hundred_bits() {
    // Each flip changes the cost by the weight of its bit, so the measure-valued gradient has no variance.
    for (seed, p) in [(1, 0.02), (2, 0.5), (3, 0.97)] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(seed));
        let p = graph.param("p", p).expect("a parameter");
        let weights: Vec<f64> = (1..=100).map(f64::from).collect();
        let bits = Bernoulli::from_probabilities(p.broadcast_to([100]));
        let bits = graph.sample("bits", &bits, &MeasureValued::new()).expect("bits");
        graph.cost("sum", (bits * graph.constant(weights)).sum()).expect("a cost");
        let gradients = graph.backward().expect("gradients");
        assert_relative_eq!(gradients.get("p").expect("p").item().expect("a scalar"), 5050.0, epsilon = 1e-6);
    }
}

#[test]
fn gaussian_nodes_with_several_dimensions() {
    let oracle = Oracle::new().nodes(4);
    let square_of_sum = |graph: &Graph<'_, f64>| {
        let location = graph.param("location", [1.0, 2.0, 3.0])?;
        let log_scale = graph.param("log_scale", [-1.0, 0.3, -2.0])?;
        let x = graph.sample("x", &Normal::from_log_scale(location, log_scale), &Pathwise::new())?;
        graph.cost("cost", x.sum().square())
    };
    let found = mean_gradient(&oracle, square_of_sum, "location");
    found.iter().for_each(|&g| assert_relative_eq!(g, 12.0, epsilon = 1e-9));
    let found = mean_gradient(&oracle, square_of_sum, "log_scale");
    for (found, expected) in found.iter().zip([0.270671, 3.644238, 0.036631]) {
        assert_relative_eq!(*found, expected, epsilon = 1e-6);
    }
    let sum_of_squares = |graph: &Graph<'_, f64>| {
        let location = graph.param("location", [1.0, 1.0])?;
        let log_scale = graph.param("log_scale", [1.0, 1.0])?;
        let x = graph.sample("x", &Normal::from_log_scale(location, log_scale), &ScoreFunction::new())?;
        graph.cost("cost", x.square().sum())
    };
    let oracle = Oracle::new().nodes(8);
    mean_gradient(&oracle, sum_of_squares, "location")
        .iter()
        .for_each(|&g| assert_relative_eq!(g, 2.0, epsilon = 1e-9));
    let found = mean_gradient(&oracle, sum_of_squares, "log_scale");
    found.iter().for_each(|&g| assert_relative_eq!(g, 2.0 * 2.0_f64.exp(), epsilon = 1e-8));
}

#[test]
fn evidence_bound_of_a_normal_model() {
    let model = |graph: &Graph<'_, f64>| {
        let location = graph.param("location", [0.0, 0.0])?;
        let scale = graph.param("scale", 1.0)?;
        let q = Normal::new(location, scale);
        let z = graph.sample("z", &q, &Pathwise::new())?;
        let zero = graph.constant([0.0, 0.0]);
        let prior = Normal::new(zero, 1.0);
        let x = graph.constant([-0.5, 2.0]);
        graph.cost("loss", q.log_prob(z) - prior.log_prob(z) - Normal::new(z, 1.0).log_prob(x))
    };
    let oracle = Oracle::new().nodes(8);
    let location = mean_gradient(&oracle, model, "location");
    assert_relative_eq!(location[0], 0.5, epsilon = 1e-9);
    assert_relative_eq!(location[1], -2.0, epsilon = 1e-9);
    assert_relative_eq!(mean_gradient(&oracle, model, "scale")[0], 2.0, epsilon = 1e-9);
    oracle.verify(model, 0..=2, 1e-9).expect("exact at orders 0 to 2");
}

#[test]
fn divergence_of_bernoulli_distributions() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let q = graph.param("q", 0.5).expect("a parameter");
    let p = Bernoulli::from_probabilities(graph.constant(0.25));
    graph.cost("kl", Bernoulli::from_probabilities(q).kl_to(&p)).expect("a cost");
    let gradients = graph.backward().expect("gradients");
    assert_relative_eq!(gradients.get("q").expect("q").item().expect("a scalar"), 3.0_f64.ln(), epsilon = 1e-9);
}

fn two_bits(graph: &Graph<'_, f64>, shift: f64, method: &MeasureValued) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.7])?;
    let bits = graph.sample("bits", &Bernoulli::from_logits(t), method)?;
    let count = graph.sample("count", &Poisson::from_rate(bits.sum() + 0.5), &MeasureValued::new())?;
    graph.cost("cost", (count - bits.sum()).square() + shift)
}

#[test]
fn the_same_seed_gives_the_same_bits_and_a_constant_changes_nothing() {
    let run = |shift: f64| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(9).step(4));
        two_bits(&graph, shift, &MeasureValued::new()).expect("recorded");
        graph.backward().expect("gradients").get("t").expect("t").to_vec()
    };
    assert_eq!(run(0.0), run(0.0));
    for (plain, shifted) in run(0.0).iter().zip(run(1024.0)) {
        assert_relative_eq!(*plain, shifted, epsilon = 1e-9);
    }
}

#[test]
fn leave_one_out_is_the_gradient_of_the_log_variance() {
    let (seed, members) = (Seed::new(3), 5);
    let theta = [0.4, -1.1, 0.2];
    let prior = [0.3, 0.3, 0.3];
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, seed);
    let t = graph.param("t", theta).expect("a parameter");
    let method = ScoreFunction::new().samples(members).baseline(LeaveOneOut);
    let q = Bernoulli::from_logits(t);
    let x = graph.sample("x", &q, &method).expect("bits");
    let p = Bernoulli::from_logits(graph.constant(prior));
    let log_ratio = q.log_prob(x) - p.log_prob(x);
    graph.cost("divergence", log_ratio.stop_gradient()).expect("a cost");
    let leave_one_out = graph.backward().expect("gradients").get("t").expect("t").to_vec();

    let plate = graph.plate_named("x").expect("the plate of the samples");
    let centred = log_ratio - log_ratio.mean_over(plate);
    let log_variance = centred.square().sum_over(plate) * (0.5 / (members as f64 - 1.0));
    let [gradient] = tape.backward(log_variance, [t]).expect("a gradient");
    for (one, other) in leave_one_out.iter().zip(gradient.as_slice()) {
        assert_relative_eq!(*one, *other, epsilon = 1e-12);
    }
}

#[test]
fn certain_bits_give_no_nan() {
    for p in [0.0, 0.5, 1.0] {
        let methods: [(&str, DynMethod<f64, Bernoulli<stochgrad::tape::Id>>); 4] = [
            ("score function", std::sync::Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut))),
            ("measure-valued", std::sync::Arc::new(MeasureValued::new())),
            ("enumeration", std::sync::Arc::new(Enumerate::new())),
            ("automatic", std::sync::Arc::new(Auto::new())),
        ];
        for (name, method) in methods {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5));
            let parameter = graph.param("p", p).expect("a parameter");
            let bit = graph.sample("bit", &Bernoulli::from_probabilities(parameter), &method).expect("a bit");
            graph.cost("cost", (bit - 0.2).square()).expect("a cost");
            let gradient = graph.backward().map(|gradients| gradients.get("p").expect("p").item().expect("a scalar"));
            match (name, gradient) {
                // Samples never show the other outcome.
                ("score function", Err(GraphError::Refused { .. })) => assert!(p != 0.5, "{name} at {p}"),
                ("score function", Ok(gradient)) => {
                    assert!(p == 0.5 && gradient.is_finite(), "{name} at {p}: {gradient}")
                }
                // The difference of 0.8² and 0.2².
                (_, Ok(gradient)) => assert_relative_eq!(gradient, 0.6, epsilon = 1e-12),
                (_, Err(error)) => panic!("{name} at {p}: {error}"),
            }
        }
    }
}
