//! Derivatives of special functions where probabilities underflow, at ends, and in single precision.

use stochgrad_tape::{Tape, Var, special};
use stochgrad_tensor::{Real, Tensor};

/// The derivatives of orders 0 to 2 of a function at a point.
fn derivatives<F: Real>(x: f64, function: impl for<'t> Fn(Var<'t, F>) -> Var<'t, F>) -> [f64; 3] {
    let tape = Tape::<F>::new();
    let x = tape.parameter(Tensor::scalar(F::from_f64(x)));
    let value = function(x);
    let [first] = tape.grad(value, [x]).unwrap();
    let [second] = tape.grad(first, [x]).unwrap();
    [value, first, second].map(|var| var.item().unwrap().to_f64())
}

#[track_caller]
fn assert_close(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{what}: got {got:e}, expected {expected:e}");
}

fn far_tails<F: Real>(tolerance: f64) {
    let [value, first, second] = derivatives::<F>(5000.0, |x| special::log_gamma_q(x.tape().constant(1.0), x));
    assert_close("ln of the exponential tail", value, -5000.0, tolerance);
    assert_close("its slope", first, -1.0, tolerance);
    assert!(second.abs() < tolerance, "{second}");

    // The tails of Student's t distribution are powers.
    let [value, first, second] = derivatives::<F>(-1e8, |t| special::student_t_log_cdf(t, t.tape().constant(3.0)));
    // From mpmath at 40 digits, as the other values without a formula.
    assert_close("ln of a power", value, -55.164318792812495, tolerance);
    assert_close("slope of a power", first, 3e-8, tolerance);
    assert_close("curvature of a power", second, 3e-16, 100.0 * tolerance);

    // The lower tail of Beta(900, 1) is a power of x.
    let [value, first, second] =
        derivatives::<F>(0.25, |x| special::log_beta_inc(x.tape().constant(900.0), x.tape().constant(1.0), x, 1.0 - x));
    assert_close("ln of x^900", value, 900.0 * 0.25_f64.ln(), tolerance);
    assert_close("its slope", first, 3600.0, tolerance);
    assert_close("its curvature", second, -14400.0, 2000.0 * tolerance);

    let [value, first, _] = derivatives::<F>(-1.0, |x| special::von_mises_log_cdf(x, x.tape().constant(1e6)));
    assert_close("ln of an angle", value, -459705.34822281427, tolerance);
    assert_close("its slope", first, 841471.6268983441, tolerance);

    let [value, first, _] = derivatives::<F>(-1e4, |x| special::normal_log_cdf(x));
    assert_close("ln of the normal tail", value, -50000010.12927891, tolerance);
    assert_close("its slope", first, 10000.0001, 10.0 * tolerance);
}

#[test]
fn logarithms_of_tails_have_slopes_where_the_tails_underflow() {
    far_tails::<f64>(1e-12);
    far_tails::<f32>(3e-7);
}

#[test]
fn the_median_of_student_t_has_derivatives() {
    let height = (2.0 / (3.0_f64.sqrt() * std::f64::consts::PI), 2.7206990463513267);
    let [value, first, second] = derivatives::<f64>(0.0, |t| special::student_t_cdf(t, t.tape().constant(3.0)));
    assert_eq!((value, second), (0.5, 0.0));
    assert_close("density", first, height.0, 1e-14);
    let [value, first, second] = derivatives::<f64>(0.5, |p| special::student_t_icdf(p, p.tape().constant(3.0)));
    assert_eq!((value, second), (0.0, 0.0));
    assert_close("slope of the quantile", first, height.1, 1e-14);
    for nu in [5e-324, 1e-300, 1e-3, 1.0, 1e8, 1e17, 1e300] {
        let tape = Tape::<f64>::new();
        for t in [-1e200, -1e21, -1.0, 0.0, 1e-300, 3.0, 1e300] {
            let (t, nu) = (tape.parameter(t), tape.parameter(nu));
            let [by_t, by_nu] = tape.backward(special::student_t_cdf(t, nu), [t, nu]).unwrap();
            assert!(by_t.item().unwrap().is_finite() && by_nu.item().unwrap().is_finite(), "at {t:?}, {nu:?}");
        }
    }
}

#[test]
fn angles_at_the_ends_in_single_precision() {
    let tape = Tape::<f32>::new();
    let kappa = tape.parameter(1.0_f32);
    for (x, expected) in [(std::f32::consts::PI, 1.0), (3.2, 1.0), (-std::f32::consts::PI, 0.0), (-4.0, 0.0)] {
        let x = tape.parameter(x);
        let value = special::von_mises_cdf(x, kappa);
        let [by_x, by_kappa] = tape.backward(value, [x, kappa]).unwrap();
        assert_eq!(value.item().unwrap(), expected);
        assert!(by_x.item().unwrap().is_finite() && by_kappa.item().unwrap() == 0.0);
    }
}

#[test]
fn divergences_of_large_concentrations_keep_their_digits_in_single_precision() {
    let tape = Tape::<f32>::new();
    let (a, b) = (tape.parameter(1e4_f32), tape.parameter(1.01e4_f32));
    let divergence = special::stirling_divergence(a, b);
    // From mpmath at 40 digits.
    assert_close("divergence", f64::from(divergence.item().unwrap()), 2.48353984984650e-5, 1e-6);
    let [by_a, by_b] = tape.backward(divergence, [a, b]).unwrap();
    assert!(by_a.item().unwrap() < 0.0 && by_b.item().unwrap() > 0.0);
}

#[test]
fn orders_beyond_their_type_are_errors() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter(2.0);
    let y = x.polygamma(u32::MAX);
    let error = tape.grad(y, [x]).err().map(|error| error.to_string()).or(tape.check().err().map(|e| e.to_string()));
    assert!(error.unwrap().contains("expected a derivative of an order below 4294967295"));
}
