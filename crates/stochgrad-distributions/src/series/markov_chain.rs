//! The Markov chain with finitely many states: a sequence of states, each of which depends on the one before it. It
//! models symbols with memory, such as weather, letters or the states of a machine.
//!
//! $$P(x) = \pi_{x_1} \prod_{t=2}^{T} P_{x_{t-1} x_t}, \quad x_t \in \{0, \dots, K - 1\}, \quad \pi = \operatorname{softmax}(\eta), \quad P_{i\cdot} = \operatorname{softmax}(A_{i\cdot}).$$
//!
//! Parameters: the number of steps $T$, fixed; `initial_logits` $\eta$, with the states along the last axis, and
//! `transition_logits` $A$, with the state before and then the state after along the last two axes. Logits are any numbers
//! or $-\infty$, which forbids a state or a transition. The axes before these are independent and broadcast; one element
//! is a last axis with the states $x_1, \dots, x_T$ as numbers. Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | finite support | all $K^T$ sequences |
//!
//! `mean` and `variance` are those of the numbers of the states. Weak derivatives would replace a state and draw all that
//! follow it again, which alternatives of single elements do not describe: use
//! [categories](crate::Categorical) as nodes of a graph instead.

use crate::distribution::FiniteSupport;
use crate::error::DistributionError;
use crate::family;
use crate::prelude::*;
use crate::series::{check_recorded_steps, check_steps, failed, in_order};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

/// Sequences of states, given by the number of steps and by the logits of the first state and of the transitions. One
/// element is the last axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, MarkovChain};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// // It starts in either state and stays there with probability 3/4.
/// let stay = tape.constant([[3.0_f64.ln(), 0.0], [0.0, 3.0_f64.ln()]]);
/// let chain = MarkovChain::from_logits(3, tape.constant([0.0, 0.0]), stay);
/// let log = chain.log_prob(tape.constant([1.0, 1.0, 0.0])).item()?;
/// assert!((log - (0.5_f64 * 0.75 * 0.25).ln()).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MarkovChain<V = stochgrad_tape::Id> {
    steps: usize,
    initial_logits: V,
    transition_logits: V,
}

impl<V> MarkovChain<V> {
    /// Chains of this many steps, at least one, whose first state and transitions have these logits.
    pub fn from_logits(steps: usize, initial_logits: V, transition_logits: V) -> Self {
        MarkovChain { steps, initial_logits, transition_logits }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<MarkovChain<W>, E> {
        let (initial_logits, transition_logits) = (f(&self.initial_logits)?, f(&self.transition_logits)?);
        Ok(MarkovChain { steps: self.steps, initial_logits, transition_logits })
    }
}

family!(MarkovChain);

impl<'t, F: Real> MarkovChain<Var<'t, F>> {
    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The number of states K.
    pub fn state_count(&self) -> usize {
        self.initial_logits.shape().last().copied().unwrap_or(0)
    }

    pub(super) fn independent(&self) -> Shape {
        let without = |var: Var<'t, F>, axes: usize| -> Shape {
            let shape = var.shape();
            shape.iter().take(shape.len().saturating_sub(axes)).copied().collect()
        };
        Shape::broadcast(&without(self.initial_logits, 1), &without(self.transition_logits, 2)).unwrap_or_default()
    }

    pub(super) fn check(&self) -> DistributionResult<()> {
        check_steps("MarkovChain", self.steps)?;
        let (count, shape) = (self.state_count(), self.transition_logits.shape());
        if count > 0 && shape.len() >= 2 && shape[shape.len() - 2..] == [count, count] {
            return Ok(());
        }
        let problem = format!(
            "expected transition_logits with the states along the last two axes, as many as the last axis of \
             initial_logits, at least one, got {count} states and shape {shape}"
        );
        Err(DistributionError::Unsupported { distribution: "MarkovChain", problem })
    }

    /// Also checks that the steps can be recorded one after the other.
    pub(super) fn check_recorded(&self) -> DistributionResult<()> {
        self.check()?;
        check_recorded_steps("MarkovChain", self.steps)
    }

    /// The same chain for elements with these axes.
    pub(super) fn broadcast_to(self, independent: &Shape) -> Self {
        let row: Shape = independent.iter().copied().chain([self.state_count()]).collect();
        let same = self.initial_logits.shape() == row;
        MarkovChain {
            initial_logits: if same { self.initial_logits } else { self.initial_logits.broadcast_to(row) },
            ..self
        }
    }

    /// The logarithms of the probabilities of the first state and of the transitions.
    pub(super) fn log_probabilities(&self) -> [Var<'t, F>; 2] {
        [self.initial_logits.log_softmax(-1), self.transition_logits.log_softmax(-1)]
    }

    fn numbers(&self) -> Var<'t, F> {
        self.initial_logits.tape().constant_from_fn([self.state_count()], F::from_usize)
    }

    /// The probabilities of the states in a step, given those in the step before it.
    fn after(&self, probabilities: Var<'t, F>) -> Var<'t, F> {
        (probabilities.unsqueeze(-1) * self.transition_logits.softmax(-1)).sum_axis(-2)
    }

    /// The probabilities of the states in each step: the steps, then the states, along the last two axes.
    ///
    /// # Errors
    /// If the chain has no steps or more than 65,536, or the shapes of its parameters do not fit.
    pub fn state_probabilities(&self) -> DistributionResult<Var<'t, F>> {
        self.check_recorded()?;
        let event: Shape = self.independent().iter().copied().chain([self.state_count()]).collect();
        let mut each = vec![self.initial_logits.softmax(-1).broadcast_to(event)];
        for step in 1..self.steps {
            each.push(self.after(each[step - 1]));
        }
        in_order(&each, -2)
    }

    /// The expectation of a function of the first state plus functions of the states that are left, given their values
    /// along the last axis.
    fn expected(&self, of_first: Var<'t, F>, of_left: Var<'t, F>) -> DistributionResult<Var<'t, F>> {
        let probabilities = self.state_probabilities()?;
        let left = probabilities.slice(-2, 0..self.steps - 1).sum_axis(-2);
        // A state that is never left has no part, whatever its value.
        let total = of_first + of_left.zip(Zip::Weigh, left).sum_axis(-1);
        Ok(total.broadcast_to(self.independent()).sum())
    }
}

/// The entropy of each row of logits; impossible states have no part.
fn entropies<F: Real>(logits: Var<'_, F>) -> Var<'_, F> {
    -logits.log_softmax(-1).zip(Zip::Weigh, logits.softmax(-1)).sum_axis(-1)
}

/// The divergence of each row of logits from another: infinite where a state is possible in the first alone.
fn divergences<'t, F: Real>(own: Var<'t, F>, others: Var<'t, F>) -> Var<'t, F> {
    special::deviance_by_log(own.log_softmax(-1), others.log_softmax(-1)).sum_axis(-1)
}

impl<'t, F: Real> Distribution<'t, F> for MarkovChain<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "MarkovChain"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        [("initial_logits", self.initial_logits), ("transition_logits", self.transition_logits)]
            .into_iter()
            .map(|(name, var)| Parameter::smooth(name, var).with_path(SamplePath::None))
            .collect()
    }

    fn event_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.steps]).collect()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Sequences(self.steps, self.state_count())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (tape, count, steps) = (value.tape(), self.state_count(), self.steps);
        // −∞ at what is no sequence of states; NaN stays NaN.
        let whole = value.zip(Zip::MulCount, tape.constant(1.0));
        let known = whole.map(Map::Within(0.0, count as f64 - 1.0));
        let states = known.select(value, tape.constant(0.0));
        let shape = value.shape();
        let lead: Shape = shape.iter().take(shape.len().saturating_sub(1)).copied().collect();
        let batch = Shape::broadcast(&lead, &self.independent()).unwrap_or_default();
        let with = |last: usize| -> Shape { batch.iter().copied().chain([last]).collect() };
        let states = states.broadcast_to(with(steps));
        let first = self.initial_logits.log_softmax(-1).broadcast_to(with(count));
        let mut log = first.gather(-1, states.slice(-1, 0..1)).sum_axis(-1);
        if steps > 1 {
            // The entry of a transition in the table of all of them.
            let entry = states.slice(-1, 0..steps - 1) * count as f64 + states.slice(-1, 1..steps);
            let table = self.transition_logits.log_softmax(-1);
            let own = table.shape();
            let rows: Shape = own.iter().take(own.len().saturating_sub(2)).copied().chain([count * count]).collect();
            log = log + table.reshape(rows).broadcast_to(with(count * count)).gather(-1, entry).sum_axis(-1);
        }
        let nothing = value.map(Map::MinScalar(f64::NEG_INFINITY)).sum_axis(-1);
        let unknown = (1.0 - known).sum_axis(-1);
        unknown.select(nothing, log)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.check_recorded()?;
        let (tape, independent) = (self.initial_logits.tape(), self.independent());
        let mut probabilities = self.initial_logits.softmax(-1).stop_gradient();
        let mut states: Vec<Var<'t, F>> = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            let own = draw.purpose(&format!("step {step}"));
            let state = own.record_categorical(tape, &independent, probabilities)?.expand_plates(draw.plates());
            probabilities = self.after(state.one_hot(self.state_count())).stop_gradient();
            states.push(state);
        }
        Ok(in_order(&states, -1)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.state_probabilities().ok()? * self.numbers()).sum_axis(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let distance = self.numbers() - self.mean()?.unsqueeze(-1);
        Some((self.state_probabilities().ok()? * distance.square()).sum_axis(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.check()?;
        for (name, logits) in [("initial_logits", self.initial_logits), ("transition_logits", self.transition_logits)] {
            let below = Condition::AtLeast { low: f64::NEG_INFINITY, below: f64::INFINITY };
            let hint = "a state or a transition is impossible at −∞; for a certain one put all others there";
            check_parameter("MarkovChain", name, logits, "a number below ∞", hint, below)?;
            let hint = "look for a mask that forbids every state";
            let expected = "above −∞ for one state at least";
            check_parameter("MarkovChain", name, logits, expected, hint, Condition::PossibleRows)?;
        }
        Ok(())
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for MarkovChain<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for MarkovChain<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        self.check()?;
        let steps = u32::try_from(self.steps).unwrap_or(u32::MAX);
        Ok((self.state_count() as u128).saturating_pow(steps))
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let states = usize::try_from(self.states()?).unwrap_or(usize::MAX);
        let (count, steps) = (self.state_count(), self.steps);
        self.tape()?.check_memory("the list of the states of a distribution", &[], states.saturating_mul(steps))?;
        let mut support = Tensor::zeros([states, steps]);
        for (number, row) in support.make_mut().chunks_mut(steps).enumerate() {
            // The digits of the number of the row, the last step first.
            let mut rest = number;
            for state in row.iter_mut().rev() {
                *state = F::from_usize(rest % count);
                rest /= count;
            }
        }
        Ok(support)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for MarkovChain<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let rows = entropies(self.transition_logits);
        let total = self.expected(entropies(self.initial_logits), rows);
        total.unwrap_or_else(|error| failed(self.initial_logits.tape(), &error))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for MarkovChain<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let tape = self.initial_logits.tape();
        if self.steps != other.steps {
            // Sequences of one length have the probability zero among those of another.
            return tape.constant(f64::INFINITY);
        }
        let rows = divergences(self.transition_logits, other.transition_logits);
        let total = self.expected(divergences(self.initial_logits, other.initial_logits), rows);
        total.unwrap_or_else(|error| failed(tape, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_enumeration, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(MarkovChain::from_logits(4, vector(&p[..2]), vector(&p[2..]).reshape([2, 2])));

    const ORDINARY: [f64; 6] = [0.3, -0.4, 1.0, 0.2, -0.5, 0.8];

    fn chain<'t>(tape: &'t Tape<f64>, p: &[f64]) -> MarkovChain<Var<'t, f64>> {
        let p: Vec<Var<'t, f64>> = p.iter().map(|&p| tape.parameter(p)).collect();
        MarkovChain::from_logits(4, vector(&p[..2]), vector(&p[2..]).reshape([2, 2]))
    }

    /// Entropy, divergence and moments against sums over all sequences, also with an impossible transition.
    #[test]
    fn sums_over_all_sequences() {
        for own in
            [ORDINARY, [0.3, -0.4, f64::NEG_INFINITY, 0.2, -0.5, 0.8], [0.0, f64::NEG_INFINITY, 0.0, 1.0, 0.0, 0.0]]
        {
            let tape = Tape::<f64>::new();
            let (p, q) = (chain(&tape, &own), chain(&tape, &[0.1, 0.2, -0.3, 0.5, 0.9, -1.0]));
            assert_eq!(p.states().unwrap(), 16);
            let all = tape.constant(p.element_support().unwrap());
            let [logs, others] = [&p, &q].map(|chain| chain.log_prob_each(all).peek().unwrap().to_vec());
            let sum = |f: &dyn Fn(usize) -> f64| -> f64 {
                (0..16).filter(|&k| logs[k] > f64::NEG_INFINITY).map(|k| logs[k].exp() * f(k)).sum()
            };
            assert_abs_diff_eq!(sum(&|_| 1.0), 1.0, epsilon = 1e-14);
            assert_abs_diff_eq!(p.entropy().item().unwrap(), -sum(&|k| logs[k]), epsilon = 1e-13);
            assert_abs_diff_eq!(p.kl_to(&q).item().unwrap(), sum(&|k| logs[k] - others[k]), epsilon = 1e-13);
            let values = all.peek().unwrap().to_vec();
            let mean = p.mean().unwrap().peek().unwrap().to_vec();
            let variance = p.variance().unwrap().peek().unwrap().to_vec();
            for step in 0..4 {
                assert_abs_diff_eq!(mean[step], sum(&|k| values[k * 4 + step]), epsilon = 1e-14);
                let spread = sum(&|k| (values[k * 4 + step] - mean[step]).powi(2));
                assert_abs_diff_eq!(variance[step], spread, epsilon = 1e-14);
            }
            let leaves = [p.initial_logits, p.transition_logits];
            for gradient in tape.backward_all(p.entropy(), &leaves).unwrap() {
                assert!(gradient.as_slice().iter().all(|g| !g.is_nan()), "{own:?}: {gradient:?}");
            }
        }
        let tape = Tape::<f64>::new();
        let (p, q) = (chain(&tape, &ORDINARY), chain(&tape, &[0.3, -0.4, f64::NEG_INFINITY, 0.2, -0.5, 0.8]));
        assert_eq!(p.kl_to(&q).item(), Ok(f64::INFINITY));
        check_family(&tape, &p, tape.constant([0.0, 1.0, 1.0, 0.0]));
        check_enumeration(&p, p.transition_logits);
    }

    #[test]
    fn draws_and_derivatives_follow_the_probabilities() {
        check_moments(BUILD, &ORDINARY, 97);
        // The exact derivative, by the sum over all sequences.
        let tape = Tape::<f64>::new();
        let leaves: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
        let own = MarkovChain::from_logits(4, vector(&leaves[..2]), vector(&leaves[2..]).reshape([2, 2]));
        let all = tape.constant(own.element_support().unwrap());
        let expected = (own.log_prob_each(all).exp() * cost(all)).sum();
        let exact: Vec<f64> =
            tape.backward_all(expected, &leaves).unwrap().iter().map(|gradient| gradient.item().unwrap()).collect();
        check_estimators(BUILD, &ORDINARY, &[], cost, Some(&exact), 98);
    }

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        (x.index(-1, 0) + x.index(-1, 1) * 2.0 + x.index(-1, 3) * x.index(-1, 2) * 0.7).sin()
    }

    #[test]
    fn what_is_no_sequence_of_states() {
        let tape = Tape::<f64>::new();
        let own = chain(&tape, &ORDINARY);
        for x in [[0.0, 2.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [f64::INFINITY, 0.0, 0.0, 0.0]] {
            let log = own.log_prob(tape.constant(x));
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{x:?}");
            let gradients = tape.backward(log, [own.initial_logits, own.transition_logits]).unwrap();
            assert!(gradients.iter().all(|gradient| gradient.as_slice().iter().all(|&g| g == 0.0)), "{x:?}");
        }
        assert!(own.log_prob(tape.constant([0.0, f64::NAN, 0.0, 0.0])).item().unwrap().is_nan());
        let wide = MarkovChain::from_logits(2, tape.constant([[0.0, 1.0], [1.0, 0.0]]), own.transition_logits);
        assert_eq!(wide.event_shape(), Shape::from([2, 2]));
        assert_eq!(wide.log_prob_each(tape.constant([0.0, 1.0])).shape(), Shape::from([2]));
        let logits = tape.constant([0.0, 0.0]);
        assert!(MarkovChain::from_logits(0, logits, own.transition_logits).validate().is_err());
        assert!(MarkovChain::from_logits(2, logits, logits).validate().is_err());
        assert!(MarkovChain::from_logits(2, logits * f64::NAN, own.transition_logits).validate().is_err());
    }
}
