//! Fused loops over elements, compiled for the widest vectors that the machine has.
//!
//! The bodies are branch-free polynomials, so that the loops around them vectorise. They use fused multiply-add, which
//! every machine with such vectors has.

/// The logarithm of 2 in two parts. The first has so few digits that its products with small integers are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// $e^x$, to 2 ulp, for $|x| < 87$; values outside are clamped.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding and subtracting this constant rounds to the nearest integer.
    const ROUNDER: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUNDER);
    let whole = shifted - ROUNDER;
    let r = whole.mul_add(-LN_2[1], whole.mul_add(-LN_2[0], x));
    let tail = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let polynomial = tail.iter().fold(0.0_f32, |sum, coefficient| sum.mul_add(r, *coefficient));
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (polynomial.mul_add(r * r, r) + 1.0) * power
}

/// $\ln x$, to 2 ulp away from 1, for positive normal floating-point values.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(HALF_ROOT);
    let exponent = (bits as i32 >> 23) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(HALF_ROOT)) - 1.0;
    let tail = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let polynomial = tail.iter().fold(0.0_f32, |sum, coefficient| sum.mul_add(m, *coefficient));
    let square = m * m;
    let low = exponent.mul_add(LN_2[1], (polynomial * m).mul_add(square, -0.5 * square));
    exponent.mul_add(LN_2[0], m + low)
}

/// $\sigma(x)$ and $\ln(1 + e^x)$, from one exponential.
#[inline(always)]
pub(crate) fn sigmoid_and_softplus(x: f32) -> (f32, f32) {
    let tail = exp(-x.abs());
    let numerator = if x >= 0.0 { 1.0 } else { tail };
    (numerator / (1.0 + tail), x.max(0.0) + ln(1.0 + tail))
}

/// The number of partial sums, so that a sum vectorises.
const LANES: usize = 16;

/// Functions whose loops are compiled for each width of vectors. The widest one of the machine is chosen at run time.
macro_rules! vectorised {
    ($(
        $(#[$doc:meta])*
        fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),* $(,)?) -> $output:ty $body:block
    )*) => {$(
        $(#[$doc])*
        pub(crate) fn $name<$life>($($argument: $type),*) -> $output {
            struct Work<$life> {
                $($argument: $type),*
            }
            impl<$life> pulp::WithSimd for Work<$life> {
                type Output = $output;
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _simd: S) -> $output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Work { $($argument),* })
        }
    )*};
}

vectorised! {
    /// Adds the biases to each row.
    fn add_bias<'a>(rows: &'a mut [f32], bias: &'a [f32]) -> () {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += bias;
            }
        }
    }

    /// Adds the biases to each row, and multiplies negative values by a slope.
    fn add_bias_and_rectify<'a>(rows: &'a mut [f32], bias: &'a [f32], slope: f32) -> () {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                let sum = *value + bias;
                *value = if sum > 0.0 { sum } else { slope * sum };
            }
        }
    }

    /// Turns the adjoints of rectified values into those of the values before the rectifier.
    fn through_rectifier<'a>(adjoints: &'a mut [f32], values: &'a [f32], slope: f32) -> () {
        for (adjoint, &value) in adjoints.iter_mut().zip(values) {
            *adjoint *= if value > 0.0 { 1.0 } else { slope };
        }
    }

    /// The sum of the rows.
    fn sum_of_rows<'a>(out: &'a mut [f32], rows: &'a [f32]) -> () {
        out.fill(0.0);
        for row in rows.chunks_exact(out.len()) {
            for (sum, value) in out.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }

    /// Turns uniform samples into relaxed bits with these logits.
    fn relax_bits<'a>(uniforms: &'a mut [f32], logits: &'a [f32], temperature: f32) -> () {
        let scale = 1.0 / temperature;
        for (code, logit) in uniforms.iter_mut().zip(logits) {
            let u = *code;
            *code = 1.0 / (1.0 + exp(-(logit + ln(u / (1.0 - u))) * scale));
        }
    }

    /// Turns uniform samples into bits with these logits: 1 where u < σ(a), computed without a division.
    fn draw_bits<'a>(uniforms: &'a mut [f32], logits: &'a [f32]) -> () {
        for (code, logit) in uniforms.iter_mut().zip(logits) {
            *code = if *code * (1.0 + exp(-logit)) < 1.0 { 1.0 } else { 0.0 };
        }
    }

    /// The negative log-probability of an image, and its derivatives with respect to the logits, times `share`.
    fn reconstruct<'a>(logits: &'a [f32], adjoints: &'a mut [f32], image: &'a [f32], share: f32) -> f32 {
        let mut sums = [0.0_f32; LANES];
        let blocks = logits.chunks(LANES).zip(adjoints.chunks_mut(LANES)).zip(image.chunks(LANES));
        for ((logits, adjoints), pixels) in blocks {
            for (((&logit, adjoint), &pixel), sum) in logits.iter().zip(adjoints).zip(pixels).zip(&mut sums) {
                let (p, softplus) = sigmoid_and_softplus(logit);
                *sum += softplus - pixel * logit;
                *adjoint = (p - pixel) * share;
            }
        }
        sums.iter().sum()
    }

    /// The divergence of bits from uniform ones, and its derivatives with respect to the logits, times `share`.
    fn divergence<'a>(logits: &'a [f32], adjoints: &'a mut [f32], share: f32) -> f32 {
        let mut sums = [0.0_f32; LANES];
        for (adjoints, logits) in adjoints.chunks_mut(LANES).zip(logits.chunks(LANES)) {
            for ((adjoint, &logit), sum) in adjoints.iter_mut().zip(logits).zip(&mut sums) {
                let (p, softplus) = sigmoid_and_softplus(logit);
                *sum += p * logit - softplus + std::f32::consts::LN_2;
                *adjoint = p * (1.0 - p) * logit * share;
            }
        }
        sums.iter().sum()
    }

    /// Adds the adjoints of the logits of relaxed bits, computed from those of the relaxed bits.
    fn add_through_relaxation<'a>(adjoints: &'a mut [f32], bits: &'a [f32], by_bits: &'a [f32], temperature: f32) -> () {
        let scale = 1.0 / temperature;
        for ((adjoint, z), by_z) in adjoints.iter_mut().zip(bits).zip(by_bits) {
            *adjoint += by_z * z * (1.0 - z) * scale;
        }
    }

    /// Adds a multiple.
    fn add_multiple<'a>(sums: &'a mut [f32], factor: f32, values: &'a [f32]) -> () {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += factor * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulps(found: f32, exact: f64) -> f64 {
        let unit = f64::from((exact as f32).abs().next_up()) - f64::from((exact as f32).abs());
        (f64::from(found) - exact).abs() / unit
    }

    #[test]
    fn the_exponential_is_accurate() {
        for i in -86_000..86_000 {
            let x = i as f32 * 1e-3;
            assert!(ulps(exp(x), f64::from(x).exp()) <= 2.0, "exp({x}) = {}", exp(x));
        }
        assert!(exp(-1e9) > 0.0 && exp(1e9).is_finite());
    }

    #[test]
    fn the_logarithm_is_accurate() {
        for i in 1..100_000 {
            let x = i as f32 * 1e-5;
            assert!(ulps(ln(x), f64::from(x).ln()) <= 2.0, "ln({x}) = {}", ln(x));
            let x = 1.0 + i as f32 * 1e-2;
            assert!(ulps(ln(x), f64::from(x).ln()) <= 2.0, "ln({x}) = {}", ln(x));
        }
    }

    #[test]
    fn sigmoid_and_softplus_are_those_of_the_formula() {
        for i in -500..=500 {
            let x = i as f32 * 0.1;
            let (sigmoid, softplus) = sigmoid_and_softplus(x);
            let exact = f64::from(x);
            assert!((f64::from(sigmoid) - 1.0 / (1.0 + (-exact).exp())).abs() < 2e-7);
            assert!((f64::from(softplus) - exact.exp().ln_1p()).abs() < 2e-7 * (1.0 + exact.abs()));
        }
    }

    #[test]
    fn functions_of_rows_have_their_values() {
        let mut rows = [1.0, -2.0, 3.0, 4.0];
        add_bias(&mut rows, &[0.5, 1.0]);
        assert_eq!(rows, [1.5, -1.0, 3.5, 5.0]);
        add_bias_and_rectify(&mut rows, &[0.0, -1.0], 0.5);
        assert_eq!(rows, [1.5, -1.0, 3.5, 4.0]);
        let mut adjoints = [1.0; 4];
        through_rectifier(&mut adjoints, &rows, 0.5);
        assert_eq!(adjoints, [1.0, 0.5, 1.0, 1.0]);
        let mut sums = [f32::NAN; 2];
        sum_of_rows(&mut sums, &rows);
        assert_eq!(sums, [5.0, 3.0]);
        add_multiple(&mut sums, 2.0, &[1.0, -1.0]);
        assert_eq!(sums, [7.0, 1.0]);
    }
}
