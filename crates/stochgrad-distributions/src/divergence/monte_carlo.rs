//! Estimates of divergences that have no closed form.

use crate::distribution::Distribution;
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// An *estimate* of a Kullback–Leibler divergence from samples. [`KlDivergence`](crate::KlDivergence) gives the exact
/// value for pairs with a closed form.
///
/// The estimate differs between draws and may be negative. Its gradient is an estimate of the gradient of the
/// divergence.
#[derive(Clone, Copy, Debug)]
pub struct MonteCarloKl<'t, F: Real> {
    /// The mean of the log-ratios, on the plates of the request without the one over which the average is taken.
    pub estimate: Var<'t, F>,
    /// The standard error of the estimate, on the same plates. No gradient flows through it.
    pub standard_error: Var<'t, F>,
}

/// Estimates `KL(p ‖ q)` in nats from draws of `p` along `samples`, one of the plates of the request.
///
/// $$\mathrm{KL}(p \,\|\, q) = E_p[\ln p(X) - \ln q(X)].$$
///
/// If `p` is reparameterised, the gradient is taken along the sample path. Otherwise it is that of the score function,
/// with a magic box around the log-probability of each sample (Foerster et al. 2018), which is unbiased at any order.
///
/// ```
/// use stochgrad_distributions::{Draw, KeyedNoise, KlDivergence, Normal, NoiseKey, monte_carlo_kl};
/// use stochgrad_tape::{PlateKind, Plates, Tape};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let samples = tape.plate("samples", 10_000, PlateKind::Samples, &[]);
/// let noise = KeyedNoise::new(7, 0);
/// let draw = Draw::new(&tape, &noise, NoiseKey::new("divergence", None), Plates::from_slice(&[samples]));
/// let p = Normal::new(tape.constant(0.5), 1.0);
/// let q = Normal::new(tape.constant(0.0), 2.0);
/// let found = monte_carlo_kl(&p, &q, &draw, samples)?;
/// let error = found.estimate.item()? - p.kl_to(&q).item()?;
/// assert!(error.abs() < 4.0 * found.standard_error.item()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the request does not carry the plate, if it has fewer than two members, if `p` has neither a path nor a score
/// function, or if it cannot be drawn from.
pub fn monte_carlo_kl<'t, F: Real>(
    p: &dyn Distribution<'t, F>,
    q: &dyn Distribution<'t, F>,
    draw: &Draw<'_, F>,
    samples: Plate,
) -> DistributionResult<MonteCarloKl<'t, F>> {
    let unsupported = |problem: String| DistributionError::Unsupported { distribution: p.name(), problem };
    if !draw.plates().contains(&samples) {
        return Err(unsupported(
            "expected a request that carries the plate of samples; add it to the plates of the draw".into(),
        ));
    }
    let count = p.tape()?.plate_size(samples);
    if count < 2 {
        return Err(unsupported(format!("a standard error needs at least two samples, got {count}")));
    }
    let ratio = |value: Var<'t, F>| p.log_prob(value) - q.log_prob(value);
    let ratios = match (p.capabilities().reparameterized, p.capabilities().score) {
        (Some(path), _) => ratio(path.rsample(draw)?),
        (None, Some(_)) => {
            let value = p.sample(draw)?.stop_gradient();
            p.log_prob(value).magic_box() * ratio(value)
        }
        (None, None) => {
            return Err(unsupported(
                "has neither a path nor a score function, so that no gradient of a divergence can be estimated".into(),
            ));
        }
    };
    let estimate = ratios.mean_over(samples);
    let fixed = ratios.stop_gradient();
    let spread = (fixed - fixed.mean_over(samples)).square().mean_over(samples);
    Ok(MonteCarloKl { estimate, standard_error: (spread / (count as f64 - 1.0)).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::normal::Normal;
    use crate::continuous::uniform::Uniform;
    use crate::discrete::poisson::Poisson;
    use crate::distribution::KlDivergence;
    use crate::noise::KeyedNoise;
    use crate::testing::on_samples;
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    /// Value and gradient agree with the closed form, along a path and with the score function.
    #[test]
    fn estimates_surround_the_closed_form() {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(3, 0);
        let draw = on_samples(&tape, &noise, 200_000);
        let samples = draw.plates()[0];
        let theta = tape.parameter(0.7);
        let normal = Normal::new(theta, 1.5);
        let wide = Normal::new(tape.constant(0.0), 2.0);
        let poisson = Poisson::from_rate(theta);
        let twice = Poisson::from_rate(tape.constant(1.4));
        let cases = [
            (monte_carlo_kl(&normal, &wide, &draw, samples).unwrap(), normal.kl_to(&wide)),
            (monte_carlo_kl(&poisson, &twice, &draw, samples).unwrap(), poisson.kl_to(&twice)),
        ];
        for (found, exact) in cases {
            let (estimate, error) = (found.estimate.item().unwrap(), found.standard_error.item().unwrap());
            assert!(error > 0.0 && error < 0.01);
            assert!((estimate - exact.item().unwrap()).abs() < 4.0 * error);
            let [got] = tape.backward(found.estimate, [theta]).unwrap();
            let [expected] = tape.backward(exact, [theta]).unwrap();
            assert_abs_diff_eq!(got.item().unwrap(), expected.item().unwrap(), epsilon = 0.01);
        }
    }

    #[test]
    fn misuse_is_an_error() {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(3, 0);
        let (draw, other) = (on_samples(&tape, &noise, 1), on_samples(&tape, &noise, 2));
        let p = Uniform::new(tape.constant(0.0), 1.0);
        assert!(monte_carlo_kl(&p, &p, &draw, other.plates()[0]).is_err());
        assert!(monte_carlo_kl(&p, &p, &draw, draw.plates()[0]).is_err());
        assert_eq!(monte_carlo_kl(&p, &p, &other, other.plates()[0]).unwrap().estimate.item(), Ok(0.0));
    }
}
