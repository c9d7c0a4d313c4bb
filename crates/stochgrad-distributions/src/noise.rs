//! Where randomness comes from: keyed, addressed, and replaceable.
//!
//! A draw never asks "the next random number". It asks a [`NoiseSource`] for the number that belongs to an address (the
//! name of the node and the purpose) and a member. Adding a node changes no other's noise, a counterfactual replay sees
//! the noise of the primal run, and an exact oracle can hand out every possible outcome in turn.

use crate::{DistributionError, DistributionResult};
use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;
use stochgrad_tape::{Plate, Plates, Tape, Var};
use stochgrad_tensor::random::{Key, address_hash};
use stochgrad_tensor::{Real, Shape, Tensor, reduce};

/// The address of some noise: a node, and what the noise is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    address: u128,
}

impl NoiseKey {
    /// The noise of a node: its name, and its index if several nodes share the name.
    pub fn new(name: &str, index: Option<u64>) -> Self {
        NoiseKey { address: address_hash(name, index.as_slice()) }
    }

    /// Independent noise of the same node for another purpose.
    pub fn purpose(self, purpose: &str) -> Self {
        NoiseKey { address: address_hash(purpose, &[self.address as u64, (self.address >> 64) as u64]) }
    }

    /// The address as a number.
    pub fn address(self) -> u128 {
        self.address
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NoiseAxis {
    size: usize,
    stride: u64,
    offset: u64,
}

/// Which noise belongs to which element of a draw.
///
/// Noise is independent along data and sample plates, where it is indexed by the position in the whole plate even if only a
/// shard is drawn, and shared along enumerated and alternative plates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseLayout {
    axes: SmallVec<[NoiseAxis; 4]>,
    event: usize,
}

impl NoiseLayout {
    /// The layout of elements on some plates, `event` elements for each combination of their members.
    pub fn new<F: Real>(tape: &Tape<F>, plates: &[Plate], event: usize) -> Self {
        let mut axes: SmallVec<[NoiseAxis; 4]> = SmallVec::new();
        let mut stride = event as u64;
        for &plate in plates.iter().rev() {
            let size = tape.plate_size(plate);
            if tape.plate_kind(plate).has_own_noise() {
                axes.push(NoiseAxis { size, stride, offset: tape.plate_offset(plate) });
                stride *= size as u64;
            } else {
                axes.push(NoiseAxis { size, stride: 0, offset: 0 });
            }
        }
        axes.reverse();
        NoiseLayout { axes, event }
    }

    /// A layout without plates.
    pub fn flat(event: usize) -> Self {
        NoiseLayout { axes: SmallVec::new(), event }
    }

    /// How many elements are drawn.
    pub fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product::<usize>() * self.event
    }

    /// Whether nothing is drawn.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the noise of an element.
    pub fn index(&self, element: usize) -> u64 {
        let mut rest = element / self.event.max(1);
        let mut index = (element % self.event.max(1)) as u64;
        for axis in self.axes.iter().rev() {
            index += (axis.offset + (rest % axis.size) as u64) * axis.stride;
            rest /= axis.size;
        }
        index
    }

    /// The longest runs of elements whose noise is consecutive: their number of elements; the runs start at its multiples.
    pub fn run(&self) -> usize {
        let mut run = self.event;
        for axis in self.axes.iter().rev() {
            if axis.stride != run as u64 {
                break;
            }
            run *= axis.size;
        }
        run.max(1)
    }
}

/// A source of noise.
///
/// The one in use is [`KeyedNoise`]. The exact oracle has another, which hands out each uniform as an interval that every
/// inversion splits. A method that draws through this trait is therefore checked exactly as it is used.
pub trait NoiseSource<F: Real> {
    /// Uniform numbers in the open interval (0, 1): the very numbers that [`invert`](Self::invert) of the same key inverts.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Standard normal numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()>;

    /// Standard exponential numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn exponential(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.uniform(key, layout, out)?;
        out.iter_mut().for_each(|x| *x = -x.ln());
        Ok(())
    }

    /// Whole numbers by inversion: for each element the smallest `k` with `u < cdf(element, k)`, hence a monotone map of the noise.
    /// `cdf` must reach 1, or come within rounding of it.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn invert(&self, key: NoiseKey, layout: &NoiseLayout, cdf: &dyn Fn(usize, u64) -> f64, out: &mut [F]) -> DistributionResult<()>;

    /// Ones with the given probabilities: 1 where `u ≥ 1 − p`.
    ///
    /// # Errors
    /// If the source cannot give them.
    fn bernoulli(&self, key: NoiseKey, layout: &NoiseLayout, probabilities: &[F], out: &mut [F]) -> DistributionResult<()> {
        self.invert(key, layout, &|element, k| if k == 0 { 1.0 - probabilities[element].to_f64() } else { 1.0 }, out)
    }

    /// A random generator for one element, for samplers that need a random number of numbers.
    ///
    /// # Errors
    /// If the source cannot give one; the exact oracle cannot.
    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng>;
}

/// The noise of a run: ChaCha8, with a key made of seed, step and address.
///
/// It does not depend on threads, on the order of draws, or on what else is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedNoise {
    seed: u64,
    step: u64,
}

impl KeyedNoise {
    /// The noise of one step.
    pub fn new(seed: u64, step: u64) -> Self {
        KeyedNoise { seed, step }
    }

    fn key(&self, key: NoiseKey) -> Key {
        Key::new(self.seed, self.step, key.address)
    }

    fn fill<F: Real>(layout: &NoiseLayout, out: &mut [F], mut fill: impl FnMut(u64, &mut [F])) {
        let run = layout.run();
        for (index, chunk) in out.chunks_mut(run).enumerate() {
            fill(layout.index(index * run), chunk);
        }
    }
}

impl<F: Real> NoiseSource<F> for KeyedNoise {
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        let key = self.key(key);
        Self::fill(layout, out, |start, chunk| key.uniform(start, chunk));
        Ok(())
    }

    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        let key = self.key(key);
        Self::fill(layout, out, |start, chunk| key.normal(start, chunk));
        Ok(())
    }

    fn invert(&self, key: NoiseKey, layout: &NoiseLayout, cdf: &dyn Fn(usize, u64) -> f64, out: &mut [F]) -> DistributionResult<()> {
        NoiseSource::<F>::uniform(self, key, layout, out)?;
        for (element, x) in out.iter_mut().enumerate() {
            *x = F::from_f64(quantile(x.to_f64(), |k| cdf(element, k)) as f64);
        }
        Ok(())
    }

    fn bernoulli(&self, key: NoiseKey, layout: &NoiseLayout, probabilities: &[F], out: &mut [F]) -> DistributionResult<()> {
        NoiseSource::<F>::uniform(self, key, layout, out)?;
        for (x, &p) in out.iter_mut().zip(probabilities) {
            *x = if *x >= F::ONE - p { F::ONE } else { F::ZERO };
        }
        Ok(())
    }

    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng> {
        Ok(self.key(key).rng(index))
    }
}

/// The smallest `k` with `u < cdf(k)`, by doubling and bisection.
pub fn quantile(u: f64, cdf: impl Fn(u64) -> f64) -> u64 {
    if u < cdf(0) {
        return 0;
    }
    let mut low = 0;
    let mut high = 1;
    // A distribution function that stops short of `u` by rounding ends the search far in its tail.
    while u >= cdf(high) && high < 1 << 52 {
        low = high;
        high *= 2;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if u < cdf(middle) { high = middle } else { low = middle }
    }
    high
}

/// A request for values of a node on some plates: what a distribution draws from.
#[derive(Clone)]
pub struct Draw<'a, F: Real> {
    tape: &'a Tape<F>,
    source: &'a dyn NoiseSource<F>,
    key: NoiseKey,
    plates: Plates,
}

impl<'a, F: Real> Draw<'a, F> {
    /// A request on the given plates, which must be in the order in which they were made.
    pub fn new(tape: &'a Tape<F>, source: &'a dyn NoiseSource<F>, key: NoiseKey, plates: Plates) -> Self {
        Draw { tape, source, key, plates }
    }

    /// The plates that the values will carry.
    pub fn plates(&self) -> &Plates {
        &self.plates
    }

    /// The same request with independent noise for another purpose.
    pub fn purpose(&self, purpose: &str) -> Self {
        Draw { key: self.key.purpose(purpose), ..self.clone() }
    }

    /// The shape of the values: plate axes, then event axes.
    pub fn shape(&self, event: &Shape) -> Shape {
        self.plates.iter().map(|&plate| self.tape.plate_size(plate)).chain(event.iter().copied()).collect()
    }

    fn layout(&self, event: &Shape) -> NoiseLayout {
        NoiseLayout::new(self.tape, &self.plates, event.numel())
    }

    /// The value of a parameter, repeated to the plates of the request and an event shape.
    ///
    /// # Errors
    /// The first error on the tape, or a parameter that does not fit.
    pub fn parameter(&self, parameter: Var<'_, F>, event: &Shape) -> DistributionResult<Tensor<F>> {
        let value = parameter.peek()?;
        let own = parameter.plates();
        let full = self.shape(event);
        if *value.shape() == full && own == self.plates {
            return Ok(value);
        }
        let own_event = &value.shape()[own.len()..];
        if own.iter().any(|plate| !self.plates.contains(plate)) || own_event.len() > event.len() {
            return Err(DistributionError::Noise(format!("a parameter of shape {} does not fit a draw of shape {full}", value.shape())));
        }
        let aligned: Shape = self
            .plates
            .iter()
            .map(|plate| own.iter().position(|other| other == plate).map_or(1, |at| value.shape()[at]))
            .chain(std::iter::repeat_n(1, event.len() - own_event.len()))
            .chain(own_event.iter().copied())
            .collect();
        Ok(reduce::expand(self.tape.pool(), &value.with_shape(aligned), &full))
    }

    fn fill(&self, event: &Shape, fill: impl FnOnce(&NoiseLayout, &mut [F]) -> DistributionResult<()>) -> DistributionResult<Tensor<F>> {
        let mut out = self.tape.pool().take(self.shape(event));
        fill(&self.layout(event), out.make_mut())?;
        Ok(out)
    }

    /// Uniform numbers in (0, 1).
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn uniform(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| self.source.uniform(self.key, layout, out))
    }

    /// Standard normal numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn normal(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| self.source.normal(self.key, layout, out))
    }

    /// Standard exponential numbers.
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn exponential(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| self.source.exponential(self.key, layout, out))
    }

    /// Whole numbers by inversion of a distribution function of the element (plates and event axes flattened) and the number.
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn invert(&self, event: &Shape, cdf: &dyn Fn(usize, u64) -> f64) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| self.source.invert(self.key, layout, cdf, out))
    }

    /// Ones with the given probabilities, which have the full shape of the draw.
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn bernoulli(&self, event: &Shape, probabilities: &Tensor<F>) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| self.source.bernoulli(self.key, layout, probabilities.as_slice(), out))
    }

    /// Categories by inversion; `probabilities` has the full shape of the draw and the categories as its last axis.
    ///
    /// # Errors
    /// If the source cannot give them.
    pub fn categorical(&self, event: &Shape, probabilities: &Tensor<F>) -> DistributionResult<Tensor<F>> {
        let classes = probabilities.shape().last().copied().unwrap_or(1);
        let mut cumulative: Vec<f64> = Vec::with_capacity(probabilities.len());
        for row in probabilities.as_slice().chunks(classes.max(1)) {
            let total: f64 = row.iter().map(|p| p.to_f64()).sum();
            // Everything from the last possible category on is certain, whatever rounding says.
            let last = row.iter().rposition(|p| p.to_f64() > 0.0).unwrap_or(classes - 1);
            let mut sum = 0.0;
            for (k, p) in row.iter().enumerate() {
                sum += p.to_f64();
                cumulative.push(if k >= last { 1.0 } else { sum / total });
            }
        }
        let cdf = |element: usize, k: u64| cumulative.get(element * classes + (k as usize).min(classes - 1)).copied().unwrap_or(1.0);
        self.invert(event, &cdf)
    }

    /// Numbers from a random generator for each element, for samplers that need a random number of numbers.
    ///
    /// # Errors
    /// If the source has no generators: the exact oracle has none.
    pub fn generate(&self, event: &Shape, mut sample: impl FnMut(usize, &mut ChaCha8Rng) -> F) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| {
            for (element, x) in out.iter_mut().enumerate() {
                *x = sample(element, &mut self.source.generator(self.key, layout.index(element))?);
            }
            Ok(())
        })
    }

    /// Records values of this draw as a constant on its plates.
    pub fn record<'t>(&self, tape: &'t Tape<F>, value: Tensor<F>) -> Var<'t, F> {
        tape.constant_on(&self.plates, value)
    }
}
