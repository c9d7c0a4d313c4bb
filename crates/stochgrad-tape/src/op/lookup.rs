//! Rows of tables at given positions, with their derivative rules.

use crate::node::Node;
use crate::op::Op;
use crate::op::broadcast::unbroadcast;
use crate::op::fault::Fault;
use crate::plate::{Plates, merge};
use crate::tape::Inner;
use crate::var::Var;
use std::fmt::Display;
use stochgrad_tensor::{Pool, Real, Shape, Tensor, layout, reduce};

impl<F: Real> Inner<F> {
    /// Checks that the elements of a value are integers in 0..`size`.
    pub(crate) fn check_positions(&self, index: &Node<F>, size: usize, of: &dyn Display) -> Result<(), Fault> {
        let limit = size as f64;
        let fits = |x: F| {
            let x = x.to_f64();
            (x >= 0.0) & (x < limit) & (x == x.floor())
        };
        let elements = index.value.as_slice();
        if elements.iter().fold(true, |all, &x| all & fits(x)) {
            return Ok(());
        }
        let bad = elements.iter().copied().find(|&x| !fits(x)).unwrap_or(F::NAN);
        Err(self.operand(index, format!("expected integer positions below {size} of {of}, got {bad}")))
    }

    pub(crate) fn lookup(
        &self,
        pool: &Pool<F>,
        table: &Node<F>,
        index: &Node<F>,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let event = table.event();
        let [entries, _] = event[..] else {
            return Err(self.operand(table, "expected a table of event shape [entries, width]"));
        };
        self.check_positions(index, entries, &"a table")?;
        let mut plates = table.plates.clone();
        merge(&mut plates, &index.plates);
        let table = self.spread(table, &plates, 2);
        let index = self.spread(index, &plates, index.event().len());
        Ok((layout::lookup(pool, &table, &index, plates.len()), plates))
    }

    pub(crate) fn lookup_add(
        &self,
        pool: &Pool<F>,
        rows: &Node<F>,
        index: &Node<F>,
        removed: &Plates,
        entries: usize,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let (event, along) = (rows.event(), index.event());
        let Some((&width, lead)) = event.split_last().filter(|(_, lead)| **lead == along[..]) else {
            return Err(Fault::Broadcast { left: event, right: along, plates: self.words(&rows.plates) });
        };
        self.check_positions(index, entries, &"a table")?;
        let mut plates = rows.plates.clone();
        merge(&mut plates, &index.plates);
        let whole = self.full_shape(&plates, &event);
        let rows = self.spread(rows, &plates, lead.len() + 1);
        let rows = if *rows.shape() == whole { rows } else { reduce::expand(pool, &rows, &whole) };
        let index = self.spread(index, &plates, lead.len());
        let size = |plate| if removed.contains(plate) { 1 } else { self.plate_size(*plate) };
        let tables: Shape = plates.iter().map(size).chain([entries, width]).collect();
        let sums = layout::lookup_add(pool, &rows, &index, plates.len(), &tables);
        pool.recycle(rows);
        let kept: Plates = plates.into_iter().filter(|plate| !removed.contains(plate)).collect();
        let shape = self.full_shape(&kept, &[entries, width]);
        Ok((sums.with_shape(shape), kept))
    }
}

/// The adjoint of a table: the rows of the adjoint, added at their positions.
pub(crate) fn lookup_rule<'t, F: Real>(
    table: Var<'t, F>,
    index: Var<'t, F>,
    output: Var<'t, F>,
    g: Var<'t, F>,
) -> Var<'t, F> {
    let own = table.plates();
    let removed = output.plates().into_iter().filter(|plate| !own.contains(plate)).collect();
    g.apply_with(Op::LookupAdd { removed, entries: table.shape()[0] }, &[index])
}

/// The adjoint of rows that were added to a table.
pub(crate) fn lookup_add_rule<'t, F: Real>(rows: Var<'t, F>, index: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
    let mut plates = rows.plates();
    merge(&mut plates, &index.plates());
    unbroadcast(g.apply_with(Op::Lookup, &[index]), &plates, &rows.shape(), rows)
}

impl<'t, F: Real> Var<'t, F> {
    /// The rows of this table, of event shape `[entries, width]`, at the positions that `index` names: an embedding.
    /// The elements of `index` are integers in `0..entries`, such as categories. The event shape of the result is that
    /// of `index`, followed by `width`, on the plates of both operands.
    ///
    /// The derivative adds the rows of the adjoint to those of the table, in the order of the positions, and no one-hot
    /// vectors are built. No derivative flows to the positions.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let table = tape.parameter([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let rows = table.lookup(tape.constant([2.0, 0.0, 2.0]));
    /// assert_eq!(rows.peek()?.to_vec(), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    /// let [slope] = tape.backward(rows.sum(), [table])?;
    /// assert_eq!(slope.to_vec(), [1.0, 1.0, 0.0, 0.0, 2.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A table without two event axes, or a position that is not an integer in `0..entries`, is recorded as an error.
    #[track_caller]
    pub fn lookup(self, index: Self) -> Self {
        self.apply_with(Op::Lookup, &[index])
    }
}
