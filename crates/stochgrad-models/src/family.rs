//! The families of distributions in generated models, each with finitely many values.

/// The trials of a binomial distribution.
pub const TRIALS: usize = 2;

/// The states of a categorical distribution.
pub const CATEGORIES: usize = 3;

/// A family of distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// A bit: 0 or 1.
    Bernoulli,
    /// The index of one of three categories.
    Categorical,
    /// A one-hot vector of one of three categories.
    OneHot,
    /// The number of successes in two trials.
    Binomial,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 4] = [Family::Bernoulli, Family::Categorical, Family::OneHot, Family::Binomial];

    /// The number of values of a draw.
    pub fn states(self) -> usize {
        match self {
            Family::Bernoulli => 2,
            Family::Categorical | Family::OneHot => CATEGORIES,
            Family::Binomial => TRIALS + 1,
        }
    }

    /// The name of the distribution.
    pub fn name(self) -> &'static str {
        match self {
            Family::Bernoulli => "Bernoulli",
            Family::Categorical => "Categorical",
            Family::OneHot => "OneHotCategorical",
            Family::Binomial => "Binomial",
        }
    }
}

/// The scale of the parameter of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// Log-odds, or log-probabilities up to a constant.
    Logits,
    /// Probabilities.
    Probabilities,
}
