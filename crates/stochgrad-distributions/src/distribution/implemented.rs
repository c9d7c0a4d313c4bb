//! Finds the capabilities that a type implements, at compile time.
//!
//! A method call prefers a method of the receiver itself to one of a reference to it. Each capability therefore has two
//! traits with a method of the same name: one for the probes of types with the capability, and one for references to
//! the probes of all types.

use crate::distribution::traits::{
    ClosedFormEntropy, ConditionalCumulative, CumulativeDistribution, FiniteSupport, IndependentBits,
    IndependentCategories, IntegerSupport, QuadraticVariance, QuantileFunction, Relaxed, Reparameterized,
    ScoreDifferentiable, StochasticDerivative, Tempered, WeakDerivative, WeaklyReparameterized,
};
use std::marker::PhantomData;
use stochgrad_tensor::Real;

/// A distribution whose capabilities are asked for.
#[derive(Debug)]
pub struct Probe<'a, 't, F: Real, T> {
    distribution: &'a T,
    of: PhantomData<&'t F>,
}

impl<'a, F: Real, T> Probe<'a, '_, F, T> {
    /// A probe of a distribution.
    pub fn new(distribution: &'a T) -> Self {
        Probe { distribution, of: PhantomData }
    }
}

macro_rules! probes {
    ($($capability:ident: $name:ident,)+) => {
        $(
            #[allow(missing_docs)]
            pub mod $capability {
                use super::{Probe, Real, $name};

                pub trait Implemented<'a, 't, F: Real> {
                    fn found(&self) -> Option<&'a dyn $name<'t, F>>;
                }

                impl<'a, 't, F: Real, T: $name<'t, F>> Implemented<'a, 't, F> for Probe<'a, 't, F, T> {
                    fn found(&self) -> Option<&'a dyn $name<'t, F>> {
                        Some(self.distribution)
                    }
                }

                pub trait Missing<'a, 't, F: Real> {
                    fn found(&self) -> Option<&'a dyn $name<'t, F>>;
                }

                impl<'a, 't, F: Real, T> Missing<'a, 't, F> for &Probe<'a, 't, F, T> {
                    fn found(&self) -> Option<&'a dyn $name<'t, F>> {
                        None
                    }
                }
            }
        )+
    };
}

probes! {
    score: ScoreDifferentiable,
    reparameterized: Reparameterized,
    weakly_reparameterized: WeaklyReparameterized,
    independent_bits: IndependentBits,
    independent_categories: IndependentCategories,
    finite_support: FiniteSupport,
    weak_derivative: WeakDerivative,
    stochastic_derivative: StochasticDerivative,
    relaxed: Relaxed,
    quadratic_variance: QuadraticVariance,
    entropy: ClosedFormEntropy,
    cdf: CumulativeDistribution,
    whole_numbers: IntegerSupport,
    icdf: QuantileFunction,
    conditional_cdf: ConditionalCumulative,
    tempered: Tempered,
}

/// Writes [`capabilities`](crate::Distribution::capabilities) inside an implementation of
/// [`Distribution`](crate::Distribution)`<'t, F>`. The capabilities are exactly the capability traits that the type
/// implements.
///
/// Write the method by hand for a distribution that is made of others and whose capabilities depend on theirs.
///
/// ```
/// use stochgrad_distributions::{
///     Distribution, DistributionResult, Draw, ScoreDifferentiable, capabilities, declared, distribution, finite,
/// };
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::Real;
///
/// distribution! {
///     /// A uniform sample from the unit interval, moved by an offset.
///     pub struct Moved {
///         /// The offset.
///         offset: finite,
///     }
///     support: Interval
/// }
///
/// impl<'t, F: Real> Distribution<'t, F> for Moved<Var<'t, F>> {
///     declared!();
///     capabilities!();
///
///     fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> { (value - self.offset) * 0.0 }
///     fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
///         Ok((self.offset + draw.record_uniform(self.offset.tape(), &self.event_shape())?).stop_gradient())
///     }
/// }
///
/// impl<'t, F: Real> ScoreDifferentiable<'t, F> for Moved<Var<'t, F>> {}
///
/// let tape = Tape::<f64>::new();
/// let moved = Moved { offset: tape.constant(2.0) };
/// assert!(moved.capabilities().score.is_some());
/// assert!(moved.capabilities().reparameterized.is_none());
/// assert_eq!(moved.name(), "Moved");
/// ```
#[macro_export]
macro_rules! capabilities {
    () => {
        fn capabilities(&self) -> $crate::Capabilities<'_, 't, F> {
            let probe = &$crate::implemented::Probe::<'_, 't, F, Self>::new(self);
            $crate::Capabilities {
                score: $crate::implemented!(probe, score),
                reparameterized: $crate::implemented!(probe, reparameterized),
                weakly_reparameterized: $crate::implemented!(probe, weakly_reparameterized),
                independent_bits: $crate::implemented!(probe, independent_bits),
                independent_categories: $crate::implemented!(probe, independent_categories),
                finite_support: $crate::implemented!(probe, finite_support),
                weak_derivative: $crate::implemented!(probe, weak_derivative),
                stochastic_derivative: $crate::implemented!(probe, stochastic_derivative),
                relaxed: $crate::implemented!(probe, relaxed),
                quadratic_variance: $crate::implemented!(probe, quadratic_variance),
                entropy: $crate::implemented!(probe, entropy),
                cdf: $crate::implemented!(probe, cdf),
                whole_numbers: $crate::implemented!(probe, whole_numbers),
                icdf: $crate::implemented!(probe, icdf),
                conditional_cdf: $crate::implemented!(probe, conditional_cdf),
                tempered: $crate::implemented!(probe, tempered),
            }
        }
    };
}

/// Asks a probe for one capability.
#[doc(hidden)]
#[macro_export]
macro_rules! implemented {
    ($probe:ident, $capability:ident) => {{
        #[allow(unused_imports)]
        use $crate::implemented::$capability::{Implemented as _, Missing as _};
        $probe.found()
    }};
}
