//! Functions of pairs of elements.

use crate::lowering::builder::Value;
use crate::lowering::map::{log1p_square, log1p_square_slope, unguarded};
use stochgrad_tensor::zip::Zip;

/// A function of pairs of elements of one shape.
pub fn zip<'b>(zip: Zip, a: Value<'b>, b: Value<'b>) -> Value<'b> {
    let one_if = |condition: Value<'b>| condition.choose(a.element(), 1.0, 0.0);
    let kept = || b.differs(0.0) | a.is_finite();
    match zip {
        Zip::Add => a + b,
        Zip::Sub => a - b,
        Zip::SubUnguarded => unguarded(a - b),
        Zip::Mul => a * b,
        Zip::MulBit => (a.lt(0.0) | a.gt(1.0)).select(f64::NEG_INFINITY, a * b),
        Zip::MulCount => (a.lt(0.0) | (a - a.floor()).gt(0.0)).select(f64::NEG_INFINITY, a * b),
        Zip::ChanceOfBit => (a.lt(0.0) | a.gt(1.0)).select(0.0, a * b + (1.0 - a) * (1.0 - b)),
        Zip::Div => a / b,
        Zip::Pow => a.pow(b),
        Zip::Maximum => a.max(b),
        Zip::Minimum => a.min(b),
        Zip::LogAddExp => log_add_exp(a, b),
        Zip::Log1pSquareRatio => log1p_square(a / b),
        Zip::Log1pSquareRatioByFirst => log1p_square_slope(a / b) / b,
        Zip::Log1pSquareRatioBySecond => -2.0 / ((b / a).square() + 1.0) / b,
        Zip::Greater => one_if(a.gt(b)),
        Zip::GreaterEqual => one_if(a.ge(b)),
        Zip::Less => one_if(a.lt(b)),
        Zip::LessEqual => one_if(a.le(b)),
        Zip::Equal => one_if(a.equal(b)),
        Zip::NotEqual => one_if(a.differs(b)),
        Zip::Share => a.gt(b).select(1.0, a.equal(b).choose(a.element(), 0.5, 0.0)),
        Zip::Weigh => b.equal(0.0).select(0.0, a * b),
        Zip::Keep => one_if(kept()),
        Zip::Hold => kept().select(a, 0.0),
    }
}

/// ln(e^a + e^b), without overflow.
pub(crate) fn log_add_exp<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    // The difference of equal infinities would be NaN.
    let apart = a.equal(b).select(0.0, -(a - b).abs());
    a.max(b) + apart.exp().log1p()
}
