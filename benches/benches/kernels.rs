//! Single kernels on one thread: matrix products and convolutions with the shapes of the networks, functions of
//! elements, reductions and random fills.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stochgrad::tensor::convolution::{Convolution, convolve, convolve_adjoint, convolve_weights};
use stochgrad::tensor::layout::transpose;
use stochgrad::tensor::map::{Map, map};
use stochgrad::tensor::matmul::matmul;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::tensor::reduce::{Reduce, log_softmax, reduce, softmax};
use stochgrad::tensor::{Pool, Shape, Tensor, random};
use stochgrad_benches::vae::{NET_A, NET_B, Sizes};

/// The number of elements for the functions of elements: 64 KiB.
const ELEMENTS: usize = 1 << 14;

/// The width of the code between encoder and decoder.
const CODE: usize = 200;

/// The number of samples per image in the decoder's largest products.
const SAMPLES: usize = 4;

fn numbers(pool: &Pool<f32>, name: &str, shape: impl Into<Shape>) -> Tensor<f32> {
    random::noise(pool, &Key::new(0, 0, address_hash(name, &[])), random::Fill::Normal, 0, shape.into())
}

/// The distinct combinations of rows, inputs and outputs of the layers.
fn layers(sizes: Sizes) -> Vec<[usize; 3]> {
    let down = [&[sizes.pixels], sizes.encoder, &[CODE]].concat();
    let up = [&[CODE], sizes.decoder, &[sizes.pixels]].concat();
    let layers = |widths: &[usize], rows| widths.windows(2).map(|pair| [rows, pair[0], pair[1]]).collect::<Vec<_>>();
    let mut all = [layers(&down, sizes.batch), layers(&up, sizes.batch * SAMPLES)].concat();
    all.dedup();
    all
}

fn products(criterion: &mut Criterion) {
    let pool = Pool::new();
    for (name, sizes) in [("net a", NET_A), ("net b", NET_B)] {
        let mut group = criterion.benchmark_group(format!("products of {name}"));
        for [rows, inputs, outputs] in layers(sizes) {
            let x = numbers(&pool, "x", [rows, inputs]);
            let weight = numbers(&pool, "weight", [inputs, outputs]);
            let adjoint = numbers(&pool, "adjoint", [rows, outputs]);
            group.throughput(Throughput::Elements((2 * rows * inputs * outputs) as u64));
            let name = |what: &str| format!("{rows} rows, {inputs} to {outputs}, {what}");
            group.bench_function(name("forward"), |bencher| {
                bencher.iter(|| pool.recycle(matmul(&pool, &x, false, &weight, false)));
            });
            group.bench_function(name("weight gradient"), |bencher| {
                bencher.iter(|| pool.recycle(matmul(&pool, &x, true, &adjoint, false)));
            });
            group.bench_function(name("input gradient"), |bencher| {
                bencher.iter(|| pool.recycle(matmul(&pool, &adjoint, false, &weight, true)));
            });
        }
    }
}

/// The convolutions of group g, with the products of matrices of their sizes.
fn convolutions(criterion: &mut Criterion) {
    const IMAGES: usize = 64;
    let pool = Pool::new();
    let mut group = criterion.benchmark_group("convolutions");
    let halving = Convolution::new().stride([2, 2]).padding([1, 1]);
    for [size, inputs, outputs] in [[28, 1, 32], [14, 32, 64]] {
        let (rows, taps) = (IMAGES * size * size / 4, 16 * inputs);
        let x = numbers(&pool, "x", [IMAGES, size, size, inputs]);
        let weight = numbers(&pool, "weight", [4, 4, inputs, outputs]);
        let adjoint = numbers(&pool, "adjoint", [IMAGES, size / 2, size / 2, outputs]);
        let (patches, matrix) = (numbers(&pool, "x", [rows, taps]), numbers(&pool, "weight", [taps, outputs]));
        group.throughput(Throughput::Elements((2 * rows * taps * outputs) as u64));
        let name = |what: &str| format!("{inputs} to {outputs} channels, {what}");
        group.bench_function(name("product"), |bencher| {
            bencher.iter(|| pool.recycle(matmul(&pool, &patches, false, &matrix, false)));
        });
        group.bench_function(name("forward"), |bencher| {
            bencher.iter(|| pool.recycle(convolve(&pool, &halving, &x, &weight)));
        });
        group.bench_function(name("weight gradient"), |bencher| {
            bencher.iter(|| pool.recycle(convolve_weights(&pool, &halving, [4, 4], &x, &adjoint, 0)));
        });
        group.bench_function(name("transposed"), |bencher| {
            bencher.iter(|| pool.recycle(convolve_adjoint(&pool, &halving, [size; 2], &adjoint, &weight)));
        });
    }
}

fn maps(criterion: &mut Criterion) {
    let pool = Pool::new();
    let x = numbers(&pool, "x", [ELEMENTS]);
    let positive = map(&pool, Map::Exp, &x);
    let mut group = criterion.benchmark_group("functions of elements");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    for (name, function, x) in [
        ("exp", Map::Exp, &x),
        ("ln", Map::Ln, &positive),
        ("tanh", Map::Tanh, &x),
        ("sigmoid", Map::Sigmoid, &x),
        ("softplus", Map::Softplus, &x),
        ("square", Map::Square, &x),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| pool.recycle(map(&pool, function, x))));
    }
}

fn reductions(criterion: &mut Criterion) {
    let pool = Pool::new();
    let x = numbers(&pool, "x", [NET_A.batch * SAMPLES, NET_A.pixels]);
    let categories = numbers(&pool, "categories", [NET_B.batch * 20, 10]);
    let mut group = criterion.benchmark_group("reductions");
    group.throughput(Throughput::Elements(x.len() as u64));
    for (name, axes) in [("rows", &[1][..]), ("columns", &[0]), ("all", &[0, 1])] {
        for (operation, reduction) in [("sum", Reduce::Sum), ("max", Reduce::Max), ("logsumexp", Reduce::LogSumExp)] {
            group.bench_function(format!("{operation} of {name}"), |bencher| {
                bencher.iter(|| pool.recycle(reduce(&pool, reduction, &x, axes, false)));
            });
        }
    }
    group.bench_function("transpose", |bencher| bencher.iter(|| pool.recycle(transpose(&pool, &x, &[1, 0]))));
    group.throughput(Throughput::Elements(categories.len() as u64));
    group.bench_function("softmax of 10", |bencher| bencher.iter(|| pool.recycle(softmax(&pool, &categories, 1))));
    group.bench_function("log-softmax of 10", |bencher| {
        bencher.iter(|| pool.recycle(log_softmax(&pool, &categories, 1)));
    });
}

fn fills(criterion: &mut Criterion) {
    let key = Key::new(0, 0, address_hash("fills", &[]));
    let (mut words, mut floats, mut doubles) = (vec![0_u32; ELEMENTS], vec![0.0_f32; ELEMENTS], vec![0.0; ELEMENTS]);
    let mut group = criterion.benchmark_group("random fills");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    group.bench_function("bits", |bencher| bencher.iter(|| key.bits(0, &mut words)));
    group.bench_function("uniform, f32", |bencher| bencher.iter(|| key.uniform(0, &mut floats)));
    group.bench_function("normal, f32", |bencher| bencher.iter(|| key.normal(0, &mut floats)));
    group.bench_function("uniform, f64", |bencher| bencher.iter(|| key.uniform::<f64>(0, &mut doubles)));
    group.bench_function("normal, f64", |bencher| bencher.iter(|| key.normal::<f64>(0, &mut doubles)));
}

criterion_group!(benches, products, convolutions, maps, reductions, fills);
criterion_main!(benches);
