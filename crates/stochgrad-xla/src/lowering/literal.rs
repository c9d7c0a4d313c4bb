//! The text of constants.

use crate::lowering::types::{Element, TensorType};
use std::fmt::Write;

/// The elements of a constant.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Truth values.
    Bool(&'a [bool]),
    /// Integers, which fit the type of the constant.
    Integers(&'a [i64]),
    /// Floating-point numbers, which are rounded to the type of the constant.
    Floats(&'a [f64]),
}

impl Elements<'_> {
    fn len(self) -> usize {
        match self {
            Elements::Bool(values) => values.len(),
            Elements::Integers(values) => values.len(),
            Elements::Floats(values) => values.len(),
        }
    }

    /// The bits of an element.
    fn bits(self, index: usize, element: Element) -> u64 {
        match self {
            Elements::Bool(values) => u64::from(values[index]),
            Elements::Integers(values) => values[index] as u64,
            Elements::Floats(values) if element == Element::F32 => u64::from((values[index] as f32).to_bits()),
            Elements::Floats(values) => values[index].to_bits(),
        }
    }

    /// The bits of all elements, if they are the same.
    pub fn splat(self, element: Element) -> Option<u64> {
        let first = (self.len() > 0).then(|| self.bits(0, element))?;
        (1..self.len()).all(|index| self.bits(index, element) == first).then_some(first)
    }
}

/// The attribute `dense<…>` of one element, given its bits.
pub(crate) fn scalar(bits: u64, element: Element) -> String {
    let kind = TensorType::scalar(element);
    match element {
        Element::Bool => format!("dense<{}> : {kind}", bits != 0),
        Element::I32 => format!("dense<{}> : {kind}", bits as i32),
        Element::I64 => format!("dense<{}> : {kind}", bits as i64),
        Element::U32 => format!("dense<{}> : {kind}", bits as u32),
        Element::U64 => format!("dense<{bits}> : {kind}"),
        Element::F32 => format!("dense<0x{:08X}> : {kind}", bits as u32),
        Element::F64 => format!("dense<0x{bits:016X}> : {kind}"),
    }
}

/// The attribute `dense<…>` of a constant, whose elements are written as hexadecimal bytes.
pub(crate) fn dense(elements: Elements<'_>, kind: &TensorType) -> String {
    if elements.len() == 0 {
        return format!("dense<> : {kind}");
    }
    let mut text = String::from("dense<");
    if kind.element == Element::Bool {
        // Packed truth values have no hexadecimal form that all versions read.
        list(elements, &kind.shape, 0, &mut 0, &mut text);
    } else {
        text.push_str("\"0x");
        for index in 0..elements.len() {
            let bytes = elements.bits(index, kind.element).to_le_bytes();
            for byte in &bytes[..kind.element.bits() / 8] {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02X}");
            }
        }
        text.push('"');
    }
    let _ = write!(text, "> : {kind}");
    text
}

/// Nested lists of truth values.
fn list(elements: Elements<'_>, shape: &[usize], axis: usize, next: &mut usize, text: &mut String) {
    if axis == shape.len() {
        text.push_str(if elements.bits(*next, Element::Bool) != 0 { "true" } else { "false" });
        *next += 1;
        return;
    }
    text.push('[');
    for index in 0..shape[axis] {
        if index > 0 {
            text.push_str(", ");
        }
        list(elements, shape, axis + 1, next, text);
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_keep_their_bits() {
        assert_eq!(scalar((-1.5_f32).to_bits().into(), Element::F32), "dense<0xBFC00000> : tensor<f32>");
        assert_eq!(scalar(f64::NEG_INFINITY.to_bits(), Element::F64), "dense<0xFFF0000000000000> : tensor<f64>");
        assert_eq!(scalar(-3_i64 as u64, Element::I32), "dense<-3> : tensor<i32>");
        assert_eq!(scalar(u64::MAX, Element::U64), "dense<18446744073709551615> : tensor<ui64>");
        let kind = TensorType::new(Element::F32, [2]);
        assert_eq!(dense(Elements::Floats(&[1.0, -2.0]), &kind), "dense<\"0x0000803F000000C0\"> : tensor<2xf32>");
        let kind = TensorType::new(Element::Bool, [2, 2]);
        let truth = Elements::Bool(&[true, false, false, true]);
        assert_eq!(dense(truth, &kind), "dense<[[true, false], [false, true]]> : tensor<2x2xi1>");
        assert_eq!(dense(Elements::Floats(&[]), &TensorType::new(Element::F64, [3, 0])), "dense<> : tensor<3x0xf64>");
        assert_eq!(Elements::Floats(&[0.0, -0.0]).splat(Element::F64), None);
        assert_eq!(Elements::Integers(&[7, 7]).splat(Element::U32), Some(7));
    }
}
