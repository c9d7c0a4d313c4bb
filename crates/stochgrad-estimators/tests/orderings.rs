//! Orderings of variances that the papers of the methods state, on small models: exact where every outcome can be
//! visited. `docs/orderings.md` lists them.

use std::sync::Arc;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Distribution, Normal, Poisson};
use stochgrad_estimators::{
    Arm, Arms, DisArm, DoubleControlVariate, EvidenceBound, GeneralizedGumbelSoftmax, LeaveOneOut, Ovis,
    OvisMonteCarlo, ScoreFunction, Vimco,
};
use stochgrad_graph::{DynMethod, GradientMethod, Graph, GraphResult, Seed};
use stochgrad_tape::{Id, Var, Workspace};

type BitMethod = DynMethod<f64, Bernoulli<Id>>;

fn leave_one_out(samples: usize) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples).baseline(LeaveOneOut))
}

type Cost = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// The exact variances of the gradient of a function of a sum of bits with the slopes 1, −2 and 0.7, added up over the
/// logits.
fn of_bits<const N: usize>(logits: [f64; N], cost: Cost, method: BitMethod) -> f64 {
    let model = |graph: &Graph<'_, f64>| {
        let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", logits)?), &method)?;
        let slopes: Vec<f64> = [1.0, -2.0, 0.7].into_iter().take(N).collect();
        graph.cost("cost", cost((x * graph.constant(slopes)).sum()))
    };
    let moments = Oracle::new().nodes(4).gradient(model).unwrap();
    moments.variance("t").unwrap().as_slice().iter().sum()
}

fn assert_known(what: &str, found: f64, known: f64) {
    assert!((found / known - 1.0).abs() < 1e-4, "{what}: {found}, not {known}");
}

/// Logits of three bits.
const THREE: [[f64; 3]; 3] = [[0.3, -1.0, 2.0], [0.0, 0.1, -0.2], [-2.0, -1.5, -3.0]];
const EXPONENTIAL: Cost = |sum| (sum - 0.3).exp();

/// The mean and the variance of the elements of a gradient, from this number of runs.
fn sampled(
    runs: usize,
    name: &str,
    model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
) -> (Vec<f64>, Vec<f64>) {
    let mut workspace = Workspace::new();
    let (mut sum, mut squares) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let graph = Graph::new(workspace.tape(), Seed::new(11).step(run));
        model(&graph).unwrap();
        let gradient = graph.backward().unwrap().get(name).unwrap().to_vec();
        sum.resize(gradient.len(), 0.0);
        squares.resize(gradient.len(), 0.0);
        for (i, g) in gradient.into_iter().enumerate() {
            sum[i] += g / runs as f64;
            squares[i] += g * g / runs as f64;
        }
    }
    let variance = squares.iter().zip(&sum).map(|(square, mean)| square - mean * mean).collect();
    (sum, variance)
}

/// Dong, Mnih and Tucker (2020); Yin, Ho, Yan, Qian and Zhou (2020).
#[test]
fn dis_arm_is_below_arm_and_leave_one_out() {
    // The variances by an independent program.
    let known = [[0.85164, 1.27748, 1.28704], [0.643095, 0.897865, 1.11443], [0.162066, 0.214948, 0.181047]];
    for (logits, known) in THREE.into_iter().zip(known) {
        let methods: [BitMethod; 3] = [Arc::new(DisArm::new()), Arc::new(Arm::new()), leave_one_out(2)];
        let found = methods.map(|method| of_bits(logits, EXPONENTIAL, method));
        println!("{logits:?}: DisARM, ARM, leave-one-out {found:.4?}");
        found.iter().zip(known).for_each(|(&found, known)| assert_known("variance", found, known));
        assert!(found[0] < found[1] && found[0] < found[2]);
    }
}

/// Dimitriev and Zhou (2021): four antithetic samples, against two pairs and four independent samples.
#[test]
fn arms_is_below_pairs_and_leave_one_out() {
    for logits in [[0.3, -1.0], [0.0, 0.1], [-2.0, -1.5]] {
        let methods: [BitMethod; 3] = [Arc::new(Arms::new(4)), Arc::new(DisArm::new().pairs(2)), leave_one_out(4)];
        let found = methods.map(|method| of_bits(logits, EXPONENTIAL, method));
        println!("{logits:?}: ARMS, two pairs, leave-one-out {found:.4?}");
        assert!(found[0] < found[1] && found[0] < found[2], "{logits:?}: {found:?}");
    }
}

/// Titsias and Shi (2022), for a cost with informative slopes, as that of a log-likelihood.
#[test]
fn double_control_variates_are_below_leave_one_out() {
    // The variances by an independent program.
    let known = [[0.02823, 0.20992], [0.03403, 0.23302], [0.01355, 0.05796]];
    for (logits, known) in THREE.into_iter().zip(known) {
        let methods: [BitMethod; 2] = [Arc::new(DoubleControlVariate::new(2)), leave_one_out(2)];
        let found = methods.map(|method| of_bits(logits, |sum| sum.softplus(), method));
        println!("{logits:?}: double control variate, leave-one-out {found:.5?}");
        for (found, known) in found.into_iter().zip(known) {
            assert!((found - known).abs() < 1e-5, "{found}, not {known}");
        }
    }
}

/// Ranganath, Gerrish and Blei (2014): a hierarchical model with one global and two local variables.
#[test]
fn rao_blackwellised_gradients_are_below_plain_ones_and_control_variates_below_both() {
    #[derive(Clone, Copy, PartialEq)]
    enum Form {
        Plain,
        RaoBlackwellised,
        Controlled,
    }
    let variances = |form: Form| {
        let model = |graph: &Graph<'_, f64>| {
            let location = graph.param("location", [0.3, -0.5, 0.8])?;
            let samples = graph.plate("samples", 2)?;
            let method = ScoreFunction::new().on_plate(samples);
            let prior = Normal::new(graph.constant(0.0), 1.0);
            let data = [1.5, -0.7];
            let [global, first, second] = [0, 1, 2].map(|at| Normal::new(location.index(0, at), 0.6));
            // The derivative of the logarithm of q at fixed samples has the mean 0, and is left out as in the paper.
            let held = location.stop_gradient();
            let log_q = |at: usize, x| Normal::new(held.index(0, at), 0.6).log_prob(x);
            if form == Form::Plain {
                // One node with one cost: every score is multiplied by every term.
                let x = graph.sample("x", &Normal::new(location, 0.6), &method)?;
                let [z, a, b] = [0, 1, 2].map(|at| x.index(0, at));
                let mean = Normal::new(z, 1.0);
                let terms = mean.log_prob(a) + mean.log_prob(b) + Normal::new(a, 1.0).log_prob(graph.constant(data[0]));
                let rest = Normal::new(b, 1.0).log_prob(graph.constant(data[1])) + prior.log_prob(z);
                return graph.cost("cost", Normal::new(held, 0.6).log_prob(x) - terms - rest);
            }
            let draw = |name: &str, distribution: &Normal<_>| match form {
                Form::Controlled => graph.sample(name, distribution, &method.baseline(LeaveOneOut)),
                _ => graph.sample(name, distribution, &method),
            };
            let z = draw("z", &global)?;
            graph.cost("global", log_q(0, z) - prior.log_prob(z))?;
            for (number, (local, observed)) in [first, second].into_iter().zip(data).enumerate() {
                let x = draw(&format!("local {number}"), &local)?;
                let observed = Normal::new(x, 1.0).log_prob(graph.constant(observed));
                let cost = log_q(number + 1, x) - Normal::new(z, 1.0).log_prob(x) - observed;
                graph.cost(&format!("local {number}"), cost)?;
            }
            Ok(())
        };
        Oracle::new().nodes(4).gradient(model).unwrap().variance("location").unwrap().to_vec()
    };
    let [plain, credited, controlled] = [Form::Plain, Form::RaoBlackwellised, Form::Controlled].map(variances);
    println!("plain {plain:.3?}, Rao-Blackwellised {credited:.3?}, with leave-one-out {controlled:.3?}");
    for at in 0..3 {
        // By an independent program, with Gauss–Hermite quadrature.
        assert_known("plain", plain[at], [72.18424497, 69.01889103, 67.09889103][at]);
        assert_known("Rao-Blackwellised", credited[at], [72.18424497, 26.06228394, 13.18562381][at]);
        assert_known("with leave-one-out", controlled[at], [14.24444444, 17.54666667, 9.476666667][at]);
    }
}

/// Joo, Kim, Shin and Moon (2020): less variance than unbiased estimates of the gradient of a count, and a bias.
#[test]
fn relaxed_counts_are_below_the_score_function() {
    fn moments<M: GradientMethod<f64, Poisson<Id>> + Clone + 'static>(method: &M) -> (f64, f64) {
        let (mean, variance) = sampled(6000, "rate", |graph| {
            let x = graph.sample("x", &Poisson::from_rate(graph.param("rate", 3.0)?), method)?;
            graph.cost("cost", (x - 2.0).square())
        });
        (mean[0], variance[0])
    }
    // The expected cost is λ + (λ − 2)², with the derivative 2 λ − 3. Both methods evaluate the cost twice.
    let exact = 3.0;
    let unbiased = moments(&ScoreFunction::new().samples(2).baseline(LeaveOneOut));
    let relaxed = moments(&GeneralizedGumbelSoftmax::new(0.5, 15).samples(2));
    println!("leave-one-out {unbiased:?}, relaxed {relaxed:?}, exact {exact}");
    assert!((unbiased.0 - exact).abs() < 4.0 * (unbiased.1 / 6000.0).sqrt());
    assert!(relaxed.1 < 0.4 * unbiased.1 && relaxed.0 < exact - 0.2, "{relaxed:?} {unbiased:?}");
}

/// Liévin, Dittadi, Christensen and Winther (2020): with the number of samples, the ratio of signal to noise rises for
/// OVIS and falls for VIMCO.
#[test]
fn the_signal_of_ovis_rises_with_the_samples_and_that_of_vimco_falls() {
    fn ratio(samples: usize, name: &str) -> f64 {
        let (mean, variance) = sampled(3000, "location", |graph| {
            let location = graph.param("location", 0.3)?;
            let plate = graph.plate("samples", samples)?;
            let posterior = Normal::new(location, 1.0);
            let method = ScoreFunction::new().on_plate(plate);
            let z = match name {
                "OVIS" => graph.sample("z", &posterior, &method.baseline(Ovis))?,
                "auxiliary" => graph.sample("z", &posterior, &method.baseline(OvisMonteCarlo::new(samples)))?,
                _ => graph.sample("z", &posterior, &method.baseline(Vimco::arithmetic()))?,
            };
            let log_joint =
                Normal::new(graph.constant(0.0), 1.0).log_prob(z) + Normal::new(z, 1.0).log_prob(graph.constant(1.5));
            EvidenceBound::importance_weighted(plate).record(graph, "loss", log_joint, posterior.log_prob(z))
        });
        mean[0].abs() / variance[0].sqrt()
    }
    let ratios = ["OVIS", "auxiliary", "VIMCO"].map(|name| [4, 32].map(|samples| ratio(samples, name)));
    println!("OVIS {:?}, with auxiliary samples {:?}, VIMCO {:?}", ratios[0], ratios[1], ratios[2]);
    assert!(ratios[0][1] > 1.5 * ratios[0][0] && ratios[1][1] > 1.2 * ratios[1][0], "{ratios:?}");
    assert!(ratios[2][1] < 0.8 * ratios[2][0], "{ratios:?}");
    assert!(ratios[0][1] > ratios[2][1] && ratios[1][1] > ratios[2][1], "{ratios:?}");
}
