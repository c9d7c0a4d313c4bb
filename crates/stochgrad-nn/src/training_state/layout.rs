//! The names of the entries of a training run in a checkpoint.

pub(super) const STEP: &str = "training/step";
pub(super) const EPOCH: &str = "training/epoch";
pub(super) const SEED: &str = "training/seed";
pub(super) const OPTIMIZER_KIND: &str = "optimizer";
pub(super) const OPTIMIZER_STEPS: &str = "optimizer_steps";
pub(super) const OPTIMIZER_COUNTERS: &str = "optimizer_counters/";
pub(super) const OPTIMIZER_PREFIX: &str = "optimizer/";
pub(super) const METHODS: &str = "methods";
pub(super) const METHODS_PREFIX: &str = "methods/";
pub(super) const SETTINGS_PREFIX: &str = "settings/";

/// The name of an entry. Slashes in `owner` are escaped, so that it ends at the first slash after the prefix.
pub(super) fn entry_name(prefix: &str, owner: &str, rest: &str) -> String {
    let owner = owner.replace('%', "%25").replace('/', "%2F");
    format!("{prefix}{owner}/{rest}")
}

pub(super) fn unescaped(owner: &str) -> String {
    owner.replace("%2F", "/").replace("%25", "%")
}
