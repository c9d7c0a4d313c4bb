//! The gradient methods and sampling schemes of the command line.

use clap::ValueEnum;

/// Which options a method takes besides a number of samples. From `Free` on, samples are not compared with one another,
/// so that a sampling scheme may draw them. From `Constant` on, there is a relaxation with a temperature, which falls
/// by default from `Falling` on. `Continuous` values have a second temperature, for the derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Kind {
    Plain,
    Pairs,
    Free,
    Constant,
    Falling,
    Continuous,
}

/// An objective of the training other than the evidence lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Objective {
    /// The importance-weighted bound of the samples, with the score function and VIMCO
    ImportanceWeighted,
    /// Reweighted wake-sleep: both wake phases
    WakeSleep,
    /// The thermodynamic objective with five intervals
    Thermodynamic,
}

/// Declares the gradient methods: the kind and the default number of samples of each, and its description.
macro_rules! methods {
    ($($method:ident: $kind:ident $samples:literal, $help:tt;)*) => {
        /// A gradient method of the latent variables.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(crate) enum MethodName {
            $(#[doc = $help] $method,)*
        }

        impl MethodName {
            pub(crate) fn kind_and_samples(self) -> (Kind, usize) {
                match self {
                    $(Self::$method => (Kind::$kind, $samples),)*
                }
            }
        }
    };
}

methods! {
    ScoreFunction: Free 4, "Score function without a baseline: unbiased, high variance";
    MovingAverage: Free 4, "Score function, baseline: the mean cost of past steps: unbiased";
    ImportanceSampled: Free 4, "Score function with overdispersed, weighted samples: unbiased, for few variables";
    LeaveOneOut: Plain 4, "Score function, baseline: the mean cost of the other samples: unbiased";
    BatchMean: Plain 1, "Score function, baseline: the mean cost of the other samples and images: unbiased";
    SelfCritical: Plain 1, "Score function, baseline: the cost of the most likely code: unbiased";
    Nvil: Plain 1, "Score function, baseline: a network of the image that learns the cost: unbiased";
    MuProp: Plain 1, "Score function, control variate: a linear model of the cost at the mean code: unbiased";
    DoubleControlVariate: Plain 2, "leave-one-out, plus a linear model of the cost from its gradients: unbiased";
    Disarm: Pairs 2, "Antithetic pairs of bits (DisARM): unbiased";
    Arm: Pairs 2, "Antithetic pairs of bits, weighted by their uniform samples: unbiased, no better than disarm";
    Arms: Plain 4, "Any number of negatively correlated samples of bits: unbiased";
    DisarmSticks: Pairs 2, "Antithetic pairs of categories, by stick breaking: unbiased";
    DisarmWeighted: Pairs 2, "Antithetic pairs of categories, importance-weighted: unbiased";
    DisarmTree: Pairs 2, "Antithetic pairs of categories, by a balanced tree: unbiased";
    Carms: Plain 4, "Any number of negatively correlated samples of categories: unbiased";
    Arsm: Plain 1, "Swaps the noise of every two categories: unbiased, one cost evaluation per pair of categories";
    Ars: Plain 1, "Swaps the noise of each category with that of one: unbiased, one cost evaluation per category";
    Rebar: Plain 1, "Score function, control variate: the cost of relaxed codes: unbiased";
    Relax: Plain 1, "Score function, control variate: a learned network of relaxed codes: unbiased";
    Rodeo: Plain 2, "leave-one-out, plus a learned Stein control variate, for bits: unbiased";
    MeasureValued: Plain 1, "Coupled measure-valued derivatives: unbiased, up to two cost evaluations per variable";
    LocalExpectation: Plain 1, "Sum over the states of each variable: unbiased, one evaluation per state and variable";
    BitFlip: Plain 1, "Flips one random bit: unbiased, two cost evaluations";
    Ugc: Pairs 2, "Flips nearly certain bits and draws antithetic pairs of the others: unbiased";
    Enumerate: Plain 1, "Sum over all joint states, at most 4096: exact";
    UnorderedSet: Plain 4, "Distinct states, averaged over their orders: unbiased, at most 4096 joint states";
    WithoutReplacement: Plain 4, "Distinct states with importance weights: unbiased, at most 4096 joint states";
    SumAndSample: Plain 4, "The most likely states, plus samples of the rest: unbiased, at most 4096 joint states";
    GumbelSoftmax: Continuous 1, "Continuous relaxation: biased";
    Entmax: Continuous 1, "Sparse continuous relaxation: biased";
    StraightThroughGumbel: Falling 1, "Discrete values with the gradient of the relaxation: biased";
    GumbelRao: Falling 1, "straight-through-gumbel, averaged over the noise given the value: biased";
    StraightThrough: Constant 1, "Discrete values with the gradient of their mean: biased";
    Reinmax: Constant 1, "Second-order straight-through: biased";
    Mve: Free 1, "Second-order straight-through with the least variance: biased";
    GappedStraightThrough: Falling 1, "Straight-through at logits that are shifted to agree with the sample: biased";
    Auto: Plain 4, "A method chosen by the library for the distribution and the recorded graph";
}

/// A sampling scheme: how the samples of an image are drawn jointly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeName {
    /// Antithetic pairs
    Antithetic,
    /// Latin hypercube: one sample in each of K equal parts of every noise variable
    Stratified,
    /// Latin hypercube with equally spaced samples
    Systematic,
    /// Scrambled Sobol points, for codes of at most 512 values
    Sobol,
}

/// The name as on the command line.
pub(crate) fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
