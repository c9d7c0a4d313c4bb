//! The attempts of a sampler at the elements of a draw, and their noise.

use crate::noise::NoiseLayout;
use crate::sampler::Sampler;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering};
use stochgrad_tensor::random::{self, Key, address_hash};
use stochgrad_tensor::{Pool, Real};

/// The largest number of elements of one attempt. It is even, as normal samples come in pairs.
const CHUNK: usize = 256;

/// The largest number of elements that a sampler attempts again together.
const FEW: usize = 32;

/// Attempt k of a sampler at those elements of a draw that all earlier attempts rejected.
///
/// The noise of an element is determined by the address of the draw, the number of the attempt, the position of the
/// element and a slot. It does not depend on how many attempts other elements need.
pub struct Attempt<'a, F: Real> {
    number: usize,
    parameters: &'a [&'a [F]],
    noise: Source<'a, F>,
    /// The values that the attempt proposes.
    pub values: &'a mut [F],
    /// Whether the attempt at an element is rejected. All elements are rejected until the sampler accepts them.
    pub rejected: &'a mut [bool],
}

/// The largest number of attempts at an element. A sampler that accepts one proposal in a thousand needs fewer with a
/// probability of 1 − 10⁻⁵⁶, so that reaching it means that the sampler does not accept.
const MOST: usize = 1 << 17;

/// The noise of an attempt.
#[derive(Clone, Copy)]
enum Source<'a, F: Real> {
    /// Of consecutive elements, slot by slot.
    Slots { key: &'a DrawKey, layout: &'a NoiseLayout, start: usize },
    /// Of single elements, each with all its slots.
    Rows(&'a [[F; random::ROW]]),
}

impl<'a, F: Real> Attempt<'a, F> {
    /// The largest number of elements of one attempt, for buffers.
    pub const LARGEST: usize = CHUNK;

    /// The number of slots of noise that an attempt has for each element.
    pub const SLOTS: usize = random::ROW;

    /// The largest number of attempts at an element.
    pub const MOST: usize = MOST;

    /// The number of the attempt, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of a parameter for the elements.
    ///
    /// # Panics
    /// If there is no such parameter.
    pub fn parameter(&self, parameter: usize) -> &'a [F] {
        self.parameters[parameter]
    }

    /// Fills `out` with a uniform value in (0, 1) for each element, from a slot.
    ///
    /// # Panics
    /// If the slot is not below [`SLOTS`](Self::SLOTS).
    pub fn uniform(&self, slot: usize, out: &mut [F]) {
        assert!(slot < Self::SLOTS, "expected a slot below {}, got {slot}", Self::SLOTS);
        match self.noise {
            Source::Slots { key, layout, start } => {
                let key = key.of_slot(slot);
                in_runs(layout, start, out, |at, run| key.uniform(at, run));
            }
            Source::Rows(rows) => out.iter_mut().zip(rows).for_each(|(x, row)| *x = row[slot]),
        }
    }

    /// Fills `out` with a standard normal sample for each element, from a slot and the next one.
    ///
    /// # Panics
    /// If the next slot is not below [`SLOTS`](Self::SLOTS).
    pub fn normal(&self, slot: usize, out: &mut [F]) {
        assert!(slot + 1 < Self::SLOTS, "expected a slot below {}, got {slot}", Self::SLOTS - 1);
        match self.noise {
            Source::Slots { key, layout, start } => {
                let key = key.of_slot(slot);
                in_runs(layout, start, out, |at, run| key.normal(at, run));
            }
            Source::Rows(rows) => {
                for (x, row) in out.iter_mut().zip(rows) {
                    let mut pair = [row[slot], row[slot + 1]];
                    random::box_muller(&mut pair);
                    *x = pair[0];
                }
            }
        }
    }
}

/// Calls `fill` for the runs of consecutive noise of some elements.
fn in_runs<F>(layout: &NoiseLayout, start: usize, out: &mut [F], mut fill: impl FnMut(u64, &mut [F])) {
    let run = layout.run();
    let (mut at, mut rest) = (start, out);
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut((run - at % run).min(rest.len()));
        fill(layout.index(at), now);
        at += now.len();
        rest = later;
    }
}

/// The keys of the noise of a draw.
#[derive(Clone, Copy, Debug)]
pub struct DrawKey {
    seed: u64,
    step: u64,
    address: u128,
}

impl DrawKey {
    /// The keys of the draw at an address.
    pub fn new(seed: u64, step: u64, address: u128) -> Self {
        DrawKey { seed, step, address }
    }

    fn purpose(&self, purpose: &str, number: usize) -> Key {
        let words = [self.address as u64, (self.address >> 64) as u64, number as u64];
        Key::new(self.seed, self.step, address_hash(purpose, &words))
    }

    /// The key of a slot of the first attempt.
    fn of_slot(&self, slot: usize) -> Key {
        self.purpose("slot", slot)
    }

    /// The key of a later attempt.
    fn of_attempt(&self, number: usize) -> Key {
        self.purpose("attempt", number)
    }
}

/// The values of a parameter for the elements of a draw: one for each element, or one for all.
fn part<'a, F: Real>(whole: &'a [F], at: usize, same: &'a mut [F]) -> &'a [F] {
    match whole {
        [one] => {
            same.fill(*one);
            same
        }
        _ => &whole[at..at + same.len()],
    }
}

/// Draws the elements of a layout. Each parameter has one value for each element, or one for all.
///
/// # Errors
/// A message, if a sampler has rejected 2¹⁷ attempts at an element.
pub fn draw_elements<F: Real>(
    pool: &Pool<F>,
    sampler: &dyn Sampler<F>,
    key: &DrawKey,
    layout: &NoiseLayout,
    parameters: &[&[F]],
    out: &mut [F],
) -> Result<(), String> {
    let stuck = AtomicBool::new(false);
    random::in_pieces(pool, out, CHUNK * 8, |start, piece| {
        for (index, values) in piece.chunks_mut(CHUNK).enumerate() {
            // The draw has failed: what the other elements would be does not matter.
            if stuck.load(Ordering::Relaxed) {
                return;
            }
            if !draw_chunk(sampler, key, layout, parameters, start + index * CHUNK, values) {
                stuck.store(true, Ordering::Relaxed);
            }
        }
    });
    if stuck.into_inner() { Err(never_accepted(sampler)) } else { Ok(()) }
}

fn never_accepted<F: Real>(sampler: &dyn Sampler<F>) -> String {
    format!(
        "expected the sampler of {} to accept one of {MOST} attempts, got none accepted; check the parameters, or use a \
         proposal that is accepted more often",
        sampler.name()
    )
}

/// Whether all elements have been accepted.
fn draw_chunk<F: Real>(
    sampler: &dyn Sampler<F>,
    key: &DrawKey,
    layout: &NoiseLayout,
    parameters: &[&[F]],
    start: usize,
    values: &mut [F],
) -> bool {
    let count = values.len();
    let mut same: SmallVec<[[F; CHUNK]; 2]> = parameters.iter().map(|_| [F::ZERO; CHUNK]).collect();
    let own: SmallVec<[&[F]; 2]> =
        parameters.iter().zip(&mut same).map(|(whole, same)| part(whole, start, &mut same[..count])).collect();
    let mut rejected = [true; CHUNK];
    sampler.attempt(&mut Attempt {
        number: 0,
        parameters: &own,
        noise: Source::Slots { key, layout, start },
        values,
        rejected: &mut rejected[..count],
    });
    let mut open: SmallVec<[u16; CHUNK]> = SmallVec::new();
    open.extend((0..count).filter(|&at| rejected[at]).map(|at| at as u16));
    let mut number = 1;
    while !open.is_empty() && number < MOST {
        let key = key.of_attempt(number);
        let mut kept = 0;
        for first in (0..open.len()).step_by(FEW) {
            let few = open.len().min(first + FEW) - first;
            let mut rows = [[F::ZERO; random::ROW]; FEW];
            let mut elements = [0; FEW];
            for (element, &at) in elements.iter_mut().zip(&open[first..first + few]) {
                *element = layout.index(start + usize::from(at));
            }
            key.rows(&elements[..few], &mut rows[..few]);
            let gathered: SmallVec<[[F; FEW]; 2]> = own
                .iter()
                .map(|own| {
                    let mut gathered = [F::ZERO; FEW];
                    gathered.iter_mut().zip(&open[first..]).for_each(|(x, &at)| *x = own[usize::from(at)]);
                    gathered
                })
                .collect();
            let gathered: SmallVec<[&[F]; 2]> = gathered.iter().map(|gathered| &gathered[..few]).collect();
            let (mut proposed, mut rejected) = ([F::ZERO; FEW], [true; FEW]);
            sampler.attempt(&mut Attempt {
                number,
                parameters: &gathered,
                noise: Source::Rows(&rows[..few]),
                values: &mut proposed[..few],
                rejected: &mut rejected[..few],
            });
            for (index, (value, rejected)) in proposed.into_iter().zip(rejected).take(few).enumerate() {
                let at = open[first + index];
                if rejected {
                    open[kept] = at;
                    kept += 1;
                } else {
                    values[usize::from(at)] = value;
                }
            }
        }
        open.truncate(kept);
        number += 1;
    }
    open.is_empty()
}

/// Draws one element from a random generator, for sources of noise without addresses.
///
/// # Errors
/// A message, if a sampler has rejected 2¹⁷ attempts.
pub fn draw_element<F: Real>(
    sampler: &dyn Sampler<F>,
    parameters: &[F],
    generator: &mut ChaCha8Rng,
) -> Result<F, String> {
    let mut word = || u128::from(generator.next_u64());
    let key = Key::new(word() as u64, word() as u64, word() << 64 | word());
    let own: SmallVec<[&[F]; 3]> = parameters.iter().map(std::slice::from_ref).collect();
    for number in 0..MOST {
        let mut row = [[F::ZERO; random::ROW]];
        key.rows(&[number as u64], &mut row);
        let (mut value, mut rejected) = ([F::ZERO], [true]);
        sampler.attempt(&mut Attempt {
            number,
            parameters: &own,
            noise: Source::Rows(&row),
            values: &mut value,
            rejected: &mut rejected,
        });
        if !rejected[0] {
            return Ok(value[0]);
        }
    }
    Err(never_accepted(sampler))
}
