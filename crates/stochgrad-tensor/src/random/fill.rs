//! Noise from a stream of random words.

use crate::parallel::{TRANSCENDENTAL, fill, threads_for};
use crate::random::chacha::{BLOCK, WIDE};
use crate::random::key::Key;
use crate::random::kind::{Fill, unfold};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::buffer::Aligned;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The number of elements that are computed from one batch of words.
const BATCH: usize = 256;

/// The largest number of elements of a small fill, which uses a shorter batch.
const FEW: usize = 32;

/// The number of uniform values in a row. The words of a block suffice for it in double precision.
pub const ROW: usize = 8;

impl Key {
    /// Fills `out` with uniform values from the open interval (0, 1): the elements `start`, `start + 1` … of the key.
    ///
    /// The values are never 0 or 1. Element i is (w + ½) 2⁻³² for `f32`, with word i of the stream as w, and
    /// (w + ½) 2⁻⁶⁴ for `f64`, with words 2i and 2i + 1; rounded down, so that values near 0 are finer than those near
    /// 1, and the share of the words whose value is below a floating-point value p is p to one word. The least value
    /// is 2⁻³³ or 2⁻⁶⁵, the greatest the one next to 1.
    pub fn uniform<F: Real>(&self, start: u64, out: &mut [F]) {
        self.converted(start, out, open_units);
    }

    /// Fills `out` with the mirror images 1 − u of the values of [`uniform`](Self::uniform). They are made of the same
    /// words, flipped, so that they are finer near 0 too.
    pub fn mirrored<F: Real>(&self, start: u64, out: &mut [F]) {
        self.converted(start, out, mirrored_units);
    }

    /// Fills `out` with noise of a kind: the elements `start`, `start + 1` … of the key.
    pub fn fill<F: Real>(&self, fill: Fill, start: u64, out: &mut [F]) {
        match fill {
            Fill::Normal => self.normal(start, out),
            Fill::Uniform => self.uniform(start, out),
            Fill::Mirrored => self.mirrored(start, out),
            Fill::Folded | Fill::Exponential | Fill::MirroredExponential | Fill::Logistic => {
                self.converted(start, out, |words, out| {
                    folded_units(words, out);
                    unfold(fill, out);
                });
            }
        }
    }

    fn converted<F: Real>(&self, start: u64, out: &mut [F], convert: impl Fn(&[u32], &mut [F])) {
        if out.len() <= FEW {
            let mut words = Aligned([0; FEW * 2]);
            self.converted_with(&mut words.0, start, out, convert);
        } else {
            let mut words = Aligned([0; BATCH * 2]);
            self.converted_with(&mut words.0, start, out, convert);
        }
    }

    /// Fills rows with uniform values from the open interval (0, 1), for single elements that need several of them. The
    /// row of element i is made of the first words of block i of the stream.
    pub fn rows<F: Real>(&self, elements: &[u64], rows: &mut [[F; ROW]]) {
        for (elements, rows) in elements.chunks(WIDE).zip(rows.chunks_mut(WIDE)) {
            let mut words = Aligned([0; WIDE * BLOCK]);
            if let [element] = elements {
                self.bits(element.wrapping_mul(BLOCK as u64), &mut words.0[..BLOCK]);
            } else {
                let numbers = std::array::from_fn(|lane| elements.get(lane).copied().unwrap_or(0));
                self.scattered(&numbers, &mut words.0);
            }
            for (row, words) in rows.iter_mut().zip(words.0.chunks_exact(BLOCK)) {
                for (x, words) in row.iter_mut().zip(words.chunks_exact(F::WORDS)) {
                    *x = F::open_unit(words, false);
                }
            }
        }
    }

    fn converted_with<F: Real>(
        &self,
        words: &mut [u32],
        start: u64,
        out: &mut [F],
        convert: impl Fn(&[u32], &mut [F]),
    ) {
        let (mut element, mut rest) = (start, out);
        while !rest.is_empty() {
            // A batch ends at the end of a block, so that the next batch starts with a whole block.
            let first = element.wrapping_mul(F::WORDS as u64);
            let skipped = (first % BLOCK as u64) as usize / F::WORDS;
            let (out, after) = rest.split_at_mut((words.len() / 2 - skipped).min(rest.len()));
            let words = &mut words[..out.len() * F::WORDS];
            self.bits(first, words);
            convert(words, out);
            element = element.wrapping_add(out.len() as u64);
            rest = after;
        }
    }

    /// Fills `out` with standard normal samples: the elements `start`, `start + 1` … of the key.
    ///
    /// Elements 2⌊i/2⌋ and 2⌊i/2⌋ + 1 are computed together by the Box–Muller method, from the uniform values of the
    /// same two positions.
    pub fn normal<F: Real>(&self, start: u64, out: &mut [F]) {
        let odd = (start % 2) as usize;
        let (head, out) = out.split_at_mut(odd.min(out.len()));
        if let [first] = head {
            let mut pair = [F::ZERO; 2];
            self.uniform(start - 1, &mut pair);
            box_muller(&mut pair);
            *first = pair[1];
        }
        let element = start.wrapping_add(odd as u64);
        let whole = out.len() / 2 * 2;
        let (pairs, rest) = out.split_at_mut(whole);
        self.uniform(element, pairs);
        box_muller(pairs);
        if let [last] = rest {
            let mut pair = [F::ZERO; 2];
            self.uniform(element.wrapping_add(whole as u64), &mut pair);
            box_muller(&mut pair);
            *last = pair[0];
        }
    }
}

dispatch! {
    fn open_units<F: Real>(words: &[u32], out: &mut [F]) = open_units_body;
}

#[inline(always)]
fn open_units_body<const FMA: bool, F: Real>(words: &[u32], out: &mut [F]) {
    for (out, words) in out.iter_mut().zip(words.chunks_exact(F::WORDS)) {
        *out = F::open_unit(words, false);
    }
}

dispatch! {
    fn mirrored_units<F: Real>(words: &[u32], out: &mut [F]) = mirrored_units_body;
}

#[inline(always)]
fn mirrored_units_body<const FMA: bool, F: Real>(words: &[u32], out: &mut [F]) {
    for (out, words) in out.iter_mut().zip(words.chunks_exact(F::WORDS)) {
        *out = F::open_unit(words, true);
    }
}

dispatch! {
    fn folded_units<F: Real>(words: &[u32], out: &mut [F]) = folded_units_body;
}

#[inline(always)]
fn folded_units_body<const FMA: bool, F: Real>(words: &[u32], out: &mut [F]) {
    for (out, words) in out.iter_mut().zip(words.chunks_exact(F::WORDS)) {
        *out = F::folded_unit(words);
    }
}

dispatch! {
    /// Replaces pairs of uniform values in (0, 1) by pairs of standard normal samples, by the Box–Muller method. An odd
    /// last element stays as it is.
    pub fn box_muller<F: Real>(pairs: &mut [F]) = box_muller_body;
}

#[inline(always)]
fn box_muller_body<const FMA: bool, F: Real>(pairs: &mut [F]) {
    // The two values of each pair are separated, so that the loop over pairs is vectorised.
    let mut apart = Aligned([[F::ZERO; FEW]; 2]);
    for pairs in pairs.chunks_mut(2 * FEW) {
        let count = pairs.len() / 2;
        let [radii, angles] = &mut apart.0;
        for (pair, (radius, angle)) in pairs.chunks_exact(2).zip(radii.iter_mut().zip(angles.iter_mut())) {
            *radius = pair[0];
            *angle = pair[1];
        }
        for (radius, angle) in radii[..count].iter_mut().zip(&mut angles[..count]) {
            let length = (F::from_f64(-2.0) * radius.ln_normal::<FMA>()).sqrt();
            let [cosine, sine] = angle.turn_fast::<FMA>();
            *radius = length * cosine;
            *angle = length * sine;
        }
        for (pair, (&first, &second)) in pairs.chunks_exact_mut(2).zip(radii.iter().zip(angles.iter())) {
            pair[0] = first;
            pair[1] = second;
        }
    }
}

/// A tensor of noise of a kind: the elements `start`, `start + 1` … of the key. See [`Key::fill`].
pub fn noise<F: Real>(pool: &Pool<F>, key: &Key, fill: Fill, start: u64, shape: Shape) -> Tensor<F> {
    filled(pool, shape, |at, out| key.fill(fill, start.wrapping_add(at), out))
}

/// Calls `work(start, piece)` on the pieces of `out`, on the threads of a pool if there are many elements and each of them
/// costs about as much as a random value. Pieces begin at multiples of `piece`, and the value that `work` writes to an
/// element must not depend on where they begin.
pub fn in_pieces<F: Real>(pool: &Pool<F>, out: &mut [F], piece: usize, work: impl Fn(usize, &mut [F]) + Sync) {
    fill(threads_for(pool.threads(), out.len(), TRANSCENDENTAL / 4), out, piece, work);
}

fn filled<F: Real>(pool: &Pool<F>, shape: Shape, work: impl Fn(u64, &mut [F]) + Sync) -> Tensor<F> {
    let mut out = pool.take(shape);
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL);
    fill(threads, out.make_mut(), BATCH * 32, |at, out| work(at as u64, out));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::address::address_hash;

    fn key() -> Key {
        Key::new(7, 3, address_hash("z", &[2]))
    }

    proptest! {
        #[test]
        fn an_element_depends_on_its_position_only(start in 0..500_usize, count in 0..300_usize) {
            let mut all = [vec![0.0_f64; 800], vec![0.0; 800]];
            key().uniform(0, &mut all[0]);
            key().normal(0, &mut all[1]);
            let mut part = [vec![0.0_f64; count], vec![0.0; count]];
            key().uniform(start as u64, &mut part[0]);
            key().normal(start as u64, &mut part[1]);
            for (all, part) in all.iter().zip(&part) {
                prop_assert_eq!(&all[start..start + count], &part[..]);
            }
            let mut narrow = (vec![0.0_f32; 800], vec![0.0_f32; count]);
            key().normal(0, &mut narrow.0);
            key().normal(start as u64, &mut narrow.1);
            prop_assert_eq!(&narrow.0[start..start + count], &narrow.1[..]);
        }
    }

    #[test]
    fn a_row_depends_on_its_element_only() {
        let elements: Vec<u64> = (0..37).map(|i| i * i * 1_000_003).collect();
        let mut rows = [[0.0_f64; ROW]; 37];
        key().rows(&elements, &mut rows);
        for (&element, row) in elements.iter().zip(&rows) {
            let (mut alone, mut filled) = ([[0.0_f64; ROW]], [0.0_f64; ROW]);
            key().rows(&[element], &mut alone);
            key().uniform(element * ROW as u64, &mut filled);
            assert_eq!((alone[0], filled), (*row, *row));
        }
    }

    #[test]
    fn uniforms_are_uniform() {
        const N: usize = 200_000;
        let mut x = vec![0.0_f64; N];
        key().uniform(1, &mut x);
        let mut counts = [0_u32; 100];
        for &x in &x {
            assert!(x > 0.0 && x < 1.0);
            counts[(x * 100.0) as usize] += 1;
        }
        let cell = N as f64 / 100.0;
        let chi_squared: f64 = counts.iter().map(|&n| (f64::from(n) - cell).powi(2) / cell).sum();
        // 99 degrees of freedom: mean 99, standard deviation 14.
        assert!((chi_squared - 99.0).abs() < 56.0, "{chi_squared}");
    }

    fn check_normals(x: &[f64]) {
        let n = x.len() as f64;
        let moment = |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| f(x)).sum::<f64>() / n;
        // (statistic, mean, variance) of a standard normal.
        type Statistic<'a> = (&'a dyn Fn(f64) -> f64, f64, f64);
        let cases: [Statistic<'_>; 6] = [
            (&|x| x, 0.0, 1.0),
            (&|x| x * x, 1.0, 2.0),
            (&|x| x.powi(3), 0.0, 15.0),
            (&|x| x.powi(4), 3.0, 96.0),
            (&|x| f64::from(x < -1.959_963_984_540_054), 0.025, 0.024_375),
            (&f64::cos, (-0.5_f64).exp(), 0.5 * (1.0 + (-2.0_f64).exp()) - (-1.0_f64).exp()),
        ];
        for (index, (f, mean, variance)) in cases.iter().enumerate() {
            let z = (moment(f) - mean) / (variance / n).sqrt();
            assert!(z.abs() < 4.0, "statistic {index}: z = {z}");
        }
        let lagged: f64 = x.windows(2).map(|pair| pair[0] * pair[1]).sum();
        assert!((lagged / n.sqrt()).abs() < 4.0);
        let squares: f64 = x.windows(2).map(|pair| (pair[0].powi(2) - 1.0) * (pair[1].powi(2) - 1.0)).sum();
        assert!((squares / (4.0 * n).sqrt()).abs() < 4.0);
    }

    #[test]
    fn normals_are_normal() {
        let mut wide = vec![0.0_f64; 400_000];
        key().normal(0, &mut wide);
        check_normals(&wide);
        let mut narrow = vec![0.0_f32; 400_000];
        key().derive("narrow").normal(0, &mut narrow);
        let narrow: Vec<f64> = narrow.iter().map(|&x| f64::from(x)).collect();
        check_normals(&narrow);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let shape = Shape::from([3, 33_333]);
        let (one, three) = (Pool::<f64>::new(), Pool::<f64>::with_threads(3));
        let key = key();
        for fill in [Fill::Normal, Fill::Uniform, Fill::Mirrored, Fill::Folded, Fill::Exponential, Fill::Logistic] {
            let drawn = [&one, &three].map(|pool| noise(pool, &key, fill, 11, shape.clone()));
            assert_eq!(drawn[0], drawn[1], "{fill:?}");
        }
    }
}
