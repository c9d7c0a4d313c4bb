//! Pooling over windows of signals and images.

use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::pooling::Pooling;

/// Pooling over windows. Channels are the last event axis.
impl<'t, F: Real> Var<'t, F> {
    /// The largest elements of windows of images. Its derivative flows to the first of equal elements. Positions
    /// outside the image are left out.
    ///
    /// The last event axes of this value are [height, width, channels]; axes before them are kept. The result has the
    /// sizes of [`Pooling::output_size`].
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::pooling::Pooling;
    ///
    /// let tape = Tape::<f64>::new();
    /// let image = tape.constant([[[1.0], [4.0]], [[3.0], [2.0]]]);
    /// assert_eq!(image.max_pool2d(Pooling::new([2, 2])).peek().unwrap().as_slice(), &[4.0]);
    /// ```
    #[track_caller]
    pub fn max_pool2d(self, pooling: Pooling<2>) -> Self {
        self.apply(Op::MaxPool(pooling))
    }

    /// The largest elements of windows of signals: [`max_pool2d`](Self::max_pool2d) along one axis. The last event axes
    /// are [length, channels].
    #[track_caller]
    pub fn max_pool1d(self, pooling: Pooling<1>) -> Self {
        match self.signals_as_images("max_pool1d") {
            Ok(images) => images.max_pool2d(pooling.into()).as_signals(),
            Err(poisoned) => poisoned,
        }
    }

    /// The averages of windows of images. Positions outside the image count as zeros.
    ///
    /// The last event axes of this value are [height, width, channels]; axes before them are kept. The result has the
    /// sizes of [`Pooling::output_size`].
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::pooling::Pooling;
    ///
    /// let tape = Tape::<f64>::new();
    /// let image = tape.constant([[[1.0], [4.0]], [[3.0], [2.0]]]);
    /// assert_eq!(image.avg_pool2d(Pooling::new([2, 2])).peek().unwrap().as_slice(), &[2.5]);
    /// ```
    #[track_caller]
    pub fn avg_pool2d(self, pooling: Pooling<2>) -> Self {
        self.apply(Op::SumPool(pooling)) * (1.0 / pooling.positions().max(1) as f64)
    }

    /// The averages of windows of signals: [`avg_pool2d`](Self::avg_pool2d) along one axis. The last event axes are
    /// [length, channels].
    #[track_caller]
    pub fn avg_pool1d(self, pooling: Pooling<1>) -> Self {
        match self.signals_as_images("avg_pool1d") {
            Ok(images) => images.avg_pool2d(pooling.into()).as_signals(),
            Err(poisoned) => poisoned,
        }
    }
}
