//! The state of a method: all its slots, for checkpoints.

use crate::error::{GraphError, GraphResult};
use crate::method::slot_set::SlotSet;
use std::collections::BTreeMap;
use stochgrad_tape::Slot;

/// The values that a method keeps between steps, by name.
pub type MethodState = BTreeMap<String, Vec<f64>>;

/// All slots of a method, which [`Method::slots`](crate::Method::slots) returns. It shares the slots with the method.
///
/// A method that consists of several parts gives the slots of each part a prefix, of which none begins with another
/// one, so that the names of the parts cannot be confused.
///
/// ```
/// use stochgrad_graph::{MethodSlots, SlotDomain, SlotPart, SlotSet};
///
/// const PARTS: &[SlotPart] = &[SlotPart { name: "mean", domain: SlotDomain::Finite }];
/// let (costs, squares) = (SlotSet::new(PARTS), SlotSet::new(PARTS));
/// let all = MethodSlots::from(&costs).under("costs: ").and(MethodSlots::from(&squares).under("squares: "));
/// costs.slot("x", "mean", [], |_| 0.0).write(&[1.5]);
/// let state = all.state();
/// assert_eq!(state["costs: x / mean"], [1.5]);
///
/// costs.slot("x", "mean", [], |_| 0.0).write(&[2.5]);
/// all.load("my method", &state)?;
/// assert_eq!(all.state(), state);
/// assert!(all.load("my method", &[("others: x / mean".into(), vec![1.0])].into()).is_err());
/// # Ok::<(), stochgrad_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MethodSlots {
    sets: Vec<(String, SlotSet)>,
}

/// The values of some slots, by name.
type Values<'a> = BTreeMap<&'a str, &'a [f64]>;

impl From<&SlotSet> for MethodSlots {
    fn from(set: &SlotSet) -> Self {
        MethodSlots { sets: vec![(String::new(), set.clone())] }
    }
}

impl MethodSlots {
    /// The same slots with a prefix before their names.
    pub fn under(self, prefix: &str) -> Self {
        MethodSlots { sets: self.sets.into_iter().map(|(inner, set)| (format!("{prefix}{inner}"), set)).collect() }
    }

    /// The slots of both.
    pub fn and(mut self, other: MethodSlots) -> Self {
        self.sets.extend(other.sets);
        self
    }

    /// Whether the method keeps nothing between steps.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Whether both are the same slots.
    pub fn is(&self, other: &MethodSlots) -> bool {
        let same = |((prefix, set), (other_prefix, other_set)): (&(String, SlotSet), &(String, SlotSet))| {
            prefix == other_prefix && set.is(other_set)
        };
        self.sets.len() == other.sets.len() && self.sets.iter().zip(&other.sets).all(same)
    }

    /// The slots with their full names.
    pub fn slots(&self) -> Vec<(String, Slot)> {
        let named = |(prefix, set): &(String, SlotSet)| {
            let slots = set.slots().into_iter();
            slots.map(|slot| (format!("{prefix}{}", slot.name()), slot)).collect::<Vec<_>>()
        };
        self.sets.iter().flat_map(named).collect()
    }

    /// The slots with what the method learns by gradient steps of its own, without its counters and running means.
    ///
    /// ```
    /// use stochgrad_graph::{MethodSlots, SlotDomain, SlotPart, SlotSet};
    ///
    /// const PARTS: &[SlotPart] = &[
    ///     SlotPart { name: "value", domain: SlotDomain::Finite },
    ///     SlotPart { name: "moment", domain: SlotDomain::Finite },
    /// ];
    /// let set = SlotSet::new(PARTS).with_learned("value");
    /// for part in PARTS {
    ///     set.slot("weights", part.name, [2], |_| 0.0);
    /// }
    /// let learned = MethodSlots::from(&set).learned();
    /// assert_eq!((learned.len(), learned[0].name()), (1, "weights / value"));
    /// ```
    pub fn learned(&self) -> Vec<Slot> {
        self.sets.iter().flat_map(|(_, set)| set.learned()).collect()
    }

    /// The values of the slots that have been written, by their full names.
    pub fn state(&self) -> MethodState {
        let named = |(prefix, set): &(String, SlotSet)| {
            let state = set.state().into_iter();
            state.map(|(name, values)| (format!("{prefix}{name}"), values)).collect::<Vec<_>>()
        };
        self.sets.iter().flat_map(named).collect()
    }

    /// Restores what [`state`](Self::state) returned. Slots that are not part of it return to their start. `method` is
    /// the name of the method, for the error message.
    ///
    /// # Errors
    /// If the state is not one of these slots. They are then as before.
    pub fn load(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        let parts = self.checked(method, state)?;
        self.sets.iter().zip(&parts).for_each(|((_, set), part)| set.load(part));
        Ok(())
    }

    /// Whether [`load`](Self::load) accepts a state.
    ///
    /// # Errors
    /// If the state is not one of these slots.
    pub fn check(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        self.checked(method, state).map(|_| ())
    }

    /// The part of a state that belongs to each set.
    fn checked<'a>(&self, method: &str, state: &'a MethodState) -> GraphResult<Vec<Values<'a>>> {
        let refused = |problem: String| GraphError::State {
            method: method.into(),
            problem: format!("{problem}; was the checkpoint made with another method?"),
        };
        let mut parts: Vec<Values<'a>> = vec![BTreeMap::new(); self.sets.len()];
        for (name, values) in state {
            let matching = self.sets.iter().enumerate().filter(|(_, (prefix, _))| name.starts_with(prefix.as_str()));
            match matching.max_by_key(|(_, (prefix, _))| prefix.len()) {
                Some((at, (prefix, _))) => {
                    parts[at].insert(&name[prefix.len()..], values);
                }
                None => {
                    let known: Vec<String> = self.sets.iter().map(|(prefix, _)| format!("\"{prefix}…\"")).collect();
                    let known = if known.is_empty() { "no state".into() } else { known.join(", ") };
                    return Err(refused(format!("expected {known}, got \"{name}\"")));
                }
            }
        }
        for ((_, set), part) in self.sets.iter().zip(&parts) {
            set.check(part).map_err(refused)?;
        }
        Ok(parts)
    }
}
