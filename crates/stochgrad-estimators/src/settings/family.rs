//! The methods of settings for families of distributions.

use std::sync::Arc;

use stochgrad_distributions::{
    Bernoulli, Beta, Binomial, Categorical, Exponential, Family, Gamma, Id, Laplace, LogNormal, Normal,
    OneHotCategorical, Poisson,
};
use stochgrad_graph::{DynMethod, GraphError, GraphResult};
use stochgrad_tensor::Real;

use super::{BaselineSettings as B, MethodSettings as M};
use crate::{
    Arm, Arms, Ars, Arsm, Auto, BatchMean, BitFlip, Carms, CategoricalDisArm, Constant, DisArm, DiscreteGo,
    DoubleControlVariate, Enumerate, EvolutionStrategy, FiniteDifference, GappedStraightThrough, GumbelRao,
    GumbelSoftmax, ImplicitPathwise, LeaveOneOut, LocalExpectation, MeasureValued, MovingAverage, Mve, Nvil,
    OptimalBaseline, Pathwise, Rebar, ReinMax, Relax, Rodeo, ScoreFunction, Spsa, StochasticDerivatives,
    StraightThrough, SumAndSample, Ugc, UnorderedSet, Vimco, WithoutReplacement,
};

/// A family of distributions whose method can be stated by [`MethodSettings`](crate::MethodSettings). With the feature
/// `serde`.
pub trait ConfiguredFamily<F: Real>: Family<F> {
    /// The method of some settings.
    ///
    /// # Errors
    /// [`GraphError::Unknown`] for a method that this family does not have, with the names of those that it has.
    /// Settings that a method refuses are errors of the graph, as for a method in code.
    fn configured_method(settings: &M) -> GraphResult<DynMethod<F, Self>>;
}

/// A method with those settings that are given.
macro_rules! with {
    ($method:expr $(, $setter:ident: $value:expr)*) => {{
        let method = $method;
        $(let method = match $value {
            Some(value) => method.$setter(*value),
            None => method,
        };)*
        method
    }};
}

/// A group of methods that the same families have: a match whose result is `None` for other methods.
macro_rules! made {
    ($settings:expr; $($pattern:pat => $method:expr),+ $(,)?) => {
        match $settings {
            $($pattern => Some(Arc::new($method) as DynMethod<F, Self>),)+
            _ => None,
        }
    };
}

/// Methods for all distributions.
macro_rules! score {
    ($settings:expr) => {
        match $settings {
            M::ScoreFunction { samples, baseline, scheme } => {
                let method = with!(ScoreFunction::new(), samples: samples, scheme: scheme);
                let method: DynMethod<F, Self> = match *baseline {
                    None => Arc::new(method),
                    Some(B::LeaveOneOut) => Arc::new(method.baseline(LeaveOneOut)),
                    Some(B::BatchMean) => Arc::new(method.baseline(BatchMean)),
                    Some(B::MovingAverage(decay)) => Arc::new(method.baseline(MovingAverage::new(decay))),
                    Some(B::Optimal(decay)) => Arc::new(method.baseline(OptimalBaseline::new(decay))),
                    Some(B::Nvil) => Arc::new(method.baseline(Nvil::new())),
                    Some(B::Vimco) => Arc::new(method.baseline(Vimco::new())),
                    Some(B::Constant(value)) => Arc::new(method.baseline(Constant(value))),
                };
                Some(method)
            }
            other => made! { other;
                M::FiniteDifference { step } => FiniteDifference::new(*step),
                M::Spsa { width, directions } => with!(Spsa::new(*width), directions: directions),
                M::EvolutionStrategy { width, directions } => {
                    with!(EvolutionStrategy::new(*width), directions: directions)
                },
            },
        }
    };
}

/// The choice of the library.
macro_rules! automatic {
    ($settings:expr) => {
        made! { $settings; M::Auto { samples } => with!(Auto::new(), samples: samples) }
    };
}

/// Methods for distributions with finitely many states.
macro_rules! finite {
    ($settings:expr) => {
        made! { $settings;
            M::Enumerate {} => Enumerate::new(),
            M::LocalExpectation { samples } => with!(LocalExpectation::new(), samples: samples),
            M::SumAndSample { summed, sampled } => SumAndSample::new(*summed, *sampled),
            M::UnorderedSet { size } => UnorderedSet::new(*size),
            M::WithoutReplacement { size } => WithoutReplacement::new(*size),
            M::DoubleControlVariate { samples, learning_rate } => {
                with!(DoubleControlVariate::new(*samples), learned: learning_rate)
            },
        }
    };
}

/// Methods with weak derivatives.
macro_rules! weak {
    ($settings:expr) => {
        made! { $settings; M::MeasureValued { samples } => with!(MeasureValued::new(), samples: samples) }
    };
}

/// Methods for discrete distributions with replays of neighbouring values.
macro_rules! discrete {
    ($settings:expr) => {
        made! { $settings; M::DiscreteGo { samples } => with!(DiscreteGo::new(), samples: samples) }
    };
}

/// Methods with stochastic derivatives.
macro_rules! stochastic {
    ($settings:expr) => {
        made! { $settings;
            M::StochasticDerivatives { samples } => with!(StochasticDerivatives::new(), samples: samples)
        }
    };
}

/// Methods for independent bits and independent categories.
macro_rules! one_hot {
    ($settings:expr) => {
        made! { $settings;
            M::CategoricalDisarm { pairs } => with!(CategoricalDisArm::new(), pairs: pairs),
            M::Carms { samples } => Carms::new(*samples),
            M::Ars { races } => with!(Ars::new(), races: races),
            M::Arsm { races } => with!(Arsm::new(), races: races),
            M::Rebar { samples, learning_rate } => with!(Rebar::new(), samples: samples, learned: learning_rate),
            M::Relax { samples, learning_rate, relaxed_cost } => {
                let relax = with!(Relax::new(), samples: samples, learning_rate: learning_rate);
                if *relaxed_cost { relax.relaxed_cost() } else { relax }
            },
            M::GumbelSoftmax { temperature, samples, straight_through } => {
                let relaxed = with!(GumbelSoftmax::new(temperature.clone()), samples: samples);
                if *straight_through { relaxed.straight_through() } else { relaxed }
            },
            M::GumbelRao { temperature, samples } => with!(GumbelRao::new(temperature.clone()), samples: samples),
            M::StraightThrough { temperature, samples } => {
                with!(StraightThrough::new(temperature.clone()), samples: samples)
            },
            M::Reinmax { temperature, samples } => with!(ReinMax::new(temperature.clone()), samples: samples),
            M::Mve { samples } => with!(Mve::new(), samples: samples),
        }
    };
}

/// Methods for one-hot vectors only.
macro_rules! categories {
    ($settings:expr) => {
        made! { $settings;
            M::GappedStraightThrough { temperature, samples } => {
                with!(GappedStraightThrough::new(temperature.clone()), samples: samples)
            }
        }
    };
}

/// Methods for bits only.
macro_rules! bits {
    ($settings:expr) => {
        made! { $settings;
            M::Disarm { pairs } => with!(DisArm::new(), pairs: pairs),
            M::Arm { pairs } => with!(Arm::new(), pairs: pairs),
            M::Arms { samples } => Arms::new(*samples),
            M::Ugc { pairs } => with!(Ugc::new(), pairs: pairs),
            M::BitFlip {} => BitFlip::new(),
            M::Rodeo { samples } => Rodeo::new(*samples),
        }
    };
}

/// Methods for continuous distributions with a sample path.
macro_rules! path {
    ($settings:expr) => {
        made! { $settings;
            M::Pathwise { samples, scheme } => with!(Pathwise::new(), samples: samples, scheme: scheme),
            M::ImplicitPathwise { samples, scheme } => {
                with!(ImplicitPathwise::new(), samples: samples, scheme: scheme)
            },
        }
    };
}

macro_rules! configured {
    ($($family:ident: $($group:ident),+;)+) => {
        $(impl<F: Real> ConfiguredFamily<F> for $family<Id> {
            fn configured_method(settings: &M) -> GraphResult<DynMethod<F, Self>> {
                let make = |settings: &M| -> Option<DynMethod<F, Self>> { None$(.or_else(|| $group!(settings)))+ };
                make(settings).ok_or_else(|| {
                    let known = one_of_each().into_iter().filter(|other| make(other).is_some());
                    let known: Vec<&str> = known.map(|other| other.name()).collect();
                    GraphError::Unknown {
                        what: concat!("gradient method of ", stringify!($family)),
                        name: settings.name().into(),
                        known: known.join(", "),
                    }
                })
            }
        })+
    };
}

configured! {
    Bernoulli: automatic, score, finite, weak, stochastic, discrete, one_hot, bits;
    OneHotCategorical: automatic, score, finite, weak, stochastic, one_hot, categories;
    Categorical: automatic, score, finite, weak, stochastic, discrete;
    Binomial: automatic, score, finite, weak, stochastic, discrete;
    Poisson: score, weak, stochastic, discrete;
    Normal: automatic, score, path, weak;
    LogNormal: automatic, score, path;
    Laplace: automatic, score, path;
    Exponential: automatic, score, path, weak;
    Gamma: automatic, score, path;
    Beta: automatic, score, path;
}

/// Every method once, with some settings, to find the methods of a family.
pub(super) fn one_of_each() -> Vec<M> {
    let (samples, pairs, races, scheme) = (None, None, None, None);
    let temperature = || 1.0.into();
    vec![
        M::Auto { samples },
        M::ScoreFunction { samples, baseline: None, scheme },
        M::Pathwise { samples, scheme },
        M::ImplicitPathwise { samples, scheme },
        M::Enumerate {},
        M::LocalExpectation { samples },
        M::SumAndSample { summed: 1, sampled: 1 },
        M::UnorderedSet { size: 2 },
        M::WithoutReplacement { size: 2 },
        M::MeasureValued { samples },
        M::StochasticDerivatives { samples },
        M::DiscreteGo { samples },
        M::BitFlip {},
        M::FiniteDifference { step: 0.01 },
        M::Spsa { width: 0.01, directions: None },
        M::EvolutionStrategy { width: 0.01, directions: None },
        M::Disarm { pairs },
        M::Arm { pairs },
        M::Arms { samples: 4 },
        M::Ugc { pairs },
        M::CategoricalDisarm { pairs },
        M::Carms { samples: 2 },
        M::Ars { races },
        M::Arsm { races },
        M::Rebar { samples, learning_rate: None },
        M::Relax { samples, learning_rate: None, relaxed_cost: false },
        M::DoubleControlVariate { samples: 2, learning_rate: None },
        M::Rodeo { samples: 2 },
        M::GumbelSoftmax { temperature: temperature(), samples, straight_through: false },
        M::GumbelRao { temperature: temperature(), samples },
        M::StraightThrough { temperature: temperature(), samples },
        M::Reinmax { temperature: temperature(), samples },
        M::GappedStraightThrough { temperature: temperature(), samples },
        M::Mve { samples },
    ]
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Method;
    use stochgrad_tape::descent::Schedule;
    use stochgrad_tensor::sampling_scheme::SamplingScheme;

    use super::*;

    fn named<D: ConfiguredFamily<f64>>(settings: &M) -> String {
        D::configured_method(settings).unwrap().name()
    }

    #[test]
    fn methods_of_settings_are_those_of_code() {
        let (samples, pairs, scheme) = (Some(4), Some(2), Some(SamplingScheme::Antithetic));
        let falling = Schedule::exponential(1.0, 0.5, 100);
        let cases: [(M, String); 7] = [
            (M::ScoreFunction { samples: None, baseline: None, scheme: None }, ScoreFunction::new().name()),
            (
                M::ScoreFunction { samples, baseline: Some(B::LeaveOneOut), scheme: None },
                ScoreFunction::new().samples(4).baseline(LeaveOneOut).name(),
            ),
            (
                M::ScoreFunction { samples, baseline: Some(B::MovingAverage(0.9)), scheme },
                ScoreFunction::new()
                    .samples(4)
                    .scheme(SamplingScheme::Antithetic)
                    .baseline(MovingAverage::new(0.9))
                    .name(),
            ),
            (M::Disarm { pairs }, DisArm::new().pairs(2).name()),
            (M::SumAndSample { summed: 1, sampled: 2 }, SumAndSample::new(1, 2).name()),
            (M::Rebar { samples: None, learning_rate: Some(0.01) }, Rebar::new().learned(0.01).name()),
            (
                M::GumbelSoftmax { temperature: falling.clone(), samples, straight_through: true },
                GumbelSoftmax::new(falling).samples(4).straight_through().name(),
            ),
        ];
        for (settings, expected) in cases {
            assert_eq!(named::<Bernoulli<Id>>(&settings), expected);
        }
        let settings = M::Pathwise { samples, scheme };
        let expected = Pathwise::new().samples(4).scheme(SamplingScheme::Antithetic).name();
        assert_eq!(named::<Gamma<Id>>(&settings), expected);
    }

    #[test]
    fn a_method_that_a_family_lacks_is_an_error_with_those_that_it_has() {
        let settings = M::Disarm { pairs: None };
        let error = <Normal<Id> as ConfiguredFamily<f64>>::configured_method(&settings).map(drop).unwrap_err();
        let expected = "no gradient method of Normal is called \"disarm\"; there are: auto, score-function, pathwise, \
                        implicit-pathwise, measure-valued, finite-difference, spsa, evolution-strategy";
        assert_eq!(error.to_string(), expected);
        let settings = M::Pathwise { samples: None, scheme: None };
        let error = <Bernoulli<Id> as ConfiguredFamily<f64>>::configured_method(&settings).map(drop).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("disarm, arm, arms, ugc") && message.contains("\"pathwise\""), "{message}");
        assert!(!message.contains("gapped-straight-through"), "{message}");
    }
}
