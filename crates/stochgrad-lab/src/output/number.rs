//! Numbers for readers.

use crate::interval::Interval;

/// A number with three significant digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".into(),
        0.01..10_000.0 => {
            let decimals = (2.0 - size.log10().floor()).max(0.0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.2e}"),
    }
}

/// An estimate with half the width of its interval.
pub(super) fn with_error(interval: &Interval) -> String {
    match interval.half_width() {
        0.0 => short(interval.estimate),
        half => format!("{} ± {}", short(interval.estimate), short(half)),
    }
}

/// An estimate with half the width of its interval in per cent of it.
pub(super) fn with_relative_error(interval: &Interval) -> String {
    match interval.half_width() / interval.estimate.abs() {
        relative if relative > 0.0 && relative.is_finite() => {
            format!("{} ± {} %", short(interval.estimate), short((1000.0 * relative).round() / 10.0))
        }
        _ => short(interval.estimate),
    }
}

/// A time in seconds, with a unit.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() => "-".into(),
        _ if seconds < 1e-3 => format!("{} µs", short(1e6 * seconds)),
        _ if seconds < 1.0 => format!("{} ms", short(1e3 * seconds)),
        _ => format!("{} s", short(seconds)),
    }
}

/// A time on an axis.
pub(super) fn short_time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{} µs", plain(1e6 * seconds)),
        _ if seconds < 1.0 => format!("{} ms", plain(1e3 * seconds)),
        _ => format!("{} s", plain(seconds)),
    }
}

/// A number on an axis, without digits that say nothing.
pub(super) fn plain(value: f64) -> String {
    let rounded = format!("{value:.3e}").parse().unwrap_or(value);
    match f64::abs(rounded) {
        0.0 => "0".into(),
        0.001..100_000.0 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let found = [0.0, 1.0, 0.012345, 123.456, 9999.0, 123_456.0, 1e-7, -2.5, f64::INFINITY].map(short);
        assert_eq!(found, ["0", "1.00", "0.0123", "123", "9999", "1.23e5", "1.00e-7", "-2.50", "inf"]);
        assert_eq!(with_error(&Interval::around(2.0, 0.25)), "2.00 ± 0.250");
        assert_eq!(with_error(&Interval::exact(2.0)), "2.00");
        assert_eq!(with_relative_error(&Interval::around(2.0, 0.25)), "2.00 ± 12.5 %");
        assert_eq!(with_relative_error(&Interval::exact(0.0)), "0");
        assert_eq!([0.0, 0.30000000000000004, 2.5, 1e-7, 1e6].map(plain), ["0", "0.3", "2.5", "1e-7", "1e6"]);
        assert_eq!([2e-6, 0.05, 3.0].map(short_time), ["2 µs", "50 ms", "3 s"]);
        assert_eq!([2e-6, 5e-3, 3.0, f64::NAN].map(time), ["2.00 µs", "5.00 ms", "3.00 s", "-"]);
    }
}
