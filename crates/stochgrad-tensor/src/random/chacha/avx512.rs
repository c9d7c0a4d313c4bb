//! ChaCha8 with AVX-512: sixteen blocks together, one in each lane of sixteen registers.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::block::{BLOCK, WIDE, WIDE_WORDS};

/// Sixteen blocks of the stream of a key, starting at the given one.
///
/// Compilers vectorise the rounds by themselves, but not the transposition from one word of each block to all words of
/// one block.
#[target_feature(enable = "avx512f")]
pub(super) fn wide_blocks(key: &[u32; 8], first: u64, out: &mut [u32; WIDE_WORDS]) {
    let same = |word: u32| _mm512_set1_epi32(word as i32);
    let counter = |lane: usize| first.wrapping_add(lane as u64);
    let low: [u32; WIDE] = std::array::from_fn(|lane| counter(lane) as u32);
    let high: [u32; WIDE] = std::array::from_fn(|lane| (counter(lane) >> 32) as u32);
    let [k0, k1, k2, k3, k4, k5, k6, k7] = key.map(same);
    let initial = [
        same(0x6170_7865),
        same(0x3320_646e),
        same(0x7962_2d32),
        same(0x6b20_6574),
        k0,
        k1,
        k2,
        k3,
        k4,
        k5,
        k6,
        k7,
        load(&low),
        load(&high),
        same(0),
        same(0),
    ];
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
    for (word, initial) in state.iter_mut().zip(initial) {
        *word = _mm512_add_epi32(*word, initial);
    }
    // Each register holds four words of four blocks: quarter l of register e belongs to block 4 l + e.
    let [a, b, c, d] = [0, 4, 8, 12].map(|at| turn_four([state[at], state[at + 1], state[at + 2], state[at + 3]]));
    for e in 0..4 {
        let near = _mm512_shuffle_i32x4::<0x44>(a[e], b[e]);
        let far = _mm512_shuffle_i32x4::<0xee>(a[e], b[e]);
        let near_rest = _mm512_shuffle_i32x4::<0x44>(c[e], d[e]);
        let far_rest = _mm512_shuffle_i32x4::<0xee>(c[e], d[e]);
        let blocks = [
            _mm512_shuffle_i32x4::<0x88>(near, near_rest),
            _mm512_shuffle_i32x4::<0xdd>(near, near_rest),
            _mm512_shuffle_i32x4::<0x88>(far, far_rest),
            _mm512_shuffle_i32x4::<0xdd>(far, far_rest),
        ];
        for (quarter, words) in blocks.into_iter().enumerate() {
            let at = (4 * quarter + e) * BLOCK;
            if let Some(out) = out[at..].first_chunk_mut() {
                store(out, words);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn quarter_round(state: &mut [__m512i; BLOCK], [a, b, c, d]: [usize; 4]) {
    state[a] = _mm512_add_epi32(state[a], state[b]);
    state[d] = _mm512_rol_epi32::<16>(_mm512_xor_si512(state[d], state[a]));
    state[c] = _mm512_add_epi32(state[c], state[d]);
    state[b] = _mm512_rol_epi32::<12>(_mm512_xor_si512(state[b], state[c]));
    state[a] = _mm512_add_epi32(state[a], state[b]);
    state[d] = _mm512_rol_epi32::<8>(_mm512_xor_si512(state[d], state[a]));
    state[c] = _mm512_add_epi32(state[c], state[d]);
    state[b] = _mm512_rol_epi32::<7>(_mm512_xor_si512(state[b], state[c]));
}

/// Transposes the 4 × 4 words in each quarter of four registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn_four([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (ab_rest, cd_rest) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ab_rest, cd_rest),
        _mm512_unpackhi_epi64(ab_rest, cd_rest),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn load(words: &[u32; WIDE]) -> __m512i {
    // SAFETY: sixteen words are 512 bits, at any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn store(out: &mut [u32; BLOCK], words: __m512i) {
    // SAFETY: sixteen words are 512 bits, at any alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) }
}
