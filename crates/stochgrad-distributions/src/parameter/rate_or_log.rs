//! A rate as a parameter, given as the rate or by its logarithm.

use stochgrad_tape::{Var, special};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// How a rate is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RateOrLog<V> {
    Rate(V),
    Log(V),
}

impl<V> RateOrLog<V> {
    pub(crate) fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<RateOrLog<W>, E> {
        Ok(match self {
            RateOrLog::Rate(v) => RateOrLog::Rate(f(v)?),
            RateOrLog::Log(v) => RateOrLog::Log(f(v)?),
        })
    }
}

impl<'t, F: Real> RateOrLog<Var<'t, F>> {
    pub(crate) fn var(&self) -> Var<'t, F> {
        match *self {
            RateOrLog::Rate(v) | RateOrLog::Log(v) => v,
        }
    }

    pub(crate) fn rate(&self) -> Var<'t, F> {
        match *self {
            RateOrLog::Rate(rate) => rate,
            RateOrLog::Log(log) => log.exp(),
        }
    }

    /// The logarithm, which is −∞ at a rate of 0 with a derivative that is finite there.
    pub(crate) fn log(&self) -> Var<'t, F> {
        match *self {
            RateOrLog::Rate(rate) => rate.map(Map::LnHeld),
            RateOrLog::Log(log) => log,
        }
    }

    /// The divergence of Poisson distributions with these rates: infinite where only the other rate is 0.
    pub(crate) fn kl_to(&self, other: &Self) -> Var<'t, F> {
        match (*self, *other) {
            (RateOrLog::Rate(own), RateOrLog::Rate(others)) => special::deviance(own, others),
            _ => special::deviance_by_log(self.log(), other.log()),
        }
    }
}
