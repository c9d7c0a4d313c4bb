//! Rust code of a model, to be pasted into a program.

use crate::expression::{DistributionTree, Expression, Function, Operation, Reduction};
use crate::family::{Family, Scale, TRIALS};
use crate::methods::{Choice, Entry};
use crate::model::{Model, PlateKind};
use std::fmt::Write;

/// A complete function that records the model on a graph.
pub fn print(model: &Model, methods: &[Entry], choices: &[Choice]) -> String {
    let printer = Printer { model };
    let mut text = String::from(
        "use stochgrad::{distributions::*, estimators::*, graph::*};\n\n\
         fn model(graph: &Graph<'_, f64>) -> GraphResult<()> {\n",
    );
    let mut line = |content: String| {
        let _ = writeln!(text, "    {content}");
    };
    for (at, plate) in model.plates.iter().enumerate() {
        let name = &plate.name;
        match plate.kind {
            PlateKind::Samples => line(format!("let {name} = graph.plate(\"{name}\", {})?;", plate.size)),
            PlateKind::Data => {
                let rows: Vec<_> = model.data.iter().filter(|data| data.plate == at).collect();
                for data in &rows {
                    let values = numbers(&data.values);
                    line(format!("let {0} = graph.data_named(\"{0}\", \"{name}\", {values})?;", data.name));
                }
                if let Some(first) = rows.first() {
                    line(format!("let {name} = {}.plates()[0];", first.name));
                }
            }
        }
        if plate.summed {
            line(format!("graph.set_reduction({name}, Reduction::Sum)?;"));
        }
    }
    for parameter in &model.parameters {
        let name = &parameter.name;
        let values = numbers(&parameter.values);
        let along = parameter.plate.map(|plate| format!(".event_to_plate({})", model.plates[plate].name));
        line(format!("let {name} = graph.param(\"{name}\", {values})?{};", along.unwrap_or_default()));
    }
    let mut stated: Vec<&str> = Vec::new();
    for statement in choices.iter().filter_map(|choice| methods[choice.method].statement) {
        if !stated.contains(&statement) {
            line(statement.to_owned());
            stated.push(statement);
        }
    }
    for (node, choice) in model.nodes.iter().zip(choices) {
        let name = &node.name;
        let plate = node.along.map_or("", |plate| model.plates[plate].name.as_str());
        let method = methods[choice.method].expression(choice.placement, plate);
        let distribution = printer.distribution(&node.distribution);
        line(format!("let {name} = graph.sample(\"{name}\", &{distribution}, &{method})?;"));
        if node.distribution.family == Family::OneHot {
            line(format!("let {name}_score = ({name} * graph.constant({})).sum();", numbers(&node.scores)));
        }
    }
    for cost in &model.costs {
        line(format!("graph.cost(\"{}\", {})?;", cost.name, printer.variable(&cost.value)));
    }
    text.push_str("    Ok(())\n}\n");
    text
}

/// A constant as Rust code.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "f64::INFINITY".into()
    } else if value == f64::NEG_INFINITY {
        "f64::NEG_INFINITY".into()
    } else {
        format!("{value:?}")
    }
}

fn numbers(values: &[f64]) -> String {
    let each: Vec<String> = values.iter().map(|&value| number(value)).collect();
    format!("[{}]", each.join(", "))
}

struct Printer<'m> {
    model: &'m Model,
}

impl Printer<'_> {
    /// Code whose type is that of a variable.
    fn variable(&self, expression: &Expression) -> String {
        match constant(expression) {
            Some(value) => format!("graph.constant({})", number(value)),
            None => self.expression(expression),
        }
    }

    /// Code on which a method can be called.
    fn receiver(&self, expression: &Expression) -> String {
        let compound = match expression {
            Expression::Combine(..) => constant(expression).is_none(),
            Expression::Apply(function, _) => *function == Function::Negative,
            _ => false,
        };
        if compound { format!("({})", self.expression(expression)) } else { self.variable(expression) }
    }

    /// Code of an operand of an operator.
    fn operand(&self, expression: &Expression) -> String {
        match constant(expression) {
            Some(value) if value < 0.0 => format!("({})", number(value)),
            Some(value) => number(value),
            None => match expression {
                Expression::Combine(..) => format!("({})", self.expression(expression)),
                _ => self.expression(expression),
            },
        }
    }

    fn expression(&self, expression: &Expression) -> String {
        match expression {
            Expression::Constant(value) => number(*value),
            Expression::Element { parameter, element } => {
                format!("{}.index(0, {element})", self.model.parameters[*parameter].name)
            }
            Expression::Parameter(parameter) => self.model.parameters[*parameter].name.clone(),
            Expression::Data(data) => self.model.data[*data].name.clone(),
            Expression::Value(node) => self.value(*node),
            Expression::LogProbability { node, distribution } => {
                format!("{}.log_prob({})", self.distribution(distribution), self.model.nodes[*node].name)
            }
            Expression::Apply(Function::Negative, operand) => format!("-{}", self.receiver(operand)),
            Expression::Apply(function, operand) => format!("{}.{}()", self.receiver(operand), function.method()),
            Expression::Combine(operation, left, right) => {
                let sign = match operation {
                    Operation::Add => "+",
                    Operation::Subtract => "-",
                    Operation::Multiply => "*",
                };
                format!("{} {sign} {}", self.operand(left), self.operand(right))
            }
            Expression::Select { node, threshold, yes, no } => {
                let above = format!("{}.gt(graph.constant({}))", self.value(*node), number(*threshold));
                format!("{above}.select({}, {})", self.variable(yes), self.variable(no))
            }
            Expression::Reduce(reduction, plate, operand) => {
                let (operand, plate) = (self.receiver(operand), &self.model.plates[*plate].name);
                match reduction {
                    Reduction::Sum => format!("{operand}.sum_over({plate})"),
                    Reduction::Mean => format!("{operand}.mean_over({plate})"),
                    Reduction::Max => format!("{operand}.plate_to_event({plate}).max_axis(0)"),
                    Reduction::LogMeanExp => format!("{operand}.log_mean_exp_over({plate})"),
                }
            }
        }
    }

    fn value(&self, node: usize) -> String {
        let node = &self.model.nodes[node];
        if node.distribution.family == Family::OneHot { format!("{}_score", node.name) } else { node.name.clone() }
    }

    fn distribution(&self, distribution: &DistributionTree) -> String {
        let parameter = match distribution.parameter.as_slice() {
            [one] => self.variable(one),
            several => {
                let each: Vec<String> = several.iter().map(|one| self.variable(one)).collect();
                format!("Var::stack(&[{}])?", each.join(", "))
            }
        };
        let constructor = match distribution.scale {
            Scale::Logits => "from_logits",
            Scale::Probabilities => "from_probabilities",
        };
        let trials = if distribution.family == Family::Binomial { format!("{TRIALS}.0, ") } else { String::new() };
        format!("{}::{constructor}({trials}{parameter})", distribution.family.name())
    }
}

/// The value of an expression that consists of constants only.
fn constant(expression: &Expression) -> Option<f64> {
    match expression {
        Expression::Constant(value) => Some(*value),
        Expression::Combine(operation, left, right) => {
            let (left, right) = (constant(left)?, constant(right)?);
            Some(match operation {
                Operation::Add => left + right,
                Operation::Subtract => left - right,
                Operation::Multiply => left * right,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{bits_on_rows, square_of};
    use crate::methods::{Placement, SCORE_FUNCTION, catalogue};

    #[test]
    fn a_printed_model_is_a_function() {
        let model = bits_on_rows(square_of(Reduction::Mean, 0.3));
        let choices = [Choice { method: SCORE_FUNCTION, placement: Placement::Several(2) }];
        let expected = r#"use stochgrad::{distributions::*, estimators::*, graph::*};

fn model(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let d = graph.data_named("d", "rows", [0.5, -1.5])?;
    let rows = d.plates()[0];
    let t = graph.param("t", [0.3, -0.8])?;
    let b = graph.sample("b", &Bernoulli::from_logits((t.index(0, 0) * d) + t.index(0, 1)), &ScoreFunction::new().samples(2))?;
    graph.cost("cost", (b.mean_over(rows) - 0.3).square())?;
    Ok(())
}
"#;
        assert_eq!(print(&model, &catalogue(), &choices), expected);
    }

    #[test]
    fn a_method_that_nodes_share_is_made_once() {
        let methods = catalogue();
        let method = methods.iter().position(|entry| entry.code == "reservoir.clone()").expect("it is listed");
        let mut model = bits_on_rows(Expression::Value(0));
        model.nodes.push(crate::examples::node("c", Scale::Logits, Expression::Value(0), None));
        let choices = [Choice { method, placement: Placement::Own }; 2];
        let text = print(&model, &methods, &choices);
        assert_eq!(text.matches("let reservoir = Reservoir::of(MeasureValued::new());").count(), 1);
        assert_eq!(text.matches("&reservoir.clone())").count(), 2);
    }
}
