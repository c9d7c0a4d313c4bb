//! The formulas of the elementary functions, for both element types.

/// Implements [`Elementary`](super::Elementary) for one element type.
///
/// - `real`, `bits`, `signed`: the element type, and the unsigned and signed integers of its width.
/// - `mantissa`, `bias`: the number of stored mantissa bits, and the exponent bias.
/// - `exp`: the interval outside of which exp(x) is 0 or infinite; ln 2 as a sum of two parts; the coefficients of
///   (exp(r) − 1 − r) / r².
/// - `exp_m1`: an argument below which exp(x) − 1 rounds to −1.
/// - `ln`: the bits of √½; ln 2 as a sum of two parts; the coefficients of (2 artanh(s) − 2s) / s³ in s².
/// - `log_one_plus`: a function for ln(1 + t) with 0 ≤ t ≤ 1.
/// - `tanh`: an argument above which tanh(x) rounds to 1.
/// - `sin_cos`: a function that subtracts the nearest multiple of ½ π; the coefficients of (sin(r) − r) / r³ and of
///   (cos(r) − 1 + ½ r²) / r⁴ in r².
///
/// Coefficients have the highest power first. The first part of each ln 2 has trailing zero bits, so that its product
/// with an exponent is exact.
macro_rules! elementary {
    (
        real: $real:ident,
        bits: $bits:ident,
        signed: $signed:ident,
        mantissa: $mantissa:literal,
        bias: $bias:literal,
        exp: {
            least: $exp_least:literal,
            greatest: $exp_greatest:literal,
            ln_2: $exp_ln_2:ident,
            terms: $exp_terms:ident,
        },
        exp_m1: { least: $expm1_least:literal },
        ln: { root_half: $root_half:literal, ln_2: $log_ln_2:ident, terms: $log_terms:ident },
        log_one_plus: $log_one_plus:ident,
        tanh: { greatest: $tanh_greatest:literal },
        sin_cos: { nearest_quarter: $nearest_quarter:ident, sine: $sine:ident, cosine: $cosine:ident } $(,)?
    ) => {
        #[inline(always)]
        fn fma<const FMA: bool>(a: $real, b: $real, c: $real) -> $real {
            if FMA { a.mul_add(b, c) } else { a * b + c }
        }

        /// The polynomial with these coefficients, highest power first.
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

        /// 2ⁿ, where n is the exponent of a normal float.
        #[inline(always)]
        fn power_of_two(n: $signed) -> $real {
            $real::from_bits((n.wrapping_add($bias) as $bits) << $mantissa)
        }

        /// The nearest integer, as a float and as an integer.
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
            let r = fma::<FMA>(-n, $exp_ln_2[1], fma::<FMA>(-n, $exp_ln_2[0], x));
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
            let low = fma::<FMA>(s, half + tail, fma::<FMA>(k, $log_ln_2[1], correction));
            fma::<FMA>(k, $log_ln_2[0], f - (half - low))
        }

        impl Elementary for $real {
            const FAR: Self = 1e5;

            #[inline(always)]
            fn multiply_add<const FMA: bool>(self, factor: Self, addend: Self) -> Self {
                fma::<FMA>(self, factor, addend)
            }

            #[inline(always)]
            fn exp_fast<const FMA: bool>(self) -> Self {
                let x = if self < $exp_least { $exp_least } else { self };
                let x = if x > $exp_greatest { $exp_greatest } else { x };
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
            fn ln_normal<const FMA: bool>(self) -> Self {
                let result = log::<FMA>(self, 0, 0.0);
                if self < $real::INFINITY { result } else { self }
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
                let x = if self < $expm1_least { $expm1_least } else { self };
                let x = if x > $exp_greatest { $exp_greatest } else { x };
                let (tail, n) = reduced_exp::<FMA>(x);
                let half = power_of_two(n.wrapping_sub(1));
                let result = 2.0 * fma::<FMA>(half, tail, half - 0.5);
                if self.abs() < $real::EPSILON * 0.25 { self } else { result }
            }

            #[inline(always)]
            fn tanh_fast<const FMA: bool>(self) -> Self {
                let x = self.abs();
                let x = if x > $tanh_greatest { $tanh_greatest } else { x };
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
                positive + $log_one_plus::<FMA>((-self.abs()).exp_fast::<FMA>())
            }

            #[inline(always)]
            fn sin_cos_near<const FMA: bool>(self) -> [Self; 2] {
                let (n, quadrant) = $nearest_quarter::<FMA>(self);
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
            let sine = fma::<FMA>(polynomial::<FMA, _>($sine, z), z * r, r);
            let half = 0.5 * z;
            let one = 1.0 - half;
            let cosine = one + (((1.0 - one) - half) + z * z * polynomial::<FMA, _>($cosine, z));
            let swap = quadrant & 1 == 1;
            let (s, c) = (if swap { cosine } else { sine }, if swap { sine } else { cosine });
            [if quadrant & 2 == 2 { -s } else { s }, if quadrant.wrapping_add(1) & 2 == 2 { -c } else { c }]
        }
    };
}

pub(super) use elementary;
