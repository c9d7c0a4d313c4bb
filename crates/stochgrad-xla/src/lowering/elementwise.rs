//! Element-wise operations on values. An operand without axes is repeated to the shape of the others.

use crate::lowering::builder::Value;
use crate::lowering::types::{Element, TensorType};
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};
use stochgrad_tensor::Shape;

macro_rules! functions_of_one_value {
    ($($(#[$doc:meta])* $name:ident = $op:literal;)*) => {
        impl<'b> Value<'b> {
            $(
                $(#[$doc])*
                pub fn $name(self) -> Value<'b> {
                    self.builder.op(concat!("stablehlo.", $op), &[self], "", self.kind())
                }
            )*
        }
    };
}

functions_of_one_value! {
    /// e^x
    exp = "exponential";
    /// e^x − 1
    expm1 = "exponential_minus_one";
    /// The natural logarithm.
    ln = "log";
    /// ln(1 + x)
    log1p = "log_plus_one";
    /// The square root.
    sqrt = "sqrt";
    /// 1 / √x
    rsqrt = "rsqrt";
    /// |x|
    abs = "abs";
    /// −1, 0 or 1; NaN for NaN.
    sign = "sign";
    /// The sine.
    sin = "sine";
    /// The cosine.
    cos = "cosine";
    /// The hyperbolic tangent.
    tanh = "tanh";
    /// 1 / (1 + e^−x)
    logistic = "logistic";
    /// The largest integer ≤ x.
    floor = "floor";
    /// The smallest integer ≥ x.
    ceil = "ceil";
    /// The nearest integer; halves are rounded away from 0.
    round = "round_nearest_afz";
    /// The number of zeros before the first one bit.
    leading_zeros = "count_leading_zeros";
    /// The same value, which the compiler does not simplify together with others.
    barrier = "optimization_barrier";
}

macro_rules! functions_of_two_values {
    ($($(#[$doc:meta])* $name:ident = $op:literal;)*) => {
        impl<'b> Value<'b> {
            $(
                $(#[$doc])*
                pub fn $name(self, other: impl Operand<'b>) -> Value<'b> {
                    self.binary(concat!("stablehlo.", $op), other)
                }
            )*
        }
    };
}

functions_of_two_values! {
    /// self to the power of other.
    pow = "power";
}

/// What can be the second operand of an element-wise operation: a value, or a constant of the same element type.
pub trait Operand<'b> {
    /// The value, for an operation with `other`.
    fn operand(self, other: Value<'b>) -> Value<'b>;
}

impl<'b> Operand<'b> for Value<'b> {
    fn operand(self, _: Value<'b>) -> Value<'b> {
        self
    }
}

impl<'b> Operand<'b> for f64 {
    fn operand(self, other: Value<'b>) -> Value<'b> {
        other.builder.float(other.element(), self)
    }
}

/// An integer constant, of an integer or a floating-point type.
impl<'b> Operand<'b> for i64 {
    fn operand(self, other: Value<'b>) -> Value<'b> {
        match other.element() {
            element if element.is_float() => other.builder.float(element, self as f64),
            element => other.builder.integer(element, self),
        }
    }
}

macro_rules! operators {
    ($($operator:ident $name:ident = $op:literal;)*) => {
        $(
            impl<'b, T: Operand<'b>> $operator<T> for Value<'b> {
                type Output = Value<'b>;
                fn $name(self, other: T) -> Value<'b> {
                    self.binary(concat!("stablehlo.", $op), other)
                }
            }
        )*
    };
}

operators! {
    Add add = "add";
    Sub sub = "subtract";
    Mul mul = "multiply";
    Div div = "divide";
    Rem rem = "remainder";
    BitAnd bitand = "and";
    BitOr bitor = "or";
    BitXor bitxor = "xor";
    Shl shl = "shift_left";
    Shr shr = "shift_right_logical";
}

macro_rules! operators_of_floats {
    ($($operator:ident $name:ident;)*) => {
        $(
            impl<'b> $operator<Value<'b>> for f64 {
                type Output = Value<'b>;
                fn $name(self, other: Value<'b>) -> Value<'b> {
                    self.operand(other).$name(other)
                }
            }
        )*
    };
}

operators_of_floats! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
}

impl<'b> Neg for Value<'b> {
    type Output = Value<'b>;
    fn neg(self) -> Value<'b> {
        self.builder.op("stablehlo.negate", &[self], "", self.kind())
    }
}

impl<'b> Not for Value<'b> {
    type Output = Value<'b>;
    fn not(self) -> Value<'b> {
        self.builder.op("stablehlo.not", &[self], "", self.kind())
    }
}

impl<'b> Value<'b> {
    /// Both operands with the same shape.
    fn aligned(self, other: impl Operand<'b>) -> [Value<'b>; 2] {
        let other = other.operand(self);
        let (own, its) = (self.shape(), other.shape());
        if own.rank() == 0 && its.rank() > 0 {
            [self.broadcast(&its, &[]), other]
        } else if its.rank() == 0 && own.rank() > 0 {
            [self, other.broadcast(&own, &[])]
        } else {
            assert_eq!(own, its, "expected operands of one shape");
            [self, other]
        }
    }

    fn binary(self, op: &str, other: impl Operand<'b>) -> Value<'b> {
        let [left, right] = self.aligned(other);
        assert_eq!(left.kind(), right.kind(), "expected operands of {op} with one type");
        self.builder.op(op, &[left, right], "", left.kind())
    }

    fn compare(self, direction: &str, other: impl Operand<'b>) -> Value<'b> {
        let [left, right] = self.aligned(other);
        let kind = left.kind();
        assert_eq!(kind, right.kind(), "expected values of one type to compare");
        let order = match kind.element {
            Element::F32 | Element::F64 => "FLOAT",
            Element::I32 | Element::I64 => "SIGNED",
            Element::U32 | Element::U64 | Element::Bool => "UNSIGNED",
        };
        let attributes = format!(
            "comparison_direction = #stablehlo<comparison_direction {direction}>, compare_type = \
             #stablehlo<comparison_type {order}>"
        );
        self.builder.op("stablehlo.compare", &[left, right], &attributes, TensorType::new(Element::Bool, kind.shape))
    }

    /// self < other
    pub fn lt(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("LT", other)
    }

    /// self ≤ other
    pub fn le(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("LE", other)
    }

    /// self > other
    pub fn gt(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("GT", other)
    }

    /// self ≥ other
    pub fn ge(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("GE", other)
    }

    /// self = other; false for NaN.
    pub fn equal(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("EQ", other)
    }

    /// self ≠ other; true for NaN.
    pub fn differs(self, other: impl Operand<'b>) -> Value<'b> {
        self.compare("NE", other)
    }

    /// Whether it is NaN.
    pub fn is_nan(self) -> Value<'b> {
        self.differs(self)
    }

    /// Whether it is neither NaN nor infinite.
    pub fn is_finite(self) -> Value<'b> {
        self.builder.op("stablehlo.is_finite", &[self], "", TensorType::new(Element::Bool, self.shape()))
    }

    /// `then` where this truth value holds, else `otherwise`. Of the three, those without axes are repeated. A constant
    /// has the type of the other choice; at least one of both is a value.
    ///
    /// # Panics
    /// If both choices are constants, or their types differ.
    pub fn select(self, then: impl Choice<'b>, otherwise: impl Choice<'b>) -> Value<'b> {
        let like = then.value().or_else(|| otherwise.value()).expect("a choice that is a value");
        let [mut then, mut otherwise] = [then.choice(like), otherwise.choice(like)];
        let mut condition = self;
        let longest = [condition, then, otherwise].map(|value| value.shape()).into_iter().max_by_key(Shape::rank);
        let shape = longest.unwrap_or_default();
        for value in [&mut condition, &mut then, &mut otherwise] {
            if value.shape().rank() == 0 {
                *value = value.broadcast(&shape, &[]);
            }
        }
        assert_eq!(then.kind(), otherwise.kind(), "expected choices of one type");
        assert_eq!(condition.kind(), TensorType::new(Element::Bool, shape), "expected one condition for each choice");
        self.builder.op("stablehlo.select", &[condition, then, otherwise], "", then.kind())
    }

    /// `then` where this truth value holds, else `otherwise`, both constants of an element type.
    pub fn choose(self, element: Element, then: f64, otherwise: f64) -> Value<'b> {
        let [then, otherwise] = [then, otherwise].map(|value| self.builder.float(element, value));
        self.select(then, otherwise)
    }

    /// The same numbers as elements of another type.
    pub fn convert(self, element: Element) -> Value<'b> {
        if self.element() == element {
            return self;
        }
        self.builder.op("stablehlo.convert", &[self], "", TensorType::new(element, self.shape()))
    }

    /// The same bits as elements of another type with as many bits.
    pub fn bitcast(self, element: Element) -> Value<'b> {
        assert_eq!(self.element().bits(), element.bits(), "expected a type with as many bits");
        if self.element() == element {
            return self;
        }
        self.builder.op("stablehlo.bitcast_convert", &[self], "", TensorType::new(element, self.shape()))
    }

    /// The larger value; NaN if one is NaN.
    pub fn max(self, other: impl Operand<'b>) -> Value<'b> {
        let [own, other] = self.aligned(other);
        if !own.element().is_float() {
            return own.binary("stablehlo.maximum", other);
        }
        // The operation for both may pass over NaN.
        (own.lt(other) | other.is_nan()).select(other, own)
    }

    /// The smaller value; NaN if one is NaN.
    pub fn min(self, other: impl Operand<'b>) -> Value<'b> {
        let [own, other] = self.aligned(other);
        if !own.element().is_float() {
            return own.binary("stablehlo.minimum", other);
        }
        (own.gt(other) | other.is_nan()).select(other, own)
    }

    /// x²
    pub fn square(self) -> Value<'b> {
        self * self
    }

    /// A constant in the shape and the element type of this value.
    pub fn fill(self, constant: f64) -> Value<'b> {
        self.builder.float(self.element(), constant).broadcast(&self.shape(), &[])
    }

    /// A truth value in the shape of this value.
    pub fn fill_truth(self, constant: bool) -> Value<'b> {
        self.builder.truth(constant).broadcast(&self.shape(), &[])
    }

    /// An integer constant in the shape of this value.
    pub fn fill_integer(self, element: Element, constant: i64) -> Value<'b> {
        self.builder.integer(element, constant).broadcast(&self.shape(), &[])
    }
}

/// A choice of [`Value::select`]: a value, or a floating-point constant.
pub trait Choice<'b>: Copy {
    /// The value, unless it is a constant.
    fn value(self) -> Option<Value<'b>>;
    /// The value; a constant gets the element type of `like`.
    fn choice(self, like: Value<'b>) -> Value<'b>;
}

impl<'b> Choice<'b> for Value<'b> {
    fn value(self) -> Option<Value<'b>> {
        Some(self)
    }
    fn choice(self, _: Value<'b>) -> Value<'b> {
        self
    }
}

impl<'b> Choice<'b> for f64 {
    fn value(self) -> Option<Value<'b>> {
        None
    }
    fn choice(self, like: Value<'b>) -> Value<'b> {
        self.operand(like)
    }
}
