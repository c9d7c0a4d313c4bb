//! Variable elimination.
//!
//! A node is summed out after the nodes below it, so that its probabilities are the weights of its own sum and meet no
//! other sum. Among the nodes that are free in this sense, the one whose table is smallest goes first. Nodes of members
//! of data go before the nodes that all members share: what is left of each member is then a factor of the shared
//! nodes, and the factors of all members are multiplied (Obermeyer et al. 2019).

use crate::error::{GraphError, GraphResult};
use crate::evidence::variables::{Evidence, Variable};
use std::collections::HashMap;
use stochgrad_tape::{Plate, PlateKind, PlateSet, Var};
use stochgrad_tensor::Real;

/// How the states of a node are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The logarithm of the sum of the weights.
    Sum,
    /// The largest weight.
    Max,
}

/// The result of an elimination.
pub(crate) struct Eliminated<'t, F: Real> {
    /// The logarithm of the sum, or of the largest weight.
    pub(crate) log_total: Var<'t, F>,
    /// The eliminated variables, in order, with the logarithms of the weights of their states, given the states of
    /// variables that were eliminated later.
    pub(crate) steps: Vec<(usize, Var<'t, F>)>,
}

/// The factors that are left, by the plates that they carry.
struct Factors<'a, 't, F: Real> {
    evidence: &'a Evidence<'t, F>,
    /// The number of the variable of each plate of states.
    variable_of: HashMap<Plate, usize>,
    factors: Vec<Option<Var<'t, F>>>,
    /// The numbers of the factors that carry the states of each variable.
    on: Vec<Vec<usize>>,
}

impl<'t, F: Real> Evidence<'t, F> {
    /// Eliminates all variables. `more` are factors besides those of the graph.
    pub(crate) fn eliminate(&self, more: &[Var<'t, F>], rule: Rule) -> GraphResult<Eliminated<'t, F>> {
        let variables = &self.variables;
        let variable_of: HashMap<Plate, usize> =
            variables.iter().enumerate().map(|(index, variable)| (variable.plate, index)).collect();
        let parents =
            |variable: usize| variables[variable].parents.iter().filter_map(|plate| variable_of.get(plate)).copied();
        let mut children = vec![0_usize; variables.len()];
        (0..variables.len()).flat_map(parents).for_each(|parent| children[parent] += 1);
        let mut free: Vec<usize> = (0..variables.len()).filter(|&variable| children[variable] == 0).collect();

        let on = vec![Vec::new(); variables.len()];
        let mut left = Factors { evidence: self, variable_of: variable_of.clone(), factors: Vec::new(), on };
        self.factors.iter().chain(more).for_each(|&factor| left.push(factor));
        let mut steps = Vec::with_capacity(variables.len());
        while let Some(next) = left.next(&free) {
            let variable = free.swap_remove(next);
            let factor = left.take(variable)?;
            let (message, scores) = combined(&variables[variable], factor, rule);
            if let Some(message) = message {
                left.push(message);
            }
            steps.push((variable, scores));
            for parent in parents(variable) {
                children[parent] -= 1;
                if children[parent] == 0 {
                    free.push(parent);
                }
            }
        }
        let log_total = left.total();
        self.tape.check()?;
        Ok(Eliminated { log_total, steps })
    }
}

/// Combines the states of a variable, given the product of the factors that depend on them: the factor that is left,
/// unless it is 1, and the logarithms of the weights of the states.
fn combined<'t, F: Real>(
    variable: &Variable<'t, F>,
    factor: Option<Var<'t, F>>,
    rule: Rule,
) -> (Option<Var<'t, F>>, Var<'t, F>) {
    let log_probabilities = variable.probabilities.ln();
    let scores = factor.map_or(log_probabilities, |factor| factor + log_probabilities);
    let message = match rule {
        // Probabilities add up to 1.
        Rule::Sum => factor.map(|factor| factor.log_mean_exp_over(variable.plate)),
        Rule::Max => Some(scores.plate_to_event(variable.plate).max_axis(0)),
    };
    (message, scores)
}

impl<'t, F: Real> Factors<'_, 't, F> {
    fn push(&mut self, factor: Var<'t, F>) {
        let number = self.factors.len();
        for variable in factor.plates().iter().filter_map(|plate| self.variable_of.get(plate)) {
            self.on[*variable].push(number);
        }
        self.factors.push(Some(factor));
    }

    fn left_on(&self, variable: usize) -> impl Iterator<Item = Var<'t, F>> {
        self.on[variable].iter().filter_map(|number| self.factors[*number])
    }

    /// The position in a list of variables of the one that is eliminated next.
    fn next(&self, free: &[usize]) -> Option<usize> {
        let variables = &self.evidence.variables;
        let key = |variable: usize| {
            let crossing = self.left_on(variable).any(|factor| self.crossing(variable, factor).is_some());
            let data = variables[variable].data.len();
            (crossing, std::cmp::Reverse(data), self.table(variable), std::cmp::Reverse(variable))
        };
        (0..free.len()).min_by_key(|&position| key(free[position]))
    }

    /// The number of elements of the table that is left of a variable.
    fn table(&self, variable: usize) -> usize {
        let mut plates = self.evidence.variables[variable].parents.clone();
        for factor in self.left_on(variable) {
            plates.merge(&factor.plates());
        }
        let own = self.evidence.variables[variable].plate;
        let states = plates.iter().filter(|plate| **plate != own && self.variable_of.contains_key(plate));
        states.fold(1, |product: usize, plate| product.saturating_mul(self.evidence.tape.plate_size(*plate)))
    }

    /// The plates of data of a factor whose members share a variable.
    fn shared_by(&self, variable: usize, factor: Var<'t, F>) -> PlateSet {
        let tape = self.evidence.tape;
        let own = &self.evidence.variables[variable].data;
        let is_shared = |plate| tape.plate_kind(plate) == PlateKind::Data && !own.contains(&plate);
        PlateSet::from(factor.plates()).filtered(is_shared)
    }

    /// A plate of data whose members share the variable, but have another variable of the factor each.
    fn crossing(&self, variable: usize, factor: Var<'t, F>) -> Option<(Plate, usize)> {
        let shared = self.shared_by(variable, factor);
        let others = factor.plates().into_iter().filter_map(|plate| self.variable_of.get(&plate).copied());
        others.filter(|&other| other != variable).find_map(|other| {
            let data = &self.evidence.variables[other].data;
            shared.iter().find(|plate| data.contains(plate)).map(|&plate| (plate, other))
        })
    }

    /// Removes the factors that depend on a variable, and returns their product.
    fn take(&mut self, variable: usize) -> GraphResult<Option<Var<'t, F>>> {
        let mut product: Option<Var<'t, F>> = None;
        for number in std::mem::take(&mut self.on[variable]) {
            let Some(factor) = self.factors[number].take() else { continue };
            if let Some((plate, other)) = self.crossing(variable, factor) {
                return Err(self.crossed(variable, other, plate));
            }
            let shared = self.shared_by(variable, factor);
            let factor = shared.iter().fold(factor, |factor, &plate| factor.sum_over(plate));
            product = Some(product.map_or(factor, |product| product + factor));
        }
        Ok(product)
    }

    fn crossed(&self, variable: usize, other: usize, plate: Plate) -> GraphError {
        let Evidence { variables, tape, at, .. } = self.evidence;
        GraphError::Evidence {
            problem: format!(
                "node \"{}\" is shared by the members of plate \"{}\", and shares a factor with node \"{}\", of which \
                 each member has its own; neither can be summed out before the other. Draw one of them inside the \
                 plates of the other, or sample it",
                variables[variable].address,
                tape.plate_name(plate),
                variables[other].address
            ),
            at,
        }
    }

    /// The product of the factors that are left, which depend on no variable.
    fn total(&self) -> Var<'t, F> {
        let tape = self.evidence.tape;
        let data = |factor: &Var<'t, F>| {
            PlateSet::from(factor.plates()).filtered(|plate| tape.plate_kind(plate) == PlateKind::Data)
        };
        let left: Vec<Var<'t, F>> = self.factors.iter().flatten().copied().collect();
        let is_for_each_member = left.windows(2).all(|pair| data(&pair[0]) == data(&pair[1]));
        let parts = left.iter().map(|&factor| match is_for_each_member {
            true => factor,
            false => data(&factor).iter().fold(factor, |factor, &plate| factor.sum_over(plate)),
        });
        parts.reduce(|sum, part| sum + part).unwrap_or_else(|| tape.constant(0.0))
    }
}
