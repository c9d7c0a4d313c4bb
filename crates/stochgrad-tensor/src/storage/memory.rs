//! The one place that decides whether a tensor of a shape can exist: how many elements and bytes it has, and how many
//! the machine has.

use std::sync::OnceLock;

use crate::error::{TensorError, TensorResult};
use crate::real::Real;
use crate::storage::shape::Shape;

/// The number of bytes that the machine is taken to have if it does not say: 64 GiB.
pub const ASSUMED_MEMORY: usize = (1_u64 << 36) as usize;

/// Up to this number of bytes, the memory of the machine is not looked up.
const SMALL: usize = 1 << 26;

/// The memory of the machine in bytes, or the limit of the control group of this process, if that is lower. It is read
/// once from `/proc/meminfo` and `/sys/fs/cgroup`. Where neither can be read, it is [`ASSUMED_MEMORY`].
///
/// ```
/// assert!(stochgrad_tensor::machine_memory() > 1 << 20);
/// ```
pub fn machine_memory() -> usize {
    static MEMORY: OnceLock<usize> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let machine = read("/proc/meminfo").and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
        });
        let number = |path: &str| read(path)?.trim().parse::<usize>().ok();
        let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let group = groups.into_iter().find_map(number);
        match (machine, group) {
            (Some(machine), group) => machine.min(group.unwrap_or(usize::MAX)),
            // Without a limit, a control group reports a number near the largest one.
            (None, Some(group)) => group.min(ASSUMED_MEMORY),
            (None, None) => ASSUMED_MEMORY,
        }
    })
}

impl Shape {
    /// The number of elements; `None` if the sizes that are not 0 have a product that no tensor can have. A shape with
    /// such sizes is refused even if another size is 0: the sizes of its parts could not be computed.
    ///
    /// ```
    /// use stochgrad_tensor::Shape;
    ///
    /// assert_eq!(Shape::from([2, 3]).checked_numel(), Some(6));
    /// assert_eq!(Shape::from([2, 0]).checked_numel(), Some(0));
    /// assert_eq!(Shape::from([usize::MAX, 3]).checked_numel(), None);
    /// assert_eq!(Shape::from([usize::MAX, 3, 0]).checked_numel(), None);
    /// ```
    pub fn checked_numel(&self) -> Option<usize> {
        // A vector cannot have more bytes, and an element has at least one.
        const MOST: usize = isize::MAX as usize / size_of::<f64>();
        let stretch = self.iter().try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)))?;
        (stretch <= MOST).then(|| self.numel())
    }

    /// The number of elements, if a tensor of them takes at most `limit` bytes. Check a shape that depends on a number
    /// from outside before a tensor is made: the constructors of [`Tensor`](crate::Tensor) panic where this is an
    /// error.
    ///
    /// ```
    /// use stochgrad_tensor::{Shape, machine_memory};
    ///
    /// assert_eq!(Shape::from([2, 3]).check_memory::<f32>(24), Ok(6));
    /// assert!(Shape::from([2, 3]).check_memory::<f64>(24).is_err());
    /// assert!(Shape::from([usize::MAX]).check_memory::<f64>(machine_memory()).is_err());
    /// ```
    ///
    /// # Errors
    /// [`TensorError::TooLarge`] with the shape and the number of bytes.
    pub fn check_memory<F: Real>(&self, limit: usize) -> TensorResult<usize> {
        let elements = self.checked_numel().unwrap_or(usize::MAX);
        let bytes = elements.saturating_mul(size_of::<F>());
        if bytes <= limit && elements < usize::MAX {
            Ok(elements)
        } else {
            Err(TensorError::TooLarge { shape: self.clone(), bytes, limit })
        }
    }
}

/// The number of elements of a tensor that is about to be allocated.
///
/// # Panics
/// If it does not fit into the memory of the machine.
#[inline]
pub(crate) fn allocated<F: Real>(shape: &Shape) -> usize {
    let elements = shape.numel();
    if elements != 0 && elements <= SMALL / size_of::<F>() {
        return elements;
    }
    checked::<F>(shape)
}

#[cold]
fn checked<F: Real>(shape: &Shape) -> usize {
    shape.check_memory::<F>(machine_memory()).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::layout::one_hot;
    use crate::storage::pool::Pool;
    use crate::storage::tensor::Tensor;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const HUGE: [&[usize]; 8] = [
        &[usize::MAX],
        &[usize::MAX, 3, 0],
        &[0, usize::MAX, 3],
        &[1 << 32, 1 << 32],
        &[1 << 32, 0, 1 << 32],
        &[1 << 45],
        &[1 << 60],
        &[isize::MAX as usize, 1],
    ];

    /// The message of a panic.
    fn message<R>(run: impl FnOnce() -> R) -> String {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(_) => "no panic".into(),
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn shapes_beyond_the_memory_are_errors_with_shape_and_bytes() {
        for sizes in HUGE {
            let error = Shape::from(sizes).check_memory::<f32>(machine_memory()).unwrap_err().to_string();
            assert!(error.contains(&Shape::from(sizes).to_string()) && error.contains("bytes"), "{error}");
        }
        assert_eq!(
            Shape::from([3, 5]).check_memory::<f64>(100).unwrap_err().to_string(),
            "expected a tensor of at most 100 bytes, got shape [3, 5], which takes 120 bytes; use smaller sizes"
        );
    }

    #[test]
    fn constructors_say_which_shape_does_not_fit() {
        let pool = Pool::<f64>::new();
        pool.recycle(Tensor::zeros([0]));
        for sizes in HUGE {
            let shape = Shape::from(sizes);
            let named = format!("got shape {shape}");
            for found in [
                message(|| Tensor::<f64>::zeros(shape.clone())),
                message(|| Tensor::<f32>::from_fn(shape.clone(), |_| 1.0)),
                message(|| pool.take(shape.clone())),
                message(|| pool.full(shape.clone(), 1.0)),
            ] {
                assert!(found.contains(&named), "{shape}: {found}");
            }
        }
        assert!(message(|| Tensor::<f64>::eye(1 << 32)).contains("4294967296, 4294967296"));
        assert!(message(|| one_hot(&pool, &Tensor::from([0.0]), usize::MAX)).contains("[1, 18446744073709551615]"));
        assert!(Tensor::<f64>::new(vec![], [usize::MAX, 3, 0]).is_err());
        assert!(Tensor::<f64>::zeros([0]).reshape([usize::MAX, 3, 0]).is_err());
    }

    #[test]
    fn rows_of_different_lengths_need_no_memory() {
        let mut rows = vec![vec![0.0_f32]; 100_000];
        rows[0] = vec![0.0; 100_000];
        assert!(matches!(Tensor::from_rows(&rows), Err(TensorError::Ragged { row: 1, .. })));
    }

    #[test]
    fn strides_of_shapes_without_elements_do_not_overflow() {
        let shape = Shape::from([0, usize::MAX, 3]);
        assert_eq!(shape.strides()[2], 1);
        assert_eq!(shape.around(0).0, 1);
        assert_eq!(shape.around(0).2, usize::MAX);
    }
}
