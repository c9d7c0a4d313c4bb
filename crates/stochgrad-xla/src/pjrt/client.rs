//! Clients: the devices of a plugin.

use super::api::ClientHandle;
use super::buffer::Buffer;
use super::element::Element;
use super::executable::Executable;
use super::options::compile_options;
use crate::error::{XlaError, XlaResult};
use std::fmt;
use std::sync::Arc;

/// The devices of a plugin, with what they need to compile programs and to hold tensors. Clones share it, and it ends
/// with the last program and the last buffer.
#[derive(Clone)]
pub struct Client {
    handle: Arc<ClientHandle>,
}

impl Client {
    pub(super) fn new(handle: Arc<ClientHandle>) -> Self {
        Client { handle }
    }

    /// The name of the platform, such as `cpu` or `cuda`.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn platform(&self) -> XlaResult<String> {
        self.handle.platform()
    }

    /// The version of the API that the plugin implements.
    pub fn version(&self) -> (i32, i32) {
        self.handle.api().version()
    }

    /// The number of devices of this process. They are numbered from 0.
    pub fn devices(&self) -> usize {
        self.handle.devices()
    }

    /// What a device is, in the words of its vendor.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn device_kind(&self, device: usize) -> XlaResult<String> {
        self.check_device(device)?;
        Ok(self.handle.device(device)?.1)
    }

    /// Copies elements in row-major order to a device.
    ///
    /// # Errors
    /// If there is no such device, the number of elements is not that of the shape, or the memory is exhausted.
    pub fn upload<T: Element>(&self, device: usize, data: &[T], shape: &[usize]) -> XlaResult<Buffer> {
        self.check_device(device)?;
        if shape.iter().product::<usize>() != data.len() {
            return Err(XlaError::Mismatch {
                what: "a tensor for a device".into(),
                expected: format!("the {} elements of shape {shape:?}", shape.iter().product::<usize>()),
                got: format!("{} elements", data.len()),
                advice: "give the shape of the data".into(),
            });
        }
        let dims: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        Ok(Buffer::new(self.handle.upload(device, data, &dims)?))
    }

    /// Compiles the text of a program in StableHLO for one or several devices. On several devices, each one runs the
    /// program as a replica, on arguments of its own.
    ///
    /// # Errors
    /// If there is no such device, or the plugin refuses the program.
    pub fn compile(&self, text: &str, devices: &[usize]) -> XlaResult<Executable> {
        let mut ids = Vec::new();
        for &device in devices {
            self.check_device(device)?;
            ids.push(self.handle.device(device)?.0);
        }
        Ok(Executable::new(self.handle.compile(text, &compile_options(&ids))?, devices.len()))
    }

    fn check_device(&self, device: usize) -> XlaResult<()> {
        if device < self.devices() {
            return Ok(());
        }
        Err(XlaError::Mismatch {
            what: "a device".into(),
            expected: format!("a number below {}, the number of devices", self.devices()),
            got: device.to_string(),
            advice: "the option cpu_device_count of the CPU plugin makes more devices".into(),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = self.platform().unwrap_or_else(|error| error.to_string());
        f.debug_struct("Client").field("platform", &platform).field("devices", &self.devices()).finish()
    }
}
