//! Leaves of the tape: parameters and constants.

use crate::error::TapeError;
use crate::id::{Id, Inputs};
use crate::op::Op;
use crate::plate::{Plate, Plates, merge};
use crate::tape::{IntoTensor, Tape};
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor, instantiated};

impl<F: Real> Tape<F> {
    /// A trainable leaf.
    #[track_caller]
    pub fn parameter(&self, value: impl IntoTensor<F>) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        self.leaf(value, pooled, Plates::new(), true)
    }

    /// A leaf without a gradient.
    #[track_caller]
    pub fn constant(&self, value: impl IntoTensor<F>) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        self.leaf(value, pooled, Plates::new(), false)
    }

    /// A constant whose leading axes are the given plates, in the order in which the plates were created.
    #[track_caller]
    pub fn constant_on(&self, plates: &[Plate], value: impl IntoTensor<F>) -> Var<'_, F> {
        self.leaf_on(plates, value, false)
    }

    /// A trainable leaf whose leading axes are the given plates, with one value for each member.
    #[track_caller]
    pub fn parameter_on(&self, plates: &[Plate], value: impl IntoTensor<F>) -> Var<'_, F> {
        self.leaf_on(plates, value, true)
    }

    #[track_caller]
    fn leaf_on(&self, plates: &[Plate], value: impl IntoTensor<F>, trainable: bool) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        let id = instantiated!(
            F: fn(&Tape<F>, &[Plate], Tensor<F>, [bool; 2], &'static Location<'static>) -> Id = Tape::leaf_on_body
        )(self, plates, value, [pooled, trainable], Location::caller());
        Var { tape: self, id }
    }

    fn leaf_on_body(
        &self,
        plates: &[Plate],
        value: Tensor<F>,
        [pooled, trainable]: [bool; 2],
        at: &'static Location<'static>,
    ) -> Id {
        let mut sorted = Plates::new();
        merge(&mut sorted, plates);
        if let Err(error) = self.own_plates(plates, at) {
            return self.fail(error).id;
        }
        let sizes: Shape = plates.iter().map(|&plate| self.plate_size(plate)).collect();
        if sorted.as_slice() != plates || value.shape().len() < sizes.len() || value.shape()[..sizes.len()] != sizes[..]
        {
            let error = TapeError::Operand {
                op: if trainable { "parameter_on" } else { "constant_on" }.into(),
                problem: format!("expected leading axes {sizes} for the plates {}", self.plate_names(plates)),
                shape: value.shape().clone(),
                plates: String::new(),
                at,
            };
            return self.fail(error).id;
        }
        self.leaf_body(value, sorted, [pooled, trainable], at)
    }

    #[track_caller]
    fn leaf(&self, value: Tensor<F>, pooled: bool, plates: Plates, trainable: bool) -> Var<'_, F> {
        let id = instantiated!(
            F: fn(&Tape<F>, Tensor<F>, Plates, [bool; 2], &'static Location<'static>) -> Id = Tape::leaf_body
        )(self, value, plates, [pooled, trainable], Location::caller());
        Var { tape: self, id }
    }

    fn leaf_body(
        &self,
        value: Tensor<F>,
        plates: Plates,
        [pooled, trainable]: [bool; 2],
        at: &'static Location<'static>,
    ) -> Id {
        self.push(Op::Leaf { trainable }, Inputs::new(), value, pooled, plates, at)
    }

    /// A constant whose element at flat (row-major) position `i` is `element(i)`. Unlike a constant that is made of a
    /// tensor, it is subject to the [memory limit](Tape::set_memory_limit): use it where a number from outside decides
    /// the shape.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// assert_eq!(tape.constant_from_fn([3], |i| i as f64).peek()?.as_slice(), &[0.0, 1.0, 2.0]);
    /// assert!(tape.constant_from_fn([1 << 40, 1 << 40], |_| 0.0).peek().is_err());
    /// # Ok::<(), stochgrad_tape::TapeError>(())
    /// ```
    #[track_caller]
    pub fn constant_from_fn(&self, shape: impl Into<Shape>, element: impl FnMut(usize) -> F) -> Var<'_, F> {
        let shape = shape.into();
        let elements = shape.checked_numel().unwrap_or(usize::MAX);
        match self.check_memory(&format!("a constant of shape {shape}"), &[], elements) {
            Ok(()) => self.constant(Tensor::from_fn(shape, element)),
            Err(error) => self.fail(error),
        }
    }

    /// A constant with the same value everywhere, in a buffer of the pool.
    #[track_caller]
    pub(crate) fn filled(&self, shape: Shape, number: F) -> Var<'_, F> {
        self.leaf(self.pool.full(shape, number), true, Plates::new(), false)
    }
}
