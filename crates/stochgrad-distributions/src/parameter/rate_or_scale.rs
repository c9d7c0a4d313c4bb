//! The scale of a distribution on the positive numbers, given as a rate or as a scale.

use crate::distribution::Parameter;
use crate::distribution::positive;
use crate::error::DistributionResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// A rate, or its reciprocal, a scale.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RateOrScale<V> {
    Rate(V),
    Scale(V),
}

impl<V> RateOrScale<V> {
    pub(crate) fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<RateOrScale<W>, E> {
        Ok(match self {
            RateOrScale::Rate(v) => RateOrScale::Rate(f(v)?),
            RateOrScale::Scale(v) => RateOrScale::Scale(f(v)?),
        })
    }
}

impl<'t, F: Real> RateOrScale<Var<'t, F>> {
    pub(crate) fn var(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) | RateOrScale::Scale(v) => v,
        }
    }

    pub(crate) fn parameter(&self) -> Parameter<'t, F> {
        match *self {
            RateOrScale::Rate(v) => Parameter::smooth("rate", v),
            RateOrScale::Scale(v) => Parameter::smooth("scale", v),
        }
    }

    pub(crate) fn rate(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v,
            RateOrScale::Scale(v) => v.recip(),
        }
    }

    pub(crate) fn scale(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v.recip(),
            RateOrScale::Scale(v) => v,
        }
    }

    pub(crate) fn log_rate(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => v.ln(),
            RateOrScale::Scale(v) => -v.ln(),
        }
    }

    /// The rate of another parameter over the own rate.
    pub(crate) fn rate_ratio(&self, other: &Self) -> Var<'t, F> {
        match (*self, *other) {
            (RateOrScale::Rate(own), RateOrScale::Rate(others)) => others / own,
            (RateOrScale::Rate(own), RateOrScale::Scale(others)) => (own * others).recip(),
            (RateOrScale::Scale(own), RateOrScale::Rate(others)) => own * others,
            (RateOrScale::Scale(own), RateOrScale::Scale(others)) => own / others,
        }
    }

    /// A value in units of the scale.
    pub(crate) fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => value * v,
            RateOrScale::Scale(v) => value / v,
        }
    }

    /// The value that equals `standard` in units of the scale.
    pub(crate) fn stretch(&self, standard: Var<'t, F>) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(v) => standard / v,
            RateOrScale::Scale(v) => standard * v,
        }
    }

    pub(crate) fn validate(&self, distribution: &'static str) -> DistributionResult<()> {
        let parameter = self.parameter();
        positive(distribution, parameter.name, parameter.var)
    }

    /// The derivative of the logarithm of the scale with respect to the parameter.
    pub(crate) fn log_scale_slope(&self) -> Var<'t, F> {
        match *self {
            RateOrScale::Rate(rate) => -rate.recip(),
            RateOrScale::Scale(scale) => scale.recip(),
        }
    }
}
