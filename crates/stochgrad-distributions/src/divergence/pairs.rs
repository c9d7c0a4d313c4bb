//! Divergences between distributions of different families that have a closed form.
//!
//! $$\mathrm{KL}(p \,\|\, q) = -H(p) - E_p[\ln q(X)],$$
//!
//! minus the entropy of p, minus the mean of a log-density that is linear in a few functions of X with known means. The
//! divergence is infinite where q does not cover the support of p; the pairs for which this is always so come last. The
//! divergences within a family are in the file of the family.

use crate::continuous::beta::Beta;
use crate::continuous::continuous_bernoulli::ContinuousBernoulli;
use crate::continuous::exponential::Exponential;
use crate::continuous::gamma::Gamma;
use crate::continuous::gumbel::Gumbel;
use crate::continuous::laplace::Laplace;
use crate::continuous::normal::Normal;
use crate::continuous::pareto::Pareto;
use crate::continuous::uniform::Uniform;
use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::poisson::Poisson;
use crate::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// The means of functions of a sample under a distribution.
trait Means<'t, F: Real>: ClosedFormEntropy<'t, F> {
    /// E x
    fn first(&self) -> Var<'t, F>;

    /// E (x − a)²
    fn square_around(&self, a: Var<'t, F>) -> Var<'t, F>;

    /// E ln x, for distributions of positive numbers.
    fn log(&self) -> Var<'t, F>;
}

macro_rules! means {
    ($distribution:ident, |$p:ident| $log:expr) => {
        impl<'t, F: Real> Means<'t, F> for $distribution<Var<'t, F>> {
            fn first(&self) -> Var<'t, F> {
                self.mean().unwrap_or_else(|| self.event_filler())
            }

            fn square_around(&self, a: Var<'t, F>) -> Var<'t, F> {
                self.variance().unwrap_or_else(|| self.event_filler()) + (self.first() - a).square()
            }

            fn log(&self) -> Var<'t, F> {
                let $p = self;
                $log
            }
        }
    };
}

/// A value for moments that every distribution here has.
trait Filler<'t, F: Real> {
    fn event_filler(&self) -> Var<'t, F>;
}

impl<'t, F: Real, D: Distribution<'t, F>> Filler<'t, F> for D {
    fn event_filler(&self) -> Var<'t, F> {
        self.parameters()[0].var * f64::NAN
    }
}

means!(Beta, |p| p.alpha().digamma() - p.total().digamma());
means!(Gamma, |p| p.concentration().digamma() - p.rate().ln());
means!(Exponential, |p| -p.rate().ln() - EULER);
means!(Pareto, |p| p.scale().ln() + p.concentration().recip());
means!(Uniform, |p| mean_log_between(p.low(), p.high()));
means!(ContinuousBernoulli, |p| p.event_filler());
means!(Normal, |p| p.event_filler());
means!(Laplace, |p| p.event_filler());
means!(Gumbel, |p| p.event_filler());

/// The mean of ln x between two numbers that are not negative.
fn mean_log_between<'t, F: Real>(low: Var<'t, F>, high: Var<'t, F>) -> Var<'t, F> {
    let one = low.tape().constant(1.0);
    // x ln x, and 0 at 0.
    let entropic = |x: Var<'t, F>| x * x.step().select(x, one).ln();
    (entropic(high) - entropic(low)) / (high - low) - 1.0
}

/// The divergence from −E ln q of each element, summed over the event axes of both distributions together.
fn assemble<'t, F: Real>(
    p: &dyn ClosedFormEntropy<'t, F>,
    q: &dyn Distribution<'t, F>,
    cross: Var<'t, F>,
) -> Var<'t, F> {
    let own = p.event_shape();
    let joint = Shape::broadcast(&own, &q.event_shape()).unwrap_or_else(|| own.clone());
    let times = joint.numel() as f64 / own.numel().max(1) as f64;
    cross.broadcast_to(joint).sum() - p.entropy() * times
}

/// −E ln q for a normal q.
fn normal<'t, F: Real>(p: &impl Means<'t, F>, q: &Normal<Var<'t, F>>) -> Var<'t, F> {
    let spread = p.square_around(q.location()) / q.scale().square();
    spread * 0.5 + q.scale().ln() + 0.5 * (2.0 * PI).ln()
}

/// −E ln q for an exponential q.
fn exponential<'t, F: Real>(p: &impl Means<'t, F>, q: &Exponential<Var<'t, F>>) -> Var<'t, F> {
    q.rate() * p.first() - q.rate().ln()
}

/// −E ln q for a gamma distribution q.
fn gamma<'t, F: Real>(p: &impl Means<'t, F>, q: &Gamma<Var<'t, F>>) -> Var<'t, F> {
    let (a, rate) = (q.concentration(), q.rate());
    a.lgamma() - a * rate.ln() - (a - 1.0) * p.log() + rate * p.first()
}

/// −E ln q for a continuous Bernoulli distribution q.
fn continuous_bernoulli<'t, F: Real>(p: &impl Means<'t, F>, q: &ContinuousBernoulli<Var<'t, F>>) -> Var<'t, F> {
    q.log_normalizer() - q.logits() * p.first()
}

/// −E ln q for a Gumbel distribution q, given E e^(−x/β).
fn gumbel<'t, F: Real>(
    p: &impl Means<'t, F>,
    q: &Gumbel<Var<'t, F>>,
    log_transform: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let rate = q.scale().recip();
    let exponential = (q.location() * rate + log_transform(rate)).exp();
    q.scale().ln() + (p.first() - q.location()) * rate + exponential
}

/// The value where the interval of `q` covers that of `p`, else ∞.
fn where_covered<'t, F: Real>(
    value: Var<'t, F>,
    inner: (Var<'t, F>, Var<'t, F>),
    outer: (Var<'t, F>, Var<'t, F>),
) -> Var<'t, F> {
    let outside = Boundary::Included.outside((inner.0 - outer.0).minimum(outer.1 - inner.1));
    outside.select(value.tape().constant(f64::INFINITY), value)
}

macro_rules! divergence {
    ($($p:ident to $q:ident: |$own:ident, $other:ident| $cross:expr;)*) => {$(
        impl<'t, F: Real> KlDivergence<'t, F, $q<Var<'t, F>>> for $p<Var<'t, F>> {
            fn kl_to(&self, other: &$q<Var<'t, F>>) -> Var<'t, F> {
                let ($own, $other) = (self, other);
                let cross = $cross;
                assemble(self, other, cross)
            }
        }
    )*};
}

divergence! {
    Beta to ContinuousBernoulli: |p, q| continuous_bernoulli(p, q);
    Beta to Exponential: |p, q| exponential(p, q);
    Beta to Gamma: |p, q| gamma(p, q);
    Beta to Normal: |p, q| normal(p, q);
    Beta to Uniform: |p, q| {
        let unit = (p.alpha() * 0.0, p.alpha() * 0.0 + 1.0);
        where_covered((q.high() - q.low()).ln(), unit, (q.low(), q.high()))
    };

    ContinuousBernoulli to Exponential: |p, q| exponential(p, q);
    ContinuousBernoulli to Normal: |p, q| normal(p, q);
    ContinuousBernoulli to Uniform: |p, q| {
        let unit = (p.logits() * 0.0, p.logits() * 0.0 + 1.0);
        where_covered((q.high() - q.low()).ln(), unit, (q.low(), q.high()))
    };

    Exponential to Gumbel: |p, q| gumbel(p, q, |t| -(t / p.rate()).log1p());
    Exponential to Normal: |p, q| normal(p, q);

    Gamma to Gumbel: |p, q| gumbel(p, q, |t| -p.concentration() * (t / p.rate()).log1p());
    Gamma to Normal: |p, q| normal(p, q);

    Gumbel to Normal: |p, q| normal(p, q);
    Laplace to Normal: |p, q| normal(p, q);
    Normal to Gumbel: |p, q| gumbel(p, q, |t| (p.scale() * t).square() * 0.5 - p.location() * t);
    Normal to Laplace: |p, q| {
        // The mean distance of a normal sample from a point.
        let shift = p.location() - q.location();
        let z = shift / p.scale() * FRAC_1_SQRT_2;
        let distance = p.scale() * (2.0 / PI).sqrt() * (-z.square()).exp() + shift * z.erf();
        (q.scale() * 2.0).ln() + distance / q.scale()
    };

    Pareto to Exponential: |p, q| exponential(p, q);
    Pareto to Gamma: |p, q| gamma(p, q);
    Pareto to Normal: |p, q| normal(p, q);

    Uniform to Beta: |p, q| {
        let rest = mean_log_between(1.0 - p.high(), 1.0 - p.low());
        let cross = special::log_beta(q.alpha(), q.beta()) - (q.alpha() - 1.0) * p.log() - (q.beta() - 1.0) * rest;
        where_covered(cross, (p.low(), p.high()), (q.alpha() * 0.0, q.alpha() * 0.0 + 1.0))
    };
    Uniform to ContinuousBernoulli: |p, q| {
        let unit = (q.logits() * 0.0, q.logits() * 0.0 + 1.0);
        where_covered(continuous_bernoulli(p, q), (p.low(), p.high()), unit)
    };
    Uniform to Exponential: |p, q| where_covered(exponential(p, q), (p.low(), p.low()), (p.low() * 0.0, p.low()));
    Uniform to Gamma: |p, q| where_covered(gamma(p, q), (p.low(), p.low()), (p.low() * 0.0, p.low()));
    Uniform to Gumbel: |p, q| gumbel(p, q, |t| {
        // ln (e^(−tl) − e^(−th)) / t(h − l)
        let width = (p.high() - p.low()) * t;
        -p.low() * t + special::log1mexp(-width) - width.ln()
    });
    Uniform to Normal: |p, q| normal(p, q);
    Uniform to Pareto: |p, q| {
        let a = q.concentration();
        let cross = (a + 1.0) * p.log() - a.ln() - a * q.scale().ln();
        where_covered(cross, (p.low(), p.low()), (q.scale(), p.low()))
    };
}

macro_rules! infinite {
    ($($p:ident to $($q:ident),+;)*) => {$($(
        /// Infinite: the support of the other distribution does not cover that of this one.
        impl<'t, F: Real> KlDivergence<'t, F, $q<Var<'t, F>>> for $p<Var<'t, F>> {
            fn kl_to(&self, other: &$q<Var<'t, F>>) -> Var<'t, F> {
                let _ = other;
                (self.parameters()[0].var * 0.0 + f64::INFINITY).sum()
            }
        }
    )+)*};
}

infinite! {
    Beta to Pareto;
    ContinuousBernoulli to Pareto;
    Exponential to Beta, ContinuousBernoulli, Pareto, Uniform;
    Gamma to Beta, ContinuousBernoulli, Pareto, Uniform;
    Gumbel to Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform;
    Laplace to Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform;
    Normal to Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform;
    Pareto to Beta, ContinuousBernoulli, Uniform;
}

/// The gamma distribution that an exponential distribution is.
fn as_gamma<'t, F: Real>(waiting: &Exponential<Var<'t, F>>) -> Gamma<Var<'t, F>> {
    let rate = waiting.rate();
    Gamma::new(rate.tape().constant(1.0), rate)
}

impl<'t, F: Real> KlDivergence<'t, F, Gamma<Var<'t, F>>> for Exponential<Var<'t, F>> {
    fn kl_to(&self, other: &Gamma<Var<'t, F>>) -> Var<'t, F> {
        as_gamma(self).kl_to(other)
    }
}

impl<'t, F: Real> KlDivergence<'t, F, Exponential<Var<'t, F>>> for Gamma<Var<'t, F>> {
    fn kl_to(&self, other: &Exponential<Var<'t, F>>) -> Var<'t, F> {
        self.kl_to(&as_gamma(other))
    }
}

impl<'t, F: Real> KlDivergence<'t, F, Poisson<Var<'t, F>>> for Bernoulli<Var<'t, F>> {
    fn kl_to(&self, other: &Poisson<Var<'t, F>>) -> Var<'t, F> {
        self.parameter().kl_to_poisson(other.parameter()).sum()
    }
}

/// Infinite, except at a rate of 0: the count is 0 then, which has the log-probability `log_zero`.
fn only_at_rate_zero<'t, F: Real>(p: &Poisson<Var<'t, F>>, log_zero: Var<'t, F>) -> Var<'t, F> {
    let certain = Boundary::Excluded.outside(p.rate());
    certain.select(-log_zero, p.rate().tape().constant(f64::INFINITY)).sum()
}

/// Infinite, unless the rate is 0: a bit is at most 1.
impl<'t, F: Real> KlDivergence<'t, F, Bernoulli<Var<'t, F>>> for Poisson<Var<'t, F>> {
    fn kl_to(&self, other: &Bernoulli<Var<'t, F>>) -> Var<'t, F> {
        only_at_rate_zero(self, other.log_prob_each(self.rate().tape().constant(0.0)))
    }
}

/// Infinite, unless the rate is 0: the number of successes is at most that of the trials.
impl<'t, F: Real> KlDivergence<'t, F, Binomial<Var<'t, F>>> for Poisson<Var<'t, F>> {
    fn kl_to(&self, other: &Binomial<Var<'t, F>>) -> Var<'t, F> {
        only_at_rate_zero(self, other.log_prob_each(self.rate().tape().constant(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    /// The expected difference of the log-densities, by midpoints on a grid of quantiles.
    fn by_quantiles<'t>(tape: &'t Tape<f64>, p: &dyn QuantileFunction<'t, f64>, q: &dyn Distribution<'t, f64>) -> f64 {
        // Finer towards the ends: u = σ(t).
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        let count = 40_000;
        for i in 0..count {
            let t = -34.0 + 68.0 * (f64::from(i) + 0.5) / f64::from(count);
            let u = stochgrad_tensor::special::sigmoid(t);
            if u < 1.0 {
                nodes.push(u);
                weights.push(u * stochgrad_tensor::special::sigmoid(-t) * 68.0 / f64::from(count));
            }
        }
        let x = p.icdf(tape.constant(nodes));
        let difference = (p.log_prob_each(x) - q.log_prob_each(x)).peek().unwrap();
        difference.as_slice().iter().zip(weights).map(|(d, w)| d * w).sum()
    }

    #[test]
    fn closed_forms_are_expected_differences() {
        let tape = Tape::<f64>::new();
        let number = |x: f64| tape.constant(x);
        let beta = Beta::new(number(2.3), 1.4);
        let flat = ContinuousBernoulli::from_logits(number(1.2));
        let (waiting, gamma) = (Exponential::new(number(0.8)), Gamma::new(number(2.3), 1.4));
        let (normal, laplace) = (Normal::new(number(0.3), 1.2), Laplace::new(number(-0.4), 0.7));
        let (gumbel, pareto) = (Gumbel::new(number(0.2), 1.5), Pareto::new(number(0.6), 3.5));
        let inside = Uniform::new(number(0.1), 0.8);
        let wide = Uniform::new(number(-1.0), 2.0);
        let low = Pareto::new(number(0.05), 1.5);
        macro_rules! check {
            ($($p:ident to $($q:ident),+;)*) => {$($({
                let (got, expected) = ($p.kl_to(&$q).item().unwrap(), by_quantiles(&tape, &$p, &$q));
                let error = (got - expected).abs();
                assert!(
                    error < 2e-6 * (1.0 + expected.abs()),
                    "{} to {}: {got}, expected {expected}", $p.name(), $q.name()
                );
            })+)*};
        }
        check! {
            beta to flat, waiting, gamma, normal, wide;
            flat to waiting, normal, wide;
            waiting to gamma, gumbel, normal;
            gamma to waiting, gumbel, normal;
            gumbel to normal;
            laplace to normal;
            normal to gumbel, laplace;
            pareto to waiting, gamma, normal;
            inside to beta, flat, waiting, gamma, gumbel, normal, low;
        }
        assert_eq!(wide.kl_to(&beta).item(), Ok(f64::INFINITY));
        assert_eq!(wide.kl_to(&waiting).item(), Ok(f64::INFINITY));
        assert_eq!(beta.kl_to(&inside).item(), Ok(f64::INFINITY));
        assert_eq!(inside.kl_to(&pareto).item(), Ok(f64::INFINITY));
        assert_eq!(normal.kl_to(&gamma).item(), Ok(f64::INFINITY));
    }

    #[test]
    fn bits_to_counts_and_distributions_of_other_shapes() {
        let tape = Tape::<f64>::new();
        let bit = Bernoulli::from_probabilities(tape.constant(0.3));
        let count = Poisson::from_rate(tape.constant(0.9));
        let expected = 0.3 * (0.3_f64 / (0.9 * (-0.9_f64).exp())).ln() + 0.7 * (0.7_f64 / (-0.9_f64).exp()).ln();
        assert_abs_diff_eq!(bit.kl_to(&count).item().unwrap(), expected, epsilon = 1e-13);
        let one = Laplace::new(tape.constant(0.3), 1.0);
        let many = Normal::new(tape.constant([0.0, 1.0]), 2.0);
        let each: f64 = [0.0, 1.0]
            .iter()
            .map(|&location| one.kl_to(&Normal::new(tape.constant(location), 2.0)).item().unwrap())
            .sum();
        assert_abs_diff_eq!(one.kl_to(&many).item().unwrap(), each, epsilon = 1e-13);
    }
}
