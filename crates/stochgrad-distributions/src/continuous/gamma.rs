//! The gamma distribution: positive values, such as waiting times until several events, rates and precisions. It is the
//! conjugate prior of the Poisson and the exponential distribution.
//!
//! $$p(x; a, \lambda) = \frac{\lambda^a}{\Gamma(a)} x^{a - 1} e^{-\lambda x}, \quad x > 0, \quad a > 0, \quad \lambda = 1/s > 0.$$
//!
//! Parameters: `concentration` $a > 0$ (the shape), and the rate $\lambda > 0$ or the scale $s = 1/\lambda > 0$. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! positive real numbers.
//!
//! Parameters with which the mean $a/\lambda$ overflows are refused.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = sz$, $z$ standard with concentration $a$; any order in $\lambda$ and $s$, order 2 in $a$, where $dz/da = -\partial_a P(a, z)/p(z; a, 1)$ (Figurnov et al. 2018), and the second derivative follows from $\partial_a^2 P$ |
//! | weakly reparameterised | by the proposal of rejection sampling, or the standardised logarithm (Naesseth et al. 2017; Ruiz et al. 2016) |
//! | weak derivative with respect to $\lambda$ | $a/\lambda$, the distribution itself and $x + E/\lambda$; with respect to $s$ the parts are exchanged, $a/s$ (Mohamed et al. 2020). One replay: $x + sE$ |
//!
//! With respect to the concentration the parts of the weak derivative lie on either side of $e^{\psi(a)}$, where the
//! score changes its sign. The samples are roots of $\partial_a P(a, x) = -cv$ with a uniform $v$ in both parts, a
//! few microseconds each.
//!
//! Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000 (sampler); Figurnov, Mohamed and
//! Mnih, "Implicit reparameterization gradients", 2018 (path).

use crate::capabilities;
use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{held_logarithm, smallest_logarithm};
use crate::derivative::weak::drawn_by_path;
use crate::derivative::weak_gamma::weak_log_gammas;
use crate::derivative::weak_shape::concentration_parts;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, Parameter, Parameters,
    QuantileFunction, Reparameterized, ScoreDifferentiable, Support, WeakDerivative, WeaklyReparameterized,
};
use crate::distribution::{Boundary, Tail, above, finite_end, log_of_either, quantile_inside, step_of_kernels};
use crate::distribution::{Order, SamplePath, WeakNoise, WeakPath};
use crate::distribution::{check_parameter, positive};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::rate_or_scale::RateOrScale;
use smallvec::smallvec;
use stochgrad_tape::{Condition, IntoVar, Var, special};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Shape};

/// Positive values, given by concentration (the shape) and rate or scale. Use it for waiting times, rates and
/// precisions.
///
/// Samples are drawn as logarithms, and are at least twice the smallest positive normal number, so that their logarithms
/// are finite. Without this limit most samples would underflow to zero where the concentration is far below one
/// thousandth. The log-probability at a sample of a node, or at what `sample` and `rsample` return, is that at the
/// logarithm that was drawn, so that it is exact at any concentration. A function of the sample itself, such as its
/// logarithm, sees the limit; a path derivative that depends on what a sample lost by it is an error.
///
/// ```
/// use stochgrad_distributions::{Distribution, Gamma};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let gamma = Gamma::new(tape.constant(3.0), 2.0);
/// let density = gamma.log_prob(tape.constant(1.0)).item()?;
/// assert!((density - (4.0_f64.ln() - 2.0)).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gamma<V = stochgrad_tape::Id> {
    concentration: V,
    width: RateOrScale<V>,
}

impl<V> Gamma<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Gamma<W>, E> {
        Ok(Gamma { concentration: f(&self.concentration)?, width: self.width.try_map(f)? })
    }
}

family!(Gamma);

impl<'t, F: Real> Gamma<Var<'t, F>> {
    /// Gamma variates with `concentration > 0` and `rate > 0`, whose mean is `concentration / rate`.
    pub fn new(concentration: Var<'t, F>, rate: impl IntoVar<'t, F>) -> Self {
        Gamma { concentration, width: RateOrScale::Rate(rate.into_var(concentration.tape())) }
    }

    /// Gamma variates with `concentration > 0` and `scale > 0`, whose mean is `concentration · scale`.
    pub fn from_scale(concentration: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Gamma { concentration, width: RateOrScale::Scale(scale.into_var(concentration.tape())) }
    }

    /// The concentration.
    pub fn concentration(&self) -> Var<'t, F> {
        self.concentration
    }

    /// The rate.
    pub fn rate(&self) -> Var<'t, F> {
        self.width.rate()
    }

    /// The scale: the reciprocal of the rate.
    pub fn scale(&self) -> Var<'t, F> {
        self.width.scale()
    }

    /// A tail at the value with this logarithm, which may have underflowed: the distribution function is a power there.
    fn tail_of_logarithm(&self, log: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        tail.on_line(log + self.width.log_rate(), |log| {
            let (least, most) = (smallest_logarithm::<F>(), F::MAX.to_f64());
            let log = log.clamp(-most, most);
            let held = log.clamp(least, most.ln() - 1.0);
            let (a, z) = (self.concentration, held.exp());
            // Above the least logarithm nothing is lost, in derivatives either: a difference of equal ones would round.
            let lost = a * (log.minimum(log.tape().constant(least)) - least);
            let lower = || special::gamma_p(a, z) * lost.exp();
            let upper = || special::gamma_q(a, z) - special::gamma_p(a, z) * lost.expm1();
            match tail {
                Tail::Lower => lower(),
                Tail::Upper => upper(),
                Tail::LogLower => special::log_gamma_p(a, z) + lost,
                Tail::LogUpper => {
                    let below = above(-log, -least);
                    let [even, none] = [0.5, 0.0].map(|p| log.tape().constant(p));
                    let near_zero = log_of_either(below.select(upper(), even), below.select(lower(), none));
                    below.select(near_zero, special::log_gamma_q(a, z))
                }
            }
        })
    }

    /// Values from logarithms of variates with scale 1. Neither the values nor those in units of the scale are below
    /// twice the smallest positive number.
    fn stretched(&self, logs: Var<'t, F>) -> Var<'t, F> {
        let shift = -self.width.log_rate();
        let rest = (-shift).relu().held();
        let log = logs - rest;
        let held = held_logarithm("Gamma", log, [smallest_logarithm::<F>(), f64::INFINITY]);
        marked((held + (shift + rest)).exp(), log)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Gamma<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Gamma"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(2))),
            self.width.parameter()
        ]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.concentration.shape(), &self.width.var().shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Positive
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            // A value that has underflowed, or would have overflowed, is replaced by the nearest one.
            let log = log + self.width.log_rate();
            // So far below, the rest of the kernel is rounding, and its derivative with respect to the value is finite.
            let least = (self.concentration.held().ln() - 60.0).map(Map::MaxScalar(smallest_logarithm::<F>() * 0.5));
            let held = log.maximum(least).map(Map::MinScalar(F::MAX.to_f64().ln() - 1.0));
            let density = special::log_gamma_kernel(self.concentration, held.exp()) - log + self.width.log_rate();
            return density + self.concentration * (log - held).minimum(log.tape().constant(0.0));
        }
        let standard = self.width.standardize(value) + finite_end(self.concentration, step_of_kernels::<F>());
        let density = Boundary::Excluded.confine_positive(standard, |z| {
            special::log_gamma_kernel(self.concentration, z) - z.ln() + self.width.log_rate()
        });
        match lost_by_own_draw(value, |log| log - log.clamp(smallest_logarithm::<F>(), f64::INFINITY)) {
            Some(lost) => density + (self.concentration - 1.0) * lost,
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.width.stretch(self.concentration))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.width.stretch(self.width.stretch(self.concentration)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // At concentrations below 1 the density has a pole at 0.
        Some(self.width.stretch((self.concentration - 1.0).relu()))
    }

    fn validate(&self) -> DistributionResult<()> {
        positive("Gamma", "concentration", self.concentration)?;
        self.width.validate("Gamma")?;
        let hint = "the samples are beyond the range of numbers; use another unit, or the logarithm of the values";
        check_parameter("Gamma", "mean", self.width.stretch(self.concentration), "finite", hint, Condition::Finite)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Gamma<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return self.tail_of_logarithm(log, Tail::Lower);
        }
        Tail::Lower.on_half_line(self.width.standardize(value), |z| special::gamma_p(self.concentration, z))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return self.tail_of_logarithm(log, Tail::Upper);
        }
        Tail::Upper.on_half_line(self.width.standardize(value), |z| special::gamma_q(self.concentration, z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return self.tail_of_logarithm(log, Tail::LogLower);
        }
        Tail::LogLower.on_half_line(self.width.standardize(value), |z| special::log_gamma_p(self.concentration, z))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return self.tail_of_logarithm(log, Tail::LogUpper);
        }
        Tail::LogUpper.on_half_line(self.width.standardize(value), |z| special::log_gamma_q(self.concentration, z))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Gamma<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.width.stretch(special::gamma_p_inverse(self.concentration, p))
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| {
            self.width.stretch(special::gamma_q_inverse(self.concentration, p))
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Gamma<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Gamma<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.stretched(log_standard_gammas(self.concentration, draw, &self.event_shape(), true)?))
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Gamma<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_gammas(self.concentration, draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: self.stretched(path.value), ..path })
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Gamma<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let event = self.event_shape();
        match parameter {
            0 => {
                let parts = concentration_parts(self.concentration, draw, &event, |z| self.width.stretch(z))?;
                Ok(Some(parts))
            }
            1 => {
                let e = draw.purpose("more").record_exponential(sample.tape(), &event)?;
                let weight = self.concentration * self.width.log_scale_slope();
                Ok(Some(Alternatives { values: vec![sample + self.width.stretch(e)], weights: vec![weight] }))
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Gamma<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let a = self.concentration;
        // a + ln Γ(a) + (1 − a) ψ(a), with the large terms combined.
        let rest = (1.0 - a) * special::digamma_minus_log(a) - special::log_gamma_kernel(a, a);
        (a.ln() - self.width.log_rate() + rest).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Gamma<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (a, b) = (self.concentration, other.concentration);
        // Both parts are at least 0: that of the shapes at equal means, and that of the means.
        let ratio = self.width.rate_ratio(&other.width);
        (special::stirling_divergence(a, b) + special::deviance(b, a * ratio)).sum()
    }
}

#[cfg(test)]
mod tests;
