//! Generic functions that are compiled once.
//!
//! # Why
//!
//! Rust compiles a generic function in the crate that uses it. Nearly everything in this library is generic over the
//! element type, so a program with one call of `Graph::backward` would compile the analysis of graphs, the derivative
//! rules and the kernels again after each change of one of its lines. In release builds, crates do not share these
//! instances.
//!
//! # How
//!
//! There are only two element types. The macro [`instantiated!`](macro@crate::instantiated) makes a static variable
//! for each of them that holds a pointer to the function. A static variable is compiled in the crate that defines it,
//! and so is the function that it points to, with everything that the function calls. Other crates compile only the
//! call through the pointer. [`Any`](std::any::Any) chooses between the two variables by the element type, so that the
//! functions need no other bound than [`Real`](crate::Real). This comparison of types is decided when the call is
//! compiled.
//!
//! # How to add a function
//!
//! 1. Rename the function to `…_body`, and make it private.
//! 2. Add a function with the old name and signature, whose body is
//!    `instantiated!(F: fn(arguments) -> result = path::of_the_body)(arguments)`.
//! 3. If the function has `#[track_caller]`, the new one keeps it, and passes `Location::caller()` to the body as an
//!    argument. A pointer to a function does not carry the location of the caller.
//!
//! It pays for functions that other crates call and that are large together with everything they call. A call through
//! a pointer costs a few nanoseconds and is never inlined, so it does not belong in the loops of kernels. A function
//! that is also generic over something else, such as a distribution, cannot be instantiated in advance: split off what
//! does not depend on it, or pass a trait object.

/// A pointer to a function that is generic over the element type, instantiated for `f32` and `f64` in the crate that
/// contains this call.
///
/// Use it in libraries of generic code. A program that calls the function then does not compile its body again.
///
/// The arguments are the element type, the type of the function, and the function. The element type must be a type
/// parameter of the surrounding function or `impl` block, with the bound [`Real`](crate::Real). The types may not
/// mention other parameters; use `for<'a> fn(…)` for lifetimes.
///
/// ```
/// use stochgrad_tensor::{Pool, Real, Tensor, instantiated, map};
///
/// /// The squares of the elements.
/// pub fn squares<F: Real>(pool: &Pool<F>, values: &Tensor<F>) -> Tensor<F> {
///     instantiated!(F: fn(&Pool<F>, &Tensor<F>) -> Tensor<F> = squares_body)(pool, values)
/// }
///
/// fn squares_body<F: Real>(pool: &Pool<F>, values: &Tensor<F>) -> Tensor<F> {
///     map::map(pool, map::Map::Square, values)
/// }
///
/// assert_eq!(squares(&Pool::new(), &Tensor::from([3.0_f32, 4.0])).to_vec(), [9.0, 16.0]);
/// ```
#[macro_export]
macro_rules! instantiated {
    ($element:ident: $function:ty = $body:expr) => {{
        struct Entry<$element: $crate::Real>($function);
        static SINGLE: Entry<f32> = Entry($body);
        static DOUBLE: Entry<f64> = Entry($body);
        let (single, double): (&'static dyn ::std::any::Any, &'static dyn ::std::any::Any) = (&SINGLE, &DOUBLE);
        match (single.downcast_ref::<Entry<$element>>(), double.downcast_ref::<Entry<$element>>()) {
            (Some(entry), _) | (None, Some(entry)) => entry.0,
            (None, None) => ::std::unreachable!("element types are f32 and f64"),
        }
    }};
}
