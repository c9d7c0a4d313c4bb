//! Compiled programs on devices.

use super::api::ProgramHandle;
use super::buffer::Buffer;
use crate::error::{XlaError, XlaResult};
use std::fmt;

/// A program that a plugin has compiled for one or several devices. Made by [`Client::compile`](super::Client::compile).
pub struct Executable {
    handle: ProgramHandle,
    devices: usize,
}

impl Executable {
    pub(super) fn new(handle: ProgramHandle, devices: usize) -> Self {
        Executable { handle, devices }
    }

    /// The number of results.
    pub fn results(&self) -> usize {
        self.handle.outputs()
    }

    /// Runs a program on its only device. The call may return before the results are computed: reading a result waits
    /// for it.
    ///
    /// Arguments to which the text gives the attribute `tf.aliasing_output` or `jax.buffer_donor` are donated: their
    /// memory becomes that of results, and the buffers must not be used again.
    ///
    /// # Errors
    /// If the program has several devices, if the number or the sizes of the arguments are not those of the program, if
    /// an argument was donated before, or if the memory is exhausted.
    pub fn run(&self, arguments: &[&Buffer]) -> XlaResult<Vec<Buffer>> {
        let mut results = self.run_on_all(&[arguments])?;
        Ok(results.pop().unwrap_or_default())
    }

    /// Runs a program on all its devices, with the arguments of each. The results are those of each device.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if there are not as many lists as devices.
    pub fn run_on_all(&self, arguments: &[&[&Buffer]]) -> XlaResult<Vec<Vec<Buffer>>> {
        self.run_without_donating(arguments, &[])
    }

    /// As [`run_on_all`](Self::run_on_all), but the arguments with these numbers are not donated, even where the text
    /// says so.
    ///
    /// # Errors
    /// As [`run_on_all`](Self::run_on_all).
    pub fn run_without_donating(&self, arguments: &[&[&Buffer]], kept: &[i64]) -> XlaResult<Vec<Vec<Buffer>>> {
        if arguments.len() != self.devices {
            return Err(XlaError::Mismatch {
                what: "the arguments of a program".into(),
                expected: format!("a list for each of its {} devices", self.devices),
                got: format!("{} lists", arguments.len()),
                advice: "a program runs on all devices for which it was compiled".into(),
            });
        }
        if let Some(list) = arguments.iter().find(|list| list.len() != arguments[0].len()) {
            return Err(XlaError::Mismatch {
                what: "the arguments of a program".into(),
                expected: format!("{} arguments for each device", arguments[0].len()),
                got: list.len().to_string(),
                advice: "all devices run the same program".into(),
            });
        }
        let handles: Vec<Vec<_>> =
            arguments.iter().map(|list| list.iter().map(|buffer| buffer.handle()).collect()).collect();
        let results = self.handle.run(&handles, kept)?;
        Ok(results.into_iter().map(|list| list.into_iter().map(Buffer::new).collect()).collect())
    }
}

impl fmt::Debug for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executable").field("devices", &self.devices).field("results", &self.results()).finish()
    }
}
