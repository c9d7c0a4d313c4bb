//! Operations on plates.

use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::reduction;
use crate::lowering::zip::zip;
use stochgrad_tape::{Plate, PlateReduction, Plates, ShardReduction};
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// See [`stochgrad_tape::Op::PlateReduce`].
pub fn reduce<'b>(
    context: &Context<'b>,
    x: &Operand<'b>,
    weights: Option<&Operand<'b>>,
    plate: Plate,
    how: PlateReduction,
    target: &Target<'_>,
) -> Value<'b> {
    let whole = context.wholes.get(&plate).map_or(1.0, |&whole| whole as f64);
    let (value, plates) = match weights {
        Some(weights) => {
            let mut plates: Plates = x.plates.iter().chain(&weights.plates).copied().collect();
            plates.sort_unstable();
            plates.dedup();
            let event = x.event();
            let [x, weights] = [x, weights].map(|operand| context.spread(operand, &plates, &event));
            (zip(Zip::Weigh, x, weights), plates)
        }
        None => (x.value, x.plates.clone()),
    };
    let Ok(at) = plates.binary_search(&plate) else {
        // The value is the same for every member.
        return match how {
            PlateReduction::Mean => value,
            PlateReduction::Sum | PlateReduction::Weighted => value * whole,
            PlateReduction::LogSumExp => value + whole.ln(),
        };
    };
    let function = if how == PlateReduction::LogSumExp { Reduce::LogSumExp } else { Reduce::Sum };
    let reduced = reduction::reduce(function, value, &[at]).reshape(target.shape);
    if how == PlateReduction::Mean { reduced * (1.0 / whole) } else { reduced }
}

/// See [`stochgrad_tape::Op::AllReduce`]. The shards are on the devices that run the program together.
pub fn all_reduce(part: Value<'_>, how: ShardReduction) -> Value<'_> {
    part.over_devices(match how {
        ShardReduction::Sum => Fold::Sum,
        ShardReduction::Level => Fold::Max,
    })
}

/// See [`stochgrad_tape::Op::PlateScatter`].
pub fn scatter<'b>(
    context: &Context<'b>,
    x: &Operand<'b>,
    plate: Plate,
    member: usize,
    target: &Target<'_>,
) -> Value<'b> {
    let at = target.plates.binary_search(&plate).expect("a result on the plate");
    let one = target.shape.with_size(at, 1);
    let own: Vec<usize> = (0..one.rank()).filter(|&axis| axis != at || x.plates.contains(&plate)).collect();
    let after = target.shape[at] - member - 1;
    x.value.broadcast(&one, &own).pad(at, member, after, context.builder.float(context.element, 0.0))
}
