//! Files with the names and layouts of PyTorch.
//!
//! The parameters of a model are stored in the layouts that suit this library: the weights of a linear layer are
//! `[inputs, outputs]`, those of a convolution have the channels last. Each layer states how PyTorch names and arranges
//! its parameters ([`Scope::insert_in_layout`](crate::Scope::insert_in_layout)), so that
//! [`Parameters::load_pytorch`](crate::Parameters::load_pytorch) and
//! [`Parameters::save_pytorch`](crate::Parameters::save_pytorch) convert whole models. The names of both sides agree if
//! the layers have the names of PyTorch's modules:
//!
//! | layer | module of PyTorch | parameters and buffers |
//! |---|---|---|
//! | [`Linear`](crate::Linear) | `Linear` | `weight`, `bias` (unless [`without_bias`](crate::Linear::without_bias)) |
//! | [`Mlp`](crate::Mlp) | `Sequential` of `Linear` and activations | `0.weight`, `0.bias`, `2.weight` … |
//! | [`Sequential`](crate::Sequential) | `Sequential` | those of its layers, after `0.`, `1.` … |
//! | [`Conv1d`](crate::Conv1d), [`Conv2d`](crate::Conv2d), [`ConvTranspose1d`](crate::ConvTranspose1d), [`ConvTranspose2d`](crate::ConvTranspose2d) | of the same name | `weight`, `bias` (unless [`without_bias`](crate::ConvKernel::without_bias)) |
//! | [`Embedding`](crate::Embedding) | `Embedding` | `weight` |
//! | [`LayerNorm`](crate::LayerNorm), [`GroupNorm`](crate::GroupNorm) | `LayerNorm`, `GroupNorm` | `weight`, `bias` |
//! | [`BatchNorm`](crate::BatchNorm) | `BatchNorm1d`, `BatchNorm2d` | `weight`, `bias`, `running_mean`, `running_var` |
//! | [`GruCell`](crate::GruCell), [`LstmCell`](crate::LstmCell) | `GRUCell`, `LSTMCell` | `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` |
//! | [`Gru`](crate::Gru), [`Lstm`](crate::Lstm) | `GRU`, `LSTM` | `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_ih_l1` …, and `weight_ih_l0_reverse` … if it is [`bidirectional`](crate::Gru::bidirectional) |
//! | [`MultiHeadAttention`](crate::MultiHeadAttention) | `MultiheadAttention` | `in_proj_weight`, `in_proj_bias`, `out_proj.weight`, `out_proj.bias` |
//!
//! Images have their channels last here, and before the height in PyTorch. The weights are converted; inputs must have
//! this library's order of axes, and so must a linear layer behind a convolution
//! ([`Flatten::channels_first`](crate::Flatten)).
//!
//! A file is written in Python with
//!
//! ```python
//! from safetensors.torch import save_file
//! save_file(model.state_dict(), "model.safetensors")
//! ```
//!
//! and read there with `model.load_state_dict(load_file("model.safetensors"))`. The counter `num_batches_tracked` of
//! PyTorch's batch normalisation has no counterpart here: it is skipped, and PyTorch does not miss it.

mod files;
mod form;
mod layout;

pub use layout::Layout;

pub(crate) use form::Form;
