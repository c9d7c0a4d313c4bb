use super::*;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{assert_close, capabilities, check_family, check_score, on_samples};
use stochgrad_tape::{PlateKind, Plates, Tape};

/// s, a and the sum of (a + j)^−s over all j in units of a^(1 − s), from mpmath at 60 digits.
const SUMS: [(f64, f64, f64); 13] = [
    (1.0625, 1.0, 16.581_747_646_655_02),
    (1.0625, 30.0, 16.016_765_034_795_037),
    (1.0625, 1e6, 16.000_000_500_000_088),
    (1.5, 2.0, 2.280_243_085_747_067),
    (1.5, 30.0, 2.016_805_533_065_127),
    (3.0, 1.0, 1.202_056_903_159_594_3),
    (3.0, 2.0, 0.808_227_612_638_377_1),
    (3.0, 1e6, 0.500_000_500_000_25),
    (17.0, 2.0, 0.500_511_384_397_398_8),
    (17.0, 30.0, 0.080_730_880_841_910_24),
    (60.0, 2.0, 0.500_000_000_013_598_6),
    (60.0, 30.0, 0.038_819_394_813_960_78),
    (60.0, 1e6, 0.016_949_652_547_372_88),
];

/// s, ζ(s) − 1, and the absolute values of its first two derivatives, from mpmath at 200 digits.
const ZETA: [(f64, [f64; 3]); 5] = [
    (1.0625, [15.581_747_646_655_022, 255.927_793_719_497_9, 8_191.990_185_781_466]),
    (1.5, [1.612_375_348_685_488_3, 3.932_239_737_431_101_5, 15.989_556_371_225_687]),
    (3.0, [0.202_056_903_159_594_3, 0.198_126_242_885_636_87, 0.239_746_917_305_387_2]),
    (17.0, [7.637_197_637_899_762e-6, 5.296_883_357_529_712e-6, 3.675_027_103_158_245e-6]),
    (60.0, [8.673_617_380_119_934e-19, 6.012_093_432_381_52e-19, 4.167_265_612_023_296e-19]),
];

#[test]
fn sums_have_known_values() {
    let tape = Tape::<f64>::new();
    for (s, first, expected) in SUMS {
        let exponent = tape.parameter(s);
        let recorded = SumFrom::new(exponent, tape.constant(first)).value().item().unwrap();
        for found in [recorded, sum_from(s, first)] {
            assert!((found / expected - 1.0).abs() < 2e-15, "{s}, {first}: {found:e}, expected {expected:e}");
        }
    }
    for (s, expected) in ZETA {
        let exponent = tape.parameter(s);
        let [value, first, second] = [0, 1, 2].map(|order| sum_from_two(exponent, order));
        // The derivative of each is the negative of the next one.
        let [slope, curvature] = [value, first].map(|sum| -tape.backward(sum, [exponent]).unwrap()[0].item().unwrap());
        let found = [value, first, second].map(|sum| sum.item().unwrap());
        for (found, expected) in found.iter().chain(&[slope, curvature]).zip(expected.iter().chain(&expected[1..])) {
            assert!((found / expected - 1.0).abs() < 4e-15, "{s}: {found:e}, expected {expected:e}");
        }
    }
}

#[test]
fn everything_follows_from_the_probabilities() {
    let tape = Tape::<f64>::new();
    let exponent = tape.parameter(9.0);
    let distribution = Zeta::new(exponent);
    distribution.validate().unwrap();
    let numbers: Vec<f64> = (1..400).map(f64::from).collect();
    let total: f64 = numbers.iter().rev().map(|k| k.powi(-9)).sum();
    let p: Vec<f64> = numbers.iter().map(|k| k.powi(-9) / total).collect();
    let at = |value: Var<'_, f64>| value.peek().unwrap().to_vec();
    assert_close(&at(distribution.log_prob_each(tape.constant(numbers.clone())).exp()), &p, 1e-14);
    let sums: Vec<f64> = p
        .iter()
        .scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        })
        .collect();
    for shift in [0.0, 0.4] {
        let places: Vec<f64> = numbers.iter().map(|k| k + shift).collect();
        assert_close(&at(distribution.cdf(tape.constant(places))), &sums, 1e-14);
    }
    assert_eq!(at(distribution.cdf(tape.constant([0.0, 0.9, -3.0]))), [0.0; 3]);
    let middles: Vec<f64> = (0..4).map(|k| sums[k] - 0.5 * p[k]).collect();
    assert_eq!(at(distribution.icdf(tape.constant(middles))), &numbers[..4]);
    let moment = |f: &dyn Fn(f64) -> f64| p.iter().zip(&numbers).map(|(p, &k)| p * f(k)).sum::<f64>();
    let mean = moment(&|k| k);
    assert_close(&at(distribution.mean().unwrap()), &[mean], 1e-13);
    assert_close(&at(distribution.variance().unwrap()), &[moment(&|k| (k - mean).powi(2))], 1e-13);
    assert_close(&at(distribution.entropy()), &[p.iter().map(|p| -p * p.ln()).sum()], 1e-13);
    check_family(&tape, &distribution, tape.constant(2.0));
    assert_eq!(capabilities(&distribution), [true, false, false, false, false, false, true]);
    check_score(&[1.1, 1.5], |s| Zeta::new(s).log_prob(s.tape().constant([3.0, 1e10])));
    check_score(&[1.4, 3.0, 12.0], |s| Zeta::new(s).entropy());
    check_score(&[2.4, 3.5, 12.0], |s| Zeta::new(s).mean().unwrap().sum());
    check_score(&[3.4, 4.5, 12.0], |s| Zeta::new(s).variance().unwrap().sum());
    check_score(&[1.1, 2.4, 12.0], |s| Zeta::new(s).log_survival(s.tape().constant([300.0, 5.0, 1.0])).sum());
}

#[test]
fn moments_are_infinite_without_derivatives_where_the_sums_are() {
    let tape = Tape::<f64>::new();
    for (s, mean, variance) in
        [(1.5, false, false), (2.0, false, false), (2.5, true, false), (3.0, true, false), (3.25, true, true)]
    {
        let exponent = tape.parameter(s);
        let distribution = Zeta::new(exponent);
        for (moment, finite) in [(distribution.mean(), mean), (distribution.variance(), variance)] {
            let moment = moment.unwrap();
            let slope = tape.backward(moment, [exponent]).unwrap()[0].item().unwrap();
            let value = moment.item().unwrap();
            assert!(
                value == f64::INFINITY && slope == 0.0 || finite && value.is_finite() && slope < 0.0,
                "{s}: {value}"
            );
            assert_eq!(value.is_finite(), finite, "{s}");
        }
        assert_eq!(distribution.mode().unwrap().item(), Ok(1.0));
    }
}

/// The quantiles of the values of both functions at a number are that number, where they tell numbers apart.
#[test]
fn quantiles_invert_both_functions() {
    let numbers = [1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 10.0, 63.0, 1000.0, 54_321.0, 1e6, 123_456_789.0, 1e11];
    for s in [1.0625, 1.25, 1.5, 2.0, 2.5, 4.0, 9.0, 20.0, 60.0, 300.0, 1e4] {
        let tape = Tape::<f64>::new();
        let distribution = Zeta::new(tape.constant(s));
        for k in numbers {
            let at = tape.constant(k);
            let survival = distribution.survival(at);
            // The smallest probabilities have lost digits.
            if survival.item().unwrap() > 1e-290 {
                let found = distribution.inverse_survival(survival).item().unwrap();
                assert_eq!(found, k, "survival function of {s} at {k}");
            }
            let cdf = distribution.cdf(at);
            if cdf.item().unwrap() < 1.0 && distribution.log_prob(at).item().unwrap().exp() > 1e-15 {
                assert_eq!(distribution.icdf(cdf).item().unwrap(), k, "distribution function of {s} at {k}");
            }
        }
        assert_eq!(distribution.icdf(tape.constant([0.0, 1e-3])).peek().unwrap().to_vec(), [1.0, 1.0]);
        assert_eq!(
            distribution.inverse_survival(tape.constant([1.0, 0.0])).peek().unwrap().to_vec(),
            [1.0, f64::INFINITY]
        );
        assert_eq!(distribution.icdf(tape.constant(1.0)).item(), Ok(f64::INFINITY));
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert!(distribution.icdf(tape.constant(wrong)).item().unwrap().is_nan());
            assert!(distribution.inverse_survival(tape.constant(wrong)).item().unwrap().is_nan());
        }
    }
}

/// The probability of more than the largest number is (M^(1 − s)) / ((s − 1) ζ(s)).
#[test]
fn quantiles_beyond_the_largest_number_are_infinite() {
    let tape = Tape::<f64>::new();
    let distribution = Zeta::new(tape.constant(1.0625));
    let beyond = distribution.survival(tape.constant(f64::MAX)).item().unwrap();
    assert!((beyond / 2.0_f64.powi(-64) - 16.0 / 16.581_747_646_655_02).abs() < 1e-9, "{beyond:e}");
    let quantiles =
        distribution.inverse_survival(tape.constant([beyond * 1.000_001, beyond * 0.999_999])).peek().unwrap();
    let [below, above] = [0, 1].map(|at| quantiles.as_slice()[at]);
    assert!(below > 0.9999 * f64::MAX && below < f64::MAX && above == f64::INFINITY, "{below:e}, {above:e}");
}

fn shares<F: Real>(exponents: &[f64], numbers: &[f64], count: usize, seed: u64) {
    for &s in exponents {
        let tape = Tape::<F>::new();
        let noise = KeyedNoise::new(seed, 0);
        let plate = tape.plate("samples", count, PlateKind::Samples, &[]);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let distribution = Zeta::new(tape.constant(Tensor::scalar(F::from_f64(s))));
        let sample = distribution.draw(&draw).unwrap();
        let values: Vec<f64> = sample.as_slice().iter().map(|x| x.to_f64()).collect();
        let possible = |x: f64| x >= 1.0 && x == x.floor() && x <= F::MAX.to_f64();
        assert!(values.iter().all(|&x| possible(x)), "{} at {s}", F::NAME);
        for &k in numbers {
            let above = values.iter().filter(|x| **x > k).count() as f64 / count as f64;
            let expected = (k + 1.0).powf(1.0 - s) * sum_from(s, k + 1.0) / sum_from(s, 1.0);
            let error = (expected * (1.0 - expected) / count as f64).sqrt();
            assert!(
                (above - expected).abs() <= 4.5 * error + 1.0 / count as f64,
                "{} at {s}: {above} above {k}, expected {expected} ± {error}",
                F::NAME
            );
        }
    }
}

/// Also beyond the numbers from which on only some integers are numbers of the type.
#[test]
fn samples_have_the_probabilities_of_both_precisions() {
    let numbers = [1.0, 2.0, 3.0, 5.0, 20.0, 1000.0, 1e8, 1e17, 1e30];
    shares::<f64>(&[1.0625, 1.25, 2.0, 3.5, 40.0], &numbers, 40_000, 5);
    shares::<f32>(&[1.25, 2.0, 3.5, 40.0], &numbers, 40_000, 6);
    shares::<f64>(&[1.0625], &[1e100, 1e200], 40_000, 7);
}

/// The exact oracle draws from the distribution function without a tape.
#[test]
fn quantiles_increase_with_the_noise_and_are_those_of_the_inversion() {
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(4, 0);
    let draw = on_samples(&tape, &noise, 2000);
    for s in [1.5, 2.5, 20.0] {
        let mirrored = draw.record_noise(&tape, Fill::Mirrored, &Shape::scalar()).unwrap();
        let sample = Zeta::new(tape.constant(s)).inverse_survival(mirrored).peek().unwrap();
        let uniform = draw.uniform(&Shape::scalar()).unwrap();
        let mut pairs: Vec<_> = uniform.to_vec().into_iter().zip(sample.to_vec()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{s}");
        let inverted = Zeta::new(tape.constant(s)).inverted(&draw).unwrap();
        for (u, (found, expected)) in uniform.to_vec().iter().zip(inverted.to_vec().into_iter().zip(sample.to_vec())) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{s} at {u}: {found}, expected {expected}");
        }
    }
}

/// A million samples of each exponent.
#[test]
#[ignore = "a long check of a minute"]
fn a_million_samples_have_the_probabilities() {
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.0, 20.0, 100.0, 1000.0, 1e5, 1e8, 1e12, 1e17, 1e30];
    shares::<f64>(&[1.0625, 1.125, 1.25, 1.5, 2.0, 2.5, 3.5, 6.0], &numbers, 1_000_000, 8);
    shares::<f32>(&[1.25, 1.5, 2.0, 2.5, 3.5, 6.0], &numbers, 1_000_000, 9);
}

#[test]
fn divergences_of_near_and_far_exponents_agree() {
    let tape = Tape::<f64>::new();
    let divergence = |own: f64, other: f64| {
        let wrt = [tape.parameter(own), tape.parameter(other)];
        let value = Zeta::new(wrt[0]).kl_to(&Zeta::new(wrt[1]));
        let slopes = tape.backward_all(value, &wrt).unwrap();
        [value.item().unwrap(), slopes[0].item().unwrap(), slopes[1].item().unwrap()]
    };
    for s in [1.1, 1.5, 3.0, 20.0] {
        assert_eq!(divergence(s, s), [0.0; 3]);
        // Where the formula changes.
        let other = s + (s - 1.0) / (s + 1.0);
        let [below, above] = [1.0 - 1e-9, 1.0 + 1e-9].map(|factor| divergence(s, other * factor));
        for (below, above) in below.iter().zip(above) {
            assert!((below / above - 1.0).abs() < 1e-7, "{s}: {below:e} and {above:e}");
        }
    }
    check_score(&[2.2, 3.0], |s| Zeta::new(s).kl_to(&Zeta::new(s.tape().constant([2.5, 9.0]))));
    // From mpmath at 40 digits.
    for (own, other, expected) in [
        (1.25, 3.0, 4.725_686_425_639_815),
        (2.0, 2.0001, 4.422_084_172_065_174e-9),
        (1.0625, 1.07, 0.006_666_223_815_673_268),
    ] {
        assert_close(&[divergence(own, other)[0] / expected], &[1.0], 2e-12);
    }
}

#[test]
fn exponents_whose_samples_overflow_are_errors() {
    let (double, single) = (Tape::<f64>::new(), Tape::<f32>::new());
    for (s, fits) in
        [(1.0625, true), (1.062, false), (1.0, false), (f64::NAN, false), (f64::INFINITY, false), (1e300, true)]
    {
        assert_eq!(Zeta::new(double.constant(s)).validate().is_ok(), fits, "{s}");
    }
    for (s, fits) in [(1.25, true), (1.249, false), (-2.0, false)] {
        assert_eq!(Zeta::new(single.constant(s)).validate().is_ok(), fits, "{s}");
    }
    let message = Zeta::new(single.constant(1.1)).validate().unwrap_err().to_string();
    assert!(message.contains("at least 5/4") && message.contains("Zipf"), "{message}");
}

#[test]
fn extremes_give_no_nan() {
    for s in [1.0625, 1e3, 1e10, 1e300] {
        let tape = Tape::<f64>::new();
        let exponent = tape.parameter(s);
        let distribution = Zeta::new(exponent);
        let numbers = tape.constant([1.0, 2.0, 30.0, 1e17, 1e300, f64::MAX]);
        let noise = KeyedNoise::new(3, 0);
        let sample = distribution.draw(&on_samples(&tape, &noise, 100)).unwrap();
        assert!(sample.all_finite(), "{s}");
        for value in [
            distribution.log_prob(numbers),
            distribution.cdf(numbers).sum(),
            distribution.survival(numbers).sum(),
            distribution.log_cdf(numbers).sum(),
            distribution.log_survival(numbers).sum(),
            distribution.entropy(),
            distribution.kl_to(&Zeta::new(tape.constant(2.0))),
            Zeta::new(tape.constant(2.0)).kl_to(&distribution),
        ] {
            assert!(!value.item().unwrap().is_nan(), "{s}: {value:?}");
            let slope = tape.backward(value, [exponent]).unwrap()[0].item().unwrap();
            assert!(!slope.is_nan(), "{s}: {value:?}");
        }
    }
}
