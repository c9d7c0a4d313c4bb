//! The asymmetric Laplace distribution: the density falls exponentially on both sides of its location, at two rates. It
//! is the likelihood of quantile regression, and models skewed data with heavy tails.
//!
//! $$p(x; \mu, s, \kappa) = \frac{1}{s(\kappa + 1/\kappa)} \begin{cases} e^{-\kappa z} & z \ge 0 \\ e^{z/\kappa} & z < 0 \end{cases}, \quad z = \frac{x - \mu}{s}, \quad s, \kappa > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, which is the mode, `scale` $s > 0$, and `asymmetry` $\kappa > 0$. The
//! mean distance from the location is $s\kappa$ below it and $s/\kappa$ above it. The location is the quantile of the
//! probability $\kappa^2/(1 + \kappa^2)$; at $\kappa = 1$ the distribution is the Laplace distribution. The parameters
//! broadcast; their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | order 1 in $\mu$, where the log-density has a kink; any order in $s$ and $\kappa$ |
//! | reparameterised | $x = \mu + s(E/\kappa - \kappa E')$, any order |
//! | weak derivative with respect to $\mu$ | $1/s(\kappa + 1/\kappa)$, $\mu + sE/\kappa$ and $\mu - s\kappa E$, the same $E$ in both parts |
//! | weak derivative with respect to $s$ | $1/s$; one replay: the sample moved away from $\mu$, by $sE/\kappa$ above and $s\kappa E$ below |
//! | weak derivative with respect to $\kappa$ | with the probabilities $p_- = \kappa^2/(1 + \kappa^2)$ and $p_+$ of both sides: $p_-/\kappa$ with $\mu - s\kappa(E + E')$, and $-p_+/\kappa$ with $\mu + s(E + E')/\kappa$ |
//!
//! Source: Kotz, Kozubowski and Podgórski, "The Laplace distribution and generalizations", 2001.

use crate::derivative::underflow::finite_draws_around;
use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::{Tempered, above, confine_real, one_minus_exp};
use crate::prelude::*;
use stochgrad_tape::Smoothness;

distribution! {
    /// Real values with an exponential tail on both sides, of different lengths, given by location, scale and
    /// asymmetry. Use it for quantile regression and for skewed data.
    ///
    /// ```
    /// use stochgrad_distributions::{AsymmetricLaplace, CumulativeDistribution, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let returns = AsymmetricLaplace::new(tape.constant(1.0), 0.5, 2.0);
    /// // The location is the quantile of κ²/(1 + κ²).
    /// assert!((returns.cdf(tape.constant(1.0)).item()? - 0.8).abs() < 1e-14);
    /// assert_eq!(returns.mean().unwrap().item()?, 1.0 + 0.5 * (0.5 - 2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub struct AsymmetricLaplace {
        /// The location: the mode.
        location: finite.with_score(Smoothness::Kinked),
        /// The scale.
        scale: positive,
        /// The asymmetry: the square root of the ratio of the lengths of the lower and the upper tail.
        asymmetry: positive,
    }
    support: Real
}

impl<'t, F: Real> AsymmetricLaplace<Var<'t, F>> {
    /// Values whose mean distance from `location` is `scale · asymmetry` below it and `scale / asymmetry` above it.
    /// `scale` and `asymmetry` are positive.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, asymmetry: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        AsymmetricLaplace { location, scale: scale.into_var(tape), asymmetry: asymmetry.into_var(tape) }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }

    /// The logarithm of the density at the location.
    fn log_height(&self) -> Var<'t, F> {
        self.asymmetry.ln() - special::log1p_square(self.asymmetry) - self.scale.ln()
    }

    /// The logarithms of the probabilities of a value below and above the location: κ²/(1 + κ²) and 1/(1 + κ²).
    fn log_shares(&self) -> [Var<'t, F>; 2] {
        // From the square of the one of κ and 1/κ that is below 1.
        let (k, inverse) = (self.asymmetry, self.asymmetry.recip());
        let large = above(k, 1.0);
        let [by_square, by_inverse] = [k, inverse].map(special::log1p_square);
        let lower = large.select(-by_inverse, k.ln() * 2.0 - by_square);
        let upper = large.select(k.ln() * -2.0 - by_inverse, -by_square);
        [lower, upper]
    }

    /// The probabilities of a value below and above the location.
    fn shares(&self) -> [Var<'t, F>; 2] {
        let (k, inverse) = (self.asymmetry, self.asymmetry.recip());
        let large = above(k, 1.0);
        let [square, by_inverse] = [k, inverse].map(Var::square);
        let lower = large.select((by_inverse + 1.0).recip(), square / (square + 1.0));
        let upper = large.select(by_inverse / (by_inverse + 1.0), (square + 1.0).recip());
        [lower, upper]
    }

    /// A function of probability from its form of ln F below the location, and its form of ln(1 − F) above it.
    fn tail(
        &self,
        tail: Tail,
        value: Var<'t, F>,
        below: fn(Var<'t, F>) -> Var<'t, F>,
        beyond: fn(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        tail.on_line(self.standardize(value), |z| {
            // Each tail belongs to its own formula at the location as well, where the other one may have lost it.
            let left = match tail {
                Tail::Lower | Tail::LogLower => 1.0 - above(z, 0.0),
                Tail::Upper | Tail::LogUpper => above(-z, 0.0),
            };
            let zero = z.tape().constant(0.0);
            let [lower, upper] = self.log_shares();
            let log_below = lower + left.select(z, zero) / self.asymmetry;
            let log_beyond = upper - left.select(zero, z) * self.asymmetry;
            left.select(below(log_below), beyond(log_beyond))
        })
    }

    /// How far below the location, as a negative number, a tail with this probability ends. The logarithms are those
    /// of the probabilities of the side of the tail and of the other one, and the lengths theirs.
    fn quantile(probability: Var<'t, F>, logs: [Var<'t, F>; 2], lengths: [Var<'t, F>; 2]) -> Var<'t, F> {
        let own = probability.ln() - logs[0];
        let other = logs[1] - (-probability).log1p();
        above(own, 0.0).select(other * lengths[1], own * lengths[0])
    }

    /// The mean distance from the location below and above it.
    fn lengths(&self) -> [Var<'t, F>; 2] {
        [self.scale * self.asymmetry, self.scale / self.asymmetry]
    }

    /// The parameters without derivatives.
    fn detached(&self) -> Self {
        AsymmetricLaplace {
            location: self.location.stop_gradient(),
            scale: self.scale.stop_gradient(),
            asymmetry: self.asymmetry.stop_gradient(),
        }
    }
}

/// A value of a function at a logarithm, and its limit, with a derivative of 0, where the exponential has underflowed.
fn unless_negligible<'t, F: Real>(
    log: Var<'t, F>,
    limit: f64,
    function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    above(-log, -1.2 * F::MIN_POSITIVE.to_f64().ln()).select(log.tape().constant(limit), function(log))
}

/// e^−w − 1 + w for w ≥ 0. Near 0, neither it nor its derivative is a difference of larger terms.
fn beyond_linear<F: Real>(w: Var<'_, F>) -> Var<'_, F> {
    let far = above(w, 0.05);
    let small = far.select(w.tape().constant(0.0), w);
    // w²/2 times 1 − w/3 (1 − w/4 (1 − w/5 (…))).
    let series = (3..11).rev().fold(w.tape().constant(1.0), |rest, n| 1.0 - small * rest * (1.0 / f64::from(n)));
    far.select((-w).expm1() + w, small.square() * series * 0.5)
}

fn exponential<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    unless_negligible(log, 0.0, Var::exp)
}

fn complement<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    unless_negligible(log, 1.0, |log| one_minus_exp(-log))
}

fn log_complement<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    unless_negligible(log, 0.0, special::log1mexp)
}

impl<'t, F: Real> Distribution<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_real(self.standardize(value), |z| {
            self.log_height() - (z.relu() * self.asymmetry + (-z).relu() / self.asymmetry)
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let [below, above] = self.lengths();
        Some(self.location + (above - below))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // κ² + 1/κ², as a function of a difference whose derivative has no terms of both signs.
        let asymmetry = self.asymmetry;
        // Beside a large asymmetry the inverse is rounding, and its derivative underflows.
        let inverse = above(asymmetry, F::EPSILON.to_f64().recip()).select(asymmetry.held().recip(), asymmetry.recip());
        let difference = asymmetry - inverse;
        let variance = (self.scale * difference).square() + self.scale.square() * 2.0;
        Some(variance.broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, exponential, complement)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, complement, exponential)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |log| log, log_complement)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, log_complement, |log| log)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location + Self::quantile(p, self.log_shares(), self.lengths())
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            let ([below, above], [short, long]) = (self.log_shares(), self.lengths());
            self.location - Self::quantile(p, [above, below], [long, short])
        })
    }
}

impl<'t, F: Real> Tempered<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(AsymmetricLaplace { scale: self.scale * temperature, ..*self })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for AsymmetricLaplace<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = |purpose| draw.purpose(purpose).record_exponential(self.location.tape(), &self.event_shape());
        let [below, above] = self.lengths();
        Ok(finite_draws_around(self.location + (above * noise("above")? - below * noise("below")?)))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = self.detached();
        let (tape, event, location) = (sample.tape(), self.event_shape(), distribution.location);
        let [below, above] = distribution.lengths();
        match parameter {
            0 => {
                let level = |e: Var<'t, F>| {
                    (finite_draws_around(location + above * e), finite_draws_around(location - below * e))
                };
                location_derivative(tape, draw, &event, distribution.log_height().exp(), level).map(Some)
            }
            1 => {
                let z = distribution.standardize(sample.stop_gradient());
                let outward = |e: Var<'t, F>| {
                    let step = (-z).step().select(-below, above) * e;
                    finite_draws_around(sample.stop_gradient() + step)
                };
                scale_derivative(tape, draw, &event, distribution.scale, outward).map(Some)
            }
            2 => {
                let noise = |purpose| draw.purpose(purpose).record_exponential(tape, &event);
                let sum = noise("first")? + noise("second")?;
                let [lower, upper] = distribution.shares().map(|share| share / distribution.asymmetry);
                let values = [location - below * sum, location + above * sum].map(finite_draws_around);
                Ok(Some(Alternatives { values: values.to_vec(), weights: vec![lower, -upper] }))
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (1.0 - self.log_height()).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for AsymmetricLaplace<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ([k, l], one) = ([self.asymmetry, other.asymmetry], self.location.tape().constant(1.0));
        let (own, others) = (self.lengths(), other.lengths());
        let (shares, other_shares) = (self.shares(), other.shares());
        // At equal locations: the divergence of the two sides of the location, and that within each side. The smaller
        // side decides the first.
        let side = above(k, 1.0);
        let small = |[lower, upper]: [Var<'t, F>; 2]| side.select(upper, lower);
        let within = |i: usize| shares[i] * special::deviance(one, own[i] / others[i]);
        let centred = special::binary_deviance(small(shares), small(other_shares)) + within(0) + within(1);
        // What a shift adds, towards each side: the tail beyond the other location, and the mass between both, which
        // vanishes if the sides have equal shares. 1 − (1 + l²)/(1 + k²) is (k − l)(k + l) times the upper share.
        let shift = other.location - self.location;
        let added = |distance: Var<'t, F>, i: usize, lost: Var<'t, F>| {
            let tail = beyond_linear(distance / own[i]) * own[i];
            (shares[i] / other_shares[i] * tail + distance * lost) / others[1 - i]
        };
        let to_right = added(shift, 1, (k - l) * (k + l) * shares[1]);
        let to_left = added(-shift, 0, (l - k) * (l + k) / (l * l) * shares[1]);
        (centred + above(shift, 0.0).select(to_right, to_left)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::laplace::Laplace;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(AsymmetricLaplace::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = |asymmetry| DistributionCheck::new(BUILD, &[0.3, 0.8, asymmetry], Domain::Line(-60.0, 60.0));
        distribution(1.4).assert_distribution(&[-2.0, 0.1, 1.7], 211);
        distribution(0.6).assert_moments();
        distribution(0.6).assert_score(&[-2.0, 0.1, 1.7]);
        distribution(0.6).assert_cdf(&[-2.0, 0.1, 1.7]);
        for parameters in [[0.0, 1e-8, 1.0], [1e6, 1e-8, 0.01], [-3.0, 1e8, 100.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn divergences_to_both_sides() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 0.8, 1.4], Domain::Line(-60.0, 60.0));
        for other in [[-1.0, 1.1, 0.7], [1.2, 0.5, 2.0], [0.3, 0.8, 0.9]] {
            let tape = Tape::new();
            let p = AsymmetricLaplace::new(tape.constant(0.3), 0.8, 1.4);
            let q = AsymmetricLaplace::new(tape.constant(other[0]), other[1], other[2]);
            distribution.assert_divergence(&other, p.kl_to(&q).item().unwrap());
            assert_eq!(q.kl_to(&q).item(), Ok(0.0));
        }
    }

    #[test]
    fn without_asymmetry_it_is_the_laplace_distribution() {
        let tape = Tape::<f64>::new();
        let at = tape.constant([-3.0, 0.5, 2.0]);
        let (general, special) =
            (AsymmetricLaplace::new(tape.constant(0.5), 1.7, 1.0), Laplace::new(tape.constant(0.5), 1.7));
        for (found, expected) in [
            (general.log_prob_each(at), special.log_prob_each(at)),
            (general.log_cdf(at), special.log_cdf(at)),
            (general.log_survival(at), special.log_survival(at)),
        ] {
            let (found, expected) = (found.peek().unwrap(), expected.peek().unwrap());
            for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
                assert!((found - expected).abs() < 1e-15 * expected.abs().max(1.0), "{found}, not {expected}");
            }
        }
    }
}
