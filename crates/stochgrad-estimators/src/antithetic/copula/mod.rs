//! Copulas: dependent uniform variates for ARMS and CARMS.
//!
//! A copula makes $n$ exchangeable variates, each of which is uniform. ARMS and CARMS compare them with probabilities,
//! and need to know how often two of them fall below the same number: the less often, the lower the variance of the
//! gradient.

mod dirichlet;
mod gaussian;
mod latin_hypercube;

pub use dirichlet::DirichletCopula;
pub use gaussian::GaussianCopula;
pub use latin_hypercube::LatinHypercube;

use stochgrad_distributions::{Distribution, DistributionError, DistributionResult, Draw};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// A joint distribution of $n$ exchangeable uniform variates, for [`Arms`](crate::Arms) and [`Carms`](crate::Carms).
///
/// Your own copula needs the variates and one formula. With [`all_below`](Copula::all_below) as well, the exact oracle
/// can verify it:
///
/// ```
/// use stochgrad_distributions::{Bernoulli, DistributionResult, Draw};
/// use stochgrad_estimators::{Arms, Copula};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::{Real, Shape};
///
/// /// No dependence, which gives leave-one-out.
/// #[derive(Clone, Copy, Debug)]
/// struct Independent;
///
/// impl Copula for Independent {
///     fn name(&self) -> String {
///         "independent".into()
///     }
///
///     fn uniforms<'t, F: Real>(
///         &self,
///         tape: &'t Tape<F>,
///         draw: &Draw<'_, F>,
///         samples: usize,
///         event: &Shape,
///     ) -> DistributionResult<Var<'t, F>> {
///         draw.record_uniform(tape, &[&[samples], &event[..]].concat().into_iter().collect())
///     }
///
///     fn second_below<'t, F: Real>(&self, _samples: usize, p: Var<'t, F>) -> Var<'t, F> {
///         p
///     }
/// }
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &Arms::new(4).copula(Independent))?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub trait Copula: Send + Sync {
    /// The name, for messages: `Dirichlet`.
    fn name(&self) -> String;

    /// Draws `samples` uniform variates for each element of an event shape, along a new first event axis. Those of
    /// different elements are independent.
    ///
    /// # Errors
    /// Those of the noise source.
    fn uniforms<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        draw: &Draw<'_, F>,
        samples: usize,
        event: &Shape,
    ) -> DistributionResult<Var<'t, F>>;

    /// The probability that a second one of `samples` variates is below `p`, given that a first one is, for $0 < p \le
    /// 1/2$. It must be less than 1: samples that are always equal give no gradient.
    fn second_below<'t, F: Real>(&self, samples: usize, p: Var<'t, F>) -> Var<'t, F>;

    /// The probability that `count` particular ones of `samples` variates are all below `p`, if it has a closed form.
    /// The exact oracle needs it to enumerate the samples.
    fn all_below(&self, samples: usize, count: usize, p: f64) -> Option<f64> {
        let _ = (samples, count, p);
        None
    }
}

/// For each sample, along a new first event axis, whether its variate is below `p`, which is at most 1/2.
pub(crate) fn below<'t, F: Real>(
    copula: &impl Copula,
    tape: &'t Tape<F>,
    draw: &Draw<'_, F>,
    samples: usize,
    p: Var<'t, F>,
    event: &Shape,
) -> DistributionResult<Var<'t, F>> {
    if !draw.records_noise(tape) && copula.all_below(samples, 1, 0.5).is_some() {
        return below_one_by_one(copula, tape, draw, samples, p, event);
    }
    let u = copula.uniforms(tape, &draw.purpose("copula"), samples, event)?;
    Ok(u.lt(p.stop_gradient()))
}

/// The largest set whose outcomes the oracle may enumerate: more of them have too many outcomes to visit.
const MOST_ENUMERATED: usize = 64;

/// The same, drawn from the distribution of the bits, each one given those before it. Unlike the variates, the bits
/// have finitely many outcomes, which the oracle can enumerate.
fn below_one_by_one<'t, F: Real>(
    copula: &impl Copula,
    tape: &'t Tape<F>,
    draw: &Draw<'_, F>,
    samples: usize,
    p: Var<'t, F>,
    event: &Shape,
) -> DistributionResult<Var<'t, F>> {
    if samples > MOST_ENUMERATED {
        return Err(DistributionError::Noise(format!(
            "expected at most {MOST_ENUMERATED} samples in a set whose outcomes are enumerated, got {samples}"
        )));
    }
    let p = draw.parameter(p, event)?;
    let elements = p.len();
    let mut ones = vec![0_usize; elements];
    let mut bits = Vec::with_capacity(samples);
    for drawn in 0..samples {
        let zero = |element: usize| {
            let p = p.as_slice()[element].to_f64();
            let pattern = |length: usize, ones: usize| pattern_probability(copula, samples, length, ones, p);
            (1.0 - pattern(drawn + 1, ones[element] + 1) / pattern(drawn, ones[element])).clamp(0.0, 1.0)
        };
        let next = draw
            .purpose(&format!("bit {drawn}"))
            .invert(event, &|element, bit| if bit == 0 { zero(element) } else { 1.0 })?;
        ones.iter_mut().zip(next.as_slice()).for_each(|(ones, bit)| *ones += usize::from(*bit > F::ZERO));
        bits.push(draw.record(tape, next));
    }
    Ok(Var::stack(&bits)?)
}

/// The probability that the first `ones` of `length` variates are below `p` and the others are not, by inclusion and
/// exclusion.
fn pattern_probability(copula: &impl Copula, samples: usize, length: usize, ones: usize, p: f64) -> f64 {
    let (mut sum, mut binomial) = (0.0, 1.0);
    for more in 0..=length - ones {
        let sign = if more % 2 == 0 { 1.0 } else { -1.0 };
        sum += sign * binomial * copula.all_below(samples, ones + more, p).unwrap_or(f64::NAN);
        binomial *= (length - ones - more) as f64 / (more + 1) as f64;
    }
    sum.max(0.0)
}

/// Checks that there are at least two samples.
pub(crate) fn check_samples<'t, F: Real>(
    distribution: &dyn Distribution<'t, F>,
    samples: usize,
    method: &str,
) -> DistributionResult<()> {
    if samples >= 2 {
        return Ok(());
    }
    Err(DistributionError::Unsupported {
        distribution: distribution.name(),
        problem: format!(
            "{method} needs at least 2 samples, got {samples}; ask for them with {method}::new(2) or more"
        ),
    })
}

/// An event shape with the samples along a first axis.
pub(crate) fn along(samples: usize, event: &Shape) -> Shape {
    std::iter::once(samples).chain(event.iter().copied()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_distributions::{KeyedNoise, NoiseKey};
    use stochgrad_tape::Plates;

    /// Independent variates.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Independent;

    impl Copula for Independent {
        fn name(&self) -> String {
            "independent".into()
        }

        fn uniforms<'t, F: Real>(
            &self,
            tape: &'t Tape<F>,
            draw: &Draw<'_, F>,
            samples: usize,
            event: &Shape,
        ) -> DistributionResult<Var<'t, F>> {
            draw.record_uniform(tape, &along(samples, event))
        }

        fn second_below<'t, F: Real>(&self, _samples: usize, p: Var<'t, F>) -> Var<'t, F> {
            p
        }

        fn all_below(&self, _samples: usize, count: usize, p: f64) -> Option<f64> {
            Some(p.powi(count as i32))
        }
    }

    /// Compares the variates of a copula with the probabilities that it states.
    pub(crate) fn check(copula: &impl Copula, samples: usize) {
        const DRAWS: usize = 60_000;
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(4, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let u = copula.uniforms(&tape, &draw, samples, &Shape::from(&[DRAWS][..])).unwrap().peek().unwrap();
        assert_eq!(u.shape().to_vec(), [samples, DRAWS]);
        let below = |p: f64, member: usize, draw: usize| u.as_slice()[member * DRAWS + draw] < p;
        let near = |what: &str, count: usize, expected: f64| {
            let share = count as f64 / DRAWS as f64;
            let error = (expected * (1.0 - expected) / DRAWS as f64).sqrt();
            assert!((share - expected).abs() <= 4.5 * error + 1e-12, "{what}: {share} where {expected} is exact");
        };
        for p in [0.04, 0.2, 0.37, 0.5] {
            let second = copula.second_below(samples, tape.constant(p)).item().unwrap();
            assert!((0.0..1.0).contains(&second));
            for member in 0..samples {
                near("one", (0..DRAWS).filter(|&i| below(p, member, i)).count(), p);
                let other = (member + 1) % samples;
                near("pair", (0..DRAWS).filter(|&i| below(p, member, i) && below(p, other, i)).count(), p * second);
            }
            let Some(pair) = copula.all_below(samples, 2, p) else { continue };
            assert!((pair - p * second).abs() < 1e-12, "{pair}, {p}, {second}");
            assert_abs_diff_eq!(copula.all_below(samples, 1, p).unwrap(), p, epsilon = 1e-14);
            // The distribution of the number of variates below p, from all joint probabilities.
            let mut binomial = 1.0;
            for ones in 0..=samples {
                let count = |i: usize| (0..samples).filter(|&member| below(p, member, i)).count();
                let expected = binomial * pattern_probability(copula, samples, samples, ones, p);
                near("count", (0..DRAWS).filter(|&i| count(i) == ones).count(), expected);
                binomial *= (samples - ones) as f64 / (ones + 1) as f64;
            }
        }
    }
}
