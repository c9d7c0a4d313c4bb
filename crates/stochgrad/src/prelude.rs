//! The names of a typical program: `use stochgrad::prelude::*;`.
//!
//! The prelude holds what every model needs, most methods of the table in the guide (`docs/guide.md`) and the most
//! common distributions. Import everything else from its module: [`distributions`](crate::distributions),
//! [`estimators`](crate::estimators), [`graph`](crate::graph), [`nn`](crate::nn), `train`,
//! [`check`](crate::check), [`tape`](crate::tape) or [`tensor`](crate::tensor).
//!
//! Traits are imported without a name: their methods can be called (`normal.log_prob(x)`, `adam.step(…)`), but a bound
//! such as `D: Distribution` needs an import from the module of the trait.

pub use stochgrad_distributions::{
    Bernoulli, Categorical, ClosedFormEntropy as _, CumulativeDistribution as _, Distribution as _, Gamma,
    KlDivergence as _, Normal, OneHotCategorical, Poisson, QuantileFunction as _,
};
pub use stochgrad_estimators::{
    Arms, Ars, Arsm, Auto, Carms, CategoricalDisArm, DisArm, DoubleControlVariate, Enumerate, Fini, GumbelRao,
    GumbelSoftmax, Lax, LeaveOneOut, MeasureValued, Mve, Pathwise, Rebar, ReinMax, Relax, Rodeo, ScoreFunction,
    StochasticDerivatives, SumAndSample, UnorderedSet, Vimco, WithoutReplacement,
};
pub use stochgrad_graph::{Graph, Method as _, Seed};
pub use stochgrad_nn::{Layer as _, Optimizer as _, Record, Step};
pub use stochgrad_tape::{Tape, Var};
pub use stochgrad_tensor::Tensor;

#[cfg(test)]
mod tests {
    /// A larger prelude collides with names of the program that imports it.
    const MOST_NAMES: usize = 40;

    #[test]
    fn the_prelude_exports_at_most_forty_names() {
        let source = include_str!("prelude.rs");
        let exports = source.split("#[cfg(test)]").next().unwrap().split("pub use ").skip(1);
        let names: Vec<&str> = exports
            .flat_map(|export| {
                let items = export.split(';').next().unwrap().split_once("::").unwrap().1;
                items.trim_matches(['{', '}', '\n']).split(',').map(str::trim)
            })
            .filter(|name| !name.is_empty() && !name.ends_with(" as _"))
            .collect();
        assert!(names.contains(&"Tape") && names.contains(&"Bernoulli") && names.contains(&"Auto"), "{names:?}");
        assert!(names.len() <= MOST_NAMES, "{} names: {names:?}", names.len());
    }
}
