//! Loops recorded with `Graph::scan`: equal to the same loop written in host code, exact by the oracle, with credit step
//! by step.

use std::cell::Cell;
use std::sync::Arc;
use stochgrad::check::Oracle;
use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, Gradients, GraphError, GraphResult, ScanStep, Steps};
use stochgrad::prelude::*;
use stochgrad::tensor::Tensor;

const STEPS: usize = 5;
const UNITS: usize = 3;

type BitMethod = DynMethod<f64, Bernoulli<Id>>;

/// A recurrent sampler of bits: the next state depends on the state, the bit and the input of the step.
struct Sampler<'t> {
    weights: Var<'t, f64>,
    bias: Var<'t, f64>,
    inputs: Var<'t, f64>,
}

impl<'t> Sampler<'t> {
    fn new(graph: &Graph<'t, f64>) -> GraphResult<Self> {
        let values = |shape: &[usize], seed: f64| Tensor::from_fn(shape, |i| ((i as f64 + 1.0) * seed).sin());
        Ok(Sampler {
            weights: graph.param("weights", values(&[UNITS, UNITS], 1.7))?,
            bias: graph.param("bias", values(&[UNITS], 2.9))?,
            inputs: graph.data("batch", values(&[2, STEPS, UNITS], 0.7))?,
        })
    }

    /// The state and the cost after a step, given the logits of the bit.
    fn next(&self, state: Var<'t, f64>, bit: Var<'t, f64>, input: Var<'t, f64>) -> [Var<'t, f64>; 2] {
        let state = (state.matmul(self.weights) + self.bias * bit.unsqueeze(0) + input).tanh();
        [state, (state.sum() - bit).square()]
    }

    fn logit(&self, state: Var<'t, f64>) -> Var<'t, f64> {
        (state * self.bias).sum()
    }
}

/// With `scan`, and the number of calls of the body.
fn scanned(graph: &Graph<'_, f64>, method: &BitMethod) -> GraphResult<usize> {
    scanned_in(graph, method, Steps::new(STEPS))
}

fn scanned_in(graph: &Graph<'_, f64>, method: &BitMethod, steps: Steps) -> GraphResult<usize> {
    let (sampler, calls) = (Sampler::new(graph)?, Cell::new(0));
    let start = graph.constant(vec![0.0; UNITS]);
    let (_, states) = graph.scan("time", steps, start, |step, state| {
        calls.set(calls.get() + 1);
        let bit = graph.sample("bit", &Bernoulli::from_logits(sampler.logit(state)), method)?;
        let [state, cost] = sampler.next(state, bit, step.of(sampler.inputs));
        graph.cost("loss", cost * (step.number() + 1.0))?;
        Ok((state, state))
    })?;
    graph.cost("size", states.square().sum())?;
    Ok(calls.get())
}

/// The same loop in host code.
fn unrolled(graph: &Graph<'_, f64>, method: &BitMethod) -> GraphResult<()> {
    let sampler = Sampler::new(graph)?;
    let mut state = graph.constant(vec![0.0; UNITS]);
    let mut states = Vec::new();
    for step in 0..STEPS {
        let bit = graph.sample(("bit", step), &Bernoulli::from_logits(sampler.logit(state)), method)?;
        let cost;
        [state, cost] = sampler.next(state, bit, sampler.inputs.index(0, step));
        graph.cost(&format!("loss {step}"), cost * (step as f64 + 1.0))?;
        states.push(state);
    }
    graph.cost("size", Var::stack(&states)?.square().sum())
}

fn methods() -> Vec<BitMethod> {
    vec![
        Arc::new(ScoreFunction::new()),
        Arc::new(GumbelSoftmax::new(0.5)),
        Arc::new(Enumerate::new()),
        Arc::new(MeasureValued::new()),
    ]
}

fn gradients(record: impl Fn(&Graph<'_, f64>) -> GraphResult<()>, seed: Seed) -> Gradients<f64> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, seed);
    record(&graph).expect("a recording");
    graph.backward().expect("gradients")
}

fn assert_close(a: &Gradients<f64>, b: &Gradients<f64>, what: &str) {
    for ((name, x), (_, y)) in a.iter().zip(b.iter()) {
        for (x, y) in x.as_slice().iter().zip(y.as_slice()) {
            assert!((x - y).abs() <= 1e-12 * (1.0 + y.abs()), "{what}, gradient of {name}: {x} and {y}");
        }
    }
    assert!((a.total() - b.total()).abs() < 1e-12 * (1.0 + b.total().abs()), "{what}");
}

#[test]
fn a_scan_is_the_loop_in_host_code() {
    for method in methods() {
        for step in 0..3 {
            let seed = Seed::new(5).step(step);
            let scan = gradients(|graph| scanned(graph, &method).map(drop), seed);
            assert_close(&scan, &gradients(|graph| unrolled(graph, &method), seed), &method.name());
        }
    }
}

#[test]
fn a_compiled_scan_has_the_bits_of_a_recorded_one() {
    let both = [Steps::new(STEPS), Steps::new(STEPS).recomputed()];
    for (method, steps) in methods().into_iter().flat_map(|method| both.map(|steps| (Arc::clone(&method), steps))) {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(5));
        scanned_in(&graph, &method, steps).expect("a recording");
        let mut compiled = graph.compile().unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        for step in 0..3 {
            let seed = Seed::new(9).step(step);
            for (name, value) in graph.parameters() {
                compiled.set(&name, &value.inspect().expect("a value")).expect("an input");
            }
            let batch = Tensor::from_fn(&[2, STEPS, UNITS][..], |i| ((i as f64 + 1.0) * 0.7).sin());
            compiled.set("batch", &batch).expect("an input");
            let run = compiled.run(seed).expect("a run");
            let fresh = gradients(|graph| scanned(graph, &method).map(drop), seed);
            for ((name, x), (_, y)) in run.iter().zip(fresh.iter()) {
                let bits = |x: &Tensor<f64>| x.as_slice().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(x), bits(y), "{}, gradient of {name}", method.name());
            }
        }
    }
}

#[test]
fn the_body_is_called_until_the_plates_are_settled() {
    let calls = |method: BitMethod| {
        let tape = Tape::new();
        scanned(&Graph::new(&tape, Seed::new(5)), &method).expect("a recording")
    };
    // The initial state lies on no plate, the next one on that of the batch.
    assert_eq!(calls(Arc::new(ScoreFunction::new())), 2);
    assert_eq!(calls(Arc::new(MeasureValued::new())), 2);
    // Each step makes a plate of its own.
    assert_eq!(calls(Arc::new(Enumerate::new())), STEPS);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(5));
    let calls = Cell::new(0);
    let doubled = graph.scan("double", 10, graph.constant(1.0), |_, x| {
        calls.set(calls.get() + 1);
        Ok((x * 2.0, ()))
    });
    assert_eq!(doubled.expect("a loop").0.item().expect("a value"), 1024.0);
    assert_eq!(calls.get(), 1);
}

/// A recurrent sampler with wide hidden layers in each step, and the bytes that a compiled run holds.
fn bytes_of(method: &BitMethod, steps: Steps) -> (Vec<u64>, usize) {
    const WIDE: usize = 500;
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(5));
    let record = |graph: &Graph<'_, f64>| -> GraphResult<()> {
        let theta = graph.param("theta", [0.3, -0.7])?;
        let wide = graph.param("wide", Tensor::from_fn(&[WIDE][..], |i| (i as f64 * 0.7).sin()))?;
        graph.scan("time", steps, graph.constant(0.1), |step, state| {
            let hidden = (wide * state + theta.index(0, 1)).tanh();
            let hidden = (hidden.cumsum(0) * 0.01 + wide).sin();
            let logit = hidden.mean() + theta.index(0, 0);
            let bit = graph.sample("bit", &Bernoulli::from_logits(logit), method)?;
            let state = state * 0.9 + bit * 0.3 - 0.1 * hidden.square().mean();
            graph.cost("loss", (state - 0.01 * step.number()).square())?;
            Ok((state, ()))
        })?;
        Ok(())
    };
    record(&graph).expect("a recording");
    let mut compiled = graph.compile().expect("a compiled graph");
    for (name, value) in graph.parameters() {
        compiled.set(&name, &value.inspect().expect("a value")).expect("an input");
    }
    let run = compiled.run(Seed::new(5)).expect("a run");
    let bits = run.iter().flat_map(|(_, x)| x.to_vec()).map(f64::to_bits).collect();
    (bits, compiled.program().pool().statistics().held_bytes)
}

#[test]
fn recomputed_steps_need_the_memory_of_one() {
    let methods: [BitMethod; 2] = [Arc::new(ScoreFunction::new()), Arc::new(GumbelSoftmax::new(0.5))];
    for method in methods {
        let (kept, kept_bytes) = bytes_of(&method, Steps::new(100));
        let (recomputed, bytes) = bytes_of(&method, Steps::new(100).recomputed());
        assert_eq!(kept, recomputed, "{}", method.name());
        assert!(10 * bytes < kept_bytes, "{}: {bytes} bytes recomputed, {kept_bytes} kept", method.name());
        let (_, longer) = bytes_of(&method, Steps::new(200).recomputed());
        assert!(longer < 2 * bytes, "{}: {bytes} bytes for 100 steps, {longer} for 200", method.name());
    }
}

/// Rows of bits, a loop inside a loop.
fn nested(graph: &Graph<'_, f64>, method: &BitMethod, outer: Steps, inner: Steps) -> GraphResult<()> {
    let theta = graph.param("theta", [0.3, -0.7])?;
    let shift = graph.param("shift", [0.2, 0.5])?;
    graph.scan("row", outer, graph.constant(0.0), |row, sum| {
        let first = graph.sample("row bit", &Bernoulli::from_logits(row.of(theta)), method)?;
        let (sum, bits) = graph.scan("column", inner, sum + first, |column, sum| {
            let logit = column.of(shift) + row.of(theta) * sum;
            let bit = graph.sample("bit", &Bernoulli::from_logits(logit), method)?;
            graph.cost("loss", (bit - 0.4 * column.number() + 0.3 * row.number()).square() * (sum + 1.0))?;
            Ok((sum * 0.5 + bit, bit))
        })?;
        Ok((sum + bits.sum() * 0.1, ()))
    })?;
    Ok(())
}

/// The same loops in host code.
fn nested_in_host_code(graph: &Graph<'_, f64>, method: &BitMethod) -> GraphResult<()> {
    let theta = graph.param("theta", [0.3, -0.7])?;
    let shift = graph.param("shift", [0.2, 0.5])?;
    let mut sum = graph.constant(0.0);
    for row in 0..2 {
        let name = ("row bit", row);
        sum = sum + graph.sample(name, &Bernoulli::from_logits(theta.index(0, row)), method)?;
        let mut bits = graph.constant(0.0);
        for column in 0..2 {
            let logit = shift.index(0, column) + theta.index(0, row) * sum;
            let name = format!("bit[{row}]");
            let bit = graph.sample((name.as_str(), column), &Bernoulli::from_logits(logit), method)?;
            let cost = (bit - 0.4 * column as f64 + 0.3 * row as f64).square() * (sum + 1.0);
            graph.cost(&format!("loss {row} {column}"), cost)?;
            sum = sum * 0.5 + bit;
            bits = bits + bit;
        }
        sum = sum + bits * 0.1;
    }
    Ok(())
}

#[test]
fn a_loop_inside_a_loop_is_the_loops_in_host_code() {
    let two = Steps::new(2);
    for method in methods() {
        let seed = Seed::new(11);
        let host = gradients(|graph| nested_in_host_code(graph, &method), seed);
        let inside = gradients(|graph| nested(graph, &method, two, two), seed);
        assert_close(&inside, &host, &method.name());
        for steps in [[two.recomputed(), two], [two, two.recomputed()], [two.recomputed(); 2]] {
            let tape = Tape::new();
            let graph = Graph::new(&tape, seed);
            nested(&graph, &method, steps[0], steps[1]).expect("a recording");
            let mut compiled = graph.compile().expect("a compiled graph");
            for (name, value) in graph.parameters() {
                compiled.set(&name, &value.inspect().expect("a value")).expect("an input");
            }
            let run = compiled.run(seed).expect("a run");
            run.iter().zip(inside.iter()).for_each(|((name, x), (_, y))| assert_eq!(x, y, "{name}"));
        }
    }
    let method: BitMethod = Arc::new(ScoreFunction::new());
    Oracle::new().verify(|graph| nested(graph, &method, two, two), 1..=2, 1e-9).expect("agreement");
}

/// A chain of bits, with a cost for each.
fn chain(graph: &Graph<'_, f64>, method: &BitMethod, weight: f64) -> GraphResult<()> {
    let theta = graph.param("theta", [0.3, -0.7, 0.2])?;
    let first = graph.sample("first", &Bernoulli::from_logits(theta.index(0, 1)), &Enumerate::new())?;
    graph.scan("time", 3, first, |step, bit| {
        let logit = step.of(theta) + bit * theta.index(0, 0);
        let bit = graph.sample("bit", &Bernoulli::from_logits(logit), method)?;
        graph.cost("loss", (bit - 0.4 * step.number()).square() * weight)?;
        Ok((bit, ()))
    })?;
    Ok(())
}

#[test]
fn the_oracle_agrees_at_every_order() {
    let methods: [(BitMethod, usize); 2] = [(Arc::new(ScoreFunction::new()), 2), (Arc::new(MeasureValued::new()), 1)];
    for (method, order) in methods {
        let verified = Oracle::new().verify(|graph| chain(graph, &method, 1.5), 1..=order, 1e-9);
        verified.unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
}

#[test]
fn a_node_is_credited_with_costs_of_its_own_and_later_steps_only() {
    let record = |graph: &Graph<'_, f64>, early: f64| {
        let theta = graph.param("theta", [0.3, -0.7, 0.2])?;
        let weights = graph.constant([early, 1.0, 1.0]);
        graph.scan("time", 3, graph.constant(0.0), |step, sum| {
            let bit = graph.sample("bit", &Bernoulli::from_logits(step.of(theta)), &ScoreFunction::new())?;
            let sum = sum + bit;
            graph.cost("loss", (sum + 1.0).square() * step.of(weights))?;
            Ok((sum, ()))
        })?;
        Ok(())
    };
    let of = |early: f64| gradients(|graph| record(graph, early), Seed::new(3)).get("theta").expect("theta").to_vec();
    let (small, large) = (of(1.0), of(1e6));
    assert!(large[0].abs() > 1e3 * small[0].abs());
    assert_eq!(small[1..], large[1..], "the cost of the first step is not credited to later nodes");
}

#[test]
fn a_body_that_branches_on_samples_runs_in_every_step() {
    let record = |graph: &Graph<'_, f64>| -> GraphResult<usize> {
        let (theta, calls) = (graph.param("theta", 0.3)?, Cell::new(0));
        graph.scan("time", 4, graph.constant(0.0), |_, sum| {
            calls.set(calls.get() + 1);
            let bit = graph.sample("bit", &Bernoulli::from_logits(theta), &ScoreFunction::new())?;
            let sum = if bit.item()? > 0.5 { sum + bit } else { sum * 0.5 };
            graph.cost("loss", sum)?;
            Ok((sum, ()))
        })?;
        Ok(calls.get())
    };
    let tape = Tape::new();
    assert_eq!(record(&Graph::new(&tape, Seed::new(1))).expect("a recording"), 4);
    Oracle::new().verify(|graph| record(graph).map(drop), 1..=2, 1e-9).expect("agreement");
}

#[test]
fn loops_that_cannot_be_recorded_are_refused() {
    let message = |record: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
        let tape = Tape::new();
        record(&Graph::new(&tape, Seed::new(1))).expect_err("a refusal").to_string()
    };
    let none = message(&|graph| graph.scan("time", 0, graph.constant(1.0), |_, x| Ok((x, ()))).map(drop));
    assert!(none.contains("scan \"time\"") && none.contains("at least one step"), "{none}");
    let shape = message(&|graph| graph.scan("time", 2, graph.constant(1.0), |_, x| Ok((x.unsqueeze(0), ()))).map(drop));
    assert!(shape.contains("carried value 0 after step 0"), "{shape}");
    let fewer = message(&|graph| {
        let two = vec![graph.constant(1.0), graph.constant(2.0)];
        graph.scan("time", 2, two, |_, mut x| Ok((x.split_off(1), ()))).map(drop)
    });
    assert!(fewer.contains("expected 2 carried values of step 0") && fewer.contains("got 1"), "{fewer}");
    let sequence = message(&|graph| {
        let inputs = graph.constant([1.0, 2.0]);
        graph.scan("time", 3, graph.constant(1.0), |step, x| Ok((x + step.of(inputs), ()))).map(drop)
    });
    assert!(sequence.contains("3 elements") && sequence.contains("scan.rs"), "{sequence}");
    let twice = message(&|graph| {
        let body = |_: &ScanStep<'_, '_, f64>, x| {
            graph.cost("loss", x)?;
            graph.cost("loss", x)?;
            Ok((x, ()))
        };
        graph.scan("time", 3, graph.constant(1.0), body).map(drop)
    });
    assert!(twice.contains("cost \"loss\" exists already"), "{twice}");
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let failed: GraphResult<(Var<'_, f64>, ())> =
        graph.scan("time", 2, graph.constant(1.0), |_, _| Err(GraphError::NoCost));
    assert!(failed.is_err());
    // A body that failed leaves no loop behind.
    graph.scan("time", 2, graph.constant(1.0), |_, x| Ok((x, ()))).expect("a loop");
}

#[test]
fn outputs_of_any_structure_are_stacked() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let start = (graph.constant(1.0), [graph.constant(2.0), graph.constant(3.0)]);
    let ((a, [b, c]), (x, ys)) = graph
        .scan("time", 3, start, |step, (a, [b, c])| {
            let next = (a + 1.0, [b * 2.0, c + step.number()]);
            Ok((next, (a, vec![b, c.unsqueeze(0)])))
        })
        .expect("a loop");
    let values = |var: Var<'_, f64>| var.value().expect("a value").to_vec();
    assert_eq!([values(a), values(b), values(c)].concat(), [4.0, 16.0, 6.0]);
    assert_eq!(values(x), [1.0, 2.0, 3.0]);
    assert_eq!(values(ys[0]), [2.0, 4.0, 8.0]);
    assert_eq!((values(ys[1]), ys[1].shape().to_vec()), (vec![3.0, 3.0, 4.0], vec![3, 1]));
}
