//! The types of elements.

use std::fmt;

/// The type of the elements of a tensor on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// Truth values, a byte each: `i1` in StableHLO.
    Bool,
    /// Signed integers of 32 bits: `i32`.
    I32,
    /// Signed integers of 64 bits: `i64`.
    I64,
    /// Unsigned integers of 32 bits: `ui32`.
    U32,
    /// Unsigned integers of 64 bits: `ui64`.
    U64,
    /// Single precision: `f32`.
    F32,
    /// Double precision: `f64`.
    F64,
    /// A type of this number in PJRT that this crate does not read or write.
    Other(i32),
}

impl ElementType {
    /// The number of the type in PJRT.
    pub(super) fn code(self) -> i32 {
        match self {
            ElementType::Bool => 1,
            ElementType::I32 => 4,
            ElementType::I64 => 5,
            ElementType::U32 => 8,
            ElementType::U64 => 9,
            ElementType::F32 => 11,
            ElementType::F64 => 12,
            ElementType::Other(code) => code,
        }
    }

    pub(super) fn from_code(code: i32) -> Self {
        use ElementType::{Bool, F32, F64, I32, I64, Other, U32, U64};
        let known = [Bool, I32, I64, U32, U64, F32, F64];
        known.into_iter().find(|kind| kind.code() == code).unwrap_or(Other(code))
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            ElementType::Bool => "i1",
            ElementType::I32 => "i32",
            ElementType::I64 => "i64",
            ElementType::U32 => "ui32",
            ElementType::U64 => "ui64",
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
            ElementType::Other(code) => return write!(f, "element type {code} of PJRT"),
        };
        f.write_str(name)
    }
}

/// The types of Rust whose values are copied to and from devices: `f32`, `f64`, `i32`, `i64`, `u32`, `u64`, and `u8` for
/// truth values. No other type implements this trait.
pub trait Element: Copy + Default + private::Plain + 'static {
    /// The type of elements on a device.
    const TYPE: ElementType;
}

mod private {
    /// Types of which each pattern of bits is a value.
    pub trait Plain {}
}

macro_rules! element {
    ($($rust:ty => $kind:ident),*) => { $(
        impl private::Plain for $rust {}

        impl Element for $rust {
            const TYPE: ElementType = ElementType::$kind;
        }
    )* };
}

element!(u8 => Bool, i32 => I32, i64 => I64, u32 => U32, u64 => U64, f32 => F32, f64 => F64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_header() {
        for (code, name) in [(1, "i1"), (4, "i32"), (5, "i64"), (8, "ui32"), (9, "ui64"), (11, "f32"), (12, "f64")] {
            let kind = ElementType::from_code(code);
            assert_eq!((kind.code(), kind.to_string().as_str()), (code, name));
        }
        assert_eq!(ElementType::from_code(13).to_string(), "element type 13 of PJRT");
    }
}
