//! Elementary functions without branches, made to be compiled into vector loops.
//!
//! | function | f32, ulp | f64, ulp | method |
//! |---|---|---|---|
//! | exp | 2 | 2 | 2ⁿ times a polynomial on ±½ ln 2 |
//! | ln | 1 | 1 | 2 artanh((m − 1)/(m + 1)) on √½ ≤ m < √2 |
//! | ln(1 + x) | 2 | 2 | the same, with the rounding error of 1 + x put right |
//! | exp(x) − 1 | 3 | 3 | as exp, without the leading 1 |
//! | tanh | 4 | 4 | e/(e + 2) with e = exp(2x) − 1 |
//! | sigmoid | 3 | 3 | t = exp(−abs x), then 1/(1 + t) or t/(1 + t) |
//! | softplus | 3 | 3 | max(x, 0) + ln(1 + exp(−abs x)) |
//! | sin, cos | 2 | 2 | reduction by multiples of ½ π up to [`Elementary::FAR`], beyond which the library's are used |
//!
//! The numbers bound the errors in units in the last place of the exact result, subnormal results included. In single
//! precision they are tested on all 2³² arguments (an ignored test: the README says how to run it), in double precision
//! on a dense sample. With fused multiply-adds the largest errors found in single precision are 1.01 (exp), 0.84 (ln
//! and ln(1 + x)), 1.44 (exp(x) − 1), 2.42 (tanh), 2.40 (sigmoid), 1.82 (softplus) and 1.53 (sin and cos). `FMA` says
//! whether fused multiply-adds are cheap; results with and without differ within the bounds.

/// The functions of an element type.
pub trait Elementary: Copy {
    /// Where `sin_near` and `cos_near` end.
    const FAR: Self;

    /// `self · factor + addend`, rounded once with `FMA` and twice without.
    fn multiply_add<const FMA: bool>(self, factor: Self, addend: Self) -> Self;
    fn exp_fast<const FMA: bool>(self) -> Self;
    fn ln_fast<const FMA: bool>(self) -> Self;
    fn ln_1p_fast<const FMA: bool>(self) -> Self;
    fn exp_m1_fast<const FMA: bool>(self) -> Self;
    fn tanh_fast<const FMA: bool>(self) -> Self;
    fn sigmoid_fast<const FMA: bool>(self) -> Self;
    fn softplus_fast<const FMA: bool>(self) -> Self;
    /// Sine and cosine of an argument up to [`FAR`](Self::FAR).
    fn sin_cos_near<const FMA: bool>(self) -> [Self; 2];
    /// Cosine and sine of 2π times a number in (0, 1).
    fn turn_fast<const FMA: bool>(self) -> [Self; 2];
}

macro_rules! elementary {
    ($real:ident, $bits:ident, $signed:ident, $mantissa:literal, $bias:literal,
     exp: $exp_low:literal, $exp_high:literal, $expm1_low:literal, $ln2_high:literal, $ln2_low:literal, $exp_terms:expr,
     ln: $root_half:literal, $log_terms:expr, $log_ln2_high:literal, $log_ln2_low:literal, tanh: $tanh_far:literal) => {
        #[inline(always)]
        fn fma<const FMA: bool>(a: $real, b: $real, c: $real) -> $real {
            if FMA { a.mul_add(b, c) } else { a * b + c }
        }

        /// The polynomial with these coefficients, the highest first.
        #[inline(always)]
        fn polynomial<const FMA: bool, const N: usize>(terms: [$real; N], x: $real) -> $real {
            let mut sum = terms[0];
            let mut at = 1;
            while at < N {
                sum = fma::<FMA>(sum, x, terms[at]);
                at += 1;
            }
            sum
        }

        /// 2ⁿ for an exponent of a normal number.
        #[inline(always)]
        fn power_of_two(n: $signed) -> $real {
            $real::from_bits((n.wrapping_add($bias) as $bits) << $mantissa)
        }

        /// The nearest whole number, as a number and as an integer.
        #[inline(always)]
        fn nearest(x: $real) -> ($real, $signed) {
            const SHIFT: $real = 1.5 * (1_u64 << $mantissa) as $real;
            let shifted = x + SHIFT;
            (shifted - SHIFT, (shifted.to_bits() as $signed).wrapping_sub(SHIFT.to_bits() as $signed))
        }

        /// exp(r) − 1 and n, with x = n ln 2 + r.
        #[inline(always)]
        fn reduced_exp<const FMA: bool>(x: $real) -> ($real, $signed) {
            let (n, whole) = nearest(x * std::$real::consts::LOG2_E);
            let r = fma::<FMA>(-n, $ln2_low, fma::<FMA>(-n, $ln2_high, x));
            (fma::<FMA>(polynomial::<FMA, _>($exp_terms, r), r * r, r), whole)
        }

        /// ln(u) + correction, for positive normal u.
        #[inline(always)]
        fn log<const FMA: bool>(u: $real, exponent: $signed, correction: $real) -> $real {
            let shifted = u.to_bits().wrapping_sub($root_half) as $signed;
            let k = ((shifted >> $mantissa).wrapping_add(exponent)) as $real;
            let m = $real::from_bits((shifted as $bits & ((1 << $mantissa) - 1)).wrapping_add($root_half));
            let f = m - 1.0;
            let s = f / (2.0 + f);
            let z = s * s;
            let tail = z * polynomial::<FMA, _>($log_terms, z);
            let half = 0.5 * f * f;
            let low = fma::<FMA>(s, half + tail, fma::<FMA>(k, $log_ln2_low, correction));
            fma::<FMA>(k, $log_ln2_high, f - (half - low))
        }

        impl Elementary for $real {
            const FAR: Self = 1e5;

            #[inline(always)]
            fn multiply_add<const FMA: bool>(self, factor: Self, addend: Self) -> Self {
                fma::<FMA>(self, factor, addend)
            }

            #[inline(always)]
            fn exp_fast<const FMA: bool>(self) -> Self {
                let x = if self < $exp_low { $exp_low } else { self };
                let x = if x > $exp_high { $exp_high } else { x };
                let (tail, n) = reduced_exp::<FMA>(x);
                // In two steps, since 2ⁿ itself may be out of range.
                let near = n >> 1;
                (1.0 + tail) * power_of_two(near) * power_of_two(n.wrapping_sub(near))
            }

            #[inline(always)]
            fn ln_fast<const FMA: bool>(self) -> Self {
                let small = self < $real::MIN_POSITIVE;
                let scaled = if small { self * (1_u64 << $mantissa) as $real } else { self };
                let result = log::<FMA>(scaled, if small { -$mantissa } else { 0 }, 0.0);
                let result = if self < $real::INFINITY { result } else { self };
                let result = if self == 0.0 { $real::NEG_INFINITY } else { result };
                if self < 0.0 { $real::NAN } else { result }
            }

            #[inline(always)]
            fn ln_1p_fast<const FMA: bool>(self) -> Self {
                let u = 1.0 + self;
                let lost = if self < 1.0 { self - (u - 1.0) } else { 1.0 - (u - self) };
                let result = log::<FMA>(u, 0, lost / u);
                let result = if self < $real::INFINITY { result } else { self };
                let result = if self == -1.0 { $real::NEG_INFINITY } else { result };
                let result = if self < -1.0 { $real::NAN } else { result };
                if self.abs() < $real::EPSILON * 0.25 { self } else { result }
            }

            #[inline(always)]
            fn exp_m1_fast<const FMA: bool>(self) -> Self {
                let x = if self < $expm1_low { $expm1_low } else { self };
                let x = if x > $exp_high { $exp_high } else { x };
                let (tail, n) = reduced_exp::<FMA>(x);
                let half = power_of_two(n.wrapping_sub(1));
                let result = 2.0 * fma::<FMA>(half, tail, half - 0.5);
                if self.abs() < $real::EPSILON * 0.25 { self } else { result }
            }

            #[inline(always)]
            fn tanh_fast<const FMA: bool>(self) -> Self {
                let x = self.abs();
                let x = if x > $tanh_far { $tanh_far } else { x };
                let e = (2.0 * x).exp_m1_fast::<FMA>();
                (e / (e + 2.0)).copysign(self)
            }

            #[inline(always)]
            fn sigmoid_fast<const FMA: bool>(self) -> Self {
                let tail = (-self.abs()).exp_fast::<FMA>();
                let numerator = if self >= 0.0 { 1.0 } else { tail };
                numerator / (1.0 + tail)
            }

            #[inline(always)]
            fn softplus_fast<const FMA: bool>(self) -> Self {
                let positive = if self > 0.0 { self } else { 0.0 };
                positive + log_one_plus::<FMA>((-self.abs()).exp_fast::<FMA>())
            }

            #[inline(always)]
            fn sin_cos_near<const FMA: bool>(self) -> [Self; 2] {
                let (n, quadrant) = nearest_quarter::<FMA>(self);
                let [sine, cosine] = quarter_turns::<FMA>(n, quadrant);
                [if self == 0.0 { self } else { sine }, cosine]
            }

            #[inline(always)]
            fn turn_fast<const FMA: bool>(self) -> [Self; 2] {
                let (n, quadrant) = nearest(4.0 * self);
                let [sine, cosine] = quarter_turns::<FMA>((4.0 * self - n) * std::$real::consts::FRAC_PI_2, quadrant);
                [cosine, sine]
            }
        }

        /// Sine and cosine of r plus quarter turns, for |r| ≤ ¼ π.
        #[inline(always)]
        fn quarter_turns<const FMA: bool>(r: $real, quadrant: $signed) -> [$real; 2] {
            let z = r * r;
            let sine = fma::<FMA>(polynomial::<FMA, _>(SINE, z), z * r, r);
            let half = 0.5 * z;
            let one = 1.0 - half;
            let cosine = one + (((1.0 - one) - half) + z * z * polynomial::<FMA, _>(COSINE, z));
            let swap = quadrant & 1 == 1;
            let (s, c) = (if swap { cosine } else { sine }, if swap { sine } else { cosine });
            [if quadrant & 2 == 2 { -s } else { s }, if quadrant.wrapping_add(1) & 2 == 2 { -c } else { c }]
        }
    };
}

#[allow(clippy::excessive_precision)]
mod single {
    use super::Elementary;

    const SINE: [f32; 3] = [-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1];
    const COSINE: [f32; 3] = [2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2];

    /// ln(1 + t) for t in [0, 1]: 2 artanh(t / (2 + t)).
    #[inline(always)]
    fn log_one_plus<const FMA: bool>(t: f32) -> f32 {
        const TERMS: [f32; 5] = [0.232_390_5, 0.217_033_15, 0.285_925_83, 0.399_997_01, 0.666_666_67];
        let s = t / (2.0 + t);
        let z = s * s;
        // The first term of the series, 2 s, is t − s t.
        fma::<FMA>(s, fma::<FMA>(polynomial::<FMA, _>(TERMS, z), z, -t), t)
    }

    elementary!(f32, u32, i32, 23, 127,
        exp: -104.0, 89.0, -18.0, 0.693_359_375, -2.121_944_40e-4,
        [1.987_569_150_0e-4, 1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 0.5],
        ln: 0x3f35_04f3, [0.242_790_788_41, 0.284_987_866_88, 0.400_009_721_52, 0.666_666_626_93], 0.693_138_122_56, 9.058_000_614_5e-6, tanh: 10.0);

    /// The remainder of x by multiples of ½ π, in double precision, and their number.
    #[inline(always)]
    fn nearest_quarter<const FMA: bool>(x: f32) -> (f32, i32) {
        let (n, whole) = nearest(x * std::f32::consts::FRAC_2_PI);
        let n = f64::from(n);
        let r = f64::from(x) - n * 1.570_796_326_734_125_6;
        ((r - n * 6.077_100_506_506_192e-11) as f32, whole)
    }
}

#[allow(clippy::excessive_precision)]
mod double {
    use super::Elementary;

    const SINE: [f64; 6] = [
        1.589_690_995_211_55e-10,
        -2.505_076_025_340_686_3e-8,
        2.755_731_370_707_006_8e-6,
        -1.984_126_982_985_795e-4,
        8.333_333_333_322_49e-3,
        -1.666_666_666_666_663_2e-1,
    ];
    const COSINE: [f64; 6] = [
        -1.135_964_755_778_819_5e-11,
        2.087_572_321_298_175e-9,
        -2.755_731_435_139_066_3e-7,
        2.480_158_728_947_673e-5,
        -1.388_888_888_887_411e-3,
        4.166_666_666_666_66e-2,
    ];

    /// ln(1 + t) for t in [0, 1].
    #[inline(always)]
    fn log_one_plus<const FMA: bool>(t: f64) -> f64 {
        t.ln_1p_fast::<FMA>()
    }

    elementary!(f64, u64, i64, 52, 1023,
        exp: -746.0, 710.0, -40.0, 6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10,
        [1.605_904_383_682_161_3e-10, 2.087_675_698_786_81e-9, 2.505_210_838_544_172e-8, 2.755_731_922_398_589e-7,
         2.755_731_922_398_589_3e-6, 2.480_158_730_158_73e-5, 1.984_126_984_126_984_1e-4, 1.388_888_888_888_889e-3,
         8.333_333_333_333_333e-3, 4.166_666_666_666_666_4e-2, 1.666_666_666_666_666_6e-1, 0.5],
        ln: 0x3fe6_a09e_667f_3bcd,
        [1.479_819_860_511_658_6e-1, 1.531_383_769_920_937_3e-1, 1.818_357_216_161_805e-1, 2.222_219_843_214_978_4e-1,
         2.857_142_874_366_239e-1, 3.999_999_999_940_942e-1, 6.666_666_666_666_735e-1],
        6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10, tanh: 22.0);

    /// The remainder of x by multiples of ½ π, in three steps, and their number.
    #[inline(always)]
    fn nearest_quarter<const FMA: bool>(x: f64) -> (f64, i64) {
        let (n, whole) = nearest(x * std::f64::consts::FRAC_2_PI);
        let r = x - n * 1.570_796_326_734_125_6;
        let r = r - n * 6.077_100_506_303_966e-11;
        (r - n * 2.022_266_248_795_950_6e-21, whole)
    }
}

#[cfg(test)]
mod tests {
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
        x.extend([
            f64::INFINITY,
            f64::NEG_INFINITY,
            709.78,
            709.79,
            -745.1,
            -745.2,
            -708.4,
            36.7,
            -36.8,
            1e5,
            -1e5,
            1e22,
        ]);
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
}
