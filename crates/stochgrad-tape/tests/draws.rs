//! Draws by samplers: the same bits in a program, in a replay and for shared noise.

use std::sync::Arc;
use stochgrad_tape::{Attempt, IdMap, NoiseSeed, Plate, PlateKind, Sampler, Tape, TapeResult, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// The number of attempts until a uniform value is below the first parameter, plus the second one.
struct Attempts;

impl<F: Real> Sampler<F> for Attempts {
    fn name(&self) -> &str {
        "attempts"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        let mut uniform = [F::ZERO; Attempt::<f64>::LARGEST];
        attempt.uniform(0, &mut uniform[..attempt.len()]);
        for (element, &uniform) in uniform.iter().enumerate().take(attempt.len()) {
            let probability = attempt.parameter(0)[element];
            let valid = probability > F::ZERO;
            let count = F::from_usize(attempt.number()) + attempt.parameter(1)[element];
            attempt.values[element] = if valid { count } else { F::NAN };
            attempt.rejected[element] = valid && uniform >= probability;
        }
    }
}

fn draw<'t>(seed: NoiseSeed, probability: Var<'t, f64>, shift: Var<'t, f64>, plates: &[Plate]) -> Var<'t, f64> {
    let tape = probability.tape();
    tape.draw(seed, Arc::new(Attempts), 7, &[probability, shift], plates, &Shape::from([3])).expect("one seed")
}

#[test]
fn a_program_draws_what_a_recording_draws() -> TapeResult<()> {
    for threads in [1, 2] {
        let record = |tape: &Tape<f64>, step: u64| -> TapeResult<Tensor<f64>> {
            let plate = tape.plate("samples", 40, PlateKind::Samples, &[]);
            let value =
                draw(NoiseSeed { seed: 3, step }, tape.parameter([0.3, 0.5, 0.9]), tape.constant(0.25), &[plate]);
            (value * 2.0).peek()
        };
        let tape = Tape::<f64>::with_threads(threads);
        let plate = tape.plate("samples", 40, PlateKind::Samples, &[]);
        let probability = tape.parameter([0.3, 0.5, 0.9]);
        let value = draw(NoiseSeed { seed: 3, step: 0 }, probability, tape.constant(0.25), &[plate]) * 2.0;
        let mut program = tape.compile(&[probability], &[value])?;
        for step in 1..4 {
            program.set(0, &Tensor::from([0.3, 0.5, 0.9]))?;
            program.run(NoiseSeed { seed: 3, step })?;
            assert_eq!(program.output(0).unwrap(), &record(&Tape::new(), step)?);
        }
    }
    Ok(())
}

#[test]
fn alternatives_share_the_noise_and_samples_do_not() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let (plain, seed) = (tape.constant([0.3, 0.5, 0.9]), NoiseSeed::default());
    let alone = draw(seed, plain, tape.constant(0.0), &[]).peek()?;
    for (kind, shared) in [(PlateKind::Alternatives, true), (PlateKind::Samples, false)] {
        let plate = tape.plate("plate", 30, kind, &[]);
        let wide = draw(seed, plain.expand_plates(&[plate]), tape.constant(0.0), &[]);
        assert_eq!(wide.plates().as_slice(), [plate]);
        let value = wide.peek()?;
        assert_eq!(value.as_slice().chunks(3).all(|member| member == alone.as_slice()), shared);
    }
    Ok(())
}

#[test]
fn a_draw_is_recorded_again_with_other_parameters() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let (low, high, seed) = (tape.constant([0.3, 0.5, 0.9]), tape.constant([0.4, 0.6, 1.0]), NoiseSeed::default());
    let value = draw(seed, low, tape.constant(0.0), &[]);
    let mut map = IdMap::identity();
    map.insert(low.id(), high.id());
    let again = tape.rerecord(value, &map);
    assert_eq!(again.peek()?, draw(seed, high, tape.constant(0.0), &[]).peek()?);
    Ok(())
}

#[test]
fn no_gradient_flows_through_a_draw_and_misfits_are_errors() -> TapeResult<()> {
    let tape = Tape::<f64>::new();
    let probability = tape.parameter([0.3, 0.5, 0.9]);
    let value = draw(NoiseSeed::default(), probability, tape.constant(0.0), &[]);
    let [gradient] = tape.backward(value.sum(), [probability])?;
    assert_eq!(gradient.as_slice(), [0.0; 3]);
    assert!(draw(NoiseSeed::default(), -probability, tape.constant(0.0), &[]).peek()?.as_slice()[0].is_nan());
    assert!(tape.draw(NoiseSeed { seed: 1, step: 0 }, Arc::new(Attempts), 7, &[], &[], &Shape::scalar()).is_none());
    let wide = draw(NoiseSeed::default(), probability, tape.constant([[0.0; 3]; 2]), &[]);
    let message = wide.peek().unwrap_err().to_string();
    assert!(message.contains("attempts") && message.contains("[2, 3]"), "{message}");
    Ok(())
}

#[test]
fn a_sampler_that_never_accepts_is_an_error() {
    let tape = Tape::<f64>::new();
    let error = draw(NoiseSeed::default(), tape.constant(1e-12), tape.constant(0.0), &[]).peek().unwrap_err();
    assert!(error.to_string().contains("attempts") && error.to_string().contains("131072"), "{error}");
}
