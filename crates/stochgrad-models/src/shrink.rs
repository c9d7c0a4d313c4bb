//! Shrinking: the search for a smaller program that fails in the same way.

use crate::expression::{DistributionTree, Expression};
use crate::family::{Family, Scale};
use crate::methods::{Choice, Entry, Placement, SCORE_FUNCTION, Several};
use crate::model::{Model, PlateKind};

/// The largest number of programs that are tried.
const MOST_TRIES: usize = 4000;

/// A model with a method for each node.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The model.
    pub model: Model,
    /// The method of each node.
    pub choices: Vec<Choice>,
}

impl Program {
    /// The measure that shrinking reduces.
    fn complexity(&self) -> usize {
        let choices = self.choices.iter().map(|choice| {
            let placement = match choice.placement {
                Placement::Own | Placement::Along => 0,
                Placement::Several(samples) => samples,
            };
            placement + if choice.method == SCORE_FUNCTION { 0 } else { 4 }
        });
        16 * self.model.size() + choices.sum::<usize>()
    }
}

/// A smaller program for which `fails` still holds. No single step makes it smaller, unless the number of tries ran
/// out.
pub fn shrink(program: Program, methods: &[Entry], mut fails: impl FnMut(&Program) -> bool) -> Program {
    let mut best = program;
    let mut tries = 0;
    'smaller: loop {
        let complexity = best.complexity();
        for candidate in candidates(&best, methods) {
            if candidate.complexity() >= complexity || !candidate.model.is_well_formed() {
                continue;
            }
            tries += 1;
            if fails(&candidate) {
                best = candidate;
                continue 'smaller;
            }
            if tries == MOST_TRIES {
                return best;
            }
        }
        return best;
    }
}

/// The programs that differ by one step, starting with the largest steps.
fn candidates(program: &Program, methods: &[Entry]) -> Vec<Program> {
    let model = &program.model;
    let mut found = Vec::new();
    for cost in 0..model.costs.len() {
        let mut smaller = program.clone();
        smaller.model.costs.remove(cost);
        found.push(smaller);
    }
    found.extend((0..model.nodes.len()).map(|node| without_node(program, node)));
    found.extend((0..model.plates.len()).map(|plate| without_plate(program, plate)));
    found.extend(simpler_methods(program, methods));
    for plate in 0..model.plates.len() {
        if model.plates[plate].summed {
            let mut smaller = program.clone();
            smaller.model.plates[plate].summed = false;
            found.push(smaller);
        }
        if model.plates[plate].size > 1 {
            found.push(with_fewer_members(program, plate));
        }
        if model.plates[plate].kind == PlateKind::Data {
            found.extend((0..model.data.len()).map(|data| without_data(program, data)));
        }
    }
    for node in 0..model.nodes.len() {
        if model.nodes[node].along.is_some() {
            let mut smaller = program.clone();
            smaller.model.nodes[node].along = None;
            smaller.choices[node].placement = Placement::Own;
            found.push(smaller);
        }
        let family = model.nodes[node].distribution.family;
        if family != Family::Bernoulli {
            let mut smaller = program.clone();
            smaller.model.nodes[node].distribution = bit(&model.nodes[node].distribution);
            smaller.model.visit_mut(&mut |expression| {
                if let Expression::LogProbability { node: of, distribution } = expression
                    && *of == node
                {
                    **distribution = bit(distribution);
                }
            });
            if methods[smaller.choices[node].method].applies_to(Family::Bernoulli) {
                found.push(smaller);
            }
        }
    }
    found.extend(simpler_expressions(program));
    for parameter in 0..model.parameters.len() {
        found.push(without_parameter(program, parameter));
        let mut smaller = program.clone();
        if smaller.model.parameters[parameter].plate.is_none() {
            smaller.model.parameters[parameter].values.pop();
            found.push(smaller);
        }
    }
    found
}

/// A bit with the first parameter of a distribution.
fn bit(distribution: &DistributionTree) -> DistributionTree {
    DistributionTree {
        family: Family::Bernoulli,
        scale: distribution.scale,
        parameter: distribution.parameter[..1].to_vec(),
    }
}

fn without_node(program: &Program, node: usize) -> Program {
    let mut smaller = program.clone();
    smaller.model.nodes.remove(node);
    smaller.choices.remove(node);
    smaller.model.visit_mut(&mut |expression| {
        // The expression that replaces a selection may refer to the node as well.
        while let Expression::Select { node: of, yes, .. } = expression
            && *of == node
        {
            let yes = (**yes).clone();
            *expression = yes;
        }
        match expression {
            Expression::Value(of) if *of == node => *expression = Expression::Constant(1.0),
            Expression::LogProbability { node: of, .. } if *of == node => *expression = Expression::Constant(-0.5),
            Expression::Value(of)
            | Expression::LogProbability { node: of, .. }
            | Expression::Select { node: of, .. }
                if *of > node =>
            {
                *of -= 1;
            }
            _ => {}
        }
    });
    smaller
}

fn without_plate(program: &Program, plate: usize) -> Program {
    let mut smaller = program.clone();
    let first: Vec<Option<f64>> =
        program.model.data.iter().map(|data| (data.plate == plate).then(|| data.values[0])).collect();
    let along: Vec<bool> = program.model.parameters.iter().map(|parameter| parameter.plate == Some(plate)).collect();
    let kept: Vec<usize> = (0..first.len()).filter(|&data| first[data].is_none()).collect();
    smaller.model.visit_mut(&mut |expression| {
        while let Expression::Reduce(_, of, operand) = expression
            && *of == plate
        {
            let operand = (**operand).clone();
            *expression = operand;
        }
        match expression {
            Expression::Reduce(_, of, _) if *of > plate => *of -= 1,
            Expression::Data(data) => match (first[*data], kept.iter().position(|of| of == data)) {
                (None, Some(position)) => *data = position,
                (value, _) => *expression = Expression::Constant(value.unwrap_or(1.0)),
            },
            Expression::Parameter(parameter) if along[*parameter] => {
                *expression = Expression::Element { parameter: *parameter, element: 0 };
            }
            _ => {}
        }
    });
    let model = &mut smaller.model;
    model.plates.remove(plate);
    model.data.retain(|data| data.plate != plate);
    for data in &mut model.data {
        data.plate -= usize::from(data.plate > plate);
    }
    for parameter in &mut model.parameters {
        parameter.plate = parameter.plate.filter(|&of| of != plate).map(|of| of - usize::from(of > plate));
    }
    for (node, choice) in model.nodes.iter_mut().zip(&mut smaller.choices) {
        if node.along == Some(plate) {
            choice.placement = Placement::Own;
        }
        node.along = node.along.filter(|&of| of != plate).map(|of| of - usize::from(of > plate));
    }
    smaller
}

fn with_fewer_members(program: &Program, plate: usize) -> Program {
    let mut smaller = program.clone();
    let model = &mut smaller.model;
    model.plates[plate].size -= 1;
    let size = model.plates[plate].size;
    for data in model.data.iter_mut().filter(|data| data.plate == plate) {
        data.values.truncate(size);
    }
    for parameter in model.parameters.iter_mut().filter(|parameter| parameter.plate == Some(plate)) {
        parameter.values.truncate(size);
    }
    smaller
}

/// The program without an entry of data, which its first value replaces.
fn without_data(program: &Program, data: usize) -> Program {
    let mut smaller = program.clone();
    let value = program.model.data[data].values[0];
    smaller.model.data.remove(data);
    smaller.model.visit_mut(&mut |expression| {
        if let Expression::Data(of) = expression {
            if *of == data {
                *expression = Expression::Constant(value);
            } else if *of > data {
                *of -= 1;
            }
        }
    });
    smaller
}

/// The program without a parameter, which its values replace.
fn without_parameter(program: &Program, parameter: usize) -> Program {
    let mut smaller = program.clone();
    let values = smaller.model.parameters.remove(parameter).values;
    smaller.model.visit_mut(&mut |expression| match expression {
        Expression::Parameter(of) if *of == parameter => *expression = Expression::Constant(values[0]),
        Expression::Element { parameter: of, element } if *of == parameter => {
            *expression = Expression::Constant(values[*element]);
        }
        Expression::Parameter(of) | Expression::Element { parameter: of, .. } if *of > parameter => *of -= 1,
        _ => {}
    });
    smaller
}

fn simpler_methods(program: &Program, methods: &[Entry]) -> Vec<Program> {
    let mut found = Vec::new();
    for (node, choice) in program.choices.iter().enumerate() {
        let mut with = |choice: Choice| {
            let mut simpler = program.clone();
            simpler.choices[node] = choice;
            found.push(simpler);
        };
        if choice.method != SCORE_FUNCTION {
            with(Choice { method: SCORE_FUNCTION, ..*choice });
            if choice.placement == Placement::Own && methods[choice.method].several == Several::Never {
                with(Choice { method: SCORE_FUNCTION, placement: Placement::Several(2) });
            }
        }
        if let Placement::Several(samples) = choice.placement {
            if methods[choice.method].alone {
                with(Choice { placement: Placement::Own, ..*choice });
            }
            if samples > 2 {
                with(Choice { placement: Placement::Several(samples - 1), ..*choice });
            }
        }
    }
    found
}

/// The programs in which one expression is replaced by one of its parts, or by a constant.
fn simpler_expressions(program: &Program) -> Vec<Program> {
    let mut found = Vec::new();
    for root in 0..program.model.expressions().len() {
        let size = program.model.expressions()[root].size();
        for position in 0..size {
            let mut original = program.model.expressions()[root].clone();
            let Some(part) = original.at_mut(position) else { continue };
            let mut replacements: Vec<Expression> = part.children().into_iter().cloned().collect();
            if let Expression::LogProbability { node, distribution } = part {
                replacements.push(Expression::Value(*node));
                if distribution.scale == Scale::Logits && distribution.parameter.iter().any(|logit| logit.size() > 1) {
                    let parameter = vec![Expression::Constant(0.3); distribution.parameter.len()];
                    let distribution = Box::new(DistributionTree { parameter, ..(**distribution).clone() });
                    replacements.push(Expression::LogProbability { node: *node, distribution });
                }
            }
            if part.size() > 1 {
                replacements.push(Expression::Element { parameter: 0, element: 0 });
                replacements.push(Expression::Constant(0.5));
            }
            for replacement in replacements {
                let mut simpler = program.clone();
                if let Some(part) = simpler.model.expressions_mut()[root].at_mut(position) {
                    *part = replacement;
                }
                found.push(simpler);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{bits_on_rows, node, square_of};
    use crate::expression::{Operation, Reduction};
    use crate::methods::catalogue;
    use crate::model::{Cost, Plate};

    /// A model with many irrelevant parts.
    fn large() -> Program {
        let mut model = bits_on_rows(square_of(Reduction::Mean, 0.3));
        model.plates.push(Plate { name: "k".into(), size: 3, kind: PlateKind::Samples, summed: true });
        let logit = Expression::Value(0).combine(Operation::Add, Expression::Element { parameter: 0, element: 1 });
        model.nodes.push(node("y", Scale::Logits, logit, Some(1)));
        let product = Expression::Value(1).combine(Operation::Multiply, Expression::Data(0));
        model.costs.push(Cost { name: "other".into(), value: product });
        let methods = catalogue();
        let method = methods.iter().position(|entry| entry.code == "MeasureValued::new()").expect("it is listed");
        let choices =
            vec![Choice { method, placement: Placement::Several(3) }, Choice { method, placement: Placement::Along }];
        Program { model, choices }
    }

    #[test]
    fn irrelevant_parts_are_removed() {
        let methods = catalogue();
        let program = large();
        assert!(program.model.is_well_formed());
        let averages = |program: &Program| {
            let mut found = false;
            program.model.visit(&mut |expression| {
                found |= matches!(expression, Expression::Reduce(Reduction::Mean, ..));
            });
            found
        };
        let smallest = shrink(program, &methods, averages);
        assert!(smallest.model.is_well_formed() && averages(&smallest));
        assert!(smallest.model.nodes.is_empty());
        assert_eq!((smallest.model.costs.len(), smallest.model.plates.len()), (1, 1));
        assert_eq!(smallest.model.costs[0].value.size(), 2);
    }

    #[test]
    fn the_parts_that_a_failure_needs_are_kept() {
        let methods = catalogue();
        let needs = |program: &Program| {
            let measure_valued =
                program.choices.iter().any(|choice| methods[choice.method].code == "MeasureValued::new()");
            measure_valued && program.model.nodes.iter().any(|node| node.along.is_some())
        };
        let smallest = shrink(large(), &methods, needs);
        assert!(needs(&smallest));
        assert_eq!(smallest.model.nodes.len(), 1);
        assert_eq!(smallest.choices[0].placement, Placement::Along);
    }

    #[test]
    fn most_steps_give_well_formed_models() {
        let methods = catalogue();
        let all = candidates(&large(), &methods);
        let sound = all.iter().filter(|candidate| candidate.model.is_well_formed()).count();
        assert!(sound * 2 > all.len(), "{sound} of {}", all.len());
        assert!(all.iter().all(|candidate| candidate.model.nodes.len() == candidate.choices.len()));
    }
}
