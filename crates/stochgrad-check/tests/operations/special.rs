//! Special functions.

use crate::cases::{Case, case, check, numbers, positive, real};
use stochgrad_tape::special::ShapePart;
use stochgrad_tape::{Special, Tape, Var, special};
use stochgrad_tensor::Tensor;

pub(crate) fn special_cases() -> Vec<Case> {
    let unit = |shape: &[usize], seed| numbers(shape, 0.1, 0.85, seed);
    let counts = |values: [f64; 3]| Tensor::from(values);
    let mut cases = vec![
        case("erfc", vec![real(&[3], 300)], |_, x| special::erfc(x[0])),
        case("erf_inv", vec![unit(&[3], 301)], |_, x| special::erf_inv(x[0])),
        case("normal_cdf", vec![real(&[3], 302)], |_, x| special::normal_cdf(x[0])),
        case("normal_log_cdf", vec![real(&[3], 303)], |_, x| special::normal_log_cdf(x[0])),
        case("normal_icdf", vec![unit(&[3], 304)], |_, x| special::normal_icdf(x[0])),
        case("log1mexp", vec![positive(&[3], 305)], |_, x| special::log1mexp(-x[0])),
        case("atan", vec![real(&[3], 322)], |_, x| special::atan(x[0])),
        case("acot", vec![real(&[3], 323)], |_, x| special::acot(x[0])),
        case("log1p_square", vec![real(&[3], 324)], |_, x| special::log1p_square(x[0])),
        case(
            "log1p_square_ratio far out",
            vec![Tensor::from([-3e9, 2e9, 1.0]), Tensor::from([1.5, 0.5, 1e9])],
            |_, x| special::log1p_square_ratio(x[0], x[1]),
        ),
        case("log1p_square far out", vec![Tensor::from([-3e9, 2e9])], |_, x| special::log1p_square(x[0])),
        case("gumbel_level_right", vec![positive(&[3], 325)], |_, x| special::gumbel_level_right(x[0])),
        case("gumbel_level_left", vec![positive(&[3], 326)], |_, x| special::gumbel_level_left(x[0])),
        case("bessel_ie", vec![real(&[3], 327)], |_, x| special::bessel_ie(x[0], 0) + special::bessel_ie(x[0], 2)),
        case("log_bessel_ie", vec![positive(&[3], 328)], move |tape, x| {
            special::log_bessel_ie(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("deviance", vec![positive(&[2, 1], 344), positive(&[3], 345)], |_, x| special::deviance(x[0], x[1])),
        case("deviance_by_log", vec![real(&[2, 1], 346), real(&[3], 347)], |_, x| special::deviance_by_log(x[0], x[1])),
        case("binary_deviance", vec![unit(&[2, 1], 348), unit(&[3], 349)], |_, x| special::binary_deviance(x[0], x[1])),
        case("log_sinhc_divergence", vec![real(&[2, 1], 352), real(&[3], 353)], |_, x| {
            special::log_sinhc_divergence(x[0], x[1])
        }),
        case("log_ratio", vec![positive(&[2, 1], 350), positive(&[3], 351)], |_, x| special::log_ratio(x[0], x[1])),
        case("softplus_inverse", vec![positive(&[3], 329)], |_, x| special::softplus_inverse(x[0])),
        case("negative_binomial_log_pmf", vec![positive(&[3], 330), unit(&[3], 331)], move |tape, x| {
            special::negative_binomial_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), x[0], x[1])
        }),
        case("negative_binomial_log_pmf_by_logit", vec![positive(&[3], 332), real(&[3], 333)], move |tape, x| {
            special::negative_binomial_log_pmf_by_logit(tape.constant(counts([0.0, 2.0, 5.0])), x[0], x[1])
        }),
        case("von_mises_cdf by its argument", vec![real(&[3], 334)], |tape, x| {
            special::von_mises_cdf(x[0], tape.constant(1.7))
        }),
        case("beta_inc_inverse by its argument", vec![unit(&[3], 335)], |tape, x| {
            special::beta_inc_inverse(tape.constant(1.7), tape.constant(0.6), x[0])
        }),
        case("normal_icdf_of_log", vec![positive(&[3], 338)], |_, x| special::normal_icdf_of_log(-x[0])),
        case("normal_log_mills", vec![real(&[3], 339)], |_, x| special::normal_log_mills(x[0])),
        case("digamma_minus_log", vec![positive(&[3], 340)], |_, x| special::digamma_minus_log(x[0])),
        case("von_mises_gap", vec![positive(&[3], 341)], |_, x| special::von_mises_gap(x[0])),
        case("gamma_q_inverse by its argument", vec![unit(&[3], 342)], |tape, x| {
            special::gamma_q_inverse(tape.constant(1.7), x[0])
        }),
        case("log_sinhc", vec![real(&[3], 343)], |_, x| special::log_sinhc(x[0])),
        case("scaled_exponential_integral", vec![positive(&[3], 344)], |_, x| {
            special::scaled_exponential_integral(x[0])
        }),
        case("quantiles of counts", vec![unit(&[3], 392)], |tape, x| {
            let number = |x: f64| tape.constant(x);
            let counts = special::poisson_icdf(x[0], number(2.5))
                + special::binomial_icdf(x[0], number(9.0), number(0.3))
                + special::negative_binomial_icdf(x[0], number(2.5), number(0.3))
                + special::skellam_icdf(x[0], number(2.5), number(0.7))
                + special::poisson_inverse_survival(x[0], number(2.5))
                + special::negative_binomial_inverse_survival(x[0], number(2.5), number(0.3))
                + special::poisson_draw(x[0] - 0.5, number(2.5))
                + special::binomial_draw(x[0] - 0.5, number(9.0), number(0.3))
                + special::negative_binomial_draw(x[0] - 0.5, number(2.5), number(0.3));
            counts * x[0]
        }),
        case("what has no derivative of its own", vec![real(&[3], 393)], |tape, x| {
            let [a, b, c] = [2.5, 0.7, 0.3].map(|number| tape.constant(number));
            let parts = [ShapePart::Positive, ShapePart::Negative, ShapePart::Constant];
            let slopes = special::record(Special::GammaVariateByShapeTwice, &[a, b])
                + special::record(Special::VonMisesVariateByConcentration, &[b, a]);
            parts.into_iter().fold(slopes, |sum, part| {
                sum + special::record(Special::GammaShapePart(part), &[a, c])
                    + special::record(Special::BetaShapePart(part), &[a, b, c])
            }) * x[0]
        }),
        case("normal_log_mass", vec![real(&[2, 1], 370), positive(&[3], 371)], |_, x| {
            special::normal_log_mass(x[0], x[0] + x[1])
        }),
        case("normal_log_mass_over_density", vec![real(&[2, 1], 372), positive(&[3], 373)], |_, x| {
            special::normal_log_mass_over_density(x[0], x[0] + x[1])
        }),
        case("normal_log_mass_at_edge", vec![positive(&[2, 1], 353), positive(&[3], 354)], |_, x| {
            special::normal_log_mass_at_edge(x[0], x[0] + x[1])
                + special::normal_log_mass_at_edge(-x[0] - x[1], -x[0]) * 2.0
                + special::normal_log_mass_at_edge(-x[0], x[1]) * 3.0
        }),
        case("normal_hazard_at_edge", vec![positive(&[2, 1], 355), positive(&[3], 356)], |_, x| {
            special::normal_hazard_at_edge(x[0], x[0] + x[1])
                + special::normal_hazard_at_edge(-x[0] - x[1], -x[0]) * 2.0
                + special::normal_hazard_at_edge(-x[0], x[1]) * 3.0
        }),
        case("truncated_normal_log_density", vec![unit(&[3], 345), real(&[3], 346), positive(&[2, 1], 347)], |_, x| {
            special::truncated_normal_log_density(x[1] + x[0] * x[2], x[1], x[1] + x[2])
        }),
        case("truncated_normal_cdf", vec![real(&[3], 374), unit(&[3], 375), positive(&[2, 1], 376)], |_, x| {
            special::truncated_normal_cdf(x[0] + x[1] * x[2], x[0], x[0] + x[2])
        }),
        case("truncated_normal_icdf", vec![unit(&[3], 377), real(&[3], 378), positive(&[2, 1], 379)], |_, x| {
            special::truncated_normal_icdf(x[0], x[1], x[1] + x[2])
        }),
        case("truncated_normal_mean", vec![real(&[2, 1], 380), positive(&[3], 381)], |_, x| {
            special::truncated_normal_mean(x[0], x[0] + x[1])
        }),
        case("truncated_normal_excess", vec![real(&[2, 1], 480), positive(&[3], 481)], |_, x| {
            special::truncated_normal_excess(x[0], x[0] + x[1])
        }),
        case("truncated_normal_variance", vec![real(&[2, 1], 382), positive(&[3], 383)], |_, x| {
            special::truncated_normal_variance(x[0], x[0] + x[1])
        }),
        case("inverse_gaussian_icdf", vec![unit(&[3], 384), positive(&[3], 385), positive(&[2, 1], 386)], |_, x| {
            special::inverse_gaussian_icdf(x[0], x[1], x[2])
        }),
        case(
            "inverse_gaussian_complement_icdf",
            vec![unit(&[3], 484), positive(&[3], 485), positive(&[2, 1], 486)],
            |_, x| special::inverse_gaussian_complement_icdf(x[0], x[1], x[2]),
        ),
        case("von_mises_icdf by its argument", vec![unit(&[3], 387)], |tape, x| {
            special::von_mises_icdf(x[0], tape.constant(1.7))
        }),
        case("skellam_log_pmf", vec![positive(&[3], 388), positive(&[2, 1], 389)], move |tape, x| {
            special::skellam_log_pmf(tape.constant(counts([0.0, -2.0, 5.0])), x[0], x[1])
        }),
        case("skellam_cdf", vec![positive(&[3], 390), positive(&[2, 1], 391)], move |tape, x| {
            special::skellam_cdf(tape.constant(counts([0.0, -2.0, 5.0])), x[0], x[1])
        }),
        case("log_gamma_difference", vec![positive(&[3], 400), positive(&[2, 1], 401)], |_, x| {
            special::log_gamma_difference(x[0], x[1])
        }),
        case("digamma_difference", vec![positive(&[3], 402), positive(&[2, 1], 403)], |_, x| {
            special::digamma_difference(x[0], x[1])
        }),
        case("log_gamma_second_difference", vec![positive(&[3], 404), positive(&[2, 1], 405)], |_, x| {
            special::log_gamma_second_difference(x[0], x[1])
        }),
        case("stirling_divergence", vec![positive(&[3], 406), positive(&[2, 1], 407)], |_, x| {
            special::stirling_divergence(x[0], x[1])
        }),
        case("digamma_minus_log_difference", vec![positive(&[3], 408), positive(&[2, 1], 409)], |_, x| {
            special::digamma_minus_log_difference(x[0], x[1])
        }),
        case("student_t_log_height", vec![positive(&[3], 410)], |_, x| special::student_t_log_height(x[0])),
        case("student_t_log_density", vec![real(&[3], 411), positive(&[2, 1], 412)], |_, x| {
            special::student_t_log_density(x[0], x[1])
        }),
        case("student_t_cdf by its argument", vec![real(&[3], 413)], |tape, x| {
            special::student_t_cdf(x[0], tape.constant(2.5))
        }),
        case("student_t_log_cdf by its argument", vec![real(&[3], 414)], |tape, x| {
            special::student_t_log_cdf(x[0], tape.constant(2.5))
        }),
        case("student_t_icdf by its argument", vec![unit(&[3], 415)], |tape, x| {
            special::student_t_icdf(x[0], tape.constant(2.5))
        }),
        case("log_beta_inc by its argument", vec![unit(&[3], 418)], |tape, x| {
            special::log_beta_inc(tape.constant(1.7), tape.constant(0.6), x[0], 1.0 - x[0])
        }),
        case("beta_inc_complement_inverse by its argument", vec![unit(&[3], 419)], |tape, x| {
            special::beta_inc_complement_inverse(tape.constant(1.7), tape.constant(0.6), x[0])
        }),
        case("von_mises_log_cdf by its argument", vec![real(&[3], 420)], |tape, x| {
            special::von_mises_log_cdf(x[0], tape.constant(1.7))
        }),
        case("log_beta", vec![positive(&[2, 1], 306), positive(&[3], 307)], |_, x| special::log_beta(x[0], x[1])),
        case("log_gamma_kernel", vec![positive(&[3], 308), positive(&[2, 1], 309)], |_, x| {
            special::log_gamma_kernel(x[0], x[1])
        }),
        case("log_beta_kernel", vec![positive(&[3], 310), positive(&[2, 1], 311), unit(&[3], 312)], |_, x| {
            special::log_beta_kernel(x[0], x[1], x[2], 1.0 - x[2])
        }),
        case("poisson_log_pmf", vec![positive(&[3], 313)], move |tape, x| {
            special::poisson_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("poisson_log_pmf_by_log", vec![real(&[3], 314)], move |tape, x| {
            special::poisson_log_pmf_by_log(tape.constant(counts([0.0, 2.0, 5.0])), x[0])
        }),
        case("binomial_log_pmf", vec![unit(&[3], 315)], move |tape, x| {
            special::binomial_log_pmf(tape.constant(counts([0.0, 2.0, 5.0])), tape.constant(5.0), x[0])
        }),
        case("binomial_log_pmf_by_logit", vec![real(&[3], 316)], move |tape, x| {
            special::binomial_log_pmf_by_logit(tape.constant(counts([0.0, 2.0, 5.0])), tape.constant(5.0), x[0])
        }),
        case("gamma_p", vec![positive(&[3], 317), positive(&[2, 1], 424)], |_, x| special::gamma_p(x[0], x[1])),
        case("gamma_q", vec![positive(&[3], 320), positive(&[2, 1], 425)], |_, x| special::gamma_q(x[0], x[1])),
        case("log_gamma_p", vec![positive(&[3], 416), positive(&[2, 1], 426)], |_, x| special::log_gamma_p(x[0], x[1])),
        case("log_gamma_q", vec![positive(&[3], 417), positive(&[2, 1], 427)], |_, x| special::log_gamma_q(x[0], x[1])),
        case("gamma_p_inverse", vec![positive(&[3], 428), unit(&[2, 1], 318)], |_, x| {
            special::gamma_p_inverse(x[0], x[1])
        }),
        case("gamma_q_inverse", vec![positive(&[3], 429), unit(&[2, 1], 430)], |_, x| {
            special::gamma_q_inverse(x[0], x[1])
        }),
        // These functions have only first derivatives with respect to the shape, so the shape is a constant here.
        case("beta_inc by its argument", vec![unit(&[3], 319)], |tape, x| {
            special::beta_inc(tape.constant(1.7), tape.constant(0.6), x[0])
        }),
    ];
    cases.push(case("gamma_p by its shape, then by its argument", vec![positive(&[3], 321)], |tape, x| {
        let shape = tape.parameter(1.7);
        let [by_shape] = tape.grad(special::gamma_p(shape, x[0]).sum(), [shape]).unwrap();
        by_shape
    }));
    cases.push(case("binomial_entropy by its probability, times an argument", vec![real(&[3], 344)], |tape, x| {
        let (trials, p, logit) = (tape.constant(5.0), tape.parameter(0.3), tape.parameter(-0.7));
        let entropy = special::binomial_entropy(trials, p) + special::binomial_entropy_by_logit(trials, logit);
        let [by_p, by_logit] = tape.grad(entropy, [p, logit]).unwrap();
        x[0] * (entropy + by_p + by_logit)
    }));
    cases.push(case("beta_inc by its shapes, then by its argument", vec![unit(&[3], 336)], |tape, x| {
        let [a, b] = [1.7, 0.6].map(|shape| tape.parameter(shape));
        let [by_a, by_b] = tape.grad(special::beta_inc(a, b, x[0]).sum(), [a, b]).unwrap();
        by_a - by_b * 0.3
    }));
    cases.push(case("von_mises_cdf by its concentration, then by its argument", vec![real(&[3], 337)], |tape, x| {
        let concentration = tape.parameter(1.7);
        let [by_concentration] = tape.grad(special::von_mises_cdf(x[0], concentration).sum(), [concentration]).unwrap();
        by_concentration
    }));
    cases.push(case(
        "logarithms of distribution functions by shapes, then by arguments",
        vec![unit(&[3], 421)],
        |tape, x| {
            let [a, b] = [1.7, 0.6].map(|shape| tape.parameter(shape));
            let beta = special::log_beta_inc(a, b, x[0], 1.0 - x[0]);
            let sum = beta + special::log_gamma_p(a, x[0]) + special::log_gamma_q(b, x[0]) * 0.7;
            let [by_a, by_b] = tape.grad(sum.sum(), [a, b]).unwrap();
            by_a - by_b * 0.3
        },
    ));
    cases.push(case("student_t_cdf by its degrees, then by its argument", vec![real(&[3], 422)], |tape, x| {
        let nu = tape.parameter(2.5);
        let sum = special::student_t_cdf(x[0], nu) + special::student_t_log_cdf(x[0], nu) * 0.3;
        let [by_nu] = tape.grad(sum.sum(), [nu]).unwrap();
        by_nu
    }));
    cases.push(case(
        "von_mises_log_cdf by its concentration, then by its argument",
        vec![real(&[3], 423)],
        |tape, x| {
            let concentration = tape.parameter(1.7);
            let value = special::von_mises_log_cdf(x[0], concentration);
            let [by_concentration] = tape.grad(value.sum(), [concentration]).unwrap();
            by_concentration
        },
    ));
    cases
}

#[test]
fn special_functions() {
    check(special_cases());
}

/// Compares the derivative with respect to the shape with central differences of the function itself.
#[test]
fn special_functions_by_their_shape() {
    type Function = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let functions: [(&str, Function, f64); 8] = [
        ("beta_inc by a", |a, x| special::beta_inc(a, x.tape().constant(0.6), x), 0.4),
        ("beta_inc by b", |b, x| special::beta_inc(x.tape().constant(0.6), b, x), 0.4),
        ("beta_inc_inverse by a", |a, p| special::beta_inc_inverse(a, p.tape().constant(0.6), p), 0.3),
        ("beta_inc_inverse by b", |b, p| special::beta_inc_inverse(p.tape().constant(0.6), b, p), 0.3),
        ("von_mises_cdf", |concentration, x| special::von_mises_cdf(x, concentration), -0.7),
        ("gamma_p", |a, x| special::gamma_p(a, x), 1.9),
        ("gamma_q", |a, x| special::gamma_q(a, x), 0.4),
        ("gamma_p_inverse", |a, p| special::gamma_p_inverse(a, p), 0.3),
    ];
    for (name, function, x) in functions {
        let tape = Tape::new();
        let (shape, x) = (tape.parameter(1.7), tape.constant(x));
        let [by_shape] = tape.backward(function(shape, x), [shape]).unwrap();
        let at = |shape: f64| function(tape.constant(shape), x).item().unwrap();
        let expected = (at(1.7 + 1e-5) - at(1.7 - 1e-5)) / 2e-5;
        assert!((by_shape.item().unwrap() - expected).abs() < 1e-8, "{name}");
        // The last derivative that is known: the second one of the incomplete gamma function.
        let [mut last] = tape.grad(function(shape, x), [shape]).unwrap();
        if name.starts_with("gamma") {
            [last] = tape.grad(last, [shape]).unwrap();
            let slope = |shape: f64| {
                let shape = tape.parameter(shape);
                tape.backward(function(shape, x), [shape]).unwrap()[0].item().unwrap()
            };
            let expected = (slope(1.7 + 1e-5) - slope(1.7 - 1e-5)) / 2e-5;
            assert!((last.item().unwrap() - expected).abs() < 1e-8, "{name}");
        }
        let next = tape.grad(last, [shape]).map(|[next]| next.peek());
        assert!(
            !matches!(next, Ok(Ok(_))),
            "{name}: expected an error for the next derivative with respect to the shape"
        );
    }
}
