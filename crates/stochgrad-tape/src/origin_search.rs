//! Search for the operation that first produced a NaN or an infinity.
//!
//! The search starts at an element that is not finite, and moves to the elements of the operands that it was computed
//! from: to one that is NaN or, if there is none, to one that is infinite. It ends where all of them are finite. It
//! runs only after an error, so it examines elements one by one.

use crate::error::TapeResult;
use crate::id::Id;
use crate::node::Node;
use crate::op::support::Support;
use crate::op::{Op, PlateReduction};
use crate::origin::{Origin, not_finite_in_words};
use crate::tape::{Inner, Tape};
use crate::var::Var;
use smallvec::SmallVec;
use std::panic::Location;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Tensor};

impl<F: Real> Tape<F> {
    /// The operation that first produced the NaN or infinity at a position of a value, counted through all axes.
    /// Returns `None` if the value is finite there.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([1.0, -1.0]);
    /// let y = x.ln() * 2.0 + 1.0;
    /// let origin = tape.origin(y, 1)?.expect("a NaN");
    /// assert_eq!(origin.operation, "Ln");
    /// assert!(tape.origin(y, 0)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For a variable of another tape.
    #[track_caller]
    pub fn origin(&self, var: Var<'_, F>, position: usize) -> TapeResult<Option<Origin>> {
        let ids = self.own(&[var], Location::caller())?;
        let inner = self.inner.borrow();
        Ok(ids.first().filter(|id| **id != Id::POISON).and_then(|&id| inner.origin(id, position)))
    }
}

impl<F: Real> Inner<F> {
    pub(crate) fn origin(&self, id: Id, position: usize) -> Option<Origin> {
        let (mut id, mut at) = (id, position);
        let mut zero_times_infinity = false;
        self.nodes[id.index()].value.as_slice().get(at).filter(|x| !x.is_finite())?;
        loop {
            let node = &self.nodes[id.index()];
            let operands = self.operands_of(node, at);
            let read = |&(operand, at): &(Id, usize)| self.nodes[operand.index()].value.as_slice()[at];
            zero_times_infinity |= match node.op {
                Op::Zip(Zip::Mul | Zip::Div) if node.value.as_slice()[at].is_nan() => {
                    operands.iter().any(|operand| read(operand) == F::ZERO)
                        && !operands.iter().any(|operand| read(operand).is_nan())
                }
                _ => false,
            };
            let bad = operands.iter().find(|operand| read(operand).is_nan());
            match bad.or_else(|| operands.iter().find(|operand| !read(operand).is_finite())) {
                Some(&(operand, position)) if !self.is_chosen_constant(node, operand) => (id, at) = (operand, position),
                found => {
                    let (operation, explanation) = match found {
                        Some(_) => {
                            let reason = match &self.nodes[node.inputs[0].index()] {
                                mask @ Node { op: Op::Custom(_), .. } => self.name_in_words(mask),
                                _ => "outside the support".into(),
                            };
                            let hint = "check these values, or choose a distribution that has them";
                            (format!("the result for values that are {reason}, at position {at}"), Some(hint.into()))
                        }
                        None => match self.outside_of_support(node, at) {
                            Some((operation, explanation)) => (operation.into(), Some(explanation)),
                            None => (self.operation_in_words(node), None),
                        },
                    };
                    return Some(Origin {
                        operation,
                        shape: node.event(),
                        plates: self.words(&node.plates),
                        value: not_finite_in_words(node.value.as_slice()[at]),
                        zero_times_infinity,
                        explanation,
                        given: matches!(node.op, Op::Leaf { .. } | Op::Slot(_)),
                        at: node.location,
                    });
                }
            }
        }
    }

    /// Whether a value is an infinite constant that was selected because a primitive, such as the test whether a value
    /// is outside a support, asked for it, or a density of zero that was selected by a comparison. The reason says more
    /// than the constant.
    fn is_chosen_constant(&self, node: &Node<F>, operand: Id) -> bool {
        let (Op::Select, operand) = (&node.op, &self.nodes[operand.index()]) else { return false };
        let is_constant = matches!(operand.op, Op::Leaf { trainable: false });
        is_constant
            && match self.nodes[node.inputs[0].index()].op {
                Op::Custom(_) => true,
                Op::Zip(_) | Op::Map(Map::Outside(..) | Map::Step) => {
                    operand.value.as_slice().iter().all(|&x| x == F::NEG_INFINITY)
                }
                _ => false,
            }
    }

    /// What a log-probability expected and what it got, if a value outside of its support is the reason that an element
    /// is infinite.
    fn outside_of_support(&self, node: &Node<F>, at: usize) -> Option<(&'static str, String)> {
        // The logarithm of a probability comes last.
        if let (Op::Map(Map::LnHeld), Some(probability)) = (&node.op, node.inputs.first()) {
            let probability = &self.nodes[probability.index()];
            return match probability.op {
                Op::Zip(Zip::ChanceOfBit) => self.outside_of_support(probability, at),
                _ => None,
            };
        }
        let support = node.op.support().filter(|_| node.rule_of == Id::POISON)?;
        let read = |input: usize| {
            let operand = &self.nodes[node.inputs.get(input)?.index()];
            let position = self.element(node, at, operand);
            Some((operand.value.as_slice()[position].to_f64(), position))
        };
        let (found, position) = read(0)?;
        let second = read(1).map_or(f64::NAN, |(value, _)| value);
        let outside = !found.is_nan() && !(support.contains)(found, second);
        let Support { name, expected, hint, .. } = support;
        outside.then(|| (name, format!("expected {expected}, got {found} at position {position}; {hint}")))
    }

    fn name_in_words(&self, node: &Node<F>) -> String {
        match &node.op {
            Op::Custom(number) => self.primitives[*number as usize].name().to_string(),
            Op::Draw { sampler, .. } => self.samplers[*sampler as usize].name().to_string(),
            op => op.to_string(),
        }
    }

    fn operation_in_words(&self, node: &Node<F>) -> String {
        match self.nodes.get(node.rule_of.index()) {
            Some(forward) => {
                format!("the derivative of {} ({})", self.name_in_words(forward), self.name_in_words(node))
            }
            None => self.name_in_words(node),
        }
    }

    /// The elements of the operands that an element of a value was computed from, as far as they are known.
    fn operands_of(&self, node: &Node<F>, at: usize) -> Vec<(Id, usize)> {
        let operand = |input: usize| &self.nodes[node.inputs[input].index()];
        let whole = |input: usize| (0..operand(input).value.len()).map(move |at| (node.inputs[input], at));
        let element = |input: usize| (node.inputs[input], self.element(node, at, operand(input)));
        match &node.op {
            _ if node.inputs.is_empty() => Vec::new(),
            Op::Select => {
                let (condition, position) = element(0);
                let taken = self.nodes[condition.index()].value.as_slice()[position] != F::ZERO;
                vec![element(if taken { 1 } else { 2 })]
            }
            Op::Zip(Zip::Hold | Zip::Weigh | Zip::Keep) => {
                let (weights, position) = element(1);
                let kept = self.nodes[weights.index()].value.as_slice()[position] != F::ZERO;
                if kept { vec![element(0), element(1)] } else { vec![element(1)] }
            }
            Op::Map(_) | Op::Zip(_) | Op::Special(_) | Op::MagicBox | Op::Expand(..) => {
                (0..node.inputs.len()).map(element).collect()
            }
            Op::Sample(_) | Op::StraightThrough | Op::Estimated(_) | Op::Detach(_) | Op::AllReduce(_) => {
                vec![element(0)]
            }
            Op::Reshape(_) => vec![(node.inputs[0], at)],
            Op::Reduce(..) | Op::SumOut(..) | Op::PlateReduce(..) => {
                let x = operand(0);
                let weights = matches!(node.op, Op::PlateReduce(_, PlateReduction::Weighted)).then(|| operand(1));
                let mut found: Vec<(Id, usize)> = (0..x.value.len())
                    .filter(|&from| self.reduced_element(node, x, from).is_none_or(|to| to == at))
                    .filter(|&from| {
                        weights.is_none_or(|weights| {
                            let known = weights.plates.iter().all(|plate| x.plates.contains(plate));
                            !known || weights.value.as_slice()[self.element(x, from, weights)] != F::ZERO
                        })
                    })
                    .map(|from| (node.inputs[0], from))
                    .collect();
                if weights.is_some() {
                    found.extend(whole(1));
                }
                found
            }
            _ => (0..node.inputs.len()).flat_map(whole).collect(),
        }
    }

    /// The position of an element of a value in an operand that was broadcast to the value.
    fn element(&self, node: &Node<F>, at: usize, operand: &Node<F>) -> usize {
        let index = coordinates(&node.value, at);
        let (lead, own) = (node.plates.len(), operand.plates.len());
        let (rank, own_rank) = (index.len() - lead, operand.value.rank() - own);
        let plates = operand.plates.iter().map(|plate| node.plates.binary_search(plate).map_or(0, |at| index[at]));
        let events = (0..own_rank).map(|axis| (axis + rank).checked_sub(own_rank).map_or(0, |axis| index[lead + axis]));
        let sizes = operand.value.shape().iter();
        plates.chain(events).zip(sizes).fold(0, |flat, (at, &size)| flat * size + if size == 1 { 0 } else { at })
    }

    /// The position in the result of a reduction for an element of its operand, or `None` if it is not known.
    fn reduced_element(&self, node: &Node<F>, operand: &Node<F>, from: usize) -> Option<usize> {
        let gone: &[usize] = match &node.op {
            Op::Reduce(_, axes) => axes,
            _ => &[],
        };
        let index = coordinates(&operand.value, from);
        let lead = operand.plates.len();
        let plates = (0..lead).filter(|&axis| node.plates.contains(&operand.plates[axis]));
        let events = (0..index.len() - lead).filter(|axis| !gone.contains(axis)).map(|axis| axis + lead);
        let kept: SmallVec<[usize; 8]> = plates.chain(events).map(|axis| index[axis]).collect();
        let sizes = node.value.shape();
        (kept.len() == sizes.len()).then(|| {
            kept.iter().zip(sizes.iter()).fold(0, |flat, (&at, &size)| flat * size + if size == 1 { 0 } else { at })
        })
    }
}

fn coordinates<F: Real>(value: &Tensor<F>, mut flat: usize) -> SmallVec<[usize; 8]> {
    let mut index: SmallVec<[usize; 8]> = SmallVec::from_elem(0, value.rank());
    for (at, &size) in index.iter_mut().zip(value.shape().iter()).rev() {
        (*at, flat) = (flat % size, flat / size);
    }
    index
}
