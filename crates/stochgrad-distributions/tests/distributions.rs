//! Samplers and derivatives at a million draws, at ordinary and extreme parameters. The tests take minutes and are
//! ignored by default.
//!
//! `cargo test --release -p stochgrad-distributions --test distributions -- --ignored --nocapture`
//!
//! The distributions are divided among the processors. Put `taskset -c 0` in front to use a single one, and
//! `ONLY=Normal,Laplace` to test these distributions alone.

mod catalogue;
mod golden_rows;
mod marginals;

use catalogue::{Entry, entries};
use golden_rows::rows;
use marginals::{Marginal, Observe, marginals};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use stochgrad_distributions::*;
use stochgrad_tape::{Plate, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::special::{erfc, gamma_q, normal_cdf, normal_icdf};

const DRAWS: usize = 1_000_000;

/// The number of draws on one tape.
const PIECE: usize = 100_000;

/// The number of draws in a group. Derivatives are those of the sums over a group.
const GROUP: usize = 1000;

/// The results of all cases, computed on all processors.
fn in_parallel<T: Sync, R: Send>(cases: &[T], work: impl Fn(usize, &T) -> Vec<R> + Sync) -> Vec<R> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, case)) = Some(next.fetch_add(1, Ordering::Relaxed)).map(|i| (i, cases.get(i))) {
                    let Some(case) = case else { break };
                    let results = work(number, case);
                    found.lock().expect("no worker has failed").extend(results);
                }
            });
        }
    });
    found.into_inner().expect("no worker has failed")
}

/// A test: the distribution, what was tested, and the probability of a deviation of at least this size.
struct Found {
    distribution: &'static str,
    what: String,
    probability: f64,
}

/// The probability that a standard normal sample has an absolute value above z.
fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Fails if a probability is too small, by Holm's correction at the level of four standard errors.
fn judge(what: &str, mut found: Vec<Found>) {
    found.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut by_distribution: BTreeMap<&str, (usize, &Found)> = BTreeMap::new();
    for test in &found {
        by_distribution.entry(test.distribution).or_insert((0, test)).0 += 1;
    }
    println!(
        "{what}: {} tests of {} distributions; the least likely of each distribution:",
        found.len(),
        by_distribution.len()
    );
    for (distribution, (count, test)) in by_distribution {
        let z = -normal_icdf(0.5 * test.probability);
        println!("  {distribution}: {count} tests, p = {:.1e} (z = {z:.2}): {}", test.probability, test.what);
    }
    let level = two_sided(4.0);
    for (rank, test) in found.iter().enumerate() {
        let threshold = level / (found.len() - rank) as f64;
        let Found { distribution, what: test_of, probability } = test;
        assert!(
            *probability >= threshold,
            "{what}: {distribution}, {test_of}: probability {probability:e}, below {threshold:e}"
        );
    }
}

/// The probability of a Kolmogorov–Smirnov distance at least this large, of this many draws.
fn kolmogorov(distance: f64, count: usize) -> f64 {
    let x = distance * (count as f64).sqrt();
    let terms = (1..50).map(|k| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * x * x).exp()
    });
    if x < 0.2 { 1.0 } else { terms.sum::<f64>().clamp(0.0, 1.0) }
}

/// The largest difference between the empirical distribution function of sorted draws and the true one.
///
/// Both functions increase, so that the difference between two draws exceeds that at the draws by at most the mass
/// between them. The true function is therefore evaluated at a few draws first, and then only where the difference
/// could be larger than the largest one so far.
fn distance(sorted: &[f64], cdf: impl Fn(&[f64]) -> Vec<f64>) -> f64 {
    const STRIDE: usize = 64;
    let count = sorted.len() as f64;
    let at = |position: usize, p: f64| {
        let start = sorted.partition_point(|x| *x < sorted[position]);
        let run = sorted[start..].partition_point(|x| *x <= sorted[start]);
        let (low, high) = (start as f64 / count, (start + run) as f64 / count);
        match run {
            1 => (p - low).abs().max((high - p).abs()),
            // Different values were rounded to this one, from either side: half of the draws of a gamma distribution
            // of concentration 0.001 are below the smallest double.
            _ => (low - p).max(p - high),
        }
    };
    let coarse: Vec<usize> = (0..sorted.len()).step_by(STRIDE).chain([sorted.len() - 1]).collect();
    let values = cdf(&coarse.iter().map(|&position| sorted[position]).collect::<Vec<_>>());
    let largest = coarse.iter().zip(&values).map(|(&position, &p)| at(position, p)).fold(0.0, f64::max);
    let mut fine = Vec::new();
    for (ends, p) in coarse.windows(2).zip(values.windows(2)) {
        let (low, high) = (ends[0] as f64 / count, (ends[1] + 1) as f64 / count);
        if (high - p[0]).max(p[1] - low) > largest {
            fine.extend(ends[0] + 1..ends[1]);
        }
    }
    let values = cdf(&fine.iter().map(|&position| sorted[position]).collect::<Vec<_>>());
    fine.iter().zip(values).map(|(&position, p)| at(position, p)).fold(largest, f64::max)
}

/// Pearson's test over the values with enough expected draws. The other values are combined.
fn chi_square(sorted: &[f64], log_prob: impl Fn(Vec<f64>) -> Vec<f64>) -> f64 {
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    let states: Vec<f64> = (0..=(high - low) as usize).map(|i| low + i as f64).collect();
    let probabilities: Vec<f64> = log_prob(states.clone()).into_iter().map(f64::exp).collect();
    let count = sorted.len() as f64;
    let (mut expected, mut observed, mut cells) = (0.0, 0.0, Vec::new());
    let mut rest = sorted;
    for (state, p) in states.iter().zip(&probabilities) {
        let here = rest.partition_point(|x| x <= state);
        observed += here as f64;
        rest = &rest[here..];
        expected += p * count;
        if expected >= 50.0 {
            cells.push((expected, observed));
            (expected, observed) = (0.0, 0.0);
        }
    }
    let beyond = (count - cells.iter().map(|(e, _)| e).sum::<f64>()).max(0.0);
    let left = count - cells.iter().map(|(_, o)| o).sum::<f64>();
    if beyond >= 5.0 {
        cells.push((beyond, left));
    }
    if cells.len() < 2 {
        return 1.0;
    }
    let statistic: f64 = cells.iter().map(|(e, o)| (o - e) * (o - e) / e).sum();
    gamma_q(0.5 * (cells.len() - 1) as f64, 0.5 * statistic)
}

/// Whether a distribution is among those that were asked for.
fn wanted(entry: &Entry) -> bool {
    std::env::var("ONLY").map_or(true, |names| names.split(',').any(|name| name == entry.name()))
}

fn itself<'t>(x: Var<'t, f64>, _: &[Var<'t, f64>]) -> Var<'t, f64> {
    x
}

/// The parameters of the tables of known log-probabilities, ordinary and extreme, and the distributions of vectors and
/// matrices through one number of each draw.
fn sampled() -> Vec<(Entry, Vec<f64>, Observe, Option<Marginal>)> {
    let distributions = entries();
    let mut points: Vec<(Entry, Vec<f64>, Observe, Option<Marginal>)> = Vec::new();
    let through_one_number = marginals();
    for row in rows().into_iter().filter(|row| row.function == "log_prob") {
        let Some(entry) = distributions.iter().find(|entry| entry.distribution == row.distribution) else { continue };
        let scalar = through_one_number.iter().all(|marginal| marginal.entry.distribution != entry.distribution);
        let known = points
            .iter()
            .any(|(known, parameters, ..)| known.distribution == entry.distribution && *parameters == row.parameters);
        if scalar && !known {
            points.push((*entry, row.parameters, itself, None));
        }
    }
    points.extend(through_one_number.into_iter().map(|m| (m.entry, m.parameters.clone(), m.observe, Some(m))));
    points.retain(|(entry, ..)| wanted(entry));
    points
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn samplers_have_their_distributions() {
    let found = in_parallel(&sampled(), |number, (entry, parameters, observe, marginal)| {
        let what = format!("at {parameters:?}");
        let mut values = Vec::with_capacity(DRAWS);
        for piece in 0..DRAWS / PIECE {
            let tape = Tape::<f64>::new();
            let plate = tape.plate("samples", PIECE, PlateKind::Samples, &[]);
            let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(p)).collect();
            let distribution = (entry.build)(&tape, &leaves);
            let noise = KeyedNoise::new(1000 + number as u64, piece as u64);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
            let sample = distribution.draw(&draw).expect("draws");
            let recorded = draw.record(&tape, sample.clone());
            let densities = distribution.log_prob(recorded).peek().unwrap_or_else(|_| Tensor::full([1], f64::NAN));
            if !(sample.all_finite() && densities.as_slice().iter().all(|x| *x > f64::NEG_INFINITY)) {
                let what = format!("{what}: a draw outside the support");
                return vec![Found { distribution: entry.distribution, what, probability: 0.0 }];
            }
            values.extend_from_slice(observe(recorded, &leaves).peek().expect("numbers").as_slice());
        }
        let tape = Tape::<f64>::new();
        let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(p)).collect();
        let distribution = match marginal {
            Some(marginal) => (marginal.scalar)(&leaves),
            None => (entry.build)(&tape, &leaves),
        };
        values.sort_by(f64::total_cmp);
        let whole = matches!(
            distribution.support(),
            Support::Bits | Support::Counts | Support::Integers | Support::Categories(_)
        );
        // Counts with such a wide range are treated as continuous.
        let wide = values[values.len() - 1] - values[0] > 1e6;
        let probability = if whole && !wide {
            chi_square(&values, |k| {
                distribution.log_prob_each(tape.constant(k)).peek().expect("a probability").to_vec()
            })
        } else {
            // Draws of a distribution without a distribution function are compared in its own tests.
            let Some(cumulative) = distribution.capabilities().cdf else { return Vec::new() };
            let cdf = |x: &[f64]| cumulative.cdf(tape.constant(x)).peek().expect("probabilities").to_vec();
            kolmogorov(distance(&values, cdf), DRAWS)
        };
        vec![Found { distribution: entry.distribution, what, probability }]
    });
    judge("samplers", found);
}

/// A distribution at some parameters, and the exact derivatives of an expected cost by some of them.
struct Derivatives {
    entry: Entry,
    parameters: Vec<f64>,
    observe: Observe,
    /// sin x alone, for distributions without a second moment; else sin x + 0.1 x².
    bounded: bool,
    /// By the position of the parameter.
    exact: BTreeMap<usize, f64>,
}

fn cost(x: Var<'_, f64>, bounded: bool) -> Var<'_, f64> {
    if bounded { x.sin() } else { x.sin() + x.square() * 0.1 }
}

/// The cases of the tables of known values, and those of distributions observed through one number, by quadrature over
/// its distribution.
fn differentiated() -> Vec<Derivatives> {
    let distributions = entries();
    let mut cases: Vec<Derivatives> = Vec::new();
    for row in rows().into_iter().filter(|row| row.function.starts_with("cost")) {
        let (Some(entry), Some((function, name))) =
            (distributions.iter().find(|entry| entry.distribution == row.distribution), row.function.split_once('/'))
        else {
            continue;
        };
        let at = entry.parameters().iter().position(|parameter| *parameter == name).expect("a parameter");
        let same = |case: &&mut Derivatives| {
            case.entry.distribution == entry.distribution && case.parameters == row.parameters
        };
        match cases.iter_mut().find(same) {
            Some(case) => {
                case.exact.insert(at, row.value[0]);
            }
            None => cases.push(Derivatives {
                entry: *entry,
                parameters: row.parameters,
                observe: itself,
                bounded: function == "cost_sin",
                exact: BTreeMap::from([(at, row.value[0])]),
            }),
        }
    }
    let ordinary = |marginal: &Marginal| wanted(&marginal.entry) && marginal.parameters == marginal.entry.ordinary;
    for marginal in marginals().into_iter().filter(ordinary) {
        let exact = exact_derivatives(&marginal);
        let Marginal { entry, parameters, observe, .. } = marginal;
        cases.push(Derivatives { entry, parameters, observe, bounded: false, exact });
    }
    cases.retain(|case| wanted(&case.entry));
    cases
}

/// The derivatives of the expected cost of the observed number, by the position of the parameter. A number of trials,
/// which comes first, has none.
fn exact_derivatives(marginal: &Marginal) -> BTreeMap<usize, f64> {
    let tape = Tape::<f64>::new();
    let counts = usize::from(marginal.entry.parameters()[0] == "trials");
    let leaf = |(at, &p): (usize, &f64)| if at < counts { tape.constant(p) } else { tape.parameter(p) };
    let leaves: Vec<Var<'_, f64>> = marginal.parameters.iter().enumerate().map(leaf).collect();
    let distribution = (marginal.scalar)(&leaves);
    let expected = if matches!(distribution.support(), Support::Bits | Support::Counts | Support::Categories(_)) {
        let last = match distribution.support() {
            Support::Bits => 2,
            Support::Categories(count) => count,
            _ if counts > 0 => marginal.parameters[0] as usize + 1,
            // The probability of more is negligible at ordinary parameters.
            _ => 200,
        };
        let states = tape.constant(Tensor::from_fn([last], |k| k as f64));
        (distribution.log_prob_each(states).exp() * cost(states, false)).sum()
    } else {
        // At the quantiles of normal samples t, with the trapezoidal rule.
        let step = 0.01;
        let t = |i: usize| (i as f64 - 800.0) * step;
        let levels: Vec<f64> = (0..=1600).map(|i| normal_cdf(t(i))).collect();
        let weights: Vec<f64> =
            (0..=1600).map(|i| step * (-0.5 * t(i) * t(i)).exp() / (2.0 * std::f64::consts::PI).sqrt()).collect();
        let x = distribution.capabilities().icdf.expect("quantiles").icdf(tape.constant(levels));
        (cost(x, false) * tape.constant(weights)).sum()
    };
    let gradients = tape.backward_all(expected, &leaves[counts..]).expect("gradients");
    (counts..).zip(gradients.iter().map(|gradient| gradient.item().expect("a number"))).collect()
}

/// Means over groups of draws.
#[derive(Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, sums: &Tensor<f64>) {
        for &sum in sums.as_slice() {
            let mean = sum / GROUP as f64;
            self.count += 1.0;
            self.sum += mean;
            self.squares += mean * mean;
        }
    }

    /// The distance of the mean from the exact one, in standard errors.
    fn distance(&self, exact: f64) -> f64 {
        let mean = self.sum / self.count;
        let error = ((self.squares / self.count - mean * mean).max(0.0) / self.count).sqrt();
        // Without variance the mean must be exact up to rounding.
        (mean - exact) / (error + 1e-11 * exact.abs().max(1.0))
    }
}

/// Draws of a distribution whose parameters have a copy for each group, so that gradients are those of the groups.
struct Grouped<'a, 't> {
    distribution: &'a dyn Distribution<'t, f64>,
    draw: &'a Draw<'a, f64>,
    copies: &'a [Var<'t, f64>],
    cost: &'a dyn Fn(Var<'t, f64>) -> Var<'t, f64>,
}

impl<'t> Grouped<'_, 't> {
    /// The gradients of a sum over all draws with respect to the copies.
    fn gradients(&self, each: Var<'t, f64>) -> Vec<Tensor<f64>> {
        let total = self.draw.plates().iter().rev().fold(each.sum(), |sum, &plate: &Plate| sum.sum_over(plate));
        total.tape().backward_all(total, self.copies).expect("gradients")
    }

    /// The gradients of jumps to alternatives, with respect to the parameter of the distribution at this position.
    fn of_alternatives(
        &self,
        sample: Var<'t, f64>,
        parameter: Var<'t, f64>,
        parts: &Alternatives<'t, f64>,
    ) -> Vec<Tensor<f64>> {
        let here = (self.cost)(sample);
        let terms = parts.values.iter().zip(&parts.weights).map(|(values, weights)| {
            let change = (self.cost)(values.expand_plates(self.draw.plates())) - here;
            let axes = weights.shape().len().saturating_sub(change.shape().len());
            *weights * (0..axes).fold(change, |change, _| change.unsqueeze(-1))
        });
        let slope = terms.reduce(|a, b| a + b).expect("alternatives").stop_gradient();
        self.gradients(slope * parameter)
    }
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn derivatives_have_the_exact_mean() {
    let found = in_parallel(&differentiated(), |number, case| {
        // By what is tested and the position of the parameter.
        let mut moments: BTreeMap<(&str, usize), Moments> = BTreeMap::new();
        for piece in 0..DRAWS / PIECE {
            let tape = Tape::<f64>::new();
            let groups = tape.plate("groups", PIECE / GROUP, PlateKind::Samples, &[]);
            let members = tape.plate("members", GROUP, PlateKind::Samples, &[]);
            let copies: Vec<Var<'_, f64>> =
                case.parameters.iter().map(|&p| tape.parameter(vec![p; PIECE / GROUP])).collect();
            let leaves: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(groups)).collect();
            let distribution = (case.entry.build)(&tape, &leaves);
            let noise = KeyedNoise::new(5000 + number as u64, piece as u64);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[groups, members]));
            let sample = distribution.draw(&draw).expect("draws");
            let recorded = draw.record(&tape, sample.clone());
            let of_draw = |x| cost((case.observe)(x, &leaves), case.bounded);
            let grouped = Grouped { distribution: &*distribution, draw: &draw, copies: &copies, cost: &of_draw };
            let mut note = |what: &'static str, gradients: &[Tensor<f64>], reached: &dyn Fn(usize) -> bool| {
                for &at in case.exact.keys().filter(|at| reached(**at)) {
                    moments.entry((what, at)).or_default().add(&gradients[at]);
                }
            };
            let parameters = grouped.distribution.parameters();
            // Which copies each parameter of the distribution depends on.
            let depends: Vec<Vec<bool>> = parameters
                .iter()
                .map(|parameter| {
                    let gradients =
                        tape.backward_all(parameter.var.sum().sum_over(groups), &copies).expect("gradients");
                    gradients.iter().map(|gradient| gradient.as_slice().iter().any(|&g| g != 0.0)).collect()
                })
                .collect();
            if let Some(path) = distribution.capabilities().reparameterized {
                let gradients = grouped.gradients(of_draw(path.rsample(&draw).expect("a path")));
                let moves =
                    |at: usize| parameters.iter().zip(&depends).all(|(p, on)| !on[at] || p.path != SamplePath::None);
                note("path", &gradients, &moves);
            }
            for (index, parameter) in parameters.iter().enumerate() {
                // No parameter that is tested is reached by two parameters of its distribution.
                let reached = |at: usize| depends[index][at];
                let parts = distribution
                    .capabilities()
                    .weak_derivative
                    .and_then(|derivative| derivative.weak_derivative(index, recorded, &draw).expect("a derivative"));
                if let Some(parts) = parts {
                    note("weak", &grouped.of_alternatives(recorded, parameter.var, &parts), &reached);
                }
                for (what, side) in [("right", Side::Right), ("left", Side::Left), ("two-sided", Side::TwoSided)] {
                    let parts = distribution.capabilities().stochastic_derivative.and_then(|derivative| {
                        derivative.stochastic_derivative(index, side, recorded, &draw).expect("a derivative")
                    });
                    if let Some(parts) = parts {
                        note(what, &grouped.of_alternatives(recorded, parameter.var, &parts), &reached);
                    }
                }
            }
        }
        moments
            .into_iter()
            .map(|((what, at), moments)| Found {
                distribution: case.entry.distribution,
                what: format!("{what} by parameter {at} at {:?}", case.parameters),
                probability: two_sided(moments.distance(case.exact[&at])),
            })
            .collect()
    });
    judge("derivatives", found);
}
