//! All methods for a family of distributions.

use stochgrad_distributions::{
    Bernoulli, Beta, Binomial, Categorical, Exponential, Family, Gamma, Id, Laplace, LogNormal, Normal,
    OneHotCategorical, Poisson, Side,
};
use stochgrad_estimators::{
    Arm, Arms, Arsm, Auto, BitFlip, Carms, CategoricalDisArm, DeltaMethod, DisArm, DiscreteGo, DoubleControlVariate,
    Enumerate, EvolutionStrategy, Fini, FiniteDifference, FreshSample, GappedStraightThrough, GumbelRao,
    ImplicitPathwise, ImportanceSampling, LeaveOneOut, LocalExpectation, MeasureValued, MuProp, Mve, Pathwise, Rebar,
    ReinMax, Rodeo, SamplingScheme, ScoreFunction, SelfCritical, Smoothed, Spsa, StochasticDerivatives,
    StraightThrough, SumAndSample, Ugc, UnorderedSet,
};
use stochgrad_tensor::Real;

use crate::candidate::Candidate;
use crate::candidates;

/// A family of distributions with a list of the methods that apply to it.
///
/// The list has every method that compiles for the family and needs no settings that only the user knows, with
/// customary settings. Those that do not suit a model, such as a method that needs derivatives of a cost that jumps,
/// are refused by the graph; a [`Comparison`](crate::Comparison) states the reason.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_lab::{Candidate, Catalogue};
///
/// let methods: Vec<Candidate<f64, _>> = Bernoulli::<Id>::catalogue();
/// assert!(methods.iter().any(|method| method.label() == "DisArm::new()"));
/// ```
pub trait Catalogue<F: Real>: Family<F> {
    /// The methods.
    fn catalogue() -> Vec<Candidate<F, Self>>;
}

/// Methods for all distributions.
macro_rules! score {
    () => {
        candidates![
            ScoreFunction::new(),
            ScoreFunction::new().samples(2).baseline(LeaveOneOut),
            ScoreFunction::new().samples(4).baseline(LeaveOneOut),
            ScoreFunction::new().samples(8).baseline(LeaveOneOut),
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
            DoubleControlVariate::new(2),
            MeasureValued::new(),
            StochasticDerivatives::new(),
            StochasticDerivatives::new().side(Side::Right),
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
            CategoricalDisArm::tree(),
            Carms::new(2),
            StraightThrough::new(1.0),
            ReinMax::new(1.0),
            Mve::new(),
            GumbelRao::new(0.5),
            Rebar::new(),
        ]
    };
}

/// Methods for continuous distributions with a sample path.
macro_rules! path {
    () => {
        candidates![Pathwise::new(), Pathwise::new().samples(4)]
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
        Arsm::new(),
        GappedStraightThrough::new(1.0),
        ImportanceSampling::overdispersed(2.0)
    ];
    Categorical: score!(), replayed!(), finite!(), candidates![
        DiscreteGo::new(),
        ImportanceSampling::overdispersed(2.0)
    ];
    Binomial: score!(), finite!(), candidates![DiscreteGo::new(), Fini::new(2)];
    Poisson: score!(), candidates![MeasureValued::new(), StochasticDerivatives::new(), DiscreteGo::new()];
    Normal: score!(), path!(), candidates![Auto::new(), MeasureValued::new(), ImplicitPathwise::new()];
    LogNormal: score!(), path!(), candidates![Auto::new()];
    Laplace: score!(), path!(), candidates![Auto::new()];
    Exponential: score!(), path!(), candidates![Auto::new(), MeasureValued::new()];
    Gamma: score!(), path!(), candidates![Auto::new()];
    Beta: score!(), path!(), candidates![Auto::new()];
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
        assert!(labels.len() > 30);
        for (index, label) in labels.iter().enumerate() {
            assert!(!labels[..index].contains(label), "{label}");
        }
    }
}
