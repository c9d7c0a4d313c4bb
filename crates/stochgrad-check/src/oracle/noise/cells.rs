//! The cells of an inversion: the parts of an interval of a uniform that have one state each.

use stochgrad_distributions::quantile;

/// Narrower cells are rounding errors of a distribution function near 1, and are joined to their neighbour.
const SLIVER: f64 = f64::EPSILON;

/// The largest number of states that an inversion may have.
const MAX_STATES: u64 = 1 << 20;

/// The part of an interval of the uniform on which inversion gives a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) state: u64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Splits an interval at the values of a distribution function.
pub(crate) fn cells(low: f64, high: f64, cdf: &dyn Fn(u64) -> f64) -> Result<Vec<Cell>, String> {
    let first = quantile(low, cdf);
    let mut cells: Vec<Cell> = Vec::new();
    let mut start = low;
    for state in first..first + MAX_STATES {
        let end = cdf(state);
        if end.is_nan() {
            return Err(format!("a distribution function is NaN at {state}; check the parameters of the distribution"));
        }
        let end = end.min(high);
        if end - start > SLIVER {
            cells.push(Cell { state, low: start, high: end });
            start = end;
        }
        if high - end <= SLIVER {
            if let Some(last) = cells.last_mut() {
                last.high = high;
            } else {
                cells.push(Cell { state: quantile(0.5 * (low + high), cdf), low, high });
            }
            return Ok(cells);
        }
    }
    Err(format!(
        "expected a distribution function to reach {high} within {MAX_STATES} states, got {start}: too many outcomes \
         to enumerate; use the statistical test"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_probability_zero_have_no_outcome() {
        let found = cells(0.0, 1.0, &|k| [0.0, 0.25, 0.25, 1.0][k.min(3) as usize]).expect("cells");
        assert_eq!(found, [Cell { state: 1, low: 0.0, high: 0.25 }, Cell { state: 3, low: 0.25, high: 1.0 }]);
    }
}
