//! The hidden Markov model: observations whose distribution depends on the state of a Markov chain that is not seen. It
//! models signals that switch between regimes, such as speech, gene sequences or volatile and calm markets.
//!
//! $$p(y) = \sum_{x} \pi_{x_1} p_{x_1}(y_1) \prod_{t=2}^{T} P_{x_{t-1} x_t}\, p_{x_t}(y_t).$$
//!
//! The distribution is that of the observations, with the states summed out by the forward algorithm in logarithms: its
//! cost is $T K^2$ for $T$ steps and $K$ states.
//!
//! Parameters: a [`MarkovChain`], and a distribution of an observation whose last independent axis are the
//! $K$ states. Its other independent axes are those of the model, and the logits of the chain broadcast to them. One
//! element is a sequence: an axis of steps, then the axes of one observation. Support: sequences of what is in the
//! support of the observations.
//!
//! | capability | |
//! |---|---|
//! | score | any order, if the observations have it |
//!
//! The states are discrete, so that there is no path. `mean` and `variance` are there where those of the observations are.
//!
//! Source: Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", 1989.

use crate::compound::wrapper::delegate;
use crate::distribution::{CustomSupport, Family, Live, TensorDistribution, ToTensors, confine_possible};
use crate::error::DistributionError;
use crate::prelude::*;
use crate::sampled_by_rand;
use crate::series::{MarkovChain, failed, in_order};
use stochgrad_tape::{Id, IdMap, Tape};

/// Observations that depend on the states of a Markov chain. One element is an axis of steps, then the axes of one
/// observation.
///
/// ```
/// use stochgrad_distributions::{Distribution, HiddenMarkovModel, MarkovChain, Normal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let chain = MarkovChain::from_logits(4, tape.constant([0.0, 0.0]), tape.constant([[2.0, 0.0], [0.0, 2.0]]));
/// let levels = Normal::new(tape.parameter([-1.0, 1.0]), 0.5);
/// let model = HiddenMarkovModel::new(chain, levels)?;
/// assert_eq!(model.mean().unwrap().peek()?.as_slice(), &[0.0; 4]);
/// assert!(model.log_prob(tape.constant([-1.1, -0.8, 1.2, 0.9])).item()? < 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HiddenMarkovModel<V, D> {
    inner: Hidden<V, D>,
}

/// [`HiddenMarkovModel`] without conditions on the observations.
#[derive(Clone, Copy, Debug)]
struct Hidden<V, D> {
    chain: MarkovChain<V>,
    observations: D,
}

/// The independent axes of observations before that of the states, and the number of states.
fn axes_of<'t, F: Real, D: Distribution<'t, F>>(observations: &D) -> Option<(Shape, usize)> {
    let event = observations.event_shape();
    let axis = event.len().checked_sub(observations.element_rank() + 1)?;
    Some((event[..axis].into(), event[axis]))
}

impl<'t, F: Real, D: Distribution<'t, F>> HiddenMarkovModel<Var<'t, F>, D> {
    /// Observations of the states of `chain`, one for each step, by the elements along the last independent axis of
    /// `observations`.
    ///
    /// # Errors
    /// If the last independent axis of the observations does not have as many elements as the chain has states, or if the
    /// logits of the chain do not broadcast to the other independent axes.
    pub fn new(chain: MarkovChain<Var<'t, F>>, observations: D) -> DistributionResult<Self> {
        chain.check()?;
        let states = chain.state_count();
        let independent = chain.independent();
        let fits = axes_of(&observations).filter(|(axes, count)| {
            *count == states && Shape::broadcast(axes, &independent).is_some_and(|shape| shape == *axes)
        });
        let Some((axes, _)) = fits else {
            let problem = format!(
                "expected observations with the {states} states of the chain along the last independent axis, and \
                 independent axes before it to which those of the chain, {independent}, broadcast, got event shape {} \
                 of {}",
                observations.event_shape(),
                observations.name()
            );
            return Err(DistributionError::Unsupported { distribution: "HiddenMarkovModel", problem });
        };
        Ok(HiddenMarkovModel { inner: Hidden { chain: chain.broadcast_to(&axes), observations } })
    }

    /// The chain of the states.
    pub fn chain(&self) -> &MarkovChain<Var<'t, F>> {
        &self.inner.chain
    }

    /// The distribution of an observation in each state.
    pub fn observations(&self) -> &D {
        &self.inner.observations
    }
}

impl<F: Real, S: Family<F>> Family<F> for HiddenMarkovModel<Id, S> {
    type On<'t> = HiddenMarkovModel<Var<'t, F>, S::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        let chain = <MarkovChain<Id> as Family<F>>::store(&live.inner.chain);
        HiddenMarkovModel { inner: Hidden { chain, observations: S::store(&live.inner.observations) } }
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        let chain = self.inner.chain.bind(tape, ids)?;
        Ok(HiddenMarkovModel { inner: Hidden { chain, observations: self.inner.observations.bind(tape, ids)? } })
    }
}

impl<'t, F: Real, D: Live<'t, F>> Live<'t, F> for HiddenMarkovModel<Var<'t, F>, D> {
    type Family = HiddenMarkovModel<Id, D::Family>;
}

impl<F: Real, D: TensorDistribution<F>> TensorDistribution<F> for HiddenMarkovModel<Tensor<F>, D> {
    type On<'t> = HiddenMarkovModel<Var<'t, F>, D::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        let (chain, observations) = (self.inner.chain.on(tape), self.inner.observations.on(tape));
        HiddenMarkovModel { inner: Hidden { chain, observations } }
    }
}

impl<'t, F: Real, D: ToTensors<'t, F>> ToTensors<'t, F> for HiddenMarkovModel<Var<'t, F>, D> {
    type Tensors = HiddenMarkovModel<Tensor<F>, D::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        let (chain, observations) = (self.inner.chain.to_tensors()?, self.inner.observations.to_tensors()?);
        Ok(HiddenMarkovModel { inner: Hidden { chain, observations } })
    }
}

sampled_by_rand!([D: TensorDistribution<F>] HiddenMarkovModel<Tensor<F>, D>);

impl<'t, F: Real, D: Distribution<'t, F>> Hidden<Var<'t, F>, D> {
    fn rank(&self) -> usize {
        self.observations.element_rank()
    }

    /// The axes of one observation.
    fn element(&self) -> Shape {
        let event = self.observations.event_shape();
        event[event.len().saturating_sub(self.rank())..].into()
    }

    /// The mean over the states in each step, of values for each state.
    fn average(&self, of_each: Var<'t, F>) -> Option<Var<'t, F>> {
        let probabilities = self.chain.state_probabilities().ok()?;
        let wide = (0..self.rank()).fold(probabilities, |wide, _| wide.unsqueeze(-1));
        Some((wide * of_each).sum_axis(-1 - self.rank() as isize))
    }

    /// Values for each state, with an axis for the steps.
    fn for_steps(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        of_each.unsqueeze(-2 - self.rank() as isize)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Hidden<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "HiddenMarkovModel"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let of_observations = self.observations.parameters().into_iter();
        self.chain
            .parameters()
            .into_iter()
            .chain(of_observations.map(|parameter| parameter.with_path(SamplePath::None)))
            .collect()
    }

    fn event_shape(&self) -> Shape {
        let independent = self.chain.independent();
        independent.iter().copied().chain([self.chain.steps()]).chain(self.element().iter().copied()).collect()
    }

    fn element_rank(&self) -> usize {
        1 + self.rank()
    }

    fn support(&self) -> Support {
        let fixed = !self.observations.support().depends_on_parameters();
        Support::Custom(CustomSupport { name: "sequences of observations", continuous_scalar: false, fixed })
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Err(error) = self.chain.check_recorded() {
            return failed(value.tape(), &error);
        }
        let axis = -1 - self.rank() as isize;
        let [first, next] = self.chain.log_probabilities();
        let mut logs: Option<Var<'t, F>> = None;
        for step in 0..self.chain.steps() {
            let observed = value.index(axis, step).unsqueeze(axis);
            let of_each = confine_possible(self.observations.log_prob_each(observed));
            let before = logs.map_or(first, |logs| (logs.unsqueeze(-1) + next).logsumexp(-2));
            logs = Some(before + of_each);
        }
        logs.unwrap_or(first).logsumexp(-1)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let states = self.chain.sample(&draw.purpose("states"))?;
        let axis = -1 - self.rank() as isize;
        let event = self.observations.event_shape();
        let one = event.with_size(event.rank() - 1 - self.rank(), 1);
        let shape: Shape = self.chain.independent().iter().chain(self.element().iter()).copied().collect();
        let mut each = Vec::with_capacity(self.chain.steps());
        for step in 0..self.chain.steps() {
            let all = self.observations.sample(&draw.purpose(&format!("observation {step}")))?;
            let state = (0..=self.rank()).fold(states.index(-1, step), |wide, _| wide.unsqueeze(-1));
            let all = all.expand_plates(draw.plates());
            each.push(all.gather(axis, state.broadcast_to(one.clone())).reshape(shape.clone()));
        }
        Ok(in_order(&each, axis)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        self.average(self.for_steps(self.observations.mean()?))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let distance = self.for_steps(self.observations.mean()?) - self.mean()?.unsqueeze(-1 - self.rank() as isize);
        self.average(self.for_steps(self.observations.variance()?) + distance.square())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.chain.validate()?;
        self.observations.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let inside = self.observations.capabilities();
        Capabilities { score: inside.score.map(|_| self as _), ..Capabilities::default() }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for Hidden<Var<'t, F>, D> {}

delegate!([D: Distribution<'t, F>] HiddenMarkovModel<Var<'t, F>, D>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for HiddenMarkovModel<Var<'t, F>, D> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::normal::Normal;
    use crate::discrete::categorical::Categorical;
    use crate::distribution::FiniteSupport;
    use crate::multivariate::multivariate_normal::MultivariateNormal;
    use crate::testing::{Build, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    fn chain<'t>(p: &[Var<'t, f64>]) -> MarkovChain<Var<'t, f64>> {
        MarkovChain::from_logits(3, vector(&p[..2]), vector(&p[2..6]).reshape([2, 2]))
    }

    const BUILD: Build = |p| Box::new(HiddenMarkovModel::new(chain(p), Normal::new(vector(&p[6..8]), p[8])).unwrap());

    const ORDINARY: [f64; 9] = [0.3, -0.4, 1.0, 0.2, -0.5, 0.8, -1.0, 2.0, 0.7];

    /// Against the sum over all sequences of states, with its derivatives.
    #[test]
    fn the_density_is_a_sum_over_states() {
        let tape = Tape::<f64>::new();
        let p: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
        let (states, observed) = (chain(&p), [0.3, -1.4, 2.2]);
        let all = states.element_support().unwrap();
        let terms: Vec<Var<'_, f64>> = all
            .as_slice()
            .chunks(3)
            .map(|row| {
                let levels: Vec<Var<'_, f64>> = row.iter().map(|&state| p[6 + state as usize]).collect();
                let given = Normal::new(vector(&levels), p[8]).log_prob(tape.constant(observed));
                states.log_prob(tape.constant(row)) + given
            })
            .collect();
        let expected = vector(&terms).logsumexp(-1);
        let own = HiddenMarkovModel::new(states, Normal::new(vector(&p[6..8]), p[8])).unwrap();
        let found = own.log_prob(tape.constant(observed));
        assert_abs_diff_eq!(found.item().unwrap(), expected.item().unwrap(), epsilon = 1e-13);
        let [left, right] = [found, expected].map(|value| tape.backward_all(value, &p).unwrap());
        for (left, right) in left.iter().zip(&right) {
            assert_abs_diff_eq!(left.item().unwrap(), right.item().unwrap(), epsilon = 1e-12);
        }
        check_family(&tape, &own, tape.constant(observed));
        assert!(own.log_prob(tape.constant([0.0, f64::NAN, 0.0])).item().unwrap().is_nan());
    }

    #[test]
    fn draws_have_the_moments_and_a_score_of_mean_zero() {
        check_moments(BUILD, &ORDINARY, 105);
        let tape = Tape::<f64>::new();
        let noise = crate::noise::KeyedNoise::new(106, 0);
        let draw = crate::testing::on_samples(&tape, &noise, 10_000);
        let copies: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(vec![p; 10_000])).collect();
        let leaves: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(draw.plates()[0])).collect();
        let own = BUILD(&leaves);
        let x = draw.record(&tape, own.draw(&draw).unwrap());
        let total = own.log_prob(x).sum_over(draw.plates()[0]);
        for (at, score) in tape.backward_all(total, &copies).unwrap().iter().enumerate() {
            let mean = score.as_slice().iter().sum::<f64>() / 10_000.0;
            let error = (crate::testing::variance(score.as_slice()) / 10_000.0).sqrt();
            assert!(mean.abs() < 4.0 * error + 1e-12, "number {at}: {mean} ± {error}");
        }
    }

    #[test]
    fn vectors_counts_and_batches() {
        let tape = Tape::<f64>::new();
        let p: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
        let places = MultivariateNormal::from_diagonal(tape.constant([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), 1.0);
        let vectors = HiddenMarkovModel::new(chain(&p), places).unwrap();
        assert_eq!((vectors.event_shape(), vectors.element_rank()), (Shape::from([3, 3]), 2));
        assert_eq!(vectors.log_prob_each(tape.constant(Tensor::zeros([3, 3]))).shape(), Shape::scalar());
        assert_eq!(vectors.mean().unwrap().shape(), vectors.event_shape());
        let letters = Categorical::from_logits(tape.constant([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]));
        let letters = HiddenMarkovModel::new(chain(&p), letters).unwrap();
        let total: f64 = (0..27)
            .map(|k| letters.log_prob(tape.constant([k / 9, k / 3 % 3, k % 3].map(f64::from))).item().unwrap().exp())
            .sum();
        assert_abs_diff_eq!(total, 1.0, epsilon = 1e-13);
        let batch = Normal::new(tape.constant([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), 1.0);
        let batch = HiddenMarkovModel::new(chain(&p), batch).unwrap();
        assert_eq!(batch.event_shape(), Shape::from([3, 3]));
        let noise = crate::noise::KeyedNoise::new(3, 0);
        let draw = crate::testing::on_samples(&tape, &noise, 5);
        let drawn = batch.sample(&draw).unwrap();
        assert_eq!(batch.log_prob_each(drawn).shape(), Shape::from([3]));
        assert!(HiddenMarkovModel::new(chain(&p), Normal::new(tape.constant([0.0, 1.0, 2.0]), 1.0)).is_err());
        assert!(HiddenMarkovModel::new(chain(&p), Normal::new(tape.constant(0.0), 1.0)).is_err());
    }
}
