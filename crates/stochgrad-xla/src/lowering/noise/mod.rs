//! Noise: the same random words as on the CPU.

pub mod chacha;
pub mod fill;
pub(crate) mod kind;
pub mod scheme;

use crate::lowering::builder::{Builder, Value};
use crate::lowering::context::{Context, Target};
use crate::lowering::literal::Elements;
use crate::lowering::noise::fill::{Start, fill};
use crate::lowering::types::{Element, TensorType};
use std::collections::HashMap;
use stochgrad_tape::{ListedValue, Listing, NoiseLayout, Op, Plate};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape};

/// The seed and the step of a run, and the offsets of its shards.
pub struct Noise<'c, 'b> {
    pub(crate) context: &'c Context<'b>,
    seed: Value<'b>,
    step: Value<'b>,
    offsets: HashMap<Plate, Value<'b>>,
}

impl<'c, 'b> Noise<'c, 'b> {
    /// The noise of a run with these arguments, each of two words.
    pub(crate) fn new(
        context: &'c Context<'b>,
        seed: Value<'b>,
        step: Value<'b>,
        offsets: HashMap<Plate, Value<'b>>,
    ) -> Self {
        Noise { context, seed, step, offsets }
    }

    fn builder(&self) -> &'b Builder {
        self.context.builder
    }

    /// The eight words of the key of an address.
    pub fn key(&self, address: u128) -> Value<'b> {
        let words: Vec<i64> = (0..4).map(|word| (address >> (32 * word)) as u32 as i64).collect();
        let address = self.builder().constant(Elements::Integers(&words), &TensorType::new(Element::U32, [4]));
        self.key_of(address)
    }

    /// The eight words of the key of an address of four words, the lowest first.
    pub fn key_of(&self, address: Value<'b>) -> Value<'b> {
        self.seed.concat(&[self.step, address], 0)
    }

    /// The random values of a layout under a key: an axis for each of `plates`, and then the event axes.
    pub fn fill(
        &self,
        key: Value<'b>,
        kind: Fill,
        layout: &NoiseLayout,
        plates: &[Plate],
        event: &[usize],
    ) -> Value<'b> {
        let axes: Vec<(usize, u64, u64)> = layout.plates().collect();
        let shape: Shape = axes.iter().map(|(size, ..)| *size).chain(event.iter().copied()).collect();
        let element = self.context.element;
        if shape.numel() == 0 {
            return self.builder().float(element, 0.0).broadcast(&shape, &[]);
        }
        // Along the other plates the noise is shared.
        let own: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis].1 > 0).collect();
        let mut order = own.clone();
        order.sort_by_key(|&axis| std::cmp::Reverse((axes[axis].1, axes[axis].0)));
        let lead = own.len();
        let stored: Shape = order.iter().map(|&axis| axes[axis].0).chain(event.iter().copied()).collect();
        let flat = fill(self.builder(), key, element, kind, self.start(&axes, plates), stored.numel());
        let turned: Vec<usize> = own
            .iter()
            .filter_map(|axis| order.iter().position(|other| other == axis))
            .chain(lead..lead + event.len())
            .collect();
        let kept: Vec<usize> = own.into_iter().chain(axes.len()..shape.rank()).collect();
        flat.reshape(&stored).transpose(&turned).broadcast(&shape, &kept)
    }

    /// The number of the first random value of a layout.
    fn start(&self, axes: &[(usize, u64, u64)], plates: &[Plate]) -> Start<'b> {
        let (mut fixed, mut computed) = (0_u64, None);
        for (&(_, stride, offset), plate) in axes.iter().zip(plates) {
            match self.offsets.get(plate).filter(|_| stride > 0) {
                Some(&words) => {
                    let part = joined(words) * stride as i64;
                    computed = Some(computed.map_or(part, |sum: Value<'b>| sum + part));
                }
                None => fixed = fixed.wrapping_add(offset.wrapping_mul(stride)),
            }
        }
        computed.map_or(Start::Fixed(fixed), |sum| Start::Computed(sum + fixed as i64))
    }

    /// The number of the random value of each element of a layout: unsigned integers of 64 bits.
    pub fn numbers(&self, layout: &NoiseLayout, plates: &[Plate], event: &[usize]) -> Value<'b> {
        let axes: Vec<(usize, u64, u64)> = layout.plates().collect();
        let shape: Shape = axes.iter().map(|(size, ..)| *size).chain(event.iter().copied()).collect();
        let kind = TensorType::new(Element::U64, shape.clone());
        let mut strides: Vec<u64> = axes.iter().map(|(_, stride, _)| *stride).collect();
        strides.extend(Shape::from(event).strides().iter().map(|&stride| stride as u64));
        let start = match self.start(&axes, plates) {
            Start::Fixed(start) => self.builder().integer(Element::U64, start as i64),
            Start::Computed(start) => start,
        };
        let places = (0..shape.rank()).filter(|&axis| strides[axis] > 0);
        places.fold(start.broadcast(&shape, &[]), |sum, axis| {
            sum + self.builder().iota(kind.clone(), axis) * strides[axis] as i64
        })
    }

    /// See [`Op::Noise`].
    pub(crate) fn lower<F: Real>(
        &self,
        listing: &Listing<'_, F>,
        listed: &ListedValue<'_, F>,
        op: &Op,
        target: &Target<'_>,
    ) -> Option<Value<'b>> {
        let Op::Noise { fill, address, plates, event, scheme } = op else { return None };
        let key = self.key(*address);
        let Some(scheme) = scheme else {
            return Some(self.fill(key, *fill, &listing.noise_layout(listed, None), plates, event));
        };
        let members = listing.plate(scheme.plate).size;
        let strata = self.key(scheme.strata);
        let drawn = |key: Value<'b>, kind: Fill, count: usize| {
            let layout = listing.noise_layout(listed, Some((scheme.plate, count)));
            self.fill(key, kind, &layout, plates, event)
        };
        let mirroring = *fill == Fill::Normal && scheme.scheme.is_mirroring();
        let base = drawn(key, if mirroring { Fill::Normal } else { Fill::Folded }, scheme.scheme.numbers(members));
        let choices = match scheme.scheme.choices(members) {
            0 => None,
            count => Some(drawn(strata, Fill::Uniform, count)),
        };
        let at = plates.binary_search(&scheme.plate).ok()?;
        if target.shape.numel() == 0 {
            return Some(base.builder.float(self.context.element, 0.0).broadcast(target.shape, &[]));
        }
        scheme::arranged(scheme.scheme, *fill, [base, choices.unwrap_or(base)], at, target)
    }
}

/// Two words, the lower one first, as an integer of 64 bits.
fn joined(words: Value<'_>) -> Value<'_> {
    let [low, high] = [0, 1].map(|word| words.slice(0, word, 1).reshape(&Shape::scalar()).convert(Element::U64));
    low | (high << 32_i64)
}
