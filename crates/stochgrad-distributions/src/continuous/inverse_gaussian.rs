//! The inverse Gaussian distribution: the time at which a Brownian motion with drift first reaches a level. It models
//! response times and other positive, skewed data.
//!
//! $$p(x; \mu, \lambda) = \sqrt{\frac{\lambda}{2\pi x^3}} \exp\Big(-\frac{\lambda(x - \mu)^2}{2\mu^2 x}\Big), \quad x > 0, \quad \mu, \lambda > 0.$$
//!
//! Parameters: `location` $\mu > 0$, the mean, and `concentration` $\lambda > 0$, the shape. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | entropy | $\tfrac12(1 + \ln 2\pi\mu^3/\lambda) - \tfrac32 e^{2\lambda/\mu} E_1(2\lambda/\mu)$ with the exponential integral $E_1$; any order |
//! | reparameterised | implicit, order 1: with $w = \sqrt{\lambda/x}(x/\mu + 1)$ and Mills' ratio $M(w) = (1 - \Phi(w))/\varphi(w)$, $\partial_\mu x = 2\sqrt{\lambda x^3} M(w)/\mu^2$ and $\partial_\lambda x = x/\lambda - 2\sqrt{x^3/\lambda}\,M(w)/\mu$ |
//!
//! No weak derivative with a simple sampler is known.
//!
//! Source: Michael, Schucany and Haas, "Generating random variates using transformations with multiple roots", 1976
//! (sampler).

use crate::distribution::above;
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};
use stochgrad_tensor::map::Map;

distribution! {
    /// First passage times of a Brownian motion with drift, given by mean and shape.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, InverseGaussian};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = InverseGaussian::new(tape.constant(2.0), 4.0);
    /// assert_eq!((times.mean().unwrap().item()?, times.variance().unwrap().item()?), (2.0, 2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub struct InverseGaussian {
        /// The mean.
        location: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
        /// The shape.
        concentration: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
    }
    support: Positive
}

impl<'t, F: Real> InverseGaussian<Var<'t, F>> {
    /// Times with mean `location > 0` and shape `concentration > 0`.
    pub fn new(location: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        InverseGaussian { location, concentration: concentration.into_var(location.tape()) }
    }
}

impl<'t, F: Real> InverseGaussian<Var<'t, F>> {
    /// √(λ/μ) and √(xμ): with them, no intermediate result of a representable one overflows.
    fn roots(&self, x: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
        let root = self.location.sqrt();
        ((self.concentration.sqrt() / root).map(Map::MinScalar(F::MAX.to_f64() * 1e-3)), x.sqrt() * root)
    }

    /// The logarithms of the distribution function and of the survival function at positive values. Each is precise
    /// where it is not close to 0.
    fn log_tails(&self, x: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
        // Beyond, the squares overflow.
        let far = F::MAX.to_f64().sqrt() * 1e-3;
        let (steep, middle) = self.roots(x);
        let v = (steep * ((x - self.location) / middle)).clamp(-far, far);
        let w = (steep * (x / middle + self.location / middle)).clamp(-far, far);
        // With a standard normal Z, the distribution function is P(Z < v) + e^(2λ/μ) P(Z > w), where 2λ/μ − w²/2 is
        // −v²/2. The second term is compared with either tail at v without this common factor.
        let mills = special::normal_log_mills;
        let (at_v, at_w) = (mills(v), mills(w));
        let lower = special::normal_log_cdf(v) + (at_w - mills(-v)).exp().log1p();
        // Where w is close to v, the difference is an integral of the slope.
        let gap = self.concentration.sqrt() / x.sqrt() * 2.0;
        let [zero, one, little] = [0.0, 1.0, 1e-5].map(|number| gap.tape().constant(number));
        let close = (gap / v.abs().maximum(one)).held().lt(little);
        let width = close.select(gap, zero);
        let integral = (log_mills_slope(v, at_v) + log_mills_slope(w, at_w)) * width * 0.5;
        let upper = special::normal_log_cdf(-v) + special::log1mexp(close.select(integral, at_w - at_v));
        (lower, upper)
    }
}

/// The derivative of the logarithm of Mills' ratio, z − φ(z)/(1 − Φ(z)), from `special::normal_log_mills` at z. Below
/// z = 0 it is precise, and above, its relative error is below 1e-12.
fn log_mills_slope<'t, F: Real>(z: Var<'t, F>, log_mills: Var<'t, F>) -> Var<'t, F> {
    let (tape, far) = (z.tape(), above(z, 50.0));
    let near = z - (-0.5 * (2.0 * PI).ln() - log_mills).exp();
    let inverse = far.select(z, tape.constant(50.0)).recip();
    let square = inverse.square();
    let series = ((((square * -706.0 + 74.0) * square - 10.0) * square + 2.0) * square - 1.0) * inverse;
    far.select(series, near)
}

/// 1 where the probability with this logarithm is above 1/2.
fn above_half<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    above(log, -LN_2)
}

impl<'t, F: Real> Distribution<'t, F> for InverseGaussian<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Excluded.confine_positive(value, |x| {
            let log = x.ln();
            let (steep, middle) = self.roots(x);
            let excess = (steep * ((x - self.location) / middle)).square();
            (self.concentration.ln() - (2.0 * PI).ln() - log * 3.0 - excess) * 0.5
        })
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        // Michael, Schucany and Haas, 1976: one of the two roots with the same deviation, without their cancellation.
        let (tape, event) = (self.location.tape(), self.event_shape());
        let square = draw.purpose("normal").record_normal(tape, &event)?.square();
        let far = draw.purpose("root").record_noise(tape, Fill::Mirrored, &event)?;
        // The square of the noise is below 100, so that the ratio stays finite; its square need not.
        let spread = (self.location / self.concentration).map(Map::MinScalar(F::MAX.to_f64() * 1e-3));
        let ratio = square * spread;
        let smaller = (ratio + 2.0 + ratio.sqrt() * (ratio + 4.0).sqrt()).recip() * 2.0;
        // The larger root may be rare and large, so that the noise must have the digits of small probabilities.
        let larger = (far * (smaller + 1.0)).lt(smaller);
        let value = self.location * larger.select(smaller.recip(), smaller);
        Ok(value.clamp(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64()).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.location * self.location.square() / self.concentration)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let k = self.location / self.concentration * 1.5;
        Some(self.location / ((k.square() + 1.0).sqrt() + k))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for InverseGaussian<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value, |x| {
            let (below, above) = self.log_tails(x);
            above_half(below).select(1.0 - above.exp(), below.exp())
        })
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value, |x| {
            let (below, above) = self.log_tails(x);
            above_half(below).select(above.exp(), 1.0 - below.exp())
        })
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value, |x| {
            let (below, above) = self.log_tails(x);
            above_half(below).select(special::log1mexp(above), below)
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value, |x| {
            let (below, above) = self.log_tails(x);
            above_half(below).select(above, special::log1mexp(below))
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for InverseGaussian<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, f64::INFINITY), |p| {
            special::inverse_gaussian_icdf(p, self.location, self.concentration)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, 0.0), |p| {
            special::inverse_gaussian_complement_icdf(p, self.location, self.concentration)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for InverseGaussian<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for InverseGaussian<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let [location, concentration] = [self.location, self.concentration].map(Var::stop_gradient);
        let x = self.sample(draw)?;
        let w = (concentration / x).sqrt() * (x / location + 1.0);
        let mills = (special::normal_log_mills(w) + 0.5 * (2.0 * PI).ln()).exp();
        let spread = x * (x / concentration).sqrt() * mills * 2.0;
        let by_location = spread * concentration / location.square();
        let by_concentration = x / concentration - spread / location;
        let coefficients = [by_location, by_concentration].map(Var::stop_gradient);
        Ok(x.straight_through(coefficients[0] * self.location + coefficients[1] * self.concentration))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for InverseGaussian<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let ratio = self.concentration / self.location * 2.0;
        let ratio = ratio.clamp(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64() * 1e-3);
        // The mean of ln x is ln μ less the exponential integral.
        let log_mean = self.location.ln() - special::scaled_exponential_integral(ratio);
        ((log_mean * 3.0 - self.concentration.ln() + (1.0 + (2.0 * PI).ln())) * 0.5).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for InverseGaussian<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = other.concentration / self.concentration;
        let shift = (self.location - other.location) / other.location;
        let moved = other.concentration * shift.square() / self.location;
        ((special::deviance(ratio.tape().constant(1.0), ratio) + moved) * 0.5).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(InverseGaussian::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3, 2.4], Domain::HalfLine);
        distribution.assert_distribution(&[0.2, 1.1, 4.0], 191);
        assert_nothing_at(BUILD, &[1.3, 2.4], 0.0);
        assert_nothing_at(BUILD, &[1.3, 2.4], -1.0);
        for parameters in [[1e-8, 1.0], [1.0, 1e8], [1e6, 1.0], [1.0, 1e-3]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (InverseGaussian::new(tape.constant(1.3), 2.4), InverseGaussian::new(tape.constant(2.0), 0.7));
        distribution.assert_divergence(&[2.0, 0.7], p.kl_to(&q).item().unwrap());
    }

    /// Location, concentration and the entropy, from mpmath at 50 digits.
    const ENTROPIES: [(f64, f64, f64); 4] = [
        (1e-08, 1.0, -26.212082590223876),
        (100000000.0, 1.0, 3.3244822568873476),
        (1e+150, 1e-100, -226.93402649800768),
        (3.0, 0.02, -0.6830476704098241),
    ];

    #[test]
    fn entropies_of_any_ratio_of_the_parameters() {
        for (location, concentration, expected) in ENTROPIES {
            let tape = Tape::<f64>::new();
            let wrt = [tape.parameter(location), tape.parameter(concentration)];
            let entropy = InverseGaussian::new(wrt[0], wrt[1]).entropy();
            let found = entropy.item().unwrap();
            assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{found}, expected {expected}");
            assert!(tape.backward(entropy, wrt).unwrap().iter().all(Tensor::all_finite));
        }
    }

    /// Location, concentration, a value, and the logarithms of both tails and of the density there, from mpmath at 900
    /// digits.
    const EXTREMES: [([f64; 3], [f64; 3]); 9] = [
        ([0.08125, 1.1356574111117103e-136, 1.0], [-8.50283460117562e-69, -156.73797182619456, -157.4311190067545]),
        ([0.08125, 1e-30, 2.0], [-5.641895835477442e-16, -35.11114133783541, -36.497_435_698_955_28]),
        ([1e-3, 1e-9, 3e4], [-1.357117469341122e-15, -34.23341345233576, -41.743_999_442_644_33]),
        ([1e-12, 1e-14, 2.0], [0.0, -10_000_000_040.399_46, -10000000018.066755]),
        ([1e300, 1e-10, 1e-10], [-1.1478744644493182, -0.38171514630212607, 21.606912396735784]),
        ([1e300, 1e-10, 3e-9], [-0.15649927159558934, -1.9319332664382446, 16.988449657575884]),
        ([1.0, 1e-11, 0.5], [-3.5682445985154364e-6, -12.543438576322375, -12.543435773834506]),
        ([1.0, 1e-10, 1e9], [-1.648248263115084e-10, -22.526_137_864_787_32, -43.56676275349452]),
        ([1.0, 1e-14, 1e15], [-1.3467106250152e-18, -41.14886662878261, -73.84519877652901]),
    ];

    #[test]
    fn tails_and_densities_of_any_ratio_of_the_parameters() {
        for ([location, concentration, value], expected) in EXTREMES {
            let tape = Tape::<f64>::new();
            let distribution = InverseGaussian::new(tape.constant(location), concentration);
            let at = tape.constant(value);
            let found = [distribution.log_cdf(at), distribution.log_survival(at), distribution.log_prob(at)];
            for (found, expected) in found.into_iter().zip(expected) {
                let found = found.item().unwrap();
                let error = (found - expected).abs() / expected.abs().min(1.0);
                let allowed = if expected.abs() < 1.0 { 1e-10 } else { 1e-10 * expected.abs() };
                assert!(found == expected || error <= allowed, "{location}, {concentration} at {value}: {found}");
            }
        }
    }

    #[test]
    fn no_function_is_nan_at_the_ends_of_the_range() {
        let ends = [5e-324, f64::MIN_POSITIVE, 1e-136, 0.08125, 2400.0, 1e200, f64::MAX];
        for location in ends {
            for concentration in ends {
                let tape = Tape::<f64>::new();
                let distribution = InverseGaussian::new(tape.constant(location), concentration);
                for value in ends {
                    let at = tape.constant(value);
                    let logs = [distribution.log_cdf(at), distribution.log_survival(at), distribution.log_prob(at)];
                    let tails = [distribution.cdf(at), distribution.survival(at)];
                    for found in logs.into_iter().chain(tails) {
                        let found = found.item().unwrap();
                        assert!(!found.is_nan(), "{location}, {concentration} at {value}");
                    }
                }
            }
        }
    }
}
