//! The catalogue of gradient methods for the nodes of generated models.

use crate::family::Family;
use std::sync::Arc;
use stochgrad::distributions::Id;
use stochgrad::distributions::{Binomial, Side};
use stochgrad::estimators::{
    Arm, BatchMean, BitFlip, Constant, DeltaMethod, DiscreteGo, EachCost, FreshSample, ImportanceSampling,
    LinearControlVariates, LocalExpectation, MovingAverage, MuProp, Ovis, ReplayBudget, Reservoir, SamplingScheme,
    SelfCritical, Simple, Smoothed, StraightThrough, Ugc,
};
use stochgrad::graph::DynMethod;
use stochgrad::prelude::*;
use stochgrad::tape::Plate as TapePlate;

/// Where the samples of a node lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placement {
    /// The default of the method.
    Own,
    /// This many samples, along a plate of the node's own.
    Several(usize),
    /// Along the plate of samples that the model names for the node.
    Along,
}

/// A method from the [`catalogue`], and where its samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The position in the catalogue.
    pub method: usize,
    /// Where the samples lie.
    pub placement: Placement,
}

/// How to make a method draw several samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Several {
    /// With a setter of this name.
    Call(&'static str),
    /// It has no such setter: the number is fixed by its constructor, or it draws one sample.
    Never,
}

/// A [`Placement`] with the plate on the graph.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The default of the method.
    Own,
    /// This many samples, along a plate of the node's own.
    Several(usize),
    /// Along this plate.
    Along(TapePlate),
}

/// Methods that treat several nodes as one group; the clones of a method form the group. Each recording needs new ones.
pub struct Groups {
    reservoir: Reservoir<MeasureValued>,
    budget: ReplayBudget<StochasticDerivatives>,
}

impl Groups {
    /// Groups without nodes.
    pub fn new() -> Self {
        Groups {
            reservoir: Reservoir::of(MeasureValued::new()),
            budget: ReplayBudget::of(StochasticDerivatives::new(), 1),
        }
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a method for a family of distributions.
pub(crate) type Build<D> = fn(Place, &Groups) -> DynMethod<f64, D>;

/// A method with its settings, for the distributions that it applies to.
#[derive(Clone)]
pub struct Entry {
    /// The expression that creates the method, without the placement.
    pub code: &'static str,
    /// The expression that creates the method along a plate called `PLATE`, if it is not a call of `on_plate`.
    pub code_along: Option<&'static str>,
    /// The statement before the first node of a method that several nodes share.
    pub statement: Option<&'static str>,
    /// How to make it draw several samples.
    pub several: Several,
    /// Whether its samples can lie along a given plate.
    pub along: bool,
    /// How many samples it draws by default, for the number of outcomes.
    pub samples: usize,
    /// How often it is chosen, relative to the others.
    pub weight: u32,
    /// Whether it also works with a single sample.
    pub alone: bool,
    pub(crate) bernoulli: Option<Build<Bernoulli<Id>>>,
    pub(crate) categorical: Option<Build<Categorical<Id>>>,
    pub(crate) one_hot: Option<Build<OneHotCategorical<Id>>>,
    pub(crate) binomial: Option<Build<Binomial<Id>>>,
}

impl Entry {
    /// Whether the method applies to a family of distributions.
    pub fn applies_to(&self, family: Family) -> bool {
        match family {
            Family::Bernoulli => self.bernoulli.is_some(),
            Family::Categorical => self.categorical.is_some(),
            Family::OneHot => self.one_hot.is_some(),
            Family::Binomial => self.binomial.is_some(),
        }
    }

    /// The expression that creates the method. `plate` is the name of the variable of the plate that it lies along.
    pub fn expression(&self, placement: Placement, plate: &str) -> String {
        match (placement, self.several) {
            (Placement::Own, _) | (Placement::Several(_), Several::Never) => self.code.to_owned(),
            (Placement::Several(samples), Several::Call(call)) => format!("{}.{call}({samples})", self.code),
            (Placement::Along, _) => match self.code_along {
                Some(code) => code.replace("PLATE", plate),
                None => format!("{}.on_plate({plate})", self.code),
            },
        }
    }
}

/// A method that applies to the families in brackets.
macro_rules! entry {
    ([$($family:ident: $distribution:ident),*], $own:expr, $several:expr, $along:expr) => {
        Entry { $($family: Some(|place, _| -> DynMethod<f64, $distribution<Id>> {
            match place {
                Place::Own => Arc::new($own),
                Place::Several(count) => { let several: fn(usize) -> _ = $several; Arc::new(several(count)) }
                Place::Along(plate) => { let along: fn(TapePlate) -> _ = $along; Arc::new(along(plate)) }
            }
        }),)* ..NOTHING }
    };
}

/// An [`entry`] for a group of families.
macro_rules! on {
    (bits, $($rest:tt)*) => { entry!([bernoulli: Bernoulli], $($rest)*) };
    (counts, $($rest:tt)*) => { entry!([binomial: Binomial], $($rest)*) };
    (one_hot_states, $($rest:tt)*) => {
        entry!([bernoulli: Bernoulli, one_hot: OneHotCategorical], $($rest)*)
    };
    (states, $($rest:tt)*) => {
        entry!([bernoulli: Bernoulli, categorical: Categorical, one_hot: OneHotCategorical], $($rest)*)
    };
    (scalars, $($rest:tt)*) => {
        entry!([bernoulli: Bernoulli, categorical: Categorical, binomial: Binomial], $($rest)*)
    };
    (all, $($rest:tt)*) => {
        entry!(
            [bernoulli: Bernoulli, categorical: Categorical, one_hot: OneHotCategorical, binomial: Binomial],
            $($rest)*
        )
    };
}

/// A method with the setters `samples` (or another name for it) and `on_plate`.
macro_rules! placed {
    ($families:ident, $weight:expr, $call:ident, $method:expr) => {
        Entry {
            code: stringify!($method),
            several: Several::Call(stringify!($call)),
            along: true,
            weight: $weight,
            ..on!($families, $method, |count| $method.$call(count), |plate| $method.on_plate(plate))
        }
    };
}

/// A method that needs several samples, requested with a setter, or a plate of samples.
macro_rules! joint {
    ($families:ident, $weight:expr, $call:ident, $method:expr) => {
        Entry { alone: false, ..placed!($families, $weight, $call, $method) }
    };
}

/// A method that fixes its number of samples.
macro_rules! fixed {
    ($families:ident, $weight:expr, $samples:expr, $method:expr) => {
        Entry {
            code: stringify!($method),
            weight: $weight,
            samples: $samples,
            ..on!($families, $method, |_| $method, |_| $method)
        }
    };
}

/// A method that fixes its number of samples, and can also be created along a plate.
macro_rules! fixed_or_along {
    ($families:ident, $weight:expr, $samples:expr, $method:expr, $kind:ident) => {
        Entry {
            code: stringify!($method),
            code_along: Some(concat!(stringify!($kind), "::on_plate(PLATE)")),
            along: true,
            weight: $weight,
            samples: $samples,
            ..on!($families, $method, |_| $method, |plate| $kind::on_plate(plate))
        }
    };
}

/// A method from the [`Groups`], and the statement that creates it.
macro_rules! grouped {
    ($weight:expr, $field:ident, $method:expr) => {
        Entry {
            code: concat!(stringify!($field), ".clone()"),
            statement: Some(concat!("let ", stringify!($field), " = ", stringify!($method), ";")),
            weight: $weight,
            bernoulli: Some(|_, groups| Arc::new(groups.$field.clone())),
            categorical: Some(|_, groups| Arc::new(groups.$field.clone())),
            one_hot: Some(|_, groups| Arc::new(groups.$field.clone())),
            binomial: Some(|_, groups| Arc::new(groups.$field.clone())),
            ..NOTHING
        }
    };
}

const NOTHING: Entry = Entry {
    code: "",
    code_along: None,
    statement: None,
    several: Several::Never,
    along: false,
    samples: 1,
    weight: 1,
    alone: true,
    bernoulli: None,
    categorical: None,
    one_hot: None,
    binomial: None,
};

/// The position of the score function in the [`catalogue`].
pub const SCORE_FUNCTION: usize = 0;

/// All methods that [`choose`](crate::choose()) may give to a node.
pub fn catalogue() -> Vec<Entry> {
    vec![
        placed!(all, 12, samples, ScoreFunction::new()),
        placed!(all, 4, samples, ScoreFunction::new().baseline(Constant(0.7))),
        joint!(all, 6, samples, ScoreFunction::new().baseline(LeaveOneOut)),
        joint!(all, 8, samples, ScoreFunction::new().baseline(Vimco::new())),
        joint!(all, 3, samples, ScoreFunction::new().baseline(Vimco::arithmetic())),
        placed!(all, 4, samples, ScoreFunction::new().baseline(BatchMean)),
        joint!(all, 4, samples, ScoreFunction::new().baseline(Ovis)),
        placed!(all, 3, samples, ScoreFunction::new().baseline(SelfCritical)),
        placed!(all, 3, samples, ScoreFunction::new().baseline(FreshSample)),
        placed!(all, 3, samples, ScoreFunction::new().baseline(MuProp::new())),
        placed!(bits, 3, samples, ScoreFunction::new().baseline(DeltaMethod::new())),
        joint!(
            all,
            2,
            samples,
            ScoreFunction::new().baseline(LinearControlVariates::cross_fitted().with(Constant(1.0)))
        ),
        placed!(all, 2, samples, ScoreFunction::new().baseline(MovingAverage::new(0.9))),
        placed!(all, 2, samples, ScoreFunction::new().baseline(EachCost::new(Constant(0.4)).parts())),
        fixed!(all, 2, 2, ScoreFunction::new().samples(2).scheme(SamplingScheme::Antithetic)),
        fixed!(all, 2, 2, ScoreFunction::new().samples(2).scheme(SamplingScheme::Stratified)),
        fixed!(all, 2, 2, ScoreFunction::new().samples(2).scheme(SamplingScheme::Systematic)),
        fixed!(
            all,
            2,
            4,
            ScoreFunction::new().samples(2).scheme(SamplingScheme::Antithetic).groups(2).baseline(LeaveOneOut)
        ),
        fixed_or_along!(all, 10, 2, DoubleControlVariate::new(2), DoubleControlVariate),
        fixed!(all, 8, 0, Enumerate::new()),
        fixed!(all, 8, 0, Auto::new()),
        fixed!(all, 4, 1, UnorderedSet::new(1)),
        fixed!(all, 3, 2, UnorderedSet::new(2)),
        fixed!(all, 4, 1, SumAndSample::new(1, 1)),
        fixed!(all, 3, 2, SumAndSample::new(1, 1).random().shared_baseline()),
        fixed!(all, 2, 1, SumAndSample::around(1, MeasureValued::new())),
        fixed!(all, 2, 2, SumAndSample::around(1, ScoreFunction::new().samples(2).baseline(LeaveOneOut))),
        fixed!(states, 4, 1, ImportanceSampling::overdispersed(2.0)),
        fixed!(states, 3, 2, ImportanceSampling::overdispersed(2.0).samples(2)),
        fixed!(states, 3, 2, ImportanceSampling::overdispersed(2.0).samples(2).baseline(LeaveOneOut)),
        placed!(all, 5, samples, MeasureValued::new()),
        placed!(all, 5, samples, StochasticDerivatives::new()),
        placed!(all, 3, samples, StochasticDerivatives::new().side(Side::Right)),
        placed!(all, 3, samples, StochasticDerivatives::new().side(Side::Left)),
        placed!(all, 5, samples, LocalExpectation::new()),
        placed!(scalars, 4, samples, DiscreteGo::new()),
        fixed!(all, 2, 1, ReplayBudget::of(StochasticDerivatives::new(), 1)),
        fixed!(all, 2, 1, Reservoir::of(MeasureValued::new())),
        grouped!(3, budget, ReplayBudget::of(StochasticDerivatives::new(), 1)),
        grouped!(3, reservoir, Reservoir::of(MeasureValued::new())),
        placed!(bits, 4, samples, BitFlip::new()),
        placed!(bits, 4, pairs, Ugc::new()),
        placed!(bits, 4, pairs, DisArm::new()),
        placed!(bits, 4, pairs, Arm::new()),
        placed!(bits, 4, sets, Arms::new(2)),
        placed!(one_hot_states, 4, pairs, CategoricalDisArm::new()),
        placed!(one_hot_states, 3, pairs, CategoricalDisArm::importance_weighted()),
        placed!(one_hot_states, 3, pairs, CategoricalDisArm::tree()),
        placed!(one_hot_states, 3, sets, Carms::new(2)),
        fixed_or_along!(bits, 3, 2, Rodeo::new(2), Rodeo),
        placed!(one_hot_states, 2, samples, StraightThrough::new(1.0)),
        placed!(one_hot_states, 2, samples, ReinMax::new(1.0)),
        placed!(one_hot_states, 2, samples, Mve::new()),
        placed!(one_hot_states, 2, samples, Simple::new()),
        placed!(counts, 2, samples, Fini::new(2)),
        placed!(all, 2, samples, Smoothed::new()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_function_comes_first_and_applies_to_every_family() {
        let methods = catalogue();
        assert_eq!(methods[SCORE_FUNCTION].code, "ScoreFunction::new()");
        for family in Family::ALL {
            assert!(methods[SCORE_FUNCTION].applies_to(family));
            assert!(methods.iter().filter(|entry| entry.applies_to(family)).count() > 20);
        }
    }

    #[test]
    fn expressions_name_the_placement() {
        let methods = catalogue();
        let score = &methods[SCORE_FUNCTION];
        assert_eq!(score.expression(Placement::Several(2), ""), "ScoreFunction::new().samples(2)");
        assert_eq!(score.expression(Placement::Along, "k"), "ScoreFunction::new().on_plate(k)");
        let double = methods.iter().find(|entry| entry.code == "DoubleControlVariate::new(2)").expect("it is listed");
        assert_eq!(double.expression(Placement::Along, "k"), "DoubleControlVariate::on_plate(k)");
        assert_eq!(double.expression(Placement::Own, "k"), "DoubleControlVariate::new(2)");
    }
}
