//! Sums of the powers $j^{-s}$ over consecutive numbers up to infinity: Riemann's zeta function and its derivatives, and
//! Hurwitz's.
//!
//! The first [`DIRECT`] terms are added one by one. The formula of Euler and Maclaurin adds the others: with $x$ the first
//! number that is left,
//!
//! $$\sum_{j \ge 0} (x + j)^{-s} = x^{-s} \Big(\frac{x}{s - 1} + \frac12 + C\big(\tfrac sx\big)\Big), \quad
//! C(r) = \sum_{m=1}^{10} \frac{B_{2m}}{(2m)!}\, r (r + h) \cdots (r + (2m - 2) h), \quad h = \frac1x.$$
//!
//! The error is below $2 \cdot 10^{-18}$ of the complete sum, for all $s$ and all first numbers from 1 on: where $s/x$ is
//! so large that the corrections $C$ are none, the terms before them are the whole sum. All parts are positive, so that
//! the sum has the relative error of its powers. It is composed of operations with derivatives of any order; those with
//! respect to $s$ are sums of positive terms as well.

use crate::distribution::above;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// The number of terms that are added one by one.
const DIRECT: usize = 8;

/// The factors of the corrections, $B_{2m} / (2m)!$ for m = 1, …, 10.
const CORRECTIONS: [f64; 10] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -691.0 / 1_307_674_368_000.0,
    1.0 / 74_724_249_600.0,
    -3617.0 / 10_670_622_842_880_000.0,
    43_867.0 / 5_109_094_217_170_944_000.0,
    -174_611.0 / 802_857_662_698_291_200_000.0,
];

/// The largest quotient s/x for which the corrections matter: beyond it, what they are multiplied with is below 1e-14 of
/// the sum, and falls faster than they grow. Their powers would overflow there.
const MOST: f64 = 4.0;

/// Σ (ln j)ⁿ j^−s over j = 2, 3, …, for s > 1: ζ(s) − 1 for n = 0, and else the absolute value of its n-th derivative.
pub(crate) fn sum_from_two<F: Real>(exponent: Var<'_, F>, order: usize) -> Var<'_, F> {
    let tape = exponent.tape();
    let numbers =
        |of: &dyn Fn(f64) -> f64| tape.constant(Tensor::from_fn([DIRECT], |at| F::from_f64(of(at as f64 + 2.0))));
    let powers = numbers(&|j| j).pow(-exponent.unsqueeze(-1));
    let direct = (powers * numbers(&|j| j.ln().powi(order as i32))).sum_axis(-1);
    let next = DIRECT as f64 + 2.0;
    let quotient = exponent * next.recip();
    let quotient = above(quotient, MOST).select(tape.constant(MOST), quotient);
    let excess = (exponent - 1.0).recip();
    // Leibniz's rule for the power and the factor behind it, both with alternating signs.
    let mut polynomial = corrections_as_polynomial(next.recip());
    let (mut term, mut choose) = (excess * next, 1.0);
    let mut rest = tape.constant(0.0);
    for i in 0..=order {
        let half = if i == 0 { 0.5 } else { 0.0 };
        let corrections = polynomial.iter().rev().fold(tape.constant(0.0), |sum, &factor| sum * quotient + factor);
        let factor = term + corrections * (-next.recip()).powi(i as i32) + half;
        rest = rest + factor * (choose * next.ln().powi((order - i) as i32));
        polynomial = polynomial.iter().enumerate().skip(1).map(|(power, factor)| factor * power as f64).collect();
        term = term * excess * (i as f64 + 1.0);
        choose *= (order - i) as f64 / (i as f64 + 1.0);
    }
    direct + tape.constant(next).pow(-exponent) * rest
}

/// The factors of the powers of r in C(r).
fn corrections_as_polynomial(h: f64) -> Vec<f64> {
    let mut product = vec![0.0, 1.0];
    let mut sum = vec![0.0; 2 * CORRECTIONS.len()];
    for (m, correction) in CORRECTIONS.iter().enumerate() {
        sum.iter_mut().zip(&product).for_each(|(sum, factor)| *sum += factor * correction);
        for shift in [2 * m + 1, 2 * m + 2] {
            product.push(0.0);
            for power in (0..product.len()).rev() {
                let lower = if power == 0 { 0.0 } else { product[power - 1] };
                product[power] = product[power] * shift as f64 * h + lower;
            }
        }
    }
    sum
}

/// The sum of (a + j)^−s over j = 0, 1, …, in units of a^(1 − s): finite for all s > 1 and a ≥ 1.
pub(crate) struct SumFrom<'t, F: Real> {
    exponent: Var<'t, F>,
    first: Var<'t, F>,
    /// The reciprocal h of the first number x that is not added directly, and x / a.
    next: [Var<'t, F>; 2],
    /// (a + j) / a for the terms that are added directly, but the first, along a last axis, and the powers of them.
    steps: Var<'t, F>,
    powers: Var<'t, F>,
    /// (x / a)^−s.
    last: Var<'t, F>,
}

impl<'t, F: Real> SumFrom<'t, F> {
    /// The sum that begins with the number `first`.
    pub(crate) fn new(exponent: Var<'t, F>, first: Var<'t, F>) -> Self {
        let tape = exponent.tape();
        let direct = DIRECT as f64;
        let offsets = tape.constant(Tensor::from_fn([DIRECT - 1], |at| F::from_usize(at + 1)));
        let offsets = offsets / first.unsqueeze(-1);
        let power = |offset: Var<'t, F>, exponent: Var<'t, F>| (-(exponent * offset.log1p())).exp();
        let last = direct / first;
        SumFrom {
            exponent,
            first,
            next: [(first + direct).recip(), last + 1.0],
            steps: offsets + 1.0,
            powers: power(offsets, exponent.unsqueeze(-1)),
            last: power(last, exponent),
        }
    }

    /// The corrections C for an exponent.
    fn corrections(&self, exponent: Var<'t, F>) -> Var<'t, F> {
        let (h, tape) = (self.next[0], exponent.tape());
        let r = exponent * h;
        let r = above(r, MOST).select(tape.constant(MOST), r);
        let inner = CORRECTIONS.iter().enumerate().rev().fold(tape.constant(0.0), |sum, (m, &correction)| {
            let shift = 2.0 * m as f64;
            sum * (r + h * (shift + 1.0)) * (r + h * (shift + 2.0)) + correction
        });
        r * inner
    }

    /// The sum in units of a^(1 − s).
    pub(crate) fn value(&self) -> Var<'t, F> {
        let [h, ratio] = self.next;
        let rest = (self.exponent - 1.0).recip() + (self.corrections(self.exponent) + 0.5) * h;
        (self.powers.sum_axis(-1) + 1.0) / self.first + self.last * ratio * rest
    }

    /// The absolute derivative of the sum with respect to ln a, in the same units.
    pub(crate) fn slope(&self) -> Var<'t, F> {
        let h = self.next[0];
        let rest = (self.corrections(self.exponent + 1.0) + 0.5) * h * self.exponent + 1.0;
        ((self.powers / self.steps).sum_axis(-1) + 1.0) * self.exponent / self.first + self.last * rest
    }
}

/// The sum of (a + j)^−s over j = 0, 1, … in units of a^(1 − s), where noise is not recorded.
pub(crate) fn sum_from(exponent: f64, first: f64) -> f64 {
    let direct: f64 = (0..DIRECT).map(|j| (-exponent * (j as f64 / first).ln_1p()).exp()).sum();
    let next = first + DIRECT as f64;
    let (h, r) = (next.recip(), (exponent / next).min(MOST));
    let corrections = CORRECTIONS.iter().enumerate().rev().fold(0.0, |sum, (m, correction)| {
        let shift = 2.0 * m as f64;
        sum * (r + h * (shift + 1.0)) * (r + h * (shift + 2.0)) + correction
    });
    let rest = (exponent - 1.0).recip() + (r * corrections + 0.5) * h;
    direct / first + (-exponent * (DIRECT as f64 / first).ln_1p()).exp() * (next / first) * rest
}
