//! Errors that are recorded and returned later, and checks that variables and plates belong to a tape.

use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::plate::Plate;
use crate::tape::Tape;
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::Real;

impl<F: Real> Tape<F> {
    /// Records an error, and returns a poisoned variable. The next call that returns a `Result` returns the first error
    /// that was recorded.
    pub fn fail(&self, error: TapeError) -> Var<'_, F> {
        self.inner.borrow_mut().error.get_or_insert(error);
        Var { tape: self, id: Id::POISON }
    }

    /// Returns the first error recorded so far, if there is one.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> TapeResult<()> {
        match &self.inner.borrow().error {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The variable at a position.
    ///
    /// # Errors
    /// If the tape has no such position.
    #[track_caller]
    pub fn var(&self, id: Id) -> TapeResult<Var<'_, F>> {
        if self.inner.borrow().node(id).is_some() {
            Ok(Var { tape: self, id })
        } else {
            // The position of a result that could not be recorded.
            self.check()?;
            Err(TapeError::Foreign { what: format!("position {}", id.position), at: Location::caller() })
        }
    }

    /// The positions of variables. All of them must belong to this tape.
    pub(crate) fn own(&self, vars: &[Var<'_, F>], at: &'static Location<'static>) -> TapeResult<Inputs> {
        let inner = self.inner.borrow();
        vars.iter()
            .map(|var| {
                let known = var.is_poisoned() || inner.node(var.id).is_some();
                if std::ptr::eq(var.tape, self) && known {
                    Ok(var.id)
                } else {
                    Err(TapeError::Foreign { what: "a variable".into(), at })
                }
            })
            .collect()
    }

    pub(crate) fn own_plates(&self, plates: &[Plate], at: &'static Location<'static>) -> TapeResult<()> {
        let inner = self.inner.borrow();
        for plate in plates {
            if plate.generation != inner.generation || plate.index as usize >= inner.plates.len() {
                return Err(TapeError::Foreign { what: format!("plate {}", plate.index), at });
            }
        }
        Ok(())
    }
}
