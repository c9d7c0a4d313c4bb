//! The slots of methods: what they contain after a step, how they are listed, and what is refused.

use std::sync::Arc;
use stochgrad_distributions::{Bernoulli, Family, Id};
use stochgrad_estimators::{MovingAverage, Nvil, Rebar, ScoreFunction};
use stochgrad_graph::{
    AuxiliaryLoss, CostContext, DynMethod, GradientMethod, Graph, GraphError, GraphResult, Method, MethodSlots,
    MethodState, Order, Profile, SampleContext, SamplePlate, SampleSet, Seed, SlotDomain, SlotPart, SlotSet, Terms,
    Update,
};
use stochgrad_tape::{Slot, Tape};
use stochgrad_tensor::{Real, Tensor};

/// What the test method writes.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    /// One value for all nodes.
    Count,
    /// A value of each node.
    Cost,
    /// A value on the plates of the cost.
    Members,
}

/// A method that counts its steps in one slot, whatever the node.
#[derive(Clone)]
struct Counting {
    slots: SlotSet,
    writes: Writes,
}

impl Counting {
    fn new(writes: Writes) -> Self {
        const PARTS: &[SlotPart] = &[SlotPart { name: "count", domain: SlotDomain::Finite }];
        Counting { slots: SlotSet::new(PARTS), writes }
    }

    fn slot(&self) -> Slot {
        self.slots.slot("all", "count", [], |_| 0.0)
    }
}

impl Method for Counting {
    fn name(&self) -> String {
        "counting".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }

    fn slots(&self) -> MethodSlots {
        MethodSlots::from(&self.slots)
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Counting {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        context.independent(distribution, SamplePlate::Single)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let (slot, cost) = (self.slot(), context.totals()?[0].value.stop_gradient());
        let before = context.tape().slot(&slot);
        let update = match self.writes {
            Writes::Count => Update { is_shared: true, ..Update::new(&slot, before + 1.0) },
            Writes::Cost => Update::new(&slot, before + cost * 0.0 + 1.0),
            Writes::Members => Update::new(&slot, cost),
        };
        Ok(Terms { updates: vec![update], ..Terms::default() })
    }
}

fn two_nodes(graph: &Graph<'_, f64>, method: &Counting) -> GraphResult<()> {
    let logit = graph.param("logit", 0.3)?;
    let x = graph.sample("x", &Bernoulli::from_logits(logit), method)?;
    let y = graph.sample("y", &Bernoulli::from_logits(logit + x), method)?;
    graph.cost("cost", x + y)
}

#[test]
fn nodes_share_a_count_and_other_second_writes_are_refused() {
    let method = Counting::new(Writes::Count);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    two_nodes(&graph, &method).unwrap();
    graph.backward().unwrap().advance();
    assert_eq!(method.slot().values(), [1.0]);
    let mut compiled = graph.compile().unwrap();
    assert_eq!(compiled.program().slots().iter().map(Slot::name).collect::<Vec<_>>(), ["all / count"]);
    compiled.advance();
    assert_eq!(method.slot().values(), [1.0], "there was no run");
    for step in 0..3 {
        compiled.set("logit", &Tensor::scalar(0.3)).unwrap();
        compiled.run(Seed::new(1).step(step)).unwrap();
        assert_eq!(method.slot().values(), [1.0 + step as f64]);
        compiled.advance();
        // A second call changes nothing.
        compiled.advance();
    }
    assert_eq!(method.slot().values(), [4.0]);
    compiled.set("logit", &Tensor::scalar(f64::NAN)).unwrap();
    assert!(compiled.run(Seed::new(1)).is_err());
    compiled.advance();
    assert_eq!(method.slot().values(), [4.0], "the run failed");

    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    two_nodes(&graph, &Counting::new(Writes::Cost)).unwrap();
    for error in [graph.backward().unwrap_err(), graph.compile().err().unwrap()] {
        let message = error.to_string();
        assert!(message.contains("all / count") && message.contains("got two"), "{message}");
    }
}

#[test]
fn a_value_that_does_not_fit_its_slot_is_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let logit = graph.param("logit", 0.3).unwrap();
    let data = graph.data("rows", [0.5, 1.5]).unwrap();
    let method = Counting::new(Writes::Members);
    let x = graph.sample("x", &Bernoulli::from_logits(logit * data), &method).unwrap();
    graph.cost("cost", x).unwrap();
    let message = graph.backward().unwrap_err().to_string();
    assert!(message.contains("all / count") && message.contains("1 plates"), "{message}");
    assert_eq!(method.slot().values(), [0.0]);
}

/// Three nodes, two of which have methods with a state.
fn mixed(graph: &Graph<'_, f64>, methods: &[DynMethod<f64, Bernoulli<Id>>; 3]) -> GraphResult<()> {
    let logit = graph.param("logit", [0.3, -0.8])?;
    let mut total = graph.constant(0.0);
    for (name, method) in ["a", "b", "c"].into_iter().zip(methods) {
        let x = graph.sample(name, &Bernoulli::from_logits(logit + total), method)?;
        total = total + x.sum();
    }
    graph.cost("cost", (total - 1.5).square())
}

fn methods() -> [DynMethod<f64, Bernoulli<Id>>; 3] {
    [
        Arc::new(ScoreFunction::new()),
        Arc::new(ScoreFunction::new().baseline(Nvil::new().hidden(3))),
        Arc::new(Rebar::new().learned(0.1)),
    ]
}

#[test]
fn the_methods_of_a_graph_are_listed_and_their_state_resumes_a_run() {
    let (first, second) = (methods(), methods());
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    mixed(&graph, &first).unwrap();
    let listed = graph.methods();
    assert_eq!(listed.iter().map(|method| method.node.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(listed.iter().map(|method| method.slots.is_empty()).collect::<Vec<_>>(), [true, false, false]);
    let mut compiled = graph.compile().unwrap();
    let mut run = |steps: std::ops::Range<usize>| {
        for step in steps {
            compiled.set("logit", &Tensor::from([0.3, -0.8])).unwrap();
            compiled.run(Seed::new(7).step(step)).unwrap();
            compiled.advance();
        }
    };
    run(0..5);
    let halfway: Vec<MethodState> = graph.methods().iter().map(|method| method.state()).collect();
    run(5..9);

    // A recording of its own, of new methods, goes on from there.
    for step in 5..9 {
        if step == 5 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(7));
            mixed(&graph, &second).unwrap();
            let listed = graph.methods();
            assert!(listed[1].load_state(&halfway[2]).is_err());
            listed.iter().zip(&halfway).for_each(|(method, state)| method.load_state(state).unwrap());
        }
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7).step(step));
        mixed(&graph, &second).unwrap();
        graph.backward().unwrap().advance();
    }
    let states = |methods: &[DynMethod<f64, Bernoulli<Id>>; 3]| methods.each_ref().map(|method| method.state());
    assert_eq!(states(&second), states(&first));
    assert!(states(&first)[1].values().flatten().any(|&x| x != 0.0));
}

#[test]
fn a_name_without_a_known_part_is_refused_and_what_is_not_loaded_starts_again() {
    let average = ScoreFunction::new().baseline(MovingAverage::new(0.9));
    let part = |part: &str, x: f64| (format!("x / cost / {part}"), vec![x]);
    average.load_state(&[part("mean", 2.0), part("weight", 0.5)].into()).unwrap();
    let before = average.state();
    for wrong in [
        vec![part("mean", 2.0)],
        vec![part("mean", f64::NAN), part("weight", 0.5)],
        vec![part("mean", 2.0), part("weight", 1.5)],
        vec![part("mean", 2.0), part("weight", 0.5), part("median", 0.5)],
    ] {
        assert!(matches!(average.load_state(&wrong.into_iter().collect()), Err(GraphError::State { .. })));
        assert_eq!(average.state(), before);
    }
    average.load_state(&MethodState::new()).unwrap();
    assert!(average.state().is_empty());
}

#[test]
fn the_rule_of_a_loss_is_recorded_once_with_the_gradients() {
    let tape = Tape::<f64>::new();
    let slot = Slot::new("w", [2], [1.0, 2.0]);
    let w = tape.slot(&slot);
    let written = slot.clone();
    let loss = AuxiliaryLoss {
        loss: w.square().sum(),
        parameters: vec![w],
        rule: Box::new(move |gradients| vec![Update::new(&written, w - gradients[0] * 0.25)]),
    };
    let gradients = tape.gradients(loss.loss, &loss.parameters).unwrap();
    let updates = (loss.rule)(&gradients);
    updates[0].slot.write(updates[0].value.peek().unwrap().as_slice());
    assert_eq!(slot.values(), [0.5, 1.0]);
}
