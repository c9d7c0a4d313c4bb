//! Derivatives of logarithms of gamma samples with respect to the concentration, vectorised.
//!
//! The method is that of [`gamma_log_sample_derivative`](crate::special::gamma_log_sample_derivative): a power series
//! for small arguments, otherwise quadrature of the smaller tail. The elements of a block are sorted by method, and each
//! method is a loop over its elements without branches. In single precision the quadrature has half as many nodes. The
//! value of an element does not depend on the others.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::elementary::Elementary;
use crate::kernels::zip::fill_rows;
use crate::parallel::threads_for;
use crate::real::Real;
use crate::simd::dispatch;
use crate::special::{LARGE_SHAPE, LEGENDRE, SMALL_ARGUMENT, digamma, digamma_minus_log};
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// More elements than this are split over threads.
const COSTLY: usize = 4000;

/// The number of elements that are sorted together.
const BLOCK: usize = 128;

/// The positive nodes of the 16-point Gauss-Legendre rule on [-1, 1], and their weights (Abramowitz & Stegun, table
/// 25.4).
const SHORT_LEGENDRE: [(f64, f64); 8] = [
    (0.0950125098376374, 0.1894506104550685),
    (0.2816035507792589, 0.1826034150449236),
    (0.4580167776572274, 0.1691565193950025),
    (0.6178762444026438, 0.1495959888165767),
    (0.755404408355003, 0.1246289712555339),
    (0.8656312023878318, 0.0951585116824928),
    (0.9445750230732326, 0.0622535239386479),
    (0.9894009349916499, 0.0271524594117541),
];

/// What the accuracy of the element type asks for.
struct Accuracy {
    nodes: &'static [(f64, f64)],
    /// The exponent at which an integrand is cut off.
    cutoff: f64,
    /// The relative size of the last term of a series.
    term: f64,
}

const DOUBLE: Accuracy = Accuracy { nodes: &LEGENDRE, cutoff: 40.0, term: 1e-17 };
const SINGLE: Accuracy = Accuracy { nodes: &SHORT_LEGENDRE, cutoff: 18.0, term: 1e-9 };

/// d ln z / d a of Gamma(a, rate 1) samples given by their logarithms, at constant values of the distribution function,
/// with broadcasting. Each is [`gamma_log_sample_derivative`](crate::special::gamma_log_sample_derivative); the relative
/// error in single precision is below 1e-6.
///
/// # Panics
/// If the shapes do not broadcast.
///
/// ```
/// use stochgrad_tensor::special::gamma_log_sample_derivative;
/// use stochgrad_tensor::{Pool, Tensor, gamma_log_sample_derivatives};
///
/// let logs = Tensor::from([-3.0, 0.2]);
/// let slopes = gamma_log_sample_derivatives(&Pool::new(), &Tensor::scalar(0.5), &logs);
/// assert!((slopes.as_slice()[1] - gamma_log_sample_derivative(0.5, 0.2)).abs() < 1e-13);
/// ```
pub fn gamma_log_sample_derivatives<F: Real>(pool: &Pool<F>, concentration: &Tensor<F>, logs: &Tensor<F>) -> Tensor<F> {
    let inputs = [concentration, logs];
    let shape = Shape::broadcast(concentration.shape(), logs.shape())
        .unwrap_or_else(|| panic!("shapes {} and {} do not broadcast", concentration.shape(), logs.shape()));
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let accuracy = if F::EPSILON.to_f64() > 1e-10 { &SINGLE } else { &DOUBLE };
    let iter = BroadcastIter::new(&out.shape().clone(), inputs.map(Tensor::shape));
    let steps = iter.steps;
    let [a, logs] = inputs.map(Tensor::as_slice);
    fill_rows(threads_for(pool.threads(), out.len(), COSTLY), &iter, out.make_mut(), |row, at| {
        let mut constants = Constants::of(f64::NAN);
        for (index, out) in row.chunks_mut(BLOCK).enumerate() {
            let first = index * BLOCK;
            let of = |i: usize| {
                let i = first + i;
                [a[at[0] + i * steps[0]].to_f64(), logs[at[1] + i * steps[1]].to_f64()]
            };
            block(accuracy, &mut constants, of, out);
        }
    });
    out
}

/// What depends on the concentration only.
#[derive(Clone, Copy)]
struct Constants {
    a: f64,
    log: f64,
    /// digamma(1 + a)
    above: f64,
    /// digamma(a), or from 10 on digamma(a) − ln a.
    own: f64,
}

impl Constants {
    fn of(a: f64) -> Self {
        let own = if a < 10.0 { digamma(a) } else { digamma_minus_log(a) };
        Constants { a, log: a.ln(), above: digamma(1.0 + a), own }
    }
}

/// Elements of one method: a, ln z, z, and what the method needs of the concentration.
struct Group {
    count: usize,
    place: [usize; BLOCK],
    a: [f64; BLOCK],
    log: [f64; BLOCK],
    z: [f64; BLOCK],
    own: [f64; BLOCK],
    log_a: [f64; BLOCK],
    result: [f64; BLOCK],
}

impl Group {
    fn new() -> Self {
        let zeros = [0.0; BLOCK];
        Group { count: 0, place: [0; BLOCK], a: zeros, log: zeros, z: zeros, own: zeros, log_a: zeros, result: zeros }
    }

    fn push(&mut self, place: usize, [a, log, z]: [f64; 3], own: f64, log_a: f64) {
        let at = self.count;
        self.place[at] = place;
        self.a[at] = a;
        self.log[at] = log;
        self.z[at] = z;
        self.own[at] = own;
        self.log_a[at] = log_a;
        self.count += 1;
    }

    fn write<F: Real>(&self, out: &mut [F]) {
        for (&place, &result) in self.place[..self.count].iter().zip(&self.result) {
            out[place] = F::from_f64(result);
        }
    }
}

fn block<F: Real>(accuracy: &Accuracy, constants: &mut Constants, of: impl Fn(usize) -> [f64; 2], out: &mut [F]) {
    let (mut z, mut groups) = ([0.0; BLOCK], [Group::new(), Group::new(), Group::new()]);
    let z = &mut z[..out.len()];
    z.iter_mut().enumerate().for_each(|(i, z)| *z = of(i)[1]);
    exponentials(z);
    let [series, upper, lower] = &mut groups;
    for (i, out) in out.iter_mut().enumerate() {
        let [a, log] = of(i);
        let z = z[i];
        if !(a > 0.0 && a < f64::INFINITY) || log.is_nan() {
            *out = F::NAN;
        } else if z == f64::INFINITY {
            *out = F::ZERO;
        } else {
            if a != constants.a {
                *constants = Constants::of(a);
            }
            if z > a.max(SMALL_ARGUMENT) {
                upper.push(i, [a, log, z], constants.own, constants.log);
            } else if a >= LARGE_SHAPE {
                lower.push(i, [a, log, z], constants.own, constants.log);
            } else {
                series.push(i, [a, log, z], constants.above, constants.log);
            }
        }
    }
    by_series(accuracy, series);
    by_quadrature(accuracy, upper, 1.0);
    by_quadrature(accuracy, lower, -1.0);
    groups.iter().for_each(|group| group.write(out));
}

dispatch! {
    fn exponentials<>(x: &mut [f64]) = exponentials_body;
}

#[inline(always)]
fn exponentials_body<const FMA: bool>(x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x = if *x < f64::INFINITY { x.exp_fast::<FMA>() } else { *x });
}

dispatch! {
    /// The power series of the lower part: ((digamma(1 + a) − ln z) S + S') / a.
    fn by_series<>(accuracy: &Accuracy, group: &mut Group) = series_body;
}

#[inline(always)]
fn series_body<const FMA: bool>(accuracy: &Accuracy, group: &mut Group) {
    let count = group.count.min(BLOCK);
    let (mut term, mut harmonic) = ([1.0; BLOCK], [0.0; BLOCK]);
    let (mut sum, mut derivative) = ([1.0; BLOCK], [0.0; BLOCK]);
    for n in 1..1000 {
        let n = f64::from(n);
        let mut open = 0_u64;
        for i in 0..count {
            let inverse = 1.0 / (group.a[i] + n);
            let next = term[i] * group.z[i] * inverse;
            harmonic[i] += inverse;
            sum[i] += next;
            derivative[i] = next.multiply_add::<FMA>(harmonic[i], derivative[i]);
            let small = next * (1.0 + harmonic[i]) <= accuracy.term * derivative[i];
            // All later terms of a finished element are 0, so that it does not depend on the others.
            term[i] = if small { 0.0 } else { next };
            open |= u64::from(!small);
        }
        if open == 0 {
            break;
        }
    }
    for i in 0..count {
        group.result[i] = (group.own[i] - group.log[i]).multiply_add::<FMA>(sum[i], derivative[i]) / group.a[i];
    }
}

dispatch! {
    /// Quadrature of the tail on the side of the given sign, after z = t e^s.
    fn by_quadrature<>(accuracy: &Accuracy, group: &mut Group, sign: f64) = quadrature_body;
}

/// 1 / k for k from 13 to 3.
const INVERSES: [f64; 11] = [
    1.0 / 13.0,
    1.0 / 12.0,
    1.0 / 11.0,
    1.0 / 10.0,
    1.0 / 9.0,
    1.0 / 8.0,
    1.0 / 7.0,
    1.0 / 6.0,
    1.0 / 5.0,
    1.0 / 4.0,
    1.0 / 3.0,
];

/// e^u − 1 − u, with a small relative error near 0.
#[inline(always)]
fn exp_minus_linear<const FMA: bool>(u: f64, exp_m1: f64) -> f64 {
    let series = INVERSES.iter().fold(1.0, |series, &inverse| (series * u).multiply_add::<FMA>(inverse, 1.0));
    if u.abs() > 0.2 { exp_m1 - u } else { 0.5 * u * u * series }
}

#[inline(always)]
fn quadrature_body<const FMA: bool>(accuracy: &Accuracy, group: &mut Group, sign: f64) {
    let count = group.count.min(BLOCK);
    let (mut half, mut slope) = ([0.0; BLOCK], [0.0; BLOCK]);
    let (mut mass, mut moment) = ([0.0; BLOCK], [0.0; BLOCK]);
    let cutoff = accuracy.cutoff;
    for i in 0..count {
        let z = group.z[i];
        let rise = sign * (z - group.a[i]);
        // On a convex function, Newton's method approaches the root from the right after its first step.
        let mut end = 2.0 * cutoff / (rise + rise.multiply_add::<FMA>(rise, 2.0 * cutoff * z).sqrt());
        for _ in 0..4 {
            let grown = (sign * end).exp_m1_fast::<FMA>();
            let value = rise * end + z * exp_minus_linear::<FMA>(sign * end, grown);
            end -= (value - cutoff) / (rise + z * sign * grown);
        }
        half[i] = 0.5 * end;
        slope[i] = rise;
    }
    for &(node, weight) in accuracy.nodes {
        for i in 0..count {
            // No closure: one that is not inlined would lack the vector instructions of the loop.
            for s in [half[i] * (1.0 - node), half[i] * (1.0 + node)] {
                let grown = (sign * s).exp_m1_fast::<FMA>();
                let exponent = slope[i] * s + group.z[i] * exp_minus_linear::<FMA>(sign * s, grown);
                let value = weight * (-exponent).exp_fast::<FMA>();
                mass[i] += value;
                moment[i] = s.multiply_add::<FMA>(value, moment[i]);
            }
        }
    }
    for i in 0..count {
        let (a, z) = (group.a[i], group.z[i]);
        let ratio = (z - a) / a;
        let near = ratio.abs() < 0.5;
        let held = if near { ratio } else { 0.0 };
        let far = group.log[i] - group.log_a[i];
        let log_ratio = if near { held.ln_1p_fast::<FMA>() } else { far };
        let gap = group.own[i] - if a < 10.0 { group.log[i] } else { log_ratio };
        group.result[i] = half[i] * (moment[i] - sign * gap * mass[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::gamma_log_sample_derivative;

    const CONCENTRATIONS: [f64; 13] = [1e-6, 1e-3, 0.05, 0.5, 1.0, 1.6, 2.5, 9.99, 10.0, 29.9, 30.0, 500.0, 1e6];

    fn cases() -> Vec<[f64; 2]> {
        let around = |a: f64| {
            let near = [-6.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 6.0, 12.0].map(|k| a + k * a.sqrt());
            let logs = near.into_iter().filter(|&z| z > 0.0).map(f64::ln);
            logs.chain([-2000.0, -30.0, -3.0, 0.3]).map(move |log| [a, log]).collect::<Vec<_>>()
        };
        CONCENTRATIONS.into_iter().flat_map(around).collect()
    }

    fn check<F: Real>(tolerance: f64) {
        let cases = cases();
        let column = |k: usize| Tensor::<F>::from_fn([cases.len()], |i| F::from_f64(cases[i][k]));
        let (a, logs) = (column(0), column(1));
        let found = gamma_log_sample_derivatives(&Pool::new(), &a, &logs);
        let mut worst = 0.0_f64;
        for ((&a, &log), &found) in a.as_slice().iter().zip(logs.as_slice()).zip(found.as_slice()) {
            let exact = gamma_log_sample_derivative(a.to_f64(), log.to_f64());
            let error = (found.to_f64() - exact).abs() / exact;
            assert!(error < tolerance, "a = {a}, ln z = {log}: {found} where {exact} is exact");
            worst = worst.max(error);
            let alone = gamma_log_sample_derivatives(&Pool::new(), &Tensor::scalar(a), &Tensor::scalar(log));
            assert_eq!(alone.as_slice()[0], found, "the other elements changed a = {a}, ln z = {log}");
        }
        println!("worst relative error {worst:.1e}");
    }

    #[test]
    fn values_are_those_of_the_scalar_function() {
        check::<f64>(1e-12);
        check::<f32>(1e-6);
    }

    #[test]
    fn operands_broadcast_and_edges_are_limits() {
        let a = Tensor::<f64>::from([[0.5], [2.0], [-1.0], [f64::NAN]]);
        let logs = Tensor::from([-1.0, f64::INFINITY, f64::NAN]);
        let found = gamma_log_sample_derivatives(&Pool::with_threads(2), &a, &logs);
        assert_eq!(found.shape().to_vec(), [4, 3]);
        assert!((found.as_slice()[3] - gamma_log_sample_derivative(2.0, -1.0)).abs() < 1e-13);
        assert_eq!((found.as_slice()[1], found.as_slice()[4]), (0.0, 0.0));
        assert!(found.as_slice()[5].is_nan() && found.as_slice()[6..].iter().all(|x| x.is_nan()));
    }
}
