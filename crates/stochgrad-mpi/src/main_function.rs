//! A main function for all ranks.

use std::fmt::Display;
use std::process::ExitCode;
use std::rc::Rc;

use crate::ranks::MpiRanks;

/// Starts MPI and runs a program on this rank. If the program fails, its error is printed with the number of the rank,
/// and the processes of all ranks end, so that none waits for this one.
///
/// ```no_run
/// use std::process::ExitCode;
/// use stochgrad_tape::{Communicator, TapeError};
///
/// fn main() -> ExitCode {
///     stochgrad_mpi::run(|ranks| -> Result<(), TapeError> {
///         println!("rank {} of {}", ranks.rank(), ranks.size());
///         Ok(())
///     })
/// }
/// ```
pub fn run<E: Display>(program: impl FnOnce(Rc<MpiRanks>) -> Result<(), E>) -> ExitCode {
    let ranks = match MpiRanks::new() {
        Ok(ranks) => Rc::new(ranks),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match program(ranks.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use stochgrad_tape::Communicator as _;
            eprintln!("rank {}: {error}", ranks.rank());
            ranks.abort()
        }
    }
}
