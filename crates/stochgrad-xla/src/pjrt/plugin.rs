//! Plugins: shared libraries with the functions of PJRT.

use super::api::{Api, ClientHandle};
use super::client::Client;
use crate::error::XlaResult;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A PJRT plugin: the shared library of an engine that compiles and runs programs on devices of one vendor.
///
/// | devices | Python package | file |
/// |---|---|---|
/// | CPU | `lammps-jax-pjrt-cpu` | `lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so` |
/// | NVIDIA | `jax-cuda13-pjrt` | `jax_plugins/xla_cuda13/xla_cuda_plugin.so` |
///
/// No Python is needed to use them: `pip download --no-deps` and `unzip` are enough. A plugin stays loaded until the
/// process ends.
#[derive(Clone)]
pub struct Plugin {
    path: PathBuf,
    api: Arc<Api>,
}

impl Plugin {
    /// Loads a plugin. The library is trusted: its code runs in this process.
    ///
    /// ```
    /// use stochgrad_xla::pjrt::Plugin;
    ///
    /// let error = Plugin::load("no/such/plugin.so").unwrap_err().to_string();
    /// assert!(error.starts_with("expected a PJRT plugin in no/such/plugin.so, got no file"), "{error}");
    /// ```
    ///
    /// # Errors
    /// If the file is missing, is not a plugin, is a plugin of a version before 0.81 of the API, or cannot be
    /// initialised.
    pub fn load(path: impl AsRef<Path>) -> XlaResult<Plugin> {
        let path = path.as_ref().to_path_buf();
        Ok(Plugin { api: Api::load(&path)?, path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the API that the plugin implements.
    pub fn version(&self) -> (i32, i32) {
        self.api.version()
    }

    /// A client with the options of the plugin, by name. The CPU plugin has `cpu_device_count`, which divides the host
    /// into several devices.
    ///
    /// # Errors
    /// If the plugin finds no devices, or does not know an option.
    pub fn client(&self, options: &[(&str, i64)]) -> XlaResult<Client> {
        Ok(Client::new(ClientHandle::new(self.api.clone(), options)?))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("path", &self.path).field("version", &self.version()).finish()
    }
}
