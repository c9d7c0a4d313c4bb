//! How a parameter appears in files of PyTorch.

use crate::pytorch::Layout;

/// The name and the layout of a parameter or a buffer in files of PyTorch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) layout: Layout,
}
