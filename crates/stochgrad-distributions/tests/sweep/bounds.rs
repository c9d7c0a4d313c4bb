//! The largest errors that the sweep accepts, in the units of [`crate::reference`]. What is above its bound is a
//! failure.

use crate::query::Function;
use crate::reference::Compared;

/// Bounds of values and of derivatives, where nothing else is stated.
const VALUE: f64 = 64.0;
const SLOPES: f64 = 256.0;

/// Other bounds: the beginning of the name of the distribution, the functions, the bounds of the value and of the
/// derivatives, and why they are larger.
const OTHERS: [(&str, &[Function], f64, f64, &str); 0] = [];

/// The bound of what is compared.
pub(crate) fn bound((name, _, function, slopes): &Compared) -> f64 {
    let other = OTHERS.iter().find(|(begin, functions, ..)| name.starts_with(begin) && functions.contains(function));
    let (value, slope) = other.map_or((VALUE, SLOPES), |&(_, _, value, slope, _)| (value, slope));
    if *slopes { slope } else { value }
}
