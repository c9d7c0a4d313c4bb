//! Stochastic automatic differentiation: gradients of expectations, with a gradient method per random node.
//!
//! Use this crate to differentiate the expected cost of a model that draws random samples: variational autoencoders
//! with discrete codes, policy gradients, simulations. A model is recorded as a stochastic computation graph, and
//! `Graph::backward` estimates the derivatives of its expected cost. Every stochastic node has its own gradient method.
//! To change the method, change one argument of `Graph::sample`.
//!
//! ```
//! use stochgrad::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let method = ScoreFunction::new().samples(8).baseline(LeaveOneOut);
//! let tape = Tape::<f64>::new();
//! let graph = Graph::new(&tape, Seed::new(7));
//! let logits = graph.param("logits", [0.0, 1.0])?;
//! let b = graph.sample("b", &Bernoulli::from_logits(logits), &method)?;
//! graph.cost("loss", (b - 0.499).square().sum())?;
//! let gradients = graph.backward()?;
//! println!("d/dlogits ≈ {:?}, {}", gradients.get("logits")?, gradients.guarantee("logits")?);
//! # assert_eq!(gradients.get("logits")?.shape()[..], [2]);
//! # Ok(())
//! # }
//! ```
//!
//! Start with the [`prelude`], and import everything else from its module:
//!
//! | module | contents |
//! |---|---|
//! | [`graph`] | graphs, nodes, costs, gradients, compiled graphs, and the traits of gradient methods |
//! | [`estimators`] | gradient methods, baselines, sampling schemes and objectives |
//! | [`distributions`] | distributions and their capabilities |
//! | [`nn`] | parameters, layers, optimisers, data sets and checkpoints |
//! | [`environments`] | decision processes, recorded or in plain Rust, and rollouts of policies |
//! | `train` | training loops, data sources and evaluation; with the feature `train`, which is on by default |
//! | `lab` | comparison and selection of gradient methods; with the feature `lab`, which is on by default |
//! | [`triples`] | forward-mode derivatives of scalar programs whose control flow depends on samples |
//! | [`check`] | the exact oracle, the statistical test and the gradient check |
//! | [`tape`] | variables, plates, derivatives and compiled programs |
//! | [`tensor`] | tensors, kernels and random numbers |
//!
//! The features `ndarray`, `proptest`, `serde` and `tracing` are off by default. The page `docs/interfaces.md`
//! describes what they add.
//!
//! Each module is also a crate, which can be used without this one. The folder `docs/` of the repository contains a
//! guide and a page for each gradient method.

// These are modules and not other names of the crates, because the compiler would name the crates in its messages, as
// `stochgrad::stochgrad_distributions::Relaxed`.

/// The exact oracle, the statistical test and the gradient check; see [`stochgrad_check`].
pub mod check {
    #[doc(inline)]
    pub use stochgrad_check::*;
}

/// Distributions, and what each of them can do; see [`stochgrad_distributions`].
pub mod distributions {
    #[doc(inline)]
    pub use stochgrad_distributions::*;
}

/// Decision processes and rollouts of policies; see [`stochgrad_environments`].
pub mod environments {
    #[doc(inline)]
    pub use stochgrad_environments::*;
}

/// Gradient methods and baselines; see [`stochgrad_estimators`].
pub mod estimators {
    #[doc(inline)]
    pub use stochgrad_estimators::*;
}

/// Nodes, costs, the trait of gradient methods, and counterfactual replay; see [`stochgrad_graph`].
pub mod graph {
    #[doc(inline)]
    pub use stochgrad_graph::*;
}

/// Which method is best for a model, and which node causes the variance; see [`stochgrad_lab`].
#[cfg(feature = "lab")]
pub mod lab {
    #[doc(inline)]
    pub use stochgrad_lab::*;
}

/// Parameters, layers, step functions, optimisers, data sets and checkpoints; see [`stochgrad_nn`].
pub mod nn {
    #[doc(inline)]
    pub use stochgrad_nn::*;
}

/// The tape: operations, derivatives of any order, plates, and compiled programs; see [`stochgrad_tape`].
pub mod tape {
    #[doc(inline)]
    pub use stochgrad_tape::*;
}

/// Dense tensors, kernels, keyed random fills and special functions; see [`stochgrad_tensor`].
pub mod tensor {
    #[doc(inline)]
    pub use stochgrad_tensor::*;
}

/// The trainer, data sources, progress and pictures, and evaluation; see [`stochgrad_train`].
#[cfg(feature = "train")]
pub mod train {
    #[doc(inline)]
    pub use stochgrad_train::*;
}

/// Forward-mode derivatives of scalar programs whose control flow depends on samples; see [`stochgrad_triples`].
pub mod triples {
    #[doc(inline)]
    pub use stochgrad_triples::*;
}

pub mod prelude;

/// The programs in README and in the pages of `docs/`, as doctests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/guide.md")]
    mod guide {}
    #[doc = include_str!("../../../docs/coming_from.md")]
    mod coming_from {}
    #[doc = include_str!("../../../docs/plates.md")]
    mod plates {}
    #[doc = include_str!("../../../docs/own_methods.md")]
    mod own_methods {}
    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../../docs/training.md")]
    mod training {}
    #[doc = include_str!("../../../docs/troubleshooting.md")]
    mod troubleshooting {}
    #[doc = include_str!("../../../docs/devices/README.md")]
    mod devices {}
    #[doc = include_str!("../../../docs/evidence.md")]
    mod evidence {}
    #[doc = include_str!("../../../docs/expectations.md")]
    mod expectations {}
    #[doc = include_str!("../../../docs/rankings_and_subsets.md")]
    mod rankings_and_subsets {}
    #[doc = include_str!("../../../docs/reinforcement_learning.md")]
    mod reinforcement_learning {}
    #[doc = include_str!("../../../docs/off_policy.md")]
    mod off_policy {}
    #[doc = include_str!("../../../docs/perturbation_analysis.md")]
    mod perturbation_analysis {}
    #[doc = include_str!("../../../docs/implicit_distributions.md")]
    mod implicit_distributions {}
    #[doc = include_str!("../../../docs/rao_blackwellization.md")]
    mod rao_blackwellization {}
    #[doc = include_str!("../../../docs/randomized_backward.md")]
    mod randomized_backward {}
    // Its programs need the features that they describe; `.ci/full` runs them.
    #[cfg(all(feature = "ndarray", feature = "proptest", feature = "serde", feature = "tracing", feature = "train"))]
    #[doc = include_str!("../../../docs/interfaces.md")]
    mod interfaces {}
    #[doc = include_str!("../../../docs/lab.md")]
    mod lab {}
    #[doc = include_str!("../../../docs/sequences.md")]
    mod sequences {}
    #[doc = include_str!("../../../docs/triples.md")]
    mod triples {}
    #[doc = include_str!("../../../docs/mathematics.md")]
    mod mathematics {}
    #[doc = include_str!("../../../docs/glossary.md")]
    mod glossary {}

    /// A module for each page of a folder.
    macro_rules! pages {
        ($folder:literal: $($page:ident)*) => {
            $(
                #[doc = include_str!(concat!("../../../docs/", $folder, "/", stringify!($page), ".md"))]
                mod $page {}
            )*
        };
    }

    mod distributions {
        pages! {
            "distributions":
            asymmetric_laplace auto_regressive bernoulli beta beta_binomial binomial categorical cauchy censored chi
            chi2 continuous_bernoulli delta dirichlet dirichlet_multinomial discrete_uniform empirical exponential
            exponentially_modified_gaussian fisher_f gamma gaussian_process gaussian_random_walk
            generalized_extreme_value generalized_normal generalized_pareto geometric gumbel half_cauchy half_normal
            half_student_t hidden_markov_model horseshoe hurdle hypergeometric independent inverse_gamma
            inverse_gaussian inverse_wishart johnson_su k_subset kumaraswamy laplace levy linear_gaussian_state_space
            lkj log_logistic log_normal logistic low_rank_multivariate_normal markov_chain matrix_normal maxwell mixture
            mixture_same_family moyal multinomial multivariate_normal multivariate_student_t negative_binomial normal
            normal_inverse_gaussian one_hot_categorical ordered_logistic pareto plackett_luce poisson power_spherical
            projected_normal quantized rayleigh relaxed_bernoulli relaxed_one_hot_categorical sinh_arcsinh skellam
            skew_normal student_t transformed_distribution triangular truncated truncated_normal uniform von_mises
            von_mises_fisher weibull wishart zero_inflated zeta zipf
        }
    }

    mod methods {
        #[doc = include_str!("../../../docs/methods/arm.md")]
        mod arm {}
        #[doc = include_str!("../../../docs/methods/arms.md")]
        mod arms {}
        #[doc = include_str!("../../../docs/methods/arsm.md")]
        mod arsm {}
        #[doc = include_str!("../../../docs/methods/auto.md")]
        mod auto {}
        #[doc = include_str!("../../../docs/methods/baselines.md")]
        mod baselines {}
        #[doc = include_str!("../../../docs/methods/bit_flip.md")]
        mod bit_flip {}
        #[doc = include_str!("../../../docs/methods/carms.md")]
        mod carms {}
        #[doc = include_str!("../../../docs/methods/categorical_disarm.md")]
        mod categorical_disarm {}
        #[doc = include_str!("../../../docs/methods/disarm.md")]
        mod disarm {}
        #[doc = include_str!("../../../docs/methods/critics.md")]
        mod critics {}
        #[doc = include_str!("../../../docs/methods/discrete_go.md")]
        mod discrete_go {}
        #[doc = include_str!("../../../docs/methods/double_control_variate.md")]
        mod double_control_variate {}
        #[doc = include_str!("../../../docs/methods/enumerate.md")]
        mod enumerate {}
        #[doc = include_str!("../../../docs/methods/evidence_bounds.md")]
        mod evidence_bounds {}
        #[doc = include_str!("../../../docs/methods/thermodynamic_objective.md")]
        mod thermodynamic_objective {}
        #[doc = include_str!("../../../docs/methods/wake_sleep.md")]
        mod wake_sleep {}
        #[doc = include_str!("../../../docs/methods/evolution_strategy.md")]
        mod evolution_strategy {}
        #[doc = include_str!("../../../docs/methods/fini.md")]
        mod fini {}
        #[doc = include_str!("../../../docs/methods/finite_difference.md")]
        mod finite_difference {}
        #[doc = include_str!("../../../docs/methods/gapped_straight_through.md")]
        mod gapped_straight_through {}
        #[doc = include_str!("../../../docs/methods/generalized_gumbel_softmax.md")]
        mod generalized_gumbel_softmax {}
        #[doc = include_str!("../../../docs/methods/generalized_reparameterization.md")]
        mod generalized_reparameterization {}
        #[doc = include_str!("../../../docs/methods/gumbel_rao.md")]
        mod gumbel_rao {}
        #[doc = include_str!("../../../docs/methods/gumbel_sinkhorn.md")]
        mod gumbel_sinkhorn {}
        #[doc = include_str!("../../../docs/methods/gumbel_softmax.md")]
        mod gumbel_softmax {}
        #[doc = include_str!("../../../docs/methods/implicit_mle.md")]
        mod implicit_mle {}
        #[doc = include_str!("../../../docs/methods/importance_sampling.md")]
        mod importance_sampling {}
        #[doc = include_str!("../../../docs/methods/lax.md")]
        mod lax {}
        #[doc = include_str!("../../../docs/methods/local_expectation.md")]
        mod local_expectation {}
        #[doc = include_str!("../../../docs/methods/log_variance.md")]
        mod log_variance {}
        #[doc = include_str!("../../../docs/methods/measure_valued.md")]
        mod measure_valued {}
        #[doc = include_str!("../../../docs/methods/mve.md")]
        mod mve {}
        #[doc = include_str!("../../../docs/methods/pathwise.md")]
        mod pathwise {}
        #[doc = include_str!("../../../docs/methods/perturbed_optimizers.md")]
        mod perturbed_optimizers {}
        #[doc = include_str!("../../../docs/methods/rebar.md")]
        mod rebar {}
        #[doc = include_str!("../../../docs/methods/reinmax.md")]
        mod reinmax {}
        #[doc = include_str!("../../../docs/methods/relax.md")]
        mod relax {}
        #[doc = include_str!("../../../docs/methods/replay_budget.md")]
        mod replay_budget {}
        #[doc = include_str!("../../../docs/methods/reservoir.md")]
        mod reservoir {}
        #[doc = include_str!("../../../docs/methods/rodeo.md")]
        mod rodeo {}
        #[doc = include_str!("../../../docs/methods/sampling_schemes.md")]
        mod sampling_schemes {}
        #[doc = include_str!("../../../docs/methods/score_function.md")]
        mod score_function {}
        #[doc = include_str!("../../../docs/methods/simple.md")]
        mod simple {}
        #[doc = include_str!("../../../docs/methods/sequence_set.md")]
        mod sequence_set {}
        #[doc = include_str!("../../../docs/methods/smoothed.md")]
        mod smoothed {}
        #[doc = include_str!("../../../docs/methods/smoothed_perturbation.md")]
        mod smoothed_perturbation {}
        #[doc = include_str!("../../../docs/methods/spsa.md")]
        mod spsa {}
        #[doc = include_str!("../../../docs/methods/stochastic_derivatives.md")]
        mod stochastic_derivatives {}
        #[doc = include_str!("../../../docs/methods/straight_through.md")]
        mod straight_through {}
        #[doc = include_str!("../../../docs/methods/sum_and_sample.md")]
        mod sum_and_sample {}
        #[doc = include_str!("../../../docs/methods/ugc.md")]
        mod ugc {}
        #[doc = include_str!("../../../docs/methods/unordered_set.md")]
        mod unordered_set {}
        #[doc = include_str!("../../../docs/methods/without_replacement.md")]
        mod without_replacement {}
    }
}
