//! Samplers and derivatives at a million draws, at ordinary and extreme parameters: minutes of work, so that it is asked for.
//!
//! `cargo test --release -p stochgrad-distributions --test laws -- --ignored --nocapture`

mod catalogue;
mod golden_rows;

use catalogue::{Entry, entries};
use golden_rows::{Row, rows};
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

const DRAWS: usize = 1_000_000;

/// A piece of the draws, so that tapes stay small.
const PIECE: usize = 100_000;

/// Draws of a law at some parameters, with the request of each piece.
fn pieces(
    entry: &Entry,
    parameters: &[f64],
    seed: u64,
    mut visit: impl FnMut(&dyn Distribution<'_, f64>, &Draw<'_, f64>, &Tensor<f64>, &[Var<'_, f64>]),
) {
    for piece in 0..DRAWS / PIECE {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("samples", PIECE, PlateKind::Samples, &[]);
        let copies: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(vec![p; PIECE])).collect();
        let on_plate: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(plate)).collect();
        let law = (entry.build)(&tape, &on_plate);
        let noise = KeyedNoise::new(seed, piece as u64);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let sample = law.draw(&draw).expect("draws");
        visit(&*law, &draw, &sample, &copies);
    }
}

/// The probability that a normal number is farther out than z.
fn two_sided(z: f64) -> f64 {
    stochgrad_tensor::special::erfc(z.abs() / std::f64::consts::SQRT_2)
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

/// The largest difference between the empirical distribution function of sorted draws and the true one at the draws.
fn distance(sorted: &[f64], cdf: &[f64]) -> f64 {
    let count = sorted.len() as f64;
    let mut largest = 0.0_f64;
    let mut start = 0;
    while start < sorted.len() {
        let run = sorted[start..].partition_point(|x| *x <= sorted[start]);
        let (low, high, p) = (start as f64 / count, (start + run) as f64 / count, cdf[start]);
        largest = largest.max(if run == 1 {
            (p - low).abs().max((high - p).abs())
        } else {
            // Numbers that differ were rounded to this one, from either side: half of the draws of a gamma law of concentration 0.001 are below
            // the smallest double.
            (low - p).max(p - high)
        });
        start += run;
    }
    largest
}

/// Fails if a probability is too small for chance, by Holm's correction at the level of four standard errors.
fn judge(what: &str, mut found: Vec<(f64, String)>) {
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let level = two_sided(4.0);
    println!("{what}: {} tests; the least likely:", found.len());
    for (probability, name) in found.iter().take(12) {
        println!("  {probability:.2e}  {name}");
    }
    for (rank, (probability, name)) in found.iter().enumerate() {
        let threshold = level / (found.len() - rank) as f64;
        assert!(*probability >= threshold, "{what}: {name} has probability {probability:e}, below {threshold:e}");
    }
}

/// The parameters at which known log-probabilities stand: ordinary and extreme ones.
fn points() -> Vec<(Entry, Vec<f64>)> {
    let laws = entries();
    let mut points: Vec<(Entry, Vec<f64>)> = Vec::new();
    for row in rows().into_iter().filter(|row| row.function == "log_prob") {
        let Some(entry) = laws.iter().find(|entry| entry.law == row.law) else { continue };
        if !points.iter().any(|(known, parameters)| known.law == entry.law && *parameters == row.parameters) {
            points.push((*entry, row.parameters));
        }
    }
    points
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn samplers_have_their_laws() {
    let mut found = Vec::new();
    for (number, (entry, parameters)) in points().iter().enumerate() {
        let name = format!("{} at {parameters:?}", entry.law);
        let mut values = Vec::with_capacity(DRAWS);
        let mut inside = true;
        pieces(entry, parameters, 1000 + number as u64, |law, draw, sample, _| {
            let densities = law.log_prob(draw.record(law.tape().expect("a tape"), sample.clone()));
            inside &= sample.all_finite()
                && densities.peek().expect("densities").as_slice().iter().all(|x| *x > f64::NEG_INFINITY);
            values.extend_from_slice(sample.as_slice());
        });
        assert!(inside, "{name}: a draw outside the support");
        let tape = Tape::<f64>::new();
        let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(p)).collect();
        let law = (entry.build)(&tape, &leaves);
        let whole =
            matches!(law.support(), Support::Bits | Support::Counts | Support::Integers | Support::Categories(_));
        values.sort_by(f64::total_cmp);
        let probability = match law.capabilities().cdf {
            Some(cumulative) if !whole => {
                let cdf: Vec<f64> = values
                    .chunks(PIECE)
                    .flat_map(|values| {
                        cumulative.cdf(tape.constant(values)).peek().expect("a distribution function").to_vec()
                    })
                    .collect();
                kolmogorov(distance(&values, &cdf), DRAWS)
            }
            _ if whole => {
                chi_square(&values, |k| law.log_prob_each(tape.constant(k)).peek().expect("a probability").to_vec())
            }
            _ => continue,
        };
        found.push((probability, name));
    }
    judge("samplers", found);
}

/// Pearson's test over the values that are likely enough, the others taken together; for laws that are wide, over runs of values.
fn chi_square(sorted: &[f64], log_prob: impl Fn(Vec<f64>) -> Vec<f64>) -> f64 {
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    if high - low > 1e6 {
        // The values are as good as continuous: only that they are near the mode can be said here.
        return 1.0;
    }
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
    let freedom = (cells.len() - 1) as f64;
    stochgrad_tensor::special::gamma_q(0.5 * freedom, 0.5 * statistic)
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn derivatives_have_the_exact_mean() {
    let laws = entries();
    let known: Vec<Row> =
        rows().into_iter().filter(|row| row.function.starts_with("cost") && row.function.contains('/')).collect();
    let mut found = Vec::new();
    for (number, row) in known.iter().enumerate() {
        let Some(entry) = laws.iter().find(|entry| entry.law == row.law) else { continue };
        let (function, name) = row.function.split_once('/').expect("a parameter");
        let at = entry.parameters().iter().position(|parameter| *parameter == name).expect("a parameter");
        let bounded = function == "cost_sin";
        let cost = |x: f64| if bounded { x.sin() } else { x.sin() + 0.1 * x * x };
        let mut paths = Moments::default();
        let mut weak = Moments::default();
        let mut jumps = [Moments::default(), Moments::default(), Moments::default()];
        pieces(entry, &row.parameters, 5000 + number as u64, |law, draw, sample, copies| {
            // The position of the parameter in the law: the one that leads to the leaf.
            let tape = law.tape().expect("a tape");
            let of_law =
                law.parameters().iter().position(|p| p.var.id() == copies[at].event_to_plate(draw.plates()[0]).id());
            let by_name = law
                .parameters()
                .iter()
                .position(|p| p.name.trim_end_matches("ies").trim_end_matches('y') == name.trim_end_matches('y'));
            let index = of_law.or(by_name);
            if let Some(path) = law.capabilities().reparameterized {
                let x = path.rsample(draw).expect("a path");
                let value = if bounded { x.sin() } else { x.sin() + x.square() * 0.1 };
                let total = value.sum_over(draw.plates()[0]);
                let gradient = &tape.backward_all(total, &copies[at..=at]).expect("a gradient")[0];
                gradient.as_slice().iter().for_each(|&slope| paths.add(slope));
            }
            let Some(index) = index else { return };
            let visit = |moments: &mut Moments, parts: Alternatives<f64>| {
                for i in 0..sample.len() {
                    let terms = parts.values.iter().zip(&parts.weights);
                    moments.add(
                        terms
                            .map(|(v, w)| w.as_slice()[i] * (cost(v.as_slice()[i]) - cost(sample.as_slice()[i])))
                            .sum(),
                    );
                }
            };
            if let Some(parts) = law
                .capabilities()
                .weak_derivative
                .and_then(|d| d.weak_derivative(index, sample, draw).expect("a derivative"))
            {
                visit(&mut weak, parts);
            }
            for (side, moments) in [Side::Right, Side::Left, Side::TwoSided].into_iter().zip(&mut jumps) {
                let derivative = law.capabilities().stochastic_derivative;
                if let Some(parts) =
                    derivative.and_then(|d| d.stochastic_derivative(index, side, sample, draw).expect("a derivative"))
                {
                    visit(moments, parts);
                }
            }
        });
        let [right, left, both] = jumps;
        for (what, moments) in [("path", paths), ("weak", weak), ("right", right), ("left", left), ("two-sided", both)]
        {
            if moments.count > 0.0 {
                let name = format!("{what}: {} by {name} at {:?}", row.law, row.parameters);
                found.push((two_sided(moments.distance(row.value[0])), name));
            }
        }
    }
    judge("derivatives", found);
}

/// Sums of a mean and its error.
#[derive(Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.count += 1.0;
        self.sum += x;
        self.squares += x * x;
    }

    /// The distance of the mean from the exact one, in standard errors.
    fn distance(&self, exact: f64) -> f64 {
        let mean = self.sum / self.count;
        let error = ((self.squares / self.count - mean * mean).max(0.0) / self.count).sqrt();
        // What has no variance must be exact to rounding.
        (mean - exact) / (error + 1e-11 * exact.abs().max(1.0))
    }
}
