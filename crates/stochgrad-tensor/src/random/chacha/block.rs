//! One block of the ChaCha8 stream cipher.

/// Words in a ChaCha block.
pub(crate) const BLOCK: usize = 16;

/// The number of blocks that are computed together.
pub(crate) const WIDE: usize = 16;

/// Words in the blocks that are computed together.
pub(crate) const WIDE_WORDS: usize = BLOCK * WIDE;

/// `N` blocks of the stream of a key, with these numbers; `[word][block]` is the order of the axes.
#[inline(always)]
pub(crate) fn blocks<const N: usize>(key: &[u32; 8], numbers: &[u64; N]) -> [[u32; N]; BLOCK] {
    let mut initial = [[0; N]; BLOCK];
    let constants = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    for (row, word) in initial.iter_mut().zip(constants.iter().chain(key)) {
        *row = [*word; N];
    }
    initial[12] = numbers.map(|number| number as u32);
    initial[13] = numbers.map(|number| (number >> 32) as u32);
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
