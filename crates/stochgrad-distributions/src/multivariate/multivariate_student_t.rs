//! The multivariate t distribution: dependent real values with tails that fall as a power. It models vectors with
//! outliers, and is the distribution of a vector of means in units of their estimated errors.
//!
//! $$p(x; \nu, \mu, L) = \frac{\Gamma(\frac{\nu + n}{2})}{\Gamma(\frac{\nu}{2}) (\nu\pi)^{n/2} \lvert L\rvert} \Big(1 + \frac{\lVert z\rVert^2}{\nu}\Big)^{-(\nu + n)/2}, \quad z = L^{-1}(x - \mu), \quad \nu > 0.$$
//!
//! Parameters: `degrees_of_freedom` $\nu > 0$, `location` $\mu \in \mathbb{R}^n$, and `scale_tril` $L$, the lower Cholesky
//! factor of the scale $L L^\top$, which is $(\nu - 2)/\nu$ times the covariance. The axes of the degrees of freedom, and
//! those of the others before the element, are independent and broadcast; one element is the last axis. Support:
//! $\mathbb{R}^n$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + \sqrt{\nu/2G}\, L\varepsilon$ with a gamma variate $G$ of concentration $\nu/2$; any order in $\mu$ and $L$, order 2 in $\nu$ through the implicit derivatives of $G$ |
//! | weak derivative with respect to $\mu$ | for each coordinate of $z$, which given the others is of the t distribution with $\nu + n - 1$ degrees of freedom: the rule for locations, with weight $(L^{-1})_{ij}$ |
//! | weak derivative with respect to $L$ | for $L_{jk}$, $k \ne i$: the same times $z_k$; $k = i$: constant 1, $z_i$ moved outwards until the density has fallen by $e^{-E}$ |
//!
//! Source: Kotz and Nadarajah, "Multivariate t distributions and their applications", 2004.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{held_logarithm, largest_logarithm};
use crate::distribution::confine_finite;
use crate::multivariate::multivariate_normal::{apply, check_triangle, solve};
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Dependent real values with tails that fall as a power, given by degrees of freedom, location and the lower
    /// Cholesky factor of the scale. One element is the last axis. Use it for vectors with outliers.
    ///
    /// Samples are limited to the range of floating-point numbers, as those of the [`StudentT`](crate::StudentT).
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, MultivariateStudentT};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let factor = tape.constant([[1.0, 0.0], [0.5, 1.0]]);
    /// let distribution = MultivariateStudentT::new(tape.constant(4.0), tape.constant([0.0, 1.0]), factor);
    /// assert_eq!(distribution.variance().unwrap().peek()?.as_slice(), &[2.0, 2.5]);
    /// // At the location, with two coordinates, the density is 1 / (2π |L|).
    /// let density = distribution.log_prob(tape.constant([0.0, 1.0])).item()?;
    /// assert!((density + (2.0 * std::f64::consts::PI).ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct MultivariateStudentT {
        /// The degrees of freedom.
        degrees_of_freedom,
        /// The location.
        location,
        /// The lower Cholesky factor of the scale.
        scale_tril,
    }
}

impl<'t, F: Real> MultivariateStudentT<Var<'t, F>> {
    /// Vectors around `location`, with `degrees_of_freedom > 0` and a scale with the lower Cholesky factor
    /// `scale_tril`.
    pub fn new(degrees_of_freedom: Var<'t, F>, location: Var<'t, F>, scale_tril: Var<'t, F>) -> Self {
        MultivariateStudentT { degrees_of_freedom, location, scale_tril }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.event_shape().last().copied().unwrap_or(0)
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }

    /// The logarithm of the density at the location. The gamma functions are those of one-dimensional distributions
    /// with more and more degrees of freedom, so that no large terms cancel.
    fn log_height(&self) -> Var<'t, F> {
        let nu = self.degrees_of_freedom.unsqueeze(-1);
        let steps = nu.tape().constant_from_fn([self.dimension()], F::from_usize);
        let ratio = (steps / nu).map(Map::MinScalar(F::MAX.to_f64()));
        let each = special::student_t_log_height(nu + steps) + ratio.log1p() * 0.5;
        each.sum_axis(-1) - self.half_log_determinant()
    }

    /// ln |L|
    fn half_log_determinant(&self) -> Var<'t, F> {
        self.scale_tril.diagonal().ln().sum_axis(-1)
    }

    /// A value for each coordinate where the degrees of freedom are above `least`, and `otherwise` elsewhere.
    fn where_above(&self, least: f64, otherwise: f64, value: Var<'t, F>) -> Var<'t, F> {
        let exists = (self.degrees_of_freedom - least).step().unsqueeze(-1);
        exists.select(value, exists.tape().constant(otherwise)).broadcast_to(self.event_shape())
    }
}

/// ln(1 + |z|²) for vectors along the last axis, with derivatives of every order, also at 0, and without overflow.
fn log1p_square_norm<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    let unit = z.held().abs().max_axis(-1).map(Map::MaxScalar(1.0));
    let square = (z / unit.unsqueeze(-1)).square().sum_axis(-1);
    (square + (unit.recip().square() - 1.0)).log1p() + unit.ln() * 2.0
}

impl<'t, F: Real> Distribution<'t, F> for MultivariateStudentT<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "MultivariateStudentT"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("degrees_of_freedom", self.degrees_of_freedom)
                .with_path(SamplePath::Implicit(Order::Finite(2))),
            Parameter::smooth("location", self.location),
            Parameter::smooth("scale_tril", self.scale_tril)
        ]
    }

    fn event_shape(&self) -> Shape {
        let factor = self.scale_tril.shape();
        let rows: Shape = factor.iter().take(factor.len().saturating_sub(1)).copied().collect();
        let own: Shape = self.degrees_of_freedom.shape().iter().copied().chain([1]).collect();
        let both = Shape::broadcast(&self.location.shape(), &rows).unwrap_or_default();
        Shape::broadcast(&both, &own).unwrap_or_default()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Vectors(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (nu, n) = (self.degrees_of_freedom, self.dimension() as f64);
        let density = confine_finite(value, 1, |value| {
            // What overflows in units of the width is beyond the range as well.
            let z = solve(self.scale_tril, value - self.location, false) / nu.sqrt().unsqueeze(-1);
            confine_finite(z, 1, |z| self.log_height() - log1p_square_norm(z) * ((nu + n) * 0.5))
        });
        let largest = largest_stretch::<F>(self.dimension());
        // The coordinates of a draw have lost the same factor.
        match lost_by_own_draw(value, |stretch| stretch - stretch.clamp(-largest, largest)) {
            Some(lost) => density - (nu + n) * lost.min_axis(-1),
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // None up to one degree of freedom.
        Some(self.where_above(1.0, f64::NAN, self.location))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // None up to one degree of freedom, infinite up to two.
        let nu = self.degrees_of_freedom;
        let (tape, finite) = (nu.tape(), (nu - 2.0).step());
        let safe = finite.select(nu, tape.constant(3.0));
        let factor = ((safe - 2.0).recip() * 2.0 + 1.0).unsqueeze(-1);
        let squares = self.scale_tril.square().sum_axis(-1);
        let infinite = tape.constant(f64::INFINITY);
        Some(self.where_above(1.0, f64::NAN, finite.unsqueeze(-1).select(squares * factor, infinite)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        positive("MultivariateStudentT", "degrees_of_freedom", self.degrees_of_freedom)?;
        finite("MultivariateStudentT", "location", self.location)?;
        check_triangle("MultivariateStudentT", "scale_tril", self.scale_tril)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for MultivariateStudentT<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for MultivariateStudentT<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (event, independent) = (self.event_shape(), self.independent());
        let half = (self.degrees_of_freedom * 0.5).map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()));
        let noise = draw.purpose("normal").record_normal(half.tape(), &event)?;
        let half = half.broadcast_to(independent.clone());
        let logs = log_standard_gammas(half, &draw.purpose("gamma"), &independent, true)?;
        // Of the factor of the noise, what is above 1 goes into the logarithm, so that neither overflows before their
        // product does.
        let size = self.scale_tril.held().abs().max_axis(-1).max_axis(-1);
        let factor = half.sqrt() * size;
        let above = (size.ln() + half.ln() * 0.5).relu();
        let (largest, stretch) = (largest_stretch::<F>(self.dimension()), (above - logs * 0.5).unsqueeze(-1));
        let held = held_logarithm("MultivariateStudentT", stretch, [-largest, largest]).exp();
        let direction = apply(self.scale_tril / size.unsqueeze(-1).unsqueeze(-1), noise);
        let one = half.tape().constant(1.0);
        let step = direction * factor.minimum(one).unsqueeze(-1) * held;
        Ok(marked(self.location + step, stretch.broadcast_to(event)))
    }
}

/// The largest logarithm of the factor of normal samples whose weights are at most 1: a sum of `n` is at most n e³.
fn largest_stretch<F: Real>(n: usize) -> f64 {
    largest_logarithm::<F>() - 4.0 - (n.max(1) as f64).ln()
}

impl<'t, F: Real> WeakDerivative<'t, F> for MultivariateStudentT<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let by_factor = match parameter {
            0 => return Ok(None),
            1 => false,
            _ => true,
        };
        let (tape, event, n) = (sample.tape(), self.event_shape(), self.dimension());
        let matrix: Shape = event.iter().copied().chain([n]).collect();
        let [nu, location, factor] =
            [self.degrees_of_freedom.unsqueeze(-1), self.location, self.scale_tril].map(Var::stop_gradient);
        let inverse = factor.triangular_solve(tape.constant(Tensor::eye(n)));
        let [factor, inverse] = [factor, inverse].map(|table| table.broadcast_to(matrix.clone()));
        let x = sample.stop_gradient();
        let z = solve(self.scale_tril, x - location, false).stop_gradient().broadcast_to(event.clone());
        // Given the others, a coordinate is of the t distribution with these degrees of freedom and this scale.
        let own_degrees = nu + (n as f64 - 1.0);
        let rest = nu + z.square().sum_axis(-1).unsqueeze(-1) - z.square();
        let height = special::student_t_log_height(own_degrees).exp() / (rest / own_degrees).sqrt();
        // ln(1 + z²/rest) where the logarithm of the density is E lower.
        let drop = |e: Var<'t, F>| e * 2.0 / (own_degrees + 1.0);
        let level = draw.purpose("level").record_exponential(tape, &event)?;
        let radius = (rest * drop(level).expm1()).sqrt();
        let farther = drop(draw.purpose("outward").record_exponential(tape, &event)?);
        let outward = z.sign() * (rest * farther.expm1() + z.square() * farther.exp()).sqrt();
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
            let constant = own(height);
            for (sign, to) in [(constant, own(radius)), (-constant, -own(radius))] {
                alternatives.values.push(moved(to));
                let weight = match by_factor {
                    true => entries(&|_, k| k != i) * z.unsqueeze(-2) * sign.unsqueeze(-1),
                    false => slope * sign,
                };
                alternatives.weights.push(weight);
            }
            if by_factor {
                alternatives.values.push(moved(own(outward)));
                alternatives.weights.push(entries(&|_, k| k == i));
            }
        }
        Ok(Some(alternatives))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for MultivariateStudentT<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let (nu, n) = (self.degrees_of_freedom, self.dimension() as f64);
        let d = special::digamma_minus_log;
        // ψ((ν + n)/2) − ψ(ν/2)
        let digammas = d((nu + n) * 0.5) - d(nu * 0.5) + (nu.recip() * n).log1p();
        ((nu + n) * 0.5 * digammas - self.log_height()).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests;
