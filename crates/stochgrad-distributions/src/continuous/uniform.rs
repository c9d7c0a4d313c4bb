//! The uniform distribution on an interval: all values between two bounds are equally likely.
//!
//! $$p(x; a, b) = \frac{1}{b - a}, \quad a \le x \le b.$$
//!
//! Parameters: the bounds `low` $a$ and `high` $b > a$. The parameters broadcast; their common shape is the event
//! shape, and each element is an independent value. Support: the interval between the bounds.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support depends on the parameters, so that the score function is biased |
//! | reparameterised | $x = a + (b - a)u$, any order |
//! | weak derivative with respect to $b$ | $1/(b - a)$, $b$ and the distribution itself. One replay: the sample moved to $b$ |
//! | weak derivative with respect to $a$ | $1/(b - a)$, the distribution itself and $a$. One replay: the sample moved to $a$ (Pflug 1989) |

use crate::capabilities;
use crate::derivative::weak::drawn_by_path;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, KlDivergence, Parameter, Parameters,
    QuantileFunction, Reparameterized, Support, WeakDerivative,
};
use crate::distribution::{Boundary, Tail, log_of_either, quantile_between};
use crate::distribution::{check_parameter, finite};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use smallvec::smallvec;
use stochgrad_tape::{Condition, IntoVar, Smoothness, Var, special};
use stochgrad_tensor::{Real, Shape};

/// Values that are equally likely everywhere between two bounds.
///
/// ```
/// use stochgrad_distributions::{Distribution, Uniform};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let uniform = Uniform::new(tape.constant(-1.0), 3.0);
/// assert!((uniform.log_prob(tape.constant(0.5)).item()? + 4.0_f64.ln()).abs() < 1e-12);
/// assert_eq!(uniform.log_prob(tape.constant(4.0)).item()?, f64::NEG_INFINITY);
/// # Ok(())
/// # }
/// ```
///
/// Its support depends on its parameters, so that it is not [`ScoreDifferentiable`](crate::ScoreDifferentiable):
///
/// ```compile_fail,E0277
/// use stochgrad_distributions::{ScoreDifferentiable, Uniform};
/// use stochgrad_tape::Tape;
///
/// fn score<'t>(_: &impl ScoreDifferentiable<'t, f64>) {}
/// let tape = Tape::<f64>::new();
/// score(&Uniform::new(tape.constant(0.0), 1.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uniform<V = stochgrad_tape::Id> {
    low: V,
    high: V,
}

impl<V> Uniform<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Uniform<W>, E> {
        Ok(Uniform { low: f(&self.low)?, high: f(&self.high)? })
    }
}

family!(Uniform);

impl<'t, F: Real> Uniform<Var<'t, F>> {
    /// Values between `low` and `high > low`.
    pub fn new(low: Var<'t, F>, high: impl IntoVar<'t, F>) -> Self {
        Uniform { low, high: high.into_var(low.tape()) }
    }

    /// The lower bound.
    pub fn low(&self) -> Var<'t, F> {
        self.low
    }

    /// The upper bound.
    pub fn high(&self) -> Var<'t, F> {
        self.high
    }

    fn width(&self) -> Var<'t, F> {
        self.high - self.low
    }

    /// The part of the interval below a value.
    fn share(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.low) / self.width()
    }

    /// The part of the interval above a value.
    fn rest(&self, value: Var<'t, F>) -> Var<'t, F> {
        (self.high - value) / self.width()
    }
}

impl<'t, F: Real> Distribution<'t, F> for Uniform<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Uniform"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("low", self.low).with_score(Smoothness::Jump),
            Parameter::smooth("high", self.high).with_score(Smoothness::Jump)
        ]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.low.shape(), &self.high.shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Interval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let outside = Boundary::Included.outside((value - self.low).minimum(self.high - value));
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        // The density does not depend on the value, except that it is NaN for NaN.
        outside.select(nothing, value * 0.0 - self.width().ln())
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.low + self.high) * 0.5)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.width().square() * (1.0 / 12.0))
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("Uniform", "low", self.low)?;
        finite("Uniform", "high", self.high)?;
        check_parameter(
            "Uniform",
            "high - low",
            self.width(),
            "a positive finite number",
            "give the lower bound first",
            Condition::POSITIVE,
        )
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Uniform<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_interval(value, [self.low, self.high], |x| self.share(x))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_interval(value, [self.low, self.high], |x| self.rest(x))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_interval(value, [self.low, self.high], |x| log_of_either(self.share(x), self.rest(x)))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_interval(value, [self.low, self.high], |x| log_of_either(self.rest(x), self.share(x)))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Uniform<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.low, self.high], |p| self.low + self.width() * p)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.high, self.low], |p| self.high - self.width() * p)
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Uniform<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_uniform(self.low.tape(), &self.event_shape())?;
        Ok(self.low + self.width() * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Uniform<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        _sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let width = self.high - self.low;
        let (end, weight) = match parameter {
            0 => (self.low, -width.recip()),
            1 => (self.high, width.recip()),
            _ => return Ok(None),
        };
        Ok(Some(Alternatives { values: vec![end], weights: vec![weight] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Uniform<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.width().ln().sum()
    }
}

/// Infinite where the other interval does not contain this one.
impl<'t, F: Real> KlDivergence<'t, F> for Uniform<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let outside = Boundary::Included.outside((self.low - other.low).minimum(other.high - self.high));
        let infinite = self.low.tape().constant(f64::INFINITY);
        outside.select(infinite, special::log_ratio(other.width(), self.width())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Family;
    use crate::distribution::{Order, SamplePath};
    use crate::error::DistributionError;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::{Id, IdMap, Tape};

    const BUILD: Build = |p| Box::new(Uniform::new(p[0], p[1]));

    fn distribution() -> DistributionCheck {
        DistributionCheck::new(BUILD, &[-0.7, 2.1], Domain::Parameters)
    }

    #[test]
    fn log_density_is_the_formula() {
        let got = distribution().log_density(&[-0.7, 2.1], &[-0.7, 0.0, 2.1, 2.2, f64::NAN]);
        assert!(got[..3].iter().all(|density| (density + 2.8_f64.ln()).abs() < 1e-14));
        assert!(got[3] == f64::NEG_INFINITY && got[4].is_nan());
        distribution().assert_moments();
        distribution().assert_cdf(&[-0.3, 0.0, 2.0]);
        distribution().assert_score(&[-0.6, 0.1, 2.0]);
    }

    #[test]
    fn there_is_nothing_outside() {
        for value in [-0.71, 2.2, 1e300, f64::INFINITY] {
            if value.is_finite() {
                assert_nothing_at(BUILD, &[-0.7, 2.1], value);
            }
            assert_eq!(distribution().log_density(&[-0.7, 2.1], &[value]), [f64::NEG_INFINITY]);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        distribution().assert_draws(21, |x| (x + 0.7) / 2.8);
    }

    #[test]
    fn path_derivatives_are_right() {
        distribution().assert_path(22);
    }

    #[test]
    fn weak_derivatives_are_right() {
        distribution().assert_weak(0, 23);
        distribution().assert_weak(1, 24);
    }

    #[test]
    fn it_is_not_differentiable_by_the_score() {
        let tape = Tape::<f64>::new();
        let uniform = Uniform::new(tape.parameter(0.0), 1.0);
        assert!(uniform.capabilities().score.is_none());
        assert!(
            uniform
                .parameters()
                .iter()
                .all(|p| p.score == Smoothness::Jump && p.path == SamplePath::Recorded(Order::Any))
        );
    }

    #[test]
    fn divergence_is_infinite_unless_contained() {
        let tape = Tape::new();
        let p = Uniform::new(tape.parameter(-0.7), 2.1);
        let divergence = |low: f64, high: f64| p.kl_to(&Uniform::new(tape.constant(low), high));
        distribution().assert_divergence(&[-1.0, 3.0], divergence(-1.0, 3.0).item().unwrap());
        assert_eq!(divergence(-0.7, 2.1).item(), Ok(0.0));
        for (low, high) in [(-0.6, 3.0), (-1.0, 2.0), (5.0, 6.0)] {
            let infinite = divergence(low, high);
            assert_eq!(infinite.item(), Ok(f64::INFINITY));
            let [gradient] = tape.backward(infinite, [p.low()]).unwrap();
            assert_eq!(gradient.item(), Ok(0.0));
        }
    }

    #[test]
    fn extremes_are_finite() {
        for parameters in [[0.0, 1e-8], [1.0, 1.0 + 1e-8], [-1e8, 1e8]] {
            assert_finite(BUILD, &parameters, 25);
        }
    }

    #[test]
    fn a_stored_uniform_binds_again() {
        let tape = Tape::<f64>::new();
        let uniform = Uniform::new(tape.parameter(0.5), tape.parameter(2.0));
        let bound = <Uniform<Id> as Family<f64>>::store(&uniform).bind(&tape, &IdMap::identity()).unwrap();
        assert_eq!((bound.low().id(), bound.high().id()), (uniform.low().id(), uniform.high().id()));
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let validate = |p: [f64; 2]| Uniform::new(tape.constant(p[0]), tape.constant(p[1])).validate();
        assert_eq!(validate([0.0, 1.0]), Ok(()));
        for (wrong, name) in [
            ([f64::NAN, 1.0], "low"),
            ([0.0, f64::INFINITY], "high"),
            ([1.0, 1.0], "high - low"),
            ([2.0, 1.0], "high - low"),
        ] {
            assert!(
                matches!(validate(wrong), Err(DistributionError::Parameter { parameter, .. }) if parameter == name),
                "{wrong:?}"
            );
        }
    }
}
