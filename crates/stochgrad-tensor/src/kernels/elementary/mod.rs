//! Elementary functions without branches, written so that the compiler turns loops over them into vector code.
//!
//! | function | f32, ulp | f64, ulp | method |
//! |---|---|---|---|
//! | exp | 2 | 2 | 2ⁿ times a polynomial on ±½ ln 2 |
//! | ln | 1 | 1 | 2 artanh((m − 1)/(m + 1)) on √½ ≤ m < √2 |
//! | ln(1 + x) | 2 | 2 | the same, corrected for the rounding error of 1 + x |
//! | exp(x) − 1 | 3 | 3 | as exp, without the leading 1 |
//! | tanh | 4 | 4 | e/(e + 2) with e = exp(2x) − 1 |
//! | sigmoid | 3 | 3 | t = exp(−abs x), then 1/(1 + t) or t/(1 + t) |
//! | softplus | 3 | 3 | max(x, 0) + ln(1 + exp(−abs x)) |
//! | sin, cos | 2 | 2 | reduction by multiples of ½ π up to [`Elementary::FAR`]; beyond it, the functions of `std` |
//!
//! The columns bound the errors in units in the last place of the exact result, subnormal results included. Single
//! precision is tested on all 2³² arguments (an ignored test: the README says how to run it), double precision on a
//! dense sample. With fused multiply-adds the largest errors found in single precision are 1.01 (exp), 0.84 (ln and
//! ln(1 + x)), 1.44 (exp(x) − 1), 2.42 (tanh), 2.40 (sigmoid), 1.82 (softplus) and 1.53 (sin and cos). `FMA` says
//! whether fused multiply-adds are cheap; results with and without them differ within the bounds.
//!
//! The formulas are the same for both element types: `formulas` writes them once, as a macro. `single` and `double`
//! supply the coefficients and state where each list comes from.

mod double;
mod formulas;
mod single;
#[cfg(test)]
mod tests;

/// The functions of an element type.
pub trait Elementary: Copy {
    /// The largest |x| for which [`sin_cos_near`](Self::sin_cos_near) is accurate.
    const FAR: Self;

    /// `self · factor + addend`, rounded once with `FMA` and twice without.
    fn multiply_add<const FMA: bool>(self, factor: Self, addend: Self) -> Self;
    fn exp_fast<const FMA: bool>(self) -> Self;
    fn ln_fast<const FMA: bool>(self) -> Self;
    /// The logarithm of a positive normal number, with the bits of [`ln_fast`](Self::ln_fast). NaN and ∞ stay as they
    /// are.
    fn ln_normal<const FMA: bool>(self) -> Self;
    fn ln_1p_fast<const FMA: bool>(self) -> Self;
    fn exp_m1_fast<const FMA: bool>(self) -> Self;
    fn tanh_fast<const FMA: bool>(self) -> Self;
    fn sigmoid_fast<const FMA: bool>(self) -> Self;
    fn softplus_fast<const FMA: bool>(self) -> Self;
    /// Sine and cosine of an argument up to [`FAR`](Self::FAR).
    fn sin_cos_near<const FMA: bool>(self) -> [Self; 2];
    /// Cosine and sine of 2π times a value in (0, 1).
    fn turn_fast<const FMA: bool>(self) -> [Self; 2];
}
