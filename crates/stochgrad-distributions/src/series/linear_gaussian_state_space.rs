//! The linear Gaussian state space model: noisy observations of a hidden vector that moves linearly with normal noise. It
//! models tracking, trends and seasons, and its density is that of the Kalman filter.
//!
//! $$z_1 \sim \mathcal N(m, P P^\top), \quad z_t = A z_{t - 1} + Q \varepsilon_t, \quad y_t = C z_t + R \eta_t, \quad t = 1, \dots, T.$$
//!
//! The distribution is that of the observations $y_1, \dots, y_T$, with the states integrated out.
//!
//! Parameters: the number of steps $T$, fixed, and the fields of [`StateSpace`]: `initial_location` $m \in \mathbb{R}^d$,
//! `initial_scale_tril` $P$ ($d \times d$), `transition` $A$ ($d \times d$), `transition_scale_tril` $Q$ ($d \times d$),
//! `observation` $C$ ($k \times d$) and `observation_scale_tril` $R$ ($k \times k$). Names with `scale_tril` are lower
//! Cholesky factors of covariances. The axes before these are independent and broadcast; one element is the last two
//! axes: the steps, then the coordinates of an observation. Support: real matrices.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | the recursion itself, any order |
//!
//! The covariances of the filter do not depend on the observations, so that the entropy has a closed form as well. They
//! are updated in Joseph's form, which keeps them positive definite in spite of rounding.
//!
//! Source: Kalman, "A new approach to linear filtering and prediction problems", 1960; Särkkä, "Bayesian filtering and
//! smoothing", 2013.

use crate::distribution::confine_finite;
use crate::error::DistributionError;
use crate::family;
use crate::multivariate::multivariate_normal::{apply, check_triangle, solve};
use crate::prelude::*;
use crate::series::{check_recorded_steps, failed, in_order};
use std::f64::consts::PI;

/// The parameters of a [`LinearGaussianStateSpace`], by name.
#[derive(Clone, Copy, Debug)]
pub struct StateSpace<V = stochgrad_tape::Id> {
    /// The mean of the first state.
    pub initial_location: V,
    /// The lower Cholesky factor of the covariance of the first state.
    pub initial_scale_tril: V,
    /// The matrix that takes a state to the mean of the next one.
    pub transition: V,
    /// The lower Cholesky factor of the covariance of the noise of states.
    pub transition_scale_tril: V,
    /// The matrix that takes a state to the mean of its observation.
    pub observation: V,
    /// The lower Cholesky factor of the covariance of the noise of observations.
    pub observation_scale_tril: V,
}

/// Observations of a hidden state that moves linearly with normal noise. One element is the last two axes: the steps,
/// then the coordinates of an observation.
///
/// ```
/// use stochgrad_distributions::{Distribution, LinearGaussianStateSpace, StateSpace};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// // A level that wanders with steps of 0.5, seen with errors of 1.
/// let matrix = |x: f64| tape.constant([[x]]);
/// let level = LinearGaussianStateSpace::new(3, StateSpace {
///     initial_location: tape.constant([2.0]),
///     initial_scale_tril: matrix(1.0),
///     transition: matrix(1.0),
///     transition_scale_tril: matrix(0.5),
///     observation: matrix(1.0),
///     observation_scale_tril: matrix(1.0),
/// });
/// assert_eq!(level.variance().unwrap().peek()?.as_slice(), &[2.0, 2.25, 2.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinearGaussianStateSpace<V = stochgrad_tape::Id> {
    steps: usize,
    parameters: StateSpace<V>,
}

impl<V> LinearGaussianStateSpace<V> {
    /// Observations in this many steps, at least one, with these parameters.
    pub fn new(steps: usize, parameters: StateSpace<V>) -> Self {
        LinearGaussianStateSpace { steps, parameters }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<LinearGaussianStateSpace<W>, E> {
        let own = &self.parameters;
        let parameters = StateSpace {
            initial_location: f(&own.initial_location)?,
            initial_scale_tril: f(&own.initial_scale_tril)?,
            transition: f(&own.transition)?,
            transition_scale_tril: f(&own.transition_scale_tril)?,
            observation: f(&own.observation)?,
            observation_scale_tril: f(&own.observation_scale_tril)?,
        };
        Ok(LinearGaussianStateSpace { steps: self.steps, parameters })
    }
}

family!(LinearGaussianStateSpace);

fn square<F: Real>(factor: Var<'_, F>) -> Var<'_, F> {
    factor.matmul(factor.transpose())
}

/// What a step of the filter needs that does not depend on the observations.
struct Step<'t, F: Real> {
    /// The lower Cholesky factor of the covariance of the observation, given those before it.
    factor: Var<'t, F>,
    /// The matrix that takes the error of the prediction of an observation to the correction of the state.
    gain: Var<'t, F>,
}

impl<'t, F: Real> LinearGaussianStateSpace<Var<'t, F>> {
    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The numbers of coordinates of a state and of an observation.
    pub fn dimensions(&self) -> [usize; 2] {
        [self.parameters.transition, self.parameters.observation_scale_tril]
            .map(|matrix| matrix.shape().last().copied().unwrap_or(0))
    }

    fn named(&self) -> [(&'static str, Var<'t, F>); 6] {
        let own = &self.parameters;
        [
            ("initial_location", own.initial_location),
            ("initial_scale_tril", own.initial_scale_tril),
            ("transition", own.transition),
            ("transition_scale_tril", own.transition_scale_tril),
            ("observation", own.observation),
            ("observation_scale_tril", own.observation_scale_tril),
        ]
    }

    fn independent(&self) -> Shape {
        let each = self.named().into_iter().enumerate();
        each.map(|(at, (_, var))| -> Shape {
            let (shape, own) = (var.shape(), if at == 0 { 1 } else { 2 });
            shape.iter().take(shape.len().saturating_sub(own)).copied().collect()
        })
        .try_fold(Shape::default(), |shape, other| Shape::broadcast(&shape, &other))
        .unwrap_or_default()
    }

    fn check(&self) -> DistributionResult<()> {
        check_recorded_steps("LinearGaussianStateSpace", self.steps)?;
        let [states, observed] = self.dimensions();
        let expected: [&[usize]; 6] = [
            &[states],
            &[states, states],
            &[states, states],
            &[states, states],
            &[observed, states],
            &[observed, observed],
        ];
        for ((name, var), expected) in self.named().into_iter().zip(expected) {
            let shape = var.shape();
            if shape.len() < expected.len() || shape[shape.len() - expected.len()..] != *expected || states == 0 {
                let problem = format!(
                    "expected {name} with the last axes {expected:?} for {states} coordinates of a state and \
                     {observed} of an observation, got shape {shape}"
                );
                return Err(DistributionError::Unsupported { distribution: "LinearGaussianStateSpace", problem });
            }
        }
        Ok(())
    }

    /// The steps of the filter.
    ///
    /// # Errors
    /// If the shapes of the parameters do not fit, or the number of steps is none that can be recorded.
    fn filter(&self) -> DistributionResult<Vec<Step<'t, F>>> {
        self.check()?;
        let own = &self.parameters;
        let [moved, seen] = [own.transition_scale_tril, own.observation_scale_tril].map(square);
        let identity = own.transition.tape().constant(Tensor::eye(self.dimensions()[0]));
        let mut covariance = square(own.initial_scale_tril);
        let mut steps = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            if step > 0 {
                covariance = own.transition.matmul(covariance).matmul(own.transition.transpose()) + moved;
            }
            let across = own.observation.matmul(covariance);
            let factor = (across.matmul(own.observation.transpose()) + seen).cholesky();
            let gain = factor.transposed_triangular_solve(factor.triangular_solve(across)).transpose();
            // Joseph's form: a sum of two positive definite matrices.
            let rest = identity - gain.matmul(own.observation);
            covariance = rest.matmul(covariance).matmul(rest.transpose()) + gain.matmul(seen).matmul(gain.transpose());
            steps.push(Step { factor, gain });
        }
        Ok(steps)
    }

    /// The states without observations: the mean of each, by the recursion with these additions.
    fn states(&self, addition: impl Fn(usize) -> Option<Var<'t, F>>) -> Vec<Var<'t, F>> {
        let own = &self.parameters;
        let mut states: Vec<Var<'t, F>> = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            let before = states.last().map_or(own.initial_location, |&state| apply(own.transition, state));
            states.push(addition(step).map_or(before, |addition| before + addition));
        }
        states
    }

    /// Observations of each step, with independent axes as in the event.
    fn observed(&self, each: impl Iterator<Item = Var<'t, F>>) -> DistributionResult<Var<'t, F>> {
        let row: Shape = self.independent().iter().copied().chain([self.dimensions()[1]]).collect();
        let rows: Vec<Var<'t, F>> = each.map(|own| own.broadcast_to(row.clone())).collect();
        in_order(&rows, -2)
    }
}

impl<'t, F: Real> Distribution<'t, F> for LinearGaussianStateSpace<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "LinearGaussianStateSpace"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        self.named().into_iter().map(|(name, var)| Parameter::smooth(name, var)).collect()
    }

    fn event_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.steps, self.dimensions()[1]]).collect()
    }

    fn element_rank(&self) -> usize {
        2
    }

    fn support(&self) -> Support {
        Support::Matrices(self.steps, self.dimensions()[1])
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let own = &self.parameters;
        confine_finite(value, 2, |value| {
            let mut state = own.initial_location;
            let mut terms: Option<Var<'t, F>> = None;
            let steps = match self.filter() {
                Ok(steps) => steps,
                Err(error) => return failed(value.tape(), &error),
            };
            for (number, step) in steps.into_iter().enumerate() {
                if number > 0 {
                    state = apply(own.transition, state);
                }
                let error = value.index(-2, number) - apply(own.observation, state);
                let z = solve(step.factor, error, false);
                let term = z.square().sum_axis(-1) * 0.5 + step.factor.diagonal().ln().sum_axis(-1);
                terms = Some(terms.map_or(term, |sum| sum + term));
                state = state + apply(step.gain, error);
            }
            let constant = 0.5 * (2.0 * PI).ln() * (self.steps * self.dimensions()[1]) as f64;
            -terms.unwrap_or_else(|| value.tape().constant(0.0)) - constant
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        self.check().ok()?;
        let states = self.states(|_| None).into_iter();
        self.observed(states.map(|state| apply(self.parameters.observation, state))).ok()
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        self.check().ok()?;
        let own = &self.parameters;
        let moved = square(own.transition_scale_tril);
        let seen = own.observation_scale_tril.square().sum_axis(-1);
        let mut covariance = square(own.initial_scale_tril);
        let mut each = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            if step > 0 {
                covariance = own.transition.matmul(covariance).matmul(own.transition.transpose()) + moved;
            }
            each.push((own.observation.matmul(covariance) * own.observation).sum_axis(-1) + seen);
        }
        self.observed(each.into_iter()).ok()
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        self.check()?;
        for (name, var) in self.named() {
            match name.ends_with("scale_tril") {
                true => check_triangle("LinearGaussianStateSpace", name, var)?,
                false => finite("LinearGaussianStateSpace", name, var)?,
            }
        }
        Ok(())
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for LinearGaussianStateSpace<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for LinearGaussianStateSpace<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.check()?;
        let (own, tape) = (&self.parameters, self.parameters.transition.tape());
        let shape = |last: usize| -> Shape { self.independent().iter().copied().chain([self.steps, last]).collect() };
        let [states, observed] = self.dimensions().map(shape);
        let moves = draw.purpose("states").record_normal(tape, &states)?;
        let errors = draw.purpose("observations").record_normal(tape, &observed)?;
        let states = self.states(|step| {
            let factor = if step == 0 { own.initial_scale_tril } else { own.transition_scale_tril };
            Some(apply(factor, moves.index(-2, step)))
        });
        let each = states.into_iter().enumerate().map(|(step, state)| {
            apply(own.observation, state) + apply(own.observation_scale_tril, errors.index(-2, step))
        });
        let values = self.observed(each)?;
        // States that grow in every step may leave the range of numbers.
        let hint = "the states grow beyond all numbers; use a stable transition, or fewer steps";
        check_parameter("LinearGaussianStateSpace", "values", values, "finite numbers", hint, Condition::Finite)?;
        Ok(values)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for LinearGaussianStateSpace<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let steps = match self.filter() {
            Ok(steps) => steps,
            Err(error) => return failed(self.parameters.transition.tape(), &error),
        };
        let each = steps.into_iter().map(|step| step.factor.diagonal().ln().sum_axis(-1));
        let sum = each.reduce(|a, b| a + b).unwrap_or_else(|| self.parameters.transition.tape().constant(0.0));
        let constant = 0.5 * (1.0 + (2.0 * PI).ln()) * (self.steps * self.dimensions()[1]) as f64;
        (sum + constant).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multivariate::multivariate_normal::MultivariateNormal;
    use crate::testing::{Build, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const ORDINARY: [f64; 17] = [0.5, -0.3, 1.2, 0.0, 0.4, 0.7, 0.9, 0.3, -0.2, 0.8, 0.4, 0.0, 0.1, 0.5, 1.0, 0.2, 0.6];

    fn model<'t>(p: &[Var<'t, f64>]) -> LinearGaussianStateSpace<Var<'t, f64>> {
        let matrix = |range: std::ops::Range<usize>| vector(&p[range]).reshape([2, 2]);
        LinearGaussianStateSpace::new(
            3,
            StateSpace {
                initial_location: vector(&p[..2]),
                initial_scale_tril: matrix(2..6),
                transition: matrix(6..10),
                transition_scale_tril: matrix(10..14),
                observation: vector(&p[14..16]).reshape([1, 2]),
                observation_scale_tril: p[16].reshape([1, 1]),
            },
        )
    }

    const BUILD: Build = |p| Box::new(model(p));

    /// The joint covariance of the observations, from its definition.
    #[test]
    fn it_is_a_normal_vector() {
        let tape = Tape::<f64>::new();
        let p: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
        let own = model(&p);
        let StateSpace { initial_scale_tril, transition, transition_scale_tril, observation, .. } = own.parameters;
        // The observations as a linear function of all noise.
        let mut states = vec![tape.constant(Tensor::zeros([2, 6]))];
        let select =
            |step: usize| tape.constant(Tensor::from_fn([2, 6], |at| f64::from(u8::from(at % 6 == at / 6 + 2 * step))));
        states[0] = initial_scale_tril.matmul(select(0));
        for step in 1..3 {
            states.push(transition.matmul(states[step - 1]) + transition_scale_tril.matmul(select(step)));
        }
        let rows: Vec<Var<'_, f64>> = states.iter().map(|state| observation.matmul(*state)).collect();
        let weights = Var::concat(&rows, 0).unwrap();
        let covariance = weights.matmul(weights.transpose()) + tape.constant(Tensor::eye(3)) * 0.36;
        let joint = MultivariateNormal::from_covariance(own.mean().unwrap().reshape([3]), covariance);
        let x = tape.constant([0.3, -1.0, 2.0]);
        let pairs = [(own.log_prob(x.reshape([3, 1])), joint.log_prob(x)), (own.entropy(), joint.entropy())];
        for (found, expected) in pairs {
            assert_abs_diff_eq!(found.item().unwrap(), expected.item().unwrap(), epsilon = 1e-12);
            let [left, right] = [found, expected].map(|value| tape.backward_all(value, &p[..16]).unwrap());
            for (left, right) in left.iter().zip(&right) {
                assert_abs_diff_eq!(left.item().unwrap(), right.item().unwrap(), epsilon = 1e-11);
            }
        }
        let variance = covariance.diagonal().peek().unwrap().to_vec();
        for (found, expected) in own.variance().unwrap().peek().unwrap().as_slice().iter().zip(variance) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-13);
        }
        check_family(&tape, &own, x.reshape([3, 1]));
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        check_moments(BUILD, &ORDINARY, 101);
        check_estimators(BUILD, &ORDINARY, &[3, 11], cost, None, 102);
    }

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        let at = |step: usize| x.index(-2, step).index(-1, 0);
        (at(0) + at(2)).sin() + (at(1) * at(2)).tanh()
    }

    #[test]
    fn shapes_and_invalid_parameters() {
        let tape = Tape::<f64>::new();
        let p: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
        let own = model(&p);
        assert!(own.validate().is_ok());
        let batch = StateSpace { initial_location: tape.constant([[0.0, 1.0], [2.0, 3.0]]), ..own.parameters };
        let batch = LinearGaussianStateSpace::new(2, batch);
        assert_eq!(batch.event_shape(), Shape::from([2, 2, 1]));
        assert_eq!(batch.log_prob_each(tape.constant([[0.5], [0.1]])).shape(), Shape::from([2]));
        assert_eq!(batch.mean().unwrap().shape(), batch.event_shape());
        let wrong = StateSpace { transition: tape.constant([[1.0]]), ..own.parameters };
        assert!(LinearGaussianStateSpace::new(2, wrong).validate().is_err());
        let wrong = StateSpace { observation_scale_tril: tape.constant([[0.0]]), ..own.parameters };
        assert!(LinearGaussianStateSpace::new(2, wrong).validate().is_err());
        assert!(LinearGaussianStateSpace::new(0, own.parameters).validate().is_err());
    }
}
