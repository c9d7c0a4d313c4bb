use super::*;
use crate::enumeration::unordered_set::UnorderedSet;
use crate::testing::models::{self, BitMethod};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Categorical};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::{Tape, Workspace};
use stochgrad_tensor::Tensor;

/// Eight joint states, four of them, and a parameter that reaches a cost directly too; two costs and data.
fn nested<M, N>(graph: &Graph<'_, f64>, first: &M, second: &N) -> GraphResult<()>
where
    M: GradientMethod<f64, Bernoulli<stochgrad_tape::Id>> + Clone + 'static,
    N: GradientMethod<f64, Categorical<stochgrad_tape::Id>> + Clone + 'static,
{
    let t = graph.param("t", [0.3, -0.8, 0.4])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = graph.sample("x", &Bernoulli::from_logits(t * features), first)?;
    graph.cost("early", (x.sum() - 1.2).square() * t.index(0, 2))?;
    let logits = graph.constant([0.2, -0.5, 0.9, 0.0]) * (x.index(0, 0) + t.index(0, 1));
    let y = graph.sample("y", &Categorical::from_logits(logits), second)?;
    graph.cost("late", (y - x.sum() * features).square())
}

#[test]
fn nested_sets_on_data_are_unbiased() {
    for set in [WithoutReplacement::new(3), WithoutReplacement::new(3).without_baseline()] {
        let model = |graph: &Graph<'_, f64>| nested(graph, &set, &set);
        let truth = |graph: &Graph<'_, f64>| nested(graph, &crate::Enumerate::new(), &crate::Enumerate::new());
        let exact = exact_gradient(truth);
        StatisticalTest::new()
            .runs(3000)
            .check(model, &exact)
            .unwrap_or_else(|error| panic!("{}: {error}", set.name()));
    }
}

fn exact_gradient(model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> Vec<(String, Tensor<f64>)> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph).unwrap();
    let gradients = graph.backward().unwrap();
    gradients.iter().map(|(name, gradient)| (name.to_string(), gradient.clone())).collect()
}

fn second_derivative<M>(tape: &Tape<f64>, seed: Seed, method: &M) -> Vec<f64>
where
    M: GradientMethod<f64, Categorical<stochgrad_tape::Id>> + Clone + 'static,
{
    let graph = Graph::new(tape, seed);
    let logits = graph.param("logits", [0.3, -1.0, 0.5, -0.5]).unwrap();
    let x = graph.sample("x", &Categorical::from_logits(logits), method).unwrap();
    graph.cost("cost", (x - 0.7).square() * logits.index(0, 1).exp()).unwrap();
    let direction = Tensor::from([0.5, -0.3, 0.8, 0.1]);
    let surrogate = graph.surrogate().unwrap();
    (1..3)
        .map(|order| surrogate.directional(&[("logits", direction.clone())], order).unwrap().item().unwrap())
        .collect()
}

#[test]
fn the_second_derivative_is_unbiased() {
    let exact = second_derivative(&Tape::new(), Seed::new(1), &crate::Enumerate::new());
    for set in [WithoutReplacement::new(3), WithoutReplacement::new(3).without_baseline()] {
        let run = |run: u64| second_derivative(Workspace::new().tape(), Seed::new(2).step(run as usize), &set);
        StatisticalTest::new().runs(5000).check_values(run, &exact).unwrap();
    }
}

/// The variance of the plain form by quadrature: the weights of two states are uncorrelated, and that of one
/// depends on the arrival of the last of `size` others, t: E 1/q(t) = 1 + ∫ p e^(−p t) / q(t)² P(arrived by t) dt.
fn variance_by_quadrature(chances: &[f64], gradients: &[f64], size: usize) -> f64 {
    let arrived = |state: usize, t: f64| {
        let mut counts = vec![0.0; chances.len()];
        counts[0] = 1.0;
        for (_, p) in chances.iter().enumerate().filter(|(other, _)| *other != state) {
            let q = -(-p * t).exp_m1();
            for count in (0..counts.len()).rev() {
                counts[count] = counts[count] * (1.0 - q) + if count > 0 { counts[count - 1] * q } else { 0.0 };
            }
        }
        counts[size..].iter().sum::<f64>()
    };
    let step = 0.02;
    let second_moment = |state: usize| {
        let p = chances[state];
        let at = |s: f64| {
            let t = s.exp();
            p * (-p * t).exp() / (-p * t).exp_m1().powi(2) * arrived(state, t) * t
        };
        1.0 + (0..2500).map(|i| at(-25.0 + f64::from(i) * step)).sum::<f64>() * step
    };
    gradients.iter().enumerate().map(|(state, gradient)| gradient * gradient * (second_moment(state) - 1.0)).sum()
}

fn toy<M>(graph: &Graph<'_, f64>, phi: f64, method: &M) -> GraphResult<()>
where
    M: GradientMethod<f64, Bernoulli<stochgrad_tape::Id>> + Clone + 'static,
{
    let phi = graph.param("phi", phi)?;
    let x = graph.sample("x", &Bernoulli::from_logits(phi.broadcast_to([3])), method)?;
    graph.cost("cost", (x - graph.constant([0.6, 0.51, 0.48])).square().sum())
}

/// p and f ∇p of the eight states.
fn states(phi: f64) -> (Vec<f64>, Vec<f64>) {
    let theta = 1.0 / (1.0 + (-phi).exp());
    let ones = |state: u32| f64::from(state.count_ones());
    let p = |state: u32| theta.powf(ones(state)) * (1.0 - theta).powf(3.0 - ones(state));
    let f = |state: u32| {
        [0.6, 0.51, 0.48].iter().enumerate().map(|(i, t)| (f64::from(state >> i & 1) - t).powi(2)).sum::<f64>()
    };
    ((0..8).map(p).collect(), (0..8).map(|state| f(state) * p(state) * (ones(state) - 3.0 * theta)).collect())
}

#[test]
fn the_variance_is_known_and_not_below_that_of_the_unordered_set() {
    for (phi, gradient, unordered) in [
        (0.0, -0.045, [(2, 0.1878944), (4, 6.263146e-2), (6, 2.087715e-2)]),
        (-4.0, -3.179287e-3, [(2, 1.209589e-3), (4, 5.105935e-6), (6, 2.012079e-8)]),
    ] {
        let (chances, gradients) = states(phi);
        assert!((gradients.iter().sum::<f64>() - gradient).abs() < 1e-6 * gradient.abs());
        for (size, unordered) in unordered {
            let found = variance_by_quadrature(&chances, &gradients, size);
            assert!(found >= unordered, "{size} states at {phi}: {found}, {unordered}");
            if phi == 0.0 {
                // With equal probabilities, q is the size-th smallest of seven uniform variates.
                let square: f64 = gradients.iter().map(|g| g * g).sum();
                let closed = square * (7.0 / (size as f64 - 1.0) - 1.0);
                assert!((found - closed).abs() < 1e-6 * closed, "{size} states: {found}, {closed}");
            }
        }
        assert!(variance_by_quadrature(&chances, &gradients, 7) < variance_by_quadrature(&chances, &gradients, 6));
    }
    // The draws have this variance.
    let set = WithoutReplacement::new(5).without_baseline();
    let (chances, gradients) = states(0.0);
    let known = Tensor::scalar(variance_by_quadrature(&chances, &gradients, 5));
    let test = StatisticalTest::new().runs(4000);
    let model = |graph: &Graph<'_, f64>| toy(graph, 0.0, &set);
    test.check(model, &[("phi", Tensor::scalar(-0.045))]).unwrap();
    test.check_variance(model, &[("phi", known)], 0.1).unwrap();
}

#[test]
fn the_baseline_takes_most_of_the_variance() {
    let variance = |set: WithoutReplacement| {
        let run = |run: usize| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5).step(run));
            toy(&graph, 0.0, &set).unwrap();
            graph.backward().unwrap().get("phi").unwrap().to_vec()
        };
        let values: Vec<f64> = (0..2000).map(|step| run(step)[0]).collect();
        let mean = values.iter().sum::<f64>() / 2000.0;
        assert!((mean + 0.045).abs() < 0.03, "{mean}");
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1999.0
    };
    let plain = variance(WithoutReplacement::new(4).without_baseline());
    for set in [WithoutReplacement::new(4), WithoutReplacement::new(4).normalized()] {
        let found = variance(set);
        assert!(found < 0.5 * plain, "{}: {found}, {plain}", set.name());
    }
}

#[test]
fn whole_supports_have_no_variance() {
    for set in [WithoutReplacement::new(4), WithoutReplacement::new(4).normalized()] {
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [0.3, -1.0, 0.5, -2.0])?;
            let x = graph.sample("x", &Categorical::from_logits(logits), &set)?;
            graph.cost("cost", (x - 0.7).exp() * logits.index(0, 1))
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let variance = Oracle::new().gradient(model).unwrap().variance("logits").unwrap().to_vec();
        assert!(variance.iter().sum::<f64>() < 1e-18, "{variance:?}");
    }
}

#[test]
fn normalised_weights_are_labelled() {
    let bias = |set: WithoutReplacement| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        toy(&graph, 0.0, &set).unwrap();
        let gradients = graph.backward().unwrap();
        gradients.guarantee("phi").unwrap().bias
    };
    assert_eq!(bias(WithoutReplacement::new(3)), Bias::Unbiased);
    assert_eq!(bias(WithoutReplacement::new(3).normalized()), Bias::Distribution);
}

#[test]
fn impossible_states_wrong_sizes_and_joint_costs() {
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let logits = graph.param("logits", [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY]).unwrap();
    let distribution = Categorical::from_logits(logits);
    let x = graph.sample("x", &distribution, &WithoutReplacement::new(3)).unwrap();
    graph.cost("cost", x.square()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_abs_diff_eq!(gradients.cost("cost").unwrap(), 1.0, epsilon = 1e-6);
    assert!(gradients.get("logits").unwrap().all_finite());
    for size in [0, 5] {
        let error = graph.sample(("y", size), &distribution, &WithoutReplacement::new(size)).unwrap_err().to_string();
        assert!(error.contains("1 to 4"), "{error}");
    }
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    models::importance_weighted(&graph, &(Arc::new(WithoutReplacement::new(2)) as BitMethod)).unwrap();
    let error = graph.backward().unwrap_err().to_string();
    assert!(error.contains("several members of plate"), "{error}");
}

#[test]
fn the_first_states_are_those_of_the_unordered_set() {
    fn drawn<M>(method: &M) -> Tensor<f64>
    where
        M: GradientMethod<f64, Bernoulli<stochgrad_tape::Id>> + Clone + 'static,
    {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(9));
        let distribution = Bernoulli::from_logits(graph.param("t", [0.3, -0.8]).unwrap());
        graph.sample("x", &distribution, method).unwrap().peek().unwrap()
    }
    assert_eq!(drawn(&WithoutReplacement::new(3)), drawn(&UnorderedSet::new(3)));
}

#[test]
fn compiled_graphs_do_the_same() {
    for set in [WithoutReplacement::new(2), WithoutReplacement::new(1).normalized()] {
        models::assert_compiled(&(Arc::new(set) as BitMethod));
    }
}
