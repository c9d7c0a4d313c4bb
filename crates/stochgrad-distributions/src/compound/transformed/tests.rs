use super::*;
use crate::compound::bijector::Bijector;
use crate::continuous::beta::Beta;
use crate::continuous::exponential::Exponential;
use crate::continuous::gamma::Gamma;
use crate::continuous::inverse_gamma::InverseGamma;
use crate::continuous::kumaraswamy::Kumaraswamy;
use crate::continuous::log_normal::LogNormal;
use crate::continuous::logistic::Logistic;
use crate::continuous::normal::Normal;
use crate::continuous::relaxed_bernoulli::RelaxedBernoulli;
use crate::continuous::weibull::Weibull;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{Build, DistributionCheck, Domain, assert_nothing_at, check_family};
use stochgrad_tape::{IdMap, PlateKind, Plates};

const LOG_NORMAL: Build = |p| Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Exp));
const LOGIT_NORMAL: Build = |p| Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Sigmoid));
const FALLING: Build = |p| {
    let map = Bijector::chain([Bijector::Softplus, Bijector::affine(p[2], -1.5)]);
    Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), map))
};

#[test]
fn everything_follows_the_distribution() {
    DistributionCheck::new(LOG_NORMAL, &[0.2, 0.4], Domain::HalfLine).assert_distribution(&[0.3, 1.1, 4.0], 241);
    DistributionCheck::new(LOGIT_NORMAL, &[0.2, 0.8], Domain::UnitInterval).assert_distribution(&[0.3, 0.6, 0.9], 251);
    assert_nothing_at(LOG_NORMAL, &[0.2, 0.4], -0.5);
    assert_nothing_at(LOGIT_NORMAL, &[0.2, 0.4], 1.5);
    let distribution = DistributionCheck::new(FALLING, &[0.2, 0.8, 0.7], Domain::Line(-12.0, 0.7));
    distribution.assert_score(&[-2.0, -0.5, 0.6]);
    distribution.assert_cdf(&[-2.0, -0.5, 0.6]);
    distribution.assert_path(261);
    distribution.assert_weak(0, 262);
    distribution.assert_weak(1, 263);
}

#[test]
fn a_support_that_depends_on_the_map_has_no_score() {
    let tape = Tape::<f64>::new();
    let (zero, shift) = (tape.parameter(0.0), tape.parameter(0.3));
    let moved = || Bijector::affine(shift, 2.0);
    // A uniform distribution on [0.3, 2.3] in disguise: its log-density jumps at the ends.
    let uniform = TransformedDistribution::new(Logistic::new(zero, 1.0), Bijector::chain([Bijector::Sigmoid, moved()]));
    assert_eq!(uniform.support(), Support::Interval);
    assert!(uniform.capabilities().score.is_none());
    let beta = TransformedDistribution::new(Beta::new(tape.parameter(2.0), 3.0), moved());
    assert!(beta.support().depends_on_parameters() && beta.capabilities().score.is_none());

    let normal = Normal::new(zero, 1.0);
    for (map, support) in [
        (moved(), Support::Real),
        (Bijector::Tanh, Support::Between(-1.0, 1.0)),
        (Bijector::chain([moved(), Bijector::Exp]), Support::Positive),
        (Bijector::chain([moved(), Bijector::Exp, Bijector::Power(shift)]), Support::Positive),
    ] {
        let distribution = TransformedDistribution::new(normal, map);
        assert_eq!(distribution.support(), support);
        assert!(distribution.capabilities().score.is_some());
    }
    let vector = Normal::new(tape.parameter([0.1, 0.2]), 1.0);
    let simplex = TransformedDistribution::new(vector, Bijector::chain([moved(), Bijector::SoftmaxCentred]));
    assert_eq!(simplex.support(), Support::Simplex(3));
    assert!(simplex.capabilities().score.is_some());
}

#[test]
fn vectors_are_mapped_to_a_simplex() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter([[0.1, 0.2], [0.3, -0.4], [1.0, 0.0]]), 1.0);
    for map in [Bijector::StickBreaking, Bijector::SoftmaxCentred] {
        let distribution = TransformedDistribution::new(normal, map);
        assert_eq!((distribution.event_shape().to_vec(), distribution.element_rank()), (vec![3, 3], 1));
        let noise = KeyedNoise::new(1, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let y = distribution.rsample(&draw).unwrap();
        assert!(y.sum_axis(-1).peek().unwrap().as_slice().iter().all(|sum| (sum - 1.0).abs() < 1e-14));
        let each = distribution.log_prob_each(y).peek().unwrap();
        let x = distribution.bijector().inverse(y);
        let expected = normal.log_prob_each(x).sum_last(1) - distribution.bijector().log_slope(x);
        assert_eq!(each.shape().to_vec(), [3]);
        for (each, expected) in each.as_slice().iter().zip(expected.peek().unwrap().as_slice()) {
            assert!((each - expected).abs() < 1e-12, "{each} and {expected}");
        }
        assert!(distribution.capabilities().cdf.is_none() && distribution.capabilities().weak_derivative.is_none());
        check_family(&tape, &distribution, y);
    }
}

#[test]
fn a_map_by_zero_is_an_error() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter(0.0), 1.0);
    let distribution = TransformedDistribution::new(normal, Bijector::affine(tape.constant(1.0), 0.0));
    assert!(distribution.validate().is_err());
}

/// A distribution in single precision.
type BuildF32 = for<'t> fn(&'t Tape<f32>, Var<'t, f32>) -> Box<dyn Reparameterized<'t, f32> + 't>;

const SATURATING: [(&str, BuildF32); 9] = [
    ("tanh of N(0, 3)", |_, t| Box::new(TransformedDistribution::new(Normal::new(t, 3.0), Bijector::Tanh))),
    ("tanh of N(0, 50)", |_, t| Box::new(TransformedDistribution::new(Normal::new(t, 50.0), Bijector::Tanh))),
    ("sigmoid of N(10, 10)", |_, t| {
        Box::new(TransformedDistribution::new(Normal::new(t + 10.0, 10.0), Bijector::Sigmoid))
    }),
    ("sigmoid of N(0, 200)", |_, t| Box::new(TransformedDistribution::new(Normal::new(t, 200.0), Bijector::Sigmoid))),
    ("exp of N(0, 100)", |_, t| Box::new(TransformedDistribution::new(Normal::new(t, 100.0), Bijector::Exp))),
    ("softplus of N(0, 200)", |_, t| Box::new(TransformedDistribution::new(Normal::new(t, 200.0), Bijector::Softplus))),
    ("a scaled action", |tape, t| {
        let map = Bijector::chain([Bijector::Tanh, Bijector::affine(tape.constant(0.7), 1.3)]);
        Box::new(TransformedDistribution::new(Normal::new(t, 9.0), map))
    }),
    ("softmax of N(0, 30)", |tape, t| {
        let location = t + tape.constant([0.1, -0.2, 0.3]);
        Box::new(TransformedDistribution::new(Normal::new(location, 30.0), Bijector::SoftmaxCentred))
    }),
    ("sticks of N(0, 30)", |tape, t| {
        let location = t + tape.constant([0.1, -0.2, 0.3]);
        Box::new(TransformedDistribution::new(Normal::new(location, 30.0), Bijector::StickBreaking))
    }),
];

/// The samples are inside the open support, and their log-probability is that of the base value, also with respect to
/// the parameters.
#[test]
fn samples_beyond_rounding_have_the_log_probability_of_their_base_value() {
    for (name, build) in SATURATING {
        let tape = Tape::<f32>::new();
        let plate = tape.plate("samples", 4000, PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(5, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let location = tape.parameter(0.0);
        let distribution = build(&tape, location);
        for path in [false, true] {
            let drawn = if path { distribution.rsample(&draw) } else { distribution.sample(&draw) };
            let x = tape.sample(tape.new_site(), drawn.unwrap(), &[]);
            let values = x.peek().unwrap();
            assert!(values.as_slice().iter().all(|&x| x.is_finite()), "{name}");
            let open = match distribution.support() {
                Support::UnitInterval => values.as_slice().iter().all(|&x| x > 0.0 && x < 1.0),
                Support::Between(..) => values.as_slice().iter().all(|&x| x > -1.0 && x < 1.0),
                Support::Positive | Support::Simplex(_) => values.as_slice().iter().all(|&x| x > 0.0),
                _ => true,
            };
            assert!(open, "{name}");
            let log = distribution.log_prob(x);
            assert!(log.peek().unwrap().as_slice().iter().all(|log| log.is_finite()), "{name}");
            let [first] = tape.grad(log.mean_over(plate), [location]).unwrap();
            let [second] = tape.grad(first, [location]).unwrap();
            assert!(first.item().unwrap().is_finite() && second.item().unwrap().is_finite(), "{name}");
        }
    }
}

type MakeMap = fn(&Tape<f64>) -> Bijector<Var<'_, f64>>;

/// The entropy of the image is E[ln p], whose derivatives with respect to the scale of a squashed normal distribution
/// are those of −ln σ − E[ln g'(x)]: no part of the path through the squashed value is lost.
#[test]
fn paths_through_own_samples_have_the_derivatives_of_the_base_value() {
    let maps: [(&str, MakeMap); 6] = [
        ("exp", |_| Bijector::Exp),
        ("sigmoid", |_| Bijector::Sigmoid),
        ("softplus", |_| Bijector::Softplus),
        ("tanh", |_| Bijector::Tanh),
        ("action", |tape| Bijector::chain([Bijector::Tanh, Bijector::affine(tape.constant(2.0), -3.0)])),
        ("power", |tape| Bijector::chain([Bijector::Exp, Bijector::Power(tape.constant(-1.5))])),
    ];
    for (name, map) in maps {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("samples", 50, PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(6, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let (location, scale) = (tape.parameter(0.3), tape.parameter(20.0));
        let normal = Normal::new(location, scale);
        let distribution = TransformedDistribution::new(normal, map(&tape));
        let y = tape.sample(tape.new_site(), distribution.rsample(&draw).unwrap(), &[]);
        let base = normal.rsample(&draw).unwrap();
        let expected = normal.log_prob(base) - distribution.bijector().log_slope(base);
        let derivatives = |log: Var<'_, f64>| {
            let log = log.mean_over(plate);
            let mut found = vec![log.item().unwrap()];
            let first = tape.grad(log, [location, scale]).unwrap();
            for first in first {
                found.push(first.item().unwrap());
                found.extend(tape.grad(first, [location, scale]).unwrap().map(|second| second.item().unwrap()));
            }
            found
        };
        let (found, expected) = (derivatives(distribution.log_prob(y)), derivatives(expected));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{name}: {found} and {expected}");
        }
    }
}

/// A value that has replaced the sample has the log-probability of its inverse, in a replay as well.
#[test]
fn a_replaced_sample_is_no_sample() {
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(7, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    let distribution = TransformedDistribution::new(Normal::new(tape.parameter(0.3), 2.0), Bijector::Tanh);
    let x = tape.sample(tape.new_site(), distribution.sample(&draw).unwrap(), &[]);
    let log = distribution.log_prob(x);
    let other = tape.constant(0.25);
    let mut map = IdMap::identity();
    map.insert(x.id(), other.id());
    for id in tape.cone(x.id(), log.id().index() + 1) {
        map.insert(id, tape.rerecord(tape.var(id).unwrap(), &map).id());
    }
    let replayed = tape.var(map.get(log.id())).unwrap();
    let (found, expected) = (replayed.item().unwrap(), distribution.log_prob(other).item().unwrap());
    assert!((found - expected).abs() < 1e-14, "{found} and {expected}");
}

/// The derivative with respect to the sample itself is that of the density at the value, if no path leads to the base
/// value.
#[test]
fn slopes_with_respect_to_a_sample_are_those_of_the_density() {
    for path in [false, true] {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(8, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let distribution = TransformedDistribution::new(Normal::new(tape.parameter(0.3), 1.0), Bijector::Tanh);
        let drawn = if path { distribution.rsample(&draw) } else { distribution.sample(&draw) };
        let x = tape.sample(tape.new_site(), drawn.unwrap(), &[]);
        let [slope] = tape.grad(distribution.log_prob(x), [x]).unwrap();
        let other = tape.parameter(x.peek().unwrap());
        let [expected] = tape.grad(distribution.log_prob(other), [other]).unwrap();
        let (slope, expected) = (slope.item().unwrap(), expected.item().unwrap());
        assert!((slope - expected).abs() < 1e-9 * expected.abs(), "{slope} and {expected}");
    }
}

/// Far out, the logit of a beta variate has the density of an exponential tail. Values of mpmath.
#[test]
fn logits_of_unit_intervals_keep_both_tails() {
    let check = |y: f64, expected: [f64; 2], tolerance: f64| {
        let tape = Tape::<f64>::new();
        let beta = Beta::new(tape.constant(2.0), 3.0);
        let distribution = TransformedDistribution::new(beta, Bijector::Sigmoid.inverted());
        let at = tape.parameter(y);
        let log = distribution.log_prob(at);
        let [slope] = tape.grad(log, [at]).unwrap();
        for (found, expected) in [log, slope].iter().zip(expected) {
            let found = found.item().unwrap();
            assert!((found - expected).abs() < tolerance * (1.0 + expected.abs()), "{y}: {found} and {expected}");
        }
    };
    for y in [40.0, 100.0, 700.0, 800.0, 1e5] {
        check(y, [12.0_f64.ln() - 3.0 * y, -3.0], 1e-14);
        check(-y, [12.0_f64.ln() - 2.0 * y, 2.0], 1e-14);
    }
    check(40.0, [-117.515_093_350_212, -3.0], 1e-14);
    let at = |y: f64| (2.0 * (1.0 / (1.0 + (-y).exp())).ln() + 3.0 * (1.0 / (1.0 + y.exp())).ln() + 12.0_f64.ln(), y);
    for y in [-3.0, -0.4, 0.0, 1.7] {
        let (log, _) = at(y);
        let sigmoid = 1.0 / (1.0 + (-y).exp());
        check(y, [log, 2.0 - 5.0 * sigmoid], 1e-13);
    }
}

/// Every distribution of the unit interval whose density depends on the distance from 1 knows the logit.
#[test]
fn logits_of_other_unit_intervals_have_exponential_tails() {
    let tape = Tape::<f64>::new();
    let logit = || Bijector::Sigmoid.inverted();
    let soft = RelaxedBernoulli::from_logits(0.7, tape.constant(0.3));
    let soft = TransformedDistribution::new(soft, logit());
    // ln x is −e^(−y), so that the density is ab (a e^(−y))^(b − 1) e^(−y) above, and ab e^(ay) below.
    let power = TransformedDistribution::new(Kumaraswamy::new(tape.constant(2.5), 3.0), logit());
    for y in [40.0, 300.0, 800.0] {
        for side in [-1.0, 1.0] {
            let at = tape.parameter(side * y);
            let expected = 0.7_f64.ln() - (0.7 * y - side * 0.3);
            let (log, [slope]) = (soft.log_prob(at), tape.grad(soft.log_prob(at), [at]).unwrap());
            assert!((log.item().unwrap() - expected).abs() < 1e-11, "{y}: {log:?}");
            assert!((slope.item().unwrap() + side * 0.7).abs() < 1e-11);
        }
        let (above, below) = (tape.parameter(y), tape.parameter(-y));
        let expected = 7.5_f64.ln() + 2.0 * (2.5_f64.ln() - y) - y;
        let (log, [slope]) = (power.log_prob(above), tape.grad(power.log_prob(above), [above]).unwrap());
        assert!((log.item().unwrap() - expected).abs() < 1e-11 * y, "{y}: {log:?} and {expected}");
        assert!((slope.item().unwrap() + 3.0).abs() < 1e-11, "{y}: {slope:?}");
        let (log, [slope]) = (power.log_prob(below), tape.grad(power.log_prob(below), [below]).unwrap());
        assert!((log.item().unwrap() - (7.5_f64.ln() - 2.5 * y)).abs() < 1e-11 * y, "{y}: {log:?}");
        assert!((slope.item().unwrap() - 2.5).abs() < 1e-11, "{y}: {slope:?}");
    }
}

fn log_at<'t>(distribution: &dyn Distribution<'t, f64>, y: Var<'t, f64>) -> f64 {
    distribution.log_prob(y).item().unwrap()
}

/// The logarithm of a positive variate has a density with the tails of the variate at 0 and infinity.
#[test]
fn logarithms_of_positive_values_keep_both_tails() {
    let tape = Tape::<f64>::new();
    let ln = || Bijector::Exp.inverted();
    let one = || tape.constant(1.0);
    for y in [700.0, 720.0, 800.0, 5000.0] {
        // Γ(3) is 2.
        let found = log_at(&TransformedDistribution::new(Gamma::new(tape.constant(3.0), 1.0), ln()), tape.constant(-y));
        assert!((found + 3.0 * y + 2.0_f64.ln()).abs() < 1e-11 * y, "{y}: {found}");
        let found =
            log_at(&TransformedDistribution::new(InverseGamma::new(tape.constant(3.0), one()), ln()), tape.constant(y));
        assert!((found + 3.0 * y + 2.0_f64.ln()).abs() < 1e-11 * y, "{y}: {found}");
        let found =
            log_at(&TransformedDistribution::new(Weibull::new(tape.constant(1.5), 1.0), ln()), tape.constant(-y));
        assert!((found - 1.5_f64.ln() + 1.5 * y).abs() < 1e-11 * y, "{y}: {found}");
        for side in [-1.0, 1.0] {
            let found =
                log_at(&TransformedDistribution::new(LogNormal::new(one(), 100.0), ln()), tape.constant(side * y));
            let expected = log_at(&Normal::new(one(), 100.0), tape.constant(side * y));
            assert!((found - expected).abs() < 1e-11 * y, "{y}: {found}");
        }
        let softplus = Bijector::Softplus.inverted();
        let found =
            log_at(&TransformedDistribution::new(Gamma::new(tape.constant(3.0), 1.0), softplus), tape.constant(-y));
        assert!((found + 3.0 * y + 2.0_f64.ln()).abs() < 1e-11 * y, "{y}: {found}");
    }
    let at = tape.parameter(-800.0);
    let gamma = TransformedDistribution::new(Gamma::new(tape.constant(3.0), 2.0), ln());
    let [slope] = tape.grad(gamma.log_prob(at), [at]).unwrap();
    assert!((slope.item().unwrap() - 3.0).abs() < 1e-13);
    for y in [-2.0, 0.3, 1.5] {
        let (y, gamma) = (tape.constant(y), Gamma::new(tape.constant(0.7), 2.0));
        let found = TransformedDistribution::new(gamma, ln()).log_prob(y).item().unwrap();
        assert!((found - (gamma.log_prob(y.exp()) + y).item().unwrap()).abs() < 1e-14);
    }
}

/// Both tails, and their logarithms.
fn ends<'t>(distribution: &dyn CumulativeDistribution<'t, f64>, x: Var<'t, f64>) -> [[f64; 2]; 2] {
    let tails = [distribution.cdf(x), distribution.survival(x)];
    let logs = [distribution.log_cdf(x), distribution.log_survival(x)];
    [tails, logs].map(|pair| pair.map(|tail| tail.item().unwrap()))
}

/// Both tails of the image are tails of the base distribution, which a falling map swaps.
#[test]
fn tails_are_those_of_the_base_distribution() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter(0.2), 0.8);
    let rising = TransformedDistribution::new(normal, Bijector::Exp);
    let falling = Bijector::chain([Bijector::Exp, Bijector::Power(tape.constant(-2.0))]);
    let falling = TransformedDistribution::new(normal, falling);
    for x in [-25.0, -8.0, 0.3, 7.0, 25.0] {
        let base = tape.constant(x);
        let of_base = [normal.cdf(base), normal.survival(base), normal.log_cdf(base), normal.log_survival(base)];
        let of_base = of_base.map(|tail| tail.item().unwrap());
        let y = tape.constant(f64::exp(x));
        let tails = [rising.cdf(y), rising.survival(y), rising.log_cdf(y), rising.log_survival(y)];
        let z = tape.constant(f64::exp(-2.0 * x));
        let swapped = [falling.survival(z), falling.cdf(z), falling.log_survival(z), falling.log_cdf(z)];
        for found in [tails, swapped] {
            for (found, expected) in found.iter().zip(of_base) {
                let found = found.item().unwrap();
                assert!((found - expected).abs() <= 1e-11 * expected.abs(), "{x}: {found} and {expected}");
            }
        }
    }
    for p in [1e-300, 1e-20, 0.3] {
        let probability = tape.constant(p);
        for quantile in [rising.inverse_survival(probability), falling.inverse_survival(probability)] {
            assert!(quantile.item().unwrap().is_finite());
        }
        let log = rising.log_survival(rising.inverse_survival(probability)).item().unwrap();
        assert!((log - p.ln()).abs() < 1e-11 * p.ln().abs(), "{p}: {log}");
        let log = falling.log_cdf(falling.icdf(probability)).item().unwrap();
        assert!((log - p.ln()).abs() < 1e-11 * p.ln().abs(), "{p}: {log}");
    }
    let (below, above) = ([[0.0, 1.0], [f64::NEG_INFINITY, 0.0]], [[1.0, 0.0], [0.0, f64::NEG_INFINITY]]);
    for distribution in [&rising as &dyn CumulativeDistribution<'_, f64>, &falling] {
        assert_eq!([f64::NEG_INFINITY, -1.0, 0.0].map(|x| ends(distribution, tape.constant(x))), [below; 3]);
        assert_eq!(ends(distribution, tape.constant(f64::INFINITY)), above);
        assert!(ends(distribution, tape.constant(f64::NAN)).iter().flatten().all(|tail| tail.is_nan()));
        assert_eq!(distribution.log_prob(tape.constant(f64::INFINITY)).item().unwrap(), f64::NEG_INFINITY);
        assert!(distribution.log_prob(tape.constant(f64::NAN)).item().unwrap().is_nan());
    }
}

#[test]
fn shares_of_zero_have_density_zero() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter([0.1, 0.2]), 1.0);
    let scaled = Bijector::affine(tape.constant(0.3), 2.0);
    for map in [Bijector::SoftmaxCentred, Bijector::StickBreaking, Bijector::chain([scaled, Bijector::SoftmaxCentred])]
    {
        let distribution = TransformedDistribution::new(normal, map);
        for shares in [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.3, 0.7, 0.0], [1.0, 0.0, 0.0], [1.2, -0.1, -0.1]] {
            let y = tape.parameter([shares, [0.2, 0.3, 0.5]]);
            let log = distribution.log_prob_each(y);
            assert_eq!(log.index(0, 0).item().unwrap(), f64::NEG_INFINITY);
            assert!(log.index(0, 1).item().unwrap().is_finite());
            let [slope] = tape.backward(log.index(0, 0), [y]).unwrap();
            assert!(slope.as_slice().iter().all(|&slope| slope == 0.0), "{shares:?}: {slope:?}");
        }
    }
}

/// The tails of a logit or a logarithm are exponential, also where the value inside has rounded to an end.
#[test]
fn tails_of_logits_and_logarithms_are_exponential() {
    /// ln P(Y ≤ −y) and ln P(Y > y) for y far out, given as a constant and a rate.
    fn check<'t>(
        distribution: &dyn CumulativeDistribution<'t, f64>,
        tape: &'t Tape<f64>,
        lower: [f64; 2],
        upper: [f64; 2],
    ) {
        for y in [45.0, 200.0, 800.0, 1e5] {
            let mirrored = [(-y, lower, -1.0), (y, upper, 1.0)];
            for (x, [constant, rate], sign) in mirrored {
                let at = tape.parameter(x);
                let (log, probability, of_opposite) = if sign < 0.0 {
                    (distribution.log_cdf(at), distribution.cdf(at), distribution.log_survival(at))
                } else {
                    (distribution.log_survival(at), distribution.survival(at), distribution.log_cdf(at))
                };
                let expected = constant - rate * y;
                let error = (log.item().unwrap() - expected).abs();
                assert!(error < 1e-13 * expected.abs(), "{x}: {log:?} and {expected}");
                let [slope] = tape.grad(log, [at]).unwrap();
                assert!((slope.item().unwrap() + sign * rate).abs() < 1e-12 * rate, "{x}: {slope:?}");
                let (found, of_opposite) = (probability.item().unwrap(), of_opposite.item().unwrap());
                assert!((found - expected.exp()).abs() <= 1e-10 * expected.exp(), "{x}: {found:e}");
                assert!((of_opposite + expected.exp()).abs() <= 1e-10 * expected.exp(), "{x}: {of_opposite:e}");
            }
        }
        let [below, above] = [f64::NEG_INFINITY, f64::INFINITY].map(|end| tape.constant(end));
        let all = |x| [distribution.cdf(x), distribution.survival(x)].map(|p| p.item().unwrap());
        assert_eq!([all(below), all(above)], [[0.0, 1.0], [1.0, 0.0]]);
    }
    let tape = Tape::<f64>::new();
    let logit = || Bijector::Sigmoid.inverted();
    let beta = TransformedDistribution::new(Beta::new(tape.constant(2.0), 3.0), logit());
    check(&beta, &tape, [6.0_f64.ln(), 2.0], [4.0_f64.ln(), 3.0]);
    let power = TransformedDistribution::new(Kumaraswamy::new(tape.constant(2.5), 3.0), logit());
    check(&power, &tape, [3.0_f64.ln(), 2.5], [3.0 * 2.5_f64.ln(), 3.0]);
    let soft = RelaxedBernoulli::from_logits(0.7, tape.constant(0.3));
    check(&TransformedDistribution::new(soft, logit()), &tape, [-0.3, 0.7], [0.3, 0.7]);
}

/// The logarithm of a value that has underflowed keeps its lower tail, and infinities have no density.
#[test]
fn logarithms_keep_the_lower_tail_and_infinities_have_no_density() {
    let tape = Tape::<f32>::new();
    let logarithm = |y: f32| {
        let gamma = TransformedDistribution::new(Gamma::new(tape.constant(2.5), 1.25), Bijector::Exp.inverted());
        [gamma.log_cdf(tape.constant(y)), gamma.log_prob(tape.constant(y))].map(|log| log.item().unwrap())
    };
    // The value of mpmath.
    assert!((logarithm(-200.0)[0] + 500.643_12).abs() < 1e-3);
    let power =
        TransformedDistribution::new(Exponential::new(tape.constant(0.625)), Bijector::Power(tape.constant(0.5)));
    let (small, [tail, density]) = (tape.parameter(1e-30), [-138.625_1, -68.854_41]);
    assert!((power.log_cdf(small).item().unwrap() - tail).abs() < 1e-4);
    let log = power.log_prob(small);
    let [slope] = tape.grad(log, [small]).unwrap();
    assert!((log.item().unwrap() - density).abs() < 1e-4 && (slope.item().unwrap() / 1e30 - 1.0).abs() < 1e-5);
    for end in [f32::NEG_INFINITY, f32::INFINITY] {
        assert_eq!(logarithm(end)[1], f32::NEG_INFINITY);
        let at = tape.parameter(end);
        for map in [Bijector::Exp, Bijector::Sigmoid, Bijector::Softplus, Bijector::Tanh] {
            let distribution = TransformedDistribution::new(Beta::new(tape.parameter(0.625), 0.625), map.inverted());
            let log = distribution.log_prob(at);
            assert_eq!(log.item(), Ok(f32::NEG_INFINITY));
            let [slope] = tape.grad(log, [distribution.base().alpha()]).unwrap();
            assert_eq!(slope.item(), Ok(0.0));
        }
    }
}

#[test]
fn powers_whose_logarithms_are_beyond_the_range_are_refused() {
    let tape = Tape::<f64>::new();
    let refusal = |exponent: f64| {
        let map = Bijector::Power(tape.constant(exponent));
        TransformedDistribution::new(Exponential::new(tape.constant(1.0)), map).validate().map_err(|e| e.to_string())
    };
    for exponent in [1e306, -1e306, 1e-306, -1e-306] {
        assert!(refusal(exponent).unwrap_err().contains("beyond the range"), "{exponent:e}");
    }
    for exponent in [1e304, -1e304, 1e-304, -1e-304] {
        assert_eq!(refusal(exponent), Ok(()), "{exponent:e}");
    }
}

#[test]
fn extreme_powers_have_no_slope_outside_and_logarithms_far_out_have_one() {
    let tape = Tape::<f64>::new();
    let (rate, exponent) = (tape.parameter(1.25), tape.parameter(1e10));
    let log =
        TransformedDistribution::new(Exponential::new(rate), Bijector::Power(exponent)).log_prob(tape.constant(-1.0));
    assert_eq!(log.item(), Ok(f64::NEG_INFINITY));
    for slope in tape.backward(log, [rate, exponent]).unwrap() {
        assert_eq!(slope.item(), Ok(0.0));
    }
    // Far below, the density of the logarithm y is that of an exponential, with the slope a.
    let (a, y) = (tape.parameter(1e10), tape.parameter(-1e10));
    let log = TransformedDistribution::new(Gamma::new(a, rate), Bijector::Exp.inverted()).log_prob(y);
    let slopes = tape.backward(log, [rate, y]).unwrap().map(|slope| slope.item().unwrap());
    assert!((slopes[0] / 8e9 - 1.0).abs() < 1e-12 && (slopes[1] / 1e10 - 1.0).abs() < 1e-12, "{slopes:?}");
}
