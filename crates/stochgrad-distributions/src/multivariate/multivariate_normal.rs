//! The multivariate normal distribution: dependent real values, such as errors with correlations or Gaussian processes
//! at finitely many points.
//!
//! $$p(x; \mu, \Sigma) = (2\pi)^{-n/2} \lvert\Sigma\rvert^{-1/2} \exp\big(-\tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu)\big), \quad \Sigma = L L^\top.$$
//!
//! Parameters: `location` $\mu \in \mathbb{R}^n$, and one of the lower Cholesky factor $L$, the covariance $\Sigma$,
//! the lower Cholesky factor of the precision, and the standard deviations. The axes before the last one are
//! independent and broadcast; one element is the last axis. Support: $\mathbb{R}^n$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + L z$, any order |
//! | weak derivative with respect to $\mu$ | for each coordinate of $z$: constant $1/\sqrt{2\pi}$, $z_i$ replaced by $\pm R$, $R$ Rayleigh; by $\mu_j$ with weight $(L^{-1})_{ij}$ (Rosca et al. 2019) |
//! | weak derivative with respect to $L$ | for $L_{jk}$, $k \ne i$: the same times $z_k$; $k = i$: constant 1, $z_i$ replaced by a Maxwell sample on its side, against the distribution itself |
//!
//! The covariance may also be given by the Cholesky factor $P$ of the precision, $\Sigma^{-1} = P P^\top$, or be
//! diagonal.

use crate::continuous::normal::Normal;
use crate::error::DistributionError;
use crate::family;
use crate::prelude::*;
use std::f64::consts::PI;
use std::sync::Arc;
use stochgrad_tape::{Degree, Description, Primitive, PrimitiveInputs, Smoothness};

/// Dependent normal values as vectors, given by location and covariance. One element is the last axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, MultivariateNormal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let covariance = tape.constant([[1.0, 0.5], [0.5, 1.0]]);
/// let distribution = MultivariateNormal::from_covariance(tape.constant([0.0, 0.0]), covariance);
/// let density = distribution.log_prob(tape.constant([0.0, 0.0])).item()?;
/// assert!((density + (2.0 * std::f64::consts::PI).ln() + 0.5 * 0.75_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MultivariateNormal<V = stochgrad_tape::Id> {
    location: V,
    spread: Spread<V>,
}

#[derive(Clone, Copy, Debug)]
enum Spread<V> {
    /// The lower Cholesky factor of the covariance.
    ScaleTril(V),
    /// The lower Cholesky factor of the precision.
    PrecisionTril(V),
    /// The standard deviations of independent coordinates.
    Diagonal(V),
}

impl<V> MultivariateNormal<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<MultivariateNormal<W>, E> {
        let location = f(&self.location)?;
        let spread = match &self.spread {
            Spread::ScaleTril(v) => Spread::ScaleTril(f(v)?),
            Spread::PrecisionTril(v) => Spread::PrecisionTril(f(v)?),
            Spread::Diagonal(v) => Spread::Diagonal(f(v)?),
        };
        Ok(MultivariateNormal { location, spread })
    }
}

family!(MultivariateNormal);

/// The same matrices; one that is not symmetric is an error.
struct Symmetric;

impl<F: Real> Primitive<F> for Symmetric {
    fn name(&self) -> &str {
        "symmetric matrix"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [matrices] = inputs.values else {
            return Err(format!("expected one value, got {}", inputs.values.len()));
        };
        let n = matrices.shape().last().copied().unwrap_or(0);
        for matrix in matrices.as_slice().chunks_exact((n * n).max(1)) {
            let entry = |row: usize, column: usize| matrix[row * n + column].to_f64();
            for row in 0..n {
                for column in 0..row {
                    let (below, above) = (entry(row, column), entry(column, row));
                    let scale = (entry(row, row) * entry(column, column)).abs().sqrt();
                    if (below - above).abs() > F::EPSILON.to_f64().sqrt() * scale {
                        return Err(format!(
                            "expected a symmetric covariance, got {below} in row {row} and column {column}, and \
                             {above} on the other side of the diagonal; use (Σ + Σᵀ)/2"
                        ));
                    }
                }
            }
        }
        Ok(matrices.clone())
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[matrices] = inputs else { return None };
        let diagonal = matrices.diagonal();
        let scale = (diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)).abs().sqrt();
        let message =
            "expected a symmetric covariance, got different values on both sides of the diagonal; use (Σ + Σᵀ)/2";
        let wrong = (matrices - matrices.transpose()).abs().gt(scale * F::EPSILON.to_f64().sqrt());
        Some(Description::of(matrices).refusing(wrong, message))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint)]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Smooth
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
    }
}

/// The product of matrices with the vectors in the last axis.
pub(crate) fn apply<'t, F: Real>(matrix: Var<'t, F>, vector: Var<'t, F>) -> Var<'t, F> {
    let product = matrix.matmul(vector.unsqueeze(-1));
    let shape = product.shape();
    product.reshape(&shape[..shape.len().saturating_sub(1)])
}

/// The solution of triangular systems with the vectors in the last axis.
pub(crate) fn solve<'t, F: Real>(triangle: Var<'t, F>, vector: Var<'t, F>, transpose: bool) -> Var<'t, F> {
    let column = vector.unsqueeze(-1);
    let solution =
        if transpose { triangle.transposed_triangular_solve(column) } else { triangle.triangular_solve(column) };
    let shape = solution.shape();
    solution.reshape(&shape[..shape.len().saturating_sub(1)])
}

/// Σ (r² − 1 − ln r²) over the diagonal of lower triangular matrices plus the squares below it, without cancellation
/// near the identity.
pub(crate) fn spread_divergence<F: Real>(triangle: Var<'_, F>) -> Var<'_, F> {
    let variances = triangle.diagonal().square();
    let along = special::deviance(variances.tape().constant(1.0), variances).sum_axis(-1);
    along + below_diagonal(triangle).square().sum_last(2)
}

/// The matrices with zeros in place of the diagonal and of what is above it.
pub(crate) fn below_diagonal<F: Real>(matrix: Var<'_, F>) -> Var<'_, F> {
    let n = matrix.shape().last().copied().unwrap_or(0);
    let strict = Tensor::from_fn([n, n], |cell| if cell % n < cell / n { F::ONE } else { F::ZERO });
    matrix * matrix.tape().constant(strict)
}

/// Checks that matrices are lower triangular with a positive diagonal.
pub(crate) fn check_triangle<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
) -> DistributionResult<()> {
    let shape = var.shape();
    if shape.len() < 2 || shape[shape.len() - 1] != shape[shape.len() - 2] {
        let problem = format!("expected square matrices in the last two axes of {parameter}, got shape {shape}");
        return Err(DistributionError::Unsupported { distribution, problem });
    }
    finite(distribution, parameter, var)?;
    let hint = "use lower_triangle() of the factor, and cholesky() of a covariance";
    let expected = "lower triangular with a positive diagonal";
    check_parameter(distribution, parameter, var, expected, hint, Condition::LowerTriangle)
}

/// Checks that vectors whose rows have these factors, and are some times as long, are in the range of floating-point
/// numbers.
fn check_rows<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    triangle: Var<'_, F>,
) -> DistributionResult<()> {
    let expected = "such that the vectors are in the range of floating-point numbers";
    let condition = Condition::Between { low: 0.0, high: F::MAX.to_f64() * 1e-4 };
    let lengths = triangle.abs().sum_axis(-1);
    check_parameter(distribution, parameter, lengths, expected, "rescale the vectors, or use f64", condition)
}

/// Checks that the diagonal of a lower triangular matrix is not lost beside the rest of its rows when its product with
/// its transpose is rounded: the product has no inverse otherwise.
pub(crate) fn check_regular<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    triangle: Var<'_, F>,
) -> DistributionResult<()> {
    let rest = below_diagonal(triangle).abs().sum_axis(-1);
    let excess = triangle.diagonal() - rest * F::EPSILON.to_f64();
    let expected = "with a diagonal that is not lost beside the rest of its rows in rounding";
    let condition = Condition::Between { low: 0.0, high: F::MAX.to_f64() };
    check_parameter(distribution, parameter, excess, expected, "scale the rows, or use f64", condition)
}

impl<'t, F: Real> MultivariateNormal<Var<'t, F>> {
    /// Vectors around `location` whose covariance has the lower Cholesky factor `scale_tril`.
    pub fn new(location: Var<'t, F>, scale_tril: Var<'t, F>) -> Self {
        MultivariateNormal { location, spread: Spread::ScaleTril(scale_tril) }
    }

    /// Vectors around `location` with this covariance. A covariance that is not positive definite is an error on the
    /// tape, and so is one that is not symmetric: two entries may differ by the square root of the rounding error (1.5e-8
    /// in `f64`, 3.5e-4 in `f32`) times the standard deviations of their row and column.
    #[track_caller]
    pub fn from_covariance(location: Var<'t, F>, covariance: Var<'t, F>) -> Self {
        let symmetric = covariance.tape().custom(Arc::new(Symmetric), &[covariance]);
        Self::new(location, symmetric.cholesky())
    }

    /// Vectors around `location` whose precision, the inverse of the covariance, has the lower Cholesky factor
    /// `precision_tril`.
    pub fn from_precision_tril(location: Var<'t, F>, precision_tril: Var<'t, F>) -> Self {
        MultivariateNormal { location, spread: Spread::PrecisionTril(precision_tril) }
    }

    /// Vectors of independent coordinates with these standard deviations.
    pub fn from_diagonal(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        MultivariateNormal { location, spread: Spread::Diagonal(scale.into_var(location.tape())) }
    }

    /// The location.
    pub fn location(&self) -> Var<'t, F> {
        self.location
    }

    /// The lower Cholesky factor of the covariance.
    pub fn scale_tril(&self) -> Var<'t, F> {
        match self.spread {
            Spread::ScaleTril(l) => l,
            Spread::Diagonal(scale) => scale.broadcast_to(self.event_shape()).to_diagonal(),
            Spread::PrecisionTril(_) => self.covariance().cholesky(),
        }
    }

    /// The covariance.
    pub fn covariance(&self) -> Var<'t, F> {
        match self.spread {
            Spread::ScaleTril(l) => l.matmul(l.transpose()),
            Spread::Diagonal(scale) => scale.square().broadcast_to(self.event_shape()).to_diagonal(),
            Spread::PrecisionTril(p) => {
                let inverse = p.triangular_solve(p.tape().constant(Tensor::eye(self.dimension())));
                inverse.transpose().matmul(inverse)
            }
        }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.event_shape().last().copied().unwrap_or(0)
    }

    /// The independent standard samples of which a value is made.
    fn whiten(&self, value: Var<'t, F>) -> Var<'t, F> {
        let deviation = value - self.location;
        match self.spread {
            Spread::ScaleTril(l) => solve(l, deviation, false),
            Spread::PrecisionTril(p) => apply(p.transpose(), deviation),
            Spread::Diagonal(scale) => deviation / scale,
        }
    }

    /// The logarithm of the determinant of the factor of the covariance.
    fn half_log_determinant(&self) -> Var<'t, F> {
        match self.spread {
            Spread::ScaleTril(l) => l.diagonal().ln().sum_axis(-1),
            Spread::PrecisionTril(p) => -p.diagonal().ln().sum_axis(-1),
            Spread::Diagonal(scale) => scale.broadcast_to(self.event_shape()).ln().sum_axis(-1),
        }
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }
}

impl<'t, F: Real> Distribution<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "MultivariateNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let (name, var) = match self.spread {
            Spread::ScaleTril(v) => ("scale_tril", v),
            Spread::PrecisionTril(v) => ("precision_tril", v),
            Spread::Diagonal(v) => ("scale", v),
        };
        smallvec![Parameter::smooth("location", self.location), Parameter::smooth(name, var)]
    }

    fn event_shape(&self) -> Shape {
        let rows = |matrix: Var<'t, F>| -> Shape {
            let shape = matrix.shape();
            shape.iter().take(shape.len().saturating_sub(1)).copied().collect()
        };
        let other = match self.spread {
            Spread::ScaleTril(l) | Spread::PrecisionTril(l) => rows(l),
            Spread::Diagonal(scale) => scale.shape(),
        };
        Shape::broadcast(&self.location.shape(), &other).unwrap_or_default()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Vectors(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = self.whiten(value);
        let constant = 0.5 * (2.0 * PI).ln() * self.dimension() as f64;
        z.square().sum_axis(-1) * -0.5 - self.half_log_determinant() - constant
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(match self.spread {
            Spread::Diagonal(scale) => scale.square().broadcast_to(self.event_shape()),
            _ => self.covariance().diagonal().broadcast_to(self.event_shape()),
        })
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("MultivariateNormal", "location", self.location)?;
        match self.spread {
            Spread::ScaleTril(l) => {
                check_triangle("MultivariateNormal", "scale_tril", l)?;
                check_rows("MultivariateNormal", "scale_tril", l)
            }
            Spread::PrecisionTril(p) => check_triangle("MultivariateNormal", "precision_tril", p),
            Spread::Diagonal(scale) => positive("MultivariateNormal", "scale", scale),
        }
    }

    capabilities!();
}

impl<'t, F: Real> ConditionalCumulative<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn conditionals(&self, value: Var<'t, F>) -> Conditionals<'t, F> {
        let residual = value - self.location;
        let (standard, scale) = match self.spread {
            Spread::Diagonal(scale) => (residual / scale, scale),
            Spread::ScaleTril(_) | Spread::PrecisionTril(_) => {
                let triangle = self.scale_tril();
                (solve(triangle, residual, false), triangle.diagonal())
            }
        };
        let normal = Normal::new(value.tape().constant(0.0), 1.0);
        Conditionals {
            log_prob: normal.log_prob_each(standard) - scale.ln(),
            log_cdf: normal.log_cdf(standard),
            log_survival: normal.log_survival(standard),
        }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for MultivariateNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let z = draw.record_normal(self.location.tape(), &self.event_shape())?;
        Ok(self.location
            + match self.spread {
                Spread::ScaleTril(l) => apply(l, z),
                Spread::PrecisionTril(p) => solve(p, z, true),
                Spread::Diagonal(scale) => scale * z,
            })
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let by_factor = match (parameter, self.spread) {
            (0, _) => false,
            (1, Spread::ScaleTril(_)) => true,
            _ => return Ok(None),
        };
        let (tape, event, n) = (self.location.tape(), self.event_shape(), self.dimension());
        let matrix: Shape = event.iter().copied().chain([n]).collect();
        let factor = self.scale_tril();
        let inverse = factor.triangular_solve(tape.constant(Tensor::eye(n)));
        let [factor, inverse] = [factor, inverse].map(|table| table.stop_gradient().broadcast_to(matrix.clone()));
        let x = sample.stop_gradient();
        let z = self.whiten(x).stop_gradient().broadcast_to(event.clone());
        let rayleigh = draw.purpose("rayleigh").record_exponential(tape, &event)?;
        let maxwell = draw.purpose("maxwell").record_exponential(tape, &event)?;
        let radius = (rayleigh + rayleigh).sqrt();
        let outward = z.sign() * (z.square() + (maxwell + maxwell)).sqrt();
        let constant = 1.0 / (2.0 * PI).sqrt();
        let mut alternatives = Alternatives { values: Vec::new(), weights: Vec::new() };
        for i in 0..n {
            let own = |values: Var<'t, F>| values.slice(-1, i..i + 1);
            // The sample with coordinate i of z replaced.
            let column = factor.index(-1, i);
            let moved = |to: Var<'t, F>| x + column * (to - own(z));
            // With respect to coordinate j of the location, or to the entry in row j and column k of the factor.
            let slope = inverse.index(-2, i);
            let entries = |chosen: &dyn Fn(usize, usize) -> bool| {
                let mask = |at: usize| F::from_usize(usize::from(at % n <= at / n && chosen(at / n, at % n)));
                slope.unsqueeze(-1) * tape.constant(Tensor::from_fn([n, n], mask))
            };
            for (sign, to) in [(constant, own(radius)), (-constant, -own(radius))] {
                alternatives.values.push(moved(to));
                let weight = if by_factor { entries(&|_, k| k != i) * z.unsqueeze(-2) } else { slope };
                alternatives.weights.push(weight * sign);
            }
            if by_factor {
                alternatives.values.push(moved(own(outward)));
                alternatives.weights.push(entries(&|_, k| k == i));
            }
        }
        Ok(Some(alternatives))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let constant = 0.5 * (1.0 + (2.0 * PI).ln()) * self.dimension() as f64;
        (self.half_log_determinant() + constant).broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for MultivariateNormal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (own, others) = (self.scale_tril(), other.scale_tril());
        let spread = spread_divergence(others.triangular_solve(own));
        let shift = other.whiten(self.location).square().sum_axis(-1);
        ((spread + shift) * 0.5).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests;
