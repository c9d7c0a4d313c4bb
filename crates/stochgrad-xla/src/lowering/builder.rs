//! A builder of StableHLO text.

use crate::lowering::literal::{self, Elements};
use crate::lowering::types::{Element, TensorType};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use stochgrad_tensor::Shape;

/// Writes a module in StableHLO, operation by operation.
///
/// The functions of a [`Value`] append operations to the function and the region that are being written, and return
/// their results. Operands with the wrong type panic: they are errors of the code that writes the module, and not of
/// its user.
///
/// ```
/// use stochgrad_xla::lowering::builder::Builder;
/// use stochgrad_xla::lowering::types::{Element, TensorType};
///
/// let builder = Builder::new();
/// let x = builder.argument(TensorType::new(Element::F32, [3]));
/// // The first power of two that is not below x.
/// let powers = builder.while_loop(
///     &[x.fill(1.0)],
///     |carry| carry[0].lt(x).any(),
///     |carry| vec![carry[0].lt(x).select(carry[0] * 2.0, carry[0])],
/// );
/// let text = builder.finish(&[powers[0]]);
/// assert!(text.contains("func.func public @main") && text.contains("stablehlo.while"));
/// ```
#[derive(Default)]
pub struct Builder {
    state: RefCell<State>,
}

/// A result of an operation, or an argument of a function or a region.
#[derive(Clone, Copy)]
pub struct Value<'b> {
    pub(crate) builder: &'b Builder,
    id: usize,
}

#[derive(Default)]
struct State {
    /// The type, the name and the function of each value.
    values: Vec<Entry>,
    /// The number of names that were given.
    names: usize,
    /// The functions that are being written, each inside the writing of the one before. The first is `@main`.
    open: Vec<Function>,
    /// The text of the finished private functions.
    finished: String,
    /// The names and results of private functions, by their keys and the types of their arguments.
    known: HashMap<(String, Vec<TensorType>), (String, Vec<TensorType>)>,
    /// The number of functions that were opened.
    functions: usize,
}

struct Entry {
    kind: TensorType,
    name: String,
    function: usize,
}

#[derive(Default)]
struct Function {
    number: usize,
    /// The arguments with their attributes.
    arguments: Vec<(usize, String)>,
    body: String,
    /// The scalar constants of each open region, by their types and bits.
    constants: Vec<HashMap<(Element, u64), usize>>,
}

impl Builder {
    /// A module with an empty function `@main`.
    pub fn new() -> Self {
        let builder = Builder::default();
        builder.open();
        builder
    }

    fn open(&self) {
        let state = &mut *self.state.borrow_mut();
        state.open.push(Function { number: state.functions, constants: vec![HashMap::new()], ..Function::default() });
        state.functions += 1;
    }

    /// The next argument of the function that is being written.
    pub fn argument(&self, kind: TensorType) -> Value<'_> {
        self.argument_with(kind, "")
    }

    /// As [`argument`](Self::argument), with attributes in the syntax of MLIR. `tf.aliasing_output = 0 : i32` gives the
    /// memory of the argument to the result 0.
    pub fn argument_with(&self, kind: TensorType, attributes: &str) -> Value<'_> {
        let value = self.parameter(kind);
        let attributes = if attributes.is_empty() { String::new() } else { format!(" {{{attributes}}}") };
        self.function(|function| function.arguments.push((value.id, attributes)));
        value
    }

    fn function<T>(&self, act: impl FnOnce(&mut Function) -> T) -> T {
        act(self.state.borrow_mut().open.last_mut().expect("a function that is being written"))
    }

    fn write(&self, text: &str) {
        self.function(|function| {
            function.body.push_str(text);
            function.body.push('\n');
        });
    }

    fn parameter(&self, kind: TensorType) -> Value<'_> {
        let name = self.name();
        self.value(kind, name)
    }

    fn name(&self) -> String {
        let state = &mut *self.state.borrow_mut();
        state.names += 1;
        format!("%{}", state.names - 1)
    }

    fn value(&self, kind: TensorType, name: String) -> Value<'_> {
        let state = &mut *self.state.borrow_mut();
        let function = state.open.last().expect("a function that is being written").number;
        state.values.push(Entry { kind, name, function });
        Value { builder: self, id: state.values.len() - 1 }
    }

    /// The names and the types of operands, separated by commas.
    fn operands(&self, operands: &[Value<'_>]) -> [String; 2] {
        let state = self.state.borrow();
        let current = state.open.last().map(|function| function.number);
        let (mut names, mut kinds) = (String::new(), String::new());
        for (index, operand) in operands.iter().enumerate() {
            assert!(std::ptr::eq(self, operand.builder), "expected operands of this builder");
            let entry = &state.values[operand.id];
            assert!(current == Some(entry.function), "expected operands of the function that is being written");
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a string does not fail.
            let _ = write!(names, "{comma}{}", entry.name);
            let _ = write!(kinds, "{comma}{}", entry.kind);
        }
        [names, kinds]
    }

    /// An operation with one result. The attributes are in the syntax of MLIR, such as `dimension = 0 : i64`.
    pub fn op(&self, name: &str, operands: &[Value<'_>], attributes: &str, result: TensorType) -> Value<'_> {
        self.ops(name, operands, attributes, &[result]).swap_remove(0)
    }

    /// An operation with any number of results.
    pub fn ops(&self, name: &str, operands: &[Value<'_>], attributes: &str, results: &[TensorType]) -> Vec<Value<'_>> {
        self.with_regions(name, operands, attributes, results, &[])
    }

    /// An operation with regions.
    pub(crate) fn with_regions(
        &self,
        name: &str,
        operands: &[Value<'_>],
        attributes: &str,
        results: &[TensorType],
        regions: &[String],
    ) -> Vec<Value<'_>> {
        let [names, kinds] = self.operands(operands);
        let mut text = String::new();
        let result = self.name();
        match results.len() {
            0 => {}
            1 => text = format!("{result} = "),
            count => text = format!("{result}:{count} = "),
        }
        let _ = write!(text, "\"{name}\"({names})");
        if !regions.is_empty() {
            let _ = write!(text, " ({{\n{}}})", regions.join("}, {\n"));
        }
        if !attributes.is_empty() {
            let _ = write!(text, " {{{attributes}}}");
        }
        let list: Vec<String> = results.iter().map(TensorType::to_string).collect();
        let list = if let [one] = &list[..] { one.clone() } else { format!("({})", list.join(", ")) };
        let _ = write!(text, " : ({kinds}) -> {list}");
        self.write(&text);
        let named = results.iter().enumerate().map(|(index, kind)| {
            let name = if results.len() == 1 { result.clone() } else { format!("{result}#{index}") };
            self.value(kind.clone(), name)
        });
        named.collect()
    }

    /// The text of a region, and the types of what it returns.
    pub(crate) fn region<'b>(
        &'b self,
        arguments: &[TensorType],
        body: impl FnOnce(&[Value<'b>]) -> Vec<Value<'b>>,
    ) -> (String, Vec<TensorType>) {
        let outer = self.function(|function| {
            function.constants.push(HashMap::new());
            std::mem::take(&mut function.body)
        });
        let arguments: Vec<Value<'_>> = arguments.iter().map(|kind| self.parameter(kind.clone())).collect();
        if !arguments.is_empty() {
            let list: Vec<String> =
                arguments.iter().map(|value| format!("{}: {}", self.text_of(*value), value.kind())).collect();
            self.write(&format!("^bb0({}):", list.join(", ")));
        }
        let results = body(&arguments);
        self.ops("stablehlo.return", &results, "", &[]);
        let text = self.function(|function| {
            function.constants.pop();
            std::mem::replace(&mut function.body, outer)
        });
        (text, results.iter().map(Value::kind).collect())
    }

    fn text_of(&self, value: Value<'_>) -> String {
        self.state.borrow().values[value.id].name.clone()
    }

    /// Repeats `body` while `condition` is true. Both get the current values, of the same types as `carry`; `body`
    /// returns the next ones. Both may use values from outside.
    ///
    /// # Panics
    /// If the condition is no scalar truth value, or the body returns other types.
    pub fn while_loop<'b>(
        &'b self,
        carry: &[Value<'b>],
        condition: impl FnOnce(&[Value<'b>]) -> Value<'b>,
        body: impl FnOnce(&[Value<'b>]) -> Vec<Value<'b>>,
    ) -> Vec<Value<'b>> {
        let kinds: Vec<TensorType> = carry.iter().map(Value::kind).collect();
        let (condition, decided) = self.region(&kinds, |carry| vec![condition(carry)]);
        assert_eq!(decided, [TensorType::scalar(Element::Bool)], "expected a condition without axes");
        let (body, next) = self.region(&kinds, body);
        assert_eq!(next, kinds, "expected the next values of a loop to have the types of the first");
        self.with_regions("stablehlo.while", carry, "", &kinds, &[condition, body])
    }

    /// The results of one of two branches. Both may use values from outside.
    ///
    /// # Panics
    /// If the branches return different types.
    pub fn branch<'b>(
        &'b self,
        condition: Value<'b>,
        then: impl FnOnce() -> Vec<Value<'b>>,
        otherwise: impl FnOnce() -> Vec<Value<'b>>,
    ) -> Vec<Value<'b>> {
        let (then, kinds) = self.region(&[], |_| then());
        let (otherwise, others) = self.region(&[], |_| otherwise());
        assert_eq!(kinds, others, "expected both branches to return the same types");
        self.with_regions("stablehlo.if", &[condition], "", &kinds, &[then, otherwise])
    }

    /// Calls a private function, which `body` writes when the function is called for the first time with arguments of
    /// these types. The body may use nothing but its arguments. `key` identifies the function, with everything but the
    /// types of the arguments on which its body depends.
    pub fn call<'b>(
        &'b self,
        key: &str,
        arguments: &[Value<'b>],
        body: impl FnOnce(&[Value<'b>]) -> Vec<Value<'b>>,
    ) -> Vec<Value<'b>> {
        let kinds: Vec<TensorType> = arguments.iter().map(Value::kind).collect();
        let known = self.state.borrow().known.get(&(key.to_owned(), kinds.clone())).cloned();
        let (name, results) = known.unwrap_or_else(|| {
            self.open();
            let own: Vec<Value<'_>> = kinds.iter().map(|kind| self.argument(kind.clone())).collect();
            let results = body(&own);
            let letters = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let number = self.function(|function| function.number);
            let name = format!("{}_{number}", key.chars().map(letters).collect::<String>());
            let text = self.close("private", &name, &results);
            let results: Vec<TensorType> = results.iter().map(Value::kind).collect();
            let state = &mut *self.state.borrow_mut();
            state.finished.push_str(&text);
            state.known.insert((key.to_owned(), kinds), (name.clone(), results.clone()));
            (name, results)
        });
        self.ops("func.call", arguments, &format!("callee = @{name}"), &results)
    }

    /// The text of the function that is being written, which this ends.
    fn close(&self, visibility: &str, name: &str, results: &[Value<'_>]) -> String {
        let kinds: Vec<String> = results.iter().map(|result| result.kind().to_string()).collect();
        self.ops("func.return", results, "", &[]);
        let state = &mut *self.state.borrow_mut();
        let function = state.open.pop().expect("a function that is being written");
        let arguments: Vec<String> = function
            .arguments
            .iter()
            .map(|(id, attributes)| format!("{}: {}{attributes}", state.values[*id].name, state.values[*id].kind))
            .collect();
        format!(
            "func.func {visibility} @{name}({}) -> ({}) {{\n{}}}\n",
            arguments.join(", "),
            kinds.join(", "),
            function.body
        )
    }

    /// The module, whose function `@main` returns these values. The builder is empty afterwards.
    pub fn finish(&self, results: &[Value<'_>]) -> String {
        let main = self.close("public", "main", results);
        let finished = std::mem::take(&mut self.state.borrow_mut().finished);
        let text = format!("module {{\n{main}{finished}}}\n");
        self.open();
        text
    }

    /// A scalar constant, given its bits.
    fn scalar_bits(&self, element: Element, bits: u64) -> Value<'_> {
        let known =
            self.function(|function| function.constants.iter().rev().find_map(|c| c.get(&(element, bits)).copied()));
        if let Some(id) = known {
            return Value { builder: self, id };
        }
        let attributes = format!("value = {}", literal::scalar(bits, element));
        let value = self.op("stablehlo.constant", &[], &attributes, TensorType::scalar(element));
        self.function(|function| function.constants.last_mut().map(|c| c.insert((element, bits), value.id)));
        value
    }

    /// A scalar constant of a floating-point type, rounded to it.
    pub fn float(&self, element: Element, value: f64) -> Value<'_> {
        let splat = Elements::Floats(&[value]).splat(element);
        self.scalar_bits(element, splat.unwrap_or_default())
    }

    /// A scalar constant of an integer type.
    pub fn integer(&self, element: Element, value: i64) -> Value<'_> {
        self.scalar_bits(element, value as u64)
    }

    /// A scalar truth value.
    pub fn truth(&self, value: bool) -> Value<'_> {
        self.scalar_bits(Element::Bool, u64::from(value))
    }

    /// A constant. One whose elements are all the same is a scalar that is repeated.
    ///
    /// # Panics
    /// If the number of elements is not that of the type.
    pub fn constant(&self, elements: Elements<'_>, kind: &TensorType) -> Value<'_> {
        if let Some(bits) = elements.splat(kind.element) {
            return self.scalar_bits(kind.element, bits).broadcast(&kind.shape, &[]);
        }
        self.op("stablehlo.constant", &[], &format!("value = {}", literal::dense(elements, kind)), kind.clone())
    }

    /// The positions along an axis.
    pub fn iota(&self, kind: TensorType, axis: usize) -> Value<'_> {
        self.op("stablehlo.iota", &[], &format!("iota_dimension = {axis} : i64"), kind)
    }
}

impl Value<'_> {
    /// Its type.
    pub fn kind(&self) -> TensorType {
        self.builder.state.borrow().values[self.id].kind.clone()
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.builder.state.borrow().values[self.id].kind.element
    }

    /// The sizes of its axes.
    pub fn shape(&self) -> Shape {
        self.builder.state.borrow().values[self.id].kind.shape.clone()
    }
}
