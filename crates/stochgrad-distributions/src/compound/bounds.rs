//! What truncated and censored distributions have in common: two bounds, either of which may be infinite, and a
//! distribution of numbers or counts whose distribution function says what lies between them.

use crate::distribution::{above, one_minus_exp};
use crate::error::DistributionError;
use crate::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::LN_2;
use stochgrad_tensor::map::Map;

/// Whether the values are counts, bits or categories as integers.
pub(crate) fn is_count<'t, F: Real>(base: &dyn Distribution<'t, F>) -> bool {
    matches!(base.support(), Support::Bits | Support::Categories(_) | Support::Counts)
}

/// Checks that a distribution has the values that bounds apply to, and that the bounds fit its elements.
///
/// # Errors
/// If the distribution is none of single real numbers or of counts, has no distribution function, or if a bound does not
/// broadcast to its elements.
pub(crate) fn check_bounds<'t, F: Real>(
    distribution: &'static str,
    bounds: &[Var<'t, F>],
    base: &dyn Distribution<'t, F>,
) -> DistributionResult<()> {
    let unsupported = |problem: String| Err(DistributionError::Unsupported { distribution, problem });
    let support = base.support();
    let is_number = support.is_continuous_scalar() && support != Support::Angles;
    if !(is_number || is_count(base)) || base.element_rank() > 0 {
        return unsupported(format!(
            "expected a distribution of single real numbers or of counts, got {} with the support {support:?}; shift \
             integers to counts, or reject samples yourself",
            base.name()
        ));
    }
    if base.capabilities().cdf.is_none() {
        return unsupported(format!(
            "expected a distribution with a distribution function, got {}, which has none",
            base.name()
        ));
    }
    let event = base.event_shape();
    for bound in bounds {
        let rows = bound.shape();
        if Shape::broadcast(&rows, &event).is_none_or(|shape| shape != event) {
            return unsupported(format!(
                "expected bounds whose event shapes broadcast to {event}, that of {}, got {rows}; give {} parameters of \
                 the full shape",
                base.name(),
                base.name()
            ));
        }
    }
    Ok(())
}

/// The logarithms of the probabilities beyond a and beyond b on the same side, the one on which both are smaller. The
/// first one is the larger one.
fn tails<'t, F: Real>(base: &dyn CumulativeDistribution<'t, F>, a: Var<'t, F>, b: Var<'t, F>) -> [Var<'t, F>; 2] {
    let below_a = base.log_cdf(a);
    let upper = above(below_a, -LN_2);
    [upper.select(base.log_survival(a), base.log_cdf(b)), upper.select(base.log_survival(b), below_a)]
}

/// The share of a tail that lies between a and b. [`log_between`] has the error of the tail divided by it.
pub(crate) fn share_between<'t, F: Real>(
    base: &dyn CumulativeDistribution<'t, F>,
    a: Var<'t, F>,
    b: Var<'t, F>,
) -> Var<'t, F> {
    let [larger, smaller] = tails(base, a, b);
    one_minus_exp(larger - smaller)
}

/// The logarithm of P(a < X ≤ b), from the tail in which it has more digits; −∞ with derivatives of 0 where that
/// underflows. Its absolute error is that of the distribution function over the share of the tail that lies between.
pub(crate) fn log_between<'t, F: Real>(
    base: &dyn CumulativeDistribution<'t, F>,
    a: Var<'t, F>,
    b: Var<'t, F>,
) -> Var<'t, F> {
    let [larger, smaller] = tails(base, a, b);
    let [zero, nothing] = [0.0, f64::NEG_INFINITY].map(|number| a.tape().constant(number));
    let possible = larger.held().gt(nothing);
    let larger = possible.select(larger, zero);
    // A tail that does not matter has no derivative either: its own may overflow.
    let matters = above((smaller - larger).held(), F::MIN_POSITIVE.to_f64().ln());
    let excess = (possible * matters).select(smaller - larger, nothing);
    let log = larger + special::log1mexp(excess.map(Map::MinScalar(0.0)));
    let log = possible.select(log, nothing);
    // NaN stays NaN.
    let known = (base.log_cdf(a) + base.log_cdf(b)).map(Map::IsNan);
    let log = known.select(zero + f64::NAN, log);
    log.held().gt(nothing).select(log, log.held())
}

/// The quantile where these are the probabilities below and above it: from the smaller one, which has more digits.
pub(crate) fn quantile_from<'t, F: Real>(
    base: &dyn QuantileFunction<'t, F>,
    below: Var<'t, F>,
    above: Var<'t, F>,
) -> Var<'t, F> {
    let half = below.tape().constant(0.5);
    let lower = below.held().lt(half);
    let [from_below, from_above] = [lower.select(below, half), lower.select(half, above)];
    lower.select(base.icdf(from_below), base.inverse_survival(from_above))
}

/// Counts where noise is not recorded, by inversion: the exact oracle splits it instead.
pub(crate) fn inverted_counts<'t, F: Real>(
    counts: &dyn CumulativeDistribution<'t, F>,
    tape: &'t stochgrad_tape::Tape<F>,
    draw: &Draw<'_, F>,
) -> DistributionResult<Tensor<F>> {
    let event = counts.event_shape();
    let known: RefCell<HashMap<u64, Tensor<F>>> = RefCell::default();
    let failure = RefCell::new(None);
    let cdf = |element: usize, k: u64| {
        let mut known = known.borrow_mut();
        let at = match known.get(&k) {
            Some(at) => at,
            None => {
                let survival = counts.survival(tape.constant(k as f64)).broadcast_to(event.clone());
                match draw.parameter(survival, &event) {
                    Ok(at) => known.entry(k).or_insert(at),
                    Err(error) => {
                        failure.replace(Some(error));
                        return 1.0;
                    }
                }
            }
        };
        1.0 - at.as_slice()[element].to_f64()
    };
    let counts = draw.invert(&event, &cdf)?;
    failure.into_inner().map_or(Ok(counts), Err)
}

/// Writes the type `$name` around the inner type `$inner`, which has a distribution `base` and bounds `low` and `high`,
/// its constructor's accessors, and its stored forms.
macro_rules! bounded {
    ($(#[$meta:meta])* $name:ident, $inner:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<V, D> {
            inner: $inner<V, D>,
        }

        /// The same without conditions on the distribution inside.
        #[derive(Clone, Copy, Debug)]
        struct $inner<V, D> {
            base: D,
            low: V,
            high: V,
        }

        impl<V, D> $name<V, D> {
            /// The distribution without the bounds.
            pub fn base(&self) -> &D {
                &self.inner.base
            }

            /// The lower bound.
            pub fn low(&self) -> &V {
                &self.inner.low
            }

            /// The upper bound.
            pub fn high(&self) -> &V {
                &self.inner.high
            }
        }

        impl<F: Real, S: $crate::Family<F>> $crate::Family<F> for $name<stochgrad_tape::Id, S> {
            type On<'t> = $name<Var<'t, F>, S::On<'t>>;

            fn store(live: &Self::On<'_>) -> Self {
                let $inner { base, low, high } = &live.inner;
                $name { inner: $inner { base: S::store(base), low: low.id(), high: high.id() } }
            }

            fn bind<'t>(
                &self,
                tape: &'t stochgrad_tape::Tape<F>,
                ids: &stochgrad_tape::IdMap,
            ) -> DistributionResult<Self::On<'t>> {
                let $inner { base, low, high } = &self.inner;
                let [low, high] = [tape.var(ids.get(*low))?, tape.var(ids.get(*high))?];
                Ok($name { inner: $inner { base: base.bind(tape, ids)?, low, high } })
            }
        }

        impl<'t, F: Real, D: $crate::Live<'t, F>> $crate::Live<'t, F> for $name<Var<'t, F>, D> {
            type Family = $name<stochgrad_tape::Id, D::Family>;
        }

        impl<F: Real, D: $crate::TensorDistribution<F>> $crate::TensorDistribution<F> for $name<Tensor<F>, D> {
            type On<'t> = $name<Var<'t, F>, D::On<'t>>;

            fn on<'t>(&self, tape: &'t stochgrad_tape::Tape<F>) -> Self::On<'t> {
                let $inner { base, low, high } = &self.inner;
                $name { inner: $inner { base: base.on(tape), low: tape.constant(low), high: tape.constant(high) } }
            }
        }

        impl<'t, F: Real, D: $crate::ToTensors<'t, F>> $crate::ToTensors<'t, F> for $name<Var<'t, F>, D> {
            type Tensors = $name<Tensor<F>, D::Tensors>;

            fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
                let $inner { base, low, high } = &self.inner;
                Ok($name { inner: $inner { base: base.to_tensors()?, low: low.peek()?, high: high.peek()? } })
            }
        }

        $crate::sampled_by_rand!([D: $crate::TensorDistribution<F>] $name<Tensor<F>, D>);

        $crate::compound::wrapper::delegate!([D: Distribution<'t, F>] $name<Var<'t, F>, D>);

        impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for $inner<Var<'t, F>, D> {}

        // The bounds of counts have no derivative, so that the support is the same for all parameters.
        impl<'t, F: Real, D: $crate::IntegerSupport<'t, F> + ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F>
            for $name<Var<'t, F>, D>
        {
        }

        impl<'t, F: Real, D: Reparameterized<'t, F> + CumulativeDistribution<'t, F>> Reparameterized<'t, F>
            for $name<Var<'t, F>, D>
        {
            fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
                self.inner.rsample(draw)
            }
        }

        $crate::compound::bounds::delegate_tails!($name<Var<'t, F>, D>);
    };
}

/// Implements the distribution functions and the quantiles for a type with a field `inner`.
macro_rules! delegate_tails {
    ($outer:ty) => {
        impl<'t, F: Real, D: CumulativeDistribution<'t, F>> CumulativeDistribution<'t, F> for $outer {
            fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.cdf(value)
            }

            fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.survival(value)
            }

            fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.log_cdf(value)
            }

            fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.log_survival(value)
            }
        }

        impl<'t, F: Real, D: QuantileFunction<'t, F>> QuantileFunction<'t, F> for $outer {
            fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
                self.inner.icdf(probability)
            }

            fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
                self.inner.inverse_survival(probability)
            }
        }
    };
}

pub(crate) use bounded;
pub(crate) use delegate_tails;
