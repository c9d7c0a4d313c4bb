//! Score functions with control variates whose mean is known or can be recorded.

pub(crate) mod double_control_variate;
pub(crate) mod lax;
pub(crate) mod rebar;
pub(crate) mod relax;
pub(crate) mod relaxed_control;
pub(crate) mod rodeo;
