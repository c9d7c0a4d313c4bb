//! The operators of triples.

use crate::triple::Triple;
use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

macro_rules! operator {
    ($trait:ident $method:ident, $assign:ident $assign_method:ident, $function:expr, $slopes:expr) => {
        impl $trait for Triple {
            type Output = Triple;
            fn $method(self, other: Triple) -> Triple {
                self.zip(other, $function, $slopes)
            }
        }

        impl $trait<f64> for Triple {
            type Output = Triple;
            fn $method(self, other: f64) -> Triple {
                $trait::$method(self, Triple::constant(other))
            }
        }

        impl $trait<Triple> for f64 {
            type Output = Triple;
            fn $method(self, other: Triple) -> Triple {
                $trait::$method(Triple::constant(self), other)
            }
        }

        impl<T> $assign<T> for Triple
        where
            Triple: $trait<T, Output = Triple>,
        {
            fn $assign_method(&mut self, other: T) {
                *self = $trait::$method(*self, other);
            }
        }
    };
}

operator!(Add add, AddAssign add_assign, |a, b| a + b, |_, _| [1.0, 1.0]);
operator!(Sub sub, SubAssign sub_assign, |a, b| a - b, |_, _| [1.0, -1.0]);
operator!(Mul mul, MulAssign mul_assign, |a, b| a * b, |a, b| [b, a]);
operator!(Div div, DivAssign div_assign, |a, b| a / b, |a, b| [1.0 / b, -a / (b * b)]);

impl Neg for Triple {
    type Output = Triple;
    fn neg(self) -> Triple {
        self.map(|x| -x, |_| -1.0)
    }
}

impl Sum for Triple {
    fn sum<I: Iterator<Item = Triple>>(triples: I) -> Triple {
        triples.fold(Triple::constant(0.0), Add::add)
    }
}

impl<'a> Sum<&'a Triple> for Triple {
    fn sum<I: Iterator<Item = &'a Triple>>(triples: I) -> Triple {
        triples.copied().sum()
    }
}

impl Product for Triple {
    fn product<I: Iterator<Item = Triple>>(triples: I) -> Triple {
        triples.fold(Triple::constant(1.0), Mul::mul)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_and_assignments() {
        let x = Triple::argument(2.0, 1.0);
        let y = 1.0 / x;
        assert_eq!((y.value, y.derivative), (0.5, -0.25));
        let mut z = -x;
        z += 3.0;
        z *= x;
        z -= x;
        z /= 2.0;
        assert_eq!((z.value, z.derivative), (0.0, -1.0));
        assert_eq!([x, x].iter().sum::<Triple>().derivative, 2.0);
        assert_eq!([x, x].into_iter().product::<Triple>().derivative, 4.0);
    }
}
