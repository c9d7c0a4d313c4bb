//! The projected normal distribution: the direction of a normal vector. It models directions of any spread, from uniform
//! to a point, and is the simplest one to sample.
//!
//! $$p(x; \mu) = (2\pi)^{-n/2} \int_0^\infty r^{n-1} e^{-\lVert r x - \mu\rVert^2/2}\, dr, \quad \lVert x\rVert = 1,$$
//!
//! with respect to the area of the sphere: $x = z/\lVert z\rVert$ of a normal vector $z$ around $\mu$ with independent
//! coordinates of variance 1.
//!
//! Parameter: `location` $\mu$, a vector with $n \ge 2$ coordinates along the last axis. Its length is the concentration:
//! at 0 the distribution is uniform. The axes before are independent. One element is the last axis. Support: vectors of
//! length 1. Values are divided by their length; where it is more than 0.001 away from 1, the log-density is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in any dimension; the integral over the length has 121 nodes |
//! | reparameterised | $x = (\mu + \varepsilon)/\lVert\mu + \varepsilon\rVert$, any order |
//!
//! The moments and the entropy have no closed form, and no weak derivative with a simple sampler is known.
//!
//! Source: Mardia and Jupp, "Directional statistics", 2000, section 3.5.6.

use crate::multivariate::sphere::{on_sphere, unit};
use crate::prelude::*;
use std::f64::consts::PI;
use stochgrad_tensor::map::Map;

/// The number of nodes on each side of the mode.
const SIDE: usize = 60;

distribution! {
    /// Directions of normal vectors, given by the location. One element is the last axis.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, ProjectedNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let uniform = ProjectedNormal::new(tape.constant([0.0, 0.0, 0.0]));
    /// let density = uniform.log_prob(tape.constant([0.6, 0.0, 0.8])).item()?;
    /// assert!((density + (4.0 * std::f64::consts::PI).ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct ProjectedNormal {
        /// The location of the normal vector.
        location,
    }
}

impl<'t, F: Real> ProjectedNormal<Var<'t, F>> {
    /// The directions of normal vectors around `location`, whose coordinates have variance 1.
    pub fn new(location: Var<'t, F>) -> Self {
        ProjectedNormal { location }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.location.shape().last().copied().unwrap_or(0)
    }
}

/// The logarithm of the integral of r^(n − 1) e^(−(r − t)²/2) over r > 0.
///
/// With the mode m of the integrand in ln r, and r = m e^v, it is n ln m − (n/m)²/2 plus the logarithm of the integral of
///
/// exp(−n (e^v − 1 − v) − m² (e^v − 1)²/2),
///
/// which has its maximum 1 at v = 0 for every t. The trapezoidal rule in u, with v in proportion to sinh u, has an error
/// of the order of rounding.
fn log_radial_integral<'t, F: Real>(t: Var<'t, F>, dimension: usize) -> Var<'t, F> {
    let (tape, n) = (t.tape(), dimension as f64);
    // Without the cancellation of the root with a negative t.
    let root = (t.square() + 4.0 * n).sqrt();
    let positive = t.held().step();
    let mode = positive.select((root + t) * 0.5, (root - t).recip() * (2.0 * n));
    let width = (mode.held().square() + n).sqrt().recip();
    // Where the integrand has fallen by e⁻⁴⁰ below the mode: as a normal density, or else as r^n.
    let normal = width * 14.2;
    let reach = normal.le(tape.constant(1.0)).select(normal, tape.constant(40.0 / n + 1.0));
    let unit = width * 1.5;
    let ratio = reach / unit;
    let step = (ratio + (ratio.square() + 1.0).sqrt()).ln() * (1.0 / SIDE as f64);
    let place = tape.constant_from_fn([2 * SIDE + 1], |at| F::from_f64(at as f64 - SIDE as f64));
    let u = step.unsqueeze(-1) * place;
    let (up, down) = (u.exp(), (-u).exp());
    let unit = unit.unsqueeze(-1);
    // Far above the mode nothing is left.
    let v = ((up - down) * 0.5 * unit).map(Map::MinScalar(5.0));
    let weight = (up + down) * 0.5 * unit * step.unsqueeze(-1);
    let growth = v.expm1();
    let drop = (growth - v) * n + (mode.unsqueeze(-1) * growth).square() * 0.5;
    let integral = ((-drop).exp() * weight).sum_axis(-1);
    mode.ln() * n - (mode.recip() * n).square() * 0.5 + integral.ln()
}

impl<'t, F: Real> Distribution<'t, F> for ProjectedNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "ProjectedNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("location", self.location)]
    }

    fn event_shape(&self) -> Shape {
        self.location.shape()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Sphere(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let n = self.dimension();
        on_sphere(value, |x| {
            let along = (self.location * x).sum_axis(-1);
            // What of the location is across the value keeps its digits where both are nearly parallel.
            let across = (self.location - x * along.unsqueeze(-1)).square().sum_axis(-1);
            log_radial_integral(along, n) - across * 0.5 - 0.5 * n as f64 * (2.0 * PI).ln()
        })
    }

    drawn_by_path!();

    fn validate(&self) -> DistributionResult<()> {
        let shape = self.location.shape();
        if self.dimension() < 2 {
            let problem =
                format!("expected at least two coordinates along the last axis of location, got shape {shape}");
            return Err(crate::DistributionError::Unsupported { distribution: "ProjectedNormal", problem });
        }
        // The squares of the distances must be finite.
        let most = F::MAX.to_f64().sqrt() * 1e-3;
        let condition = Condition::Between { low: -most, high: most };
        let hint = "use Delta for a direction that is certain";
        let expected = "coordinates whose squares are finite numbers";
        check_parameter("ProjectedNormal", "location", self.location, expected, hint, condition)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for ProjectedNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for ProjectedNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(unit(self.location + draw.record_normal(self.location.tape(), &self.event_shape())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, assert_close, assert_finite, check_estimators, check_family, check_moments, vector};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::special::normal_cdf;

    const BUILD: Build = |p| Box::new(ProjectedNormal::new(vector(p)));

    /// e^(−|μ|²/2) times a polynomial and Φ(t)/φ(t), for two and for three coordinates.
    fn elementary(location: &[f64], x: &[f64]) -> f64 {
        let t: f64 = location.iter().zip(x).map(|(a, b)| a * b).sum();
        let square: f64 = location.iter().map(|a| a * a).sum();
        let height = (2.0 * PI).sqrt() * (0.5 * t * t).exp() * normal_cdf(t);
        let integral = if x.len() == 2 { 1.0 + t * height } else { t + (1.0 + t * t) * height };
        integral.ln() - 0.5 * square - 0.5 * x.len() as f64 * (2.0 * PI).ln()
    }

    #[test]
    fn densities_of_two_and_three_coordinates() {
        let tape = Tape::<f64>::new();
        for scale in [0.0, 0.3, 1.0, 4.0] {
            for (location, x) in
                [(vec![scale, -scale], vec![0.6, 0.8]), (vec![0.2, scale, -scale], vec![0.48, 0.6, -0.64])]
            {
                let found =
                    ProjectedNormal::new(tape.constant(location.as_slice())).log_prob(tape.constant(x.as_slice()));
                assert_close(&[found.item().unwrap()], &[elementary(&location, &x)], 1e-11);
            }
        }
    }

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        (x.index(-1, 0) * 1.5 + x.index(-1, 1)).exp() - (x.index(-1, 1) * 3.0).sin()
    }

    /// The density integrates to 1 over the circle, and its expectations are those of draws and paths.
    #[test]
    fn draws_and_derivatives_follow_the_density() {
        let tape = Tape::<f64>::new();
        let count = 400;
        for location in [[0.3, -1.0], [6.0, 8.0], [0.0, 1e-8]] {
            let angle = |at: usize| 2.0 * PI * at as f64 / f64::from(count);
            let points = Tensor::from_fn([count as usize, 2], |at| {
                if at % 2 == 0 { angle(at / 2).cos() } else { angle(at / 2).sin() }
            });
            let density = ProjectedNormal::new(tape.constant(location)).log_prob_each(tape.constant(points)).exp();
            assert_close(&[density.sum().item().unwrap() * 2.0 * PI / f64::from(count)], &[1.0], 1e-11);
        }
        for (parameters, seed) in
            [(&[0.3, -1.0][..], 291), (&[-2.0, 0.1, 0.5], 292), (&[0.0, 0.5, 0.5, 1.0, -1.0], 293)]
        {
            check_moments(BUILD, parameters, seed);
            check_estimators(BUILD, parameters, &[], cost, None, seed + 10);
        }
    }

    /// t, the dimension, and the integral from mpmath at 30 digits.
    const INTEGRALS: [(f64, usize, f64); 8] = [
        (-30.0, 2, -456.8057152273933),
        (-3.0, 3, -7.5812250855792715),
        (0.0, 2, 0.0),
        (0.5, 5, 2.324782784371397),
        (4.0, 40, 74.04414332463888),
        (60.0, 3, 9.107905396853548),
        (1000000.0, 5, 56.18098076506777),
        (-0.3, 1000, 2941.4892906799223),
    ];

    #[test]
    fn integrals_of_any_location_and_dimension() {
        for (t, n, expected) in INTEGRALS {
            let tape = Tape::<f64>::new();
            let found = log_radial_integral(tape.constant(t), n).item().unwrap();
            assert!(
                (found - expected).abs() < 1e-13 * expected.abs().max(1.0),
                "{t}, {n}: {found}, expected {expected}"
            );
        }
        for location in [[0.0, 0.0, 0.0], [1e6, -1e6, 3.0], [1e-300, 0.0, 0.0]] {
            assert_finite(BUILD, &location, 5);
        }
    }

    #[test]
    fn values_off_the_sphere_and_invalid_parameters() {
        let tape = Tape::<f64>::new();
        let location = tape.parameter([0.0, 0.5, 1.0]);
        let distribution = ProjectedNormal::new(location);
        for x in [[0.0, 0.0, 1.1], [f64::NEG_INFINITY, 0.0, 0.0], [0.0, 0.0, 0.0]] {
            let value = tape.parameter(x);
            let log = distribution.log_prob(value);
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{x:?}");
            for gradient in tape.backward(log, [location, value]).unwrap() {
                assert!(gradient.as_slice().iter().all(|&g| g == 0.0), "{x:?}: {gradient:?}");
            }
        }
        check_family(&tape, &distribution, tape.constant([0.6, 0.0, 0.8]));
        assert!(ProjectedNormal::new(tape.constant([1.0])).validate().is_err());
        assert!(ProjectedNormal::new(tape.constant([f64::NAN, 1.0])).validate().is_err());
        assert!(ProjectedNormal::new(tape.constant([1e200, 1.0])).validate().is_err());
    }
}
