//! Draws by a [`SamplingScheme`]: the noise of several members, drawn jointly.
//!
//! The strata of a scheme are integers drawn by inversion, and the positions inside them are uniform samples. Any
//! [`NoiseSource`](crate::NoiseSource) can therefore provide them, the exact oracle included. Recorded noise is one
//! operation that does the same.

use crate::error::{DistributionError, DistributionResult};
use crate::noise::draw::Draw;
use crate::noise::key::NoiseKey;
use crate::noise::scheme_uniform::SchemeUniform;
use stochgrad_tape::{NoiseLayout, Plate};
use stochgrad_tensor::sampling_scheme::{Place, SamplingScheme};
use stochgrad_tensor::{Real, Shape, Tensor};

impl<F: Real> Draw<'_, F> {
    /// The uniform samples of a scheme: their layout, and for each element the position of its sample and the place to
    /// which the scheme moves it.
    pub(crate) fn scheme_uniforms(
        &self,
        scheme: SamplingScheme,
        plate: Plate,
        event: &Shape,
    ) -> DistributionResult<(NoiseLayout, Vec<SchemeUniform>)> {
        let (shape, elements) = (self.shape(event), event.numel());
        let Some(at) = self.plates.iter().position(|&other| other == plate) else {
            return Err(DistributionError::Noise(format!(
                "expected a draw on the plate of the members of the {scheme} scheme, got one without this plate"
            )));
        };
        let members = shape[at];
        scheme.check(members, elements).map_err(DistributionError::Noise)?;
        let [outer, inner] = [&shape[..at], &shape[at + 1..]].map(|sizes| sizes.iter().product::<usize>());
        let decisions = scheme.choices(members);
        let mut choices = vec![F::ZERO; outer * decisions * inner];
        let cdf =
            |choice: usize, k: u64| (k + 1) as f64 / scheme.options(choice / inner.max(1) % decisions.max(1)) as f64;
        let layout = |members| NoiseLayout::resized(self.tape, &self.plates, elements, plate, members);
        self.source.invert(self.strata(), &layout(decisions), &cdf, &mut choices)?;
        let numbers = scheme.numbers(members);
        let mut placed = vec![SchemeUniform { base: 0, place: scheme.place(members, 0, 0) }; shape.numel()];
        let mut strata = vec![0; members];
        for before in 0..outer {
            for after in 0..inner {
                let choice = |number: usize| choices[(before * decisions + number) * inner + after].to_f64() as usize;
                scheme.stratify(after % elements.max(1), choice, &mut strata);
                for (member, &stratum) in strata.iter().enumerate() {
                    placed[(before * members + member) * inner + after] = SchemeUniform {
                        base: (before * numbers + scheme.number_of(member)) * inner + after,
                        place: scheme.place(members, member, stratum),
                    };
                }
            }
        }
        Ok((layout(numbers), placed))
    }

    /// The address of the noise that decides the strata of a scheme.
    pub(crate) fn strata(&self) -> NoiseKey {
        self.key.purpose("strata")
    }

    /// The samples of the source, each moved to its place by the scheme.
    pub(crate) fn fill_by_scheme(
        &self,
        (scheme, plate): (SamplingScheme, Plate),
        event: &Shape,
        draw: impl FnOnce(&NoiseLayout, &mut [F]) -> DistributionResult<()>,
        number: impl Fn(Place, F) -> F,
    ) -> DistributionResult<Tensor<F>> {
        self.fill(event, |_, out| {
            let (layout, numbers) = self.scheme_uniforms(scheme, plate, event)?;
            let mut base = vec![F::ZERO; layout.len()];
            draw(&layout, &mut base)?;
            out.iter_mut().zip(&numbers).for_each(|(x, placed)| *x = number(placed.place, base[placed.base]));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::beta::Beta;
    use crate::continuous::gamma::Gamma;
    use crate::continuous::inverse_gamma::InverseGamma;
    use crate::continuous::student_t::StudentT;
    use crate::continuous::von_mises::VonMises;
    use crate::discrete::bernoulli::Bernoulli;
    use crate::discrete::poisson::Poisson;
    use crate::distribution::{CumulativeDistribution, Distribution};
    use crate::noise::keyed::KeyedNoise;
    use std::sync::Arc;
    use stochgrad_tape::{Attempt, PlateKind, Plates, Sampler, Tape};

    /// A sampler that may reject.
    struct Below;

    impl<F: Real> Sampler<F> for Below {
        fn name(&self) -> &str {
            "below"
        }

        fn attempt(&self, attempt: &mut Attempt<'_, F>) {
            attempt.values.fill(F::ZERO);
            attempt.rejected.fill(false);
        }
    }

    const NOISE: KeyedNoise = KeyedNoise::new(1, 0);
    const SCHEMES: [SamplingScheme; 4] = [
        SamplingScheme::Antithetic,
        SamplingScheme::Stratified,
        SamplingScheme::Systematic,
        SamplingScheme::Sobol { first: 2 },
    ];

    /// A plate of five members of a scheme between two other plates, and a shared one.
    fn request<'a, F: Real>(tape: &'a Tape<F>, scheme: SamplingScheme, batch: usize, offset: u64) -> Draw<'a, F>
    where
        KeyedNoise: crate::NoiseSource<F>,
    {
        let data = tape.plate("data", batch, PlateKind::Data, &[]);
        let shared = tape.plate("states", 2, PlateKind::Enumerated, &[]);
        let members = tape.plate("members", 5, PlateKind::SchemeSamples, &[]);
        let samples = tape.plate("samples", 3, PlateKind::Samples, &[]);
        tape.set_plate_offset(data, offset);
        let plates = Plates::from_slice(&[data, shared, members, samples]);
        Draw::new(tape, &NOISE, NoiseKey::new("x", None), plates).with_scheme(scheme, members)
    }

    #[test]
    fn recorded_numbers_are_those_of_the_host() {
        fn compare<F: Real>() {
            for scheme in SCHEMES {
                let tape = Tape::<F>::new();
                let draw = request(&tape, scheme, 4, 0);
                let event = Shape::from([2]);
                assert_eq!(draw.record_uniform(&tape, &event).unwrap().peek().unwrap(), draw.uniform(&event).unwrap());
                assert_eq!(draw.record_normal(&tape, &event).unwrap().peek().unwrap(), draw.normal(&event).unwrap());
                let exponential = draw.record_exponential(&tape, &event).unwrap().peek().unwrap();
                for (recorded, host) in exponential.as_slice().iter().zip(draw.exponential(&event).unwrap().as_slice())
                {
                    assert!((*recorded - *host).abs() <= F::EPSILON * F::from_f64(8.0) * host.abs(), "{scheme}");
                }
                let p = tape.constant([0.3, 0.8]);
                let distribution = Bernoulli::from_probabilities(p);
                assert_eq!(distribution.sample(&draw).unwrap().peek().unwrap(), distribution.draw(&draw).unwrap());
            }
        }
        compare::<f64>();
        compare::<f32>();
    }

    #[test]
    fn a_shard_draws_what_the_whole_batch_would_and_states_share_noise() {
        for scheme in SCHEMES {
            let tape = Tape::<f64>::new();
            let event = Shape::from([2]);
            let whole = request(&tape, scheme, 6, 0).uniform(&event).unwrap();
            let shard = request(&tape, scheme, 2, 3).uniform(&event).unwrap();
            let row = 2 * 5 * 3 * 2;
            assert_eq!(whole.as_slice()[3 * row..5 * row], *shard.as_slice());
            assert_eq!(shard.as_slice()[..row / 2], shard.as_slice()[row / 2..row]);
            assert_ne!(shard.as_slice()[..row], shard.as_slice()[row..]);
        }
    }

    #[test]
    fn whole_numbers_are_spread_as_their_noise_is() {
        let tape = Tape::<f64>::new();
        let members = tape.plate("members", 64, PlateKind::SchemeSamples, &[]);
        let distribution = Poisson::from_rate(tape.constant(3.0));
        for scheme in [SamplingScheme::Stratified, SamplingScheme::Systematic, SamplingScheme::sobol()] {
            let draw = Draw::new(&tape, &NOISE, NoiseKey::new("n", None), Plates::from_slice(&[members]))
                .with_scheme(scheme, members);
            let drawn = distribution.draw(&draw).unwrap();
            // The counts of 0, 1 and 2 differ from the expected ones by less than one member at each end.
            for k in 0..3 {
                let expected = 64.0 * (-3.0_f64).exp() * [1.0, 3.0, 4.5][k];
                let found = drawn.as_slice().iter().filter(|&&x| x == k as f64).count() as f64;
                assert!((found - expected).abs() < 2.0, "{scheme}: {found} draws of {k}, not {expected}");
            }
        }
    }

    /// Each of n equal parts of the probability has one of n members.
    fn assert_one_in_each_part<F: Real>(distribution: &dyn CumulativeDistribution<'_, F>)
    where
        KeyedNoise: crate::NoiseSource<F>,
    {
        const MEMBERS: usize = 64;
        let tape = distribution.tape().unwrap();
        let members = tape.plate("members", MEMBERS, PlateKind::SchemeSamples, &[]);
        for scheme in [SamplingScheme::Stratified, SamplingScheme::Systematic, SamplingScheme::sobol()] {
            let draw = Draw::new(tape, &NOISE, NoiseKey::new("x", None), Plates::from_slice(&[members]))
                .with_scheme(scheme, members);
            let value = distribution.sample(&draw).unwrap();
            let (below, above) =
                (distribution.cdf(value).peek().unwrap(), distribution.survival(value).peek().unwrap());
            let mut parts = [0; MEMBERS];
            for (below, above) in below.as_slice().iter().zip(above.as_slice()) {
                let from_below = below.to_f64() < 0.5;
                let tail = if from_below { *below } else { *above }.to_f64() * MEMBERS as f64;
                parts[if from_below { tail as usize } else { MEMBERS - 1 - tail as usize }] += 1;
            }
            assert_eq!(parts, [1; MEMBERS], "{} by the {scheme} scheme", distribution.name());
        }
    }

    #[test]
    fn distributions_that_are_drawn_by_rejection_use_their_quantiles() {
        let tape = Tape::<f64>::new();
        let c = |number: f64| tape.constant(number);
        for a in [0.05, 0.7, 2.0, 50.0, 1e5] {
            assert_one_in_each_part(&Gamma::new(c(a), 3.0));
            assert_one_in_each_part(&InverseGamma::new(c(a), 0.5));
        }
        for (a, b) in [(0.05, 0.6), (2.0, 3.5), (400.0, 0.7), (1e4, 2e4), (1.0, 1.0)] {
            assert_one_in_each_part(&Beta::new(c(a), b));
        }
        for degrees in [0.3, 1.0, 4.0, 200.0] {
            assert_one_in_each_part(&StudentT::new(c(degrees), 0.4, 2.0));
        }
        for concentration in [1e-6, 0.5, 8.0, 1e4] {
            assert_one_in_each_part(&VonMises::new(c(0.0), concentration));
        }
        let tape = Tape::<f32>::new();
        assert_one_in_each_part(&Gamma::new(tape.constant(0.05), 3.0));
        assert_one_in_each_part(&Beta::new(tape.constant(0.2), 3.0));
        assert_one_in_each_part(&StudentT::new(tape.constant(3.0), 0.0, 1.0));
        assert_one_in_each_part(&VonMises::new(tape.constant(0.0), 2.0));
    }

    #[test]
    fn samplers_with_rejection_and_too_many_dimensions_are_refused() {
        let tape = Tape::<f64>::new();
        let draw = request(&tape, SamplingScheme::Stratified, 1, 0);
        let error = draw.record_draw(&tape, Arc::new(Below), &[], &Shape::scalar()).unwrap_err().to_string();
        assert!(error.contains("rejection, below") && error.contains("stratified"), "{error}");
        let wide = request(&tape, SamplingScheme::sobol(), 1, 0);
        let error = wide.uniform(&Shape::from([600])).unwrap_err().to_string();
        assert!(error.contains("512 dimensions"), "{error}");
        assert!(wide.record_uniform(&tape, &Shape::from([600])).unwrap().peek().is_err());
    }
}
