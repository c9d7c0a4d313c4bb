//! Products of matrices in a replay that changes one element of a value at a time.
//!
//! A layer computes x W. If only the element i of x differs, then
//!
//! $$x' W = x W + (x'_i - x_i) W_i,$$
//!
//! where W_i is the row i of W. The product x W is that of the recording, so that each alternative costs one row
//! instead of a whole product. Functions of single elements and changes of shape between the value and the product keep
//! the other elements as they are.

use std::collections::HashMap;
use stochgrad_tape::{Id, IdMap, Op, Plate, Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// From this number of elements on, several rows for each alternative are cheaper than a product.
const MANY: usize = 16;

/// A value whose elements are changed one at a time, along the members of a plate: alternative by alternative, and then
/// element by element. An element may consist of several numbers that are consecutive in row-major order.
#[derive(Clone, Copy)]
pub(crate) struct ElementChanges {
    pub(crate) plate: Plate,
    pub(crate) alternatives: usize,
    pub(crate) elements: usize,
    pub(crate) width: usize,
}

/// The values of a replay that differ from the recording in a single element for each member of the plate.
pub(crate) struct ElementProducts<'t, F: Real> {
    changes: ElementChanges,
    values: HashMap<Id, Changed<'t, F>>,
}

/// A recorded value, and the element that is changed, before and after.
#[derive(Clone, Copy)]
struct Changed<'t, F: Real> {
    /// The value without a change.
    whole: Var<'t, F>,
    before: Var<'t, F>,
    after: Var<'t, F>,
}

impl<'t, F: Real> ElementProducts<'t, F> {
    /// `value` is the recorded value, and `stacked` the alternatives of all elements along a new first event axis.
    pub(crate) fn new(value: Var<'t, F>, stacked: Var<'t, F>, changes: ElementChanges) -> Self {
        let ElementChanges { plate, alternatives, elements, width } = changes;
        let whole = value.stop_gradient();
        let each = Shape::from([alternatives, elements, width]);
        let along = |all: Var<'t, F>| all.reshape([alternatives * elements, width]).event_to_plate(plate);
        let before = along(whole.reshape([1, elements, width]).broadcast_to(each));
        let values = HashMap::from([(value.id(), Changed { whole, before, after: along(stacked) })]);
        ElementProducts { changes, values }
    }

    /// Follows an operation whose operands are replaced by the map. If it is a product with a matrix that is not
    /// replaced, returns the new product.
    pub(crate) fn follow(&mut self, var: Var<'t, F>, ids: &IdMap) -> Option<Var<'t, F>> {
        let inputs = var.inputs();
        let changed = *self.values.get(&inputs.first()?.id())?;
        let tape = var.tape();
        let again = |operand: Var<'t, F>| {
            let mut map = IdMap::identity();
            map.insert(inputs[0].id(), operand.id());
            tape.rerecord(var, &map)
        };
        match var.op()? {
            Op::Reshape(_) | Op::Detach(_) => {
                self.values.insert(var.id(), Changed { whole: again(changed.whole), ..changed });
                None
            }
            Op::Map(_) => {
                let Changed { whole, before, after } = changed;
                let values = Changed { whole: again(whole), before: again(before), after: again(after) };
                self.values.insert(var.id(), values);
                None
            }
            Op::Matmul { transpose_left: false, transpose_right } => {
                let ElementChanges { elements, width, .. } = self.changes;
                let matrix = inputs[1];
                let vector = inputs[0].shape()[..] == [elements * width];
                let fits = vector && matrix.plates().is_empty() && matrix.shape().len() == 2;
                let pays = width == 1 || elements >= MANY;
                if !fits || !pays || ids.changes(matrix.id()) {
                    return None;
                }
                let product = again(changed.whole);
                let recorded = || product + self.change(tape, changed, matrix, transpose_right);
                Some(var.location().map_or_else(recorded, |at| tape.located(at, recorded)))
            }
            _ => None,
        }
    }

    /// The change of a product: that of the element, times its rows of the matrix.
    fn change(&self, tape: &'t Tape<F>, changed: Changed<'t, F>, matrix: Var<'t, F>, transposed: bool) -> Var<'t, F> {
        let ElementChanges { plate, alternatives, elements, width } = self.changes;
        let rows = if transposed { matrix.transpose() } else { matrix };
        let columns = rows.shape()[1];
        let rows = rows.reshape([1, elements, width, columns]);
        let rows = rows.broadcast_to([alternatives, elements, width, columns]);
        let rows = rows.reshape([alternatives * elements, width, columns]).event_to_plate(plate);
        let difference = changed.after - changed.before;
        let row = |i| difference.slice(0, i..i + 1) * rows.index(0, i);
        (1..width).fold(if width > 0 { row(0) } else { tape.constant(0.0) }, |sum, i| sum + row(i))
    }
}
