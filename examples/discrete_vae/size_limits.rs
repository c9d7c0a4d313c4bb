//! How large a model may be.

use crate::usage_error::UsageError;

/// The largest joint support that a method may list.
pub(crate) const MOST_STATES: u128 = 4096;
/// Weights of the model, at most: 1 GiB in single precision.
const MOST_WEIGHTS: u128 = 1 << 28;
/// Values in the largest array of a training step, at most.
const MOST_ACTIVATIONS: u128 = 1 << 28;

/// Refuses a model that would exhaust the memory, before anything is allocated. `widths` are those of the encoder, from
/// pixels to code; `members` is the number of codes per image.
pub(crate) fn check_size(widths: &[usize], batch: usize, members: u128) -> Result<(), UsageError> {
    let weights = widths
        .windows(2)
        .map(|pair| (pair[0] as u128 * pair[1] as u128).saturating_mul(2))
        .fold(0, u128::saturating_add);
    if weights > MOST_WEIGHTS {
        return Err(UsageError::Value {
            flag: "--hidden, --latent-size",
            expected: format!("a model of at most {MOST_WEIGHTS} weights"),
            found: weights.to_string(),
            hint: "choose smaller values",
        });
    }
    let widest = widths.iter().copied().max().unwrap_or(0);
    let activations = (batch as u128).saturating_mul(members).saturating_mul(widest as u128);
    if activations > MOST_ACTIVATIONS {
        return Err(UsageError::Value {
            flag: "--batch, --samples",
            expected: format!("layers of at most {MOST_ACTIVATIONS} values per step"),
            found: format!("{batch} images × {members} samples × {widest} units"),
            hint: "choose a smaller batch, fewer samples or a smaller model",
        });
    }
    Ok(())
}
