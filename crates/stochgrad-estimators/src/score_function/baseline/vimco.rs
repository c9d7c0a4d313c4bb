//! VIMCO: a baseline for each member of a joint cost of all samples. Use it for importance-weighted bounds.
//!
//! A bound such as $\mathcal L = \ln \frac1K \sum_k w_k$ depends on its $K$ samples together. Its value without the
//! information in member $k$ is a baseline for that member: $\ln w_k$ is replaced by the mean of the others,
//!
//! $$b_k = \ln \frac1K \Big(\sum_{j \ne k} w_j + \hat w_{-k}\Big), \qquad
//!     \hat w_{-k} = \exp\Big(\frac{1}{K-1} \sum_{j \ne k} \ln w_j\Big) \ \text{ or } \ \frac{1}{K-1} \sum_{j \ne k} w_j.$$
//!
//! Mnih and Rezende (2016). It works for every cost that reduces the sample plate, whatever is computed from the
//! reduction: the reduction is recorded again with the replaced values. Costs that keep the plate get the leave-one-out
//! baseline.

use super::{Baseline, Baselines, CostBaseline, LeaveOneOut, Memory};
use std::collections::HashSet;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, NodeCost};
use stochgrad_tape::{Op, Plate, PlateKind, PlateReduction, Var, Weights};
use stochgrad_tensor::{Real, Tensor};

/// The replacement of the weight of a left-out member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MeanOfOthers {
    #[default]
    Geometric,
    Arithmetic,
    /// A weight of zero.
    Nothing,
}

/// The cost without the information in a member, for joint costs of all members of the sample plate.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{ScoreFunction, Vimco};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let distribution = Bernoulli::from_logits(graph.param("logits", [0.3, -1.0])?);
/// let z = graph.sample("z", &distribution, &ScoreFunction::new().samples(5).baseline(Vimco::new()))?;
/// let log_weight = z.sum() * 0.7 - distribution.log_prob(z);
/// let samples = graph.plate_named("z").expect("the plate of the samples");
/// graph.cost("−IWAE", -log_weight.log_mean_exp_over(samples))?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vimco {
    replacement: MeanOfOthers,
}

impl Vimco {
    /// Replaces the weight by the geometric mean of the others, which is the mean of the log-weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the weight by the arithmetic mean of the others, which is the log-mean-exp of the log-weights.
    pub fn arithmetic() -> Self {
        Vimco { replacement: MeanOfOthers::Arithmetic }
    }
}

impl Memory for Vimco {
    fn name(&self) -> Option<String> {
        Some(match self.replacement {
            MeanOfOthers::Arithmetic => "VIMCO, arithmetic".into(),
            _ => "VIMCO".into(),
        })
    }

    fn check(&self, members: usize) -> Result<(), String> {
        LeaveOneOut.check(members).map_err(|problem| problem.replace("leave-one-out", "VIMCO"))
    }

    fn sees_other_members(&self) -> bool {
        true
    }
}

impl<F: Real> Baseline<F> for Vimco {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        without_each(context, distribution, self.replacement)
    }
}

/// The costs without the information in each member, whose weight is replaced wherever the members are reduced.
pub(super) fn without_each<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
    replacement: MeanOfOthers,
) -> GraphResult<Baselines<'t, F>> {
    let mut baselines = LeaveOneOut.baselines(context, distribution)?;
    let Some((plate, l)) = context.plate().zip(context.gradient_function()) else { return Ok(baselines) };
    let left_out = left_out_members(context, plate);
    let changed = context.changed_reductions(plate, &|reduced| replacement.without_one(reduced, plate, left_out))?;
    if replacement == MeanOfOthers::Nothing {
        check_log_sums(context, &changed, plate, left_out, "OVIS gives the left-out sample a weight of zero")?;
    }
    let own = changed.into_iter().map(|cost| baseline_of_each(context, cost, l, plate, left_out));
    baselines.values.extend(own);
    Ok(baselines)
}

/// A plate with the members of another one, each of which is left out in turn.
pub(super) fn left_out_members<F: Real>(context: &CostContext<'_, '_, F>, plate: Plate) -> Plate {
    let tape = context.tape();
    tape.plate("left out", tape.plate_size(plate), PlateKind::Alternatives, &context.value().plates())
}

/// The baseline of each member: a joint cost of all of them, with the value that it has if the member is left out.
pub(super) fn baseline_of_each<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    mut cost: NodeCost<'t, F>,
    l: Var<'t, F>,
    plate: Plate,
    left_out: Plate,
) -> CostBaseline<'t, F> {
    let tape = context.tape();
    // The control variate of each member is reduced over the members like any cost, whereas the joint cost occurs once.
    let repeated = if tape.weights(plate) == Weights::Sum { 1.0 } else { tape.plate_size(plate) as f64 };
    // A part that depends on no member does not depend on which one is left out.
    let replaced = cost.value.expand_plates(&[&cost.value.plates()[..], &[left_out]].concat());
    let baseline = replaced.plate_to_event(left_out).event_to_plate(plate);
    // Each member has its own baseline, for its own l.
    cost.joint.retain(|joint| *joint != plate);
    let carried = l.plates();
    let own = cost.joint.iter().filter(|joint| carried.contains(joint));
    cost.gradient_function = Some(own.fold(l, |l, &joint| l.sum_over(joint)));
    CostBaseline::new(cost, baseline * repeated)
}

/// Refuses costs that reduce the plate in another way than by a log-mean-exp, for baselines that rely on it.
pub(super) fn check_log_sums<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    changed: &[NodeCost<'t, F>],
    plate: Plate,
    left_out: Plate,
    because: &str,
) -> GraphResult<()> {
    for cost in changed {
        if let Some(reduction) = other_than_log_sum(cost.value, plate, left_out) {
            return Err(context.refused(format!(
                "{because}, which needs a log-mean-exp over plate \"{}\"; cost \"{}\" takes {reduction} over it. Use \
                 the Vimco baseline for other functions of all samples, or LeaveOneOut with a cost that keeps the \
                 plate",
                context.tape().plate_name(plate),
                cost.name
            )));
        }
    }
    Ok(())
}

/// The first reduction of a plate with left-out members on the path to a value that is not a log-sum-exp, in words.
fn other_than_log_sum<F: Real>(value: Var<'_, F>, plate: Plate, left_out: Plate) -> Option<&'static str> {
    let mut pending = vec![value];
    let mut seen = HashSet::new();
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        for input in var.inputs() {
            let plates = input.plates();
            if !plates.contains(&left_out) {
                continue;
            }
            if !plates.contains(&plate) || var.plates().contains(&plate) {
                // It still has the plate, so that nothing before it was reduced with a member left out.
                pending.push(input);
                continue;
            }
            match var.op() {
                Some(Op::PlateReduce(_, PlateReduction::LogSumExp)) => pending.push(input),
                Some(Op::PlateReduce(_, PlateReduction::Sum)) => return Some("a sum"),
                Some(Op::PlateReduce(_, PlateReduction::Mean | PlateReduction::Weighted)) => return Some("a mean"),
                _ => return Some("another function"),
            }
        }
    }
    None
}

impl MeanOfOthers {
    /// The values that are reduced, once for each left-out member, with its replacement.
    fn without_one<'t, F: Real>(self, reduced: Var<'t, F>, plate: Plate, left_out: Plate) -> Var<'t, F> {
        let tape = reduced.tape();
        let members = tape.plate_size(plate);
        let own = tape.constant_on(&[plate, left_out], Tensor::eye(members));
        let none = tape.constant(f64::NEG_INFINITY);
        let others = match self {
            MeanOfOthers::Geometric => {
                own.select(tape.constant(0.0), reduced).sum_over(plate) * (1.0 / (members - 1) as f64)
            }
            MeanOfOthers::Arithmetic => {
                own.select(none, reduced).log_mean_exp_over(plate) + (members as f64 / (members - 1) as f64).ln()
            }
            MeanOfOthers::Nothing => none,
        };
        own.select(others, reduced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::Graph;

    fn methods(samples: usize) -> [BitMethod; 2] {
        [Vimco::new(), Vimco::arithmetic()]
            .map(|vimco| Arc::new(ScoreFunction::new().samples(samples).baseline(vimco)) as BitMethod)
    }

    #[test]
    fn the_bound_is_exact_at_every_order() {
        for method in [methods(2), methods(3)].concat() {
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9)
                .unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        }
    }

    /// A bound for each image, in which two nodes share the samples and one of them depends on the other.
    fn nested(graph: &Graph<'_, f64>, vimco: Option<Vimco>) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let samples = graph.plate("samples", 2)?;
        let plain = ScoreFunction::new().on_plate(samples);
        let draw = |name: &str, logit| match vimco {
            Some(vimco) => graph.sample(name, &Bernoulli::from_logits(logit), &plain.baseline(vimco)),
            None => graph.sample(name, &Bernoulli::from_logits(logit), &plain),
        };
        let x = draw("x", t.index(0, 0) * features)?;
        let y = draw("y", t.index(0, 1) + x * 0.7)?;
        let log_weight = x * 1.3 - y * features - t.index(0, 0) * x * y;
        graph.cost("bound", -log_weight.log_mean_exp_over(samples) * 0.5 + t.index(0, 1))?;
        graph.cost("each", (x - y * 0.3).square())
    }

    #[test]
    fn nested_nodes_on_data_are_exact_and_vary_less() {
        let gradient = |vimco| {
            let model = |graph: &Graph<'_, f64>| nested(graph, vimco);
            Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().to_vec()
        };
        let plain = gradient(None);
        for vimco in [Vimco::new(), Vimco::arithmetic()] {
            let found = gradient(Some(vimco));
            assert!(found.iter().zip(&plain).all(|(found, plain)| found < plain), "{found:?}, {plain:?}");
        }
    }

    #[test]
    fn it_is_leave_one_out_where_members_are_kept() {
        let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut));
        let expected = models::moments(&leave_one_out, 0.45, 0.1);
        for method in methods(4) {
            assert_eq!(models::moments(&method, 0.45, 0.1), expected);
        }
    }

    /// (x₁ − x₂)² / 4 is ½ p (1 − p) on average; its derivative with respect to the logit is ½ p (1 − p) (1 − 2p).
    #[test]
    fn a_reduction_of_a_reduction_has_the_known_derivative() {
        let p = 1.0 / (1.0 + (-0.3_f64).exp());
        let exact = 0.5 * p * (1.0 - p) * (1.0 - 2.0 * p);
        assert!((exact + 0.018198).abs() < 1e-6);
        for method in methods(2) {
            let model = |graph: &Graph<'_, f64>| {
                let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3)?), &method)?;
                let k = graph.plate_named("x").expect("the samples");
                graph.cost("cost", (x - x.mean_over(k)).square().sum_over(k) * 0.5)
            };
            let moments = Oracle::new().gradient(model).unwrap();
            let found = moments.mean("t").unwrap().item().unwrap();
            assert!((found - exact).abs() < 1e-12, "{}: {found} where {exact} is exact", method.name());
        }
    }

    /// Functions of two bits along a plate that reduce it more than once.
    type Nested = for<'t> fn(Var<'t, f64>, Plate) -> Var<'t, f64>;

    const NESTED: [(&str, Nested); 5] = [
        ("a mean inside a log-mean-exp", |x, k| (x * 1.3 - x.mean_over(k)).log_mean_exp_over(k)),
        ("a log-mean-exp inside a sum", |x, k| (x - (x * 0.7).log_mean_exp_over(k)).exp().sum_over(k)),
        ("three in turn", |x, k| {
            let centred = x * 2.0 - x.mean_over(k);
            let spread = centred.square().mean_over(k);
            (centred * spread + x).log_mean_exp_over(k)
        }),
        ("a product of reductions", |x, k| x.mean_over(k) * (x * 1.3).log_mean_exp_over(k)),
        ("a kept part with a reduction of all", |x, k| (x * 2.0 - x.mean_over(k)).square() + x.sum_over(k)),
    ];

    #[test]
    fn nested_reductions_are_exact_at_every_order() {
        for (what, cost) in NESTED {
            for method in [methods(2), methods(3)].concat() {
                let model = |graph: &Graph<'_, f64>| {
                    let t = graph.param("t", 0.3)?;
                    let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                    let k = graph.plate_named("x").expect("the samples");
                    graph.cost("cost", cost(x - t * 0.2, k))
                };
                Oracle::new()
                    .verify(model, 0..=2, 1e-9)
                    .unwrap_or_else(|error| panic!("{}, {what}: {error}", method.name()));
            }
        }
    }

    #[test]
    fn a_member_that_is_picked_out_gets_no_baseline() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &methods(3)[0])?;
            let plate = graph.plate_named("x").expect("the plate");
            graph.cost("first", x.member(plate, 0) * t)?;
            graph.cost("mixed", (x * 2.0 + x.mean_over(plate)).square())?;
            graph.cost("bound", -(x * 1.3 - t * x).log_mean_exp_over(plate))
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    }
}
