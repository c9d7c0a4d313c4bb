//! Reductions over the shards: the parts of all shards are combined in the order of the shards.
//!
//! Each rank combines a share of the elements: it receives that share of all parts, and sends the results to the others.
//! With a shard on each rank, a rank sends and receives less than two parts, whatever the number of ranks. Every rank
//! combines all elements of small parts, which takes one message instead of two.

use super::{Next, Positions, Shards, share};
use crate::error::TapeResult;
use crate::op::ShardReduction;
use crate::program::Program;
use smallvec::SmallVec;
use std::ops::Range;
use stochgrad_tensor::{Real, Tensor};

/// The size in bytes of the blocks of a part that the ranks send to each other. The blocks of a few shards stay in the
/// caches until they are combined.
const BLOCK: usize = 1 << 18;

/// The size in bytes of the largest part that every rank combines itself, which takes a single message.
const SMALL: usize = 1 << 15;

/// The number of elements that are combined at once.
const CHUNK: usize = 512;

impl<F: Real> Shards<F> {
    /// Combines the parts of all shards, and gives the results to the programs of this rank.
    pub(super) fn reduce(&mut self, programs: &mut [&mut Program<F>], positions: &mut Positions) -> TapeResult<()> {
        self.totals.clear();
        for (program, &position) in programs.iter_mut().zip(&*positions) {
            self.totals.extend((0..self.next.len()).map(|number| program.take_part(position + number)));
        }
        let elements: usize = self.next.iter().map(|&(_, elements)| elements).sum();
        if self.states.len() == 1 {
            // The part of a single shard is the result.
            if self.count > 1 {
                self.combine_parts(0..elements, 0);
            }
        } else if elements * size_of::<F>() <= SMALL {
            self.gather_parts(elements)?;
            self.combine_parts(0..elements, elements);
        } else {
            self.reduce_shares(elements)?;
            self.gather_totals(elements)?;
        }
        let (first, others) = self.totals.split_at_mut(self.next.len());
        for (number, other) in others.iter_mut().enumerate() {
            other.make_mut().copy_from_slice(first[number % first.len()].as_slice());
        }
        let mut totals = self.totals.drain(..);
        for (program, position) in programs.iter_mut().zip(&mut *positions) {
            for total in totals.by_ref().take(self.next.len()) {
                program.complete(*position, total);
                *position += 1;
            }
        }
        Ok(())
    }

    /// Gathers the parts of all shards.
    fn gather_parts(&mut self, elements: usize) -> TapeResult<()> {
        self.parts.resize(self.parts.len().max(elements * (self.count + self.own.len())), F::ZERO);
        let (all, own) = self.parts.split_at_mut(elements * self.count);
        let own = &mut own[..elements * self.own.len()];
        let operands = self.totals.iter().flat_map(|operand| operand.as_slice());
        own.iter_mut().zip(operands).for_each(|(to, &from)| *to = from);
        Ok(self.communicator.all_gather(bytemuck::cast_slice(own), bytemuck::cast_slice_mut(all))?)
    }

    /// Each rank receives the parts of all shards for its share of the elements, and combines them.
    fn reduce_shares(&mut self, elements: usize) -> TapeResult<()> {
        let (rank, ranks) = (self.communicator.rank(), self.states.len());
        let largest = BLOCK / size_of::<F>();
        for start in (0..elements.div_ceil(ranks)).step_by(largest) {
            let block = |rank: usize| {
                let share = share(elements, ranks, rank);
                let start = share.end.min(share.start + start);
                start..share.end.min(start + largest)
            };
            let own = block(rank);
            let length = own.len();
            self.parts.resize(self.parts.len().max(length * self.count), F::ZERO);
            let mut sent: Messages<&[u8]> = SmallVec::new();
            for to in others(rank, ranks) {
                for operands in self.totals.chunks_exact(self.next.len()) {
                    for Piece { number, of_part, .. } in pieces(&self.next, &block(to)) {
                        sent.push((to, bytemuck::cast_slice(&operands[number].as_slice()[of_part])));
                    }
                }
            }
            let mut received: Messages<&mut [u8]> = SmallVec::new();
            let mut rest = &mut self.parts[..length * self.count];
            for shard in 0..self.count {
                for piece in pieces(&self.next, &own) {
                    let (place, others) = rest.split_at_mut(piece.of_block.len());
                    rest = others;
                    if !self.own.contains(&shard) {
                        received.push((shard / self.own.len(), bytemuck::cast_slice_mut(place)));
                    }
                }
            }
            self.communicator.exchange(&sent, &mut received)?;
            drop((sent, received));
            self.combine_parts(own, length);
        }
        Ok(())
    }

    /// Sends the results of the share of this rank to all others, and receives theirs.
    fn gather_totals(&mut self, elements: usize) -> TapeResult<()> {
        let (rank, ranks) = (self.communicator.rank(), self.states.len());
        let mut sent: Messages<&[u8]> = SmallVec::new();
        let mut received: Messages<&mut [u8]> = SmallVec::new();
        let mut rests: SmallVec<[&mut [F]; 8]> =
            self.totals.iter_mut().take(self.next.len()).map(Tensor::make_mut).collect();
        for from in 0..ranks {
            for Piece { number, of_part, .. } in pieces(&self.next, &share(elements, ranks, from)) {
                let (total, rest) = std::mem::take(&mut rests[number]).split_at_mut(of_part.len());
                rests[number] = rest;
                if from == rank {
                    let total: &[F] = total;
                    sent.extend(others(rank, ranks).map(|to| (to, bytemuck::cast_slice(total))));
                } else {
                    received.push((from, bytemuck::cast_slice_mut(total)));
                }
            }
        }
        Ok(self.communicator.exchange(&sent, &mut received)?)
    }

    /// Combines the parts of all shards in their order, for a block of the elements of the next reductions. The results
    /// replace the operands of the first program of this rank. The parts of other ranks are at the starts of their places
    /// of the given length.
    fn combine_parts(&mut self, block: Range<usize>, length: usize) {
        let (reductions, own) = (self.next.len(), self.own.clone());
        let mut total = [F::ZERO; CHUNK];
        for Piece { number, reduction, of_block, of_part } in pieces(&self.next, &block) {
            for start in (0..of_part.len()).step_by(CHUNK) {
                let within = |whole: &Range<usize>| whole.start + start..whole.end.min(whole.start + start + CHUNK);
                let (of_block, of_part) = (within(&of_block), within(&of_part));
                let total = &mut total[..of_part.len()];
                for shard in 0..self.count {
                    let part = match own.contains(&shard) {
                        true => &self.totals[(shard - own.start) * reductions + number].as_slice()[of_part.clone()],
                        false => &self.parts[shard * length..][of_block.clone()],
                    };
                    match shard {
                        0 => total.copy_from_slice(part),
                        _ => combine(reduction, part, total),
                    }
                }
                self.totals[number].make_mut()[of_part].copy_from_slice(total);
            }
        }
    }
}

/// Ranks, and what they receive or send.
type Messages<T> = SmallVec<[(usize, T); 16]>;

/// The other ranks, from the next one on, so that not all ranks send to the same one first.
fn others(rank: usize, ranks: usize) -> impl Iterator<Item = usize> {
    (1..ranks).map(move |distance| (rank + distance) % ranks)
}

/// The elements of a block that belong to one of the reductions.
struct Piece {
    /// The number of the reduction.
    number: usize,
    reduction: ShardReduction,
    of_block: Range<usize>,
    /// The place among the elements of the reduction.
    of_part: Range<usize>,
}

/// Divides a block of the elements of reductions, which follow each other.
fn pieces(reductions: &[Next], block: &Range<usize>) -> impl Iterator<Item = Piece> {
    let ends = reductions.iter().scan(0, |end, &(reduction, elements)| {
        *end += elements;
        Some((reduction, *end - elements, *end))
    });
    ends.enumerate().filter_map(|(number, (reduction, start, end))| {
        let common = start.max(block.start)..end.min(block.end);
        let within = |from: usize| common.start - from..common.end - from;
        (!common.is_empty()).then(|| Piece { number, reduction, of_block: within(block.start), of_part: within(start) })
    })
}

/// Combines the parts of the shards so far with that of the next one.
fn combine<F: Real>(reduction: ShardReduction, part: &[F], total: &mut [F]) {
    let pairs = total.iter_mut().zip(part);
    match reduction {
        ShardReduction::Sum => pairs.for_each(|(sum, &x)| *sum += x),
        ShardReduction::Level => pairs.filter(|(level, x)| **x > **level).for_each(|(level, &x)| *level = x),
    }
}
