//! Every pair of laws whose divergence has a closed form, by the names that the tables of known values use.

use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

/// The divergence of two laws, given the parameters of the first and then those of the second.
pub type Divergence = for<'t> fn(&[Var<'t, f64>]) -> Var<'t, f64>;

macro_rules! pairs {
    ($($p:literal, $q:literal => |$x:pat_param| $divergence:expr;)*) => {
        vec![$(($p, $q, (|$x| $divergence) as Divergence)),*]
    };
}

/// All pairs.
pub fn pairs() -> Vec<(&'static str, &'static str, Divergence)> {
    pairs! {
        "Bernoulli", "Bernoulli" => |x| Bernoulli::from_probabilities(x[0]).kl_to(&Bernoulli::from_probabilities(x[1]));
        "Normal", "Normal" => |x| Normal::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Laplace", "Laplace" => |x| Laplace::new(x[0], x[1]).kl_to(&Laplace::new(x[2], x[3]));
        "Uniform", "Uniform" => |x| Uniform::new(x[0], x[1]).kl_to(&Uniform::new(x[2], x[3]));
        "Exponential", "Exponential" => |x| Exponential::new(x[0]).kl_to(&Exponential::new(x[1]));
        "Gamma", "Gamma" => |x| Gamma::new(x[0], x[1]).kl_to(&Gamma::new(x[2], x[3]));
        "Poisson", "Poisson" => |x| Poisson::from_rate(x[0]).kl_to(&Poisson::from_rate(x[1]));
        "Geometric", "Geometric" => |x| Geometric::from_probabilities(x[0]).kl_to(&Geometric::from_probabilities(x[1]));
    }
}

/// The divergence of the pair with these names; `None` if there is no closed form for it.
pub fn divergence(p: &str, q: &str, parameters: &[f64]) -> Option<f64> {
    let name = |law: &str| law.split('(').next().unwrap_or(law).to_string();
    let (_, _, divergence) = pairs().into_iter().find(|(a, b, _)| *a == name(p) && *b == name(q))?;
    let tape = Tape::new();
    let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&parameter| tape.parameter(parameter)).collect();
    Some(divergence(&leaves).item().expect("a divergence"))
}
