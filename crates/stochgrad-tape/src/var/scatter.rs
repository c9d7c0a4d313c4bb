//! Writing to positions of an event axis that are given by values.

use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// Values written to positions of an event axis.
///
/// `index` has the event rank of this value and as many positions along the axis as `source` has elements. Its other
/// axes broadcast, and so do its plates. Its elements are integers below the size of the axis; others are recorded as
/// an error. No derivative flows to the positions.
impl<'t, F: Real> Var<'t, F> {
    /// This value with the elements of `source` in place of those at the positions of `index` along an event axis. If a
    /// position occurs several times, the last element remains. Derivatives flow to the elements of both operands that
    /// remain.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let [x, source] = [tape.parameter([1.0, 2.0, 3.0]), tape.parameter([10.0, 20.0, 30.0])];
    /// let written = x.scatter(0, tape.constant([2.0, 0.0, 2.0]), source);
    /// assert_eq!(written.peek()?.to_vec(), [20.0, 2.0, 30.0]);
    /// let [by_x, by_source] = tape.backward(written.sum(), [x, source])?;
    /// assert_eq!((by_x.to_vec(), by_source.to_vec()), (vec![0.0, 1.0, 0.0], vec![0.0, 1.0, 1.0]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn scatter(self, axis: isize, index: Self, source: Self) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("scatter", axis) };
        if let Err(failed) = self.check_scattered("scatter", at, index, source) {
            return failed;
        }
        if source.shape()[at] == 0 {
            return self;
        }
        let writers = index.apply(Op::LastWriters(at, self.shape()[at]));
        let written = source.apply_with(Op::Gather(at), &[(writers - 1.0).map(Map::MaxScalar(0.0))]);
        writers.select(written, self)
    }

    /// This value with the elements of `source` added at the positions of `index` along an event axis.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let [x, source] = [tape.constant([1.0, 2.0, 3.0]), tape.constant([10.0, 20.0, 30.0])];
    /// let added = x.scatter_add(0, tape.constant([2.0, 0.0, 2.0]), source);
    /// assert_eq!(added.peek()?.to_vec(), [21.0, 2.0, 43.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn scatter_add(self, axis: isize, index: Self, source: Self) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("scatter_add", axis) };
        if let Err(failed) = self.check_scattered("scatter_add", at, index, source) {
            return failed;
        }
        self + source.apply_with(Op::ScatterAdd(at, self.shape()[at]), &[index])
    }

    /// Checks that there is one position for each element along the axis.
    #[track_caller]
    fn check_scattered(self, what: &str, axis: usize, index: Self, source: Self) -> Result<(), Self> {
        if let Some(failed) = [self, index, source].into_iter().find(|var| var.is_poisoned()) {
            return Err(failed);
        }
        let (own, positions, elements) = (self.shape(), index.shape(), source.shape());
        if positions.len() != own.len() || elements.len() != own.len() || positions[axis] != elements[axis] {
            let problem = format!(
                "expected an index and a source with {} event axes and the same size on axis {axis}, got an index of \
                 event shape {positions} and a source of {elements}",
                own.len()
            );
            return Err(self.refuse(what, problem));
        }
        Ok(())
    }
}
