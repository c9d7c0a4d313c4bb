//! Checks of every method where outcomes have probability zero. *At weight 0 a cost that is not finite contributes 0 to the value and the
//! derivative; with a finite cost the derivative with respect to the weight stays the cost.*

use crate::models::BitMethod;
use crate::{
    Arm, Arms, Ars, Arsm, Auto, BitFlip, Carms, CategoricalDisArm, DisArm, DiscreteGo, DoubleControlVariate, Enumerate,
    LeaveOneOut, LocalExpectation, MeasureValued, Mve, Rebar, ReinMax, Relax, ReplayBudget, Reservoir, Rodeo,
    ScoreFunction, StochasticDerivatives, SumAndSample, Ugc, UnorderedSet, WithoutReplacement,
};
use std::sync::Arc;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Distribution, Side};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Tape, Var};

type Build = for<'t> fn(Var<'t, f64>) -> Bernoulli<Var<'t, f64>>;
type Cost = for<'t> fn(Var<'t, f64>, Bernoulli<Var<'t, f64>>, Bernoulli<Var<'t, f64>>) -> Var<'t, f64>;

fn replays() -> Vec<BitMethod> {
    vec![
        Arc::new(MeasureValued::new()),
        Arc::new(StochasticDerivatives::new()),
        Arc::new(StochasticDerivatives::new().side(Side::Right)),
        Arc::new(LocalExpectation::new()),
        Arc::new(DiscreteGo::new()),
        Arc::new(BitFlip::new()),
        Arc::new(Ugc::new()),
        Arc::new(DisArm::new()),
        Arc::new(Arm::new()),
        Arc::new(Arms::new(2)),
        Arc::new(Carms::new(2)),
        Arc::new(CategoricalDisArm::new()),
        Arc::new(Rodeo::new(2)),
        Arc::new(DoubleControlVariate::new(2)),
        Arc::new(Reservoir::of(MeasureValued::new())),
        Arc::new(ReplayBudget::of(StochasticDerivatives::new(), 1)),
        Arc::new(ScoreFunction::new()),
        Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)),
        Arc::new(Enumerate::new()),
        Arc::new(Auto::new()),
        Arc::new(UnorderedSet::new(1)),
        Arc::new(SumAndSample::new(1, 1)),
        Arc::new(WithoutReplacement::new(2)),
        Arc::new(Arsm::new()),
        Arc::new(Ars::new()),
        Arc::new(Rebar::new()),
        Arc::new(Relax::new().hidden(4)),
        Arc::new(ReinMax::new(1.0)),
        Arc::new(Mve::new()),
    ]
}

#[test]
fn survey() {
    let builds: [(&str, Build, [f64; 3]); 2] = [
        ("probabilities", |v| Bernoulli::from_probabilities(v), [0.0, 0.5, 1.0]),
        ("logits", |v| Bernoulli::from_logits(v), [f64::NEG_INFINITY, 0.0, f64::INFINITY]),
    ];
    let costs: [(&str, Cost); 4] = [
        ("ratio", |b, q, _| q.log_prob(b) - q.log_prob(b)),
        ("constant p", |b, q, p| q.log_prob(b) - p.log_prob(b)),
        ("-ln p", |b, _, p| -p.log_prob(b)),
        ("finite", |b, _, _| (b * b.tape().constant([3.0, 5.0, 7.0])).sum()),
    ];
    for (how, build, start) in builds {
        for (what, cost) in costs {
            for method in replays() {
                let model = |graph: &Graph<'_, f64>| {
                    let theta = graph.param("theta", start)?;
                    let (q, p) = (build(theta), build(graph.constant(start)));
                    let b = graph.sample("b", &q, &method)?;
                    graph.cost("cost", cost(b, q, p))
                };
                let found =
                    Oracle::new().nodes(4).gradient(model).map(|moments| moments.mean("theta").unwrap().to_vec());
                let text = match found {
                    Ok(found) => format!("{found:?}"),
                    Err(error) => format!("{}", error.to_string().chars().take(150).collect::<String>()),
                };
                println!("{how} | {what} | {} | {text}", method.name());
            }
        }
    }
}
