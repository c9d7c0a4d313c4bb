//! The outcomes of small programs that draw from the oracle's noise.

use super::*;
use approx::assert_abs_diff_eq;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// All outcomes of a program: what it returned, and the probability.
fn outcomes<T>(nodes: usize, mut program: impl FnMut(&OracleNoise) -> DistributionResult<T>) -> Vec<(T, f64)> {
    let noise = OracleNoise::new(nodes);
    let mut outcomes = Vec::new();
    loop {
        noise.begin();
        let value = program(&noise).expect("a program without errors");
        outcomes.push((value, noise.weight().expect("a deterministic program")));
        if !noise.advance() {
            return outcomes;
        }
    }
}

fn bit(noise: &OracleNoise, key: NoiseKey, p: f64) -> DistributionResult<f64> {
    let mut out = [0.0];
    noise.bernoulli(key, &NoiseLayout::flat(1), &[p], &mut out)?;
    Ok(out[0])
}

#[test]
fn an_interval_is_split_again_by_a_coupled_query() {
    let key = NoiseKey::new("x", None);
    let found = outcomes(4, |noise| Ok((bit(noise, key, 0.3)?, bit(noise, key, 0.5)?, bit(noise, key, 0.3)?)));
    let expected = [((0.0, 0.0, 0.0), 0.5), ((0.0, 1.0, 0.0), 0.2), ((1.0, 1.0, 1.0), 0.3)];
    assert_eq!(found.len(), expected.len(), "a monotone coupling has three outcomes: {found:?}");
    for ((value, p), (expected, q)) in found.iter().zip(&expected) {
        assert_eq!(value, expected);
        assert_abs_diff_eq!(p, q, epsilon = 1e-15);
    }
}

#[test]
fn keys_and_indices_are_independent() {
    let found = outcomes(4, |noise| {
        let mut out = [0.0; 2];
        noise.bernoulli(NoiseKey::new("x", None), &NoiseLayout::flat(2), &[0.3, 0.6], &mut out)?;
        Ok((out, bit(noise, NoiseKey::new("y", None), 0.5)?))
    });
    assert_eq!(found.len(), 8);
    let p: f64 = found.iter().filter(|((x, y), _)| *x == [1.0, 0.0] && *y == 1.0).map(|(_, p)| p).sum();
    assert_abs_diff_eq!(p, 0.3 * 0.4 * 0.5, epsilon = 1e-15);
}

#[test]
fn a_position_respects_the_cell() {
    let key = NoiseKey::new("x", None);
    let found = outcomes(5, |noise| {
        let (x, mut u) = (bit(noise, key, 0.3)?, [0.0]);
        noise.uniform(key, &NoiseLayout::flat(1), &mut u)?;
        Ok((x, u[0], bit(noise, key, 0.3)?))
    });
    assert_eq!(found.len(), 10);
    assert!(found.iter().all(|((x, u, again), _)| (*u >= 0.7) == (*x == 1.0) && x == again));
    let integral: f64 = found.iter().map(|((x, u, _), p)| p * x * u * u).sum();
    assert_abs_diff_eq!(integral, (1.0 - 0.7_f64.powi(3)) / 3.0, epsilon = 1e-14);
}

#[test]
fn normal_and_exponential_samples_have_their_moments() {
    let found = outcomes(8, |noise| {
        let (mut x, mut e, mut again, mut u) = ([0.0], [0.0], [0.0], [0.0]);
        let (a, b) = (NoiseKey::new("x", None), NoiseKey::new("e", None));
        noise.normal(a, &NoiseLayout::flat(1), &mut x)?;
        noise.exponential(b, &NoiseLayout::flat(1), &mut e)?;
        noise.normal(a, &NoiseLayout::flat(1), &mut again)?;
        noise.uniform(b, &NoiseLayout::flat(1), &mut u)?;
        assert_eq!(x, again);
        assert_abs_diff_eq!(u[0].ln(), -e[0], epsilon = 1e-12);
        Ok(x[0].powi(4) * e[0].powi(3))
    });
    assert_eq!(found.len(), 64);
    let mean: f64 = found.iter().map(|(value, p)| value * p).sum();
    assert_abs_diff_eq!(mean, 18.0, epsilon = 1e-11);
}

#[test]
fn uniforms_of_a_sampling_scheme_are_split_at_their_places() {
    // An antithetic pair of bits and the two strata of a systematic pair, each made from one uniform.
    for (scheme, strata, both) in [(SamplingScheme::Antithetic, [0, 0], 0.0), (SamplingScheme::Systematic, [0, 1], 0.0)]
    {
        let found = outcomes(3, |noise| {
            let uniforms: Vec<SchemeUniform> = strata
                .iter()
                .enumerate()
                .map(|(member, &stratum)| SchemeUniform { base: 0, place: scheme.place(2, member, stratum) })
                .collect();
            let mut out = [0.0; 2];
            let cdf = |_: usize, k: u64| if k == 0 { 0.7 } else { 1.0 };
            noise.invert_by_scheme(NoiseKey::new("x", None), &NoiseLayout::flat(1), &uniforms, &cdf, &mut out)?;
            Ok(out)
        });
        let probability =
            |wanted: [f64; 2]| found.iter().filter(|(out, _)| *out == wanted).map(|(_, p)| p).sum::<f64>();
        assert!((probability([1.0, 1.0]) - both).abs() < 1e-15, "{scheme}: {found:?}");
        let ones: f64 = found.iter().map(|(out, p)| (out[0] + out[1]) * p).sum();
        assert!((ones - 0.6).abs() < 1e-15, "{scheme}: {found:?}");
    }
}

/// The mean over all outcomes of a program. It visits them again until every interval is cut where it must be.
fn mean(nodes: usize, mut program: impl FnMut(&OracleNoise) -> DistributionResult<f64>) -> Result<f64, CheckError> {
    let noise = OracleNoise::new(nodes);
    loop {
        let mut sum = 0.0;
        loop {
            noise.begin();
            let value = program(&noise).expect("a program without errors");
            sum += value * noise.weight()?;
            if !noise.advance() {
                break;
            }
        }
        if !noise.begin_again()? {
            return Ok(sum);
        }
    }
}

fn position(noise: &OracleNoise, key: NoiseKey) -> DistributionResult<f64> {
    let mut u = [0.0];
    noise.uniform(key, &NoiseLayout::flat(1), &mut u)?;
    Ok(u[0])
}

#[test]
fn an_interval_is_split_before_its_position_is_used_even_if_the_split_is_found_later() {
    let (x, y) = (NoiseKey::new("x", None), NoiseKey::new("y", None));
    for nodes in [1, 2, 5] {
        // The integrals of u over u ≥ 0.6, and where a bit decides: of u over u ≥ 0.9 and over u ≥ 0.2.
        let found = mean(nodes, |noise| Ok(position(noise, x)? * bit(noise, x, 0.4)?)).expect("a mean");
        assert_abs_diff_eq!(found, 0.32, epsilon = 1e-14);
        let found = mean(nodes, |noise| {
            let (u, other) = (position(noise, x)?, bit(noise, y, 0.25)?);
            Ok(u * bit(noise, x, if other == 1.0 { 0.1 } else { 0.8 })?)
        });
        let expected = 0.25 * (1.0 - 0.81) / 2.0 + 0.75 * (1.0 - 0.04) / 2.0;
        assert_abs_diff_eq!(*found.as_ref().expect("a mean"), expected, epsilon = 1e-14);
    }
}

#[test]
fn a_position_answers_an_inversion_that_has_one_state_on_its_interval() {
    let key = NoiseKey::new("x", None);
    let noise = OracleNoise::new(3);
    noise.begin();
    bit(&noise, key, 0.3).expect("a bit");
    position(&noise, key).expect("a position");
    // Below 0.7 both are 0.
    assert_eq!((bit(&noise, key, 0.3), bit(&noise, key, 0.2)), (Ok(0.0), Ok(0.0)));
    assert!(!noise.is_refined());
    bit(&noise, key, 0.5).expect("a bit");
    assert!(noise.is_refined());
}

#[test]
fn members_of_a_sampling_scheme_are_split_before_their_positions_too() {
    let key = NoiseKey::new("x", None);
    for (scheme, expected) in [(SamplingScheme::Antithetic, 0.02), (SamplingScheme::Systematic, 0.4 * 0.4)] {
        // A uniform and the second member of its pair: u over 1 − u ≥ 0.8; and u over (1 + u)/2 ≥ 0.8.
        let found = mean(2, |noise| {
            let u = position(noise, key)?;
            let uniforms = [SchemeUniform { base: 0, place: scheme.place(2, 1, 1) }];
            let mut out = [0.0];
            let cdf = |_: usize, k: u64| if k == 0 { 0.8 } else { 1.0 };
            noise.invert_by_scheme(key, &NoiseLayout::flat(1), &uniforms, &cdf, &mut out)?;
            Ok(u * out[0])
        });
        let expected = if scheme == SamplingScheme::Antithetic { expected } else { (1.0 - 0.36) / 2.0 };
        assert!((found.as_ref().expect("a mean") - expected).abs() < 1e-14, "{scheme}: {found:?}");
    }
}

#[test]
fn exponential_samples_are_split_before_they_are_used() {
    let key = NoiseKey::new("x", None);
    let found = mean(8, |noise| {
        let mut x = [0.0];
        noise.exponential(key, &NoiseLayout::flat(1), &mut x)?;
        Ok(x[0] * (1.0 - bit(noise, key, 0.5)?))
    });
    // −ln u over u < 1/2 is (1 + ln 2)/2.
    assert_abs_diff_eq!(found.expect("a mean"), 0.5 * (1.0 + 2.0_f64.ln()), epsilon = 1e-13);
}

#[test]
fn uniforms_that_decide_where_each_other_are_split_are_an_error() {
    let (x, y) = (NoiseKey::new("x", None), NoiseKey::new("y", None));
    let found = mean(1, |noise| {
        let (u, v) = (position(noise, x)?, position(noise, y)?);
        Ok(bit(noise, x, 0.9 * v)? * bit(noise, y, 0.7 * u)?)
    });
    assert!(matches!(&found, Err(CheckError::Noise { problem }) if problem.contains("given out")), "{found:?}");
}

#[test]
fn a_countable_distribution_is_cut_in_its_tail() {
    let (key, layout) = (NoiseKey::new("x", None), NoiseLayout::flat(1));
    let found = outcomes(1, |noise| {
        let mut x = [0.0];
        noise.invert(key, &layout, &|_, k| -0.7_f64.powi(k as i32 + 1) + 1.0, &mut x)?;
        Ok(x[0])
    });
    let mean: f64 = found.iter().map(|(value, p)| value * p).sum();
    assert_abs_diff_eq!(mean, 0.7 / 0.3, epsilon = 1e-12);
    assert_abs_diff_eq!(found.iter().map(|(_, p)| p).sum::<f64>(), 1.0, epsilon = 1e-14);
}

#[test]
fn what_cannot_be_enumerated_is_an_error() {
    let noise = OracleNoise::new(3);
    noise.begin();
    let key = NoiseKey::new("x", None);
    let layout = NoiseLayout::flat(1);
    assert!(noise.generator(key, 0).is_err_and(|error| error.to_string().contains("statistical test")));
    assert!(matches!(noise.take_failure(), Some(CheckError::Noise { .. })));
    noise.normal(key, &layout, &mut [0.0]).expect("a normal sample");
    assert!(noise.uniform(key, &layout, &mut [0.0]).is_err_and(|error| error.to_string().contains("purpose")));
    assert!(
        noise
            .invert(NoiseKey::new("y", None), &layout, &|_, _| f64::NAN, &mut [0.0])
            .is_err_and(|error| error.to_string().contains("NaN"))
    );
    let short = noise.invert(NoiseKey::new("z", None), &layout, &|_, _| 0.5, &mut [0.0]);
    assert!(short.is_err_and(|error| error.to_string().contains("0.5")));
}
