//! Counter-based random numbers: element `i` of a fill depends on the key and on `i`, on nothing else.
//!
//! A [`Key`] is a ChaCha8 key. Its stream is that of [`rand_chacha::ChaCha8Rng`], word for word, with random access.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::parallel::{TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::{Level, dispatch, level};
use crate::storage::buffer::Aligned;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod sampling_scheme;
pub mod sobol;
mod sobol_directions;

/// Words in a ChaCha block.
const BLOCK: usize = 16;

/// Blocks that are computed side by side.
const WIDE: usize = 16;

/// Elements that are made from one batch of words.
const BATCH: usize = 256;

/// Elements of a small fill.
const FEW: usize = 32;

/// The key of a stream of random numbers: 256 bits for ChaCha8.
///
/// ```
/// use stochgrad_tensor::random::{Key, address_hash};
///
/// let key = Key::new(7, 0, address_hash("z", &[]));
/// let mut all = [0.0_f64; 10];
/// key.normal(0, &mut all);
/// let mut tail = [0.0_f64; 4];
/// key.normal(6, &mut tail);
/// assert_eq!(tail, all[6..]);
/// assert_ne!(key, key.derive("baseline"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key([u32; 8]);

impl Key {
    /// The key of a seed, a step and an address (see [`address_hash`]). Different arguments give different keys.
    pub fn new(seed: u64, step: u64, address: u128) -> Self {
        let word = |value: u128, index: u32| (value >> (32 * index)) as u32;
        let (seed, step) = (u128::from(seed), u128::from(step));
        Self([
            word(seed, 0),
            word(seed, 1),
            word(step, 0),
            word(step, 1),
            word(address, 0),
            word(address, 1),
            word(address, 2),
            word(address, 3),
        ])
    }

    /// A key for another purpose at the same address: seed and step stay, the address becomes the FNV-1a hash (128
    /// bits) of the old address and the purpose. The same on all platforms.
    pub fn derive(&self, purpose: &str) -> Self {
        let mut hash = FNV_OFFSET;
        for word in &self.0[4..] {
            hash = fnv(hash, &word.to_le_bytes());
        }
        hash = fnv(hash, purpose.as_bytes());
        let mut key = *self;
        for (index, word) in key.0[4..].iter_mut().enumerate() {
            *word = (hash >> (32 * index)) as u32;
        }
        key
    }

    /// Fills `out` with words of the ChaCha8 stream, from word `start`.
    pub fn bits(&self, start: u64, out: &mut [u32]) {
        let mut block = start / BLOCK as u64;
        let skip = (start % BLOCK as u64) as usize;
        let mut out = out;
        if skip > 0 {
            let count = (BLOCK - skip).min(out.len());
            let (head, tail) = out.split_at_mut(count);
            let mut words = [0; BLOCK];
            chacha(self, block, &mut words);
            head.copy_from_slice(&words[skip..skip + count]);
            out = tail;
            block = block.wrapping_add(1);
        }
        chacha(self, block, out);
    }

    /// Fills `out` with uniforms from the open interval (0, 1), elements `start`, `start + 1` …
    ///
    /// Never 0 or 1: an f32 is (b + ½) 2⁻²³ with 23 random bits b, from word i of the stream; an f64 is (b + ½) 2⁻⁵²
    /// with 52 bits, from words 2i and 2i + 1.
    pub fn uniform<F: Real>(&self, start: u64, out: &mut [F]) {
        if out.len() <= FEW {
            let mut words = Aligned([0; FEW * 2]);
            self.uniform_with(&mut words.0, start, out);
        } else {
            let mut words = Aligned([0; BATCH * 2]);
            self.uniform_with(&mut words.0, start, out);
        }
    }

    fn uniform_with<F: Real>(&self, words: &mut [u32], start: u64, out: &mut [F]) {
        let (mut element, mut rest) = (start, out);
        while !rest.is_empty() {
            // A batch ends with a block, so that the next one need not begin inside it.
            let first = element.wrapping_mul(F::WORDS as u64);
            let skipped = (first % BLOCK as u64) as usize / F::WORDS;
            let (out, after) = rest.split_at_mut((words.len() / 2 - skipped).min(rest.len()));
            let words = &mut words[..out.len() * F::WORDS];
            self.bits(first, words);
            open_units(words, out);
            element = element.wrapping_add(out.len() as u64);
            rest = after;
        }
    }

    /// Fills `out` with standard normal numbers, elements `start`, `start + 1` …
    ///
    /// Box–Muller on the uniforms of the pair that element i belongs to, 2⌊i/2⌋ and 2⌊i/2⌋ + 1.
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

    /// A generator for one element, for samplers that need an unknown amount of randomness: ChaCha8 with this key and
    /// the stream number `element + 1` (the fills use stream 0).
    pub fn rng(&self, element: u64) -> ChaCha8Rng {
        let mut seed = [0; 32];
        for (bytes, word) in seed.chunks_exact_mut(4).zip(&self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(element.wrapping_add(1));
        rng
    }

    /// `N` consecutive blocks of the stream, word by word.
    #[inline(always)]
    fn blocks<const N: usize>(&self, first: u64) -> [[u32; N]; BLOCK] {
        let mut initial = [[0; N]; BLOCK];
        let constants = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        for (row, word) in initial.iter_mut().zip(constants.iter().chain(&self.0)) {
            *row = [*word; N];
        }
        let counter = |lane: usize| first.wrapping_add(lane as u64);
        initial[12] = std::array::from_fn(|lane| counter(lane) as u32);
        initial[13] = std::array::from_fn(|lane| (counter(lane) >> 32) as u32);
        let mut state = initial;
        for _ in 0..4 {
            quarter_round(&mut state, [0, 4, 8, 12]);
            quarter_round(&mut state, [1, 5, 9, 13]);
            quarter_round(&mut state, [2, 6, 10, 14]);
            quarter_round(&mut state, [3, 7, 11, 15]);
            quarter_round(&mut state, [0, 5, 10, 15]);
            quarter_round(&mut state, [1, 6, 11, 12]);
            quarter_round(&mut state, [2, 7, 8, 13]);
            quarter_round(&mut state, [3, 4, 9, 14]);
        }
        for (row, initial) in state.iter_mut().zip(&initial) {
            for (word, initial) in row.iter_mut().zip(initial) {
                *word = word.wrapping_add(*initial);
            }
        }
        state
    }
}

#[inline(always)]
fn quarter_round<const N: usize>(state: &mut [[u32; N]; BLOCK], [a, b, c, d]: [usize; 4]) {
    mix(state, [a, b, d], 16);
    mix(state, [c, d, b], 12);
    mix(state, [a, b, d], 8);
    mix(state, [c, d, b], 7);
}

/// x += y, then z = (z ^ x) rotated left.
#[inline(always)]
fn mix<const N: usize>(state: &mut [[u32; N]; BLOCK], [x, y, z]: [usize; 3], turn: u32) {
    let addend = state[y];
    for (x, y) in state[x].iter_mut().zip(addend) {
        *x = x.wrapping_add(y);
    }
    let sum = state[x];
    for (z, x) in state[z].iter_mut().zip(sum) {
        *z = (*z ^ x).rotate_left(turn);
    }
}

/// Words in the blocks that are computed side by side.
const WIDE_WORDS: usize = BLOCK * WIDE;

/// Blocks of the stream of a key, from the given one on.
fn chacha(key: &Key, mut block: u64, out: &mut [u32]) {
    let (wide, mut rest) = out.as_chunks_mut::<WIDE_WORDS>();
    for words in wide {
        wide_blocks(key, block, words);
        block = block.wrapping_add(WIDE as u64);
    }
    if rest.len() > 2 * BLOCK {
        let mut words = Aligned([0; WIDE_WORDS]);
        wide_blocks(key, block, &mut words.0);
        rest.copy_from_slice(&words.0[..rest.len()]);
        rest = &mut [];
    }
    for out in rest.chunks_mut(BLOCK) {
        for (out, word) in out.iter_mut().zip(&key.blocks::<1>(block)) {
            *out = word[0];
        }
        block = block.wrapping_add(1);
    }
}

#[allow(unsafe_code)]
fn wide_blocks(key: &Key, block: u64, out: &mut [u32; WIDE_WORDS]) {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the machine has AVX-512, as `level` found out.
        return unsafe { avx512::wide_blocks(&key.0, block, out) };
    }
    narrow_blocks(key, block, out);
}

dispatch! {
    /// As [`wide_blocks`], by loops that the compiler makes vectors of.
    fn narrow_blocks<>(key: &Key, block: u64, out: &mut [u32; WIDE_WORDS]) = narrow_body;
}

#[inline(always)]
fn narrow_body<const FMA: bool>(key: &Key, block: u64, out: &mut [u32; WIDE_WORDS]) {
    let words = key.blocks::<WIDE>(block);
    for (lane, out) in out.chunks_exact_mut(BLOCK).enumerate() {
        for (out, word) in out.iter_mut().zip(&words) {
            *out = word[lane];
        }
    }
}

dispatch! {
    fn open_units<F: Real>(words: &[u32], out: &mut [F]) = open_units_body;
}

#[inline(always)]
fn open_units_body<const FMA: bool, F: Real>(words: &[u32], out: &mut [F]) {
    for (out, words) in out.iter_mut().zip(words.chunks_exact(F::WORDS)) {
        *out = F::open_unit(words);
    }
}

dispatch! {
    /// Makes pairs of normal numbers of pairs of uniform ones.
    fn box_muller<F: Real>(pairs: &mut [F]) = box_muller_body;
}

#[inline(always)]
fn box_muller_body<const FMA: bool, F: Real>(pairs: &mut [F]) {
    // The two numbers of each pair apart, so that the loop over pairs becomes one over vectors.
    let mut apart = Aligned([[F::ZERO; FEW]; 2]);
    for pairs in pairs.chunks_mut(2 * FEW) {
        let count = pairs.len() / 2;
        let [radii, angles] = &mut apart.0;
        for (pair, (radius, angle)) in pairs.chunks_exact(2).zip(radii.iter_mut().zip(angles.iter_mut())) {
            *radius = pair[0];
            *angle = pair[1];
        }
        for (radius, angle) in radii[..count].iter_mut().zip(&mut angles[..count]) {
            let length = (F::from_f64(-2.0) * radius.ln_fast::<FMA>()).sqrt();
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

/// A tensor of uniforms from the open interval (0, 1), elements `start`, `start + 1` … of the key; see
/// [`Key::uniform`].
pub fn uniform<F: Real>(pool: &Pool<F>, key: &Key, start: u64, shape: Shape) -> Tensor<F> {
    filled(pool, shape, |at, out| key.uniform(start.wrapping_add(at), out))
}

/// A tensor of standard normal numbers, elements `start`, `start + 1` … of the key; see [`Key::normal`].
pub fn normal<F: Real>(pool: &Pool<F>, key: &Key, start: u64, shape: Shape) -> Tensor<F> {
    filled(pool, shape, |at, out| key.normal(start.wrapping_add(at), out))
}

fn filled<F: Real>(pool: &Pool<F>, shape: Shape, work: impl Fn(u64, &mut [F]) + Sync) -> Tensor<F> {
    let mut out = pool.take(shape);
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL);
    fill(threads, out.make_mut(), BATCH * 32, |at, out| work(at as u64, out));
    out
}

/// A 128-bit hash of an address: a name and indices. FNV-1a over the name's bytes, the byte 255 (which UTF-8 never
/// has), and eight little-endian bytes an index; the same on all platforms.
pub fn address_hash(name: &str, index: &[u64]) -> u128 {
    let mut hash = fnv(fnv(FNV_OFFSET, name.as_bytes()), &[u8::MAX]);
    for index in index {
        hash = fnv(hash, &index.to_le_bytes());
    }
    hash
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fnv(mut hash: u128, bytes: &[u8]) -> u128 {
    for &byte in bytes {
        hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
    }
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::Rng;

    use super::*;

    fn key() -> Key {
        Key::new(7, 3, address_hash("z", &[2]))
    }

    /// The reference stream of a key: stream 0.
    fn reference(key: &Key) -> ChaCha8Rng {
        let mut rng = key.rng(0);
        rng.set_stream(0);
        rng
    }

    proptest! {
        #[test]
        fn bits_are_the_chacha8_stream(
            seed in any::<u64>(),
            address in any::<u128>(),
            start in prop_oneof![0..300_u64, (1_u64 << 36) - 200..(1 << 36) + 200],
            count in 0..400_usize,
        ) {
            let key = Key::new(seed, 5, address);
            let mut rng = reference(&key);
            rng.set_word_pos(u128::from(start));
            let expected: Vec<u32> = (0..count).map(|_| rng.next_u32()).collect();
            let mut found = vec![0; count];
            key.bits(start, &mut found);
            prop_assert_eq!(found, expected);
        }

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
    fn the_first_words_never_change() {
        let mut words = [0; 4];
        Key::new(0, 0, 0).bits(0, &mut words);
        assert_eq!(words, [0x2fef_003e, 0xd640_5f89, 0xe8b8_5b7f, 0xa1a5_091f]);
    }

    #[test]
    fn hashes_never_change_and_tell_addresses_apart() {
        assert_eq!(address_hash("", &[]), (FNV_OFFSET ^ 255).wrapping_mul(FNV_PRIME));
        let hashes = [
            address_hash("x", &[]),
            address_hash("x", &[0]),
            address_hash("x", &[0, 0]),
            address_hash("x", &[1]),
            address_hash("x", &[256]),
            address_hash("y", &[]),
            address_hash("x\0", &[]),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(hashes[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn seeds_steps_addresses_and_purposes_give_different_keys() {
        let keys = [
            Key::new(1, 2, 3),
            Key::new(2, 1, 3),
            Key::new(1, 2, 4),
            Key::new(1, 2, 3).derive("a"),
            Key::new(1, 2, 3).derive("b"),
            Key::new(1, 2, 3).derive("a").derive("b"),
            Key::new(1, 2, 3).derive("b").derive("a"),
            Key::new(2, 2, 3).derive("a"),
            Key::new(1, 2, 4).derive("a"),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn generators_of_elements_differ_from_each_other_and_from_the_fills() {
        let mut fill = [0; 1];
        key().bits(0, &mut fill);
        let first = [key().rng(0).next_u32(), key().rng(1).next_u32(), fill[0]];
        assert!(first[0] != first[1] && first[0] != first[2] && first[1] != first[2]);
        assert_eq!(key().rng(5).get_stream(), 6);
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
    fn the_kernels_give_the_same_blocks() {
        let (mut narrow, mut wide) = ([0; WIDE_WORDS], [0; WIDE_WORDS]);
        for block in [0, 3, u64::from(u32::MAX) - 5, u64::MAX - 7] {
            narrow_blocks(&key(), block, &mut narrow);
            wide_blocks(&key(), block, &mut wide);
            assert_eq!(narrow, wide, "from block {block}");
        }
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
    fn threads_do_not_change_a_number() {
        let shape = Shape::from([3, 33_333]);
        let (one, three) = (Pool::<f64>::new(), Pool::<f64>::with_threads(3));
        let key = key();
        assert_eq!(normal(&one, &key, 11, shape.clone()), normal(&three, &key, 11, shape.clone()));
        assert_eq!(uniform(&one, &key, 11, shape.clone()), uniform(&three, &key, 11, shape));
    }
}
