//! The ChaCha8 stream, with random access to its blocks.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;

pub(crate) use block::{BLOCK, WIDE};
use block::{WIDE_WORDS, blocks};

use crate::simd::dispatch;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Level, level};
use crate::storage::buffer::Aligned;

/// Writes blocks of the stream of a key, starting at the given one. The last block may be cut.
pub(crate) fn chacha(key: &[u32; 8], mut block: u64, out: &mut [u32]) {
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
        for (out, word) in out.iter_mut().zip(&blocks(key, &[block])) {
            *out = word[0];
        }
        block = block.wrapping_add(1);
    }
}

#[allow(unsafe_code)]
fn wide_blocks(key: &[u32; 8], block: u64, out: &mut [u32; WIDE_WORDS]) {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: `level` has detected AVX-512.
        return unsafe { avx512::wide_blocks(key, block, out) };
    }
    scattered_blocks(key, &std::array::from_fn(|lane| block.wrapping_add(lane as u64)), out);
}

dispatch! {
    /// Blocks of the stream of a key with these numbers, by loops that the compiler vectorises.
    pub(crate) fn scattered_blocks<>(
        key: &[u32; 8], numbers: &[u64; WIDE], out: &mut [u32; WIDE_WORDS],
    ) = scattered_body;
}

#[inline(always)]
fn scattered_body<const FMA: bool>(key: &[u32; 8], numbers: &[u64; WIDE], out: &mut [u32; WIDE_WORDS]) {
    let words = blocks::<WIDE>(key, numbers);
    for (lane, out) in out.chunks_exact_mut(BLOCK).enumerate() {
        for (out, word) in out.iter_mut().zip(&words) {
            *out = word[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_implementations_give_the_same_blocks() {
        const KEY: [u32; 8] = [7, 0, 3, 0, 0x1234_5678, 0x9abc_def0, 0x0fed_cba9, 0x8765_4321];
        let (mut narrow, mut wide) = ([0; WIDE_WORDS], [0; WIDE_WORDS]);
        for block in [0, 3, u64::from(u32::MAX) - 5, u64::MAX - 7] {
            scattered_blocks(&KEY, &std::array::from_fn(|lane| block.wrapping_add(lane as u64)), &mut narrow);
            wide_blocks(&KEY, block, &mut wide);
            assert_eq!(narrow, wide, "from block {block}");
        }
    }
}
