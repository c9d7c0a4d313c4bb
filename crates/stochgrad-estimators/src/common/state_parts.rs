//! Loading the state of a method that consists of several parts: all of them, or none.

use stochgrad_graph::{GraphResult, MethodState};

/// Loads a state into a part of a method.
type Load<'a> = Box<dyn Fn(&MethodState) -> GraphResult<()> + 'a>;

/// A part of a method that has a state, and the state to load into it.
pub struct StatePart<'a> {
    /// The state to load.
    pub given: MethodState,
    /// Returns the present state of the part.
    pub state: Box<dyn Fn() -> MethodState + 'a>,
    /// Loads a state into the part. A state that it refuses must leave the part as it was.
    pub load: Load<'a>,
}

/// Loads the state of every part. If one part refuses its state, the parts before it get their old states back, so that
/// the method is as it was.
///
/// ```
/// use stochgrad_estimators::extension::{StatePart, load_all_or_nothing};
/// use stochgrad_estimators::{Memory, MovingAverage};
/// use stochgrad_graph::MethodState;
///
/// let (first, second) = (MovingAverage::new(0.9), MovingAverage::new(0.9));
/// let good = MethodState::from([("x / cost".into(), vec![0.5, 0.1])]);
/// let bad = MethodState::from([("x / cost".into(), vec![f64::NAN, 0.1])]);
/// let parts = [(&first, good), (&second, bad)].map(|(average, given)| StatePart {
///     given,
///     state: Box::new(move || average.state()),
///     load: Box::new(move |state| average.load_state(state)),
/// });
/// assert!(load_all_or_nothing(&parts).is_err());
/// assert!(first.state().is_empty());
/// ```
///
/// # Errors
/// The error of the first part that refuses its state.
pub fn load_all_or_nothing(parts: &[StatePart<'_>]) -> GraphResult<()> {
    let before: Vec<MethodState> = parts.iter().map(|part| (part.state)()).collect();
    for (at, part) in parts.iter().enumerate() {
        if let Err(error) = (part.load)(&part.given) {
            for (part, before) in parts[..at].iter().zip(&before) {
                (part.load)(before)?;
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Removes the entries whose names start with a prefix from a state, and returns them without the prefix.
pub fn take_prefixed(state: &mut MethodState, prefix: &str) -> MethodState {
    let names: Vec<String> = state.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    let taken = names.into_iter().filter_map(|name| Some((name[prefix.len()..].to_owned(), state.remove(&name)?)));
    taken.collect()
}
