//! The memory of a tape: scratch space of a backward pass, and the buffers that are reused from step to step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use stochgrad_tape::{
    PlateKind, Primitive, PrimitiveInputs, Slot, Tape, TapeError, TapeResult, Var, Weights, Workspace,
};
use stochgrad_tensor::{Pool, Real, Tensor};

/// The number of buffers that the allocator supplied.
fn fresh<F: Real>(pool: &Pool<F>) -> u64 {
    let statistics = pool.statistics();
    statistics.taken - statistics.reused
}

/// The identity. It records the length of the tape during the backward pass.
struct Gauge(AtomicUsize);

impl Primitive<f64> for Gauge {
    fn name(&self) -> &str {
        "gauge"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].clone())
    }

    fn gradient<'t>(&self, _: &[Var<'t, f64>], _: Var<'t, f64>, adjoint: Var<'t, f64>) -> Vec<Option<Var<'t, f64>>> {
        self.0.fetch_max(adjoint.tape().len(), Ordering::Relaxed);
        vec![Some(adjoint)]
    }
}

#[test]
fn a_chain_of_a_million_operations() {
    let steps = 1_000_000;
    let tape = Tape::<f64>::new();
    let x = tape.parameter(0.3);
    let gauge = Arc::new(Gauge(AtomicUsize::new(0)));
    let mut y = tape.custom(gauge.clone(), &[x]);
    let mut derivative = 1.0;
    let mut value = 0.3_f64;
    for step in 0..steps {
        (y, derivative, value) = if step % 2 == 0 {
            (y.sin(), derivative * value.cos(), value.sin())
        } else {
            (y * 1.000_1, derivative * 1.000_1, value * 1.000_1)
        };
    }
    let before = tape.len();
    assert_eq!(before, steps + 2);
    let buffers = fresh(tape.pool());
    let [gradient] = tape.backward(y, [x]).unwrap();
    let found = gradient.item().unwrap();
    assert!((found - derivative).abs() <= 1e-8 * derivative.abs(), "{found:e}, not {derivative:e}");
    assert_eq!(tape.len(), before);
    let most = gauge.0.load(Ordering::Relaxed);
    assert!(most > before && most < before + 100, "{} slots for a chain of {before}", most - before);
    assert!(fresh(tape.pool()) - buffers < 100, "{} buffers", fresh(tape.pool()) - buffers);
}

#[test]
fn backward_leaves_the_tape_as_it_was() {
    let tape = Tape::<f64>::new();
    let x = tape.parameter([0.5, -0.3, 0.8]);
    let y = (x.softmax(0) * x.sin()).sum() + x.logsumexp(0);
    let before = (tape.len(), format!("{tape:?}"));
    let first = tape.backward(y, [x]).unwrap();
    assert_eq!((tape.len(), format!("{tape:?}")), before);
    let direction = tape.constant([1.0, 2.0, 3.0]);
    let before = (tape.len(), format!("{tape:?}"));
    let product = tape.hessian_vector_product(y, &[x], &[direction]).unwrap();
    assert!(tape.hessian_vector_product(y, &[x], &[]).is_err());
    assert_eq!((tape.len(), format!("{tape:?}")), before);
    assert_eq!(tape.backward(y, [x]).unwrap(), first);
    assert_eq!(tape.hessian_vector_product(y, &[x], &[direction]).unwrap(), product);
    let [recorded] = tape.grad(y, [x]).unwrap();
    assert_eq!(recorded.peek().unwrap(), first[0]);
    assert!(tape.len() > before.0);
}

/// A value that is used many times: its adjoint is summed while scratch slots are reused.
#[test]
fn reused_slots_do_not_mix_adjoints() {
    let tape = Tape::<f64>::new();
    let [x, w] = [tape.parameter([0.4, -0.7]), tape.parameter([[1.0, 0.5], [-0.3, 0.8]])];
    let mut state = x;
    let mut total = x.sum() * 0.1;
    let mut all = Vec::new();
    for step in 0..50 {
        let before = state;
        state = (state.matmul(w) + x * before).tanh();
        all.push(state);
        total = total + (state * all[step / 2]).sum() * (0.5 + step as f64 * 0.01) + x.sum() * state.index(0, 1);
    }
    let plain = tape.backward(total, [x, w, all[10]]).unwrap();
    let recorded = tape.grad(total, [x, w, all[10]]).unwrap();
    for (plain, recorded) in plain.iter().zip(recorded) {
        assert_eq!(*plain, recorded.peek().unwrap());
    }
}

struct Doubled;

impl<F: Real> Primitive<F> for Doubled {
    fn name(&self) -> &str {
        "doubled"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        Ok(inputs.values[0].map(|x| x + x))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint * 2.0)]
    }
}

fn training_step<F: Real>(tape: &Tape<F>, weights: &[Tensor<F>], batch: &Tensor<F>) -> TapeResult<Vec<Tensor<F>>> {
    let rows = tape.plate("rows", 4, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[rows]);
    let parameters: Vec<Var<'_, F>> = weights.iter().map(|weight| tape.parameter(weight)).collect();
    let x = tape.constant(batch.clone()).event_to_plate(rows);
    let noise = tape.constant_on(&[samples], [0.1, -0.4, 0.7]);
    let hidden = tape.custom(Arc::new(Doubled), &[x.matmul(parameters[0]).relu() + noise]).reshape([1, 5]);
    let logits = hidden.matmul(parameters[1]).index(0, 0);
    let picked = logits.log_softmax(-1).gather(0, logits.argmax(-1).unsqueeze(-1));
    let both = Var::concat(&[picked, noise.unsqueeze(0), tape.constant([1.0, 2.0])], 0)?;
    let weight = noise.exp() / noise.exp().sum_over(samples);
    tape.set_weights(samples, Weights::Given { id: weight.id(), differentiable: false });
    let choice = logits.step().select(logits.square(), tape.constant(0.5));
    let cost = both.sum().mean_over(samples)
        + logits.logsumexp(0).log_mean_exp_over(samples)
        + choice.sum().sum_over(samples).abs();
    let entropy = (logits.softmax(0) * logits.log_softmax(0)).cumsum(0).max().weighted_sum_over(samples, weight);
    let total = (cost + entropy).mean_over(rows) + parameters[0].square().sum() * 0.1;
    let penalty: Var<'_, F> = tape
        .gradients(total, &parameters)?
        .iter()
        .fold(tape.constant(0.0), |sum, gradient| sum + gradient.square().mean());
    tape.backward_all(total + penalty * 0.01, &parameters)
}

fn a_thousand_steps<F: Real>() {
    let mut workspace = Workspace::<F>::new();
    let weights = [
        Tensor::from_fn([2, 5], |i| F::from_f64((i as f64 * 1.7).sin())),
        Tensor::from_fn([5, 3], |i| F::from_f64((i as f64 * 2.3).cos())),
    ];
    let batch = Tensor::from_fn([4, 2], |i| F::from_f64(i as f64 * 0.3 - 1.0));
    let mut first = None;
    let mut after_warm_up = None;
    for step in 0..1000 {
        let tape = workspace.tape();
        let held = tape.pool().statistics().held_bytes;
        let gradients = training_step(tape, &weights, &batch).unwrap();
        assert!(
            gradients.iter().all(Tensor::all_finite)
                && gradients.iter().any(|g| g.as_slice().iter().any(|&x| x != F::ZERO))
        );
        assert_eq!(first.get_or_insert_with(|| gradients.clone()), &gradients);
        // Every buffer that was taken goes back to the pool. The copy for the comparison replaced one in the first
        // step.
        gradients.into_iter().for_each(|gradient| tape.pool().recycle(gradient));
        let now = (fresh(tape.pool()), held);
        if step == 2 {
            after_warm_up = Some(now);
        } else if step > 2 {
            assert_eq!(after_warm_up, Some(now), "step {step}: buffers from the allocator, bytes held before the step");
        }
    }
}

#[test]
fn after_the_first_steps_every_buffer_is_reused() {
    a_thousand_steps::<f64>();
    a_thousand_steps::<f32>();
}

#[test]
fn parameters_share_the_buffer_of_their_owner() {
    let weights = Tensor::from([1.0, 2.0]);
    let tape = Tape::<f64>::new();
    let x = tape.parameter(&weights);
    assert!(x.peek().unwrap().shares_buffer_with(&weights));
    let _ = x.exp();
    tape.truncate(0);
    assert!(weights.is_unique());
    assert_eq!(weights.to_vec(), [1.0, 2.0]);
}

#[test]
fn a_tensor_that_was_handed_out_is_not_overwritten() {
    let mut workspace = Workspace::<f64>::new();
    let mut kept = Vec::new();
    for step in 0..5 {
        let tape = workspace.tape();
        let x = tape.parameter([step as f64, 1.0]);
        kept.push((x.exp().value().unwrap(), tape.backward(x.square().sum(), [x]).unwrap()));
    }
    for (step, (value, [gradient])) in kept.iter().enumerate() {
        let step = step as f64;
        let expected = Tensor::from([step.exp(), 1.0_f64.exp()]);
        assert!(value.max_abs_difference(&expected).is_some_and(|difference| difference < 1e-13));
        assert_eq!(gradient.to_vec(), [2.0 * step, 2.0]);
    }
}

#[test]
fn live_bytes_are_those_of_the_recorded_values() {
    let mut workspace = Workspace::<f64>::new();
    for _ in 0..2 {
        let tape = workspace.tape();
        assert_eq!(tape.live_bytes(), 0);
        let x = tape.parameter(Tensor::zeros([1000]));
        let y = x.exp();
        // These share a buffer.
        let z = y.reshape([10, 100]).stop_gradient();
        assert_eq!(tape.live_bytes(), 16_000);
        tape.backward(y.sin().sum(), [x]).unwrap();
        assert_eq!(tape.live_bytes(), 24_008);
        tape.truncate(z.id().index() + 1);
        assert_eq!(tape.live_bytes(), 16_000);
        tape.grad(y.sum(), [x]).unwrap();
        assert!(tape.live_bytes() > 24_000);
    }
}

#[test]
fn results_without_room_are_refused_before_they_are_made() {
    type Make = for<'t> fn(&'t Tape<f64>, Var<'t, f64>) -> Var<'t, f64>;
    let cases: [(&str, Make); 12] = [
        ("an outer sum", |_, x| x.unsqueeze(0) + x.unsqueeze(1)),
        ("a choice", |_, x| x.unsqueeze(0).select(x.unsqueeze(1), x.unsqueeze(1))),
        ("an expansion", |_, x| x.broadcast_to([1000, 1000])),
        ("plates", |tape, x| x.expand_plates(&[tape.plate("rows", 1000, PlateKind::Data, &[])])),
        ("a product of matrices", |_, x| x.unsqueeze(1).matmul(x.unsqueeze(0))),
        ("one-hot rows", |_, x| x.one_hot(1000)),
        ("chosen positions", |_, x| x.index_select(0, &vec![0; 1_000_000])),
        ("a stack", |_, x| Var::concat(&vec![x; 1000], 0).unwrap()),
        ("a slot", |tape, _| tape.slot(&Slot::new("slot", [1000, 1000], vec![0.0; 1_000_000]))),
        ("a dot product", |tape, x| {
            let [a, b] = [0, 1].map(|_| tape.plate("rows", 1000, PlateKind::Data, &[]));
            x.event_to_plate(a).unsqueeze(0).dot(x.event_to_plate(b).unsqueeze(0))
        }),
        ("a weighted sum", |tape, x| {
            let plate = tape.plate("rows", 1000, PlateKind::Data, &[]);
            x.weighted_sum_over(plate, x.event_to_plate(plate))
        }),
        ("categories", |tape, x| {
            let plate = tape.plate("rows", 1000, PlateKind::Data, &[]);
            x.event_to_plate(plate).unsqueeze(0).categories(x)
        }),
    ];
    for (name, make) in cases {
        let tape = Tape::<f64>::new();
        tape.set_memory_limit(1 << 20);
        let x = tape.parameter(Tensor::zeros([1000]));
        let before = tape.pool().statistics();
        make(&tape, x);
        let error = tape.check().unwrap_err();
        assert!(matches!(error, TapeError::Memory { limit: 1048576, .. }), "{name}: {error}");
        assert!(error.to_string().contains("memory.rs"), "{error}");
        let taken = tape.live_bytes() + tape.pool().statistics().held_bytes - before.held_bytes;
        assert!(taken < 1 << 20, "{name}: {taken} bytes");
        // With enough memory there is no error.
        let tape = Tape::<f64>::new();
        tape.set_memory_limit(1 << 26);
        make(&tape, tape.parameter(Tensor::zeros([1000])));
        assert_eq!(tape.check(), Ok(()), "{name}");
    }
}

#[test]
fn buffers_that_wait_give_way() {
    let tape = Tape::<f64>::new();
    tape.set_memory_limit(1 << 20);
    let mark = tape.len();
    let _ = tape.constant(0.0).broadcast_to([100_000]);
    tape.truncate(mark);
    assert!(tape.pool().statistics().held_bytes >= 800_000);
    let _ = tape.constant(0.0).broadcast_to([120_000]);
    assert_eq!(tape.check(), Ok(()));
    assert!(tape.pool().statistics().held_bytes < 1000);
}

/// The exponential, by a kernel of the tensor crate, in a buffer of the pool or in one of its own.
struct Exponential {
    pooled: bool,
    threads: AtomicUsize,
}

impl Primitive<f64> for Exponential {
    fn name(&self) -> &str {
        "exponential"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        self.threads.store(inputs.pool.threads(), Ordering::Relaxed);
        if self.pooled {
            Ok(stochgrad_tensor::map::map(inputs.pool, stochgrad_tensor::map::Map::Exp, &inputs.values[0]))
        } else {
            Ok(inputs.values[0].map(f64::exp))
        }
    }

    fn takes_from_pool(&self) -> bool {
        self.pooled
    }

    fn gradient<'t>(
        &self,
        _: &[Var<'t, f64>],
        output: Var<'t, f64>,
        adjoint: Var<'t, f64>,
    ) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint * output)]
    }
}

#[test]
fn a_primitive_can_use_the_pool_and_the_threads_of_the_tape() {
    for pooled in [true, false] {
        let primitive = Arc::new(Exponential { pooled, threads: AtomicUsize::new(0) });
        let mut workspace = Workspace::<f64>::with_threads(2);
        let mut kept = Vec::new();
        for _ in 0..5 {
            let tape = workspace.tape();
            let x = tape.parameter([0.5, 1.5, 2.5]);
            let y = tape.custom(primitive.clone(), &[x]);
            let [slope] = tape.backward(y.sum(), [x]).unwrap();
            assert_eq!(slope.as_slice(), [0.5, 1.5, 2.5].map(f64::exp));
            tape.pool().recycle(slope);
            kept.push((fresh(tape.pool()), tape.pool().statistics().held_bytes));
        }
        assert_eq!(primitive.threads.load(Ordering::Relaxed), 2);
        // After the first steps, nothing is allocated in the pool and nothing is added to it.
        assert_eq!(kept[2], kept[4]);
    }
}
