//! A pool of buffers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::real::Real;
use crate::storage::buffer::Buffer;
use crate::storage::memory::allocated;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// Recycles tensor buffers, and determines how many threads the kernels may use.
///
/// Buffers are kept by exact length, together with their reference counts. A loop with fixed shapes therefore allocates
/// nothing after its first pass. A pool belongs to one thread (it is not `Sync`).
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let pool = Pool::<f64>::new();
/// pool.recycle(Tensor::zeros([2, 3]));
/// let again = pool.take([6].into());
/// assert_eq!(again.len(), 6);
/// assert_eq!(pool.statistics().reused, 1);
/// ```
#[derive(Debug)]
pub struct Pool<F: Real> {
    threads: usize,
    buffers: RefCell<Buckets<F>>,
    taken: Cell<u64>,
    reused: Cell<u64>,
    held: Cell<usize>,
}

type Buckets<F> = HashMap<usize, Vec<Arc<Buffer<F>>>, BuildHasherDefault<LengthHasher>>;

/// Counts of the requests to a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// The number of buffers that were requested.
    pub taken: u64,
    /// The number of those that were reused instead of allocated.
    pub reused: u64,
    /// The number of bytes in the pool at present.
    pub held_bytes: usize,
}

impl<F: Real> Pool<F> {
    /// The largest number of threads.
    pub const MOST_THREADS: usize = 1024;

    /// A pool whose kernels run on one thread.
    pub fn new() -> Self {
        Self::with_threads(1)
    }

    /// A pool whose kernels may use up to `threads` threads of rayon's current pool for large work; 0 counts as 1, and
    /// more than [`MOST_THREADS`](Self::MOST_THREADS) as that number. Results do not depend on the number of threads.
    pub fn with_threads(threads: usize) -> Self {
        Self {
            threads: threads.clamp(1, Self::MOST_THREADS),
            buffers: RefCell::default(),
            taken: Cell::new(0),
            reused: Cell::new(0),
            held: Cell::new(0),
        }
    }

    /// The number of threads that a kernel may use.
    #[inline]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Keeps the buffer of a tensor for reuse, unless another tensor shares it.
    pub fn recycle(&self, tensor: Tensor<F>) {
        let mut buffer = tensor.into_buffer();
        if Arc::get_mut(&mut buffer).is_some() {
            self.held.set(self.held.get() + buffer.len() * size_of::<F>());
            self.buffers.borrow_mut().entry(buffer.len()).or_default().push(buffer);
        }
    }

    /// A tensor of this shape that does not share its buffer. Its elements have unspecified values.
    ///
    /// # Panics
    /// As [`Tensor::full`].
    pub fn take(&self, shape: Shape) -> Tensor<F> {
        let length = allocated::<F>(&shape);
        self.taken.set(self.taken.get() + 1);
        let kept = self.buffers.borrow_mut().get_mut(&length).and_then(Vec::pop);
        let buffer = match kept {
            Some(buffer) => {
                self.reused.set(self.reused.get() + 1);
                self.held.set(self.held.get() - length * size_of::<F>());
                buffer
            }
            None => Arc::new(Buffer::full(length, F::ZERO)),
        };
        Tensor::from_parts(shape, buffer)
    }

    /// A tensor whose elements all have the same value.
    pub fn full(&self, shape: Shape, value: F) -> Tensor<F> {
        let mut tensor = self.take(shape);
        tensor.make_mut().fill(value);
        tensor
    }

    /// Returns all kept buffers to the allocator.
    pub fn clear(&self) {
        self.buffers.borrow_mut().clear();
        self.held.set(0);
    }

    /// Counts of the requests so far.
    pub fn statistics(&self) -> PoolStatistics {
        PoolStatistics { taken: self.taken.get(), reused: self.reused.get(), held_bytes: self.held.get() }
    }
}

impl<F: Real> Default for Pool<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// A fast hash for a small number of trusted lengths: one multiplication spreads them well enough.
#[derive(Default)]
struct LengthHasher(u64);

impl Hasher for LengthHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.0 = (self.0 ^ value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_for_the_same_length() {
        let pool = Pool::<f32>::new();
        let first = pool.take([4, 2].into());
        let address = first.as_slice().as_ptr();
        pool.recycle(first);
        assert_eq!(pool.statistics().held_bytes, 32);
        let other = pool.take([7].into());
        assert_ne!(other.as_slice().as_ptr(), address);
        let second = pool.take([8].into());
        assert_eq!(second.as_slice().as_ptr(), address);
        assert_eq!(pool.statistics(), PoolStatistics { taken: 3, reused: 1, held_bytes: 0 });
    }

    #[test]
    fn a_shared_buffer_is_not_kept() {
        let pool = Pool::<f64>::new();
        let tensor = Tensor::ones([3]);
        pool.recycle(tensor.clone());
        assert_eq!(pool.statistics().held_bytes, 0);
        pool.take([3].into()).make_mut().fill(0.0);
        assert_eq!(tensor, Tensor::ones([3]));
    }

    #[test]
    fn clearing_returns_all_buffers() {
        let pool = Pool::<f64>::with_threads(0);
        assert_eq!(pool.threads(), 1);
        assert_eq!(Pool::<f64>::with_threads(usize::MAX).threads(), Pool::<f64>::MOST_THREADS);
        pool.recycle(Tensor::zeros([100]));
        pool.clear();
        assert_eq!(pool.statistics().held_bytes, 0);
        pool.take([100].into());
        assert_eq!(pool.statistics().reused, 0);
    }
}
