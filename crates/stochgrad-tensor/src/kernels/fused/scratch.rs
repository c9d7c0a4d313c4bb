//! The registers of a thread that executes chains.

use crate::kernels::fold::BLOCK;
use crate::real::Real;
use crate::storage::buffer::Buffer;

/// The registers of one thread, kept between runs.
#[derive(Debug, Default)]
pub struct Scratch<F> {
    pub(super) registers: Vec<Buffer<F>>,
    /// Takes the result of a step that reads the register which it writes, and becomes this register.
    pub(super) spare: Buffer<F>,
    /// The value of all elements of each register, where they are known to be equal. The buffer is not filled then.
    pub(super) register_values: Vec<Option<F>>,
    /// As `register_values`, for the results. Their buffers are filled all the same.
    pub(super) output_values: Vec<Option<F>>,
    /// The latest row of equal elements of each reduction.
    pub(super) uniform_rows: Vec<Option<UniformRow<F>>>,
    /// The positions in the operands at which the elements of a block begin.
    pub(super) starts: Vec<usize>,
}

/// A row of equal elements, and its reduction.
#[derive(Clone, Copy, Debug)]
pub(super) struct UniformRow<F> {
    pub(super) value: F,
    pub(super) len: usize,
    pub(super) result: F,
}

impl<F: Real> Scratch<F> {
    /// No registers yet.
    pub fn new() -> Self {
        Scratch {
            registers: Vec::new(),
            spare: Buffer::default(),
            register_values: Vec::new(),
            output_values: Vec::new(),
            uniform_rows: Vec::new(),
            starts: Vec::new(),
        }
    }

    pub(super) fn reserve(&mut self, operands: usize, registers: usize, outputs: usize, reductions: usize) {
        self.starts.resize(operands, 0);
        self.register_values.clear();
        self.register_values.resize(registers, None);
        self.output_values.clear();
        self.output_values.resize(outputs, None);
        self.uniform_rows.clear();
        self.uniform_rows.resize(reductions, None);
        if self.spare.is_empty() {
            self.spare = Buffer::full(BLOCK, F::ZERO);
        }
        while self.registers.len() < registers {
            self.registers.push(Buffer::full(BLOCK, F::ZERO));
        }
    }
}
