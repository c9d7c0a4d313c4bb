//! Tensors on devices.

use super::api::BufferHandle;
use super::element::{Element, ElementType};
use crate::error::{XlaError, XlaResult};
use std::fmt;

/// A tensor on a device. Its memory is freed when it is dropped.
pub struct Buffer {
    handle: BufferHandle,
}

impl Buffer {
    pub(super) fn new(handle: BufferHandle) -> Self {
        Buffer { handle }
    }

    pub(super) fn handle(&self) -> &BufferHandle {
        &self.handle
    }

    /// The shape.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn shape(&self) -> XlaResult<Vec<usize>> {
        Ok(self.handle.dims()?.into_iter().map(|size| size as usize).collect())
    }

    /// The type of the elements.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn element_type(&self) -> XlaResult<ElementType> {
        self.handle.element_type()
    }

    /// Waits until the value is computed.
    ///
    /// # Errors
    /// If the program that computes it has failed.
    pub fn wait(&self) -> XlaResult<()> {
        self.handle.wait()
    }

    /// Waits until the value is computed, and copies its elements in row-major order.
    ///
    /// # Errors
    /// If the elements have another type, the program that computes it has failed, or the buffer was donated.
    pub fn read<T: Element>(&self) -> XlaResult<Vec<T>> {
        let dims = self.handle.dims()?;
        let mut elements = vec![T::default(); dims.iter().product::<i64>() as usize];
        self.check_type::<T>()?;
        self.handle.download(dims.len(), &mut elements)?;
        Ok(elements)
    }

    /// As [`read`](Self::read), to existing memory.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if the number of elements differs.
    pub fn read_to<T: Element>(&self, destination: &mut [T]) -> XlaResult<()> {
        let dims = self.handle.dims()?;
        self.check_type::<T>()?;
        let count = dims.iter().product::<i64>() as usize;
        if count != destination.len() {
            return Err(XlaError::Mismatch {
                what: "reading a tensor of a device".into(),
                expected: format!("room for the {count} elements of shape {dims:?}"),
                got: format!("{} elements", destination.len()),
                advice: "Buffer::shape returns the shape".into(),
            });
        }
        self.handle.download(dims.len(), destination)
    }

    fn check_type<T: Element>(&self) -> XlaResult<()> {
        let kind = self.handle.element_type()?;
        if kind == T::TYPE {
            return Ok(());
        }
        Err(XlaError::Mismatch {
            what: "reading a tensor of a device".into(),
            expected: format!("elements of type {kind}"),
            got: T::TYPE.to_string(),
            advice: "Buffer::element_type returns the type".into(),
        })
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.handle.dims(), self.handle.element_type()) {
            (Ok(dims), Ok(kind)) => write!(f, "Buffer({kind}, {dims:?})"),
            (Err(error), _) | (_, Err(error)) => write!(f, "Buffer({error})"),
        }
    }
}
