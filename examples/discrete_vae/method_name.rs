//! The gradient methods and sampling schemes of the command line, and the properties of each.

use std::fmt;

use clap::ValueEnum;

use crate::latent::Latent;

/// A gradient method of the latent variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// Score function without a baseline: unbiased, high variance
    ScoreFunction,
    /// Score function, baseline: the mean cost of past steps: unbiased
    MovingAverage,
    /// Score function with importance-weighted samples of an overdispersed distribution: unbiased, for few variables
    ImportanceSampled,
    /// Score function, baseline: the mean cost of the other samples: unbiased
    LeaveOneOut,
    /// Score function, baseline: the mean cost of the other samples and images: unbiased
    BatchMean,
    /// Score function, baseline: the cost of the most likely code: unbiased
    SelfCritical,
    /// Score function, baseline: a network of the image that learns the cost: unbiased
    Nvil,
    /// Score function, control variate: a linear model of the cost at the mean of the code: unbiased
    MuProp,
    /// leave-one-out, plus a linear model of the cost from its gradient at the other samples: unbiased
    DoubleControlVariate,
    /// Antithetic pairs of bits (DisARM): unbiased
    Disarm,
    /// Antithetic pairs of bits, weighted by their uniform samples: unbiased, at least the variance of disarm
    Arm,
    /// Any number of negatively correlated samples of bits: unbiased
    Arms,
    /// Antithetic pairs of categories, by stick breaking: unbiased
    DisarmSticks,
    /// Antithetic pairs of categories, importance-weighted: unbiased
    DisarmWeighted,
    /// Antithetic pairs of categories, by a balanced tree: unbiased
    DisarmTree,
    /// Any number of negatively correlated samples of categories: unbiased
    Carms,
    /// Swaps the noise of every two categories: unbiased, one cost evaluation per pair of categories
    Arsm,
    /// Swaps the noise of each category with that of one: unbiased, one cost evaluation per category
    Ars,
    /// Score function, control variate: the cost of relaxed codes: unbiased
    Rebar,
    /// Score function, control variate: a learned network of relaxed codes: unbiased
    Relax,
    /// leave-one-out, plus a learned Stein control variate, for bits: unbiased
    Rodeo,
    /// Coupled measure-valued derivatives: unbiased, up to two cost evaluations per variable
    MeasureValued,
    /// Sum over the states of one variable given the others: unbiased, one cost evaluation per state and variable
    LocalExpectation,
    /// Flips one random bit: unbiased, two cost evaluations
    BitFlip,
    /// Flips nearly certain bits and draws antithetic pairs of the others: unbiased
    Ugc,
    /// Sum over all joint states, at most 4096: exact
    Enumerate,
    /// Distinct states, averaged over the orders of drawing: unbiased, at most 4096 joint states
    UnorderedSet,
    /// Distinct states with importance weights: unbiased, at most 4096 joint states
    WithoutReplacement,
    /// Sum over the most likely states plus samples of the rest: unbiased, at most 4096 joint states
    SumAndSample,
    /// Continuous relaxation: biased
    GumbelSoftmax,
    /// Sparse continuous relaxation: biased
    Entmax,
    /// Discrete values with the gradient of the relaxation: biased
    StraightThroughGumbel,
    /// straight-through-gumbel, averaged over the noise given the value: biased
    GumbelRao,
    /// Discrete values with the gradient of their mean: biased
    StraightThrough,
    /// Second-order straight-through: biased
    Reinmax,
    /// Second-order straight-through with the least variance: biased
    Mve,
    /// Straight-through at logits that are shifted to agree with the sample: biased
    GappedStraightThrough,
    /// A method chosen by the library for the distribution and the recorded graph
    Auto,
}

impl MethodName {
    /// The name as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ScoreFunction => "score-function",
            Self::MovingAverage => "moving-average",
            Self::ImportanceSampled => "importance-sampled",
            Self::LeaveOneOut => "leave-one-out",
            Self::BatchMean => "batch-mean",
            Self::SelfCritical => "self-critical",
            Self::Nvil => "nvil",
            Self::MuProp => "mu-prop",
            Self::DoubleControlVariate => "double-control-variate",
            Self::Disarm => "disarm",
            Self::Arm => "arm",
            Self::Arms => "arms",
            Self::DisarmSticks => "disarm-sticks",
            Self::DisarmWeighted => "disarm-weighted",
            Self::DisarmTree => "disarm-tree",
            Self::Carms => "carms",
            Self::Arsm => "arsm",
            Self::Ars => "ars",
            Self::Rebar => "rebar",
            Self::Relax => "relax",
            Self::Rodeo => "rodeo",
            Self::MeasureValued => "measure-valued",
            Self::LocalExpectation => "local-expectation",
            Self::BitFlip => "bit-flip",
            Self::Ugc => "ugc",
            Self::Enumerate => "enumerate",
            Self::UnorderedSet => "unordered-set",
            Self::WithoutReplacement => "without-replacement",
            Self::SumAndSample => "sum-and-sample",
            Self::GumbelSoftmax => "gumbel-softmax",
            Self::Entmax => "entmax",
            Self::StraightThroughGumbel => "straight-through-gumbel",
            Self::GumbelRao => "gumbel-rao",
            Self::StraightThrough => "straight-through",
            Self::Reinmax => "reinmax",
            Self::Mve => "mve",
            Self::GappedStraightThrough => "gapped-straight-through",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn default_samples(self) -> usize {
        match self {
            Self::ScoreFunction | Self::MovingAverage | Self::ImportanceSampled | Self::LeaveOneOut | Self::Auto => 4,
            Self::Arms | Self::Carms | Self::UnorderedSet | Self::WithoutReplacement | Self::SumAndSample => 4,
            Self::DoubleControlVariate | Self::Rodeo | Self::Disarm | Self::Arm | Self::Ugc => 2,
            Self::DisarmSticks | Self::DisarmWeighted | Self::DisarmTree => 2,
            _ => 1,
        }
    }

    /// The fewest samples that the method works with, and why.
    pub(crate) fn fewest_samples(self) -> (usize, &'static str) {
        match self {
            Self::LeaveOneOut => (2, "leave-one-out, whose baseline is the mean of the other samples"),
            Self::DoubleControlVariate => (2, "double-control-variate, whose baseline is made of the other samples"),
            Self::Rodeo => (2, "rodeo, whose baseline is made of the other samples"),
            _ if self.is_paired() => (2, "pairs"),
            Self::Arms | Self::Carms => (2, "arms and carms, whose samples are negatively correlated"),
            Self::SumAndSample => (3, "sum-and-sample, which sums all but two of them"),
            _ => (1, "any method"),
        }
    }

    /// Whether the samples may be drawn by a sampling scheme: the method must not compare samples with one another.
    pub(crate) fn takes_schemes(self) -> bool {
        self.is_relaxed()
            || matches!(self, Self::ScoreFunction | Self::MovingAverage | Self::ImportanceSampled | Self::Mve)
    }

    /// The number of codes at which the cost is evaluated per sample; more than one if noise is swapped.
    pub(crate) fn swaps(self, latent: Latent) -> usize {
        let (categories, _) = latent.base_and_exponent();
        match self {
            Self::Arsm => categories.saturating_mul(categories.saturating_sub(1)) / 2 + 1,
            Self::Ars => categories,
            _ => 1,
        }
    }

    /// Whether samples come in pairs.
    pub(crate) fn is_paired(self) -> bool {
        matches!(
            self,
            Self::Disarm | Self::Arm | Self::Ugc | Self::DisarmSticks | Self::DisarmWeighted | Self::DisarmTree
        )
    }

    /// Whether the method supports bits only.
    pub(crate) fn needs_bits(self) -> bool {
        matches!(self, Self::Disarm | Self::Arm | Self::Arms | Self::Rodeo | Self::BitFlip | Self::Ugc)
    }

    /// Whether the method lists all joint states.
    pub(crate) fn lists_states(self) -> bool {
        matches!(self, Self::Enumerate | Self::UnorderedSet | Self::WithoutReplacement | Self::SumAndSample)
    }

    pub(crate) fn is_relaxed(self) -> bool {
        self.has_constant_temperature()
            || matches!(
                self,
                Self::GumbelSoftmax
                    | Self::Entmax
                    | Self::StraightThroughGumbel
                    | Self::GumbelRao
                    | Self::GappedStraightThrough
            )
    }

    /// Whether the derivative can have its own temperature. Discrete values have none, so that it would be the only
    /// one.
    pub(crate) fn takes_backward_temperature(self) -> bool {
        matches!(self, Self::GumbelSoftmax | Self::Entmax)
    }

    /// Whether the temperature is constant unless `--final-temperature` is given.
    pub(crate) fn has_constant_temperature(self) -> bool {
        matches!(self, Self::StraightThrough | Self::Reinmax)
    }
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

impl SchemeName {
    /// The name as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Antithetic => "antithetic",
            Self::Stratified => "stratified",
            Self::Systematic => "systematic",
            Self::Sobol => "sobol",
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_reads_back_by_its_name() {
        for &method in MethodName::value_variants() {
            assert_eq!(MethodName::from_str(method.name(), false), Ok(method));
        }
        for &scheme in SchemeName::value_variants() {
            assert_eq!(SchemeName::from_str(scheme.name(), false), Ok(scheme));
        }
    }

    #[test]
    fn swaps_are_counted() {
        let latent = Latent::Categorical { variables: 3, categories: 10 };
        assert_eq!([MethodName::Arsm, MethodName::Ars, MethodName::Carms].map(|m| m.swaps(latent)), [46, 10, 1]);
    }
}
