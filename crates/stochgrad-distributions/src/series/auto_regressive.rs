//! The autoregressive process of order p: a sequence in which each value is a linear function of the p values before it,
//! plus normal noise. It models series of measurements with memory and oscillations.
//!
//! $$x_t = c + \sum_{i=1}^{p} \varphi_i x_{t - i} + \sigma \varepsilon_t, \quad t = 1, \dots, T, \quad x_{1 - p}, \dots, x_0 \text{ known}, \quad \varepsilon_t \sim \mathcal N(0, 1).$$
//!
//! Parameters: the number of steps $T$, fixed; `initial`, the $p$ values before the first step with the latest one last,
//! and `coefficients` $\varphi$ with that of the latest value first, both along a last axis; `intercept` $c$, any real
//! number, and `scale` $\sigma > 0$. The axes of the last two, and those of the others before the last one, broadcast;
//! they are independent. One element is a last axis with $x_1, \dots, x_T$. The coefficients need not be those of a
//! stationary process. Support: $\mathbb{R}^T$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | the recursion itself, any order |
//!
//! The density is a product over the steps and is recorded without a loop; a draw records a loop over the steps.

use crate::distribution::confine_finite;
use crate::error::DistributionError;
use crate::family;
use crate::prelude::*;
use crate::series::{check_recorded_steps, check_steps, in_order, later};
use std::f64::consts::PI;

/// Sequences in which each value is a linear function of those before it plus normal noise, given by the number of
/// steps, the values before the first step, and the coefficients. One element is the last axis.
///
/// ```
/// use stochgrad_distributions::{AutoRegressive, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// // Each value is half of the latest one plus a quarter of that before it.
/// let series = AutoRegressive::new(3, tape.constant([4.0, 8.0]), tape.constant([0.5, 0.25]), 1.0);
/// assert_eq!(series.mean().unwrap().peek()?.as_slice(), &[5.0, 4.5, 3.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AutoRegressive<V = stochgrad_tape::Id> {
    steps: usize,
    initial: V,
    coefficients: V,
    intercept: V,
    scale: V,
}

impl<V> AutoRegressive<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<AutoRegressive<W>, E> {
        Ok(AutoRegressive {
            steps: self.steps,
            initial: f(&self.initial)?,
            coefficients: f(&self.coefficients)?,
            intercept: f(&self.intercept)?,
            scale: f(&self.scale)?,
        })
    }
}

family!(AutoRegressive);

impl<'t, F: Real> AutoRegressive<Var<'t, F>> {
    /// Sequences of this many steps, at least one, after the values `initial` (the latest last), with these
    /// `coefficients` (that of the latest value first), no intercept, and noise of `scale > 0`.
    pub fn new(steps: usize, initial: Var<'t, F>, coefficients: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        let tape = initial.tape();
        AutoRegressive { steps, initial, coefficients, intercept: tape.constant(0.0), scale: scale.into_var(tape) }
    }

    /// The same process with this intercept.
    pub fn with_intercept(self, intercept: impl IntoVar<'t, F>) -> Self {
        AutoRegressive { intercept: intercept.into_var(self.initial.tape()), ..self }
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The order p.
    pub fn order(&self) -> usize {
        self.coefficients.shape().last().copied().unwrap_or(0)
    }

    fn independent(&self) -> Shape {
        let rows = |var: Var<'t, F>| -> Shape {
            let shape = var.shape();
            shape.iter().take(shape.len().saturating_sub(1)).copied().collect()
        };
        let both = Shape::broadcast(&rows(self.initial), &rows(self.coefficients)).unwrap_or_default();
        Shape::broadcast(&both, &common_shape(&[self.intercept, self.scale])).unwrap_or_default()
    }

    fn check(&self) -> DistributionResult<()> {
        check_steps("AutoRegressive", self.steps)?;
        let (order, initial) = (self.order(), self.initial.shape().last().copied().unwrap_or(0));
        if order > 0 && order == initial {
            return Ok(());
        }
        let problem = format!(
            "expected as many initial values as coefficients along the last axis, at least one, got {initial} values \
             and {order} coefficients"
        );
        Err(DistributionError::Unsupported { distribution: "AutoRegressive", problem })
    }

    /// What follows a step of a sequence that starts with these values, the latest last.
    fn next(&self, sequence: &[Var<'t, F>]) -> Option<Var<'t, F>> {
        let terms = sequence.iter().rev().take(self.order()).enumerate();
        terms.map(|(lag, &value)| self.coefficients.index(-1, lag) * value).reduce(|a, b| a + b)
    }

    /// The sequence with these inputs of the steps in place of the noise.
    fn recursion(&self, input: impl Fn(usize) -> Var<'t, F>) -> DistributionResult<Var<'t, F>> {
        self.check()?;
        check_recorded_steps("AutoRegressive", self.steps)?;
        let independent = self.independent();
        let mut sequence: Vec<Var<'t, F>> = (0..self.order()).map(|at| self.initial.index(-1, at)).collect();
        for step in 0..self.steps {
            let own = input(step) + self.intercept;
            let value = self.next(&sequence).map_or(own, |before| before + own);
            sequence.push(value.broadcast_to(independent.clone()));
        }
        in_order(&sequence[self.order()..], -1)
    }
}

impl<'t, F: Real> Distribution<'t, F> for AutoRegressive<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "AutoRegressive"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("initial", self.initial),
            Parameter::smooth("coefficients", self.coefficients),
            Parameter::smooth("intercept", self.intercept),
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
        let (steps, order) = (self.steps, self.order());
        confine_finite(value, 1, |value| {
            let mut rest = value - self.intercept.unsqueeze(-1);
            for lag in 1..=order {
                // The values before the first step come first, as many as the lag.
                let known = self.initial.slice(-1, order - lag..order - lag + lag.min(steps));
                let before = later(value, lag, steps) + known.pad(-1, 0, steps - lag.min(steps));
                rest = rest - self.coefficients.slice(-1, lag - 1..lag) * before;
            }
            let height = self.scale.ln() + 0.5 * (2.0 * PI).ln();
            (rest / self.scale.unsqueeze(-1)).square().sum_axis(-1) * -0.5 - height * steps as f64
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let zero = self.initial.tape().constant(0.0);
        self.recursion(|_| zero).ok()
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // The response to the noise of a single step, whose squares add up.
        self.check().and_then(|()| check_recorded_steps("AutoRegressive", self.steps)).ok()?;
        let shape = self.independent();
        let mut response = vec![self.scale.broadcast_to(shape.clone())];
        for _ in 1..self.steps {
            response.push(self.next(&response)?.broadcast_to(shape.clone()));
        }
        Some(in_order(&response, -1).ok()?.square().cumsum(-1))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        self.check()?;
        finite("AutoRegressive", "initial", self.initial)?;
        finite("AutoRegressive", "coefficients", self.coefficients)?;
        finite("AutoRegressive", "intercept", self.intercept)?;
        positive("AutoRegressive", "scale", self.scale)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for AutoRegressive<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for AutoRegressive<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_normal(self.initial.tape(), &self.event_shape())?;
        let values = self.recursion(|step| noise.index(-1, step) * self.scale)?;
        // Coefficients outside of the stable range let sequences grow beyond all numbers.
        let hint = "the sequence grows beyond all numbers; use coefficients of a stable sequence, or fewer steps";
        check_parameter("AutoRegressive", "values", values, "finite numbers", hint, Condition::Finite)?;
        Ok(values)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for AutoRegressive<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let each = self.scale.ln() + 0.5 * (1.0 + (2.0 * PI).ln());
        (each * self.steps as f64).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::GaussianRandomWalk;
    use crate::testing::{Build, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build =
        |p| Box::new(AutoRegressive::new(5, vector(&p[..2]), vector(&p[2..4]), p[5]).with_intercept(p[4]));

    const ORDINARY: [f64; 6] = [0.3, -1.0, 0.6, -0.4, 0.2, 0.7];

    #[test]
    fn with_a_coefficient_of_one_it_is_a_random_walk() {
        let tape = Tape::<f64>::new();
        let (initial, drift, scale) = (tape.parameter(0.3), tape.parameter(-0.2), tape.parameter(0.7));
        let one = tape.constant([1.0]);
        let series = AutoRegressive::new(4, initial.reshape([1]), one, scale).with_intercept(drift);
        let walk = GaussianRandomWalk::new(4, initial, scale).with_drift(drift);
        let x = tape.constant([0.1, 0.5, -0.7, 2.0]);
        assert_abs_diff_eq!(series.log_prob(x).item().unwrap(), walk.log_prob(x).item().unwrap(), epsilon = 1e-13);
        assert_abs_diff_eq!(series.entropy().item().unwrap(), walk.entropy().item().unwrap(), epsilon = 1e-13);
        for (found, expected) in [(series.mean(), walk.mean()), (series.variance(), walk.variance())] {
            let [found, expected] = [found, expected].map(|each| each.unwrap().peek().unwrap().to_vec());
            for (found, expected) in found.iter().zip(expected) {
                assert_abs_diff_eq!(*found, expected, epsilon = 1e-13);
            }
        }
        check_family(&tape, &series, x);
    }

    /// With more coefficients than steps, the initial values fill the gap.
    #[test]
    fn densities_are_products_over_the_steps() {
        let tape = Tape::<f64>::new();
        let initial = [0.5, -1.0, 2.0];
        let coefficients = [0.3, -0.2, 0.1];
        for x in [vec![0.4], vec![0.4, -0.9], vec![0.4, -0.9, 1.1, 0.2, 0.0]] {
            let all: Vec<f64> = initial.iter().chain(&x).copied().collect();
            let log: f64 = (3..all.len())
                .map(|t| {
                    let mean = 0.2 + (0..3).map(|lag| coefficients[lag] * all[t - 1 - lag]).sum::<f64>();
                    let z = (all[t] - mean) / 0.7;
                    -0.5 * z * z - 0.7_f64.ln() - 0.5 * (2.0 * PI).ln()
                })
                .sum();
            let series = AutoRegressive::new(x.len(), tape.constant(initial), tape.constant(coefficients), 0.7);
            let found = series.with_intercept(0.2).log_prob(tape.constant(x)).item().unwrap();
            assert_abs_diff_eq!(found, log, epsilon = 1e-13);
        }
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        check_moments(BUILD, &ORDINARY, 94);
        check_estimators(BUILD, &ORDINARY, &[], |x| (x.index(-1, 4) * x.index(-1, 1)).sin(), None, 95);
    }

    #[test]
    fn shapes_and_invalid_parameters() {
        let tape = Tape::<f64>::new();
        let (initial, coefficients) = (tape.constant([[0.0, 1.0], [2.0, 3.0]]), tape.constant([0.5, 0.1]));
        let batch = AutoRegressive::new(3, initial, coefficients, tape.constant([[1.0], [2.0], [0.5]]));
        assert_eq!(batch.event_shape(), Shape::from([3, 2, 3]));
        assert_eq!(batch.log_prob_each(tape.constant([0.5, 0.1, 0.2])).shape(), Shape::from([3, 2]));
        assert_eq!(batch.mean().unwrap().shape(), batch.event_shape());
        assert_eq!(batch.variance().unwrap().shape(), batch.event_shape());
        assert!(AutoRegressive::new(0, initial, coefficients, 1.0).validate().is_err());
        assert!(AutoRegressive::new(2, initial, tape.constant([0.5]), 1.0).validate().is_err());
        assert!(AutoRegressive::new(2, initial, coefficients, 0.0).validate().is_err());
    }
}
