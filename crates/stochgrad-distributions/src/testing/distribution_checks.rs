//! Checks of continuous distributions against quadrature and against their distribution functions.

use crate::distribution::Distribution;
use crate::noise::{Draw, KeyedNoise, NoiseKey};
use stochgrad_tape::{PlateKind, Plates, Smoothness, Tape, Var};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::special::sigmoid;

const SAMPLES: usize = 100_000;

/// A distribution from its parameters.
pub(crate) type Build = for<'t> fn(&[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// Where the mass is.
#[derive(Clone, Copy)]
pub(crate) enum Domain {
    /// Within these bounds, as good as all of it.
    Line(f64, f64),
    /// The positive numbers.
    HalfLine,
    /// The positive numbers, of a distribution without all its moments.
    HeavyHalfLine,
    /// The real line, of a distribution without all its moments.
    HeavyLine,
    /// The numbers between 0 and 1, with as much care for the ends.
    UnitInterval,
    /// Between the first two parameters.
    Parameters,
    /// Above the first parameter, with a tail of any weight.
    AboveFirst,
}

impl Domain {
    /// Nodes and weights of a quadrature.
    fn nodes(self, parameters: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let count = 40_000;
        let middles = |low: f64, high: f64| {
            let step = (high - low) / count as f64;
            (0..count).map(move |i| (low + (i as f64 + 0.5) * step, step))
        };
        match self {
            Domain::Line(low, high) => middles(low, high).unzip(),
            Domain::Parameters => middles(parameters[0], parameters[1]).unzip(),
            Domain::HalfLine => middles(-80.0, 8.0).map(|(t, step)| (t.exp(), t.exp() * step)).unzip(),
            Domain::HeavyHalfLine => middles(-80.0, 60.0).map(|(t, step)| (t.exp(), t.exp() * step)).unzip(),
            Domain::HeavyLine => middles(-60.0, 60.0).map(|(t, step)| (t.sinh(), t.cosh() * step)).unzip(),
            Domain::UnitInterval => middles(-36.0, 36.0)
                .map(|(t, step)| (sigmoid(t), sigmoid(t) * sigmoid(-t) * step))
                .filter(|&(x, _)| x < 1.0)
                .unzip(),
            Domain::AboveFirst => {
                middles(-80.0, 60.0).map(|(t, step)| (parameters[0] + t.exp(), t.exp() * step)).unzip()
            }
        }
    }
}

/// A distribution at some parameters.
pub(crate) struct DistributionCheck {
    pub(crate) build: Build,
    pub(crate) parameters: Vec<f64>,
    pub(crate) domain: Domain,
    cost: fn(f64) -> f64,
    weak_samples: usize,
}

/// The cost whose expectation is differentiated.
pub(crate) fn cost(x: f64) -> f64 {
    x.sin() + 0.1 * x * x
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

fn assert_mean(what: &str, values: &[f64], expected: f64) {
    let (mean, error) = mean_and_error(values);
    assert!(
        (mean - expected).abs() <= 4.0 * error + 1e-9 * expected.abs(),
        "{what}: {mean} ± {error}, expected {expected}"
    );
}

/// Rising probabilities are those of uniform numbers, by the test of Kolmogorov and Smirnov.
fn assert_uniform(probabilities: &[f64]) {
    let n = probabilities.len() as f64;
    let distance = probabilities
        .iter()
        .enumerate()
        .fold(0.0_f64, |worst, (i, &p)| worst.max((p - i as f64 / n).abs()).max((p - (i as f64 + 1.0) / n).abs()));
    assert!(distance * n.sqrt() < 1.95, "Kolmogorov-Smirnov: {}", distance * n.sqrt());
}

/// Leaves with the given values.
pub(crate) fn leaves<'t>(tape: &'t Tape<f64>, parameters: &[f64]) -> Vec<Var<'t, f64>> {
    parameters.iter().map(|&parameter| tape.parameter(parameter)).collect()
}

impl DistributionCheck {
    pub(crate) fn new(build: Build, parameters: &[f64], domain: Domain) -> Self {
        DistributionCheck { build, parameters: parameters.to_vec(), domain, cost, weak_samples: SAMPLES }
    }

    /// The same with a bounded cost, for distributions without a second moment.
    pub(crate) fn with_bounded_cost(self) -> Self {
        DistributionCheck { cost: f64::sin, ..self }
    }

    /// The same with fewer draws for weak derivatives whose parts are costly.
    pub(crate) fn with_weak_samples(self, weak_samples: usize) -> Self {
        DistributionCheck { weak_samples, ..self }
    }

    /// Whether moments may be infinite, so that averages of powers of draws say nothing.
    fn is_heavy(&self) -> bool {
        (self.cost)(1e9).abs() <= 1.0
    }

    /// Log-densities.
    pub(crate) fn log_density(&self, parameters: &[f64], values: &[f64]) -> Vec<f64> {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, parameters));
        distribution.log_prob_each(tape.constant(values)).peek().unwrap().to_vec()
    }

    /// The expectation of a function, by quadrature.
    pub(crate) fn expectation(&self, parameters: &[f64], f: impl Fn(f64) -> f64) -> f64 {
        let (nodes, weights) = self.domain.nodes(parameters);
        let densities = self.log_density(parameters, &nodes);
        nodes.iter().zip(weights).zip(densities).map(|((&x, weight), density)| weight * density.exp() * f(x)).sum()
    }

    /// The derivatives of the expected cost by all parameters.
    pub(crate) fn derivatives(&self) -> Vec<f64> {
        self.central_differences(|parameters| self.expectation(parameters, self.cost))
    }

    fn central_differences(&self, f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let at = |index: usize, step: f64| {
            let mut moved = self.parameters.clone();
            moved[index] += step;
            f(&moved)
        };
        (0..self.parameters.len())
            .map(|index| {
                let step = 1e-5 * self.parameters[index].abs().max(0.1);
                (at(index, step) - at(index, -step)) / (2.0 * step)
            })
            .collect()
    }

    /// The density integrates to one, and has the mean, the variance and the entropy that are stated.
    pub(crate) fn assert_moments(&self) {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        let close = |what: &str, got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{what}: {got}, expected {expected}")
        };
        close("total", self.expectation(&self.parameters, |_| 1.0), 1.0);
        let stated = |moment: Option<Var<'_, f64>>| moment.map(|moment| moment.item().unwrap());
        if let Some(mean) = stated(distribution.mean()) {
            close("mean", mean, self.expectation(&self.parameters, |x| x));
            if let Some(variance) = stated(distribution.variance()) {
                close("variance", variance, self.expectation(&self.parameters, |x| (x - mean).powi(2)));
            }
        }
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let densities = self.log_density(&self.parameters, &nodes);
        if let Some(entropy) = distribution.capabilities().entropy {
            let terms = densities.iter().zip(weights).filter(|(density, _)| density.is_finite());
            let expected = -terms.map(|(density, weight)| weight * density * density.exp()).sum::<f64>();
            close("entropy", entropy.entropy().item().unwrap(), expected);
        }
        if let Some(mode) = stated(distribution.mode()) {
            let highest = self.log_density(&self.parameters, &[mode])[0];
            let above = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // At an open end of the support the mode is a limit.
            let limit = highest == f64::NEG_INFINITY;
            assert!(limit || above <= highest + 1e-9 * highest.abs().max(1.0), "mode {mode}: {above} above {highest}");
        }
    }

    /// The distribution function has the density as its derivative with respect to the value and central differences as
    /// its derivatives with respect to the parameters; its inverse, where there is one, inverts it.
    pub(crate) fn assert_cdf(&self, values: &[f64]) {
        let cdf_at = |parameters: &[f64], values: &[f64]| -> Vec<f64> {
            let tape = Tape::new();
            let distribution = (self.build)(&leaves(&tape, parameters));
            distribution.capabilities().cdf.unwrap().cdf(tape.constant(values)).peek().unwrap().to_vec()
        };
        let tape = Tape::new();
        let mut wrt = leaves(&tape, &self.parameters);
        let value = tape.parameter(values);
        let distribution = (self.build)(&wrt);
        let cdf = distribution.capabilities().cdf.unwrap().cdf(value);
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let densities = self.log_density(&self.parameters, &nodes);
        for (&x, &got) in values.iter().zip(cdf.peek().unwrap().as_slice()) {
            let below = nodes.iter().zip(&weights).zip(&densities).filter(|((node, _), _)| **node <= x);
            let expected: f64 = below.map(|((_, weight), density)| weight * density.exp()).sum();
            assert!((got - expected).abs() < 3e-3, "distribution function at {x}: {got}, expected {expected}");
        }
        wrt.push(value);
        let gradients = tape.backward_all(cdf.sum(), &wrt).unwrap();
        let close = |what: &str, got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{what}: {got}, expected {expected}")
        };
        for (index, expected) in self.central_differences(|p| cdf_at(p, values).iter().sum()).into_iter().enumerate() {
            close(&format!("by parameter {index}"), gradients[index].item().unwrap(), expected);
        }
        let densities = self.log_density(&self.parameters, values);
        for (gradient, density) in gradients[self.parameters.len()].as_slice().iter().zip(densities) {
            close("by the value", *gradient, density.exp());
        }
        if let Some(quantile) = distribution.capabilities().icdf {
            let probabilities = cdf.stop_gradient();
            let back = quantile.icdf(probabilities);
            for (back, &x) in back.peek().unwrap().as_slice().iter().zip(values) {
                close("inverse of the distribution function", *back, x);
            }
            // p = F(F⁻¹(p; θ); θ): the derivatives with respect to the parameters are those of an implicit path.
            let round_trip = distribution.capabilities().cdf.unwrap().cdf(back).sum();
            for gradient in tape.backward_all(round_trip, &wrt[..self.parameters.len()]).unwrap() {
                close("derivative of a round trip", gradient.item().unwrap(), 0.0);
            }
        }
    }

    /// The derivatives of the log-density, by the parameters and by the value, are those of differences.
    pub(crate) fn assert_score(&self, values: &[f64]) {
        let tape = Tape::new();
        let parameters = leaves(&tape, &self.parameters);
        let value = tape.parameter(values);
        let mut wrt = parameters.clone();
        wrt.push(value);
        let distribution = (self.build)(&parameters);
        let fixed_support = distribution.parameters().iter().all(|parameter| parameter.score < Smoothness::Jump);
        assert_eq!(distribution.capabilities().score.is_some(), fixed_support);
        let gradients = tape.backward_all(distribution.log_prob_each(value).sum(), &wrt).unwrap();
        let close = |what: &str, got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{what}: {got}, expected {expected}")
        };
        for (gradient, expected) in
            gradients.iter().zip(self.central_differences(|p| self.log_density(p, values).iter().sum()))
        {
            close("by a parameter", gradient.item().unwrap(), expected);
        }
        for (&x, &gradient) in values.iter().zip(gradients[self.parameters.len()].as_slice()) {
            let ends = self.log_density(&self.parameters, &[x - 1e-6, x + 1e-6]);
            close("by the value", gradient, (ends[1] - ends[0]) / 2e-6);
        }
    }

    /// Draws have the stated mean, variance and distribution function.
    pub(crate) fn assert_draws(&self, seed: u64, cdf: impl Fn(f64) -> f64) {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        let noise = KeyedNoise::new(seed, 0);
        let mut values = distribution.draw(&request(&tape, &noise)).unwrap().to_vec();
        if let Some(mean) = distribution.mean().map(|mean| mean.item().unwrap()) {
            assert_mean("mean", &values, mean);
            if let (Some(variance), false) = (distribution.variance(), self.is_heavy()) {
                let squares: Vec<f64> = values.iter().map(|x| (x - mean).powi(2)).collect();
                assert_mean("variance", &squares, variance.item().unwrap());
            }
        }
        values.sort_by(f64::total_cmp);
        assert_uniform(&values.iter().map(|&x| cdf(x)).collect::<Vec<_>>());
    }

    /// Reparameterised samples are the draws, and carry the derivatives of the expected cost.
    pub(crate) fn assert_path(&self, seed: u64) {
        let tape = Tape::new();
        let noise = KeyedNoise::new(seed, 0);
        let draw = request(&tape, &noise);
        // A copy of each parameter for each sample: its derivative is that of the one sample.
        let copies: Vec<Var<'_, f64>> = self.parameters.iter().map(|&p| tape.parameter(vec![p; SAMPLES])).collect();
        let parameters: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(draw.plates()[0])).collect();
        let distribution = (self.build)(&parameters);
        let x = distribution.capabilities().reparameterized.unwrap().rsample(&draw).unwrap();
        // The functions of recorded noise are those of the kernels, which may differ in the last bits.
        for (recorded, drawn) in x.peek().unwrap().as_slice().iter().zip(distribution.draw(&draw).unwrap().as_slice()) {
            assert!((recorded - drawn).abs() <= 1e-13 * drawn.abs().max(1.0), "{recorded} and {drawn}");
        }
        assert_eq!(x.plates(), *draw.plates());
        let cost = if self.is_heavy() { x.sin() } else { x.sin() + x.square() * 0.1 };
        let total = cost.sum_over(draw.plates()[0]);
        for (index, (gradient, expected)) in
            tape.backward_all(total, &copies).unwrap().iter().zip(self.derivatives()).enumerate()
        {
            assert_mean(&format!("by parameter {index}"), gradient.as_slice(), expected);
        }
    }

    /// Everything that can be checked without knowing the distribution: density, moments, distribution function, draws,
    /// path and weak derivatives.
    pub(crate) fn assert_distribution(&self, values: &[f64], seed: u64) {
        self.assert_moments();
        self.assert_score(values);
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        if distribution.capabilities().cdf.is_some() {
            self.assert_cdf(values);
            self.assert_draws_by_own_cdf(seed);
        }
        if distribution.capabilities().reparameterized.is_some() {
            self.assert_path(seed + 1);
        }
        let Some(weak) = distribution.capabilities().weak_derivative else { return };
        let noise = KeyedNoise::new(0, 0);
        let draw = on_samples(&tape, &noise, 1);
        let sample = distribution.draw(&draw).unwrap();
        let known = |parameter: usize| weak.weak_derivative(parameter, &sample, &draw).unwrap().is_some();
        let known: Vec<usize> = (0..self.parameters.len()).filter(|&parameter| known(parameter)).collect();
        assert!(!known.is_empty(), "a weak derivative is offered, but by no parameter");
        for parameter in known {
            self.assert_weak(parameter, seed + 2 + parameter as u64);
        }
    }

    /// Draws have the distribution function of the distribution, whatever its moments mean.
    pub(crate) fn assert_cdf_of_draws(&self, seed: u64) {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        let noise = KeyedNoise::new(seed, 0);
        let mut values = distribution.draw(&request(&tape, &noise)).unwrap().to_vec();
        values.sort_by(f64::total_cmp);
        let cdf = distribution.capabilities().cdf.unwrap().cdf(tape.constant(values)).peek().unwrap();
        assert_uniform(cdf.as_slice());
    }

    /// Draws have the stated mean, variance and distribution function.
    pub(crate) fn assert_draws_by_own_cdf(&self, seed: u64) {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        self.assert_draws(seed, |x| distribution.capabilities().cdf.unwrap().cdf(tape.constant(x)).item().unwrap());
    }

    /// The terms of the weak derivative with respect to one parameter, one for each sample.
    pub(crate) fn weak_terms(&self, parameter: usize, seed: u64, cost: impl Fn(f64) -> f64) -> Vec<f64> {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, &self.parameters));
        let noise = KeyedNoise::new(seed, 0);
        let draw = on_samples(&tape, &noise, self.weak_samples);
        let sample = distribution.draw(&draw).unwrap();
        let alternatives = distribution
            .capabilities()
            .weak_derivative
            .unwrap()
            .weak_derivative(parameter, &sample, &draw)
            .unwrap()
            .unwrap();
        assert_eq!(alternatives.values.len(), alternatives.weights.len());
        let mut terms = vec![0.0; self.weak_samples];
        for (values, weights) in alternatives.values.iter().zip(&alternatives.weights) {
            assert_eq!((values.shape(), weights.shape()), (sample.shape(), sample.shape()));
            for (i, term) in terms.iter_mut().enumerate() {
                *term += weights.as_slice()[i] * (cost(values.as_slice()[i]) - cost(sample.as_slice()[i]));
            }
        }
        terms
    }

    /// The weak derivative with respect to one parameter is the derivative of the expected cost.
    pub(crate) fn assert_weak(&self, parameter: usize, seed: u64) {
        assert_mean(
            &format!("by parameter {parameter}"),
            &self.weak_terms(parameter, seed, self.cost),
            self.derivatives()[parameter],
        );
    }

    /// The stated divergence of this distribution from another is the expected difference of their log-densities.
    pub(crate) fn assert_divergence(&self, other: &[f64], stated: f64) {
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let (own, others) = (self.log_density(&self.parameters, &nodes), self.log_density(other, &nodes));
        let expected: f64 =
            own.iter().zip(others).zip(weights).map(|((p, q), weight)| weight * p.exp() * (p - q)).sum();
        assert!((stated - expected).abs() < 1e-5 * (1.0 + expected.abs()), "divergence: {stated}, expected {expected}");
    }
}

/// A request on a plate of many samples.
pub(crate) fn request<'a>(tape: &'a Tape<f64>, noise: &'a KeyedNoise) -> Draw<'a, f64> {
    on_samples(tape, noise, SAMPLES)
}

/// A request on a plate of samples.
pub(crate) fn on_samples<'a>(tape: &'a Tape<f64>, noise: &'a KeyedNoise, count: usize) -> Draw<'a, f64> {
    let plate = tape.plate("samples", count, PlateKind::Samples, &[]);
    Draw::new(tape, noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]))
}

/// The sample variance.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let (_, error) = mean_and_error(values);
    error * error * values.len() as f64
}

/// The derivative of the mean of the samples along their paths is finite, or refused where samples were lost.
fn assert_path_finite(build: Build, parameters: &[f64], seed: u64) {
    // An error stays on its tape: this one is for the path only.
    let tape = Tape::new();
    let leaves = leaves(&tape, parameters);
    let distribution = build(&leaves);
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, 1000);
    let Some(path) = distribution.capabilities().reparameterized else { return };
    let sample = path.rsample(&draw).unwrap().mean_over(draw.plates()[0]);
    match tape.backward_all(sample, &leaves) {
        Ok(gradients) => assert!(gradients.iter().all(Tensor::all_finite), "path at {parameters:?}: {gradients:?}"),
        Err(error) => assert!(error.to_string().contains("beyond the range"), "path at {parameters:?}: {error}"),
    }
}

/// Values, log-densities and all derivatives at these parameters have no NaN; draws, the log-density at them and its
/// derivatives are finite.
pub(crate) fn assert_finite(build: Build, parameters: &[f64], seed: u64) {
    let tape = Tape::new();
    let leaves = leaves(&tape, parameters);
    let distribution = build(&leaves);
    distribution.validate().unwrap();
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, 1000);
    let sample = distribution.draw(&draw).unwrap();
    assert!(sample.all_finite(), "draws at {parameters:?}");
    let finite = |what: &str, tensors: &[Tensor<f64>]| {
        tensors.iter().for_each(|t| assert!(t.all_finite(), "{what} at {parameters:?}: {t:?}"))
    };
    let mean = |x: Var<'_, f64>| tape.backward_all(x.mean_over(draw.plates()[0]), &leaves).unwrap();
    let density = distribution.log_prob(draw.record(&tape, sample.clone()));
    finite("log-density", &[density.peek().unwrap()]);
    finite("score", &mean(density));
    assert_path_finite(build, parameters, seed);
    if let Some(entropy) = distribution.capabilities().entropy {
        let entropy = entropy.entropy();
        finite("entropy", &[entropy.peek().unwrap()]);
        finite("derivative of the entropy", &tape.backward_all(entropy, &leaves).unwrap());
    }
    let Some(weak) = distribution.capabilities().weak_derivative else { return };
    for index in 0..parameters.len() {
        if let Some(alternatives) = weak.weak_derivative(index, &sample, &draw).unwrap() {
            finite("alternatives", &alternatives.values);
            finite("weights", &alternatives.weights);
        }
    }
}

/// The log-density outside the support is −∞, and all its derivatives there are 0.
pub(crate) fn assert_nothing_at(build: Build, parameters: &[f64], value: f64) {
    let tape = Tape::new();
    let mut wrt = leaves(&tape, parameters);
    let value = tape.parameter(value);
    let density = build(&wrt).log_prob(value);
    assert_eq!(density.peek().unwrap().item(), Ok(f64::NEG_INFINITY));
    wrt.push(value);
    for gradient in tape.backward_all(density, &wrt).unwrap() {
        assert_eq!(gradient.item(), Ok(0.0));
    }
}
