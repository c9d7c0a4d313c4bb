//! Sums over many subsets that share their parts.
//!
//! Ten thousand costs in a chain have ten thousand different sets of ancestors. Their sums are computed from the sums
//! of blocks of 64 members, which are cached, and combined in a fixed binary tree whose inner sums are cached, too.

use std::collections::HashMap;
use stochgrad_tape::{Id, Var};
use stochgrad_tensor::Real;

pub(crate) struct SubsetSums<'t, F: Real> {
    blocks: HashMap<(usize, u64), Option<Var<'t, F>>>,
    pairs: HashMap<(Id, Id), Var<'t, F>>,
}

impl<'t, F: Real> SubsetSums<'t, F> {
    pub(crate) fn new() -> Self {
        SubsetSums { blocks: HashMap::new(), pairs: HashMap::new() }
    }

    /// The sum of the members of a bit set; `None` if none of them has a value.
    pub(crate) fn sum(&mut self, words: &[u64], member: &dyn Fn(usize) -> Option<Var<'t, F>>) -> Option<Var<'t, F>> {
        let mut level: Vec<Option<Var<'t, F>>> =
            words.iter().enumerate().map(|(word, &bits)| self.block(word, bits, member)).collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| self.pair(pair[0], pair.get(1).copied().flatten())).collect();
        }
        level.first().copied().flatten()
    }

    fn pair(&mut self, left: Option<Var<'t, F>>, right: Option<Var<'t, F>>) -> Option<Var<'t, F>> {
        match (left, right) {
            (Some(left), Some(right)) => {
                Some(*self.pairs.entry((left.id(), right.id())).or_insert_with(|| left + right))
            }
            (one, other) => one.or(other),
        }
    }

    /// The sum of up to 64 members: that without the last one, plus the last one. For a set that begins within the
    /// block and goes on behind it, as the costs of the rest of a loop do, it is the first one plus that without it.
    fn block(&mut self, word: usize, bits: u64, member: &dyn Fn(usize) -> Option<Var<'t, F>>) -> Option<Var<'t, F>> {
        let without: fn(u64) -> u64 = match bits >> 63 == 1 && bits & 1 == 0 {
            true => |bits| bits & (bits - 1),
            false => |bits| bits & !(1 << bits.ilog2()),
        };
        let mut known = bits;
        let mut pending = Vec::new();
        let mut sum = loop {
            if known == 0 {
                break None;
            }
            if let Some(&sum) = self.blocks.get(&(word, known)) {
                break sum;
            }
            pending.push(known);
            known = without(known);
        };
        for bits in pending.into_iter().rev() {
            let own = member(word * 64 + (bits ^ without(bits)).ilog2() as usize);
            sum = self.pair(sum, own);
            self.blocks.insert((word, bits), sum);
        }
        sum
    }
}

/// The positions of the set bits.
pub(crate) fn members(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words
        .iter()
        .enumerate()
        .flat_map(|(word, &bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn a_chain_of_sets_costs_a_few_additions_a_set() {
        let tape = Tape::<f64>::new();
        let values: Vec<_> = (0..1000).map(|i| tape.constant(i as f64)).collect();
        let mut sums = SubsetSums::new();
        let before = tape.len();
        for count in 1..=1000_usize {
            let words: Vec<u64> = (0..count.div_ceil(64))
                .map(|w| if (w + 1) * 64 <= count { u64::MAX } else { (1 << (count % 64)) - 1 })
                .collect();
            let sum = sums.sum(&words, &|i| Some(values[i])).expect("members");
            assert_eq!(sum.peek().expect("value").item().expect("scalar"), (count * (count - 1) / 2) as f64);
        }
        assert!(tape.len() - before < 8 * 1000, "{} additions", tape.len() - before);
    }
}
