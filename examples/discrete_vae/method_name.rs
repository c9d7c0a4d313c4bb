//! The methods and plans that a command line can name, and what goes with each.

use std::fmt;

use clap::ValueEnum;

use crate::latent::Latent;

/// How the gradient through the samples is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// The score function without a baseline: unbiased, noisy
    ScoreFunction,
    /// The score function with a moving average as the baseline
    MovingAverage,
    /// The same with weighted samples of an overdispersed distribution: unbiased, for few variables
    ImportanceSampled,
    /// The score function with the other samples' mean as the baseline
    LeaveOneOut,
    /// The score function with the other samples' and images' mean as the baseline
    BatchMean,
    /// The score function with the cost of the likeliest code as the baseline
    SelfCritical,
    /// The score function with a baseline learned from the image
    Nvil,
    /// The score function with a linear model of the cost at the code's mean
    MuProp,
    /// Leave-one-out with a linear model of the cost from its gradient at the other samples
    DoubleControlVariate,
    /// Antithetic pairs of bits: unbiased
    Disarm,
    /// Antithetic pairs of bits, weighted by their uniforms: unbiased, never better than disarm
    Arm,
    /// Jointly antithetic bits: unbiased
    Arms,
    /// Antithetic pairs of categories, stick by stick: unbiased
    DisarmSticks,
    /// The same pairs, with their probability divided out: unbiased
    DisarmWeighted,
    /// Antithetic pairs of categories by a balanced tree: unbiased
    DisarmTree,
    /// Jointly antithetic categories: unbiased
    Carms,
    /// Races with all swaps of two categories: unbiased, a cost for each pair of categories
    Arsm,
    /// Races with all swaps with one category: unbiased, a cost for each category
    Ars,
    /// The score function with the relaxed model as control variate: unbiased
    Rebar,
    /// The score function with a learned network as control variate: unbiased
    Relax,
    /// Leave-one-out with learned Stein control variates, for bits: unbiased
    Rodeo,
    /// Coupled measure-valued derivatives: unbiased, two costs per variable
    MeasureValued,
    /// The sum over the states of each variable given the others: unbiased, a cost per state of each variable
    LocalExpectation,
    /// The flip of one random bit: unbiased, two costs
    BitFlip,
    /// Flips of nearly certain bits and antithetic pairs of the others: unbiased
    Ugc,
    /// The sum over all states: exact, for small latent spaces
    Enumerate,
    /// States without replacement: unbiased, for small latent spaces
    UnorderedSet,
    /// States without replacement with importance weights: unbiased, for small latent spaces
    WithoutReplacement,
    /// The likeliest states and samples of the others: unbiased, for small latent spaces
    SumAndSample,
    /// A continuous relaxation: biased
    GumbelSoftmax,
    /// A sparse continuous relaxation: biased
    Entmax,
    /// Discrete values with the relaxation's gradient: biased
    StraightThroughGumbel,
    /// The same with the noise averaged out: biased
    GumbelRao,
    /// Discrete values with the gradient of their mean: biased
    StraightThrough,
    /// Straight-through to second order: biased
    Reinmax,
    /// The same with the smallest variance: biased
    Mve,
    /// Straight-through at logits moved to agree with the sample: biased
    GappedStraightThrough,
    /// Chosen from what the distribution can do
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
            Self::LeaveOneOut => (2, "leave-one-out, whose baseline is the other samples' mean"),
            Self::DoubleControlVariate => (2, "double-control-variate, whose baseline is made of the other samples"),
            Self::Rodeo => (2, "rodeo, whose baseline is made of the other samples"),
            _ if self.is_paired() => (2, "pairs"),
            Self::Arms | Self::Carms => (2, "arms and carms, whose samples avoid one another"),
            Self::SumAndSample => (3, "sum-and-sample, which sums all but two of them"),
            _ => (1, "any method"),
        }
    }

    /// Whether the samples may be drawn by a sampling scheme: no two of them are compared.
    pub(crate) fn takes_plans(self) -> bool {
        self.is_relaxed()
            || matches!(self, Self::ScoreFunction | Self::MovingAverage | Self::ImportanceSampled | Self::Mve)
    }

    /// The values that one sample is evaluated at: more than one where categories swap.
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

    /// Whether the method works on bits only.
    pub(crate) fn needs_bits(self) -> bool {
        matches!(self, Self::Disarm | Self::Arm | Self::Arms | Self::Rodeo | Self::BitFlip | Self::Ugc)
    }

    /// Whether the method looks at all joint states.
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

    /// Whether the derivative may be taken at another temperature than the values: hard values have none.
    pub(crate) fn takes_backward_temperature(self) -> bool {
        matches!(self, Self::GumbelSoftmax | Self::Entmax)
    }

    /// Whether the temperature is not annealed unless that is asked for.
    pub(crate) fn has_constant_temperature(self) -> bool {
        matches!(self, Self::StraightThrough | Self::Reinmax)
    }
}

/// How the samples of an image keep out of one another's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeName {
    /// Mirrored pairs
    Antithetic,
    /// One sample in each part of every variable: a Latin hypercube
    Stratified,
    /// The same, equally spaced
    Systematic,
    /// Scrambled points of a Sobol sequence
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
