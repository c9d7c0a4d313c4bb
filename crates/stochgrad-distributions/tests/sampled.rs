//! Distributions that are drawn by samplers: a program draws what a recording draws, on any number of threads, and
//! refuses where a recording refuses.

use stochgrad_distributions::*;
use stochgrad_tape::{IdMap, NoiseSeed, PlateKind, Plates, Tape, TapeResult, Var};
use stochgrad_tensor::{Real, Tensor};

type Build<F> = for<'t> fn(&[Var<'t, F>]) -> Box<dyn Distribution<'t, F> + 't>;

fn distributions<F: Real>() -> Vec<(&'static str, Vec<f64>, Build<F>)> {
    vec![
        ("Gamma by rate", vec![0.4, 1.7], |p| Box::new(Gamma::new(p[0], p[1]))),
        ("Gamma by scale", vec![3.4, 0.3], |p| Box::new(Gamma::from_scale(p[0], p[1]))),
        ("InverseGamma", vec![2.6, 1.4], |p| Box::new(InverseGamma::new(p[0], p[1]))),
        ("Chi2", vec![1.2], |p| Box::new(Chi2::new(p[0]))),
        ("Beta", vec![0.6, 2.3], |p| Box::new(Beta::new(p[0], p[1]))),
        ("StudentT", vec![4.0, 0.3, 1.7], |p| Box::new(StudentT::new(p[0], p[1], p[2]))),
        ("VonMises", vec![0.3, 1.7], |p| Box::new(VonMises::new(p[0], p[1]))),
        ("VonMisesFisher", vec![0.3, -1.0, 0.4, 1.7], |p| {
            Box::new(VonMisesFisher::new(Var::stack(&p[..3]).unwrap(), p[3]))
        }),
        ("Dirichlet", vec![0.3, 1.2, 4.0], |p| Box::new(Dirichlet::new(Var::stack(p).unwrap()))),
    ]
}

/// The values and their derivatives, and what they are derivatives of.
struct Recorded<'t, F: Real> {
    inputs: Vec<Var<'t, F>>,
    outputs: Vec<Var<'t, F>>,
}

const MEMBERS: usize = 9000;

fn record<'t, F: Real>(
    tape: &'t Tape<F>,
    step: u64,
    (parameters, build): (&[f64], Build<F>),
    scale: f64,
) -> TapeResult<Recorded<'t, F>> {
    let noise = KeyedNoise::new(7, step);
    let plate = tape.plate("samples", MEMBERS, PlateKind::Samples, &[]);
    let inputs: Vec<Var<'t, F>> = parameters.iter().map(|&p| tape.parameter(p * scale)).collect();
    let distribution = build(&inputs);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let x = distribution.capabilities().reparameterized.unwrap().rsample(&draw).unwrap();
    let sampled = distribution.sample(&draw.purpose("again")).unwrap();
    let total = (x.sin() + x * 0.1).sum().mean_over(plate);
    let mut outputs = vec![x, sampled];
    outputs.extend(tape.gradients(total, &inputs)?);
    Ok(Recorded { inputs, outputs })
}

fn compare<F: Real>() -> TapeResult<()> {
    for (name, parameters, build) in distributions::<F>() {
        let mut first: Option<Vec<Tensor<F>>> = None;
        for threads in [1, 2, 8] {
            let tape = Tape::<F>::with_threads(threads);
            let Recorded { inputs, outputs } = record(&tape, 0, (&parameters, build), 1.0)?;
            let mut program = tape.compile(&inputs, &outputs)?;
            for step in 1..3 {
                for (index, &parameter) in parameters.iter().enumerate() {
                    program.set(index, &Tensor::scalar(F::from_f64(parameter * 1.1)))?;
                }
                program.run(NoiseSeed { seed: 7, step })?;
                let afresh = Tape::<F>::new();
                let expected = record(&afresh, step, (&parameters, build), 1.1)?;
                for (at, output) in expected.outputs.iter().enumerate() {
                    assert_eq!(*program.output(at).unwrap(), output.peek()?, "{name}, output {at}, {threads} threads");
                }
            }
            let values: Vec<Tensor<F>> = (0..outputs.len()).map(|at| program.output(at).unwrap().clone()).collect();
            assert_eq!(*first.get_or_insert_with(|| values.clone()), values, "{name}, {threads} threads");
        }
    }
    Ok(())
}

#[test]
fn a_program_draws_what_a_recording_draws() -> TapeResult<()> {
    compare::<f64>()?;
    compare::<f32>()
}

#[test]
fn a_run_takes_all_buffers_from_the_pool() -> TapeResult<()> {
    for (name, parameters, build) in distributions::<f64>() {
        let tape = Tape::<f64>::new();
        let Recorded { inputs, outputs } = record(&tape, 0, (&parameters, build), 1.0)?;
        let mut program = tape.compile(&inputs, &outputs)?;
        let mut run = |step| {
            for (index, &parameter) in parameters.iter().enumerate() {
                program.set(index, &Tensor::scalar(parameter))?;
            }
            program.run(NoiseSeed { seed: 7, step })?;
            let statistics = program.pool().statistics();
            TapeResult::Ok(statistics.taken - statistics.reused)
        };
        run(1)?;
        let new = run(2)?;
        for step in 3..10 {
            assert_eq!(run(step)?, new, "{name}, step {step}");
        }
    }
    Ok(())
}

#[test]
fn a_run_refuses_a_lost_derivative_as_a_recording_does() -> TapeResult<()> {
    let record = |tape: &Tape<f64>, a: f64| {
        let noise = KeyedNoise::new(5, 0);
        let plate = tape.plate("samples", 100, PlateKind::Samples, &[]);
        let concentration = tape.parameter(a);
        let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let x = Gamma::new(concentration, 1.0).rsample(&draw).unwrap();
        let slope = tape.gradients((x + 1.0).recip().mean_over(plate), &[concentration])?[0];
        let pole = tape.gradients(x.square().recip().mean_over(plate), &[concentration])?[0];
        TapeResult::Ok([concentration.id(), slope.id(), pole.id()])
    };
    let tape = Tape::<f64>::new();
    let [concentration, slope, pole] = record(&tape, 2.0)?.map(|id| tape.var(id).unwrap());
    for (output, a, refused) in [(slope, 1e-3, false), (pole, 2.0, false), (pole, 1e-3, true)] {
        let mut program = tape.compile(&[concentration], &[output])?;
        program.set(0, &Tensor::scalar(a))?;
        let run = program.run(NoiseSeed { seed: 5, step: 0 });
        assert_eq!(run.is_err(), refused, "at {a}: {run:?}");
        if let Err(error) = run {
            assert!(error.to_string().contains("Gamma") && error.to_string().contains("beyond the range"), "{error}");
            assert!(record(&Tape::new(), a).is_err());
        }
    }
    Ok(())
}

/// A replay for alternatives shares the noise of the primal run, and with equal parameters it has the same values.
#[test]
fn a_replay_with_more_plates_shares_the_noise() -> TapeResult<()> {
    for (name, parameters, build) in distributions::<f64>() {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(7, 0);
        let samples = tape.plate("samples", 40, PlateKind::Samples, &[]);
        let inputs: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(p)).collect();
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[samples]));
        let start = tape.len();
        let x = build(&inputs).sample(&draw).unwrap();
        let end = tape.len();
        let alternatives = tape.plate("alternatives", 3, PlateKind::Alternatives, &[]);
        let mut map = IdMap::identity();
        for &input in &inputs {
            map.insert(input.id(), input.expand_plates(&[alternatives]).id());
        }
        for at in start..end {
            let var = tape.var_at(at)?;
            let again = tape.rerecord(var, &map);
            if again.id() != var.id() {
                map.insert(var.id(), again.id());
            }
        }
        let replayed = tape.var(map.get(x.id()))?;
        assert!(replayed.plates().contains(&alternatives), "{name}");
        for member in 0..3 {
            let one = replayed.member(alternatives, member);
            assert_eq!(one.peek()?, x.peek()?, "{name}, member {member}");
        }
    }
    Ok(())
}
