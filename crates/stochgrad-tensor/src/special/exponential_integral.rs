//! The exponential integral E₁ without its exponential decay, and its derivatives.

use super::quadrature::exponential_tail;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Below this argument, the power series is used.
const SMALL: f64 = 1.0;

/// The integral of e^−t / (x + t)^(n + 1) over t > 0: order 0 is e^x E₁(x), with the exponential integral E₁, and order n
/// is its n-th derivative times (−1)^n / n!.
///
/// Domain: x ≥ 0; at 0 the result is infinite, and at infinity it is 0. Relative error below 2e-15 for orders up to 5 as
/// long as the result is a normal number.
///
/// Method: with t = x (e^u − 1), the quadrature of the incomplete gamma function. For x < 1 the power series of E₁, and
/// from order to order an integration by parts, which is stable there.
///
/// ```
/// # use stochgrad_tensor::special::scaled_exponential_integral;
/// assert!((scaled_exponential_integral(0, 1.0) - 0.5963473623231941).abs() < 1e-15);
/// ```
pub fn scaled_exponential_integral(order: u32, x: f64) -> f64 {
    if !(0.0..).contains(&x) {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return if x == 0.0 { f64::INFINITY } else { 0.0 };
    }
    let n = f64::from(order);
    // x^n times the result.
    let scaled = if x >= SMALL {
        exponential_tail(n, x)
    } else {
        (1..=order).fold(x.exp() * series(x), |below, k| (1.0 - x * below) / f64::from(k))
    };
    if order == 0 { scaled } else { scaled * x.powf(-n) }
}

/// E₁(x) for x below 1.
fn series(x: f64) -> f64 {
    // The sum of −(−x)^k / (k k!); the 20th term is below 1e-19.
    let sum = (1..20).rev().fold(0.0, |sum, k| {
        let k = f64::from(k);
        x / k * (1.0 / k - sum)
    });
    sum - EULER - x.ln()
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    #[test]
    fn both_methods_agree_where_they_meet() {
        for order in 0..6 {
            let [below, above] = [1.0 - 1e-12, 1.0].map(|x| scaled_exponential_integral(order, x));
            assert_relative(&format!("order {order}"), below, above, 1e-11);
        }
    }

    #[test]
    fn orders_follow_from_each_other() {
        // x^n times order n is (1 − x · x^(n−1) times order n − 1) / n.
        for x in [1e-3_f64, 0.4, 1.0, 1.3, 2.0] {
            for order in 1..8_u32 {
                let n = order as i32;
                let below = x * x.powi(n - 1) * scaled_exponential_integral(order - 1, x);
                let expected = (1.0 - below) / f64::from(order);
                let found = x.powi(n) * scaled_exponential_integral(order, x);
                assert_relative(&format!("order {order} at {x}"), found, expected, 1e-13);
            }
        }
    }

    #[test]
    fn ends_and_misuse() {
        assert_eq!(scaled_exponential_integral(0, 0.0), f64::INFINITY);
        assert_eq!(scaled_exponential_integral(2, f64::INFINITY), 0.0);
        assert_relative("smallest", scaled_exponential_integral(0, 5e-324), 743.862_856_256, 1e-11);
        assert_relative("largest", scaled_exponential_integral(0, 1e300), 1e-300, 1e-14);
        assert!([-1.0, f64::NAN].iter().all(|&x| scaled_exponential_integral(0, x).is_nan()));
    }
}
