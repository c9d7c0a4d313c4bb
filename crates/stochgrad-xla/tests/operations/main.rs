//! Every operation, lowered and run by a plugin, agrees with the engine for CPUs.

mod agreement;
mod elementwise;
mod programs;
mod samplers;
