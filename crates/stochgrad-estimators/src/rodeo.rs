//! RODEO: leave-one-out with discrete Stein control variates.
//!
//! For independent bits, resampling one of the $D$ bits at random leaves the law as it is, so that for any function $h$
//!
//! $$(A h)(x) = \frac1D \sum_{i=1}^D p(\bar x_i)\, \big[h(x^{(i)}) - h(x)\big], \qquad \mathbb{E}[(A h)(x)] = 0,$$
//!
//! where $x^{(i)}$ has bit $i$ flipped and $p(\bar x_i)$ is the probability of the flipped bit. It is used twice: on the costs in the baseline, and on $h\, \nabla \ln p$,
//!
//! $$g = \frac1K \sum_{k=1}^K \Big[f_k - \frac{1}{K-1} \sum_{j \ne k} \big(f_j + (A h_j)(x_j)\big)\Big] \nabla \ln p(x_k) + \big(A\, [\tilde h_k\, \nabla \ln p]\big)(x_k).$$
//!
//! $h_k$ and $\tilde h_k$ know the cost from the *other* samples, by its values and gradients: they are means over $j \ne k$ of $H\big(f_j, \nabla f(x_j)^\top (x - x_j)\big)$, with a small network $H$ that
//! learns to minimise the second moment of the gradient. Shi, Zhou, Hwang, Titsias and Mackey (2022).
//!
//! **Assumptions.** Independent bits. A gradient of the cost that says little costs variance and no bias. A cost that depends on members of a plate jointly has no Stein control
//! variate.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $K \ge 2$, and one backward pass |
//! | the cost must offer | values, and derivatives at the samples |

use crate::baseline::{LeaveOneOut, Memory};
use crate::member_gradients::second_moment;
use crate::own_parameters::OwnParameters;
use crate::pathwise::describe_plate;
use stochgrad_distributions::{Distribution, DistributionError, Family, IndependentBits};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GradientTerm, GraphResult, Method, MethodState, Order, Profile,
    SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Plate, Tape, Var};
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Real, Tensor};

/// The slope of the network's activation below zero.
const SLOPE: f64 = 0.3;

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
    plate: SamplePlate,
    hidden: usize,
    own: OwnParameters,
}

impl Rodeo {
    /// That many samples, at least 2; a network with 20 hidden units, Adam at the rate 0.001.
    pub fn new(samples: usize) -> Self {
        Rodeo { plate: SamplePlate::New(samples), hidden: 20, own: OwnParameters::new(1e-3) }
    }

    /// As [`new`](Rodeo::new), with one sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn along(plate: Plate) -> Self {
        Rodeo { plate: SamplePlate::Shared(plate), ..Rodeo::new(2) }
    }

    /// The width of the hidden layer.
    pub fn hidden(self, units: usize) -> Self {
        Rodeo { hidden: units.max(1), ..self }
    }

    /// The rate of Adam. The network is new from here on; clones made later share it.
    pub fn learning_rate(self, rate: f64) -> Self {
        Rodeo { own: OwnParameters::new(rate), ..self }
    }
}

impl Method for Rodeo {
    fn name(&self) -> String {
        format!("RODEO ({} hidden units, {})", self.hidden, describe_plate(self.plate))
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.plate.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }

    fn state(&self) -> MethodState {
        self.own.state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.own.load_state(&self.name(), state)
    }
}

/// The network with two heads: one for the baseline, and one for the score.
struct Surrogates<'t, F: Real> {
    arrays: Vec<(String, Var<'t, F>)>,
}

impl<'t, F: Real> Surrogates<'t, F> {
    fn record(own: &OwnParameters, tape: &'t Tape<F>, node: &str, hidden: usize) -> Self {
        let mut uniforms = vec![0.0_f64; 2 * hidden];
        Key::new(0, 0, 0).uniform(0, &mut uniforms);
        let bound = (6.0 / (2 + hidden) as f64).sqrt();
        let array = |what: &str, shape: &[usize], initial: &dyn Fn(usize) -> f64| {
            let name = format!("{node} / {what}");
            let var = own.record(tape, &name, shape, initial);
            (name, var)
        };
        // The heads start at zero: leave-one-out.
        let arrays = vec![
            array("value weight", &[hidden], &|i| bound * (2.0 * uniforms[i] - 1.0)),
            array("slope weight", &[hidden], &|i| bound * (2.0 * uniforms[hidden + i] - 1.0)),
            array("bias", &[hidden], &|_| 0.0),
            array("baseline head", &[hidden], &|_| 0.0),
            array("baseline slope", &[], &|_| 0.0),
            array("score head", &[hidden], &|_| 0.0),
            array("score slope", &[], &|_| 0.0),
        ];
        Surrogates { arrays }
    }

    /// Both surrogates for values and linear extrapolations of the same shape.
    fn at(&self, value: Var<'t, F>, linear: Var<'t, F>) -> [Var<'t, F>; 2] {
        let array = |at: usize| self.arrays[at].1;
        let hidden = value.unsqueeze(-1) * array(0) + linear.unsqueeze(-1) * array(1) + array(2);
        let hidden = hidden.leaky_relu(SLOPE);
        [3, 5].map(|head| (hidden * array(head)).sum_axis(-1) + linear * array(head + 1))
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
        let set = context.independent(distribution, self.plate)?;
        let members = set.plate.map_or(1, |plate| match context.tape().plate_kind(plate).is_independent() {
            true => context.tape().plate_size(plate),
            false => 1,
        });
        LeaveOneOut.check(members).map_err(|problem| {
            let problem = format!("{}: {problem}", self.name());
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        })?;
        Ok(set)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        let tape = context.tape();
        let zero = tape.constant(0.0);
        let members = tape.plate_size(plate);
        let logits = distribution.logits();
        let width = logits.shape().numel();
        let surrogates = Surrogates::record(&self.own, tape, &context.address().to_string(), self.hidden);
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
        let apart = tape.constant(Tensor::from_fn([members, members], |i| {
            F::from_f64(if i / members == i % members { 0.0 } else { 1.0 / (members - 1) as f64 })
        }));
        let mut loss: Option<Var<'t, F>> = None;
        for (cost, slope) in context.cost_gradients()? {
            let gradient = if cost.joint.contains(&plate) {
                score * cost.value
            } else if !cost.joint.is_empty() {
                let f = cost.value.plate_to_event(plate);
                score * (f - others(f)).unsqueeze(-1)
            } else {
                let f = cost.value.plate_to_event(plate);
                let slope = rows(slope.stop_gradient());
                // Extrapolated from sample j (second axis) to sample k (first axis), and to its neighbours (third axis).
                let linear = x.matmul(slope.transpose()) - (slope * x).sum_axis(-1).unsqueeze(0);
                let near = linear.unsqueeze(-1) + flip.unsqueeze(1) * slope.unsqueeze(0);
                let here = surrogates.at(f.unsqueeze(0), linear);
                let there = surrogates.at(f.unsqueeze(0).unsqueeze(-1), near);
                let [first, second] = [0, 1].map(|head| {
                    let here = (here[head] * apart).sum_axis(1);
                    let there = (there[head] * apart.unsqueeze(-1)).sum_axis(1);
                    let stein = (flipped * (there - here.unsqueeze(-1))).mean_axis(-1);
                    (stein, there)
                });
                let advantage = f - others(f + first.0) + second.0;
                let gradient = score * advantage.unsqueeze(-1) + flipped * second.1 * flip * (1.0 / width as f64);
                // The samples are averaged before the gradient is used, and so they are before it is squared.
                let moment = second_moment(&[gradient.mean_axis(0)]);
                loss = loss.zip(moment).map(|(sum, moment)| sum + moment).or(loss).or(moment);
                gradient
            };
            let gradient = gradient.stop_gradient();
            let gradient = if cost.joint.contains(&plate) { gradient } else { gradient.broadcast_to([members, width]) };
            let gradient = gradient.event_to_plate(plate).reshape(logits.shape());
            let product = (gradient * logits).sum();
            terms.gradient_terms.push(GradientTerm { value: zero.straight_through(product), summed: cost.joint });
        }
        if let Some(loss) = loss {
            terms.auxiliary.push(self.own.learn(loss, surrogates.arrays));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{self, BitMethod};
    use crate::{DisArm, DoubleControlVariate, ScoreFunction};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};

    fn bits<M: GradientMethod<f64, Bernoulli<stochgrad_tape::Id>> + Clone + 'static>(
        graph: &Graph<'_, f64>,
        method: &M,
    ) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -1.0, 2.0])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
        graph.cost("cost", ((x * graph.constant([1.0, -2.0, 0.7])).sum() - 0.3).exp() + 2.0)
    }

    fn trained() -> Rodeo {
        let method = Rodeo::new(2).hidden(6).learning_rate(0.01);
        for step in 0..600 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            bits(&graph, &method).unwrap();
            graph.backward().unwrap().advance();
        }
        method
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean() {
        let variance = |method: BitMethod| {
            let model = |graph: &Graph<'_, f64>| bits(graph, &method);
            Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().as_slice().iter().sum::<f64>()
        };
        let leave_one_out = variance(Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)));
        let fresh = variance(Arc::new(Rodeo::new(2)));
        assert!((fresh - leave_one_out).abs() < 1e-12 * leave_one_out, "{fresh}, {leave_one_out}");
        let found = variance(Arc::new(trained()));
        let others = [variance(Arc::new(DoubleControlVariate::new(2))), variance(Arc::new(DisArm::new()))];
        assert!(
            found < 0.8 * leave_one_out && others.iter().all(|other| found < *other),
            "{found}, {leave_one_out}, {others:?}"
        );
    }

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        // One node of three bits has trained the network that the others of that name share.
        let rodeo = trained();
        let state: MethodState = rodeo
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
