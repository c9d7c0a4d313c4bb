//! The families of distributions in generated models: each has finitely many values.

/// The trials of a binomial distribution.
pub const TRIALS: usize = 2;

/// The states of a categorical distribution.
pub const CATEGORIES: usize = 3;

/// What the values of a distribution look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// A bit.
    Bernoulli,
    /// The number of one of three categories.
    Categorical,
    /// A vector with a one at one of three categories.
    OneHot,
    /// The successes in two trials.
    Binomial,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 4] = [Family::Bernoulli, Family::Categorical, Family::OneHot, Family::Binomial];

    /// How many values a draw can have.
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

/// How the parameter of a distribution is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// Log-odds, or log-probabilities up to a constant.
    Logits,
    /// Probabilities.
    Probabilities,
}
