//! The Sobol sequence, and its nested scrambling.
//!
//! Point $k$ of a dimension is the exclusive or of the direction numbers that belong to the set bits of the Gray code
//! of $k$. Of $2^m$ points, each of the $2^m$ equal intervals of every dimension contains one. Owen's scrambling
//! randomly swaps the two halves of every dyadic interval. This keeps one point in each interval and makes each point
//! uniform.

use crate::sampling::sobol_directions::DIRECTIONS;

/// The number of dimensions for which direction numbers are available.
pub const DIMENSIONS: usize = DIRECTIONS.len() + 1;

/// The maximum number of bits of a coordinate.
const BITS: u32 = 32;

/// Writes the first `out.len()` points of a dimension, in units of $2^{-bits}$.
///
/// # Panics
/// If `dimension` is not below [`DIMENSIONS`], `bits` is above 32, or there are more than $2^{bits}$ points.
pub fn points(dimension: usize, bits: u32, out: &mut [u32]) {
    assert!(dimension < DIMENSIONS && bits <= BITS && out.len() as u64 <= 1 << bits);
    let mut numbers = [0_u32; BITS as usize];
    fill_directions(dimension, &mut numbers[..bits as usize]);
    let mut point = 0;
    for (k, out) in out.iter_mut().enumerate() {
        *out = point;
        // The bit of the Gray code that changes next.
        let changed = (k as u32 + 1).trailing_zeros();
        if changed < bits {
            point ^= numbers[changed as usize];
        }
    }
}

/// The direction numbers of a dimension, as fractions with `numbers.len()` bits.
fn fill_directions(dimension: usize, numbers: &mut [u32]) {
    let bits = numbers.len();
    if dimension == 0 {
        numbers.iter_mut().enumerate().for_each(|(i, number)| *number = 1 << (bits - 1 - i));
        return;
    }
    let (polynomial, start) = DIRECTIONS[dimension - 1];
    let degree = start.len();
    for i in 0..bits {
        numbers[i] = if i < degree {
            // An integer of i + 1 bits, whose highest bit stands for one half.
            start[i] << (bits - 1 - i)
        } else {
            let mut number = numbers[i - degree] ^ (numbers[i - degree] >> degree);
            for k in 1..degree {
                if polynomial >> (degree - k) & 1 == 1 {
                    number ^= numbers[i - k];
                }
            }
            number
        };
    }
}

/// Owen's nested scrambling of coordinates with `bits` bits. `flip(i)` says whether to swap the halves of interval `i`.
/// There are $2^{bits} - 1$ intervals, numbered from the largest to the smallest, and from left to right within a size.
pub fn scramble(bits: u32, points: &mut [u32], flip: impl Fn(usize) -> bool) {
    for point in points {
        let coordinate = *point;
        for level in 0..bits {
            let interval = (1_usize << level) - 1 + (u64::from(coordinate) >> (bits - level)) as usize;
            if flip(interval) {
                *point ^= 1 << (bits - 1 - level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_the_known_ones() {
        // From SciPy 1.17, which uses the same direction numbers.
        let known: [(usize, [u32; 16]); 6] = [
            (0, [0, 8, 12, 4, 6, 14, 10, 2, 3, 11, 15, 7, 5, 13, 9, 1]),
            (1, [0, 8, 4, 12, 6, 14, 2, 10, 5, 13, 1, 9, 3, 11, 7, 15]),
            (2, [0, 8, 4, 12, 10, 2, 14, 6, 15, 7, 11, 3, 5, 13, 1, 9]),
            (6, [0, 8, 4, 12, 6, 14, 2, 10, 7, 15, 3, 11, 1, 9, 5, 13]),
            (100, [0, 8, 4, 12, 10, 2, 14, 6, 1, 9, 5, 13, 11, 3, 15, 7]),
            (511, [0, 8, 12, 4, 6, 14, 10, 2, 3, 11, 15, 7, 5, 13, 9, 1]),
        ];
        for (dimension, expected) in known {
            let mut found = [0; 16];
            points(dimension, 4, &mut found);
            assert_eq!(found, expected, "dimension {dimension}");
            let mut finer = [0; 16];
            points(dimension, 20, &mut finer);
            assert!(finer.iter().zip(expected).all(|(finer, expected)| finer >> 16 == expected));
        }
    }

    #[test]
    fn every_interval_of_every_dimension_has_one_point() {
        for dimension in 0..DIMENSIONS {
            let mut found = vec![0; 256];
            points(dimension, 8, &mut found);
            found.sort_unstable();
            assert!(found.iter().enumerate().all(|(i, &point)| point == i as u32), "dimension {dimension}");
        }
        // The first two dimensions are a net: one point in each box of volume 1/64, whatever its shape.
        let (mut x, mut y) = (vec![0; 64], vec![0; 64]);
        points(0, 6, &mut x);
        points(1, 6, &mut y);
        for cut in 0..=6 {
            let mut boxes: Vec<u32> = x.iter().zip(&y).map(|(x, y)| (x >> (6 - cut)) << (6 - cut) | y >> cut).collect();
            boxes.sort_unstable();
            boxes.dedup();
            assert_eq!(boxes.len(), 64, "{cut}");
        }
    }

    #[test]
    fn scrambling_keeps_nets_and_makes_points_uniform() {
        let mut counts = [[0; 4]; 4];
        for flips in 0..8_u32 {
            let mut found = [0; 4];
            points(3, 2, &mut found);
            scramble(2, &mut found, |interval| flips >> interval & 1 == 1);
            for (counts, &point) in counts.iter_mut().zip(&found) {
                counts[point as usize] += 1;
            }
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2, 3]);
        }
        assert_eq!(counts, [[2; 4]; 4]);
    }
}
