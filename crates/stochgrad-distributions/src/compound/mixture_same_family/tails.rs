//! Both tails of a mixture of one family, and its quantiles.

use crate::compound::inversion::{Tail, invert};
use crate::compound::mixture_same_family::Blend;
use crate::distribution::log_unless_likely;
use crate::prelude::*;

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    /// The quantile, given those of the components.
    fn quantile(&self, probability: Var<'t, F>, tail: Tail, of_each: &dyn Fn(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        let tape = probability.tape();
        let bracket = |p: Var<'t, F>| {
            let all = of_each(self.wide(p));
            [-(-all).max_axis(-1), all.max_axis(-1)]
        };
        // A component of weight 0 does not extend the support.
        let weights = self.weights.probabilities().held();
        let nowhere = tape.constant(f64::NEG_INFINITY);
        let farthest = |end: Var<'t, F>| weights.select(end, nowhere).max_axis(-1).held();
        let [low, high] = match tail {
            Tail::Lower => [0.0, 1.0],
            Tail::Upper => [1.0, 0.0],
        };
        let ends = [-farthest(-of_each(tape.constant(low))), farthest(of_each(tape.constant(high)))];
        invert(self, probability, tail, bracket, ends)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for Blend<Var<'t, F>, D> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().cdf {
            Some(inside) => self.average_probability(inside.cdf(self.wide(value))),
            None => value.tape().constant(f64::NAN),
        }
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().cdf {
            Some(inside) => self.average_probability(inside.survival(self.wide(value))),
            None => value.tape().constant(f64::NAN),
        }
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().cdf {
            Some(inside) => {
                let wide = self.wide(value);
                let opposite = self.average_probability(inside.survival(wide));
                log_unless_likely(self.log_average(inside.log_cdf(wide)), opposite)
            }
            None => value.tape().constant(f64::NAN),
        }
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().cdf {
            Some(inside) => {
                let wide = self.wide(value);
                let opposite = self.average_probability(inside.cdf(wide));
                log_unless_likely(self.log_average(inside.log_survival(wide)), opposite)
            }
            None => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Blend<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().icdf {
            Some(inside) => self.quantile(probability, Tail::Lower, &|p| inside.icdf(p)),
            None => probability.tape().constant(f64::NAN),
        }
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().icdf {
            Some(inside) => self.quantile(probability, Tail::Upper, &|p| inside.inverse_survival(p)),
            None => probability.tape().constant(f64::NAN),
        }
    }
}
