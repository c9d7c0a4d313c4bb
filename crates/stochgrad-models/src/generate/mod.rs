//! The generator of random models.

mod costs;
mod leaves;
mod nodes;
mod writer;

use crate::choose::pick;
use crate::generate::writer::Writer;
use crate::model::{Cost, Model};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Limits of the number of joint values of all draws. Each model draws one of them.
const MOST_ASSIGNMENTS: [f64; 3] = [16.0, 64.0, 256.0];

/// The relative frequencies of the limits in [`MOST_ASSIGNMENTS`].
const ASSIGNMENT_WEIGHTS: [u32; 3] = [35, 40, 25];

/// The random generator of the model with this number. It depends only on the seed and the number.
pub fn generator(seed: u64, number: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    generator
}

/// Generates a random model.
pub fn generate(rng: &mut dyn Rng) -> Model {
    let most = MOST_ASSIGNMENTS[pick(rng, &ASSIGNMENT_WEIGHTS)];
    let mut writer = Writer { rng, model: Model::default(), nodes: Vec::new(), most };
    writer.plates();
    writer.parameters();
    for node in 0..writer.pick(&[45, 40, 15]) + 1 {
        writer.node(node);
    }
    for cost in 0..writer.pick(&[60, 30, 10]) + 1 {
        let value = writer.cost();
        writer.model.costs.push(Cost { name: format!("cost{cost}"), value });
    }
    writer.model
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::choose;
    use crate::methods::{Placement, catalogue};

    #[test]
    fn a_model_depends_on_the_seed_and_the_number_only() {
        let model = |seed, number| generate(&mut generator(seed, number));
        assert_eq!(model(1, 7), model(1, 7));
        assert_ne!(model(1, 7), model(1, 8));
        assert_ne!(model(1, 7), model(2, 7));
    }

    #[test]
    fn models_are_well_formed_and_varied() {
        let methods = catalogue();
        let (mut several_plates, mut deep, mut summed, mut chosen) = (0, 0, 0, 0);
        for number in 0..400 {
            let mut rng = generator(3, number);
            let model = generate(&mut rng);
            assert!(model.is_well_formed(), "graph {number}: {model:?}");
            assert!(model.assignments() <= 256.0);
            let plates = model.node_plates();
            let mut most = 0;
            model.visit(&mut |expression| most = most.max(model.carries(expression, &plates).count_ones()));
            several_plates += usize::from(plates.iter().any(|plates| plates.count_ones() > 1));
            deep += usize::from(most > 2);
            summed += usize::from(model.plates.iter().any(|plate| plate.summed));
            if let Some(choices) = choose(&mut rng, &model, &methods) {
                chosen += 1;
                for (node, choice) in model.nodes.iter().zip(&choices) {
                    let entry = &methods[choice.method];
                    assert!(entry.applies_to(node.distribution.family));
                    assert_eq!(node.along.is_some(), choice.placement == Placement::Along);
                }
            }
        }
        assert!(several_plates > 40 && deep > 12 && summed > 100, "{several_plates}, {deep}, {summed}");
        assert!(chosen > 300, "{chosen}");
    }
}
