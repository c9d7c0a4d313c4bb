//! Stochastic computation graphs: plates, nodes, costs, and the surrogate builder.
//!
//! A user records a model on a [`Graph`]: parameters, data, stochastic nodes with a [`GradientMethod`] each, and named costs.
//! [`Graph::backward`] builds the surrogate of the expected total cost (the module `surrogate` has the formula on top) and
//! differentiates it. Every gradient carries a [`Guarantee`]: its bias, and the highest order of derivative that is valid.
//!
//! Methods that ask "what would the cost be, had this node been that" get a counterfactual replay under the same noise.
//!
//! This crate knows no particular method: those live in `stochgrad-estimators`, or in the user's own crate, behind the same trait.

mod address;
mod alternatives;
mod compiled;
mod context;
mod cost;
mod credit;
mod degrees;
mod drawing;
mod environment;
mod environment_step;
mod error;
mod finite;
mod gradients;
mod graph;
mod group;
mod guarantee;
mod hidden_outcomes;
mod impossible;
mod ledger;
mod method;
mod mixing;
mod node;
mod paths;
mod profile;
mod qualification;
mod reduction;
mod replay;
mod report;
mod sums;
mod surrogate;
mod sweep;
mod weighted_sets;

pub use address::{Address, Seed};
pub use compiled::CompiledGraph;
pub use context::{CostChange, CostContext, ElementDifference, NodeCost, RecordedDifference, SampleContext};
pub use drawing::{Edge, Vertex};
pub use environment::{Environment, MemberStep, StepEnd, Transition};
pub use error::{GraphError, GraphResult};
pub use gradients::{Gradients, Surrogate};
pub use graph::{Graph, Model};
pub use group::{AlternativeWorld, CandidateShare, Candidates, Group, GroupContext, Jump};
pub use guarantee::{Bias, Guarantee, Order, Path};
pub use method::{
    Apply, AuxiliaryLoss, DynMethod, GradientMethod, GradientTerm, Method, MethodState, SamplePlate, SampleSet, Terms,
    Update,
};
pub use profile::{Access, Count, Extent, Profile, Size};
pub use reduction::Reduction;
pub use report::{NodeReport, ParameterReport, Report};
