//! All pairs of samples along a plate, and a Gaussian kernel of them.

use crate::scores::kernel_width::KernelWidth;
use std::panic::Location;
use stochgrad_graph::{GraphError, GraphResult};
use stochgrad_tape::{Plate, TapeError, Var};
use stochgrad_tensor::{Real, Shape};

/// Samples as the rows of a matrix, with the kernel of all pairs. No gradient flows through them.
pub(crate) struct Pairs<'t, F: Real> {
    plate: Plate,
    /// The event shape of one sample.
    shape: Shape,
    /// One row for each sample.
    pub(crate) rows: Var<'t, F>,
    /// The kernel of each pair, `[samples, samples]`.
    pub(crate) kernel: Var<'t, F>,
    /// The square of the width.
    pub(crate) width: Var<'t, F>,
    /// For each sample, the sum over all samples of the slope of the kernel with respect to the other one, times the
    /// square of the width: $\sum_m k(x, x_m)\, (x - x_m)$.
    pub(crate) slopes: Var<'t, F>,
}

impl<'t, F: Real> Pairs<'t, F> {
    /// The pairs of the samples along a plate.
    ///
    /// # Errors
    /// For samples that lack the plate, fewer than two of them, a width that is not positive, and earlier errors.
    pub(crate) fn new(
        what: &'static str,
        samples: Var<'t, F>,
        plate: Plate,
        width: KernelWidth,
        at: &'static Location<'static>,
    ) -> GraphResult<Self> {
        let tape = samples.tape();
        tape.check()?;
        let error = |problem: String| Err(failed(what, problem, at));
        if !samples.plates().contains(&plate) {
            return error(format!(
                "expected samples along plate \"{}\", got a value without it; draw them with .on_plate(plate)",
                tape.plate_name(plate)
            ));
        }
        let count = tape.plate_size(plate);
        if count < 2 {
            return error(format!("expected at least 2 samples, got {count}"));
        }
        if let Some(problem) = width.problem() {
            return error(problem);
        }
        let shape = samples.shape();
        let rows = samples.held().reshape([shape.numel()]).plate_to_event(plate);
        // Distances do not depend on the origin, and lose few digits near it.
        let centred = rows - rows.mean_axis(0).unsqueeze(0);
        let norms = centred.square().sum_axis(-1);
        let products = centred.matmul(centred.transpose());
        let sums = norms.unsqueeze(1) + norms.unsqueeze(0);
        let squares = sums - products * 2.0;
        // Distances of samples that agree are rounding errors.
        let squares = squares.gt(sums * (8.0 * F::EPSILON.to_f64())).select(squares, tape.constant(0.0));
        let width = width.square(squares);
        let kernel = (squares / width * -0.5).exp();
        let slopes = centred * kernel.sum_axis(-1).unsqueeze(1) - kernel.matmul(centred);
        Ok(Pairs { plate, shape, rows, kernel, width, slopes })
    }

    /// Rows as values of the shape of the samples, along their plate. No gradient flows through them.
    pub(crate) fn values(&self, rows: Var<'t, F>) -> Var<'t, F> {
        rows.event_to_plate(self.plate).reshape(self.shape.clone()).held()
    }

    /// The kernel of points with all samples, `[samples]` for each point.
    ///
    /// # Errors
    /// If the points do not have the shape of the samples.
    pub(crate) fn kernel_at(
        &self,
        what: &'static str,
        points: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        let found = points.shape();
        if found != self.shape {
            let problem = format!("expected points of the shape {} of the samples, got {found}", self.shape);
            return Err(failed(what, problem, at));
        }
        let squares = (points.held().reshape([1, self.shape.numel()]) - self.rows).square().sum_axis(-1);
        Ok((squares / self.width * -0.5).exp())
    }

    /// A row for a point as a value of the shape of the samples.
    pub(crate) fn value(&self, row: Var<'t, F>) -> Var<'t, F> {
        row.reshape(self.shape.clone()).held()
    }
}

/// An error of an estimate of a score.
pub(crate) fn failed(what: &'static str, problem: String, at: &'static Location<'static>) -> GraphError {
    TapeError::Other { message: format!("{what}: {problem}"), at }.into()
}
