//! Parameters that can be given in more than one form.

pub(crate) mod categories;
pub(crate) mod probability;
pub(crate) mod rate_or_log;
pub(crate) mod rate_or_scale;
