//! Named slots, in which a method keeps what it knows from step to step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_tape::Slot;
use stochgrad_tensor::Shape;

/// The values that a slot may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotDomain {
    /// Finite values.
    Finite,
    /// Finite values that are not negative.
    NotNegative,
    /// Values in the interval [0, 1].
    Share,
    /// Whole numbers that are not negative.
    Count,
}

impl SlotDomain {
    fn contains(self, x: f64) -> bool {
        match self {
            SlotDomain::Finite => x.is_finite(),
            SlotDomain::NotNegative => x.is_finite() && x >= 0.0,
            SlotDomain::Share => (0.0..=1.0).contains(&x),
            SlotDomain::Count => (0.0..9e15).contains(&x) && x.fract() == 0.0,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            SlotDomain::Finite => "finite numbers",
            SlotDomain::NotNegative => "finite numbers that are not negative",
            SlotDomain::Share => "numbers in [0, 1]",
            SlotDomain::Count => "whole numbers that are not negative",
        }
    }
}

/// One of the slots that an owner has: its name, and the values that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPart {
    /// The name.
    pub name: &'static str,
    /// The values that the slot may have.
    pub domain: SlotDomain,
}

/// The slots of a method: the same few parts for each owner, such as a node and a cost. A slot is named
/// `owner / part`. Clones share the slots.
///
/// ```
/// use stochgrad_graph::{SlotDomain, SlotPart, SlotSet};
///
/// const PARTS: &[SlotPart] = &[SlotPart { name: "mean", domain: SlotDomain::Finite }];
/// let set = SlotSet::new(PARTS);
/// let mean = set.slot("x", "mean", [2], |_| 0.0);
/// mean.write(&[1.0, 2.0]);
/// assert!(set.slot("x", "mean", [2], |_| 0.0).is(&mean));
/// assert_eq!(mean.name(), "x / mean");
/// ```
#[derive(Clone)]
pub struct SlotSet {
    parts: &'static [SlotPart],
    /// The part that is learned.
    learned: Option<&'static str>,
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

struct Entry {
    slot: Slot,
    /// Whether the shape is known. That of a slot which was loaded before the first recording is not.
    is_shaped: bool,
    /// Whether it belongs to the state before it is first written.
    is_fixed: bool,
}

impl SlotSet {
    /// A set without slots, whose owners will have these parts.
    pub fn new(parts: &'static [SlotPart]) -> Self {
        SlotSet { parts, learned: None, entries: Arc::default() }
    }

    /// Says that a part holds what the method learns, such as the weights of a network that predicts the cost, beside
    /// counters and running means; see [`MethodSlots::learned`](crate::MethodSlots::learned).
    pub fn with_learned(self, part: &'static str) -> Self {
        SlotSet { learned: Some(part), ..self }
    }

    /// Adds a slot that belongs to the state from the start, as the step of a schedule does. Other slots belong to it
    /// once they are written.
    pub fn with_fixed(self, owner: &str, part: &str, shape: impl Into<Shape>, start: impl Fn(usize) -> f64) -> Self {
        let slot = self.slot(owner, part, shape, start);
        if let Some(entry) = self.entries().get_mut(slot.name()) {
            entry.is_fixed = true;
        }
        self
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of an owner, which is made if there is none. `start` gives the value at each position before the first
    /// step. If there is one of another shape, it is given up, and a new one takes its place.
    ///
    /// # Panics
    /// If the set has no such part.
    pub fn slot(&self, owner: &str, part: &str, shape: impl Into<Shape>, start: impl Fn(usize) -> f64) -> Slot {
        assert!(self.parts.iter().any(|known| known.name == part), "expected a part of the set, got \"{part}\"");
        let (name, shape) = (format!("{owner} / {part}"), shape.into());
        let entries = &mut *self.entries();
        let found = entries.get(&name).filter(|entry| match entry.is_shaped {
            true => *entry.slot.shape() == shape,
            false => entry.slot.shape().numel() == shape.numel(),
        });
        if let Some(entry) = found
            && entry.is_shaped
        {
            return entry.slot.clone();
        }
        let slot = Slot::new(name.clone(), shape.clone(), (0..shape.numel()).map(start).collect::<Vec<f64>>());
        if let Some(loaded) = found {
            slot.write(&loaded.slot.values());
        }
        entries.insert(name, Entry { slot: slot.clone(), is_shaped: true, is_fixed: false });
        slot
    }

    /// All slots, by name.
    pub fn slots(&self) -> Vec<Slot> {
        self.entries().values().map(|entry| entry.slot.clone()).collect()
    }

    /// The slots of the part that is learned, by name.
    pub(crate) fn learned(&self) -> Vec<Slot> {
        let is_learned =
            |name: &str| self.learned.is_some_and(|part| name.rsplit_once(" / ").is_some_and(|(_, of)| of == part));
        self.entries().iter().filter(|(name, _)| is_learned(name)).map(|(_, entry)| entry.slot.clone()).collect()
    }

    /// Whether both are the same set.
    pub fn is(&self, other: &SlotSet) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// The names and values of the slots that belong to the state.
    pub(crate) fn state(&self) -> Vec<(String, Vec<f64>)> {
        let entries = self.entries();
        let stored = entries.values().filter(|entry| entry.is_fixed || entry.slot.is_written());
        stored.map(|entry| (entry.slot.name().to_owned(), entry.slot.values())).collect()
    }

    /// Whether [`load`](Self::load) can be called with this state.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, state: &BTreeMap<&str, &[f64]>) -> Result<(), String> {
        let entries = self.entries();
        for (&name, &values) in state {
            let found = name.rsplit_once(" / ");
            let Some((owner, part)) =
                found.and_then(|(owner, part)| Some((owner, self.parts.iter().find(|known| known.name == part)?)))
            else {
                let known: Vec<String> = self.parts.iter().map(|part| format!("\"… / {}\"", part.name)).collect();
                return Err(format!("expected {}, got \"{name}\"", known.join(", ")));
            };
            if let Some(missing) =
                self.parts.iter().find(|part| !state.contains_key(&*format!("{owner} / {}", part.name)))
            {
                return Err(format!("expected \"{owner} / {}\" beside \"{name}\", got none", missing.name));
            }
            if values.is_empty() || !values.iter().all(|&x| part.domain.contains(x)) {
                return Err(format!("expected {} for \"{name}\", got {values:?}", part.domain.in_words()));
            }
            let shape = entries.get(name).filter(|entry| entry.is_shaped).map(|entry| entry.slot.shape());
            if let Some(shape) = shape.filter(|shape| shape.numel() != values.len()) {
                return Err(format!("expected shape {shape} for \"{name}\", got {} numbers", values.len()));
            }
        }
        match entries.iter().find(|(name, entry)| entry.is_fixed && !state.contains_key(name.as_str())) {
            Some((name, _)) => Err(format!("expected \"{name}\", got none")),
            None => Ok(()),
        }
    }

    /// Loads a state that has been checked. Slots that are not part of it return to their start.
    pub(crate) fn load(&self, state: &BTreeMap<&str, &[f64]>) {
        let entries = &mut *self.entries();
        entries.retain(|name, entry| entry.is_shaped || state.contains_key(name.as_str()));
        entries.values().for_each(|entry| entry.slot.reset());
        for (&name, &values) in state {
            match entries.get(name).filter(|entry| entry.slot.shape().numel() == values.len()) {
                Some(entry) => entry.slot.write(values),
                None => {
                    let slot = Slot::new(name, [values.len()], values);
                    slot.write(values);
                    entries.insert(name.to_owned(), Entry { slot, is_shaped: false, is_fixed: false });
                }
            }
        }
    }
}

impl std::fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries().keys()).finish()
    }
}
