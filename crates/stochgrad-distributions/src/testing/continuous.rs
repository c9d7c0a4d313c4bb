//! Checks of distributions of single real numbers against a quadrature of their density.

use crate::distribution::Distribution;
use crate::noise::KeyedNoise;
use crate::testing::quadrature::Domain;
use crate::testing::samples::{Build, SAMPLES, assert_mean, assert_uniform, leaves, on_samples, request};
use stochgrad_tape::{Smoothness, Tape, Var};

/// The cost whose expectation is differentiated.
fn cost(x: f64) -> f64 {
    x.sin() + 0.1 * x * x
}

/// The checks of a distribution of single real numbers at one point of its parameters.
///
/// Start with [`assert_distribution`](Self::assert_distribution), which does all checks that the capabilities of the
/// distribution allow. The derivatives that samples carry are those of the expectation of $\sin x + 0.1 x^2$.
///
/// ```
/// use stochgrad_distributions::Uniform;
/// use stochgrad_distributions::testing::{DistributionCheck, Domain};
///
/// let check = DistributionCheck::new(|p| Box::new(Uniform::new(p[0], p[1])), &[-0.5, 2.0], Domain::Parameters);
/// check.assert_moments();
/// check.assert_cdf(&[-0.1, 1.4]);
/// check.assert_path(3);
/// ```
#[derive(Clone, Debug)]
pub struct DistributionCheck {
    pub(crate) build: Build,
    pub(crate) parameters: Vec<f64>,
    pub(crate) domain: Domain,
    cost: fn(f64) -> f64,
    weak_samples: usize,
}

impl DistributionCheck {
    /// The checks of the distribution that `build` makes of these parameters, with its mass in `domain`.
    pub fn new(build: Build, parameters: &[f64], domain: Domain) -> Self {
        DistributionCheck { build, parameters: parameters.to_vec(), domain, cost, weak_samples: SAMPLES }
    }

    /// The same with the cost $\sin x$, for distributions without a second moment.
    pub fn with_bounded_cost(self) -> Self {
        DistributionCheck { cost: f64::sin, ..self }
    }

    /// The same with another number of samples for weak derivatives, where their parts are costly. The default is
    /// 100,000.
    pub fn with_weak_samples(self, weak_samples: usize) -> Self {
        DistributionCheck { weak_samples, ..self }
    }

    fn live<'t>(&self, tape: &'t Tape<f64>) -> Box<dyn Distribution<'t, f64> + 't> {
        (self.build)(&leaves(tape, &self.parameters))
    }

    /// What is checked, for messages.
    fn label(&self, what: &str) -> String {
        let tape = Tape::new();
        format!("{} at {:?}, {what}", self.live(&tape).name(), self.parameters)
    }

    #[track_caller]
    fn assert_near(&self, what: &str, got: f64, expected: f64, tolerance: f64) {
        let near = (got - expected).abs() < tolerance * (1.0 + expected.abs());
        assert!(near, "{}: expected {expected}, got {got}", self.label(what));
    }

    /// Whether moments may be infinite, so that averages of powers of draws are not compared.
    fn is_heavy(&self) -> bool {
        (self.cost)(1e9).abs() <= 1.0
    }

    /// Log-densities.
    pub(crate) fn log_density(&self, parameters: &[f64], values: &[f64]) -> Vec<f64> {
        let tape = Tape::new();
        let distribution = (self.build)(&leaves(&tape, parameters));
        distribution.log_prob_each(tape.constant(values)).peek().expect("a log-density").to_vec()
    }

    /// The expectation of a function, by quadrature.
    pub(crate) fn expectation(&self, parameters: &[f64], f: impl Fn(f64) -> f64) -> f64 {
        let (nodes, weights) = self.domain.nodes(parameters);
        let densities = self.log_density(parameters, &nodes);
        nodes.iter().zip(weights).zip(densities).map(|((&x, weight), density)| weight * density.exp() * f(x)).sum()
    }

    /// The derivatives of the expected cost with respect to all parameters.
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

    /// The density integrates to one, and has the mean, the variance, the entropy and the mode that are stated. Infinite
    /// moments are not compared.
    ///
    /// # Panics
    /// Where one of them differs from the quadrature by more than 10⁻⁵, relative to one plus its size.
    #[track_caller]
    pub fn assert_moments(&self) {
        let tape = Tape::new();
        let distribution = self.live(&tape);
        self.assert_near("integral of the density", self.expectation(&self.parameters, |_| 1.0), 1.0, 1e-5);
        let stated = |moment: Option<Var<'_, f64>>| {
            moment.map(|moment| moment.item().expect("one number")).filter(|moment| !moment.is_infinite())
        };
        if let Some(mean) = stated(distribution.mean()) {
            self.assert_near("mean", mean, self.expectation(&self.parameters, |x| x), 1e-5);
            if let Some(variance) = stated(distribution.variance()) {
                let expected = self.expectation(&self.parameters, |x| (x - mean).powi(2));
                self.assert_near("variance", variance, expected, 1e-5);
            }
        }
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let densities = self.log_density(&self.parameters, &nodes);
        if let Some(entropy) = distribution.capabilities().entropy {
            let terms = densities.iter().zip(weights).filter(|(density, _)| density.is_finite());
            let expected = -terms.map(|(density, weight)| weight * density * density.exp()).sum::<f64>();
            self.assert_near("entropy", entropy.entropy().item().expect("one number"), expected, 1e-5);
        }
        if let Some(mode) = stated(distribution.mode()) {
            let highest = self.log_density(&self.parameters, &[mode])[0];
            let above = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // At an open end of the support the mode is a limit.
            let limit = highest == f64::NEG_INFINITY;
            assert!(
                limit || above <= highest + 1e-9 * highest.abs().max(1.0),
                "{}: expected the highest log-density at {mode}, got {highest} there and {above} elsewhere",
                self.label("mode")
            );
        }
    }

    /// The distribution function has the density as its derivative with respect to the value and central differences as
    /// its derivatives with respect to the parameters. The survival function and the logarithms are those of the
    /// distribution function, with its derivatives. The inverses, where there are any, invert them.
    ///
    /// # Panics
    /// Where one of these fails at one of the values, and where the distribution has no distribution function.
    #[track_caller]
    pub fn assert_cdf(&self, values: &[f64]) {
        let cdf_at = |parameters: &[f64], values: &[f64]| -> Vec<f64> {
            let tape = Tape::new();
            let distribution = (self.build)(&leaves(&tape, parameters));
            let cdf = distribution.capabilities().cdf.expect("a distribution function");
            cdf.cdf(tape.constant(values)).peek().expect("probabilities").to_vec()
        };
        let tape = Tape::new();
        let mut wrt = leaves(&tape, &self.parameters);
        let value = tape.parameter(values);
        let distribution = (self.build)(&wrt);
        let cumulative = distribution.capabilities().cdf.expect("a distribution function");
        let cdf = cumulative.cdf(value);
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let densities = self.log_density(&self.parameters, &nodes);
        for (&x, &got) in values.iter().zip(cdf.peek().expect("probabilities").as_slice()) {
            let below = nodes.iter().zip(&weights).zip(&densities).filter(|((node, _), _)| **node <= x);
            let expected: f64 = below.map(|((_, weight), density)| weight * density.exp()).sum();
            let near = (got - expected).abs() < 3e-3;
            assert!(near, "{}: expected {expected}, got {got}", self.label(&format!("distribution function at {x}")));
        }
        wrt.push(value);
        let gradients = tape.backward_all(cdf.sum(), &wrt).expect("derivatives of the distribution function");
        for (index, expected) in self.central_differences(|p| cdf_at(p, values).iter().sum()).into_iter().enumerate() {
            let what = format!("derivative of the distribution function with respect to parameter {index}");
            self.assert_near(&what, gradients[index].item().expect("one number"), expected, 1e-6);
        }
        let densities = self.log_density(&self.parameters, values);
        for (gradient, density) in gradients[self.parameters.len()].as_slice().iter().zip(densities) {
            let what = "derivative of the distribution function with respect to the value";
            self.assert_near(what, *gradient, density.exp(), 1e-6);
        }
        let (survival, log_cdf, log_survival) =
            (cumulative.survival(value), cumulative.log_cdf(value), cumulative.log_survival(value));
        for (what, function) in [
            ("survival function", 1.0 - survival),
            ("logarithm of the distribution function", log_cdf.exp()),
            ("logarithm of the survival function", 1.0 - log_survival.exp()),
        ] {
            let (found, known) = (function.peek().expect("probabilities"), cdf.peek().expect("probabilities"));
            for (got, expected) in found.as_slice().iter().zip(known.as_slice()) {
                self.assert_near(what, *got, *expected, 1e-9);
            }
            let slopes = tape.backward_all(function.sum(), &wrt).expect("derivatives of the tails");
            for (slope, expected) in slopes.iter().zip(&gradients) {
                for (got, expected) in slope.as_slice().iter().zip(expected.as_slice()) {
                    self.assert_near(&format!("derivatives of the {what}"), *got, *expected, 1e-6);
                }
            }
        }
        if let Some(quantile) = distribution.capabilities().icdf {
            let back = quantile.inverse_survival(survival.stop_gradient());
            for (back, &x) in back.peek().expect("quantiles").as_slice().iter().zip(values) {
                self.assert_near("inverse of the survival function", *back, x, 1e-6);
            }
            let round_trip = cumulative.survival(back).sum();
            for gradient in tape.backward_all(round_trip, &wrt[..self.parameters.len()]).expect("derivatives") {
                let what = "derivative of the survival function of its inverse";
                self.assert_near(what, gradient.item().expect("one number"), 0.0, 1e-6);
            }
            let probabilities = cdf.stop_gradient();
            let back = quantile.icdf(probabilities);
            for (back, &x) in back.peek().expect("quantiles").as_slice().iter().zip(values) {
                self.assert_near("inverse of the distribution function", *back, x, 1e-6);
            }
            // p = F(F⁻¹(p; θ); θ): the derivatives with respect to the parameters are those of an implicit path.
            let round_trip = cumulative.cdf(back).sum();
            for gradient in tape.backward_all(round_trip, &wrt[..self.parameters.len()]).expect("derivatives") {
                let what = "derivative of the distribution function of its inverse";
                self.assert_near(what, gradient.item().expect("one number"), 0.0, 1e-6);
            }
        }
    }

    /// The derivatives of the log-density with respect to the parameters and the value are central differences, and
    /// [`ScoreDifferentiable`](crate::ScoreDifferentiable) is implemented if and only if no parameter has a score that
    /// jumps.
    ///
    /// # Panics
    /// Where one of these fails at one of the values.
    #[track_caller]
    pub fn assert_score(&self, values: &[f64]) {
        let tape = Tape::new();
        let parameters = leaves(&tape, &self.parameters);
        let value = tape.parameter(values);
        let mut wrt = parameters.clone();
        wrt.push(value);
        let distribution = (self.build)(&parameters);
        let fixed_support = distribution.parameters().iter().all(|parameter| parameter.score < Smoothness::Jump);
        let offered = distribution.capabilities().score.is_some();
        assert_eq!(offered, fixed_support, "{}", self.label("score offered, and support free of parameters"));
        let log_density = distribution.log_prob_each(value).sum();
        let gradients = tape.backward_all(log_density, &wrt).expect("derivatives of the log-density");
        let differences = self.central_differences(|p| self.log_density(p, values).iter().sum());
        for (index, (gradient, expected)) in gradients.iter().zip(differences).enumerate() {
            let what = format!("derivative of the log-density with respect to parameter {index}");
            self.assert_near(&what, gradient.item().expect("one number"), expected, 1e-6);
        }
        for (&x, &gradient) in values.iter().zip(gradients[self.parameters.len()].as_slice()) {
            let ends = self.log_density(&self.parameters, &[x - 1e-6, x + 1e-6]);
            let what = format!("derivative of the log-density with respect to the value at {x}");
            self.assert_near(&what, gradient, (ends[1] - ends[0]) / 2e-6, 1e-6);
        }
    }

    /// 100,000 draws have the stated mean and variance, within four standard errors, and the distribution function
    /// `cdf`, by the test of Kolmogorov and Smirnov.
    ///
    /// # Panics
    /// Where they differ.
    #[track_caller]
    pub fn assert_draws(&self, seed: u64, cdf: impl Fn(f64) -> f64) {
        let values = self.draws_with_the_moments(seed);
        assert_uniform(&self.label("draws"), &values.iter().map(|&x| cdf(x)).collect::<Vec<_>>());
    }

    /// 100,000 draws in ascending order, which have the stated mean and variance.
    #[track_caller]
    fn draws_with_the_moments(&self, seed: u64) -> Vec<f64> {
        let tape = Tape::new();
        let distribution = self.live(&tape);
        let noise = KeyedNoise::new(seed, 0);
        let mut values = distribution.draw(&request(&tape, &noise)).expect("draws").to_vec();
        let mean = distribution.mean().map(|mean| mean.item().expect("one number"));
        if let Some(mean) = mean.filter(|mean| !mean.is_infinite()) {
            assert_mean(&self.label("mean of draws"), &values, mean);
            if let (Some(variance), false) = (distribution.variance(), self.is_heavy()) {
                let squares: Vec<f64> = values.iter().map(|x| (x - mean).powi(2)).collect();
                assert_mean(&self.label("variance of draws"), &squares, variance.item().expect("one number"));
            }
        }
        values.sort_by(f64::total_cmp);
        values
    }

    /// [`assert_draws`](Self::assert_draws) with the distribution function of the distribution itself.
    ///
    /// # Panics
    /// As there, and where the distribution has no distribution function.
    #[track_caller]
    pub fn assert_draws_by_own_cdf(&self, seed: u64) {
        let values = self.draws_with_the_moments(seed);
        self.assert_own_cdf(values);
    }

    /// The distribution function of the distribution makes these draws, in ascending order, uniform.
    #[track_caller]
    fn assert_own_cdf(&self, values: Vec<f64>) {
        let tape = Tape::new();
        let distribution = self.live(&tape);
        let cumulative = distribution.capabilities().cdf.expect("a distribution function");
        let cdf = cumulative.cdf(tape.constant(values)).peek().expect("probabilities");
        assert_uniform(&self.label("draws"), cdf.as_slice());
    }

    /// 100,000 draws have the distribution function of the distribution. The moments are not compared.
    ///
    /// # Panics
    /// Where they differ, and where the distribution has no distribution function.
    #[track_caller]
    pub fn assert_cdf_of_draws(&self, seed: u64) {
        let tape = Tape::new();
        let distribution = self.live(&tape);
        let noise = KeyedNoise::new(seed, 0);
        let mut values = distribution.draw(&request(&tape, &noise)).expect("draws").to_vec();
        values.sort_by(f64::total_cmp);
        self.assert_own_cdf(values);
    }

    /// Reparameterised samples are the draws for the same noise, and carry the derivatives of the expected cost within
    /// four standard errors.
    ///
    /// # Panics
    /// Where they differ, and where the distribution is not reparameterised.
    #[track_caller]
    pub fn assert_path(&self, seed: u64) {
        let tape = Tape::new();
        let noise = KeyedNoise::new(seed, 0);
        let draw = request(&tape, &noise);
        // A copy of each parameter for each sample: its derivative is that of the one sample.
        let copies: Vec<Var<'_, f64>> = self.parameters.iter().map(|&p| tape.parameter(vec![p; SAMPLES])).collect();
        let parameters: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(draw.plates()[0])).collect();
        let distribution = (self.build)(&parameters);
        let path = distribution.capabilities().reparameterized.expect("a reparameterised distribution");
        let x = path.rsample(&draw).expect("samples");
        let drawn = distribution.draw(&draw).expect("draws");
        // The functions of recorded noise are those of the kernels, which may differ in the last bits.
        for (recorded, drawn) in x.peek().expect("samples").as_slice().iter().zip(drawn.as_slice()) {
            let near = (recorded - drawn).abs() <= 1e-13 * drawn.abs().max(1.0);
            assert!(near, "{}: expected the draw {drawn}, got {recorded}", self.label("reparameterised samples"));
        }
        assert_eq!(x.plates(), *draw.plates(), "{}", self.label("plates of reparameterised samples"));
        let cost = if self.is_heavy() { x.sin() } else { x.sin() + x.square() * 0.1 };
        let total = cost.sum_over(draw.plates()[0]);
        let gradients = tape.backward_all(total, &copies).expect("derivatives along sample paths");
        for (index, (gradient, expected)) in gradients.iter().zip(self.derivatives()).enumerate() {
            let what = format!("derivative along sample paths with respect to parameter {index}");
            assert_mean(&self.label(&what), gradient.as_slice(), expected);
        }
    }

    /// Everything that can be checked with the capabilities of the distribution: density, moments, distribution
    /// function, draws, path and weak derivatives. `values` are points inside the support.
    ///
    /// Draws are checked here only where there is a distribution function; else use
    /// [`assert_draws`](Self::assert_draws).
    ///
    /// # Panics
    /// Where a check fails.
    #[track_caller]
    pub fn assert_distribution(&self, values: &[f64], seed: u64) {
        self.assert_moments();
        self.assert_score(values);
        let tape = Tape::new();
        let distribution = self.live(&tape);
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
        let sample = draw.record(&tape, distribution.draw(&draw).expect("a draw"));
        let known = |parameter: usize| {
            weak.weak_derivative(parameter, sample, &draw).expect("a weak derivative or none").is_some()
        };
        let known: Vec<usize> = (0..self.parameters.len()).filter(|&parameter| known(parameter)).collect();
        assert!(!known.is_empty(), "{}: offered, but for no parameter", self.label("weak derivative"));
        for parameter in known {
            self.assert_weak(parameter, seed + 2 + parameter as u64);
        }
    }

    /// The terms of the weak derivative with respect to one parameter, one for each sample.
    pub(crate) fn weak_terms(&self, parameter: usize, seed: u64, cost: impl Fn(f64) -> f64) -> Vec<f64> {
        let tape = Tape::new();
        let distribution = self.live(&tape);
        let noise = KeyedNoise::new(seed, 0);
        let draw = on_samples(&tape, &noise, self.weak_samples);
        let sample = distribution.draw(&draw).expect("draws");
        let weak = distribution.capabilities().weak_derivative.expect("a distribution with a weak derivative");
        let alternatives = weak
            .weak_derivative(parameter, draw.record(&tape, sample.clone()), &draw)
            .expect("alternatives")
            .expect("a parameter with a weak derivative");
        assert_eq!(alternatives.values.len(), alternatives.weights.len(), "alternative values and their weights");
        let mut terms = vec![0.0; self.weak_samples];
        let parts = alternatives.to_tensors(draw.plates(), &distribution.event_shape(), distribution.element_rank());
        let (values, weights) = parts.expect("values");
        for (values, weights) in values.iter().zip(&weights) {
            assert_eq!((values.shape(), weights.shape()), (sample.shape(), sample.shape()), "shapes of alternatives");
            for (i, term) in terms.iter_mut().enumerate() {
                *term += weights.as_slice()[i] * (cost(values.as_slice()[i]) - cost(sample.as_slice()[i]));
            }
        }
        terms
    }

    /// The weak derivative with respect to one parameter is the derivative of the expected cost, within four standard
    /// errors.
    ///
    /// # Panics
    /// Where they differ, and where the parameter has no weak derivative.
    #[track_caller]
    pub fn assert_weak(&self, parameter: usize, seed: u64) {
        assert_mean(
            &self.label(&format!("weak derivative with respect to parameter {parameter}")),
            &self.weak_terms(parameter, seed, self.cost),
            self.derivatives()[parameter],
        );
    }

    /// The stated divergence of this distribution from the one with the parameters `other` is the expected difference
    /// of their log-densities.
    ///
    /// # Panics
    /// Where they differ.
    #[track_caller]
    pub fn assert_divergence(&self, other: &[f64], stated: f64) {
        let (nodes, weights) = self.domain.nodes(&self.parameters);
        let (own, others) = (self.log_density(&self.parameters, &nodes), self.log_density(other, &nodes));
        let expected: f64 =
            own.iter().zip(others).zip(weights).map(|((p, q), weight)| weight * p.exp() * (p - q)).sum();
        self.assert_near(&format!("divergence from {other:?}"), stated, expected, 1e-5);
    }
}
