//! Bounds on toys whose posteriors are known.

use super::EvidenceBound;
use crate::auto::Auto;
use crate::enumeration::enumerate::Enumerate;
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::LeaveOneOut;
use crate::score_function::baseline::Vimco;
use stochgrad_check::{CheckError, Oracle};
use stochgrad_distributions::{Bernoulli, Distribution, Id, Normal};
use stochgrad_graph::{Bias, GradientMethod, Graph, GraphError, GraphResult, Order, Reduction, Seed};
use stochgrad_tape::{Plate, Tape, Var, Workspace};
use stochgrad_tensor::Tensor;

type Choose = fn(Plate) -> EvidenceBound;

const DOUBLE: [Choose; 4] = [
    |plate| EvidenceBound::importance_weighted(plate).doubly_reparameterized(),
    |plate| EvidenceBound::renyi(plate, 0.5).doubly_reparameterized(),
    |plate| EvidenceBound::renyi(plate, -1.0).doubly_reparameterized(),
    |_| EvidenceBound::elbo().doubly_reparameterized(),
];

/// Bounds, and how near seven nodes in each of four dimensions come to them: the less the bound curves, the nearer.
const BY_QUADRATURE: [(Choose, f64); 3] =
    [(|plate| EvidenceBound::renyi(plate, 0.8).doubly_reparameterized(), 1e-5), (DOUBLE[0], 1e-3), (DOUBLE[3], 1e-5)];

fn standard<'t>(graph: &Graph<'t, f64>) -> Normal<Var<'t, f64>> {
    Normal::new(graph.constant(0.0), 1.0)
}

/// z ~ N(0, 1), x ~ N(weight · z, 1) with x = 1.2, approximated by N(location, exp(log scale)).
fn toy(graph: &Graph<'_, f64>, samples: usize, [location, log_scale]: [f64; 2], choose: Choose) -> GraphResult<()> {
    let plate = graph.plate("samples", samples)?;
    let posterior = Normal::from_log_scale(graph.param("location", location)?, graph.param("log_scale", log_scale)?);
    let z = graph.sample("z", &posterior, &Pathwise::new().on_plate(plate))?;
    let likelihood = Normal::new(graph.param("weight", 1.0)? * z, 1.0).log_prob(graph.constant(1.2));
    choose(plate).record(graph, "loss", standard(graph).log_prob(z) + likelihood, posterior.log_prob(z))
}

/// The exact posterior of the toy is N(0.6, √½).
const POSTERIOR: [f64; 2] = [0.6, -0.346_573_590_279_972_65];

fn variance(nodes: usize, model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> [f64; 2] {
    let moments = Oracle::new().nodes(nodes).gradient(model).unwrap();
    ["location", "log_scale"].map(|name| moments.variance(name).unwrap().item().unwrap())
}

#[test]
fn at_the_exact_posterior_held_scores_leave_no_variance() {
    let held: [Choose; 6] = [
        |_| EvidenceBound::elbo().sticking_the_landing(),
        |plate| EvidenceBound::importance_weighted(plate).sticking_the_landing(),
        DOUBLE[0],
        DOUBLE[1],
        DOUBLE[2],
        DOUBLE[3],
    ];
    for (at, choose) in held.into_iter().enumerate() {
        let found = variance(8, |graph| toy(graph, 2, POSTERIOR, choose));
        assert!(found.iter().all(|variance| *variance < 1e-20), "{at}: {found:?}");
    }
    // As recorded the score remains: ε/σ and ε² − 1, averaged over two samples.
    for choose in [|_| EvidenceBound::elbo(), |plate| EvidenceBound::importance_weighted(plate)] as [Choose; 2] {
        let found = variance(8, |graph| toy(graph, 2, POSTERIOR, choose));
        assert!((found[0] - 1.0).abs() < 1e-9 && (found[1] - 1.0).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn leave_one_out_has_no_variance_at_the_exact_posterior() {
    let model = |bound: EvidenceBound| {
        move |graph: &Graph<'_, f64>| {
            let [location, log_scale] = POSTERIOR;
            let posterior =
                Normal::from_log_scale(graph.param("location", location)?, graph.param("log_scale", log_scale)?);
            let z = graph.sample("z", &posterior, &ScoreFunction::new().samples(3).baseline(LeaveOneOut))?;
            let log_joint = standard(graph).log_prob(z) + Normal::new(z, 1.0).log_prob(graph.constant(1.2));
            bound.record(graph, "loss", log_joint, posterior.log_prob(z))
        }
    };
    let bound = EvidenceBound::elbo().sticking_the_landing();
    assert!(variance(4, model(bound)).iter().all(|variance| *variance < 1e-20));
    Oracle::new().nodes(4).verify(model(bound), 0..=1, 1e-9).unwrap();
    // The score of the samples' own distribution has the Fisher information as its variance: 2 and 2, over three
    // samples.
    let found = variance(4, model(EvidenceBound::elbo()));
    assert!(found.iter().all(|variance| (variance - 2.0 / 3.0).abs() < 1e-9), "{found:?}");
}

#[test]
fn doubly_reparameterised_gradients_are_exact() {
    for choose in DOUBLE {
        for (samples, nodes) in [(1, 16), (2, 24)] {
            let model = |graph: &Graph<'_, f64>| toy(graph, samples, [0.4, -0.3], choose);
            Oracle::new().nodes(nodes).verify(model, 0..=1, 1e-7).unwrap();
        }
    }
    let three = |graph: &Graph<'_, f64>| toy(graph, 3, [0.4, -0.3], DOUBLE[0]);
    Oracle::new().nodes(10).verify(three, 0..=1, 1e-5).unwrap();
}

#[test]
fn sticking_the_landing_is_biased_with_several_samples_and_says_so() {
    let choose: Choose = |plate| EvidenceBound::importance_weighted(plate).sticking_the_landing();
    let model = |samples| move |graph: &Graph<'_, f64>| toy(graph, samples, [0.4, -0.5], choose);
    Oracle::new().nodes(20).verify(model(1), 0..=1, 1e-9).unwrap();
    let error = Oracle::new().nodes(20).verify(model(2), 0..=1, 1e-4).unwrap_err();
    assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
    for (samples, bias) in [(1, Bias::Unbiased), (2, Bias::Gradient)] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(samples)(&graph).unwrap();
        let gradients = graph.backward().unwrap();
        for name in ["location", "log_scale"] {
            let guarantee = gradients.guarantee(name).unwrap();
            assert_eq!((guarantee.bias, guarantee.order), (bias, Order::Finite(1)));
        }
        assert_eq!(gradients.guarantee("weight").unwrap().bias, Bias::Unbiased);
        let second = graph.surrogate().unwrap().directional(&[("location", Tensor::scalar(1.0))], 2);
        assert!(second.unwrap_err().to_string().contains("sticks the landing"));
    }
}

/// Two layers that share a parameter, and a cost beside the bound.
fn two_layers(graph: &Graph<'_, f64>, choose: Choose) -> GraphResult<()> {
    let plate = graph.plate("samples", 2)?;
    let t = graph.param("t", [0.3, -0.2, 0.4])?;
    let method = Pathwise::new().on_plate(plate);
    let first = Normal::new(t.index(0, 0), 0.9);
    let z1 = graph.sample("z1", &first, &method)?;
    let second = Normal::from_log_scale((z1 * t.index(0, 1)).sin() + t.index(0, 0), t.index(0, 2) * -0.5);
    let z2 = graph.sample("z2", &second, &method)?;
    let s = graph.param("s", [0.2, 0.5])?;
    let joint = standard(graph).log_prob(z1)
        + Normal::new(z1 * s.index(0, 1), 1.0).log_prob(z2)
        + Normal::new(z2 + s.index(0, 0), 1.5).log_prob(graph.constant(0.8));
    choose(plate).record(graph, "loss", joint, first.log_prob(z1) + second.log_prob(z2))?;
    graph.cost("beside", (z1 * z2 - t.index(0, 2)).square() * 0.1)
}

#[test]
fn hierarchical_posteriors_are_exact() {
    for (choose, tolerance) in BY_QUADRATURE {
        Oracle::new().nodes(7).verify(|graph: &Graph<'_, f64>| two_layers(graph, choose), 0..=1, tolerance).unwrap();
    }
    let stick: Choose = |_| EvidenceBound::elbo().sticking_the_landing();
    Oracle::new().nodes(5).verify(|graph: &Graph<'_, f64>| two_layers(graph, stick), 0..=1, 1e-5).unwrap();
}

/// Data with separate latent vectors, and one latent variable that all data share.
fn on_data(graph: &Graph<'_, f64>, shared: bool, choose: Choose) -> GraphResult<()> {
    let plate = graph.plate("samples", 2)?;
    let x = graph.data("data", [0.4, -0.9])?;
    let t = graph.param("t", [0.3, -0.3])?;
    let location = if shared { t.index(0, 0) } else { t.index(0, 0) * x };
    let posterior = Normal::from_log_scale(location, t.index(0, 1));
    let z = graph.sample("z", &posterior, &Pathwise::new().on_plate(plate))?;
    let likelihood = Normal::new(z * graph.param("w", 0.9)?, 1.0).log_prob(x);
    choose(plate).record(graph, "loss", standard(graph).log_prob(z) + likelihood, posterior.log_prob(z))
}

#[test]
fn data_with_own_and_with_shared_codes_are_exact() {
    for (choose, tolerance) in BY_QUADRATURE {
        Oracle::new()
            .nodes(7)
            .verify(|graph: &Graph<'_, f64>| on_data(graph, false, choose), 0..=1, tolerance)
            .unwrap();
        let tolerance = tolerance * 0.1;
        Oracle::new()
            .nodes(24)
            .verify(|graph: &Graph<'_, f64>| on_data(graph, true, choose), 0..=1, tolerance)
            .unwrap();
    }
}

/// A vector of latent numbers, drawn for each datum.
#[test]
fn vectors_are_exact() {
    let model = |graph: &Graph<'_, f64>| {
        let plate = graph.plate("samples", 2)?;
        let posterior = Normal::from_log_scale(graph.param("location", [0.4, -0.2])?, graph.param("log_scale", -0.05)?);
        let z = graph.sample("z", &posterior, &Pathwise::new().on_plate(plate))?;
        let likelihood = Normal::new(z.sum(), 1.5).log_prob(graph.constant(0.7));
        let (choose, _) = BY_QUADRATURE[0];
        choose(plate).record(graph, "loss", standard(graph).log_prob(z) + likelihood, posterior.log_prob(z))
    };
    Oracle::new().nodes(7).verify(model, 0..=1, 1e-5).unwrap();
}

/// A prior of two layers with parameters, the second one given the first; some of them in the posterior too.
fn with_priors(graph: &Graph<'_, f64>, choose: Choose) -> GraphResult<()> {
    let plate = graph.plate("samples", 2)?;
    let method = Pathwise::new().on_plate(plate);
    let (t, p) = (graph.param("t", [0.3, -0.2])?, graph.param("p", [0.2, -0.1, 0.3])?);
    let first = Normal::new(t.index(0, 0), 0.9);
    let z1 = graph.sample("z1", &first, &method)?;
    let second = Normal::new(z1 * 0.4 + t.index(0, 1), 0.85);
    let z2 = graph.sample("z2", &second, &method)?;
    let prior2 = Normal::from_log_scale(p.index(0, 0) + t.index(0, 1), p.index(0, 1));
    let prior1 = Normal::new((z2 * p.index(0, 2)).sin(), 1.0);
    let likelihood = Normal::new(z1 + z2 * 0.5, 1.5).log_prob(graph.constant(0.9));
    choose(plate).record_with_priors(
        graph,
        "loss",
        likelihood,
        &[(&prior1, z1), (&prior2, z2)],
        first.log_prob(z1) + second.log_prob(z2),
    )
}

#[test]
fn priors_are_exact() {
    for (choose, tolerance) in BY_QUADRATURE {
        Oracle::new().nodes(7).verify(|graph: &Graph<'_, f64>| with_priors(graph, choose), 0..=1, tolerance).unwrap();
    }
    let plain: Choose = EvidenceBound::importance_weighted;
    Oracle::new().nodes(4).verify(|graph: &Graph<'_, f64>| with_priors(graph, plain), 0..=2, 1e-9).unwrap();
}

#[test]
fn discrete_codes_have_the_bounds_as_recorded() {
    let model = |alpha: f64| {
        move |graph: &Graph<'_, f64>| {
            let distribution = Bernoulli::from_logits(graph.param("t", [0.3, -0.8])?);
            let z = graph.sample("z", &distribution, &ScoreFunction::new().samples(2).baseline(Vimco::new()))?;
            let plate = graph.plate_named("z").expect("the plate of the samples");
            let log_joint = (z * graph.param("w", [0.7, -0.4])?).sum();
            EvidenceBound::renyi(plate, alpha).record(graph, "loss", log_joint, distribution.log_prob(z))
        }
    };
    for alpha in [0.0, 0.4, 2.0] {
        Oracle::new().verify(model(alpha), 0..=2, 1e-9).unwrap();
    }
    let elbo = |graph: &Graph<'_, f64>| {
        let distribution = Bernoulli::from_logits(graph.param("t", [0.3, -0.8])?);
        let z = graph.sample("z", &distribution, &Enumerate::new())?;
        let log_joint = (z * graph.param("w", [0.7, -0.4])?).sum();
        EvidenceBound::elbo().record(graph, "loss", log_joint, distribution.log_prob(z))
    };
    Oracle::new().verify(elbo, 0..=2, 1e-9).unwrap();
}

fn refusal<M>(method: impl Fn(Plate) -> M, jump: bool) -> GraphError
where
    M: GradientMethod<f64, Normal<Id>> + Clone + 'static,
{
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let record = || {
        let plate = graph.plate("samples", 2)?;
        let posterior = Normal::new(graph.param("location", 0.3)?, 1.0);
        let z = graph.sample("z", &posterior, &method(plate))?;
        let log_joint = if jump { z.step() } else { -z.square() };
        DOUBLE[0](plate).record(&graph, "loss", log_joint, posterior.log_prob(z))?;
        graph.backward()
    };
    record().unwrap_err()
}

#[test]
fn what_has_no_path_is_refused() {
    let error = refusal(|plate| ScoreFunction::new().on_plate(plate), false);
    assert!(matches!(&error, GraphError::Objective { name, .. } if name == "loss"), "{error}");
    assert!(error.to_string().contains("Pathwise") && error.to_string().contains("tests.rs"), "{error}");
    let error = refusal(|plate| Auto::new().on_plate(plate), true).to_string();
    assert!(error.contains("node \"z\"") && error.contains("doubly reparameterised bound \"loss\""), "{error}");
    // Drawn once, and shared by all members.
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let plate = graph.plate("samples", 2).unwrap();
    let once = Normal::new(graph.param("location", 0.3).unwrap(), 1.0);
    let w = graph.sample("w", &once, &Pathwise::new()).unwrap();
    let each = Normal::new(w, 1.0);
    let z = graph.sample("z", &each, &Pathwise::new().on_plate(plate)).unwrap();
    let log_posterior = once.log_prob(w) + each.log_prob(z);
    let error = DOUBLE[0](plate).record(&graph, "loss", -z.square(), log_posterior).unwrap_err().to_string();
    assert!(error.contains("along plate \"samples\""), "{error}");
    let prior = standard(&graph);
    let error = DOUBLE[3](plate).record_with_priors(&graph, "loss", z, &[(&prior, z * 2.0)], log_posterior);
    assert!(error.unwrap_err().to_string().contains("returned"));
    let error = EvidenceBound::renyi(plate, f64::NAN).record(&graph, "loss", z, log_posterior).unwrap_err().to_string();
    assert!(error.contains("NaN"), "{error}");
}

#[test]
fn compiled_graphs_do_the_same() {
    for choose in [DOUBLE[0], DOUBLE[1]] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3).step(0));
        with_priors(&graph, choose).unwrap();
        let mut compiled = graph.compile().unwrap();
        for step in 0..3 {
            let tape = Tape::<f64>::new();
            let fresh = Graph::new(&tape, Seed::new(3).step(step));
            with_priors(&fresh, choose).unwrap();
            let fresh = fresh.backward().unwrap();
            compiled.set("t", &Tensor::from([0.3, -0.2])).unwrap();
            compiled.set("p", &Tensor::from([0.2, -0.1, 0.3])).unwrap();
            let again = compiled.run(Seed::new(3).step(step)).unwrap();
            for name in ["t", "p"] {
                assert_eq!(again.get(name).unwrap().as_slice(), fresh.get(name).unwrap().as_slice());
            }
        }
    }
}

/// The mean and the variance of the gradient of −𝓛 with respect to the location, from many independent copies of the
/// toy.
fn sampled(samples: usize, [location, scale, x]: [f64; 3], choose: Choose) -> (f64, f64, f64) {
    const COPIES: usize = 1000;
    const RUNS: usize = 10;
    let mut workspace = Workspace::new();
    let (mut sum, mut squares) = (0.0, 0.0);
    for run in 0..RUNS {
        let graph = Graph::new(workspace.tape(), Seed::new(5).step(run));
        let copies = graph.plate("copies", COPIES).unwrap();
        graph.set_reduction(copies, Reduction::Sum).unwrap();
        let plate = graph.plate("samples", samples).unwrap();
        let location = graph.param("location", vec![location; COPIES]).unwrap().event_to_plate(copies);
        let posterior = Normal::new(location, scale);
        let z = graph.sample("z", &posterior, &Pathwise::new().on_plate(plate)).unwrap();
        let log_joint = standard(&graph).log_prob(z) + Normal::new(z, 1.0).log_prob(graph.constant(x));
        choose(plate).record(&graph, "loss", log_joint, posterior.log_prob(z)).unwrap();
        for g in graph.backward().unwrap().get("location").unwrap().as_slice() {
            sum += g;
            squares += g * g;
        }
    }
    let count = (COPIES * RUNS) as f64;
    let mean = sum / count;
    (mean, squares / count - mean * mean, count)
}

#[test]
fn the_signal_drowns_in_noise_as_recorded_and_rises_above_it_doubly_reparameterised() {
    let signal_to_noise = |samples, choose| {
        let (mean, variance, _) = sampled(samples, [1.1, 0.8, 1.2], choose);
        mean.abs() / variance.sqrt()
    };
    let ratio = |choose: Choose| signal_to_noise(64, choose) / signal_to_noise(4, choose);
    // 16 times as many samples: a quarter, and four times.
    let (plain, double) = (ratio(EvidenceBound::importance_weighted), ratio(DOUBLE[0]));
    assert!((0.17..0.36).contains(&plain), "{plain}");
    assert!((3.2..4.8).contains(&double), "{double}");
}

#[test]
fn the_bias_of_sticking_the_landing_is_the_known_one() {
    // Eight samples of N(0, 1), where the posterior is N(½, √½): the gradient of 𝓛 is 0.0638.
    let choices: [(Choose, f64); 3] = [
        (EvidenceBound::importance_weighted, 0.06378),
        (DOUBLE[0], 0.06378),
        (|plate| EvidenceBound::importance_weighted(plate).sticking_the_landing(), 0.53185),
    ];
    for (at, (choose, expected)) in choices.into_iter().enumerate() {
        let (mean, variance, count) = sampled(8, [0.0, 1.0, 1.0], choose);
        assert!((mean + expected).abs() < 4.0 * (variance / count).sqrt() + 1e-4, "{at}: {mean}");
    }
}
