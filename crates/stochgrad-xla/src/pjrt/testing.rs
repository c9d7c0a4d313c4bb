//! The plugin of the tests.

use super::plugin::Plugin;
use crate::error::XlaResult;
use std::path::{Path, PathBuf};

/// The variable that names the plugin for tests and measurements.
pub const PLUGIN_VARIABLE: &str = "STOCHGRAD_PJRT_PLUGIN";

/// The plugin for tests: the file that the variable `STOCHGRAD_PJRT_PLUGIN` names, or the one that the script
/// `.ci/pjrt` has put under `target/pjrt`. If there is none, this says on standard error that the test of this name is
/// skipped, and returns `None`.
///
/// # Errors
/// If the file is not a plugin.
pub fn plugin_for_test(test: &str) -> XlaResult<Option<Plugin>> {
    plugin_file_for_test(test).map(Plugin::load).transpose()
}

/// The file of the [plugin for tests](plugin_for_test).
pub fn plugin_file_for_test(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os(PLUGIN_VARIABLE).map(PathBuf::from);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pjrt/pjrt_c_api_cpu_plugin.so");
    let file = named.or_else(|| Some(target).filter(|path| path.exists()));
    if file.is_none() {
        eprintln!("skipped: {test} needs a PJRT plugin; run .ci/pjrt, or set {PLUGIN_VARIABLE}");
    }
    file
}
