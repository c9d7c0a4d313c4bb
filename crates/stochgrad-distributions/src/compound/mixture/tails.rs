//! Both tails of a mixture of two distributions, and its quantiles.

use crate::compound::inversion::{Tail, invert};
use crate::compound::mixture::Blend;
use crate::distribution::log_unless_likely;
use crate::prelude::*;

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Blend<Var<'t, F>, A, B> {
    /// The quantile, given those of both distributions.
    fn quantile(
        &self,
        probability: Var<'t, F>,
        tail: Tail,
        of_each: &dyn Fn(Var<'t, F>) -> [Var<'t, F>; 2],
    ) -> Var<'t, F> {
        let tape = probability.tape();
        let bracket = |p: Var<'t, F>| {
            let [a, b] = of_each(p);
            [a.minimum(b), a.maximum(b)]
        };
        let (first, second) = (self.weight.probability().held(), self.weight.complement().held());
        let [low, high] = match tail {
            Tail::Lower => [0.0, 1.0],
            Tail::Upper => [1.0, 0.0],
        };
        let ends = [(low, f64::INFINITY), (high, f64::NEG_INFINITY)].map(|(at, nowhere)| {
            let ([a, b], nowhere) = (of_each(tape.constant(at)), tape.constant(nowhere));
            // A distribution of weight 0 does not extend the support.
            [first.select(a, nowhere), second.select(b, nowhere)]
        });
        let [[low, other_low], [high, other_high]] = ends;
        let ends = [low.minimum(other_low).held(), high.maximum(other_high).held()];
        invert(self, probability, tail, bracket, ends)
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> CumulativeDistribution<'t, F>
    for Blend<Var<'t, F>, A, B>
{
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().cdf, self.second.capabilities().cdf) {
            (Some(first), Some(second)) => self.average_probability(first.cdf(value), second.cdf(value)),
            _ => value.tape().constant(f64::NAN),
        }
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().cdf, self.second.capabilities().cdf) {
            (Some(first), Some(second)) => self.average_probability(first.survival(value), second.survival(value)),
            _ => value.tape().constant(f64::NAN),
        }
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().cdf, self.second.capabilities().cdf) {
            (Some(first), Some(second)) => {
                let opposite = self.average_probability(first.survival(value), second.survival(value));
                log_unless_likely(self.log_average(first.log_cdf(value), second.log_cdf(value)), opposite)
            }
            _ => value.tape().constant(f64::NAN),
        }
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().cdf, self.second.capabilities().cdf) {
            (Some(first), Some(second)) => {
                let opposite = self.average_probability(first.cdf(value), second.cdf(value));
                log_unless_likely(self.log_average(first.log_survival(value), second.log_survival(value)), opposite)
            }
            _ => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> QuantileFunction<'t, F> for Blend<Var<'t, F>, A, B> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().icdf, self.second.capabilities().icdf) {
            (Some(first), Some(second)) => {
                self.quantile(probability, Tail::Lower, &|p| [first.icdf(p), second.icdf(p)])
            }
            _ => probability.tape().constant(f64::NAN),
        }
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match (self.first.capabilities().icdf, self.second.capabilities().icdf) {
            (Some(first), Some(second)) => {
                self.quantile(probability, Tail::Upper, &|p| [first.inverse_survival(p), second.inverse_survival(p)])
            }
            _ => probability.tape().constant(f64::NAN),
        }
    }
}
