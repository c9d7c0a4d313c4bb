//! Timings of `stochgrad`.
//!
//! * [`cases`] lists what the binary `peers` times against other systems: training steps of variational autoencoders
//!   ([`vae`]), small graphs ([`small_graphs`]), many single-sample estimates ([`gradient_moments`]), replays
//!   ([`measure_valued`]), training steps of a convolutional autoencoder ([`conv_vae`]), a hidden Markov model
//!   ([`hidden_markov`]), a recurrent net that samples ([`recurrent_sampler`]) and a sigmoid belief net ([`belief_net`]).
//! * [`straight_line`] is a training step written by hand, without a tape. It bounds the speed that the engine can
//!   reach.
//! * [`timing`] times a step, and [`processors`] sets the processors on which it runs.
//!
//! Every case uses the public interface of `stochgrad` only, as any program would.

pub mod belief_net;
pub mod case;
pub mod cases;
pub mod conv_vae;
pub mod data;
pub mod estimate;
pub mod gradient_moments;
pub mod hidden_markov;
pub mod measure_valued;
pub mod processors;
pub mod recurrent_sampler;
pub mod small_graphs;
pub mod stablehlo;
pub mod straight_line;
#[cfg(test)]
mod testing;
pub mod timing;
pub mod training;
pub mod vae;

/// Why a case could not be set up or run.
pub type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// The result of setting up or running a case.
pub type BenchResult<T> = Result<T, BenchError>;
