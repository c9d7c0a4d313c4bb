//! Operations on the plates of a variable.

use crate::op::{Op, PlateReduction};
use crate::plate::{Plate, Weights};
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

/// Plates.
impl<'t, F: Real> Var<'t, F> {
    #[track_caller]
    pub(super) fn with_plates_checked(self, plates: &[Plate], op: Op) -> Self {
        match self.tape.own_plates(plates, Location::caller()) {
            Ok(()) => self.apply(op),
            Err(error) => self.tape.fail(error),
        }
    }

    /// The plain sum over the members of a plate.
    #[track_caller]
    pub fn sum_over(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::PlateReduce(plate, PlateReduction::Sum))
    }

    /// The average over the members of a plate, weighted if the plate has weights. For a plate of samples, it estimates
    /// an expectation. It is an average even if the graph sums the costs over this plate.
    #[track_caller]
    pub fn mean_over(self, plate: Plate) -> Self {
        match self.tape.weights(plate) {
            Weights::Given { id, .. } => {
                let weights = Var { tape: self.tape, id };
                self.apply_with(Op::PlateReduce(plate, PlateReduction::Weighted), &[weights])
            }
            _ => self.with_plates_checked(&[plate], Op::PlateReduce(plate, PlateReduction::Mean)),
        }
    }

    /// The sum of the members times the given weights. A member with weight 0 is removed, even if it is infinite or
    /// NaN: it adds 0 to the sum, and the derivatives with respect to the member and, if it is infinite or NaN, to its
    /// weight are
    /// 0. The derivative with respect to the weight of any other member is the member.
    #[track_caller]
    pub fn weighted_sum_over(self, plate: Plate, weights: Self) -> Self {
        if let Err(error) = self.tape.own_plates(&[plate], Location::caller()) {
            return self.tape.fail(error);
        }
        self.apply_with(Op::PlateReduce(plate, PlateReduction::Weighted), &[weights])
    }

    /// The logarithm of the average of the exponentials over the members of a plate, weighted if the plate has weights.
    /// A member with weight 0 is removed, as in [`weighted_sum_over`](Self::weighted_sum_over).
    #[track_caller]
    pub fn log_mean_exp_over(self, plate: Plate) -> Self {
        let log_sum = Op::PlateReduce(plate, PlateReduction::LogSumExp);
        let Weights::Given { id, differentiable } = self.tape.weights(plate) else {
            let size = self.tape.whole_plate_size(plate) as f64;
            return self.with_plates_checked(&[plate], log_sum) - size.ln();
        };
        let weights = Var { tape: self.tape, id };
        let log_average = (self.zip(Zip::Hold, weights) + weights.ln()).apply(log_sum);
        if !differentiable {
            return log_average;
        }
        // The derivative of ln w is infinite at 0, but that of the average is not. The exponentials are therefore
        // taken relative to the average.
        let level = log_average.map(Map::MaxScalar(-1e30)).held();
        (self - level).exp().weighted_sum_over(plate, weights).ln() + level
    }

    /// One member of a plate.
    #[track_caller]
    pub fn member(self, plate: Plate, index: usize) -> Self {
        self.with_plates_checked(&[plate], Op::PlateMember(plate, index))
    }

    /// The value with a plate as its first event axis.
    #[track_caller]
    pub fn plate_to_event(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::PlateToEvent(plate))
    }

    /// The value with its first event axis as a plate of the same size.
    #[track_caller]
    pub fn event_to_plate(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::EventToPlate(plate))
    }
}
