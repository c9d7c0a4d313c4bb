use super::*;
use crate::continuous::laplace::Laplace;
use crate::continuous::normal::Normal;
use crate::discrete::poisson::Poisson;
use crate::testing::{Build, DistributionCheck, Domain, check_family};
use approx::assert_abs_diff_eq;

const BUILD: Build =
    |p| Box::new(Mixture::from_probability(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).unwrap());
const BY_LOGIT: Build =
    |p| Box::new(Mixture::from_logit(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).unwrap());

#[test]
fn everything_follows_the_distribution() {
    for (build, weight, seed) in [(BUILD, 0.3, 291), (BY_LOGIT, -0.6, 301)] {
        let distribution = DistributionCheck::new(build, &[weight, -1.0, 0.6, 1.5, 0.8], Domain::Line(-30.0, 30.0));
        distribution.assert_moments();
        distribution.assert_score(&[-2.0, 0.4, 3.0]);
        distribution.assert_cdf(&[-2.0, 0.4, 3.0]);
        distribution.assert_draws_by_own_cdf(seed);
        distribution.assert_path(seed + 1);
        (0..5).for_each(|parameter| distribution.assert_weak(parameter, seed + 2 + parameter as u64));
    }
}

#[test]
fn misfits_are_errors_and_a_stored_mixture_binds_again() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter(0.0), 1.0);
    let wide = Normal::new(tape.parameter([0.0, 1.0]), 1.0);
    assert!(Mixture::from_probability(tape.constant(0.5), normal, wide).is_err());
    let distribution =
        Mixture::from_probability(tape.parameter(0.5), normal, Laplace::new(tape.parameter(0.0), 1.0)).unwrap();
    check_family(&tape, &distribution, tape.constant(0.3));
    let counts = Poisson::from_rate(tape.parameter(2.0));
    let inflated =
        Mixture::from_probability(tape.parameter(0.2), Poisson::from_rate(tape.constant(0.0)), counts).unwrap();
    assert!(inflated.capabilities().reparameterized.is_none());
    let at_zero = 0.2 + 0.8 * (-2.0_f64).exp();
    assert_abs_diff_eq!(inflated.log_prob(tape.constant(0.0)).item().unwrap(), at_zero.ln(), epsilon = 1e-14);
}
