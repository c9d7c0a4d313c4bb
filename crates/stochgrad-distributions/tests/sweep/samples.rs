//! A distribution at its own samples: they are finite, in the support, and have a finite log-probability and score.

use crate::distributions::{Entry, Precision};
use crate::failure::{Findings, Kind};
use crate::parameters::{self, Extent, points};
use crate::range::Place;
use crate::watch::watched;
use std::time::Duration;
use stochgrad_distributions::{Draw, KeyedNoise, NoiseKey};
use stochgrad_tape::{PlateKind, Plates, Tape, Var};

const DRAWS: usize = 1000;

/// What all samples at one point may take in a debug build.
const LIMIT: Duration = Duration::from_secs(2);

/// The samples, their log-probabilities, and the mean score with respect to each parameter.
struct Sampled {
    values: Vec<f64>,
    log_probs: Vec<f64>,
    scores: Vec<f64>,
}

fn sampled<F: Precision>(entry: &Entry, parameters: &[f64]) -> Result<Sampled, String> {
    let tape = Tape::<F>::new();
    let leaf = |(&parameter, kind): (&f64, &parameters::Kind)| match kind.is_whole() {
        true => tape.constant([parameter]),
        false => tape.parameter([parameter]),
    };
    let leaves: Vec<Var<'_, F>> = parameters.iter().zip(entry.kinds).map(leaf).collect();
    let distribution = F::build(entry, &leaves);
    distribution.validate().map_err(|error| error.to_string())?;
    let plate = tape.plate("samples", DRAWS, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = distribution.sample(&draw).map_err(|error| error.to_string())?;
    let log_prob = distribution.log_prob(sample);
    let list = |var: Var<'_, F>| {
        let tensor = var.peek().map_err(|error| error.to_string())?;
        Ok::<_, String>(tensor.as_slice().iter().map(|x| x.to_f64()).collect::<Vec<f64>>())
    };
    let (values, log_probs) = (list(sample)?, list(log_prob)?);
    // Counts have no score, and some distributions refuse to give one.
    let scored: Vec<Var<'_, F>> =
        leaves.iter().zip(entry.kinds).filter(|(_, kind)| !kind.is_whole()).map(|(leaf, _)| *leaf).collect();
    let gradients = tape.backward_all(log_prob.mean_over(plate), &scored).map_err(|error| error.to_string())?;
    let scores = gradients.iter().map(|gradient| gradient.as_slice()[0].to_f64()).collect();
    Ok(Sampled { values, log_probs, scores })
}

/// The checks at all points of the grid.
pub(crate) fn of_entry<F: Precision>(entry: &Entry, extent: Extent) -> Findings {
    let mut findings = Findings::default();
    for parameters in points::<F>(entry, extent) {
        let kind = |property| Kind { distribution: entry.name, precision: F::NAME, function: "sample", property };
        let (owned, point) = (*entry, parameters.clone());
        let Some((reply, time)) = watched(move || sampled::<F>(&owned, &point)) else {
            // The thread of an endless draw goes on for ever: a second one would slow down everything else.
            findings.check(&kind("end"), false, || format!("{parameters:?}: no end, or a panic"));
            break;
        };
        findings.check(&kind("time"), time <= LIMIT, || format!("{parameters:?}: {time:?}"));
        let Sampled { values, log_probs, scores } = match reply {
            Ok(sampled) => sampled,
            Err(reason) => {
                findings.refuse(entry.name, &format!("sample: {reason}"));
                continue;
            }
        };
        let finite = |list: &[f64]| list.iter().all(|x| x.is_finite());
        let first = |list: &[f64]| list.iter().copied().find(|x| !x.is_finite()).unwrap_or(0.0);
        findings.check(&kind("finite"), finite(&values), || format!("{parameters:?}: {}", first(&values)));
        let outside = values.iter().find(|&&x| entry.range.place(&parameters, x) == Place::Outside);
        findings.check(&kind("in the support"), outside.is_none(), || format!("{parameters:?}: {outside:?}"));
        if !finite(&values) {
            continue;
        }
        let wrong = log_probs.iter().position(|x| !x.is_finite());
        findings.check(&kind("finite log-probability"), wrong.is_none(), || {
            let at = wrong.unwrap_or(0);
            let count = log_probs.iter().filter(|x| !x.is_finite()).count();
            let value = values[at % values.len()];
            format!("{parameters:?}: {} at {value:e}, {count} of {DRAWS}", log_probs[at])
        });
        if wrong.is_none() {
            findings.check(&kind("finite score"), finite(&scores), || format!("{parameters:?}: {scores:?}"));
        }
    }
    findings
}
