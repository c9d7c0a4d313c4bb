//! Conditions on values.

use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tape::Condition;

/// Whether a condition holds, for each element or each row. `None` for conditions that only the host can check.
pub fn holds(condition: Condition, x: Value<'_>) -> Option<Value<'_>> {
    // Bounds are numbers in double precision.
    let exact = |bounds: &[f64]| {
        let fits = x.element() == Element::F64 || bounds.iter().all(|&bound| f64::from(bound as f32) == bound);
        if fits { x } else { x.convert(Element::F64) }
    };
    let last = x.shape().rank().checked_sub(1);
    Some(match condition {
        Condition::Finite => x.is_finite(),
        Condition::NotNan => x.equal(x),
        Condition::NotZero => x.differs(0.0),
        Condition::Between { low, high } => {
            let x = exact(&[low, high]);
            x.ge(low) & x.le(high)
        }
        Condition::AtLeast { low, below } => {
            let x = exact(&[low, below]);
            x.ge(low) & x.lt(below)
        }
        Condition::AtMost { above, high } => {
            let x = exact(&[above, high]);
            x.gt(above) & x.le(high)
        }
        Condition::Inside { above, below } => {
            let x = exact(&[above, below]);
            x.gt(above) & x.lt(below)
        }
        Condition::Integer { least } => x.is_finite() & x.equal(x.floor()) & exact(&[least]).ge(least),
        Condition::FiniteExponential => {
            // The largest number whose exponential is finite.
            let (largest, x) = match x.element() {
                Element::F32 => (f64::from(f32::MAX).ln(), x.convert(Element::F64)),
                _ => (f64::MAX.ln(), x),
            };
            x.le(largest)
        }
        Condition::UnitRows { tolerance } => {
            let sums = match last {
                Some(last) => x.convert(Element::F64).reduce(Fold::Sum, &[last]),
                None => x.convert(Element::F64),
            };
            // A NaN has a condition of its own.
            !(sums - 1.0).abs().gt(tolerance)
        }
        Condition::PossibleRows => {
            let possible = x.differs(f64::NEG_INFINITY);
            last.map_or(possible, |last| possible.reduce(Fold::Any, &[last]))
        }
        Condition::LowerTriangle => {
            let shape = x.shape();
            let rank = shape.rank();
            if rank < 2 {
                return None;
            }
            let kind = TensorType::new(Element::I32, shape);
            let [rows, columns] = [rank - 2, rank - 1].map(|axis| x.builder.iota(kind.clone(), axis));
            columns.lt(rows) | (columns.equal(rows) & x.gt(0.0)) | (columns.gt(rows) & x.equal(0.0))
        }
        _ => return None,
    })
}
