//! Weak reparameterisation of gamma variates: samples are functions of the parameters and of noise whose distribution
//! depends weakly on them.
//!
//! | noise $\varepsilon$ of a standard gamma variate $z$ | $z$ | |
//! |---|---|---|
//! | the proposal that rejection sampling accepted | $h(\varepsilon) \prod_{i=1}^B u_i^{1/(a + i - 1)}$, $h(\varepsilon) = d (1 + c\varepsilon)^3$, $d = a + B - \tfrac13$, $c = 1/\sqrt{9 d}$ | Naesseth et al. (2017), with the sampler of Marsaglia and Tsang (2000) |
//! | the standardised logarithm | $\exp\big(\varepsilon \sqrt{\psi_1(a)} + \psi(a)\big)$ | Ruiz, Titsias and Blei (2016) |
//!
//! The log-density of the noise is that of the gamma distribution at $z$ plus the logarithm of the derivative of $z$
//! with respect to the noise. Each of the $B$ steps of augmentation draws a gamma variate with a concentration that is
//! larger by one, whose noise is nearer to normal.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::distribution::{WeakNoise, WeakPath};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use std::sync::Arc;
use stochgrad_tape::{Degree, Description, Primitive, PrimitiveInputs, Var, special};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Logarithms of gamma variates with scale 1, and the log-density of the noise of each.
pub(crate) fn weak_log_gammas<'t, F: Real>(
    concentration: Var<'t, F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    noise: WeakNoise,
) -> DistributionResult<WeakPath<'t, F>> {
    let a = concentration.broadcast_to(event.clone());
    match noise {
        WeakNoise::Standardized => {
            let logs = log_standard_gammas(a, draw, event, false)?;
            let (mean, deviation) = (a.digamma(), a.polygamma(1).sqrt());
            let noise = ((logs - mean) / deviation).held();
            let value = noise * deviation + mean;
            let log_density = a * value - value.exp() - a.lgamma() + deviation.ln();
            Ok(WeakPath { value, log_density: log_density.sum() })
        }
        WeakNoise::Proposal { augmentation } => {
            let raised = a + augmentation as f64;
            let smallest = raised.inspect()?.as_slice().iter().map(|a| a.to_f64()).fold(f64::INFINITY, f64::min);
            if smallest < 1.0 {
                return Err(DistributionError::Unsupported { distribution: "Gamma", problem: too_small(smallest) });
            }
            let raised = raised.tape().custom(Arc::new(AtLeastOne), &[raised]);
            let logs = log_standard_gammas(raised, draw, event, false)?;
            let d = raised - 1.0 / 3.0;
            let c = (d * 9.0).sqrt().recip();
            let noise = ((((logs - d.ln()) * (1.0 / 3.0)).exp() - 1.0) / c).held();
            let root = (noise * c + 1.0).ln();
            let value = d.ln() + root * 3.0;
            // h' = 3 d c (1 + c ε)².
            let stretch = (d * c * 3.0).ln() + root * 2.0;
            let log_density = (raised - 1.0) * value - value.exp() - raised.lgamma() + stretch;
            let mut augmented = value;
            for step in 0..augmentation {
                let u = draw.purpose(&format!("augmentation {step}")).record_uniform(a.tape(), event)?;
                augmented = augmented + u.ln() / (a + step as f64);
            }
            Ok(WeakPath { value: augmented, log_density: log_density.sum() })
        }
    }
}

fn too_small(smallest: f64) -> String {
    format!(
        "expected concentrations of at least 1 after augmentation, got {smallest}: rejection sampling needs them; ask \
         for one more step of augmentation"
    )
}

/// Concentrations, which must be at least 1 in each run of a program too.
struct AtLeastOne;

impl<F: Real> Primitive<F> for AtLeastOne {
    fn name(&self) -> &str {
        "concentrations of proposals"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [a] = inputs.values else { return Err(format!("expected one value, got {}", inputs.values.len())) };
        match a.as_slice().iter().find(|a| a.to_f64() < 1.0) {
            Some(small) => Err(too_small(small.to_f64())),
            None => {
                let mut out = inputs.pool.take(a.shape().clone());
                out.make_mut().copy_from_slice(a.as_slice());
                Ok(out)
            }
        }
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[a] = inputs else { return None };
        let message = "expected concentrations of at least 1 after augmentation, got a smaller one: rejection sampling \
                       needs them; ask for one more step of augmentation";
        Some(Description::of(a).refusing(a.lt(a.tape().constant(1.0)), message))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint)]
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
    }
}

/// The logarithm of a ratio of gamma variates: log-odds of a beta variate.
pub(crate) fn weak_log_odds<'t, F: Real>(
    [alpha, beta]: [Var<'t, F>; 2],
    draw: &Draw<'_, F>,
    event: &Shape,
    noise: WeakNoise,
) -> DistributionResult<WeakPath<'t, F>> {
    let (alpha, beta) = (alpha.broadcast_to(event.clone()), beta.broadcast_to(event.clone()));
    let draws = [draw.purpose("alpha"), draw.purpose("beta")];
    if noise != WeakNoise::Standardized {
        let up = weak_log_gammas(alpha, &draws[0], event, noise)?;
        let down = weak_log_gammas(beta, &draws[1], event, noise)?;
        return Ok(WeakPath { value: up.value - down.value, log_density: up.log_density + down.log_density });
    }
    let up = log_standard_gammas(alpha, &draws[0], event, false)?;
    let down = log_standard_gammas(beta, &draws[1], event, false)?;
    let mean = alpha.digamma() - beta.digamma();
    let deviation = (alpha.polygamma(1) + beta.polygamma(1)).sqrt();
    let noise = ((up - down - mean) / deviation).held();
    let value = noise * deviation + mean;
    let log_density =
        alpha * value.log_sigmoid() + beta * (-value).log_sigmoid() - special::log_beta(alpha, beta) + deviation.ln();
    Ok(WeakPath { value, log_density: log_density.sum() })
}
