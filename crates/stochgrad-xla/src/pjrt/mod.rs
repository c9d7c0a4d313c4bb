//! A client of PJRT plugins: the engines behind JAX, for CPUs and for the accelerators of all vendors.
//!
//! A [`Plugin`] is a shared library. It makes a [`Client`], whose devices hold tensors ([`Buffer`]) and run programs
//! ([`Executable`]) that are written in StableHLO. The programs may come from this crate or from anywhere else.
//!
//! ```no_run
//! use stochgrad_xla::pjrt::Plugin;
//!
//! let client = Plugin::load("pjrt_c_api_cpu_plugin.so")?.client(&[])?;
//! let text = "func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> {
//!   %y = stablehlo.add %x, %x : tensor<2xf32>
//!   return %y : tensor<2xf32>
//! }";
//! let program = client.compile(text, &[0])?;
//! let x = client.upload(0, &[1.0_f32, 2.5], &[2])?;
//! let results = program.run(&[&x])?;
//! assert_eq!(results[0].read::<f32>()?, [2.0, 5.0]);
//! # Ok::<(), stochgrad_xla::XlaError>(())
//! ```

mod api;
mod buffer;
mod client;
mod declarations;
mod element;
mod executable;
mod options;
mod plugin;
pub mod testing;

pub use buffer::Buffer;
pub use client::Client;
pub use element::{Element, ElementType};
pub use executable::Executable;
pub use plugin::Plugin;
