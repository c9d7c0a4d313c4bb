//! Runs the shards of a minibatch on the processes of MPI.
//!
//! [`MpiRanks`] is the [`Communicator`](stochgrad_tape::Communicator) of all processes that `mpirun` started, and
//! [`run`] is a main function for them. Without the feature `mpi`, which needs an MPI library with its compiler wrapper
//! and libclang (`apt install openmpi-bin libopenmpi-dev libclang-dev`), the crate is empty.
#![cfg_attr(not(feature = "mpi"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "mpi")]
mod main_function;
#[cfg(feature = "mpi")]
mod ranks;
#[cfg(feature = "mpi")]
mod shared_memory;

#[cfg(feature = "mpi")]
pub use main_function::run;
#[cfg(feature = "mpi")]
pub use ranks::MpiRanks;
