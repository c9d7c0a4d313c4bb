//! A mixture of five Gaussians, fitted by gradient steps on minibatches, with the component of each point enumerated.
//! It reaches the likelihood of expectation maximisation (EM), which reads all points at each step.
//!
//! `cargo run --release --example gaussian_mixture` trains for 60 epochs, `-- --quick` for 20.

use std::error::Error;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use stochgrad::distributions::{Bijector, MultivariateNormal};
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Adam, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::train::Trainer;
use stochgrad::train::output::add_results;
use stochgrad::train::source::Tensors;
use stochgrad_examples::Place;

const COMPONENTS: usize = 5;
const BATCH: usize = 50;
/// The numbers of training points and of test points.
const POINTS: (usize, usize) = (1500, 500);

/// Fits a mixture of Gaussians to points in the plane.
#[derive(Parser)]
struct Arguments {
    /// Train for 20 epochs.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 60)]
    epochs: u64,
    /// The seed of the initial means and of the minibatches. The points are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/gaussian_mixture")]
    out: PathBuf,
}

/// Records the negative log-likelihood of a minibatch, as energy minus entropy of the components given the points.
fn record(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let x = record.input("points")?;
    let scales = Bijector::LowerCholesky.forward(record.param("scales")?);
    let gaussians = MultivariateNormal::new(record.param("means")?, scales);
    // ln p(x, z = k) for each component k, and p(z | x) by Bayes' rule.
    let joint = record.param("weights")?.log_softmax(0) + gaussians.log_prob_each(x.unsqueeze(0));
    let posterior = OneHotCategorical::from_logits(joint);
    let z = record.sample("component", &posterior, &Enumerate::new())?;
    record.cost("energy", -(z * joint).sum())?;
    record.cost("negative entropy", posterior.log_prob(z))
}

type Point = [f64; 2];

/// A mixture of Gaussians in the plane, for the points, for EM and for the comparison.
#[derive(Clone, Debug)]
struct Mixture {
    weights: Vec<f64>,
    means: Vec<Point>,
    /// The lower Cholesky factors of the covariances: the element of the first row, and the two of the second.
    scales: Vec<[f64; 3]>,
}

impl Mixture {
    /// The mixture that the points are drawn from.
    fn truth() -> Self {
        Self {
            weights: vec![0.3, 0.25, 0.2, 0.15, 0.1],
            means: vec![[0.0, 0.0], [3.5, 1.0], [-3.0, 2.5], [0.5, 4.5], [-2.0, -3.5]],
            scales: vec![[1.0, 0.5, 0.6], [0.5, -0.4, 1.0], [0.8, 0.0, 0.8], [1.2, 0.3, 0.4], [0.4, 0.2, 0.4]],
        }
    }

    /// Means far from each other: each is the point that is farthest from those before it.
    fn initial(points: &[Point], seed: u64) -> Self {
        let distance = |a: &Point, b: &Point| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        let mut means = vec![points[seed as usize % points.len()]];
        while means.len() < COMPONENTS {
            let nearest = |x: &Point| means.iter().map(|mean| distance(x, mean)).fold(f64::INFINITY, f64::min);
            means.extend(points.iter().copied().max_by(|a, b| nearest(a).total_cmp(&nearest(b))));
        }
        Self { weights: vec![1.0 / COMPONENTS as f64; COMPONENTS], means, scales: vec![[1.0, 0.0, 1.0]; COMPONENTS] }
    }

    fn parameters(&self) -> Result<Parameters<f64>, Box<dyn Error>> {
        let scales: Vec<_> = self.scales.iter().map(|&[a, b, c]| [a.ln(), b, c.ln()]).collect();
        let weights: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        let mut parameters = Parameters::new();
        parameters.insert("weights", Tensor::from(weights))?;
        parameters.insert("means", Tensor::from_rows(&self.means)?)?;
        parameters.insert("scales", Tensor::from_rows(&scales)?)?;
        Ok(parameters)
    }

    fn of(parameters: &Parameters<f64>) -> Self {
        let values = |name| parameters.get(name).expect("a parameter of the model").as_slice();
        let total: f64 = values("weights").iter().map(|logit| logit.exp()).sum();
        Self {
            weights: values("weights").iter().map(|logit| logit.exp() / total).collect(),
            means: values("means").chunks(2).map(|mean| [mean[0], mean[1]]).collect(),
            scales: values("scales").chunks(3).map(|scale| [scale[0].exp(), scale[1], scale[2].exp()]).collect(),
        }
    }

    /// The image of a standard normal pair in a component.
    fn point(&self, component: usize, noise: Point) -> Point {
        let (mean, [a, b, c]) = (self.means[component], self.scales[component]);
        [mean[0] + a * noise[0], mean[1] + b * noise[0] + c * noise[1]]
    }

    fn draw(&self, count: usize) -> Vec<Point> {
        let key = Key::new(0, 0, address_hash("points", &[]));
        let (mut noise, mut uniform) = (vec![0.0; 2 * count], vec![0.0; count]);
        key.derive("noise").normal(0, &mut noise);
        key.derive("component").uniform(0, &mut uniform);
        let component = |mut u: f64| {
            let last = COMPONENTS - 1;
            self.weights[..last]
                .iter()
                .position(|weight| {
                    (u < *weight) || {
                        u -= weight;
                        false
                    }
                })
                .unwrap_or(last)
        };
        noise.chunks(2).zip(uniform).map(|(noise, u)| self.point(component(u), [noise[0], noise[1]])).collect()
    }

    /// ln p(x), and p(z | x) for each component z.
    fn posterior(&self, x: &Point) -> (f64, Vec<f64>) {
        let densities: Vec<f64> = (0..COMPONENTS)
            .map(|k| {
                let [a, b, c] = self.scales[k];
                let first = (x[0] - self.means[k][0]) / a;
                let second = (x[1] - self.means[k][1] - b * first) / c;
                self.weights[k] * (-0.5 * (first * first + second * second)).exp() / (TAU * a * c)
            })
            .collect();
        let total: f64 = densities.iter().sum();
        (total.ln(), densities.iter().map(|density| density / total).collect())
    }

    /// The mean of ln p(x).
    fn log_likelihood(&self, points: &[Point]) -> f64 {
        points.iter().map(|x| self.posterior(x).0).sum::<f64>() / points.len() as f64
    }

    /// One iteration of EM: weights, means and covariances of the points, weighted by p(z | x).
    fn em(&self, points: &[Point]) -> Self {
        let shares: Vec<Vec<f64>> = points.iter().map(|x| self.posterior(x).1).collect();
        let mut next = self.clone();
        for k in 0..COMPONENTS {
            let total: f64 = shares.iter().map(|share| share[k]).sum();
            let mean = |f: &dyn Fn(&Point) -> f64| {
                points.iter().zip(&shares).map(|(x, share)| share[k] * f(x)).sum::<f64>() / total
            };
            let [u, v] = [mean(&|x| x[0]), mean(&|x| x[1])];
            let a = mean(&|x| (x[0] - u).powi(2)).sqrt();
            let b = mean(&|x| (x[0] - u) * (x[1] - v)) / a;
            let c = (mean(&|x| (x[1] - v).powi(2)) - b * b).sqrt();
            (next.weights[k], next.means[k], next.scales[k]) = (total / points.len() as f64, [u, v], [a, b, c]);
        }
        next
    }
}

/// Draws points in the colours of their most probable components, and ellipses of two standard deviations.
fn draw(path: &Path, points: &[Point], fitted: &Mixture, em: &Mixture) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (720, 640)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("test points, and both mixtures at two standard deviations", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(32)
        .y_label_area_size(40)
        .build_cartesian_2d(-6.0..6.0, -5.5..6.5)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).label_style(("sans-serif", 14)).draw()?;
    let colour = |k: usize| Palette99::pick(k).to_rgba();
    let ellipse = |mixture: &Mixture, k: usize| -> Vec<(f64, f64)> {
        let angles = (0..=90).map(|i| TAU * f64::from(i) / 90.0);
        angles.map(|angle| mixture.point(k, [2.0 * angle.cos(), 2.0 * angle.sin()]).into()).collect()
    };
    for x in points {
        let posterior = fitted.posterior(x).1;
        let best = (0..COMPONENTS).max_by(|&i, &j| posterior[i].total_cmp(&posterior[j])).unwrap_or(0);
        chart.draw_series([Circle::new((x[0], x[1]), 2, colour(best).mix(0.7).filled())])?;
    }
    for k in 0..COMPONENTS {
        let wide = BLACK.mix(0.2).stroke_width(7);
        let series = chart.draw_series([PathElement::new(ellipse(em, k), wide)])?;
        if k == 0 {
            series.label("EM").legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], wide));
        }
        let narrow = colour(k).stroke_width(2);
        let series = chart.draw_series([PathElement::new(ellipse(fitted, k), narrow)])?;
        if k == 0 {
            series.label("minibatches").legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], narrow));
        }
    }
    let place = SeriesLabelPosition::LowerRight;
    chart.configure_series_labels().position(place).label_font(("sans-serif", 16)).background_style(WHITE).draw()?;
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, device, out } = Arguments::parse();
    let epochs = if quick { 20 } else { epochs };
    let points = Mixture::truth().draw(POINTS.0 + POINTS.1);
    let (train, test) = Tensors::new().with("points", Tensor::from_rows(&points)?)?.split_at(POINTS.0)?;
    let (train_points, test_points) = points.split_at(POINTS.0);

    let initial = Mixture::initial(train_points, seed);
    let mut parameters = initial.parameters()?;
    let steps = epochs * (POINTS.0 / BATCH) as u64;
    let report = Trainer::new(Adam::new(Schedule::cosine(0.05, 0.0, steps)))
        .epochs(epochs)
        .batch(BATCH)
        .seed(seed)
        .device(device.open()?)
        .validate(&test)
        .out(&out)
        .fit(&mut parameters, &train, record)?;
    println!("{report}");

    let fitted = Mixture::of(&parameters);
    let em = (0..500).fold(initial, |mixture, _| mixture.em(train_points));
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["mean of ln p(x)", "training points", "test points"]);
    for (name, mixture) in [("minibatches", &fitted), ("EM", &em), ("true mixture", &Mixture::truth())] {
        let values = [train_points, test_points].map(|points| mixture.log_likelihood(points));
        table.add_row([name.to_owned(), format!("{:.5}", values[0]), format!("{:.5}", values[1])]);
        let of = |part| format!("log-likelihood of {part} points, {name}");
        add_results(out.join("summary.json"), [(of("training"), values[0]), (of("test"), values[1])])?;
    }
    println!("{table}");
    draw(&out.join("mixture.svg"), test_points, &fitted, &em)?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
