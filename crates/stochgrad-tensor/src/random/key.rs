//! Keys of streams of noise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::random::address::{FNV_OFFSET, fnv};
use crate::random::chacha::{BLOCK, WIDE, chacha, scattered_blocks};

/// The key of a stream of noise: 256 bits for ChaCha8.
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
    /// The key of a seed, a step and an address (see [`address_hash`](crate::random::address_hash)). Different
    /// arguments give different keys.
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

    /// A key for another purpose at the same address. Seed and step stay the same; the address becomes the 128-bit
    /// FNV-1a hash of the old address and the purpose. The result is the same on all platforms.
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

    /// Fills `out` with words of the ChaCha8 stream, starting at word `start`.
    pub fn bits(&self, start: u64, out: &mut [u32]) {
        let mut block = start / BLOCK as u64;
        let skip = (start % BLOCK as u64) as usize;
        let mut out = out;
        if skip > 0 {
            let count = (BLOCK - skip).min(out.len());
            let (head, tail) = out.split_at_mut(count);
            let mut words = [0; BLOCK];
            chacha(&self.0, block, &mut words);
            head.copy_from_slice(&words[skip..skip + count]);
            out = tail;
            block = block.wrapping_add(1);
        }
        chacha(&self.0, block, out);
    }

    /// Whole blocks of the stream, with these numbers.
    pub(super) fn scattered(&self, numbers: &[u64; WIDE], out: &mut [u32; WIDE * BLOCK]) {
        scattered_blocks(&self.0, numbers, out);
    }

    /// A generator for one element, for samplers that need an unknown amount of noise. It is ChaCha8 with this key and
    /// the stream number `element + 1`; the fills use stream 0.
    pub fn rng(&self, element: u64) -> ChaCha8Rng {
        let mut seed = [0; 32];
        for (bytes, word) in seed.chunks_exact_mut(4).zip(&self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(element.wrapping_add(1));
        rng
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::Rng;

    use super::*;
    use crate::random::address::address_hash;

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
    }

    #[test]
    fn the_first_words_never_change() {
        let mut words = [0; 4];
        Key::new(0, 0, 0).bits(0, &mut words);
        assert_eq!(words, [0x2fef_003e, 0xd640_5f89, 0xe8b8_5b7f, 0xa1a5_091f]);
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
}
