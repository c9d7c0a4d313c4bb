//! Both tails of a transformed distribution, and its quantiles.

use crate::compound::invertible_map::{InvertibleMap, OwnSample};
use crate::compound::transformed::Image;
use crate::prelude::*;
use stochgrad_tape::Op;

impl<D, B> Image<D, B> {
    /// `rising` where the map rises, and `falling` where it falls. Where this is known, only one of them is recorded.
    fn by_direction<'t, F: Real>(
        &self,
        like: Var<'t, F>,
        rising: impl FnOnce() -> Var<'t, F>,
        falling: impl FnOnce() -> Var<'t, F>,
    ) -> Var<'t, F>
    where
        B: InvertibleMap<'t, F>,
    {
        let direction = self.bijector.direction(like);
        let fixed = matches!(direction.op(), Some(Op::Leaf { trainable: false })).then(|| direction.inspect());
        match fixed {
            Some(Ok(direction)) if direction.as_slice().iter().all(|&sign| sign > F::ZERO) => rising(),
            _ => (-direction).held().step().select(falling(), rising()),
        }
    }

    /// A function of the tails: `rising` or `falling` of the preimage, and outside of the image `[below, above]`.
    fn of_tails<'t, F: Real>(
        &self,
        value: Var<'t, F>,
        rising: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
        falling: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
        outside: [f64; 2],
    ) -> Var<'t, F>
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        let own = OwnSample::find(&self.bijector, value);
        let at = |y: Var<'t, F>| {
            let x = self.bijector.preimage(y, own).value;
            self.by_direction(y, || rising(x), || falling(x))
        };
        let Some(distance) = self.bijector.distance(value) else { return at(value) };
        let zero = value.tape().constant(0.0);
        let distance = own.map_or(distance, |own| own.mask().select(value.tape().constant(1.0), distance));
        // NaN is not outside.
        let beyond = distance.held().le(zero);
        let within = self.within(value);
        let [below, above] = outside.map(|end| value.tape().constant(end));
        beyond.select(value.held().gt(within).select(above, below), at(beyond.select(within, value)))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> CumulativeDistribution<'t, F> for Image<D, B> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().cdf.filter(|_| self.of_numbers()) {
            Some(inside) => self.of_tails(value, &|x| inside.cdf(x), &|x| inside.survival(x), [0.0, 1.0]),
            None => value.tape().constant(f64::NAN),
        }
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().cdf.filter(|_| self.of_numbers()) {
            Some(inside) => self.of_tails(value, &|x| inside.survival(x), &|x| inside.cdf(x), [1.0, 0.0]),
            None => value.tape().constant(f64::NAN),
        }
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let ends = [f64::NEG_INFINITY, 0.0];
        match self.base.capabilities().cdf.filter(|_| self.of_numbers()) {
            Some(inside) => self.of_tails(value, &|x| inside.log_cdf(x), &|x| inside.log_survival(x), ends),
            None => value.tape().constant(f64::NAN),
        }
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        let ends = [0.0, f64::NEG_INFINITY];
        match self.base.capabilities().cdf.filter(|_| self.of_numbers()) {
            Some(inside) => self.of_tails(value, &|x| inside.log_survival(x), &|x| inside.log_cdf(x), ends),
            None => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> QuantileFunction<'t, F> for Image<D, B> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let Some(inside) = self.base.capabilities().icdf else { return probability.tape().constant(f64::NAN) };
        let (rising, falling) = (|| inside.icdf(probability), || inside.inverse_survival(probability));
        self.bijector.forward(self.by_direction(probability, rising, falling))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let Some(inside) = self.base.capabilities().icdf else { return probability.tape().constant(f64::NAN) };
        let (rising, falling) = (|| inside.inverse_survival(probability), || inside.icdf(probability));
        self.bijector.forward(self.by_direction(probability, rising, falling))
    }
}
