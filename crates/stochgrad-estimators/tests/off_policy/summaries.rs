//! Estimates of values, and diagnostics of weights.

use approx::assert_abs_diff_eq;
use stochgrad_estimators::{ValueEstimate, WeightDiagnostics};
use stochgrad_tensor::Tensor;
use stochgrad_tensor::random::Key;

#[test]
fn intervals_have_their_known_ends() {
    let estimate = ValueEstimate::new(&Tensor::from([1.0_f64, 2.0, 4.0, 5.0])).unwrap();
    assert_eq!((estimate.mean(), estimate.samples()), (3.0, 4));
    assert_abs_diff_eq!(estimate.variance(), 10.0 / 3.0, epsilon = 1e-14);
    // The quantile of Student's t with 3 degrees of freedom is 3.182446305.
    let interval = estimate.interval(0.95).unwrap();
    assert_abs_diff_eq!(*interval.end(), 3.0 + 3.182_446_305_284_263 * (10.0_f64 / 12.0).sqrt(), epsilon = 1e-9);
    assert_abs_diff_eq!(interval.start() + interval.end(), 6.0, epsilon = 1e-12);
    let bound = estimate.bernstein_interval(0.95, 0.0..=6.0).unwrap();
    let log = 80.0_f64.ln();
    let distance = (2.0 * 10.0 / 3.0 * log / 4.0).sqrt() + 7.0 * 6.0 * log / 9.0;
    assert_abs_diff_eq!(*bound.end(), 3.0 + distance, epsilon = 1e-12);
}

#[test]
fn the_bernstein_bound_covers_where_quantiles_do_not() {
    // Rare large values: 40 with probability 1/50, whose mean is 0.8, in samples of 20.
    let (mut quantiles, mut bounds) = (0, 0);
    for run in 0..400 {
        let mut uniforms = [0.0_f64; 20];
        Key::new(7, run, 0).uniform(0, &mut uniforms);
        let values: Vec<f64> = uniforms.iter().map(|&u| if u < 0.02 { 40.0 } else { 0.0 }).collect();
        let estimate = ValueEstimate::new(&Tensor::from(values)).unwrap();
        quantiles += usize::from(estimate.interval(0.95).unwrap().contains(&0.8));
        bounds += usize::from(estimate.bernstein_interval(0.95, 0.0..=40.0).unwrap().contains(&0.8));
    }
    assert!(quantiles < 200, "{quantiles} of 400");
    assert_eq!(bounds, 400);
}

#[test]
fn what_has_no_standard_error_is_refused() {
    let message = |values: Vec<f32>| ValueEstimate::new(&Tensor::from(values)).unwrap_err().to_string();
    assert!(message(vec![1.0]).contains("at least 2 samples for a standard error, got 1"));
    assert!(message(vec![1.0, f32::NAN]).contains("finite contributions, got NaN at position 1"));
    let estimate = ValueEstimate::new(&Tensor::from([1.0_f64, 3.0])).unwrap();
    let message = estimate.interval(1.0).unwrap_err().to_string();
    assert!(message.contains("a confidence in (0, 1), such as 0.95, got 1"), "{message}");
    let message = estimate.bernstein_interval(0.9, 0.0..=2.0).unwrap_err().to_string();
    assert!(message.contains("got some from 1 to 3"), "{message}");
    assert!(estimate.bernstein_interval(0.9, 3.0..=1.0).is_err());
}

#[test]
fn equal_weights_are_as_many_as_they_are_and_one_weight_is_one() {
    let equal = WeightDiagnostics::new(&Tensor::full([7], 1e200_f64)).unwrap();
    assert!((equal.effective_sample_size() - 7.0).abs() < 1e-12);
    let single = WeightDiagnostics::new(&Tensor::from([0.0_f32, 3.0, 0.0])).unwrap();
    assert_eq!((single.effective_sample_size(), single.largest_share()), (1.0, 1.0));
    assert!(single.to_string().contains("effective sample size 1.0 of 3, largest weight 3.00"), "{single}");
}

#[test]
fn what_are_no_weights_is_refused() {
    let message = |weights: Vec<f64>| WeightDiagnostics::new(&Tensor::from(weights)).unwrap_err().to_string();
    assert!(message(vec![1.0, -0.5]).contains("at least 0, got -0.5 at position 1"));
    assert!(message(vec![0.0, 0.0]).contains("takes no logged action"));
    assert!(message(vec![1.0, f64::INFINITY]).contains("finite contributions"));
}
