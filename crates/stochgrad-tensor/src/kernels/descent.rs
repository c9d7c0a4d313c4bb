//! Kernels of optimisers, which make one pass over parameters, gradients and moments.

use crate::parallel::{ARITHMETIC, threads_for};
use crate::real::Real;
use crate::simd::dispatch;

/// The coefficients of one step of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep<F> {
    /// The decay rates of the two moments.
    pub betas: [F; 2],
    /// One minus each decay rate.
    pub rests: [F; 2],
    /// The learning rate divided by the bias correction of the first moment.
    pub rate: F,
    /// One divided by the square root of the bias correction of the second moment.
    pub root: F,
    /// The constant that is added to the denominator.
    pub epsilon: F,
    /// The factor of a parameter after decoupled weight decay.
    pub kept: F,
    /// The factor of a parameter in its gradient: an L2 penalty. At 0, parameters do not enter their gradients.
    pub penalty: F,
}

/// One step of Adam: for each element the gradient is $g$ = `gradient + penalty · parameter`, $m \leftarrow \beta_1 m +
/// (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$, and the parameter becomes
/// `kept · parameter − rate · m / (root · √v + ε)`. In a pool of rayon, long
/// slices are split over its threads; the result does not depend on the number of threads.
///
/// # Panics
/// If the lengths differ.
pub fn adam<F: Real>(step: AdamStep<F>, gradient: &[F], moments: [&mut [F]; 2], values: &mut [F]) {
    let [first, second] = moments;
    let len = values.len();
    assert!(
        [gradient.len(), first.len(), second.len()] == [len; 3],
        "expected gradient, moments and values of equal length"
    );
    let threads = if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
    split(threads_for(threads, len, ARITHMETIC), step, gradient, [first, second], values);
}

fn split<F: Real>(threads: usize, step: AdamStep<F>, gradient: &[F], [first, second]: [&mut [F]; 2], values: &mut [F]) {
    if threads <= 1 {
        return adam_slice(step, gradient, first, second, values);
    }
    let near = threads / 2;
    let at = values.len() * near / threads;
    let (gradient_near, gradient_far) = gradient.split_at(at);
    let ((first_near, first_far), (second_near, second_far)) = (first.split_at_mut(at), second.split_at_mut(at));
    let (values_near, values_far) = values.split_at_mut(at);
    rayon::join(
        || split(near, step, gradient_near, [first_near, second_near], values_near),
        || split(threads - near, step, gradient_far, [first_far, second_far], values_far),
    );
}

dispatch! {
    fn adam_slice<F: Real>(
        step: AdamStep<F>,
        gradient: &[F],
        first: &mut [F],
        second: &mut [F],
        values: &mut [F],
    ) = adam_body;
}

#[inline(always)]
fn adam_body<const FMA: bool, F: Real>(
    step: AdamStep<F>,
    gradient: &[F],
    first: &mut [F],
    second: &mut [F],
    values: &mut [F],
) {
    // Without a penalty, a parameter that is 0 or infinite must not change its gradient.
    if step.penalty == F::ZERO {
        adam_loop(step, |g, _| g, gradient, first, second, values);
    } else {
        adam_loop(step, |g, value| g + step.penalty * value, gradient, first, second, values);
    }
}

#[inline(always)]
fn adam_loop<F: Real>(
    step: AdamStep<F>,
    penalized: impl Fn(F, F) -> F,
    gradient: &[F],
    first: &mut [F],
    second: &mut [F],
    values: &mut [F],
) {
    let AdamStep { betas: [beta1, beta2], rests: [rest1, rest2], rate, root, epsilon, kept, .. } = step;
    let moments = first.iter_mut().zip(second.iter_mut());
    for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
        let g = penalized(g, *value);
        *m = beta1 * *m + rest1 * g;
        *v = beta2 * *v + rest2 * g * g;
        *value = kept * *value - rate * *m / (v.sqrt() * root + epsilon);
    }
}

/// Whether all values and all their squares are finite. In a pool of rayon, long slices are split over its threads.
pub fn squares_are_finite<F: Real>(x: &[F]) -> bool {
    let threads = if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
    finite_in_parts(threads_for(threads, x.len(), ARITHMETIC), x)
}

fn finite_in_parts<F: Real>(threads: usize, x: &[F]) -> bool {
    if threads <= 1 {
        return squares_slice(x);
    }
    let near = threads / 2;
    let (first, second) = x.split_at(x.len() * near / threads);
    let (first, second) = rayon::join(|| finite_in_parts(near, first), || finite_in_parts(threads - near, second));
    first && second
}

dispatch! {
    fn squares_slice<F: Real>(x: &[F]) -> bool = squares_body;
}

#[inline(always)]
fn squares_body<const FMA: bool, F: Real>(x: &[F]) -> bool {
    let (lanes, rest) = x.as_chunks::<16>();
    let mut seen = [F::ZERO; 16];
    for lane in lanes {
        for (seen, &x) in seen.iter_mut().zip(lane) {
            // 0 for a finite value, NaN for any other.
            *seen += x * x * F::ZERO;
        }
    }
    seen.iter().chain(rest).all(|&x| (x * x).is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_that_overflow_are_found_at_every_position() {
        for len in [1_usize, 15, 16, 33, 100] {
            let mut x = vec![1e18_f32; len];
            assert!(squares_are_finite(&x));
            for at in 0..len {
                for bad in [1e20, f32::NAN, f32::INFINITY] {
                    let before = std::mem::replace(&mut x[at], bad);
                    assert!(!squares_are_finite(&x), "{bad} at {at} of {len}");
                    assert!(!finite_in_parts(3, &x), "{bad} at {at} of {len}");
                    x[at] = before;
                }
            }
        }
    }

    #[test]
    fn a_step_is_the_same_on_any_number_of_threads() {
        let values_of = |seed: f32| -> Vec<f32> { (0..200_001).map(|i| (i as f32 * seed).sin()).collect() };
        let step = AdamStep {
            betas: [0.9, 0.99],
            rests: [0.1, 0.01],
            rate: 0.01,
            root: 1.3,
            epsilon: 1e-8,
            kept: 0.999,
            penalty: 0.2,
        };
        let run = |threads: usize| {
            let (mut m, mut v, mut values) = (values_of(0.1), values_of(0.2), values_of(0.3));
            v.iter_mut().for_each(|v| *v = v.abs());
            split(threads, step, &values_of(0.4), [&mut m, &mut v], &mut values);
            (m, v, values)
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
        let [m, v, g, old] = [0.1_f32, 0.2, 0.4, 0.3].map(|seed| (7.0 * seed).sin());
        let g = g + 0.2 * old;
        let (m, v) = (0.9 * m + 0.1 * g, 0.99 * v.abs() + 0.01 * g * g);
        assert!((one.2[7] - (0.999 * old - 0.01 * m / (v.sqrt() * 1.3 + 1e-8))).abs() < 1e-6);
    }
}
