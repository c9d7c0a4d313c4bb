//! Every law of the library by the name that the tables of known values use.

use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

/// A law from its parameters, each a number.
pub type Build = for<'t> fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// A law of the library.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The type and the names of its parameters.
    pub law: &'static str,
    /// Parameters at which nothing is extreme.
    pub ordinary: &'static [f64],
    /// The law.
    pub build: Build,
}

impl Entry {
    /// The name of the type.
    pub fn name(&self) -> &'static str {
        self.law.split('(').next().unwrap_or(self.law)
    }

    /// The names of the parameters; a vector has its length after its name.
    pub fn parameters(&self) -> Vec<&'static str> {
        let inside = self.law.trim_end_matches(')').split_once('(').map_or("", |(_, inside)| inside);
        inside.split(", ").filter(|name| !name.is_empty()).collect()
    }
}

macro_rules! entries {
    ($($law:literal $ordinary:expr => |$tape:pat_param, $p:pat_param| $build:expr;)*) => {
        vec![$(Entry { law: $law, ordinary: &$ordinary, build: |$tape, $p| Box::new($build) }),*]
    };
}

/// All laws.
pub fn entries() -> Vec<Entry> {
    entries! {
        "Bernoulli(probability)" [0.3] => |_, p| Bernoulli::from_probabilities(p[0]);
        "Bernoulli(logits)" [0.3] => |_, p| Bernoulli::from_logits(p[0]);
        "Binomial(trials, probability)" [7.0, 0.3] => |_, p| Binomial::from_probabilities(p[0], p[1]);
        "Binomial(trials, logits)" [7.0, 0.3] => |_, p| Binomial::from_logits(p[0], p[1]);
        "Geometric(probability)" [0.3] => |_, p| Geometric::from_probabilities(p[0]);
        "Poisson(rate)" [2.5] => |_, p| Poisson::from_rate(p[0]);
        "Categorical(logits[3])" [0.3, -0.5, 0.1] => |_, p| Categorical::from_logits(vector(p));
        "Normal(location, scale)" [0.3, 1.7] => |_, p| Normal::new(p[0], p[1]);
        "Laplace(location, scale)" [0.3, 1.7] => |_, p| Laplace::new(p[0], p[1]);
        "Uniform(low, high)" [-0.7, 2.1] => |_, p| Uniform::new(p[0], p[1]);
        "Exponential(rate)" [0.8] => |_, p| Exponential::new(p[0]);
        "Gamma(concentration, rate)" [2.3, 1.4] => |_, p| Gamma::new(p[0], p[1]);
        "Gamma(concentration, scale)" [0.6, 1.2] => |_, p| Gamma::from_scale(p[0], p[1]);
    }
}

/// Numbers as a vector.
pub fn vector<'t>(numbers: &[Var<'t, f64>]) -> Var<'t, f64> {
    Var::stack(numbers).expect("numbers of one tape")
}
