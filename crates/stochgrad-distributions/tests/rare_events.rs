//! Rare events in single precision happen as often as they should.

use stochgrad_distributions::{
    Bernoulli, BetaBinomial, Binomial, Categorical, Distribution, DistributionResult, Draw, Geometric, Hurdle,
    KeyedNoise, NegativeBinomial, NoiseKey, NoiseSource, OrderedLogistic, Poisson, SchemeUniform, ZeroInflated, Zipf,
    quantile,
};
use stochgrad_tape::{NoiseLayout, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::{Fill, Key, unfold};

/// The probability of a rare event, and what has it.
type Rare = for<'t> fn(Var<'t, f32>) -> Box<dyn Distribution<'t, f32> + 't>;

const PROBABILITIES: [f32; 6] = [1e-9, 2.5e-8, 4e-8, 1.5e-7, 1e-6, 1e-3];

#[test]
fn counts_above_zero_are_as_likely_as_the_upper_tail_of_the_noise() {
    let tape = Tape::<f32>::new();
    for p in PROBABILITIES {
        let tail = f64::from(p);
        // Folded noise just inside and just outside of the upper tail, by a hundredth.
        let noise = tape.constant([-0.99_f32 * p, -1.01 * p]);
        let [rate, one] = [p, 1.0].map(|x| tape.constant(x));
        let rare = -(-tail).ln_1p();
        let counts = [
            ("Poisson", stochgrad_tape::special::poisson_draw(noise, tape.constant(rare as f32))),
            ("Binomial", stochgrad_tape::special::binomial_draw(noise, one, rate)),
            ("Categorical", Var::stack(&[one - rate, rate]).unwrap().categories(noise)),
        ];
        for (name, drawn) in counts {
            assert_eq!(drawn.peek().unwrap().to_vec(), [1.0, 0.0], "{name} with {p}");
        }
    }
}

#[test]
fn bits_of_the_host_are_those_that_are_recorded() {
    let (tape, noise) = (Tape::<f32>::new(), KeyedNoise::new(5, 0));
    let plate = tape.plate("samples", 100_000, PlateKind::Samples, &[]);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    for p in PROBABILITIES.into_iter().chain([0.5, 1.0 - 1e-6, 1.0, 0.0]) {
        let bernoulli = Bernoulli::from_probabilities(tape.constant(p));
        let table = stochgrad_tensor::Tensor::full([100_000], p);
        assert_eq!(bernoulli.draw(&draw).unwrap(), draw.bernoulli(&[].as_slice().into(), &table).unwrap(), "{p}");
    }
}

#[test]
#[ignore = "draws 10⁸ samples of each distribution"]
fn frequencies_of_rare_events_are_their_probabilities() {
    let distributions: [(&str, Rare); 11] = [
        ("Bernoulli", |p| Box::new(Bernoulli::from_probabilities(p))),
        ("Categorical", |p| Box::new(Categorical::from_probabilities(Var::stack(&[1.0 - p, p]).expect("two")))),
        ("Poisson", |p| Box::new(Poisson::from_rate(p))),
        ("Binomial", |p| Box::new(Binomial::from_probabilities(p.tape().constant(1.0), p))),
        ("Geometric", |p| Box::new(Geometric::from_logits(-p.ln()))),
        ("NegativeBinomial", |p| Box::new(NegativeBinomial::from_logits(p.tape().constant(1.0), -p.ln()))),
        ("BetaBinomial", |p| Box::new(BetaBinomial::new(1.0, p * 4.0, 4.0 - p * 4.0))),
        // The second rank has the odds 2^−s.
        ("Zipf", |p| Box::new(Zipf::new(2, p.ln() * (-1.0 / std::f64::consts::LN_2)))),
        ("OrderedLogistic", |p| Box::new(OrderedLogistic::new(p.ln(), p.tape().constant([0.0])))),
        ("ZeroInflated", |p| {
            let base = Poisson::from_rate(p.tape().constant(50.0));
            Box::new(ZeroInflated::from_logit(-p.ln(), base).expect("numbers"))
        }),
        ("Hurdle", |p| {
            let base = Poisson::from_rate(p.tape().constant(0.5));
            Box::new(Hurdle::from_logit(-p.ln(), base).expect("numbers"))
        }),
    ];
    const PLATE: usize = 1_000_000;
    for (name, build) in distributions {
        for p in [2.5e-8_f32, 1.5e-7, 1e-6] {
            let (mut events, draws) = (0.0, if name == "Bernoulli" { 400 } else { 100 });
            for step in 0..draws {
                let (tape, noise) = (Tape::<f32>::new(), KeyedNoise::new(17, step));
                let plate = tape.plate("samples", PLATE, PlateKind::Samples, &[]);
                let draw = Draw::new(&tape, &noise, NoiseKey::new(name, None), Plates::from_slice(&[plate]));
                let drawn = build(tape.constant(p)).draw(&draw).unwrap();
                // Ranks begin with 1.
                let common = if name == "Zipf" { 1.0 } else { 0.0 };
                events += drawn.as_slice().iter().filter(|&&x| x > common).count() as f64;
            }
            let expected = draws as f64 * PLATE as f64 * f64::from(p);
            let far = (events - expected).abs() / expected.sqrt();
            assert!(far < 4.0, "{name}: {events} events of probability {p}, {expected} expected");
        }
    }
}

/// A source that knows uniform values only, as the exact oracle.
struct Plain(Key);

impl<F: Real> NoiseSource<F> for Plain {
    fn uniform(&self, _: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.0.uniform(layout.index(0), out);
        Ok(())
    }

    fn normal(&self, _: NoiseKey, layout: &NoiseLayout, out: &mut [F]) -> DistributionResult<()> {
        self.0.normal(layout.index(0), out);
        Ok(())
    }

    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        self.uniform(key, layout, out)?;
        out.iter_mut().enumerate().for_each(|(i, u)| *u = F::from_f64(quantile(u.to_f64(), |k| cdf(i, k)) as f64));
        Ok(())
    }

    fn invert_by_scheme(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        _: &[SchemeUniform],
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [F],
    ) -> DistributionResult<()> {
        self.invert(key, layout, cdf, out)
    }

    fn generator(&self, _: NoiseKey, index: u64) -> DistributionResult<rand_chacha::ChaCha8Rng> {
        Ok(self.0.rng(index))
    }
}

#[test]
fn a_source_of_uniform_values_gives_every_kind_of_noise() {
    let plain = Plain(Key::new(1, 2, 3));
    let (key, layout) = (NoiseKey::new("x", None), NoiseLayout::flat(1000));
    for fill in
        [Fill::Uniform, Fill::Mirrored, Fill::Folded, Fill::Exponential, Fill::MirroredExponential, Fill::Logistic]
    {
        let (mut own, mut direct) = (vec![0.0_f64; 1000], vec![0.0_f64; 1000]);
        plain.fill(fill, key, &layout, &mut own).unwrap();
        Key::new(1, 2, 3).fill(fill, 0, &mut direct);
        for (own, direct) in own.iter().zip(&direct) {
            assert!((own - direct).abs() < 1e-12 * direct.abs().max(1e-3), "{fill:?}: {own} and {direct}");
        }
    }
    let mut folded = [0.25_f64, -0.25];
    unfold(Fill::Mirrored, &mut folded);
    assert_eq!(folded, [0.75, 0.25]);
}
