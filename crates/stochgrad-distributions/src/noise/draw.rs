//! Requests for noise, from which distributions draw.

use crate::error::{DistributionError, DistributionResult};
use crate::noise::key::NoiseKey;
use crate::noise::source::NoiseSource;
use smallvec::SmallVec;
use std::sync::Arc;
use stochgrad_tape::{
    DrawKey, NoiseLayout, NoiseScheme, Plate, Plates, Sampler, Tape, Var, draw_element, draw_elements,
};
use stochgrad_tensor::random::{Fill, unfold};
use stochgrad_tensor::sampling_scheme::{Place, SamplingScheme};
use stochgrad_tensor::{Real, Shape, Tensor, reduce};

/// A request for the values of a node on some plates, from which a distribution draws.
///
/// It names the noise source, the address of the noise, and the plates that the values carry. A distribution calls the
/// methods of the request: [`uniform`](Self::uniform), [`normal`](Self::normal) and others for tensors of noise, and
/// the methods with `record_` for noise on the tape, which a compiled graph draws again. `event` is always the event
/// shape; the result has the plates as leading axes.
#[derive(Clone)]
pub struct Draw<'a, F: Real> {
    pub(crate) tape: &'a Tape<F>,
    pub(crate) source: &'a dyn NoiseSource<F>,
    pub(crate) key: NoiseKey,
    pub(crate) plates: Plates,
    scheme: Option<(SamplingScheme, Plate)>,
}

impl<'a, F: Real> Draw<'a, F> {
    /// A request on the given plates, in the order of their creation.
    pub fn new(tape: &'a Tape<F>, source: &'a dyn NoiseSource<F>, key: NoiseKey, plates: Plates) -> Self {
        Draw { tape, source, key, plates, scheme: None }
    }

    /// The same request with the members of one of its plates drawn jointly by a sampling scheme (antithetic,
    /// stratified, systematic, Sobol), which lowers the variance of their mean. Each uniform, normal or exponential
    /// sample that a distribution needs is a dimension of its own. A [sampler](Self::record_draw) with an unknown number
    /// of them returns an error: a distribution that is drawn by one uses its quantile function with a scheme.
    pub fn with_scheme(self, scheme: SamplingScheme, plate: Plate) -> Self {
        Draw { scheme: Some((scheme, plate)), ..self }
    }

    /// Whether the members of a plate are drawn by a sampling scheme.
    pub fn has_scheme(&self) -> bool {
        self.scheme.is_some()
    }

    /// The plates that the values carry.
    pub fn plates(&self) -> &Plates {
        &self.plates
    }

    /// The same request with independent noise for another purpose. Use it where a distribution needs several samples
    /// of the same kind.
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

    /// The value of a parameter, repeated along the plates of the request and to an event shape.
    ///
    /// # Errors
    /// The first error on the tape, or a parameter whose plates or shape do not fit.
    pub fn parameter(&self, parameter: Var<'_, F>, event: &Shape) -> DistributionResult<Tensor<F>> {
        let value = parameter.peek()?;
        let own = parameter.plates();
        let full = self.shape(event);
        if *value.shape() == full && own == self.plates {
            return Ok(value);
        }
        self.check_plates(parameter, event)?;
        let own_event = &value.shape()[own.len()..];
        let aligned: Shape = self
            .plates
            .iter()
            .map(|plate| own.iter().position(|other| other == plate).map_or(1, |at| value.shape()[at]))
            .chain(std::iter::repeat_n(1, event.len() - own_event.len()))
            .chain(own_event.iter().copied())
            .collect();
        Ok(reduce::expand(self.tape.pool(), &value.with_shape(aligned), &full))
    }

    /// Checks that the plates and the event axes of a parameter are among those of the draw.
    fn check_plates(&self, parameter: Var<'_, F>, event: &Shape) -> DistributionResult<()> {
        let (own, shape) = (parameter.plates(), parameter.shape());
        if own.iter().all(|plate| self.plates.contains(plate)) && shape.len() <= event.len() {
            return Ok(());
        }
        let sizes = own.iter().map(|&plate| parameter.tape().plate_size(plate));
        Err(DistributionError::Noise(format!(
            "expected a parameter that broadcasts to the draw, of shape {}, got shape {}; put it on a plate of the \
             draw, or check its event axes",
            self.shape(event),
            sizes.chain(shape.iter().copied()).collect::<Shape>()
        )))
    }

    pub(crate) fn fill(
        &self,
        event: &Shape,
        fill: impl FnOnce(&NoiseLayout, &mut [F]) -> DistributionResult<()>,
    ) -> DistributionResult<Tensor<F>> {
        self.tape.note_host_work();
        self.tape.check_memory("a draw", &self.plates, event.checked_numel().unwrap_or(usize::MAX))?;
        let mut out = self.tape.pool().take(self.shape(event));
        fill(&self.layout(event), out.make_mut())?;
        Ok(out)
    }

    /// Noise of a kind. All kinds but the normal are functions of the same uniform samples.
    ///
    /// # Errors
    /// If the source cannot provide it.
    pub fn noise(&self, fill: Fill, event: &Shape) -> DistributionResult<Tensor<F>> {
        let Some((scheme, plate)) = self.scheme else {
            return self.fill(event, |layout, out| self.source.fill(fill, self.key, layout, out));
        };
        let base = if fill == Fill::Normal && scheme.is_mirroring() { Fill::Normal } else { Fill::Folded };
        let draw = |layout: &NoiseLayout, out: &mut [F]| self.source.fill(base, self.key, layout, out);
        if fill == Fill::Normal {
            return self.fill_by_scheme((scheme, plate), event, draw, |place, x| place.normal(scheme, x));
        }
        let mut out = self.fill_by_scheme((scheme, plate), event, draw, Place::folded)?;
        unfold(fill, out.make_mut());
        Ok(out)
    }

    /// Uniform samples in (0, 1).
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn uniform(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        self.noise(Fill::Uniform, event)
    }

    /// Standard normal samples.
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn normal(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        self.noise(Fill::Normal, event)
    }

    /// Standard exponential samples.
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn exponential(&self, event: &Shape) -> DistributionResult<Tensor<F>> {
        if self.scheme.is_some() {
            return self.noise(Fill::Exponential, event);
        }
        self.fill(event, |layout, out| self.source.exponential(self.key, layout, out))
    }

    /// Integers by inversion: for each element the smallest `k` with `u < cdf(element, k)`. `element` is the position
    /// among the plates and event axes flattened.
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn invert(&self, event: &Shape, cdf: &dyn Fn(usize, u64) -> f64) -> DistributionResult<Tensor<F>> {
        self.fill(event, |layout, out| match self.scheme {
            None => self.source.invert(self.key, layout, cdf, out),
            Some((scheme, plate)) => {
                let (layout, numbers) = self.scheme_uniforms(scheme, plate, event)?;
                self.source.invert_by_scheme(self.key, &layout, &numbers, cdf, out)
            }
        })
    }

    /// Bits that are 1 with the given probabilities, which have the full shape of the draw.
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn bernoulli(&self, event: &Shape, probabilities: &Tensor<F>) -> DistributionResult<Tensor<F>> {
        if self.scheme.is_some() && self.source.seed().is_some() {
            let mut bits = self.noise(Fill::Mirrored, event)?;
            for (bit, &p) in bits.make_mut().iter_mut().zip(probabilities.as_slice()) {
                *bit = if *bit < p { F::ONE } else { F::ZERO };
            }
            return Ok(bits);
        }
        if self.scheme.is_some() {
            let zero = |element: usize| 1.0 - probabilities.as_slice()[element].to_f64();
            return self.invert(event, &|element, k| if k == 0 { zero(element) } else { 1.0 });
        }
        self.fill(event, |layout, out| self.source.bernoulli(self.key, layout, probabilities.as_slice(), out))
    }

    /// Categories as integers, by inversion. `probabilities` has the full shape of the draw, then the categories along
    /// a last axis.
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn categorical(&self, event: &Shape, probabilities: &Tensor<F>) -> DistributionResult<Tensor<F>> {
        let classes = probabilities.shape().last().copied().unwrap_or(1);
        let mut cumulative: Vec<f64> = Vec::with_capacity(probabilities.len());
        for row in probabilities.as_slice().chunks(classes.max(1)) {
            let total: f64 = row.iter().map(|p| p.to_f64()).sum();
            // From the last possible category on the sum is exactly 1, in spite of rounding.
            let last = row.iter().rposition(|p| p.to_f64() > 0.0).unwrap_or(classes - 1);
            let mut sum = 0.0;
            for (k, p) in row.iter().enumerate() {
                sum += p.to_f64();
                cumulative.push(if k >= last { 1.0 } else { sum / total });
            }
        }
        let cdf = |element: usize, k: u64| {
            cumulative.get(element * classes + (k as usize).min(classes - 1)).copied().unwrap_or(1.0)
        };
        self.invert(event, &cdf)
    }

    /// Noise of a kind, recorded on the tape: the same values as [`noise`](Self::noise).
    ///
    /// Use [`Fill::Mirrored`] instead of `1 − u`, and [`Fill::Folded`] for quantiles that need both tails: the random
    /// words have more digits near 0 than a floating-point value near 1.
    ///
    /// # Errors
    /// If the source cannot provide it.
    pub fn record_noise<'t>(&self, tape: &'t Tape<F>, fill: Fill, event: &Shape) -> DistributionResult<Var<'t, F>> {
        match self.recorded(tape, fill, event) {
            Some(noise) => Ok(noise),
            None => Ok(self.record_host(tape, self.noise(fill, event)?)),
        }
    }

    /// Uniform samples in (0, 1), recorded on the tape: the same values as [`uniform`](Self::uniform).
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn record_uniform<'t>(&self, tape: &'t Tape<F>, event: &Shape) -> DistributionResult<Var<'t, F>> {
        self.record_noise(tape, Fill::Uniform, event)
    }

    /// Standard normal samples, recorded on the tape: the same values as [`normal`](Self::normal).
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn record_normal<'t>(&self, tape: &'t Tape<F>, event: &Shape) -> DistributionResult<Var<'t, F>> {
        self.record_noise(tape, Fill::Normal, event)
    }

    /// Standard exponential samples, recorded on the tape: the same values as [`exponential`](Self::exponential).
    ///
    /// # Errors
    /// If the source cannot provide them.
    pub fn record_exponential<'t>(&self, tape: &'t Tape<F>, event: &Shape) -> DistributionResult<Var<'t, F>> {
        match self.recorded(tape, Fill::Exponential, event) {
            Some(noise) => Ok(noise),
            None => Ok(self.record_host(tape, self.exponential(event)?)),
        }
    }

    /// Categories as integers, by inversion of uniform samples, recorded on the tape. `probabilities` has the event axes,
    /// or axes that broadcast to them, then the categories along a last axis; positive multiples will do. No gradient
    /// flows through the result.
    ///
    /// # Errors
    /// If the source cannot provide the samples, and for probabilities on plates that the request lacks.
    pub fn record_categorical<'t>(
        &self,
        tape: &'t Tape<F>,
        event: &Shape,
        probabilities: Var<'t, F>,
    ) -> DistributionResult<Var<'t, F>> {
        if self.records_noise(tape) {
            return Ok(probabilities.categories(self.record_noise(tape, Fill::Folded, event)?));
        }
        let classes = probabilities.shape().last().copied().unwrap_or(1);
        let full: Shape = event.iter().copied().chain([classes]).collect();
        let chosen = self.categorical(event, &self.parameter(probabilities, &full)?)?;
        Ok(self.record_host(tape, chosen))
    }

    /// Values that a sampler draws, recorded on the tape. The sampler makes as many attempts at each element as it needs.
    /// The parameters broadcast to the plates of the request and the event shape. No gradient flows to them.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stochgrad_distributions::{Draw, KeyedNoise, NoiseKey};
    /// use stochgrad_tape::{Attempt, Plates, Sampler, Tape};
    /// use stochgrad_tensor::{Real, Shape};
    ///
    /// /// Uniform samples that are below a limit.
    /// struct Below;
    /// impl<F: Real> Sampler<F> for Below {
    ///     fn name(&self) -> &str { "below" }
    ///     fn attempt(&self, attempt: &mut Attempt<'_, F>) {
    ///         let mut uniform = [F::ZERO; Attempt::<f64>::LARGEST];
    ///         attempt.uniform(0, &mut uniform[..attempt.len()]);
    ///         for (element, &limit) in attempt.parameter(0).iter().enumerate() {
    ///             let possible = limit > F::ZERO;
    ///             attempt.values[element] = if possible { uniform[element] } else { F::NAN };
    ///             attempt.rejected[element] = possible && uniform[element] >= limit;
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tape, noise) = (Tape::<f64>::new(), KeyedNoise::new(7, 0));
    /// let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    /// let limit = tape.constant([0.1, 0.5, 0.9]);
    /// let values = draw.record_draw(&tape, Arc::new(Below), &[limit], &Shape::from([3]))?.peek()?;
    /// assert!(values.as_slice()[0] < 0.1 && values.as_slice()[1] < 0.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the source has no addresses and no generators, as the exact oracle; for a draw by a sampling scheme; or for
    /// parameters whose plates or shape do not fit.
    pub fn record_draw<'t>(
        &self,
        tape: &'t Tape<F>,
        sampler: Arc<dyn Sampler<F>>,
        parameters: &[Var<'t, F>],
        event: &Shape,
    ) -> DistributionResult<Var<'t, F>> {
        if let Some((scheme, _)) = self.scheme {
            return Err(DistributionError::Noise(format!(
                "expected a distribution with a fixed number of random values for the {scheme} scheme, got a sampler \
                 with rejection, {}; use a quantile function where Draw::has_scheme() says so, or draw without a scheme",
                sampler.name()
            )));
        }
        for parameter in parameters {
            self.check_plates(*parameter, event)?;
        }
        let here = if std::ptr::eq(self.tape, tape) { self.source.seed() } else { None };
        let recorded =
            here.and_then(|seed| tape.draw(seed, sampler.clone(), self.key.address(), parameters, &self.plates, event));
        match recorded {
            Some(values) => Ok(values),
            None => Ok(self.record_host(tape, self.drawn(&*sampler, parameters, event)?)),
        }
    }

    /// The values of a sampler, drawn by the host. For a source with a seed they are those that are recorded.
    fn drawn(
        &self,
        sampler: &dyn Sampler<F>,
        parameters: &[Var<'_, F>],
        event: &Shape,
    ) -> DistributionResult<Tensor<F>> {
        let parameters: SmallVec<[Tensor<F>; 3]> =
            parameters.iter().map(|&parameter| self.parameter(parameter, event)).collect::<Result<_, _>>()?;
        self.fill(event, |layout, out| {
            let views: SmallVec<[&[F]; 3]> = parameters.iter().map(Tensor::as_slice).collect();
            if let Some(seed) = self.source.seed() {
                let key = DrawKey::new(seed.seed, seed.step, self.key.address());
                return draw_elements(self.tape.pool(), sampler, &key, layout, &views, out)
                    .map_err(DistributionError::Noise);
            }
            for (element, x) in out.iter_mut().enumerate() {
                let own: SmallVec<[F; 3]> = views.iter().map(|view| view[element]).collect();
                let mut generator = self.source.generator(self.key, layout.index(element))?;
                *x = draw_element(sampler, &own, &mut generator).map_err(DistributionError::Noise)?;
            }
            Ok(())
        })
    }

    /// Whether noise is recorded as operations on this tape.
    pub fn records_noise(&self, tape: &Tape<F>) -> bool {
        std::ptr::eq(self.tape, tape) && self.source.seed().is_some()
    }

    fn recorded<'t>(&self, tape: &'t Tape<F>, fill: Fill, event: &Shape) -> Option<Var<'t, F>> {
        if !std::ptr::eq(self.tape, tape) {
            return None;
        }
        let scheme = self.scheme.map(|(scheme, plate)| NoiseScheme { scheme, plate, strata: self.strata().address() });
        tape.noise_by(scheme, self.source.seed()?, fill, self.key.address(), &self.plates, event)
    }

    fn record_host<'t>(&self, tape: &'t Tape<F>, value: Tensor<F>) -> Var<'t, F> {
        tape.note_host_work();
        self.record(tape, value)
    }

    /// Records values of this draw as a constant on its plates.
    pub fn record<'t>(&self, tape: &'t Tape<F>, value: Tensor<F>) -> Var<'t, F> {
        tape.constant_on(&self.plates, value)
    }
}

#[cfg(test)]
mod tests;
