//! Sequences of tokens from a transition: sampled token by token, decoded greedily or by beam search, or drawn
//! without replacement.

pub(crate) mod distinct;
pub(crate) mod model;
pub(crate) mod sampled;
pub(crate) mod search;
