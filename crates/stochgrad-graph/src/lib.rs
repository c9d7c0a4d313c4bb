//! Stochastic computation graphs: plates, nodes, costs, and the surrogate.
//!
//! A model is recorded on a [`Graph`]: parameters, data, stochastic nodes with a [`GradientMethod`] each, and named
//! costs. [`Graph::backward`] records the surrogate of the expected total cost (the module `surrogate` states the
//! formula) and differentiates it. Every gradient carries a [`Guarantee`]: its bias, and the highest order of
//! derivative that is valid.
//!
//! A method that needs the cost for another value of its node gets it from a counterfactual replay under the same
//! noise; see [`CostContext`].
//!
//! This crate contains no particular method. Methods live in `stochgrad-estimators`, or in a crate of your own, and
//! implement the same trait.

mod address;
mod analysis;
mod compiled;
mod compiled_forward;
mod drawing;
mod error;
mod evidence;
mod gradients;
mod graph;
mod guarantee;
mod listing;
mod method;
mod node_gradients;
mod program_inputs;
mod reduction;
mod replay;
mod report;
mod sequences;
mod surrogate;
mod validation;

pub use address::{Address, Seed};
pub use compiled::CompiledGraph;
pub use compiled_forward::CompiledForward;
pub use drawing::{Edge, Vertex};
pub use error::{GraphError, GraphResult, ModelError};
pub use evidence::MostProbable;
pub use gradients::{Gradients, Surrogate};
pub use graph::environment::{Environment, MemberStep, StepEnd, Transition};
pub use graph::redrawn::RedrawnNoise;
pub use graph::scan::step::ScanStep;
pub use graph::scan::steps::Steps;
pub use graph::scan::values::ScanValues;
pub use graph::schedule::StepFunction;
pub use graph::{Graph, Model};
pub use guarantee::{Bias, Guarantee, Path};
pub use listing::{GraphInput, GraphListing, GraphOutput};
pub use method::alternative_world::{AlternativeWorld, CandidateShare, Candidates, Jump};
pub use method::context::CostContext;
pub use method::group::{Group, GroupContext};
pub use method::method_slots::{MethodSlots, MethodState};
pub use method::node_cost::{CostChange, ElementDifference, NodeCost};
pub use method::node_method::NodeMethod;
pub use method::profile::{Access, Count, Extent, Profile, Size};
pub use method::replacements::MethodReplacements;
pub use method::sample_context::{SampleContext, groups_around};
pub use method::sample_path::{check_parameter_paths, is_differentiable, path_order, sample_path_order};
pub use method::sample_set::{GroupedScheme, SamplePlate, SampleSet};
pub use method::set_part::SetPart;
pub use method::slot_set::{SlotDomain, SlotPart, SlotSet};
pub use method::terms::{AuxiliaryLoss, GradientTerm, LearningRule, Terms, Update};
pub use method::{DynMethod, GradientMethod, Method};
pub use reduction::Reduction;
pub use report::{NodeReport, ParameterReport, Report};
pub use sequences::distinct::DistinctSequences;
pub use sequences::model::SequenceModel;
pub use sequences::sampled::{SampledSequence, SampledToken};
pub use sequences::search::Beam;
pub use stochgrad_distributions::Order;

/// The items that the code written by [`forward_method!`] names in other crates.
#[doc(hidden)]
pub mod __private {
    pub use stochgrad_tape::Var;
}
