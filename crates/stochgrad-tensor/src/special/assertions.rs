//! Assertions and arguments for the tests of the special functions.

/// Asserts that the relative error is at most `tolerance`, or equality if `expected` is 0 or infinite.
#[track_caller]
pub(super) fn assert_relative(what: &str, got: f64, expected: f64, tolerance: f64) {
    let fine = got == expected || (got - expected).abs() <= tolerance * expected.abs();
    assert!(fine, "{what}: got {got:e}, expected {expected:e}, relative error {:e}", (got / expected - 1.0).abs());
}

/// Asserts that the error is at most `tolerance`, relative to the larger of 1 and the expected magnitude.
#[track_caller]
pub(super) fn assert_near(what: &str, got: f64, expected: f64, tolerance: f64) {
    let error = (got - expected).abs();
    let fine = got == expected || error <= tolerance * expected.abs().max(1.0);
    assert!(fine, "{what}: got {got:e}, expected {expected:e}, error {error:e}");
}

/// Positive values over the whole range of f64, with several values around each change of method.
pub(super) const POSITIVE: [f64; 28] = [
    5e-324,
    1e-308,
    1e-200,
    1e-30,
    1e-10,
    1e-4,
    0.02,
    0.49,
    0.5,
    0.51,
    1.0,
    1.49,
    1.51,
    3.0,
    9.99,
    10.0,
    29.9,
    30.0,
    31.0,
    100.0,
    1e4,
    1e8,
    1e12,
    1e16,
    1e100,
    1e200,
    1e307,
    f64::MAX,
];

/// Probabilities, including both ends.
pub(super) const PROBABILITIES: [f64; 10] =
    [0.0, 5e-324, 1e-300, 1e-10, 0.1, 0.5, 0.9, 1.0 - 1e-10, 1.0 - f64::EPSILON, 1.0];
