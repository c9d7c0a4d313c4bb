//! Building blocks for gradient methods and baselines of your own.
//!
//! A method of your own implements [`Method`](stochgrad_graph::Method) and
//! [`GradientMethod`](stochgrad_graph::GradientMethod), and a baseline [`Memory`](crate::Memory) and
//! [`Baseline`](crate::Baseline). The methods of this crate do the same, with the items of this module:
//!
//! | to | use |
//! |---|---|
//! | draw samples, and have the usual setters | [`Sampling`], [`sampling_setters!`](sampling_setters) |
//! | learn parameters of the method | [`LearnedParameters`], [`SurrogateNetwork`], [`CostLearner`] |
//! | remember means of past steps | [`RunningMeans`], [`RunningMoments`] |
//! | accept a baseline | [`check_baseline`], [`baseline_terms`], [`parameters_by_member`] |
//! | make a baseline of other members | [`independent_members`], [`independent_plates`], [`sum_of_others`], [`over_joint`], [`member_scores`], [`total_key`] |
//! | estimate the gradient of each member | [`MemberGradients`], [`second_moment`], [`sum_over_plates`] |
//! | skip parameters that nothing trainable depends on | [`is_differentiable`], [`trained_parameters`] |
//! | refuse paths without a derivative | [`path_order`], [`sample_path_order`], [`check_parameter_paths`] |
//! | draw antithetic pairs or sets | [`sample_pairs`], [`pair_terms`], [`antithetic_bits`], [`separate_costs`] |
//! | compare the cost with alternatives | [`perturbation_terms`], [`pick_element`] |
//! | share replays between nodes | [`perturbation_candidates`], [`total_strengths`], [`choose`], [`replaced_elements`], [`Ledger`] |
//! | handle outcomes of probability zero | [`Boundary`] |
//! | use a continuous relaxation | [`RelaxedDraws`], [`Temperature`](crate::Temperature) |
//!
//! # Example
//!
//! A score function that accepts a baseline, and whose bits are drawn along a plate:
//!
//! ```
//! use stochgrad_distributions::{Bernoulli, Family, ScoreDifferentiable};
//! use stochgrad_estimators::extension::{
//!     Sampling, baseline_terms, check_baseline, parameters_by_member, sampling_setters,
//! };
//! use stochgrad_estimators::{Baseline, LeaveOneOut, Memory};
//! use stochgrad_graph::{
//!     CostContext, GradientMethod, Graph, GraphError, GraphResult, Method, MethodSlots, Order, Path, Profile,
//!     SampleContext, SamplePlate, SampleSet, Seed, Terms,
//! };
//! use stochgrad_tape::{Tape, Var};
//! use stochgrad_tensor::Real;
//!
//! #[derive(Clone)]
//! struct MyScoreFunction<B> {
//!     sampling: Sampling,
//!     baseline: B,
//! }
//!
//! impl<B> MyScoreFunction<B> {
//!     sampling_setters! { self => self.sampling; samples, on_plate, scheme }
//! }
//!
//! impl<B: Memory> Method for MyScoreFunction<B> {
//!     fn name(&self) -> String {
//!         format!("my score function ({})", self.sampling.describe())
//!     }
//!
//!     fn profile(&self) -> Profile {
//!         Profile::unbiased(Order::Any).and(self.baseline.profile()).times(self.sampling.samples())
//!     }
//!
//!     fn sample_plate(&self) -> SamplePlate {
//!         self.sampling.plate
//!     }
//!
//!     fn slots(&self) -> MethodSlots {
//!         self.baseline.slots()
//!     }
//! }
//!
//! impl<F: Real, D: Family<F>, B: Baseline<F>> GradientMethod<F, D> for MyScoreFunction<B>
//! where
//!     for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
//! {
//!     fn sample<'t>(
//!         &self,
//!         context: &SampleContext<'_, 't, F>,
//!         distribution: &D::On<'t>,
//!     ) -> GraphResult<SampleSet<'t, F>> {
//!         let set = self.sampling.draw(context, distribution)?;
//!         check_baseline(context.tape(), set.plate, &self.baseline).map_err(|problem| {
//!             let distribution = stochgrad_distributions::Distribution::name(distribution);
//!             context.error(stochgrad_distributions::DistributionError::Unsupported { distribution, problem })
//!         })?;
//!         Ok(set)
//!     }
//!
//!     fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _: &Path) -> Option<Var<'t, F>> {
//!         Some(stochgrad_distributions::Distribution::log_prob(distribution, value))
//!     }
//!
//!     fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
//!         let by_member = parameters_by_member::<F, D>(context, distribution)?;
//!         Ok(baseline_terms(context.tape(), self.baseline.baselines(context, &by_member)?))
//!     }
//! }
//!
//! # fn main() -> Result<(), GraphError> {
//! let tape = Tape::<f64>::new();
//! let graph = Graph::new(&tape, Seed::new(7));
//! let logits = graph.param("logits", [0.3, -1.0])?;
//! let method = MyScoreFunction { sampling: Sampling::default(), baseline: LeaveOneOut }.samples(8);
//! let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
//! graph.cost("loss", (bits - 0.499).square().sum())?;
//! assert_eq!(graph.backward()?.get("logits")?.len(), 2);
//! # Ok(())
//! # }
//! ```

pub use crate::antithetic::antithetic_bits::antithetic_bits;
pub use crate::antithetic::arms::separate_costs;
pub use crate::antithetic::disarm::{pair_gradient, pair_profile, pair_terms, sample_pairs};
pub use crate::common::cost_learner::{CostLearner, Units};
pub use crate::common::learned_parameters::LearnedParameters;
pub use crate::common::member_gradients::{MemberGradients, parameters_by_member, second_moment, sum_over_plates};
pub use crate::common::running_means::{RunningMeans, WEIGHT};
pub use crate::common::running_moments::RunningMoments;
pub use crate::common::sampling::Sampling;
pub use crate::common::surrogate_network::SurrogateNetwork;
pub use crate::control_variate::relaxed_control::RelaxedDraws;
pub use crate::counterfactual::perturbation::Perturbation;
pub use crate::counterfactual::perturbation::{
    candidates as perturbation_candidates, gradient_terms as perturbation_terms,
};
pub use crate::counterfactual::picked_element::{PickedElement, pick_element};
pub use crate::counterfactual::shared_replays::{Ledger, choose, replaced_elements, total_strengths};
pub use crate::counterfactual::shifted_parameters::trained_parameters;
pub use crate::enumeration::boundary::Boundary;
pub use crate::sampling_setters;
pub use crate::score_function::baseline::{
    independent_members, independent_plates, member_scores, over_joint, sum_of_others, total_key,
};
pub use crate::score_function::{baseline_terms, check_baseline};
pub use stochgrad_graph::{SamplePlate, check_parameter_paths, is_differentiable, path_order, sample_path_order};
pub use stochgrad_tape::Plate;
