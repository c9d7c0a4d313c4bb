//! Central differences, extrapolated to step 0 (Ridders 1982, Advances in Engineering Software 4).

use crate::error::CheckResult;

/// The number of steps that the extrapolation uses.
const LEVELS: usize = 7;

/// How often the first step may be halved where the function is not finite around the point.
const RETREATS: usize = 12;

/// The derivative at 0 of a vector function of one variable, by central differences extrapolated to step 0. Each
/// component is taken from the entry of the tableau that agrees best with its neighbours.
pub(crate) fn derivative_at_zero(
    first_step: f64,
    mut function: impl FnMut(f64) -> CheckResult<Vec<f64>>,
) -> CheckResult<Vec<f64>> {
    let mut step = first_step;
    let mut central = |step: f64| -> CheckResult<Vec<f64>> {
        let (up, down) = (function(step)?, function(-step)?);
        Ok(up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * step)).collect())
    };
    let mut coarse = central(step)?;
    for _ in 0..RETREATS {
        if coarse.iter().all(|difference| difference.is_finite()) {
            break;
        }
        step *= 0.5;
        coarse = central(step)?;
    }
    let mut best = coarse.clone();
    let mut error = vec![f64::INFINITY; best.len()];
    let mut row = vec![coarse];
    for _ in 1..LEVELS {
        step *= 0.5;
        let mut next = vec![central(step)?];
        let mut factor = 4.0;
        for level in 0..row.len() {
            let (fine, rough) = (&next[level], &row[level]);
            let refined: Vec<f64> =
                fine.iter().zip(rough).map(|(fine, rough)| fine + (fine - rough) / (factor - 1.0)).collect();
            for (i, &value) in refined.iter().enumerate() {
                let distance = (value - fine[i]).abs().max((value - rough[i]).abs());
                if distance < error[i] {
                    error[i] = distance;
                    best[i] = value;
                }
            }
            next.push(refined);
            factor *= 4.0;
        }
        row = next;
    }
    Ok(best)
}
