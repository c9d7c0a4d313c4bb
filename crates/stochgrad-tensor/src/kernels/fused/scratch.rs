//! The registers of a thread that executes chains.

use crate::kernels::fold::BLOCK;
use crate::real::Real;
use crate::storage::buffer::Buffer;

/// The registers of one thread, kept between runs.
#[derive(Debug, Default)]
pub struct Scratch<F> {
    pub(super) registers: Vec<Buffer<F>>,
    /// The positions in the operands at which the elements of a block begin.
    pub(super) starts: Vec<usize>,
}

impl<F: Real> Scratch<F> {
    /// No registers yet.
    pub fn new() -> Self {
        Scratch { registers: Vec::new(), starts: Vec::new() }
    }

    pub(super) fn reserve(&mut self, operands: usize, registers: usize) {
        self.starts.resize(operands, 0);
        while self.registers.len() < registers {
            self.registers.push(Buffer::full(BLOCK, F::ZERO));
        }
    }
}
