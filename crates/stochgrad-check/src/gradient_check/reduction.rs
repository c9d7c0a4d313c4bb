//! Reductions of the value of a function to a scalar.

use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Shape, Tensor};

/// A way to reduce the value of a function to a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reduction {
    /// A random weight for each element.
    Elements,
    /// A random weight for each position of the event axes.
    Events,
    /// A random weight for each member of the plates.
    Members,
    /// The weight 1 for all elements.
    Plain,
}

impl Reduction {
    pub(crate) const ALL: [Reduction; 4] =
        [Reduction::Elements, Reduction::Events, Reduction::Members, Reduction::Plain];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reduction::Elements => "weights of all elements",
            Reduction::Events => "weights of event positions",
            Reduction::Members => "weights of plate members",
            Reduction::Plain => "the plain sum",
        }
    }

    pub(crate) fn apply<'t>(self, value: Var<'t, f64>, seed: u64) -> Var<'t, f64> {
        let tape = value.tape();
        let plates = value.plates();
        let sizes: Shape = plates.iter().map(|&plate| tape.plate_size(plate)).collect();
        let event = value.shape();
        let sum = |value: Var<'t, f64>, plates: &[Plate]| {
            let mut total = value.sum();
            for &plate in plates.iter().rev() {
                total = total.sum_over(plate);
            }
            total
        };
        let total = match self {
            Reduction::Elements => {
                let all: Shape = sizes.iter().chain(event.iter()).copied().collect();
                sum(value * tape.constant_on(&plates, random_weights(&all, seed)), &plates)
            }
            Reduction::Events => {
                let mut members = value;
                for &plate in plates.iter().rev() {
                    members = members.sum_over(plate);
                }
                sum(members * tape.constant(random_weights(&event, seed)), &[])
            }
            Reduction::Members => sum(value.sum() * tape.constant_on(&plates, random_weights(&sizes, seed)), &plates),
            Reduction::Plain => sum(value, &plates),
        };
        total + total.square() * 0.25
    }
}

/// Values of either sign with magnitudes between 0.5 and 1.5.
pub(crate) fn random_weights(shape: &Shape, seed: u64) -> Tensor<f64> {
    Tensor::from_fn(shape.clone(), |i| {
        let bits = scramble(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64));
        let size = 0.5 + (bits >> 11) as f64 / (1_u64 << 53) as f64;
        if bits & 1 == 1 { size } else { -size }
    })
}

/// The finaliser of SplitMix64.
fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
