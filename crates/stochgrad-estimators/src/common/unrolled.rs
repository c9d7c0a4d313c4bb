//! A limit for counts of operations that a method records one by one.

use stochgrad_distributions::{DistributionError, DistributionResult};

/// The largest number of draws, directions or replays that are recorded one after the other. Each of them takes time
/// and memory for operations of its own, which the memory limit of a tape does not count.
pub(crate) const MOST_UNROLLED: usize = 1 << 16;

/// Checks such a count. `what` names what is recorded, and `instead` says what to try.
///
/// # Errors
/// For more than [`MOST_UNROLLED`].
pub(crate) fn check_unrolled(
    distribution: &'static str,
    what: &str,
    count: usize,
    instead: &str,
) -> DistributionResult<()> {
    if count <= MOST_UNROLLED {
        return Ok(());
    }
    let problem = format!(
        "expected at most {MOST_UNROLLED} {what}, each of which is recorded as operations of its own, got {count}; \
         {instead}"
    );
    Err(DistributionError::Unsupported { distribution, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_the_limit_are_taken() {
        assert!(check_unrolled("Categorical", "draws", MOST_UNROLLED, "draw fewer").is_ok());
        let error = check_unrolled("Categorical", "draws", usize::MAX, "draw fewer").unwrap_err().to_string();
        assert!(error.contains("at most 65536 draws") && error.contains("draw fewer"), "{error}");
    }
}
