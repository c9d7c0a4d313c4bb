//! The overhead of an operation on the tape: chains of operations on scalars, recorded and differentiated.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stochgrad::tape::{Tape, Var, Workspace};

/// Records about this many operations, of three kinds in turn, on values that stay near 1.
fn chain<'t>(tape: &'t Tape<f64>, operations: usize) -> [Var<'t, f64>; 2] {
    let start = tape.parameter(1.0);
    let mut value = start;
    for operation in 0..operations {
        value = match operation % 3 {
            0 => value * 0.5,
            1 => value + start,
            _ => value.sqrt(),
        };
    }
    [start, value]
}

fn chains(criterion: &mut Criterion) {
    let mut workspace = Workspace::<f64>::new();
    let mut group = criterion.benchmark_group("chain of scalar operations");
    group.sample_size(10);
    for operations in [100, 1_000, 10_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(operations as u64));
        group.bench_function(BenchmarkId::new("recorded", operations), |bencher| {
            bencher.iter(|| {
                chain(workspace.tape(), operations);
            });
        });
        group.bench_function(BenchmarkId::new("recorded and differentiated", operations), |bencher| {
            bencher.iter(|| {
                let tape = workspace.tape();
                let [start, end] = chain(tape, operations);
                tape.backward(end, [start]).expect("a derivative")
            });
        });
        let tape = Tape::new();
        let [start, end] = chain(&tape, operations);
        group.bench_function(BenchmarkId::new("differentiated", operations), |bencher| {
            bencher.iter(|| tape.backward(end, [start]).expect("a derivative"));
        });
    }
}

criterion_group!(benches, chains);
criterion_main!(benches);
