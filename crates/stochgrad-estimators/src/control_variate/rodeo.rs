//! RODEO: leave-one-out with discrete Stein control variates. Use it for independent bits with a differentiable cost,
//! in long training runs: it learns its control variates.
//!
//! For independent bits, redrawing each of them at rate one leaves the distribution unchanged. For any function $h$
//! therefore
//!
//! $$(A h)(x) = \sum_i p(\bar x_i)\, \big[h(x^{(i)}) - h(x)\big], \qquad \mathbb{E}[(A h)(x)] = 0,$$
//!
//! where $x^{(i)}$ is $x$ with bit $i$ flipped, and $p(\bar x_i)$ is the probability of the flipped bit. This operator
//! is used twice: on the costs in the baseline, and on $h\, \nabla \ln p$,
//!
//! $$g = \frac1K \sum_{k=1}^K \Big[f_k - \frac{1}{K-1} \sum_{j \ne k} \big(f_j + (A h_j)(x_j)\big)\Big] \nabla \ln p(x_k) + \big(A\, [\tilde h_k\, \nabla \ln p]\big)(x_k).$$
//!
//! The functions $h_k$ and $\tilde h_k$ are models of the cost made from the *other* samples, by its values and
//! gradients there. They are means over $j \ne k$ of $H\big(f_j, v_j^\top (x_j - \mu), v_j^\top (x - \mu)\big)$ with
//! $v_j = \nabla f(x_j)$ and the mean $\mu$ of the distribution: the cost at $x_j$, its linear extrapolation from $x_j$
//! to the mean, and that from the mean to $x$. $H$ is linear in its arguments plus a small network, and is trained to
//! minimise the second moment of the gradient. It sees each cost in units of its running mean and standard deviation.
//!
//! Shi, Zhou, Hwang, Titsias and Mackey (2022). Their $H$ has the single extrapolation from $x_j$ to $x$, and their
//! operator is the mean over the bits instead of the sum. For a linear $h$ the sum is $\mathbb{E}[h] - h(x)$, whatever
//! the number of bits, so that $H$ has the size of the cost and is learned quickly.
//!
//! **Assumptions.** Independent bits. Where the gradient of the cost is uninformative, the variance is larger, but
//! there is no bias. A cost that depends on several members of a plate jointly gets no Stein control variate.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $K \ge 2$, and one backward pass |
//! | requirement on the cost | values, and derivatives at the samples |

use crate::common::cost_learner::{CostLearner, Units};
use crate::common::learned_parameters::LearnedParameters;
use crate::common::member_gradients::second_moment;
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::score_function::baseline::LeaveOneOut;
use stochgrad_distributions::{Family, IndependentBits};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GradientTerm, GraphResult, Method, MethodSlots, Order, Profile,
    SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Plate, Tape, TapeResult, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::Key;

/// The slope of the network's activation below zero.
const SLOPE: f64 = 0.3;

/// The decay of the running mean and deviation of the cost.
const DECAY: f64 = 0.99;

/// Leave-one-out with learned Stein control variates, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Rodeo;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = Rodeo::new(2);
/// for step in 0..3 {
///     let tape = Tape::<f64>::new();
///     let graph = Graph::new(&tape, Seed::new(7).step(step));
///     let logits = graph.param("logits", [0.3, -1.0])?;
///     let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
///     graph.cost("loss", (bits.sum() - 0.5).square())?;
///     graph.backward()?.advance();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rodeo {
    sampling: Sampling,
    hidden: usize,
    learner: CostLearner,
}

impl Rodeo {
    /// Draws this number of samples, at least 2; the network has 20 hidden units, and Adam the step size 0.001.
    pub fn new(samples: usize) -> Self {
        Rodeo { sampling: Sampling::on(SamplePlate::New(samples)), hidden: 20, learner: CostLearner::new(1e-3, DECAY) }
    }

    /// As [`new`](Rodeo::new), with one sample for each member of a plate made with
    /// [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn on_plate(plate: Plate) -> Self {
        Rodeo { sampling: Sampling::on(SamplePlate::Shared(plate)), ..Rodeo::new(2) }
    }

    /// Sets the width of the hidden layer.
    pub fn hidden(self, units: usize) -> Self {
        Rodeo { hidden: units.max(1), ..self }
    }

    /// Sets the step size of Adam. This starts with a new network, which clones made later share.
    pub fn learning_rate(self, rate: f64) -> Self {
        Rodeo { learner: self.learner.learning_rate(rate), ..self }
    }
}

impl Method for Rodeo {
    fn name(&self) -> String {
        format!("RODEO ({} hidden units, {})", self.hidden, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.learner.slots()
    }
}

/// The cost at other samples and its linear extrapolation to the mean of the distribution, both in units of the cost.
#[derive(Clone, Copy)]
struct Known<'t, F: Real> {
    value: Var<'t, F>,
    offset: Var<'t, F>,
}

impl<'t, F: Real> Known<'t, F> {
    /// Adds an axis.
    fn unsqueeze(self) -> Self {
        Known { value: self.value.unsqueeze(-1), offset: self.offset.unsqueeze(-1) }
    }
}

/// The models of a node: a hidden layer with two heads, one for the baseline and one for the score.
struct Surrogates<'t, F: Real> {
    arrays: Vec<(String, Var<'t, F>)>,
}

/// The positions of the arrays of each head: its weights of the hidden layer, then its slope.
const HEADS: [usize; 2] = [4, 6];
/// The position of the arrays of the level.
const LEVEL: usize = 8;

impl<'t, F: Real> Surrogates<'t, F> {
    fn record(own: &LearnedParameters, tape: &'t Tape<F>, node: &str, hidden: usize) -> TapeResult<Self> {
        tape.check_memory("a network with hidden units", &[], hidden.saturating_mul(3))?;
        let array = |what: &str, shape: &[usize], initial: &dyn Fn(usize) -> f64| {
            let name = format!("{node} / {what}");
            let var = own.record(tape, &name, shape, initial);
            (name, var)
        };
        let mut uniforms = vec![0.0_f64; 3 * hidden];
        Key::new(0, 0, 0).uniform(0, &mut uniforms);
        let bound = (6.0 / (3 + hidden) as f64).sqrt();
        let weight = |input: usize| {
            let uniforms = &uniforms[input * hidden..];
            move |i: usize| bound * (2.0 * uniforms[i] - 1.0)
        };
        // The factors of the hidden layer start at zero, which gives leave-one-out.
        let zero = |_| 0.0;
        let arrays = vec![
            array("value weight", &[hidden], &weight(0)),
            array("offset weight", &[hidden], &weight(1)),
            array("slope weight", &[hidden], &weight(2)),
            array("bias", &[hidden], &zero),
            array("baseline head", &[hidden], &zero),
            array("baseline slope", &[], &zero),
            array("score head", &[hidden], &zero),
            array("score slope", &[], &zero),
            array("level", &[], &zero),
            array("level of value", &[], &zero),
            array("level of offset", &[], &zero),
        ];
        Ok(Surrogates { arrays })
    }

    fn array(&self, at: usize) -> Var<'t, F> {
        self.arrays[at].1
    }

    /// The values of both models, without their level, where the linear extrapolation from the mean of the distribution
    /// is `linear`.
    fn at(&self, known: Known<'t, F>, linear: Var<'t, F>) -> [Var<'t, F>; 2] {
        let from = |input: Var<'t, F>, weight: usize| input.unsqueeze(-1) * self.array(weight);
        let fixed = from(known.value, 0) + from(known.offset, 1) + self.array(3);
        let hidden = (fixed + from(linear, 2)).leaky_relu(SLOPE);
        HEADS.map(|head| (hidden * self.array(head)).sum_axis(-1) + linear * self.array(head + 1))
    }

    /// The part of the model for the score that is the same at every point.
    fn level(&self, known: Known<'t, F>) -> Var<'t, F> {
        self.array(LEVEL) + known.value * self.array(LEVEL + 1) + known.offset * self.array(LEVEL + 2)
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Rodeo
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        LeaveOneOut.sampled(context, distribution, self.sampling.plate, &self.name())
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        let tape = context.tape();
        let zero = tape.constant(0.0);
        let members = tape.whole_plate_size(plate);
        let boundary = Boundary::split(context, distribution)?;
        let (logits, inside) = (distribution.logits(), boundary.inside.logits());
        let width = logits.shape().numel();
        let key = context.label();
        let surrogates = Surrogates::record(&self.learner.own, tape, &key, self.hidden)?;
        let Units { centre, scale } = self.learner.units(tape, &key);
        // Samples along the first event axis, bits along the second one.
        let rows = |value: Var<'t, F>| value.reshape([width]).plate_to_event(plate);
        let value = context.value().stop_gradient();
        let x = rows(value);
        let along =
            |value: Var<'t, F>| if value.plates().contains(&plate) { rows(value) } else { value.reshape([1, width]) };
        let detached = along(logits.stop_gradient());
        let flip = 1.0 - x * 2.0;
        let flipped = (flip * detached).sigmoid();
        let score = x - detached.sigmoid();
        let others = |of: Var<'t, F>| (of.sum_axis(0).unsqueeze(0) - of) * (1.0 / (members - 1) as f64);
        // The other samples of each one, along a second axis.
        let apart: Vec<usize> =
            (0..members).flat_map(|k| (1..members).map(move |shift| (k + shift) % members)).collect();
        let peers = |of: Var<'t, F>| {
            let each: Vec<usize> =
                [members, members - 1].into_iter().chain(of.shape().iter().skip(1).copied()).collect();
            of.index_select(0, &apart).reshape(each)
        };
        let mut loss: Option<Var<'t, F>> = None;
        for (cost, slope) in context.cost_gradients()? {
            let gradient = if cost.joint.contains(&plate) {
                score * cost.value
            } else if !cost.joint.is_empty() {
                let f = cost.value.plate_to_event(plate);
                score * (f - others(f)).unsqueeze(-1)
            } else {
                let f = cost.value.plate_to_event(plate);
                terms.updates.extend(self.learner.updates(&key, cost.value));
                let slope = rows(slope.stop_gradient()) / scale;
                let known = Known { value: peers((f - centre) / scale), offset: peers((slope * score).sum_axis(-1)) };
                let slope = peers(slope);
                // At the sample, and at each of its neighbours (third axis).
                let linear = (slope * score.unsqueeze(1)).sum_axis(-1);
                let near = linear.unsqueeze(-1) + slope * flip.unsqueeze(1);
                let here = surrogates.at(known, linear);
                let there = surrogates.at(known.unsqueeze(), near);
                let [first, second] = [0, 1].map(|head| {
                    let there = there[head].mean_axis(1) * scale;
                    let here = here[head].mean_axis(-1) * scale;
                    ((flipped * (there - here.unsqueeze(-1))).sum_axis(-1), there)
                });
                // A (c ∇ ln p) = −c ∇ ln p, so that a level acts as a baseline.
                let level = surrogates.level(known).mean_axis(-1) * scale;
                let advantage = f - others(f + first.0) + second.0 - level;
                let gradient = score * advantage.unsqueeze(-1) + flipped * second.1 * flip;
                // The gradient that is used is the average over the samples, so that the average is squared.
                let moment = second_moment(&[gradient.mean_axis(0)]);
                loss = loss.zip(moment).map(|(sum, moment)| sum + moment).or(loss).or(moment);
                gradient
            };
            let gradient = gradient.stop_gradient();
            let gradient = if cost.joint.contains(&plate) { gradient } else { gradient.broadcast_to([members, width]) };
            let gradient = gradient.event_to_plate(plate).reshape(logits.shape());
            let product = (gradient * inside).sum();
            terms.gradient_terms.push(GradientTerm { value: zero.straight_through(product), summed: cost.joint });
        }
        terms.gradient_terms.extend(boundary.terms);
        if let Some(loss) = loss {
            terms.auxiliary.push(self.learner.own.learn(loss, surrogates.arrays));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::disarm::DisArm;
    use crate::control_variate::double_control_variate::DoubleControlVariate;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};

    /// Three bits, with a cost in some unit.
    fn bits<M: GradientMethod<f64, Bernoulli<stochgrad_tape::Id>> + Clone + 'static>(
        graph: &Graph<'_, f64>,
        method: &M,
        unit: f64,
    ) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -1.0, 2.0])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
        let cost = ((x * graph.constant([1.0, -2.0, 0.7])).sum() - 0.3).exp() + 2.0;
        graph.cost("cost", cost * unit)
    }

    fn trained(unit: f64) -> Rodeo {
        let method = Rodeo::new(2).hidden(6).learning_rate(0.01);
        for step in 0..600 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            bits(&graph, &method, unit).unwrap();
            graph.backward().unwrap().advance();
        }
        method
    }

    fn variance(method: BitMethod, unit: f64) -> f64 {
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| bits(graph, &method, unit)).unwrap();
        moments.variance("t").unwrap().as_slice().iter().sum::<f64>() / unit.powi(2)
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean() {
        let leave_one_out = variance(Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)), 1.0);
        let fresh: BitMethod = Arc::new(Rodeo::new(2));
        let learned: BitMethod = Arc::new(trained(1.0));
        for method in [&fresh, &learned] {
            Oracle::new().verify(|graph: &Graph<'_, f64>| bits(graph, method, 1.0), 0..=1, 1e-9).unwrap();
        }
        let fresh = variance(fresh, 1.0);
        assert!((fresh - leave_one_out).abs() < 1e-12 * leave_one_out, "{fresh}, {leave_one_out}");
        let found = variance(learned, 1.0);
        let others = [variance(Arc::new(DoubleControlVariate::new(2)), 1.0), variance(Arc::new(DisArm::new()), 1.0)];
        assert!(others.iter().all(|other| found < 0.5 * other), "{found}, {leave_one_out}, {others:?}");
    }

    #[test]
    fn the_unit_of_the_cost_does_not_matter() {
        let [one, large] = [1.0, 1000.0].map(|unit| variance(Arc::new(trained(unit)), unit));
        assert!((one / large - 1.0).abs() < 0.2, "{one}, {large}");
    }

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        // One node of three bits has trained the network that the others of that name share.
        let rodeo = trained(1.0);
        let state: stochgrad_graph::MethodState = rodeo
            .state()
            .into_iter()
            .flat_map(|(name, numbers)| {
                ["x1", "x2", "root", "left", "x"]
                    .map(|node| (name.replace("x /", &format!("{node} /")), numbers.clone()))
            })
            .collect();
        rodeo.load_state(&state).unwrap();
        let rodeo: BitMethod = Arc::new(rodeo);
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&rodeo, &rodeo, &score]);
        models::assert_unbiased([&score, &rodeo, &score]);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &rodeo), 0..=1, 1e-9).unwrap();
        let joint = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &rodeo)?;
            graph.cost("cost", (x.sum().sum_over(features.plates()[0]) - 0.7).square() * t.index(0, 1))
        };
        Oracle::new().verify(joint, 0..=1, 1e-9).unwrap();
        models::assert_compiled(&rodeo);
    }
}
