use crate::kernels::map::{Map, map_portable, map_slice};
use crate::special;

/// Functions, their largest errors in single and in double precision, and their references.
type Case = (Map, f64, f64, fn(f64) -> f64);

fn cases() -> [Case; 9] {
    [
        (Map::Exp, 2.0, 2.0, f64::exp),
        (Map::Ln, 1.0, 1.0, f64::ln),
        (Map::Log1p, 2.0, 2.0, f64::ln_1p),
        (Map::Expm1, 3.0, 3.0, f64::exp_m1),
        (Map::Tanh, 4.0, 4.0, f64::tanh),
        (Map::Sigmoid, 3.0, 3.0, special::sigmoid),
        (Map::Softplus, 3.0, 3.0, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        (Map::Sin, 2.0, 2.0, f64::sin),
        (Map::Cos, 2.0, 2.0, f64::cos),
    ]
}

/// The distance of a single-precision result from the exact one, in units in its last place.
fn error_single(found: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if found.to_bits() == rounded.to_bits() || (found.is_nan() && exact.is_nan()) || found == rounded {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        // An overflow may come one step early or late.
        let near = |x: f64| x.is_infinite() || x.abs() >= f64::from(f32::MAX) * (1.0 - 1e-6);
        return if near(f64::from(found)) && near(exact) && !found.is_nan() { 1.0 } else { f64::INFINITY };
    }
    let exponent = exact.abs().log2().floor().max(-126.0);
    (f64::from(found) - exact).abs() / (exponent - 23.0).exp2()
}

type Kernel = fn(Map, &[f32], &mut [f32]);

fn worst_single(kernel: Kernel, op: Map, exact: fn(f64) -> f64, bits: impl Iterator<Item = u32>) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    let (mut x, mut y) = (Vec::with_capacity(4096), vec![0.0; 4096]);
    let mut bits = bits.peekable();
    while bits.peek().is_some() {
        x.clear();
        x.extend(bits.by_ref().take(4096).map(f32::from_bits));
        kernel(op, &x, &mut y[..x.len()]);
        for (&x, &y) in x.iter().zip(&y) {
            let error = error_single(y, exact(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
    }
    worst
}

#[test]
fn logarithms_have_the_same_bits_next_to_special_values() {
    // A slice with a special value takes another path than one without.
    let narrow: Vec<f32> = (1..2000).map(|i| f32::from_bits(0x0080_0000 + i * 0x000f_c0f1)).collect();
    let wide: Vec<f64> = (1..2000).map(|i| f64::from_bits((1 << 52) + i * 0x000f_edca_9876_5432)).collect();
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut plain = vec![0.0; wide.len()];
    map_slice(Map::Ln, &wide, &mut plain);
    for special in [1.0, 0.0, -1.0, 1e-310, f64::INFINITY, f64::NAN] {
        let mut x = narrow.clone();
        x.push(if special == 1e-310 { 1e-40 } else { special as f32 });
        let mut y = vec![0.0; x.len()];
        for kernel in [map_slice as Kernel, map_portable] {
            kernel(Map::Ln, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let error = error_single(y, f64::from(x).ln());
                assert!(error <= 1.0, "{x}: {y}, an error of {error} beside {special}");
            }
        }
        let mixed = [&wide[..], &[special]].concat();
        let mut y = vec![0.0; mixed.len()];
        map_slice(Map::Ln, &mixed, &mut y);
        assert_eq!(bits(&y[..wide.len()]), bits(&plain), "{special}");
    }
}

#[test]
fn single_precision_keeps_its_bounds_on_a_sample() {
    for (op, bound, _, exact) in cases() {
        for kernel in [map_slice as Kernel, map_portable] {
            let (error, at) = worst_single(kernel, op, exact, (0..=u32::MAX / 4099).map(|i| i * 4099));
            assert!(error <= bound, "{op:?}: {error} ulp at {at:e}");
        }
    }
}

#[test]
#[ignore = "all 2³² arguments: some minutes, in release"]
fn single_precision_keeps_its_bounds_everywhere() {
    for (op, bound, _, exact) in cases() {
        let (error, at) = worst_single(map_slice, op, exact, 0..=u32::MAX);
        println!("{op:?}: {error:.3} ulp at {at:e}");
        assert!(error <= bound, "{op:?}: {error} ulp at {at:e}");
    }
}

#[test]
fn double_precision_keeps_its_bounds_on_a_sample() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut x: Vec<f64> = vec![0.0, -0.0, 1.0, -1.0, f64::MIN_POSITIVE, 5e-324, -5e-324, f64::MAX, f64::NAN];
    x.extend([f64::INFINITY, f64::NEG_INFINITY, 709.78, 709.79, -745.1, -745.2, -708.4, 36.7, -36.8, 1e5, -1e5, 1e22]);
    for scale in [1e-300, 1e-20, 1e-8, 1e-3, 0.3, 1.0, 3.0, 30.0, 800.0, 1e5] {
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            x.push(((state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0) * scale);
        }
    }
    let mut y = vec![0.0; x.len()];
    for (op, _, bound, reference) in cases() {
        map_slice(op, &x, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let exact = reference(x);
            let ulp = (exact.abs().log2().floor().max(-1022.0) - 52.0).exp2();
            // The references are themselves rounded, some of them twice.
            let close = (y - exact).abs() <= (bound + 1.0) * ulp.max(5e-324);
            assert!(y == exact || close || (y.is_nan() && exact.is_nan()), "{op:?} of {x:e}: {y:e}, not {exact:e}");
        }
    }
}

#[test]
fn zero_keeps_its_sign() {
    for op in [Map::Log1p, Map::Expm1, Map::Tanh, Map::Sin] {
        let (mut single, mut double) = ([0.0_f32], [0.0_f64]);
        map_slice(op, &[-0.0], &mut single);
        map_slice(op, &[-0.0], &mut double);
        assert!(single[0] == 0.0 && single[0].is_sign_negative(), "{op:?}");
        assert!(double[0] == 0.0 && double[0].is_sign_negative(), "{op:?}");
    }
}
