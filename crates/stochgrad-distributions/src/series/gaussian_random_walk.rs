//! The Gaussian random walk: a sequence with independent normal increments. It is the simplest model of a quantity that
//! wanders, such as a price or the level of a series of measurements.
//!
//! $$x_t = x_{t - 1} + \delta + \sigma \varepsilon_t, \quad t = 1, \dots, T, \quad x_0 \text{ known}, \quad \varepsilon_t \sim \mathcal N(0, 1).$$
//!
//! Parameters: the number of steps $T$, fixed, `initial` $x_0$ and `drift` $\delta$, any real numbers, and `scale`
//! $\sigma > 0$. The parameters broadcast; their axes are independent, and one element is a last axis with $x_1, \dots,
//! x_T$. Support: $\mathbb{R}^T$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x_t = x_0 + \sum_{s \le t} (\delta + \sigma \varepsilon_s)$, any order |
//!
//! For weak derivatives, use a [normal distribution](crate::Normal) of the increments.

use crate::distribution::confine_finite;
use crate::family;
use crate::prelude::*;
use crate::series::{check_steps, later};
use std::f64::consts::PI;

/// Sequences with independent normal increments, given by the number of steps, the value before the first step, the
/// drift and the scale of the increments. One element is the last axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, GaussianRandomWalk};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let walk = GaussianRandomWalk::new(3, tape.constant(1.0), 2.0).with_drift(0.5);
/// assert_eq!(walk.mean().unwrap().peek()?.as_slice(), &[1.5, 2.0, 2.5]);
/// assert_eq!(walk.variance().unwrap().peek()?.as_slice(), &[4.0, 8.0, 12.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaussianRandomWalk<V = stochgrad_tape::Id> {
    steps: usize,
    initial: V,
    drift: V,
    scale: V,
}

impl<V> GaussianRandomWalk<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<GaussianRandomWalk<W>, E> {
        let (initial, drift, scale) = (f(&self.initial)?, f(&self.drift)?, f(&self.scale)?);
        Ok(GaussianRandomWalk { steps: self.steps, initial, drift, scale })
    }
}

family!(GaussianRandomWalk);

impl<'t, F: Real> GaussianRandomWalk<Var<'t, F>> {
    /// Walks of this many steps, at least one, from `initial`, without a drift, with `scale > 0`.
    pub fn new(steps: usize, initial: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        let tape = initial.tape();
        GaussianRandomWalk { steps, initial, drift: tape.constant(0.0), scale: scale.into_var(tape) }
    }

    /// The same walk with this mean of the increments.
    pub fn with_drift(self, drift: impl IntoVar<'t, F>) -> Self {
        GaussianRandomWalk { drift: drift.into_var(self.initial.tape()), ..self }
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    fn independent(&self) -> Shape {
        common_shape(&[self.initial, self.drift, self.scale])
    }

    /// The numbers of the steps, from 1.
    fn numbers(&self) -> Var<'t, F> {
        self.initial.tape().constant_from_fn([self.steps], |step| F::from_usize(step + 1))
    }

    /// The increments of a walk.
    fn increments(&self, value: Var<'t, F>) -> Var<'t, F> {
        let first = self.initial.tape().constant_from_fn([self.steps], |step| F::from_usize(usize::from(step == 0)));
        value - later(value, 1, self.steps) - self.initial.unsqueeze(-1) * first
    }
}

impl<'t, F: Real> Distribution<'t, F> for GaussianRandomWalk<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "GaussianRandomWalk"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("initial", self.initial),
            Parameter::smooth("drift", self.drift),
            Parameter::smooth("scale", self.scale)
        ]
    }

    fn event_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.steps]).collect()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Vectors(self.steps)
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_finite(value, 1, |value| {
            let z = (self.increments(value) - self.drift.unsqueeze(-1)) / self.scale.unsqueeze(-1);
            let height = self.scale.ln() + 0.5 * (2.0 * PI).ln();
            z.square().sum_axis(-1) * -0.5 - height * self.steps as f64
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let mean = self.initial.unsqueeze(-1) + self.drift.unsqueeze(-1) * self.numbers();
        Some(mean.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square().unsqueeze(-1) * self.numbers()).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        check_steps("GaussianRandomWalk", self.steps)?;
        finite("GaussianRandomWalk", "initial", self.initial)?;
        finite("GaussianRandomWalk", "drift", self.drift)?;
        positive("GaussianRandomWalk", "scale", self.scale)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for GaussianRandomWalk<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for GaussianRandomWalk<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        check_steps("GaussianRandomWalk", self.steps)?;
        let noise = draw.record_normal(self.initial.tape(), &self.event_shape())?;
        let increments = self.drift.unsqueeze(-1) + self.scale.unsqueeze(-1) * noise;
        Ok(self.initial.unsqueeze(-1) + increments.cumsum(-1))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for GaussianRandomWalk<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let each = self.scale.ln() + 0.5 * (1.0 + (2.0 * PI).ln());
        (each * self.steps as f64).broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for GaussianRandomWalk<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The increments are independent; the first one starts at the initial value.
        let tape = self.initial.tape();
        if self.steps != other.steps {
            // Sequences of one length have the probability zero among those of another.
            return tape.constant(f64::INFINITY);
        }
        let ratio = self.scale / other.scale;
        let spread = special::deviance(tape.constant(1.0), ratio.square()) * self.steps as f64;
        let drift = (self.drift - other.drift) / other.scale;
        let first = (self.initial - other.initial) / other.scale + drift;
        let divergence = (spread + first.square() + drift.square() * (self.steps as f64 - 1.0)) * 0.5;
        divergence.broadcast_to(Shape::broadcast(&self.independent(), &other.independent()).unwrap_or_default()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multivariate::multivariate_normal::MultivariateNormal;
    use crate::testing::{Build, check_estimators, check_family, check_moments};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(GaussianRandomWalk::new(4, p[0], p[2]).with_drift(p[1]));

    /// The factor of the covariance has the scale in every entry on and below the diagonal.
    fn as_vector<'t>(tape: &'t Tape<f64>, p: [f64; 3]) -> MultivariateNormal<Var<'t, f64>> {
        let factor = Tensor::from_fn([4, 4], |at| if at % 4 <= at / 4 { p[2] } else { 0.0 });
        let location = Tensor::from_fn([4], |step| p[0] + p[1] * (step as f64 + 1.0));
        MultivariateNormal::new(tape.constant(location), tape.constant(factor))
    }

    #[test]
    fn it_is_a_normal_vector() {
        let tape = Tape::<f64>::new();
        let walk = |p: [f64; 3]| GaussianRandomWalk::new(4, tape.constant(p[0]), p[2]).with_drift(p[1]);
        let (own, other) = ([0.3, -0.2, 0.7], [1.0, 0.4, 1.1]);
        let (p, q) = (walk(own), walk(other));
        let x = tape.constant([0.1, 0.5, -0.7, 2.0]);
        for (found, expected) in [
            (p.log_prob(x), as_vector(&tape, own).log_prob(x)),
            (p.entropy(), as_vector(&tape, own).entropy()),
            (p.kl_to(&q), as_vector(&tape, own).kl_to(&as_vector(&tape, other))),
        ] {
            assert_abs_diff_eq!(found.item().unwrap(), expected.item().unwrap(), epsilon = 1e-12);
        }
        check_family(&tape, &p, x);
        assert_eq!(GaussianRandomWalk::new(2, tape.constant(0.0), 1.0).kl_to(&q).item(), Ok(f64::INFINITY));
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        check_moments(BUILD, &[0.3, -0.2, 0.7], 91);
        check_estimators(BUILD, &[0.3, -0.2, 0.7], &[], |x| (x.index(-1, 3) * x.index(-1, 1)).sin(), None, 92);
    }

    #[test]
    fn shapes_and_invalid_parameters() {
        let tape = Tape::<f64>::new();
        let batch = GaussianRandomWalk::new(1, tape.constant([0.0, 1.0, 2.0]), 1.0);
        assert_eq!(batch.event_shape(), Shape::from([3, 1]));
        assert_eq!(batch.log_prob_each(tape.constant([0.5])).shape(), Shape::from([3]));
        assert!(GaussianRandomWalk::new(0, tape.constant(0.0), 1.0).validate().is_err());
        assert!(GaussianRandomWalk::new(2, tape.constant(0.0), -1.0).validate().is_err());
        let far = batch.log_prob(tape.constant([f64::INFINITY]));
        assert_eq!(far.item(), Ok(f64::NEG_INFINITY));
    }
}
