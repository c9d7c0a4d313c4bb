//! Evaluation of operations on plates.

use crate::id::Id;
use crate::op::PlateReduction;
use crate::op::fault::Fault;
use crate::plate::{Plate, Plates};
use crate::tape::{Inner, Tape};
use stochgrad_tensor::map::{Map, map};
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Tensor, reduce, zip};

impl<F: Real> Tape<F> {
    pub(super) fn evaluate_plate_reduce(
        &self,
        inner: &Inner<F>,
        inputs: &[Id],
        plate: Plate,
        how: PlateReduction,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let first = &inner.nodes[inputs[0].index()];
        let (value, plates) = if how == PlateReduction::Weighted {
            let weights = &inner.nodes[inputs[1].index()];
            if !weights.event().is_empty() {
                return Err(inner.operand(weights, "expected weights without event axes"));
            }
            let aligned = inner.align(&[first, weights]);
            (zip::zip(&self.pool, Zip::Weigh, &aligned.values[0], &aligned.values[1]), aligned.plates)
        } else {
            (first.value.clone(), first.plates.clone())
        };
        let size = inner.plates[plate.index as usize].whole() as f64;
        let Ok(at) = plates.binary_search(&plate) else {
            // The value is the same for every member.
            let scaled = match how {
                PlateReduction::Mean => value.clone(),
                PlateReduction::Sum | PlateReduction::Weighted => map(&self.pool, Map::MulScalar(size), &value),
                PlateReduction::LogSumExp => map(&self.pool, Map::AddScalar(size.ln()), &value),
            };
            self.pool.recycle(value);
            return Ok((scaled, plates));
        };
        let function = if how == PlateReduction::LogSumExp { Reduce::LogSumExp } else { Reduce::Sum };
        let mut reduced = reduce::reduce(&self.pool, function, &value, &[at], false);
        self.pool.recycle(value);
        if how == PlateReduction::Mean {
            let mean = map(&self.pool, Map::MulScalar(1.0 / size), &reduced);
            self.pool.recycle(std::mem::replace(&mut reduced, mean));
        }
        let kept: Plates = plates.iter().copied().filter(|other| *other != plate).collect();
        Ok((reduced, kept))
    }
}
