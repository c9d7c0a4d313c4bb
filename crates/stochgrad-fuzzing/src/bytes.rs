//! Decisions and random words that are read from bytes.

use std::convert::Infallible;

use rand::rand_core::TryRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Special values of `f64`, of which parameters and arguments are chosen.
const SPECIAL: [f64; 24] = [
    0.0,
    -0.0,
    5e-324,
    f64::MIN_POSITIVE,
    1e-300,
    1e-100,
    1e-16,
    1e-8,
    1e-3,
    0.5,
    1.0 - f64::EPSILON / 2.0,
    1.0,
    1.0 + f64::EPSILON,
    2.0,
    30.0,
    1e3,
    1e8,
    9_007_199_254_740_992.0,
    1e18,
    1e100,
    1e300,
    f64::MAX,
    f64::INFINITY,
    f64::NAN,
];

/// A generator that gives the bytes of an input, and pseudo-random ones when they are used up.
///
/// A fuzzer that changes a byte therefore changes one decision, and every input has as many decisions as are needed.
#[derive(Debug)]
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
    after: ChaCha8Rng,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let digest = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, &byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { left: bytes, after: ChaCha8Rng::seed_from_u64(digest) }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        match self.left.split_first_chunk::<N>() {
            Some((first, rest)) => {
                taken = *first;
                self.left = rest;
            }
            None => {
                self.left = &[];
                self.after.fill_bytes(&mut taken);
            }
        }
        taken
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.take::<1>()[0]) % bound.max(1)
    }

    /// A number: any bit pattern, a special value of either sign, or a value near `ordinary`.
    pub(crate) fn number(&mut self, ordinary: f64) -> f64 {
        match self.below(4) {
            0 => f64::from_bits(u64::from_le_bytes(self.take())),
            1 => {
                let value = SPECIAL[self.below(SPECIAL.len())];
                if self.below(4) == 0 { -value } else { value }
            }
            2 => ordinary * 10_f64.powi(i32::from(self.take::<1>()[0] as i8) / 8),
            _ => ordinary * (f64::from(self.take::<1>()[0]) / 128.0),
        }
    }
}

impl TryRng for Bytes<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill_with(|| self.take::<1>()[0]);
        Ok(())
    }
}
