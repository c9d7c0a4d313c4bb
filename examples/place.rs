//! Where a program trains.

use std::path::PathBuf;
use std::str::FromStr;

use stochgrad_xla::{Device, XlaResult};

/// Where a program trains: the value of its option `--device`.
///
/// ```
/// use stochgrad_examples::Place;
///
/// assert_eq!("xla:target/plugin.so".parse::<Place>(), Ok(Place::Plugin("target/plugin.so".into())));
/// assert!("gpu".parse::<Place>().unwrap_err().contains("got \"gpu\""));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `cpu`: the engine of the library.
    Cpu,
    /// `xla:PLUGIN`: the first device of the PJRT plugin in this file.
    Plugin(PathBuf),
}

impl Place {
    /// The device, for a trainer; `None` for the engine of the library.
    ///
    /// # Errors
    ///
    /// If the file is not a plugin.
    pub fn open(&self) -> XlaResult<Option<Device>> {
        match self {
            Place::Cpu => Ok(None),
            Place::Plugin(path) => Device::load(path).map(Some),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Place::Cpu),
            Some(("xla", path)) if !path.is_empty() => Ok(Place::Plugin(path.into())),
            _ => Err(format!(
                "expected cpu, or xla:PLUGIN with the file of a PJRT plugin, got \"{text}\"; .ci/pjrt downloads the \
                 plugin target/pjrt/pjrt_c_api_cpu_plugin.so, and docs/devices/README.md lists others"
            )),
        }
    }
}
