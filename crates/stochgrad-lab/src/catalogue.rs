//! All methods for a family of distributions.

use stochgrad_distributions::{
    Bernoulli, Beta, Binomial, Categorical, Exponential, Family, Gamma, Id, Laplace, LogNormal, Normal,
    OneHotCategorical, Poisson, Side,
};
use stochgrad_estimators::{
    Arm, Arms, Ars, Arsm, Auto, BatchMean, BitFlip, Carms, CategoricalDisArm, DeltaMethod, DisArm, DiscreteGo,
    DoubleControlVariate, Enumerate, EvolutionStrategy, Fini, FiniteDifference, FreshSample, GappedStraightThrough,
    GeneralizedReparameterization, GumbelRao, GumbelSoftmax, ImplicitPathwise, ImportanceSampling, Lax, LeaveOneOut,
    LocalExpectation, MeasureValued, MovingAverage, MuProp, Mve, Nvil, OptimalBaseline, Ovis, Pairwise, Pathwise,
    Rebar, ReinMax, Relax, ReplayBudget, Reservoir, Rodeo, SamplingScheme, ScoreFunction, SelfCritical, Simple,
    Smoothed, SmoothedPerturbation, Spsa, StochasticDerivatives, StraightThrough, SumAndSample, Ugc, UnorderedSet,
    Vimco, WithoutReplacement,
};
use stochgrad_tensor::Real;

use crate::candidate::Candidate;
use crate::candidates;
use crate::requirements::{NotApplicable, missing};

/// A family of distributions with a list of the methods that apply to it.
///
/// The list has every method that compiles for the family, with customary settings, and [`not_applicable`] the others
/// with the reason: the family lacks what they need, or they need a function that only you know. Methods that do not
/// suit a model, such as one that needs derivatives of a cost that jumps, are refused by the graph; a
/// [`Comparison`](crate::Comparison) states the reason.
///
/// [`not_applicable`]: Self::not_applicable
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_lab::{Candidate, Catalogue};
///
/// let methods: Vec<Candidate<f64, _>> = Bernoulli::<Id>::catalogue();
/// assert!(methods.iter().any(|method| method.label() == "DisArm::new()"));
/// for method in <Bernoulli<Id> as Catalogue<f64>>::not_applicable() {
///     println!("{method}"); // Pathwise: it needs samples that are differentiable in the parameters
/// }
/// ```
pub trait Catalogue<F: Real>: Family<F> {
    /// The methods.
    fn catalogue() -> Vec<Candidate<F, Self>>;

    /// The methods and baselines of the library that the catalogue does not have, with the reasons.
    fn not_applicable() -> Vec<NotApplicable> {
        let methods = Self::catalogue();
        missing(methods.iter().map(Candidate::label))
    }
}

/// Methods for all distributions.
macro_rules! score {
    () => {
        candidates![
            ScoreFunction::new(),
            ScoreFunction::new().samples(2).baseline(LeaveOneOut),
            ScoreFunction::new().samples(4).baseline(LeaveOneOut),
            ScoreFunction::new().samples(8).baseline(LeaveOneOut),
            ScoreFunction::new().samples(4).baseline(Vimco::new()),
            ScoreFunction::new().samples(4).baseline(Ovis),
            ScoreFunction::new().baseline(BatchMean),
            ScoreFunction::new().baseline(MovingAverage::new(0.9)),
            ScoreFunction::new().baseline(OptimalBaseline::new(0.9)),
            ScoreFunction::new().baseline(Nvil::new()),
            FiniteDifference::new(0.01),
            Spsa::new(0.01),
            EvolutionStrategy::new(0.01),
        ]
    };
}

/// Methods for distributions whose values can be drawn jointly by inversion.
macro_rules! replayed {
    () => {
        candidates![ScoreFunction::new().baseline(SelfCritical), ScoreFunction::new().baseline(FreshSample)]
    };
}

/// Methods for distributions with finitely many states.
macro_rules! finite {
    () => {
        candidates![
            Enumerate::new(),
            Auto::new(),
            LocalExpectation::new(),
            SumAndSample::new(1, 1),
            UnorderedSet::new(2),
            WithoutReplacement::new(2),
            DoubleControlVariate::new(2),
            MeasureValued::new(),
            StochasticDerivatives::new(),
            StochasticDerivatives::new().side(Side::Right),
            Reservoir::of(MeasureValued::new()),
            ReplayBudget::of(StochasticDerivatives::new(), 1),
            ScoreFunction::new().baseline(MuProp::new()),
            Smoothed::new(),
        ]
    };
}

/// Methods for independent bits and independent categories.
macro_rules! one_hot {
    () => {
        candidates![
            CategoricalDisArm::new(),
            CategoricalDisArm::importance_weighted(),
            CategoricalDisArm::tree(),
            Carms::new(2),
            Ars::new(),
            Arsm::new(),
            StraightThrough::new(1.0),
            ReinMax::new(1.0),
            Mve::new(),
            Simple::new(),
            GumbelRao::new(0.5),
            GumbelSoftmax::new(0.5),
            GumbelSoftmax::new(0.5).straight_through(),
            Rebar::new(),
            Relax::new(),
        ]
    };
}

/// Methods for continuous distributions with a sample path.
macro_rules! path {
    () => {
        candidates![Pathwise::new(), Pathwise::new().samples(4), Lax::new()]
    };
}

/// Methods for continuous distributions with a distribution function.
macro_rules! implicit {
    () => {
        candidates![ImplicitPathwise::new(), Pairwise::new(), SmoothedPerturbation::new()]
    };
}

macro_rules! catalogues {
    ($($distribution:ident: $($list:expr),+;)+) => {
        $(impl<F: Real> Catalogue<F> for $distribution<Id> {
            fn catalogue() -> Vec<Candidate<F, Self>> {
                let lists: Vec<Vec<Candidate<F, Self>>> = vec![$($list),+];
                lists.into_iter().flatten().collect()
            }
        })+
    };
}

catalogues! {
    Bernoulli: score!(), replayed!(), finite!(), one_hot!(), candidates![
        DisArm::new(),
        Arm::new(),
        Arms::new(4),
        Ugc::new(),
        BitFlip::new(),
        Rodeo::new(2),
        DiscreteGo::new(),
        ScoreFunction::new().baseline(DeltaMethod::new()),
        ImportanceSampling::overdispersed(2.0),
        ScoreFunction::new().samples(2).scheme(SamplingScheme::Antithetic)
    ];
    OneHotCategorical: score!(), replayed!(), finite!(), one_hot!(), candidates![
        GappedStraightThrough::new(1.0),
        ImportanceSampling::overdispersed(2.0)
    ];
    Categorical: score!(), replayed!(), finite!(), candidates![
        DiscreteGo::new(),
        ImportanceSampling::overdispersed(2.0)
    ];
    Binomial: score!(), finite!(), candidates![DiscreteGo::new(), Fini::new(2)];
    Poisson: score!(), candidates![MeasureValued::new(), StochasticDerivatives::new(), DiscreteGo::new()];
    Normal: score!(), path!(), implicit!(), candidates![Auto::new(), MeasureValued::new()];
    LogNormal: score!(), path!(), implicit!(), candidates![Auto::new()];
    Laplace: score!(), path!(), implicit!(), candidates![Auto::new()];
    Exponential: score!(), path!(), implicit!(), candidates![Auto::new(), MeasureValued::new()];
    Gamma: score!(), path!(), implicit!(), candidates![Auto::new(), GeneralizedReparameterization::new()];
    Beta: score!(), path!(), implicit!(), candidates![Auto::new(), GeneralizedReparameterization::new()];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_different() {
        let labels: Vec<String> = Bernoulli::<Id>::catalogue()
            .into_iter()
            .map(|method: Candidate<f64, _>| method.label().to_owned())
            .collect();
        assert!(labels.len() > 40);
        for (index, label) in labels.iter().enumerate() {
            assert!(!labels[..index].contains(label), "{label}");
        }
    }

    #[test]
    fn methods_that_do_not_apply_have_a_reason() {
        fn reasons<D: Catalogue<f64>>() -> Vec<&'static str> {
            let missing = D::not_applicable();
            assert!(missing.iter().all(|one| one.reason != "nothing"), "{missing:?}");
            missing.iter().map(|one| one.method).collect()
        }
        assert!(reasons::<Bernoulli<Id>>().contains(&"Pathwise"));
        assert!(reasons::<OneHotCategorical<Id>>().contains(&"DisArm"));
        assert!(reasons::<Categorical<Id>>().contains(&"StraightThrough"));
        assert!(reasons::<Binomial<Id>>().contains(&"GumbelSoftmax"));
        assert!(reasons::<Poisson<Id>>().contains(&"Enumerate"));
        for continuous in [
            reasons::<Normal<Id>>(),
            reasons::<LogNormal<Id>>(),
            reasons::<Laplace<Id>>(),
            reasons::<Exponential<Id>>(),
            reasons::<Gamma<Id>>(),
            reasons::<Beta<Id>>(),
        ] {
            assert!(continuous.contains(&"Enumerate") && !continuous.contains(&"Pathwise"));
        }
    }
}
