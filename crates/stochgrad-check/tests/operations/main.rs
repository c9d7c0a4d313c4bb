//! Every operation of the tape: first and second derivatives against central differences.

mod cases;
mod control;
#[path = "../../../stochgrad/tests/exactness/cores.rs"]
mod cores;
mod coverage;
mod devices_table;
mod elementwise;
mod images;
mod lowered;
mod matrices;
mod plates;
mod primitives;
mod reductions;
mod shapes;
mod special;
