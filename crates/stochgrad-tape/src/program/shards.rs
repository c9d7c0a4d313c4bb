//! Programs on the shards of a plate, which run together.

mod reduction;

use super::{Program, Work, release};
use crate::communicator::{CommunicationError, Communicator, agree};
use crate::error::{TapeError, TapeResult};
use crate::id::Id;
use crate::noise_source::NoiseSeed;
use crate::op::ShardReduction;
use smallvec::SmallVec;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use stochgrad_tensor::{Real, Tensor, instantiated};

/// The shards of a plate and the ranks that hold them. Runs the programs of all shards together.
///
/// A fixed number of shards divides the members, whatever the number of ranks, and a rank holds as many consecutive
/// shards as every other one. Each shard has a program of its own, compiled from a recording with its members on a
/// [shard of the plate](crate::Tape::shard_plate). The programs run one after another up to the next reductions over the
/// shards. There, the parts of all shards are gathered, and are combined in the order of the shards. The results are
/// therefore the same, bit for bit, for every number of ranks. They differ from those of a single program on all
/// members by rounding. Reductions that do not depend on each other, such as those of all gradients, are made together.
///
/// ```
/// use std::rc::Rc;
/// use stochgrad_tape::{PlateKind, Program, Shards, SingleRank, Tape, TapeResult};
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> TapeResult<()> {
/// let points = [1.0, 2.0, 3.0, 6.0, 8.0];
/// let mut shards = Shards::<f64>::new(2, Rc::new(SingleRank))?;
/// let record = |shard: usize| -> TapeResult<Program<f64>> {
///     let members = shards.members(shard, points.len());
///     let tape = Tape::new();
///     let plate = tape.plate("points", members.len(), PlateKind::Data, &[]);
///     tape.shard_plate(plate, members.start, points.len())?;
///     let x = tape.constant_on(&[plate], Tensor::from(points[members].to_vec()));
///     let centre = tape.parameter(0.0);
///     let [slope] = tape.grad((x - centre).square().mean_over(plate), [centre])?;
///     tape.compile(&[centre], &[x.mean_over(plate), slope])
/// };
/// let mut programs = shards.own().map(record).collect::<TapeResult<Vec<_>>>()?;
/// for program in &mut programs {
///     program.set(0, &Tensor::scalar(1.0))?;
/// }
/// shards.run(&mut programs, |program| program, Default::default())?;
/// assert_eq!(programs[0].output(0)?.item(), Ok(4.0));
/// assert!((programs[1].output(1)?.as_slice()[0] + 6.0).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
pub struct Shards<F: Real> {
    communicator: Rc<dyn Communicator>,
    count: usize,
    own: Range<usize>,
    /// A block of the parts of all shards, in their order. The places of those of this rank may be unused.
    parts: Vec<F>,
    /// The operands of the reductions that are made, then their results: those of the first program of this rank, then
    /// those of the next ones.
    totals: Vec<Tensor<F>>,
    /// The states of all ranks.
    states: Vec<State>,
    /// The reductions that are made next.
    next: Vec<Next>,
}

/// A reduction over the shards, and the number of its elements.
type Next = (ShardReduction, usize);

/// What a rank is about to do.
///
/// The words are the number of reductions, the sum of their elements, and the kind of a single one, or a hash of the kinds
/// and sizes of several.
type State = [u64; 3];

const FAILED: State = [u64::MAX, 0, 0];

fn state(next: &[Next]) -> State {
    if let &[(reduction, elements)] = next {
        return [1, elements as u64, reduction as u64];
    }
    let words = next.iter().flat_map(|&(reduction, elements)| [reduction as u64, elements as u64]);
    // FNV-1a with whole words.
    let hash = words.fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3));
    [next.len() as u64, next.iter().map(|&(_, elements)| elements as u64).sum(), hash]
}

fn in_words([reductions, elements, kind]: State) -> String {
    match reductions {
        0 => "the end of a run".into(),
        1 if kind == ShardReduction::Sum as u64 => format!("a sum of {elements} elements over the shards"),
        1 => format!("a level of {elements} elements over the shards"),
        _ => format!("{reductions} reductions of {elements} elements over the shards"),
    }
}

impl<F: Real> Shards<F> {
    /// The given number of shards on the ranks of a communicator.
    ///
    /// # Errors
    /// If the number of shards is 0, or not a multiple of the number of ranks.
    pub fn new(count: usize, communicator: Rc<dyn Communicator>) -> TapeResult<Self> {
        let ranks = communicator.size();
        if count == 0 || !count.is_multiple_of(ranks) {
            return Err(CommunicationError::Shards { shards: count, ranks }.into());
        }
        let each = count / ranks;
        let first = communicator.rank() * each;
        Ok(Shards {
            communicator,
            count,
            own: first..first + each,
            parts: Vec::new(),
            totals: Vec::new(),
            states: vec![State::default(); ranks],
            next: Vec::new(),
        })
    }

    /// The number of shards on all ranks.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The shards that this rank holds.
    pub fn own(&self) -> Range<usize> {
        self.own.clone()
    }

    /// The positions of the members of a shard among all members. The sizes of the shards differ by at most 1.
    pub fn members(&self, shard: usize, whole: usize) -> Range<usize> {
        share(whole, self.count, shard)
    }

    /// The positions of the members that this rank holds among all members.
    pub fn own_members(&self, whole: usize) -> Range<usize> {
        let (first, last) = (self.members(self.own.start, whole), self.members(self.own.end - 1, whole));
        first.start..last.end
    }

    /// The ranks.
    pub fn communicator(&self) -> &Rc<dyn Communicator> {
        &self.communicator
    }

    /// Runs the programs of this rank, one for each of its shards in their order, together with those of the other
    /// ranks. The inputs of all programs must be set. `program` returns the program of an entry.
    ///
    /// # Errors
    /// Those of [`Program::run`]. If one rank fails, all ranks return an error. Programs that differ between the shards
    /// are an error, too.
    #[track_caller]
    pub fn run<S>(
        &mut self,
        shards: &mut [S],
        mut program: impl FnMut(&mut S) -> &mut Program<F>,
        seed: NoiseSeed,
    ) -> TapeResult<()> {
        let mut programs: SmallVec<[&mut Program<F>; 8]> = shards.iter_mut().map(&mut program).collect();
        instantiated!(
            F: fn(
                &mut Shards<F>,
                &mut [&mut Program<F>],
                NoiseSeed,
                &'static Location<'static>,
            ) -> TapeResult<()> = Shards::run_body
        )(self, &mut programs, seed, Location::caller())
    }

    fn run_body(
        &mut self,
        programs: &mut [&mut Program<F>],
        seed: NoiseSeed,
        at: &'static Location<'static>,
    ) -> TapeResult<()> {
        let mut given = self.check(programs, at);
        programs.iter_mut().for_each(|program| program.start(seed));
        let mut positions: Positions = SmallVec::from_elem(0, programs.len());
        let mut told = false;
        let mut result = loop {
            match given.and_then(|()| self.advance(programs, &mut positions, seed)) {
                Ok(()) if self.next.is_empty() => break Ok(()),
                Ok(()) => {
                    given = self.meet(Ok(())).and_then(|()| self.reduce(programs, &mut positions));
                    if let Err(error) = given {
                        told = true;
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        for program in programs {
            let finished = program.finish(seed, result.clone());
            result = result.and(finished);
        }
        self.next.clear();
        if told { result } else { self.meet(result) }
    }

    /// # Errors
    /// For another number of programs than shards, and for an input without a value.
    fn check(&self, programs: &[&mut Program<F>], at: &'static Location<'static>) -> TapeResult<()> {
        if programs.len() != self.own.len() {
            let message = format!(
                "Shards::run: expected {} programs, one for each shard, got {}",
                self.own.len(),
                programs.len()
            );
            return Err(TapeError::Other { message, at });
        }
        programs.iter().try_for_each(|program| program.check_given(at))
    }

    /// Runs all programs of this rank up to their next reductions, or to the end.
    ///
    /// # Errors
    /// Those of the programs, and for programs that differ.
    fn advance(
        &mut self,
        programs: &mut [&mut Program<F>],
        positions: &mut Positions,
        seed: NoiseSeed,
    ) -> TapeResult<()> {
        for (program, position) in programs.iter_mut().zip(&mut *positions) {
            *position = program.advance(seed, *position)?;
        }
        let next = &mut self.next;
        next.clear();
        let (Some(first), Some(&position)) = (programs.first(), positions.first()) else { return Ok(()) };
        next.extend(first.collectives_at(position));
        for (program, &position) in programs.iter().zip(&*positions).skip(1) {
            // Sizes may decide what a program computes first, so that one of them needs a result earlier than others.
            if !program.collectives_at(position).take(next.len()).eq(next.iter().copied()) {
                next.truncate(1);
            }
            let found = program.collectives_at(position).next();
            if found != next.first().copied() {
                let words = |next: Option<Next>| in_words(state(next.as_slice()));
                let (expected, found) = (words(next.first().copied()), words(found));
                let message = format!(
                    "the programs of two shards differ: expected {expected}, got {found}; record the same operations on \
                     all shards"
                );
                return Err(CommunicationError::Transport { message }.into());
            }
        }
        Ok(())
    }

    /// Tells the other ranks the reductions that this one is about to make, none at the end of the run, or its error.
    /// Ranks that are about to make different numbers of reductions make the first one only.
    ///
    /// # Errors
    /// If a rank failed, or is about to do something else.
    fn meet(&mut self, given: TapeResult<()>) -> TapeResult<()> {
        if self.states.len() == 1 {
            return given;
        }
        loop {
            let own = if given.is_ok() { state(&self.next) } else { FAILED };
            self.communicator.all_gather(bytemuck::bytes_of(&own), bytemuck::cast_slice_mut(&mut self.states))?;
            if self.states.contains(&FAILED) {
                return agree(&*self.communicator, given);
            }
            let Some(rank) = self.states.iter().position(|state| *state != own) else { return given };
            if self.states.iter().all(|[reductions, ..]| *reductions <= 1) {
                let (expected, found) = (in_words(own), in_words(self.states[rank]));
                return Err(CommunicationError::Order { rank, expected, found }.into());
            }
            self.next.truncate(1);
        }
    }
}

/// The share of some elements that one of several shards or ranks has. The sizes of the shares differ by at most 1.
fn share(elements: usize, shares: usize, number: usize) -> Range<usize> {
    let start = |number: usize| number * (elements / shares) + number.min(elements % shares);
    start(number)..start(number + 1)
}

/// The position in each program of a rank.
type Positions = SmallVec<[usize; 8]>;

impl<F: Real> Program<F> {
    /// The operands of the reduction at a position.
    fn work(&self, position: usize) -> (ShardReduction, Id, Id) {
        match self.instructions[position].work {
            Work::Collective { reduction, part, to } => (reduction, part, to),
            Work::Evaluate { .. } | Work::Fused(_) | Work::Check { .. } => {
                unreachable!("programs stop at reductions over shards only")
            }
        }
    }

    /// The reductions over shards that follow each other from a position on.
    fn collectives_at(&self, position: usize) -> impl Iterator<Item = Next> {
        self.instructions[position..].iter().map_while(|instruction| match instruction.work {
            Work::Collective { reduction, to, .. } => Some((reduction, self.shapes[to.index()].numel())),
            Work::Evaluate { .. } | Work::Fused(_) | Work::Check { .. } => None,
        })
    }

    /// The part of this shard in the reduction at a position, in a buffer for the result: its own one, if nothing else
    /// needs the part.
    fn take_part(&mut self, position: usize) -> Tensor<F> {
        let (_, part, to) = self.work(position);
        let inner = self.tape.inner.get_mut();
        let node = &mut inner.nodes[part.index()];
        if node.pooled && node.value.is_unique() && self.instructions[position].spent.contains(&part) {
            return std::mem::replace(&mut node.value, inner.placeholder.clone());
        }
        let mut copy = self.tape.pool.take(self.shapes[to.index()].clone());
        copy.make_mut().copy_from_slice(node.value.as_slice());
        copy
    }

    /// Sets the result of the reduction at a position.
    fn complete(&mut self, position: usize, total: Tensor<F>) {
        let (_, _, to) = self.work(position);
        let inner = self.tape.inner.get_mut();
        inner.nodes[to.index()].value = total;
        for &id in &self.instructions[position].spent {
            release(inner, &self.tape.pool, id);
        }
    }
}
