//! Noise on the tape, and which random value belongs to which element.
//!
//! Noise is addressed: the seed, the step, the address of the noise and the index of an element determine the random
//! value of the element, so the order of draws does not matter. Noise is a recorded operation, so a
//! [`Program`](crate::Program) draws it again for each step.

use crate::error::TapeError;
use crate::id::Inputs;
use crate::noise_source::{NoiseScheme, NoiseSeed};
use crate::op::Op;
use crate::plate::{Extent, Plate, PlateKind, Plates};
use crate::tape::Tape;
use crate::var::Var;
use smallvec::SmallVec;
use std::panic::Location;
use stochgrad_tensor::random::{self, Fill, Key};
use stochgrad_tensor::sampling_scheme::{self, SamplingScheme};
use stochgrad_tensor::{Pool, Real, Shape, Tensor, instantiated};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NoiseAxis {
    size: usize,
    stride: u64,
    offset: u64,
}

/// The index of the noise of each element of a draw.
///
/// Noise is independent along data and sample plates. There it is indexed by the position in the whole plate, even if
/// only a shard is drawn. Noise is shared along plates of enumerated states and of alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseLayout {
    axes: SmallVec<[NoiseAxis; 6]>,
    event: usize,
}

impl NoiseLayout {
    /// The layout of elements on some plates, `event` elements for each combination of their members.
    pub fn new<F: Real>(tape: &Tape<F>, plates: &[Plate], event: usize) -> Self {
        Self::sized(tape, plates, event, |_, size| size)
    }

    /// As [`new`](Self::new), but with a given number of members for one of the plates.
    pub fn resized<F: Real>(tape: &Tape<F>, plates: &[Plate], event: usize, plate: Plate, members: usize) -> Self {
        Self::sized(tape, plates, event, |other, size| if other == plate { members } else { size })
    }

    fn sized<F: Real>(tape: &Tape<F>, plates: &[Plate], event: usize, size: impl Fn(Plate, usize) -> usize) -> Self {
        let inner = tape.inner.borrow();
        let entries = plates.iter().map(|&plate| {
            let entry = &inner.plates[plate.index as usize];
            match size(plate, entry.size) {
                members if members == entry.size => entry.extent(),
                members => Extent { size: members, whole: members, ..entry.extent() },
            }
        });
        Self::of(entries, event)
    }

    pub(crate) fn of(plates: impl Iterator<Item = Extent>, event: usize) -> Self {
        let mut kinds: SmallVec<[(PlateKind, usize); 6]> = SmallVec::new();
        let mut axes: SmallVec<[NoiseAxis; 6]> = SmallVec::new();
        for Extent { size, whole, kind, offset } in plates {
            kinds.push((kind, whole));
            axes.push(NoiseAxis { size, stride: 0, offset: if kind.has_own_noise() { offset } else { 0 } });
        }
        let mut stride = event as u64;
        // Data plates vary slowest, wherever their axes are, so that no stride depends on the size of a shard.
        for data in [false, true] {
            for (axis, (kind, whole)) in axes.iter_mut().zip(&kinds).rev() {
                if kind.has_own_noise() && (*kind == PlateKind::Data) == data {
                    axis.stride = stride;
                    // Addresses are numbers modulo 2^64.
                    stride = stride.wrapping_mul(*whole as u64);
                }
            }
        }
        NoiseLayout { axes, event }
    }

    /// A layout without plates.
    pub fn flat(event: usize) -> Self {
        NoiseLayout { axes: SmallVec::new(), event }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.axes.iter().fold(self.event, |product, axis| product.saturating_mul(axis.size))
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the noise of an element.
    pub fn index(&self, element: usize) -> u64 {
        let mut rest = element / self.event.max(1);
        let mut index = (element % self.event.max(1)) as u64;
        for axis in self.axes.iter().rev() {
            index = index.wrapping_add(axis.offset.wrapping_add((rest % axis.size) as u64).wrapping_mul(axis.stride));
            rest /= axis.size;
        }
        index
    }

    /// The plates: the number of members of each, the distance of the noise of consecutive members, and the position of
    /// the first member in the whole plate. The noise of an element has the index that is the sum of its position in the
    /// event and, for each plate, of (position + member) · distance.
    pub fn plates(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        self.axes.iter().map(|axis| (axis.size, axis.stride, axis.offset))
    }

    /// The length of the longest runs of elements whose noise is consecutive. The runs start at its multiples.
    pub fn run(&self) -> usize {
        let mut run = self.event;
        for axis in self.axes.iter().rev() {
            if axis.stride != run as u64 {
                break;
            }
            run = run.saturating_mul(axis.size);
        }
        run.max(1)
    }

    /// The index of the noise of the first element, if the noise of all elements is consecutive.
    pub(crate) fn consecutive(&self) -> Option<u64> {
        (self.run() >= self.len()).then(|| self.index(0))
    }
}

/// The noise of a layout under a key.
pub(crate) fn filled<F: Real>(pool: &Pool<F>, key: &Key, fill: Fill, layout: &NoiseLayout, shape: Shape) -> Tensor<F> {
    if let Some(start) = layout.consecutive() {
        return random::noise(pool, key, fill, start, shape);
    }
    let mut out = pool.take(shape);
    let run = layout.run();
    for (index, chunk) in out.make_mut().chunks_mut(run).enumerate() {
        key.fill(fill, layout.index(index * run), chunk);
    }
    out
}

/// Noise of a sampling scheme for the members of the plate at a position. There are two keys, one for the random values
/// and one for the strata.
pub(crate) fn filled_by_scheme<F: Real>(
    pool: &Pool<F>,
    [key, strata]: [&Key; 2],
    fill: Fill,
    scheme: SamplingScheme,
    (plates, at): (impl Iterator<Item = Extent>, usize),
    event: &Shape,
) -> Tensor<F> {
    let plates: SmallVec<[Extent; 6]> = plates.collect();
    let members = plates[at].size;
    let drawn = |key: &Key, fill: Fill, count: usize| {
        let resized = plates
            .iter()
            .enumerate()
            .map(|(index, plate)| if index == at { Extent { size: count, whole: count, ..*plate } } else { *plate });
        let shape = resized.clone().map(|plate| plate.size).chain(event.iter().copied()).collect();
        filled(pool, key, fill, &NoiseLayout::of(resized, event.numel()), shape)
    };
    let base = if fill == Fill::Normal && scheme.is_mirroring() { Fill::Normal } else { Fill::Folded };
    let base = drawn(key, base, scheme.numbers(members));
    let choices = match scheme.choices(members) {
        0 => None,
        count => Some(drawn(strata, Fill::Uniform, count)),
    };
    let mut out = pool.take(plates.iter().map(|plate| plate.size).chain(event.iter().copied()).collect());
    let entries = |plates: &[Extent]| plates.iter().map(|plate| plate.size).product::<usize>();
    let sizes = [entries(&plates[..at]), members, entries(&plates[at + 1..]) * event.numel()];
    let numbers = [base.as_slice(), choices.as_ref().map_or(&[][..], Tensor::as_slice)];
    sampling_scheme::arrange(scheme, fill, sizes, event.numel(), numbers, out.make_mut());
    pool.recycle(base);
    choices.into_iter().for_each(|choices| pool.recycle(choices));
    out
}

impl<F: Real> Tape<F> {
    /// Records noise: random values determined by a seed, an address and the position of each element. Returns `None`
    /// if this tape already has noise from another seed.
    #[track_caller]
    pub fn noise(
        &self,
        seed: NoiseSeed,
        fill: Fill,
        address: u128,
        plates: &[Plate],
        event: &Shape,
    ) -> Option<Var<'_, F>> {
        self.noise_by(None, seed, fill, address, plates, event)
    }

    /// As [`noise`](Self::noise), with members that are drawn jointly by a sampling scheme.
    #[track_caller]
    pub fn noise_by(
        &self,
        scheme: Option<NoiseScheme>,
        seed: NoiseSeed,
        fill: Fill,
        address: u128,
        plates: &[Plate],
        event: &Shape,
    ) -> Option<Var<'_, F>> {
        type Request<'a> = (NoiseSeed, Fill, u128, &'a [Plate], &'a Shape);
        instantiated!(
            F: for<'t> fn(
                &'t Tape<F>,
                Option<NoiseScheme>,
                Request<'_>,
                &'static Location<'static>,
            ) -> Option<Var<'t, F>> = Tape::noise_body
        )(self, scheme, (seed, fill, address, plates, event), Location::caller())
    }

    fn noise_body(
        &self,
        scheme: Option<NoiseScheme>,
        (seed, fill, address, plates, event): (NoiseSeed, Fill, u128, &[Plate], &Shape),
        location: &'static Location<'static>,
    ) -> Option<Var<'_, F>> {
        if let Err(error) = self.own_plates(plates, location) {
            return Some(self.fail(error));
        }
        if let Some(problem) = scheme.and_then(|scheme| self.scheme_problem(scheme, plates, event)) {
            return Some(self.fail(TapeError::Other { message: problem, at: location }));
        }
        if *self.inner.borrow_mut().noise.get_or_insert(seed) != seed {
            return None;
        }
        let op = Op::Noise { fill, address, plates: Plates::from_slice(plates), event: event.clone(), scheme };
        Some(Var { tape: self, id: self.apply(op, &Inputs::new(), location) })
    }

    fn scheme_problem(&self, scheme: NoiseScheme, plates: &[Plate], event: &Shape) -> Option<String> {
        if !plates.contains(&scheme.plate) {
            return Some(format!(
                "expected the noise of a sampling scheme to carry its plate \"{}\"",
                self.plate_name(scheme.plate)
            ));
        }
        if self.is_shard(scheme.plate) {
            let name = self.plate_name(scheme.plate);
            return Some(format!(
                "the members of plate \"{name}\", of which the tape holds a shard, cannot be drawn jointly"
            ));
        }
        scheme.scheme.check(self.plate_size(scheme.plate), event.numel()).err()
    }
}
