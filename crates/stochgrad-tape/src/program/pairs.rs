//! Pairs of functions of a group that are computed in one pass.

use super::group::Group;
use super::recording::Recording;
use crate::op::Op;
use smallvec::{SmallVec, smallvec};
use std::collections::{HashMap, HashSet};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::pair::{First, Second};
use stochgrad_tensor::zip::Zip;

/// The pairs of a group. An arithmetic function is paired with its reader if this is the only one, and in the same
/// group.
pub(super) struct Pairs {
    /// By the member that is the second function.
    found: HashMap<usize, Pair>,
    /// The members that are first functions.
    firsts: HashSet<usize>,
}

/// Two functions in one pass.
pub(super) struct Pair {
    pub(super) first: First,
    pub(super) second: Second,
    pub(super) operands: [Argument; 3],
}

/// An operand of a function.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    Value(usize),
    Number(f64),
}

impl Pairs {
    /// `kept` says which members are also read outside the group.
    pub(super) fn find<F: Real>(recording: &Recording<'_, F>, group: &Group, kept: &dyn Fn(usize) -> bool) -> Self {
        let mut uses: HashMap<usize, usize> = HashMap::new();
        let reductions = group.reductions.iter().map(|&(value, _)| value);
        for value in group.members.iter().copied().chain(reductions) {
            for operand in recording.operands(value) {
                *uses.entry(operand).or_default() += 1;
            }
        }
        let mut pairs = Pairs { found: HashMap::new(), firsts: HashSet::new() };
        for &member in &group.members {
            let pair = recording.operands(member).into_iter().find_map(|operand| {
                let alone = uses[&operand] == 1 && group.contains(operand) && !kept(operand);
                if !alone || pairs.found.contains_key(&operand) {
                    return None;
                }
                let (first, [a, b]) = first(recording, operand)?;
                let (second, c) = second(recording, member, operand)?;
                Some((operand, Pair { first, second, operands: [a, b, c] }))
            });
            if let Some((first, pair)) = pair {
                pairs.firsts.insert(first);
                pairs.found.insert(member, pair);
            }
        }
        pairs
    }

    /// Whether a member is computed together with its reader.
    pub(super) fn is_first(&self, member: usize) -> bool {
        self.firsts.contains(&member)
    }

    /// The pair whose second function a member is.
    pub(super) fn with(&self, member: usize) -> Option<&Pair> {
        self.found.get(&member)
    }

    /// The values that the pass of a member reads. A first function has no pass of its own, so it reads none.
    pub(super) fn operands<F: Real>(&self, recording: &Recording<'_, F>, member: usize) -> SmallVec<[usize; 3]> {
        match self.with(member) {
            _ if self.is_first(member) => smallvec![],
            None => recording.operands(member),
            Some(pair) => pair
                .operands
                .iter()
                .filter_map(|operand| match *operand {
                    Argument::Value(value) => Some(value),
                    Argument::Number(_) => None,
                })
                .collect(),
        }
    }
}

/// A value as a first function of two operands.
fn first<F: Real>(recording: &Recording<'_, F>, value: usize) -> Option<(First, [Argument; 2])> {
    use Argument::{Number, Value};
    let operands = recording.operands(value);
    let x = Value(*operands.first()?);
    Some(match recording.node(value).op {
        Op::Map(Map::Neg) => (First::Mul, [x, Number(-1.0)]),
        Op::Map(Map::AddScalar(c)) => (First::Add, [x, Number(c)]),
        Op::Map(Map::MulScalar(c)) => (First::Mul, [x, Number(c)]),
        Op::Map(Map::RsubScalar(c)) => (First::Sub, [Number(c), x]),
        Op::Map(Map::Square) => (First::Mul, [x, x]),
        Op::Map(Map::LeakyStep(slope)) => (First::LeakyStep, [x, Number(slope)]),
        Op::Zip(Zip::Add) => (First::Add, [x, Value(operands[1])]),
        Op::Zip(Zip::Sub) => (First::Sub, [x, Value(operands[1])]),
        Op::Zip(Zip::Mul) => (First::Mul, [x, Value(operands[1])]),
        _ => return None,
    })
}

/// A value as a second function of another value and a third operand.
fn second<F: Real>(recording: &Recording<'_, F>, value: usize, of: usize) -> Option<(Second, Argument)> {
    use Argument::{Number, Value};
    let operands = recording.operands(value);
    Some(match recording.node(value).op {
        Op::Map(Map::Neg) => (Second::Mul, Number(-1.0)),
        Op::Map(Map::AddScalar(c)) => (Second::Add, Number(c)),
        Op::Map(Map::MulScalar(c)) => (Second::Mul, Number(c)),
        Op::Map(Map::RsubScalar(c)) => (Second::SubFrom, Number(c)),
        Op::Map(Map::LeakyRelu(slope)) => (Second::LeakyRelu, Number(slope)),
        Op::Map(Map::Guard(bound)) => (Second::Guard, Number(bound)),
        Op::Map(Map::Square) => (Second::Square, Number(0.0)),
        Op::Zip(zip) => {
            let (other, swapped) = if operands[0] == of { (operands[1], false) } else { (operands[0], true) };
            let second = match (zip, swapped) {
                (Zip::Add, _) => Second::Add,
                (Zip::Mul, _) => Second::Mul,
                (Zip::Sub, false) => Second::Sub,
                (Zip::Sub, true) => Second::SubFrom,
                (Zip::Div, false) => Second::Div,
                (Zip::LessEqual, false) | (Zip::GreaterEqual, true) => Second::LessEqual,
                _ => return None,
            };
            (second, Value(other))
        }
        _ => return None,
    })
}
