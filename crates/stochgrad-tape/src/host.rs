//! Values that host code supplies, such as an annealed temperature, a running mean, or a learned coefficient.
//!
//! A constant keeps the value that it was recorded with. A host value is read when it is recorded, and again at each
//! run of a [`Program`](crate::Program), so a program can depend on values that change from step to step.

use crate::host_source::HostSource;
use crate::id::Inputs;
use crate::op::Op;
use crate::tape::Tape;
use crate::var::Var;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Real, Shape};

impl<F: Real> Tape<F> {
    /// A scalar that `read` supplies, now and again at each run of a program. No gradient flows to it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let step = Arc::new(AtomicU64::new(1));
    /// let tape = Tape::<f64>::new();
    /// let counter = step.clone();
    /// let rate = tape.host_value(move || 1.0 / counter.load(Ordering::Relaxed) as f64) * 8.0;
    /// let mut program = tape.compile(&[], &[rate])?;
    /// step.store(4, Ordering::Relaxed);
    /// program.run(Default::default())?;
    /// assert_eq!(program.output(0).as_slice(), &[2.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn host_value(&self, read: impl Fn() -> f64 + Send + Sync + 'static) -> Var<'_, F> {
        self.host_values(Shape::scalar(), move |write| write(0, read()))
    }

    /// A tensor that `read` supplies, now and again at each run of a program. `read` calls its argument with the flat
    /// position and the value of each element. No gradient flows to it.
    #[track_caller]
    pub fn host_values(
        &self,
        shape: impl Into<Shape>,
        read: impl Fn(&mut dyn FnMut(usize, f64)) + Send + Sync + 'static,
    ) -> Var<'_, F> {
        let source = HostSource { shape: shape.into(), read: Arc::new(read) };
        let number = {
            let mut inner = self.inner.borrow_mut();
            inner.hosts.push(source);
            inner.hosts.len() as u32 - 1
        };
        Var { tape: self, id: self.apply(Op::Host(number), &Inputs::new(), Location::caller()) }
    }
}
