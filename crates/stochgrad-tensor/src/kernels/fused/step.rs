//! The steps of a chain, and their operands.

use smallvec::SmallVec;

use crate::kernels::map::Map;
use crate::kernels::pair::{First, Second};
use crate::kernels::reduce::Reduce;
use crate::kernels::zip::Zip;
use crate::random::Fill;

/// An operand of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source<F> {
    /// A register that an earlier step has written.
    Register(u16),
    /// An operand of the chain.
    Input(u16),
    /// A result that an earlier step has written.
    Output(u16),
    /// A constant.
    Number(F),
}

/// The destination of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A register, for later steps.
    Register(u16),
    /// A result of the chain.
    Output(u16),
}

/// Buffers that a chain writes.
pub type Slices<'a, F> = SmallVec<[&'a mut [F]; 48]>;

/// All buffers that a run of a chain writes.
#[derive(Debug)]
pub struct Results<'a, F> {
    /// The results of steps; each has the number of elements of the chain.
    pub outputs: Slices<'a, F>,
    /// The results of the reductions, in their order; each has [`Chain::rows`](super::Chain::rows) elements.
    pub reduced: Slices<'a, F>,
    /// One buffer of [`Chain::partials`](super::Chain::partials) elements for each reduction; none if that is 0.
    pub partials: Slices<'a, F>,
}

impl<F> Results<'_, F> {
    /// No buffers yet.
    #[inline]
    pub fn new() -> Self {
        Results { outputs: Slices::new(), reduced: Slices::new(), partials: Slices::new() }
    }
}

impl<F> Default for Results<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}

/// One element-wise function.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<F> {
    /// A function of one operand.
    Map {
        /// The function.
        op: Map,
        /// The operand.
        x: Source<F>,
        /// The result.
        to: Place,
    },
    /// A function of two operands.
    Zip {
        /// The function.
        op: Zip,
        /// The first operand.
        a: Source<F>,
        /// The second operand.
        b: Source<F>,
        /// The result.
        to: Place,
    },
    /// Two arithmetic functions in one pass.
    Pair {
        /// The function of the first two operands.
        first: First,
        /// The function of its result and the third operand.
        second: Second,
        /// The first operand.
        a: Source<F>,
        /// The second operand.
        b: Source<F>,
        /// The third operand.
        c: Source<F>,
        /// The result.
        to: Place,
    },
    /// Selects the second operand where the first is not 0, and the third elsewhere.
    Select {
        /// The condition.
        condition: Source<F>,
        /// The value where the condition is not 0.
        yes: Source<F>,
        /// The value where the condition is 0.
        no: Source<F>,
        /// The result. It may replace one of the two values.
        to: Place,
    },
    /// Noise from one of the keys of the run: element `i` of the chain is element `start + i` of the key.
    Noise {
        /// The distribution of the noise.
        fill: Fill,
        /// The index of the key.
        key: u16,
        /// The first element of the key that is used.
        start: u64,
        /// The result.
        to: Place,
    },
}

/// A reduction of the rows of the result of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowReduction<F> {
    /// The operation.
    pub op: Reduce,
    /// The operand.
    pub of: Source<F>,
}
