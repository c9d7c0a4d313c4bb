//! Names with a prefix.

use stochgrad_tensor::{Real, Tensor};

use super::Parameters;
use crate::error::NnResult;
use crate::pytorch::{Form, Layout};

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
    /// The prefix in files of PyTorch, if it differs.
    pytorch: Option<String>,
}

impl<F: Real> Parameters<F> {
    /// A view that prefixes all names with `prefix` and a dot.
    pub fn scope(&mut self, prefix: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(prefix)
    }
}

impl<'a, F: Real> From<&'a mut Parameters<F>> for Scope<'a, F> {
    fn from(parameters: &'a mut Parameters<F>) -> Self {
        Scope { parameters, prefix: String::new(), pytorch: None }
    }
}

impl<'a, F: Real> From<&'a mut Scope<'_, F>> for Scope<'a, F> {
    fn from(scope: &'a mut Scope<'_, F>) -> Self {
        Scope { parameters: scope.parameters, prefix: scope.prefix.clone(), pytorch: scope.pytorch.clone() }
    }
}

impl<'a, F: Real> Scope<'a, F> {
    /// A scope inside this one. An empty name leaves the prefix unchanged.
    pub fn scope(&mut self, name: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope(name)
    }

    pub(crate) fn into_scope(self, name: &str) -> Self {
        self.into_scope_named(name, name)
    }

    /// A scope inside this one that has another name in files of PyTorch. An empty name leaves the prefix unchanged.
    pub fn scope_named(&mut self, name: &str, in_pytorch: &str) -> Scope<'_, F> {
        Scope::from(self).into_scope_named(name, in_pytorch)
    }

    fn into_scope_named(mut self, name: &str, in_pytorch: &str) -> Self {
        if self.pytorch.is_some() || name != in_pytorch {
            extend(self.pytorch.get_or_insert_with(|| self.prefix.clone()), in_pytorch);
        }
        extend(&mut self.prefix, name);
        self
    }

    /// The name of the scope itself.
    pub fn name(&self) -> &str {
        self.prefix.strip_suffix('.').unwrap_or(&self.prefix)
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
        self.insert_in_layout(name, value, name, Layout::SAME)
    }

    /// Adds a trainable tensor that has another name or another layout in [files of PyTorch](crate::pytorch), and
    /// returns its full name here. The name in PyTorch is within the same scope.
    ///
    /// ```
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_nn::pytorch::Layout;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// let mut layer = parameters.scope("cell");
    /// layer.insert_in_layout("input_weights", Tensor::zeros([2, 3]), "weight_ih", Layout::TRANSPOSED)?;
    /// # Ok::<(), stochgrad_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Parameters::insert`].
    pub fn insert_in_layout(
        &mut self,
        name: &str,
        value: Tensor<F>,
        in_pytorch: &str,
        layout: Layout,
    ) -> NnResult<String> {
        let full_name = self.full_name(name);
        self.parameters.insert(full_name.clone(), value)?;
        self.note_form(&full_name, in_pytorch, layout);
        Ok(full_name)
    }

    /// Notes how a tensor appears in files of PyTorch, unless it is the same as here.
    fn note_form(&mut self, full_name: &str, in_pytorch: &str, layout: Layout) {
        let form = Form { name: format!("{}{in_pytorch}", self.pytorch.as_ref().unwrap_or(&self.prefix)), layout };
        if form.name != full_name || layout != Layout::SAME {
            self.parameters.forms.insert(full_name.into(), form);
        }
    }

    /// Replaces the value of a parameter or a buffer by another one of the same shape. The name is the full one.
    ///
    /// # Errors
    ///
    /// As [`Parameters::set`].
    pub(crate) fn set(&mut self, full_name: &str, value: Tensor<F>) -> NnResult<()> {
        self.parameters.set(full_name, value)
    }

    /// Adds a buffer, and returns its full name.
    ///
    /// # Errors
    ///
    /// As [`Parameters::insert_buffer`].
    pub fn insert_buffer(&mut self, name: &str, value: Tensor<F>) -> NnResult<String> {
        let full_name = self.full_name(name);
        self.parameters.insert_buffer(full_name.clone(), value)?;
        self.note_form(&full_name, name, Layout::SAME);
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

/// Adds a name and a dot to a prefix, unless the name is empty.
fn extend(prefix: &mut String, name: &str) {
    if !name.is_empty() {
        prefix.push_str(name);
        prefix.push('.');
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
