//! Seeds of the noise of a run that is not that of its training steps.

use stochgrad_graph::Seed;
use stochgrad_tensor::random::{Key, address_hash};

/// The seed for a purpose at a step: different for each index, and different from that of the training step. The step
/// stays the same, since the schedules of the model are functions of it.
pub(crate) fn derived_seed(seed: u64, step: u64, purpose: &str, index: u64) -> Seed {
    let mut words = [0; 2];
    Key::new(seed, index, address_hash(purpose, &[])).bits(0, &mut words);
    Seed { seed: u64::from(words[0]) | u64::from(words[1]) << 32, step }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_indices_have_seeds_of_their_own() {
        let seed = derived_seed(7, 3, "evaluation", 0);
        assert_eq!(seed, derived_seed(7, 3, "evaluation", 0));
        assert_eq!(seed.step, 3);
        for other in
            [derived_seed(7, 3, "evaluation", 1), derived_seed(7, 3, "x", 0), derived_seed(8, 3, "evaluation", 0)]
        {
            assert_ne!(seed.seed, other.seed);
        }
        assert_ne!(seed.seed, 7);
    }
}
