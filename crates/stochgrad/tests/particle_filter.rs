//! Particle filters with resampling as nodes of a graph: a filter with two states against exact values, for several
//! treatments of the ancestors, and filters of a linear Gaussian model against the Kalman filter.

use stochgrad::check::{Oracle, StatisticalTest};
use stochgrad::estimators::BatchMean;
use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;
use stochgrad::tape::{Plate, Workspace};

/// How the derivative treats the ancestors.
#[derive(Clone, Copy, PartialEq)]
enum Ancestors {
    /// With their score.
    Score,
    /// As constants.
    Constant,
    /// As constants, with weights w / stop(w) of the particles.
    Weights,
    /// As constants that are drawn with q = w / 2 + 1 / (2N), with weights w / q of the particles.
    Soft,
}

/// Draws ancestors; returns their positions and the logarithms of the weights of their particles.
fn resample<'t>(
    graph: &Graph<'t, f64>,
    (t, particles): (usize, Plate),
    log_weights: Var<'t, f64>,
    ancestors: Ancestors,
) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
    let logits = log_weights.plate_to_event(particles).log_softmax(-1);
    let count = logits.shape()[0] as f64;
    let (drawn, weights) = match ancestors {
        Ancestors::Score => (logits, logits * 0.0),
        Ancestors::Constant => (logits.stop_gradient(), logits.stop_gradient() * 0.0),
        Ancestors::Weights => (logits.stop_gradient(), logits - logits.stop_gradient()),
        Ancestors::Soft => {
            let mixed = ((logits.exp() + 1.0 / count) * 0.5).ln();
            (mixed.stop_gradient(), logits - mixed)
        }
    };
    let method = ScoreFunction::new().on_plate(particles);
    let ancestor = graph.sample(("ancestor", t), &Categorical::from_logits(drawn), &method)?;
    Ok((ancestor, weights.unsqueeze(-1).lookup(ancestor).sum()))
}

/// The bootstrap filter of a hidden Markov chain of bits, with $x_1 \sim \sigma(t)$,
/// $x_k \mid x \sim \sigma(t (2x - 1) + 0.2)$ and $y_k \mid x \sim \sigma(u (2x - 1) + t / 2)$.
struct TwoStates {
    t: f64,
    u: f64,
    measured: &'static [f64],
    particles: usize,
}

const CASE_A: TwoStates = TwoStates { t: 0.5, u: 1.2, measured: &[1.0, 0.0, 1.0], particles: 2 };
const CASE_B: TwoStates = TwoStates { t: -0.4, u: 0.8, measured: &[1.0, 1.0, 0.0, 1.0], particles: 3 };

impl TwoStates {
    /// Records the logarithm of the estimate of the likelihood, for filters on a plate of runs if there are several.
    fn log_likelihood<'t>(
        &self,
        graph: &Graph<'t, f64>,
        ancestors: Ancestors,
        runs: Option<usize>,
    ) -> GraphResult<Var<'t, f64>> {
        let particles = graph.plate("particles", self.particles)?;
        let t = graph.param("t", self.t)?;
        let plates = runs.map(|runs| graph.plate("runs", runs)).transpose()?.into_iter().chain([particles]);
        let mut logits = t.expand_plates(&plates.collect::<Vec<_>>());
        let (mut log_weights, mut total) = (graph.constant(0.0), graph.constant(0.0));
        for (k, &y) in self.measured.iter().enumerate() {
            // The filters of several runs serve as baselines of each other.
            let x = match runs {
                None => graph.sample(("x", k), &Bernoulli::from_logits(logits), &ScoreFunction::new())?,
                Some(_) => {
                    let method = ScoreFunction::new().baseline(BatchMean);
                    graph.sample(("x", k), &Bernoulli::from_logits(logits), &method)?
                }
            };
            let measurement = Bernoulli::from_logits((x * 2.0 - 1.0) * self.u + t * 0.5);
            log_weights = log_weights + measurement.log_prob(graph.constant(y));
            total = total + log_weights.log_mean_exp_over(particles);
            if k + 1 < self.measured.len() {
                let (ancestor, weights) = resample(graph, (k, particles), log_weights, ancestors)?;
                let kept = x.plate_to_event(particles).unsqueeze(-1).lookup(ancestor).sum();
                (logits, log_weights) = ((kept * 2.0 - 1.0) * t + 0.2, weights);
            }
        }
        Ok(total)
    }

    /// The exact mean of the logarithm of the estimate, or of the estimate, and of its gradient.
    fn moments(&self, ancestors: Ancestors, logarithm: bool) -> [f64; 2] {
        let model = |graph: &Graph<'_, f64>| {
            let total = self.log_likelihood(graph, ancestors, None)?;
            graph.cost("estimate", if logarithm { total } else { total.exp() })
        };
        let gradient = Oracle::new().gradient(model).unwrap();
        [gradient.total(), gradient.mean("t").unwrap().item().unwrap()]
    }
}

#[track_caller]
fn close(found: [f64; 2], expected: [f64; 2]) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "expected {expected}, got {found}");
    }
}

#[test]
fn the_score_of_the_ancestors_makes_the_gradient_exact() {
    close(CASE_A.moments(Ancestors::Score, true), [-2.223006566, 0.1105889723]);
    let model =
        |graph: &Graph<'_, f64>| graph.cost("log-likelihood", CASE_A.log_likelihood(graph, Ancestors::Score, None)?);
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
}

/// Without the score of the ancestors, the gradient has the bias that the reference states.
#[test]
fn constant_ancestors_have_the_known_bias() {
    close(CASE_A.moments(Ancestors::Constant, true), [-2.223006566, 0.1093633677]);
}

/// The estimate of the likelihood itself is unbiased, and so are the gradients with scores and with w / stop(w).
#[test]
fn the_likelihood_is_unbiased() {
    let (log_likelihood, derivative): (f64, f64) = (-2.048743991, -0.01664209527);
    let exact = [log_likelihood.exp(), log_likelihood.exp() * derivative];
    close(CASE_A.moments(Ancestors::Score, false), exact);
    close(CASE_A.moments(Ancestors::Weights, false), exact);
    let [soft, biased] = CASE_A.moments(Ancestors::Soft, false);
    close([soft, 0.0], [exact[0], 0.0]);
    assert!((biased - exact[1]).abs() > 1e-5, "{biased}");
    let [_, biased] = CASE_A.moments(Ancestors::Constant, false);
    assert!((biased - exact[1]).abs() > 1e-5, "{biased}");
}

/// The second case has 80 million outcomes, so that its moments are compared within their standard errors.
#[test]
fn four_measurements_and_three_particles() {
    for (ancestors, derivative) in [(Ancestors::Score, 0.6287914409), (Ancestors::Constant, 0.6231920239)] {
        let mut workspace = Workspace::new();
        let mut run = |run: u64| -> GraphResult<Vec<f64>> {
            let graph = Graph::new(workspace.tape(), Seed::new(5).step(run as usize));
            graph.cost("log-likelihood", CASE_B.log_likelihood(&graph, ancestors, Some(1000))?)?;
            let gradients = graph.backward()?;
            Ok(vec![gradients.total(), gradients.get("t")?.item()?])
        };
        let exact = [-3.078565914, derivative];
        let test = StatisticalTest::new().runs(200);
        test.check_values(|number| run(number).expect("the gradients of a filter"), &exact).unwrap();
    }
}

/// The model $x_k = a x_{k-1} + N(0, q)$, $y_k = c x_k + N(0, r)$, with the parameters a, c, ln q, ln r, and the mean m
/// and the log-variance ln P of the first state.
struct LinearGaussian {
    parameters: [f64; 6],
    measured: [f64; 5],
    log_likelihood: f64,
    gradient: [f64; 6],
    /// Second derivatives with respect to a and a, and to a and ln q.
    second: [f64; 2],
    means: [f64; 5],
    variances: [f64; 5],
}

const NAMES: [&str; 6] = ["a", "c", "log q", "log r", "m", "log p"];

fn linear_gaussian() -> [LinearGaussian; 2] {
    [
        LinearGaussian {
            parameters: [0.8, 1.0, 0.5_f64.ln(), 0.3_f64.ln(), 0.0, 0.0],
            measured: [0.4, -0.2, 1.1, 0.7, 1.5],
            log_likelihood: -5.97672359197,
            gradient: [0.5973779993, -1.459501471, -0.365971028, -0.384455868, 0.2831063248, -0.3637797074],
            second: [-2.209119796, -0.9988184029],
            means: [0.3076923077, -0.05876623377, 0.7304808658, 0.662710582, 1.187176083],
            variances: [0.2307692308, 0.2050324675, 0.2033526721, 0.2032409664, 0.2032335289],
        },
        LinearGaussian {
            parameters: [-0.6, 1.5, 0.0, 2.0_f64.ln(), 0.5, 0.7_f64.ln()],
            measured: [1.0, -1.8, 0.3, 2.2, -0.9],
            log_likelihood: -9.18216788631,
            gradient: [0.6316897224, -0.9818719649, -0.5652911998, -0.8268911217, 0.2151859323, -0.224909257],
            second: [-2.198990527, -0.1087791771],
            means: [0.5734265734, -0.8251779945, 0.3267992587, 0.753139037, -0.5364446911],
            variances: [0.3916083916, 0.4996401831, 0.5069578272, 0.5074435585, 0.5074757567],
        },
    ]
}

impl LinearGaussian {
    fn record<'t>(&self, graph: &Graph<'t, f64>) -> GraphResult<[Var<'t, f64>; 6]> {
        let mut vars = Vec::new();
        for (name, value) in NAMES.into_iter().zip(self.parameters) {
            vars.push(graph.param(name, value)?);
        }
        Ok(vars.try_into().expect("six parameters"))
    }

    /// Records the log-likelihood by the Kalman filter; returns the mean and the variance of each state.
    fn kalman<'t>(&self, graph: &Graph<'t, f64>) -> GraphResult<Vec<[Var<'t, f64>; 2]>> {
        let [a, c, log_q, log_r, mut mean, log_p] = self.record(graph)?;
        let (q, r, mut variance) = (log_q.exp(), log_r.exp(), log_p.exp());
        let (mut total, mut states) = (graph.constant(0.0), Vec::new());
        for y in self.measured {
            let of_measurement = c * c * variance + r;
            total = total + Normal::new(c * mean, of_measurement.sqrt()).log_prob(graph.constant(y));
            let gain = variance * c / of_measurement;
            (mean, variance) = (mean + gain * (y - c * mean), variance - gain * c * variance);
            states.push([mean, variance]);
            (mean, variance) = (a * mean, a * a * variance + q);
        }
        graph.cost("log-likelihood", total)?;
        Ok(states)
    }

    /// Records the estimates of the likelihood by many bootstrap filters, relative to the exact one.
    fn filter(&self, graph: &Graph<'_, f64>, ancestors: Ancestors) -> GraphResult<()> {
        let [a, c, log_q, log_r, m, log_p] = self.record(graph)?;
        let (runs, particles) = (graph.plate("runs", 200)?, graph.plate("particles", 8)?);
        let (mut location, mut log_variance) = (m.expand_plates(&[runs, particles]), log_p);
        let (mut log_weights, mut total) = (graph.constant(0.0), graph.constant(-self.log_likelihood));
        for (k, y) in self.measured.into_iter().enumerate() {
            let state = Normal::from_log_scale(location, log_variance * 0.5);
            // The derivative stops at the choice of the ancestors, which the weights make up for.
            let method =
                if ancestors == Ancestors::Weights { Pathwise::new().assume_continuous() } else { Pathwise::new() };
            let x = graph.sample(("x", k), &state, &method)?;
            log_weights = log_weights + Normal::from_log_scale(c * x, log_r * 0.5).log_prob(graph.constant(y));
            total = total + log_weights.log_mean_exp_over(particles);
            if k + 1 < self.measured.len() {
                let (ancestor, weights) = resample(graph, (k, particles), log_weights, ancestors)?;
                let kept = x.plate_to_event(particles).unsqueeze(-1).lookup(ancestor).sum();
                (location, log_variance, log_weights) = (a * kept, log_q, weights);
            }
        }
        graph.cost("likelihood", total.exp())
    }
}

#[test]
fn the_kalman_filter_has_the_known_values() {
    for case in linear_gaussian() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(0));
        let states = case.kalman(&graph).unwrap();
        for ([mean, variance], expected) in states.into_iter().zip(case.means.into_iter().zip(case.variances)) {
            close([mean.item().unwrap(), variance.item().unwrap()], expected.into());
        }
        let surrogate = graph.surrogate().unwrap();
        close([surrogate.value().item().unwrap(), 0.0], [case.log_likelihood, 0.0]);
        for (name, expected) in NAMES.into_iter().zip(case.gradient) {
            let found = surrogate.directional(&[(name, Tensor::scalar(1.0))], 1).unwrap();
            close([found.item().unwrap(), 0.0], [expected, 0.0]);
        }
        let second = |along: &[&str]| {
            let along: Vec<_> = along.iter().map(|&name| (name, Tensor::scalar(1.0))).collect();
            surrogate.directional(&along, 2).unwrap().item().unwrap()
        };
        let mixed = 0.5 * (second(&["a", "log q"]) - second(&["a"]) - second(&["log q"]));
        close([second(&["a"]), mixed], case.second);
    }
}

/// The likelihood of a particle filter is unbiased, and so is its gradient with scores or with w / stop(w).
#[test]
fn particle_filters_agree_with_the_kalman_filter() {
    for case in linear_gaussian() {
        for ancestors in [Ancestors::Score, Ancestors::Weights] {
            let mut workspace = Workspace::new();
            let mut run = |run: u64| -> GraphResult<Vec<f64>> {
                let graph = Graph::new(workspace.tape(), Seed::new(3).step(run as usize));
                case.filter(&graph, ancestors)?;
                let gradients = graph.backward()?;
                let derivatives = NAMES.map(|name| Ok(gradients.get(name)?.item()?));
                [Ok(gradients.total())].into_iter().chain(derivatives).collect()
            };
            let exact: Vec<f64> = [1.0].into_iter().chain(case.gradient).collect();
            let test = StatisticalTest::new().runs(100);
            test.check_values(|number| run(number).expect("the gradients of a filter"), &exact).unwrap();
        }
    }
}
