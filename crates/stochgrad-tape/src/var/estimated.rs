//! Values whose backward pass is randomized.

use crate::op::{Estimated, Op};
use crate::plate::Plates;
use crate::var::Var;
use stochgrad_tensor::{Real, Shape};

/// The rows of a value: its last event axis, for all members of its plates and all positions of the other event axes.
struct Rows {
    plates: Plates,
    /// The number of members of each plate, and the sizes of the event axes but the last one.
    sizes: Shape,
    count: usize,
}

impl Rows {
    /// The rows of a value with at least one event axis.
    fn of<F: Real>(value: Var<'_, F>) -> Self {
        let (plates, event) = (value.plates(), value.shape());
        let members = plates.iter().map(|&plate| value.tape.plate_size(plate));
        let sizes: Shape = members.chain(event[..event.len() - 1].iter().copied()).collect();
        Rows { count: sizes.numel(), plates, sizes }
    }

    /// # Errors
    /// If there are not as many rows to keep.
    fn check(&self, kept: usize) -> Result<(), String> {
        if (1..=self.count).contains(&kept) {
            return Ok(());
        }
        Err(format!("expected from 1 to {} positions of rows, got {kept}", self.count))
    }

    /// The factor of what is kept.
    fn weight(&self, kept: usize) -> f64 {
        self.count as f64 / kept as f64
    }

    /// The rows at some positions, of event shape `[positions, width]`.
    #[track_caller]
    fn taken<'t, F: Real>(&self, value: Var<'t, F>, positions: Var<'t, F>) -> Var<'t, F> {
        let width = value.shape().last().copied().unwrap_or(1);
        let together = self.plates.iter().rev().fold(value, |x, &plate| x.plate_to_event(plate));
        together.reshape([self.count, width]).lookup(positions)
    }

    /// Zeros with these rows at their positions.
    #[track_caller]
    fn placed<'t, F: Real>(&self, rows: Var<'t, F>, positions: Var<'t, F>) -> Var<'t, F> {
        let width = rows.shape().last().copied().unwrap_or(1);
        let all = rows.apply_with(Op::LookupAdd { removed: Plates::new(), entries: self.count }, &[positions]);
        let full: Shape = self.sizes.iter().copied().chain([width]).collect();
        self.plates.iter().fold(all.reshape(full), |x, &plate| x.event_to_plate(plate))
    }
}

/// Randomized automatic differentiation (Oktay et al. 2020): exact values with derivatives that are estimated from a
/// random part of what the exact derivative needs.
///
/// The estimates are unbiased at first order. A request for a second derivative is an error, since it would multiply an
/// estimate with itself.
impl<'t, F: Real> Var<'t, F> {
    /// This value, with the first derivative of `estimate` in place of its own.
    ///
    /// `estimate` must be random, and its derivatives must have those of this value as their means, whatever the value
    /// is: $\mathbb{E}[\partial \hat y] = \partial y$. Then the gradient of any function of the result is unbiased,
    /// since the adjoint of the result is exact and does not depend on the estimate. Several such values in one model
    /// need independent estimates. Both operands have the same plates and the same event shape.
    ///
    /// The result has the first operand itself as its value, and no program computes the value of `estimate`. What the
    /// exact derivative would have needed is therefore not kept for the backward pass. A recording keeps everything.
    ///
    /// A random function of a gradient that is not linear, such as its square, has another mean than the function of
    /// the exact gradient, as for every other random gradient.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([0.5, 2.0]);
    /// // Each element is kept with probability 1/2 in the backward pass, and then counts twice.
    /// let kept = tape.constant([0.0, 1.0]);
    /// let y = x.sin();
    /// let y = y.with_estimated_derivative(y * kept * 2.0);
    /// let [slope] = tape.backward(y.sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [0.0, 2.0 * 2.0_f64.cos()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Different plates or event shapes are recorded as an error, and so is a request for a second derivative.
    #[track_caller]
    pub fn with_estimated_derivative(self, estimate: Self) -> Self {
        self.apply_with(Op::Estimated(Estimated::Value), &[estimate])
    }

    /// The product of the rows of this value, of event shape `[.., inputs]`, with a matrix of event shape
    /// `[inputs, outputs]`. The derivative with respect to the matrix is that of a random subset of the rows.
    ///
    /// The rows are the last axes, for all positions of the other event axes and all members of the plates, which are
    /// counted in this order from the last to the first. `positions`, of event shape `[count]`, names different ones,
    /// drawn uniformly without replacement. With $n$ rows $x_i$ and adjoints $\delta_i$, of which $k$ are kept, the
    /// adjoint of the matrix is
    ///
    /// $$ \frac{n}{k} \sum_{i \in S} x_i^\top \delta_i, $$
    ///
    /// whose mean is the exact one. The derivative with respect to the rows is exact. A program keeps the $k$ rows for
    /// the backward pass in place of all of them, unless something else needs them.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let weights = tape.parameter([[1.0], [10.0]]);
    /// let y = x.matmul_keeping_rows(weights, tape.constant([2.0]));
    /// assert_eq!(y.peek()?.to_vec(), [21.0, 43.0, 65.0]);
    /// let [by_x, by_weights] = tape.backward(y.sum(), [x, weights])?;
    /// assert_eq!(by_x.to_vec(), [1.0, 10.0, 1.0, 10.0, 1.0, 10.0]);
    /// assert_eq!(by_weights.to_vec(), [15.0, 18.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A matrix on plates or of another rank, positions on plates or outside of the rows, and shapes that do not fit
    /// are recorded as errors, and so is a request for a second derivative.
    #[track_caller]
    pub fn matmul_keeping_rows(self, matrix: Self, positions: Self) -> Self {
        let what = "matmul_keeping_rows";
        if let Some(failed) = [self, matrix, positions].into_iter().find(|var| var.is_poisoned()) {
            return failed;
        }
        let (event, kept) = (self.shape(), positions.shape());
        let (false, 2, [count]) = (event.is_empty(), matrix.shape().len(), &kept[..]) else {
            let problem = format!(
                "expected rows of event shape [.., inputs], a matrix of [inputs, outputs] and positions of [count], \
                 got {event}, {} and {kept}",
                matrix.shape()
            );
            return self.refuse(what, problem);
        };
        if !matrix.plates().is_empty() || !positions.plates().is_empty() {
            let problem = format!(
                "expected a matrix and positions without plates, got {}{}; use `matmul` for a matrix on plates",
                matrix.plates_in_words(),
                positions.plates_in_words()
            );
            return self.refuse(what, problem);
        }
        let exact = self.matmul(matrix.held());
        if exact.is_poisoned() {
            return exact;
        }
        let rows = Rows::of(self);
        if let Err(problem) = rows.check(*count) {
            return self.refuse(what, problem);
        }
        let kept = rows.taken(self.held(), positions) * rows.weight(*count);
        exact.with_estimated_derivative(exact + rows.placed(kept.matmul(matrix), positions))
    }

    /// A function of each row of this value, of event shape `[.., inputs]`, such as a network, whose derivatives are
    /// those of a random subset of the rows.
    ///
    /// `function` must treat all rows alike and independently, without noise of its own. It is called twice: for this
    /// value, and for the kept rows, as a value of event shape `[count, inputs]` without plates. `positions` names the
    /// rows as for [`matmul_keeping_rows`](Self::matmul_keeping_rows). With $n$ rows, of which $k$ are kept, all
    /// derivatives through row $i$, also those with respect to parameters of the function, are $n / k$ times the exact
    /// ones if $i$ is kept, else 0; their means are the exact ones. A program keeps the intermediate values of the $k$
    /// rows only, and computes them twice in the forward pass.
    ///
    /// ```
    /// use stochgrad_tape::{Tape, TapeError};
    ///
    /// # fn main() -> Result<(), TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let weights = tape.parameter([[1.0], [10.0]]);
    /// let y = x.map_keeping_rows(tape.constant([0.0]), |x| Ok::<_, TapeError>(x.matmul(weights).square()))?;
    /// assert_eq!(y.peek()?.to_vec(), [21.0 * 21.0, 43.0 * 43.0, 65.0 * 65.0]);
    /// let [slope] = tape.backward(y.sum(), [weights])?;
    /// assert_eq!(slope.to_vec(), [3.0 * 42.0 * 1.0, 3.0 * 42.0 * 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first error of `function`. A value without event axes, positions on plates or outside of the rows, and a
    /// function that does not return one row for each are recorded as errors, and so is a request for a second
    /// derivative.
    #[track_caller]
    pub fn map_keeping_rows<E>(self, positions: Self, function: impl Fn(Self) -> Result<Self, E>) -> Result<Self, E> {
        let what = "map_keeping_rows";
        if let Some(failed) = [self, positions].into_iter().find(|var| var.is_poisoned()) {
            return Ok(failed);
        }
        let (event, kept) = (self.shape(), positions.shape());
        let (false, [count], true) = (event.is_empty(), &kept[..], positions.plates().is_empty()) else {
            let problem = format!(
                "expected rows of event shape [.., inputs] and positions of [count] without plates, got {event} and \
                 {kept}{}",
                positions.plates_in_words()
            );
            return Ok(self.refuse(what, problem));
        };
        let rows = Rows::of(self);
        if let Err(problem) = rows.check(*count) {
            return Ok(self.refuse(what, problem));
        }
        let exact = function(self)?;
        let kept = function(rows.taken(self, positions))?;
        if kept.is_poisoned() {
            return Ok(kept);
        }
        if kept.shape().len() != 2 || kept.shape()[0] != *count || !kept.plates().is_empty() {
            let problem = format!(
                "expected a function that returns one row for each of {count} rows, got a value of event shape {}{}",
                kept.shape(),
                kept.plates_in_words()
            );
            return Ok(self.refuse(what, problem));
        }
        let estimate = rows.placed(kept * rows.weight(*count), positions);
        Ok(exact.with_estimated_derivative(estimate))
    }

    /// A function of each element, whose derivative is that of random elements along the last event axis, the kept
    /// units.
    ///
    /// `function` must treat all elements alike and independently. It is called twice: for all elements, and for the
    /// kept ones. `positions`, of event shape `[count]`, names different ones, drawn uniformly without replacement,
    /// which are kept for all rows. With $n$ units, of which $k$ are kept, the adjoint of unit $i$ is $n / k$ times the
    /// exact one if $i$ is kept, else 0; its mean is the exact one. A program keeps $k$ of $n$ units for the backward
    /// pass, unless something else needs the others.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([[1.0, 2.0, -3.0], [4.0, -5.0, 6.0]]);
    /// let y = x.map_keeping_units(tape.constant([2.0]), |x| x.relu());
    /// assert_eq!(y.peek()?.to_vec(), [1.0, 2.0, 0.0, 4.0, 0.0, 6.0]);
    /// let [slope] = tape.backward(y.sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [0.0, 0.0, 0.0, 0.0, 0.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A value without event axes, positions on plates or outside of the units, and a function that changes the shape
    /// are recorded as errors, and so is a request for a second derivative.
    #[track_caller]
    pub fn map_keeping_units(self, positions: Self, function: impl Fn(Self) -> Self) -> Self {
        let what = "map_keeping_units";
        if let Some(failed) = [self, positions].into_iter().find(|var| var.is_poisoned()) {
            return failed;
        }
        let (event, kept) = (self.shape(), positions.shape());
        let (Some((&units, lead)), [count]) = (event.split_last(), &kept[..]) else {
            let problem =
                format!("expected units of event shape [.., units] and positions of [count], got {event} and {kept}");
            return self.refuse(what, problem);
        };
        if !positions.plates().is_empty() {
            let problem = format!("expected positions without plates, got {}", positions.plates_in_words());
            return self.refuse(what, problem);
        }
        if *count == 0 || *count > units {
            return self.refuse(what, format!("expected from 1 to {units} positions of units, got {count}"));
        }
        let axis = lead.len();
        let index: Shape = std::iter::repeat_n(1, axis).chain([*count]).collect();
        let index = positions.reshape(index);
        let exact = function(self.held());
        let kept = function(self.apply_with(Op::Gather(axis), &[index])) * (units as f64 / *count as f64);
        let estimate = kept.apply_with(Op::ScatterAdd(axis, units), &[index]);
        exact.with_estimated_derivative(estimate)
    }
}
