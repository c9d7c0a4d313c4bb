//! Names with a prefix.

use stochgrad_tensor::{Real, Tensor};

use super::Parameters;
use crate::error::NnResult;

/// A view of [`Parameters`] that prefixes all names. Layers insert their parameters into it.
///
/// The constructors of layers take anything that converts into a scope: `&mut parameters` or `&mut scope`.
///
/// ```
/// use stochgrad_nn::Parameters;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let mut encoder = parameters.scope("encoder");
/// encoder.scope("0").insert("weight", Tensor::zeros([2, 3]))?;
/// assert!(parameters.get("encoder.0.weight").is_some());
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Scope<'a, F: Real> {
    parameters: &'a mut Parameters<F>,
    /// Empty, or ending in a dot.
    prefix: String,
}

impl<F: Real> Parameters<F> {
    /// A view that prefixes all names with `prefix` and a dot.
    pub fn scope(&mut self, prefix: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(prefix)
    }
}

impl<'a, F: Real> From<&'a mut Parameters<F>> for Scope<'a, F> {
    fn from(parameters: &'a mut Parameters<F>) -> Self {
        Scope { parameters, prefix: String::new() }
    }
}

impl<'a, F: Real> From<&'a mut Scope<'_, F>> for Scope<'a, F> {
    fn from(scope: &'a mut Scope<'_, F>) -> Self {
        Scope { parameters: scope.parameters, prefix: scope.prefix.clone() }
    }
}

impl<'a, F: Real> Scope<'a, F> {
    /// A scope inside this one. An empty name leaves the prefix unchanged.
    pub fn scope(&mut self, name: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(name)
    }

    pub(crate) fn into_scope(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.prefix += name;
            self.prefix.push('.');
        }
        self
    }

    /// The full name of a parameter of this scope.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Adds a trainable tensor, and returns its full name.
    ///
    /// # Errors
    ///
    /// As [`Parameters::insert`].
    pub fn insert(&mut self, name: &str, value: Tensor<F>) -> NnResult<String> {
        let full_name = self.full_name(name);
        self.parameters.insert(full_name.clone(), value)?;
        Ok(full_name)
    }

    /// Adds a buffer, and returns its full name.
    ///
    /// # Errors
    ///
    /// As [`Parameters::insert_buffer`].
    pub fn insert_buffer(&mut self, name: &str, value: Tensor<F>) -> NnResult<String> {
        let full_name = self.full_name(name);
        self.parameters.insert_buffer(full_name.clone(), value)?;
        Ok(full_name)
    }

    /// Adds several parameters and buffers or, on an error, none: a layer that could not be built leaves nothing
    /// behind.
    ///
    /// ```
    /// use stochgrad_nn::{NnResult, Parameters, Scope};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut layer: Scope<'_, f32> = parameters.scope("layer");
    /// let built: NnResult<()> = layer.all_or_none(|layer| {
    ///     layer.insert("weight", Tensor::zeros([2, 3]))?;
    ///     layer.insert("weight", Tensor::zeros([3]))?; // the name is taken
    ///     Ok(())
    /// });
    /// assert!(built.is_err() && parameters.is_empty());
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `add`.
    pub fn all_or_none<R>(&mut self, add: impl FnOnce(&mut Self) -> NnResult<R>) -> NnResult<R> {
        let before = self.parameters.mark();
        let result = add(self);
        if result.is_err() {
            self.parameters.truncate(before);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_put_prefixes_in_front() {
        let mut parameters = Parameters::<f64>::new();
        let mut outer = parameters.scope("encoder");
        let mut inner = outer.scope("0");
        assert_eq!(inner.insert("weight", Tensor::scalar(1.0)).unwrap(), "encoder.0.weight");
        let mut same = Scope::from(&mut inner);
        same.insert("bias", Tensor::scalar(2.0)).unwrap();
        outer.scope("").insert("scale", Tensor::scalar(3.0)).unwrap();
        assert_eq!(outer.insert_buffer("mean", Tensor::scalar(0.0)).unwrap(), "encoder.mean");
        let names: Vec<&str> = parameters.names().collect();
        assert_eq!(names, ["encoder.0.weight", "encoder.0.bias", "encoder.scale"]);
    }
}
