//! A Gaussian process observed at finitely many points: the values of a random function, with noise. It is a prior of
//! functions in regression, and a model of spatial data and of hyperparameter search.
//!
//! $$x \sim \mathcal N(m, K + s^2 I), \quad K_{ij} = k(u_i, u_j),$$
//!
//! with a covariance function $k$, the [`Kernel`].
//!
//! Parameters: `points` $u$, of the shape `[…, n, d]`; `mean` $m$, one for all points; `deviation`, the standard deviation
//! of the function at one point; `length`, the length scale: a number, or one for each of the $d$ coordinates along a
//! last axis; and `noise` $s$, the standard deviation of the errors of observation, at least $\sqrt{n \varepsilon}$ times
//! the deviation with the rounding error $\varepsilon$ (4.7e-8 for ten points in `f64`), so that the covariance has a
//! Cholesky factor. The axes before the last ones are independent and broadcast; one element is the vector of the $n$
//! values. Support: $\mathbb{R}^n$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = m + L z$ with the Cholesky factor $L$ of the covariance, any order |
//! | entropy and divergence to itself | those of the multivariate normal distribution |
//! | prediction | [`GaussianProcess::predicted`]: the values at other points, given values at these |
//!
//! For weak derivatives, use the multivariate normal distribution that [`GaussianProcess::normal`] gives. Each function
//! computes the Cholesky factor, which costs $n^3/3$ multiplications: call `normal` once and use its result if you need
//! several.

use crate::error::DistributionError;
use crate::family;
use crate::multivariate::kernel::Kernel;
use crate::multivariate::multivariate_normal::{MultivariateNormal, apply};
use crate::prelude::*;

/// Values of a random function with noise at given points, given by a covariance function. One element is the vector of
/// the values.
///
/// ```
/// use stochgrad_distributions::{Distribution, GaussianProcess, Kernel};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let points = tape.constant([[0.0], [1.0], [2.5]]);
/// let values = tape.constant([0.3, 0.9, -0.5]);
/// let length = tape.parameter(1.0);
/// let process = GaussianProcess::new(Kernel::Matern52, points, 0.0, 1.0, length, 0.1);
/// // The derivative of the marginal likelihood with respect to the length scale.
/// let [slope] = tape.backward(process.log_prob(values), [length])?;
/// assert!(slope.item()?.is_finite());
/// // What is expected between the points, and how uncertain it is.
/// let between = process.predicted(values, tape.constant([[0.5], [1.7]]), 0.1);
/// assert!((between.mean().unwrap().index(0, 0).item()? - 0.6889).abs() < 1e-4);
/// assert!((between.variance().unwrap().index(0, 1).item()? - 0.2840).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaussianProcess<V = stochgrad_tape::Id> {
    kernel: Kernel,
    points: V,
    mean: V,
    deviation: V,
    length: V,
    noise: V,
}

impl<V> GaussianProcess<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<GaussianProcess<W>, E> {
        Ok(GaussianProcess {
            kernel: self.kernel,
            points: f(&self.points)?,
            mean: f(&self.mean)?,
            deviation: f(&self.deviation)?,
            length: f(&self.length)?,
            noise: f(&self.noise)?,
        })
    }
}

family!(GaussianProcess);

/// The diagonal matrix with the square of a standard deviation, n times.
fn noise_matrix<'t, F: Real>(deviation: Var<'t, F>, n: usize) -> Var<'t, F> {
    let square = deviation.square().unsqueeze(-1).unsqueeze(-1);
    square * square.tape().constant(Tensor::eye(n))
}

impl<'t, F: Real> GaussianProcess<Var<'t, F>> {
    /// Values at `points` (`[…, n, d]`) of a random function with this covariance function, mean, standard `deviation`
    /// and `length` scale, with normal errors of the standard deviation `noise > 0`.
    pub fn new(
        kernel: Kernel,
        points: Var<'t, F>,
        mean: impl IntoVar<'t, F>,
        deviation: impl IntoVar<'t, F>,
        length: impl IntoVar<'t, F>,
        noise: impl IntoVar<'t, F>,
    ) -> Self {
        let tape = points.tape();
        let (mean, deviation) = (mean.into_var(tape), deviation.into_var(tape));
        let (length, noise) = (length.into_var(tape), noise.into_var(tape));
        GaussianProcess { kernel, points, mean, deviation, length, noise }
    }

    /// The covariance function.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The points.
    pub fn points(&self) -> Var<'t, F> {
        self.points
    }

    /// The number of points.
    pub fn count(&self) -> usize {
        let shape = self.points.shape();
        shape.len().checked_sub(2).and_then(|axis| shape.get(axis)).copied().unwrap_or(0)
    }

    /// The same distribution as a multivariate normal one: with the Cholesky factor of its covariance.
    #[track_caller]
    pub fn normal(&self) -> MultivariateNormal<Var<'t, F>> {
        let covariance = self.covariance(self.points) + noise_matrix(self.noise, self.count());
        MultivariateNormal::new(self.means(self.count()), covariance.cholesky())
    }

    /// The distribution of values at other points (`[…, m, d]`), given these `values` at the points of the process.
    ///
    /// `noise` is the standard deviation of errors at the other points. With that of the process, these are further
    /// observations. Nearly 0, they are values of the function itself; choose it so large that the covariance stays
    /// positive definite, such as 1e-6 (1e-3 in `f32`) times the standard deviation: where it is not, the result is an
    /// error on the tape.
    #[track_caller]
    pub fn predicted(
        &self,
        values: Var<'t, F>,
        points: Var<'t, F>,
        noise: impl IntoVar<'t, F>,
    ) -> MultivariateNormal<Var<'t, F>> {
        let shape = points.shape();
        let count = shape.len().checked_sub(2).and_then(|axis| shape.get(axis)).copied().unwrap_or(0);
        let factor = self.normal().scale_tril();
        // L⁻¹ k(u, v), so that the covariance that is known is the product of its transpose with it.
        let known = factor.triangular_solve(self.covariance(points));
        let column = factor.triangular_solve((values - self.means(self.count())).unsqueeze(-1));
        let shape = column.shape();
        let residual = column.reshape(&shape[..shape.len().saturating_sub(1)]);
        let location = self.means(count) + apply(known.transpose(), residual);
        let prior = self.kernel.matrix(points, points, self.deviation, self.length);
        let noise = noise_matrix(noise.into_var(points.tape()), count);
        MultivariateNormal::new(location, (prior - known.transpose().matmul(known) + noise).cholesky())
    }

    /// The covariances of the function at the points of the process and at others.
    fn covariance(&self, others: Var<'t, F>) -> Var<'t, F> {
        self.kernel.matrix(self.points, others, self.deviation, self.length)
    }

    /// The mean at each of some points.
    fn means(&self, count: usize) -> Var<'t, F> {
        let shape: Shape = self.mean.shape().iter().copied().chain([count]).collect();
        self.mean.unsqueeze(-1).broadcast_to(shape)
    }
}

impl<'t, F: Real> Distribution<'t, F> for GaussianProcess<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "GaussianProcess"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("points", self.points),
            Parameter::smooth("mean", self.mean),
            Parameter::smooth("deviation", self.deviation),
            Parameter::smooth("length", self.length),
            Parameter::smooth("noise", self.noise)
        ]
    }

    fn event_shape(&self) -> Shape {
        let before = |var: Var<'t, F>, axes: usize| -> Shape {
            let shape = var.shape();
            shape.iter().take(shape.len().saturating_sub(axes)).copied().collect()
        };
        let parts = [
            before(self.points, 2),
            before(self.mean, 0),
            before(self.deviation, 0),
            before(self.length, 1),
            before(self.noise, 0),
        ];
        let joined = parts.iter().try_fold(Shape::scalar(), |shape, part| Shape::broadcast(&shape, part));
        joined.unwrap_or_default().iter().copied().chain([self.count()]).collect()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Vectors(self.count())
    }

    #[track_caller]
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.normal().log_prob_each(value)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.mean.unsqueeze(-1).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.deviation.square() + self.noise.square()).unsqueeze(-1).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Distribution::mean(self)
    }

    fn validate(&self) -> DistributionResult<()> {
        let name = "GaussianProcess";
        let (points, length) = (self.points.shape(), self.length.shape());
        if points.len() < 2 {
            let problem =
                format!("expected points of the shape [n, d], got {points}; numbers need a last axis of length 1");
            return Err(DistributionError::Unsupported { distribution: name, problem });
        }
        let coordinates = points[points.len() - 1];
        if length.last().is_some_and(|&count| count != 1 && count != coordinates) {
            let problem =
                format!("expected one length scale, or one for each of the {coordinates} coordinates, got {length}");
            return Err(DistributionError::Unsupported { distribution: name, problem });
        }
        finite(name, "points", self.points)?;
        finite(name, "mean", self.mean)?;
        positive(name, "deviation", self.deviation)?;
        positive(name, "length", self.length)?;
        positive(name, "noise", self.noise)?;
        let variance = self.deviation.square() + self.noise.square();
        positive(name, "deviation² + noise²", variance)?;
        // The rounding of the covariance function may take this much from the smallest eigenvalue.
        let least = (self.count() as f64 * F::EPSILON.to_f64()).sqrt();
        let expected = "at least the square root of the number of points times the rounding error";
        let hint = "the covariance may not be positive definite otherwise; use a larger noise, or f64";
        let condition = Condition::Between { low: least, high: f64::INFINITY };
        check_parameter(name, "noise / deviation", self.noise / self.deviation, expected, hint, condition)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for GaussianProcess<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for GaussianProcess<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_normal(self.points.tape(), &self.event_shape())?;
        let normal = self.normal();
        Ok(normal.location() + apply(normal.scale_tril(), noise))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for GaussianProcess<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let normal = self.normal();
        MultivariateNormal::new(normal.location().broadcast_to(self.event_shape()), normal.scale_tril()).entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for GaussianProcess<Var<'t, F>> {
    /// The divergence to a process at the same number of points.
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let normal = self.normal();
        let own = MultivariateNormal::new(normal.location().broadcast_to(self.event_shape()), normal.scale_tril());
        own.kl_to(&other.normal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{Build, assert_close, check_family, check_moments, leaves, on_samples};
    use stochgrad_tape::Tape;

    const PARAMETERS: [f64; 4] = [0.4, 1.2, 0.8, 0.3];

    const THREE: Build = |p| Box::new(process(p[0].tape(), p, &[[0.0], [0.5], [1.7]]));

    fn process<'t>(tape: &'t Tape<f64>, p: &[Var<'t, f64>], points: &[[f64; 1]]) -> GaussianProcess<Var<'t, f64>> {
        let points = Tensor::from_fn([points.len(), 1], |at| points[at][0]);
        GaussianProcess::new(Kernel::Matern52, tape.constant(points), p[0], p[1], p[2], p[3])
    }

    #[test]
    fn it_is_a_multivariate_normal_distribution() {
        let tape = Tape::<f64>::new();
        let p = leaves(&tape, &PARAMETERS);
        let distribution = process(&tape, &p, &[[0.0], [0.5], [1.7]]);
        distribution.validate().unwrap();
        let covariance = distribution.covariance(distribution.points) + tape.constant(Tensor::eye(3)) * p[3].square();
        let location = tape.constant([1.0, 1.0, 1.0]) * p[0];
        let normal = MultivariateNormal::from_covariance(location, covariance);
        let value = tape.constant([0.3, 1.0, -0.7]);
        let pairs = [
            (distribution.log_prob(value), normal.log_prob(value)),
            (distribution.entropy(), normal.entropy()),
            (distribution.variance().unwrap().sum(), normal.variance().unwrap().sum()),
        ];
        for (own, other) in pairs {
            assert_close(&[own.item().unwrap()], &[other.item().unwrap()], 1e-13);
            let slopes = [own, other].map(|var| tape.backward_all(var, &p).unwrap());
            for (own, other) in slopes[0].iter().zip(&slopes[1]) {
                assert_close(own.as_slice(), other.as_slice(), 1e-11);
            }
        }
        let other = process(&tape, &leaves(&tape, &[0.1, 0.7, 1.1, 0.5]), &[[0.0], [0.5], [1.7]]);
        let divergence = distribution.kl_to(&other).item().unwrap();
        assert_close(&[divergence], &[normal.kl_to(&other.normal()).item().unwrap()], 1e-13);
        check_family(&tape, &distribution, value);
        check_moments(THREE, &PARAMETERS, 3);
    }

    #[test]
    fn samples_have_the_covariance() {
        let tape = Tape::<f64>::new();
        let p = leaves(&tape, &PARAMETERS);
        let distribution = process(&tape, &p, &[[0.0], [0.5], [1.7]]);
        let noise = KeyedNoise::new(3, 0);
        let draw = on_samples(&tape, &noise, 100_000);
        let x = distribution.rsample(&draw).unwrap();
        let plate = draw.plates()[0];
        let deviation = x - p[0];
        let found = (deviation.unsqueeze(-1) * deviation.unsqueeze(-2)).mean_over(plate).peek().unwrap();
        let expected = distribution.normal().covariance().peek().unwrap();
        assert_close(found.as_slice(), expected.as_slice(), 0.03);
    }

    /// The prediction is what is left of the joint distribution.
    #[test]
    fn predictions_are_conditional_distributions() {
        let tape = Tape::<f64>::new();
        let p = leaves(&tape, &PARAMETERS);
        let all = process(&tape, &p, &[[0.0], [0.5], [1.7], [0.9], [3.0]]);
        let known = process(&tape, &p, &[[0.0], [0.5], [1.7]]);
        let (values, others) = (tape.constant([0.3, 1.0, -0.7]), tape.constant([0.8, 0.1]));
        let joint = all.log_prob(Var::concat(&[values, others], -1).unwrap());
        let predicted = known.predicted(values, tape.constant([[0.9], [3.0]]), p[3]);
        let [conditional, difference] = [predicted.log_prob(others), joint - known.log_prob(values)];
        assert_close(&[conditional.item().unwrap()], &[difference.item().unwrap()], 1e-12);
        let slopes = [conditional, difference].map(|var| tape.backward_all(var, &p).unwrap());
        for (own, other) in slopes[0].iter().zip(&slopes[1]) {
            assert_close(own.as_slice(), other.as_slice(), 1e-10);
        }
        // At the points themselves and with little noise, it is what was observed.
        let exact = process(&tape, &leaves(&tape, &[0.4, 1.2, 0.8, 1e-5]), &[[0.0], [0.5], [1.7]]);
        let again = exact.predicted(values, exact.points, 1e-4).mean().unwrap().peek().unwrap();
        assert_close(again.as_slice(), &[0.3, 1.0, -0.7], 1e-6);
    }

    #[test]
    fn several_processes_and_length_scales() {
        let tape = Tape::<f64>::new();
        let points = tape.constant([[0.0, 1.0], [0.5, 0.2], [1.5, -1.0]]);
        let length = tape.parameter([[0.5, 1.0], [2.0, 3.0]]);
        let deviation = tape.parameter([1.0, 2.0]);
        let both = GaussianProcess::new(Kernel::SquaredExponential, points, 0.0, deviation, length, 0.1);
        both.validate().unwrap();
        assert_eq!(both.event_shape().to_vec(), [2, 3]);
        let values = tape.constant([[0.1, 0.2, 0.3], [1.0, -1.0, 0.5]]);
        let each = both.log_prob_each(values).peek().unwrap();
        let mut entropy = 0.0;
        for row in 0..2 {
            let (deviation, length) = (deviation.index(0, row), length.index(0, row));
            let one = GaussianProcess::new(Kernel::SquaredExponential, points, 0.0, deviation, length, 0.1);
            let expected = one.log_prob(values.index(0, row)).item().unwrap();
            assert_close(&[each.as_slice()[row]], &[expected], 1e-13);
            entropy += one.entropy().item().unwrap();
        }
        assert_close(&[both.entropy().item().unwrap()], &[entropy], 1e-13);
        let flat = GaussianProcess::new(Kernel::Exponential, tape.constant([0.0, 1.0]), 0.0, 1.0, 1.0, 0.1);
        assert!(flat.validate().unwrap_err().to_string().contains("last axis"));
        let three = GaussianProcess::new(Kernel::Exponential, points, 0.0, 1.0, tape.constant([1.0, 1.0, 1.0]), 0.1);
        assert!(three.validate().unwrap_err().to_string().contains("coordinates"));
        assert!(GaussianProcess::new(Kernel::Exponential, points, 0.0, 1.0, 1.0, 0.0).validate().is_err());
    }
}
