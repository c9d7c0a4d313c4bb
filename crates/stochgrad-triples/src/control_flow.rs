//! Branches and loops that depend on samples.

use crate::error::TripleError;
use crate::run::Run;
use crate::structure::Triples;
use crate::triple::Triple;

impl Run {
    /// Runs host code that depends on the values of triples: `if`, `match`, indices, loops over a sampled number.
    ///
    /// The block is called with the values. If a jump changes them, it is called a second time, with the values after
    /// the jump and with the same noise, and the two results become the value and the alternative of what is returned.
    /// The block may use other triples and draw samples. It must not change anything outside that a result depends on,
    /// since what the second call does there is not undone.
    ///
    /// The decision must be on discrete values. A value that changes smoothly with the argument of the program is an
    /// error: the result may jump where the branch changes, and a triple does not see this.
    ///
    /// ```
    /// use stochgrad_triples::{Triple, average};
    ///
    /// // A fair price after heads, and a price of 3 after tails: E = p · 1 + (1 − p) · 3.
    /// let mean = average(0.25, 10_000, 7, |run, p| {
    ///     let coin = run.bernoulli(p);
    ///     run.branch(coin, |run, coin| if coin == 1.0 { run.poisson(1.0) } else { Triple::constant(3.0) })
    /// })?;
    /// assert!((mean.derivative + 2.0).abs() < 4.0 * mean.derivative_error);
    /// # Ok::<(), stochgrad_triples::TripleError>(())
    /// ```
    pub fn branch<D: Triples, R: Triples>(&mut self, on: D, mut block: impl FnMut(&mut Run, D::Values) -> R) -> R {
        self.require_discrete(&on, "branch");
        let key = self.key();
        let now = on.values(&mut |x| self.current(x));
        let jumped = self.jumped(&on);
        let event = self.live;
        let parts = jumped.as_ref().is_some_and(|jumped| *jumped != now);
        if parts {
            self.live = 0;
        }
        let mut result = self.with_noise(key, 0, |run| block(run, now));
        if let Some(jumped) = jumped
            && parts
            && self.is_chosen(event)
        {
            let other = self.after_jump(event, |run| run.with_noise(key, 0, |run| block(run, jumped)));
            self.merge(&mut result, &other, "branch");
        }
        result
    }

    /// Repeats a block as long as a condition holds.
    ///
    /// `on` selects the triples of the state that the condition reads. They must be discrete, as for
    /// [`branch`](Self::branch). If a jump changes the number of iterations, the rest of the loop runs a second time as
    /// it would after the jump. Each iteration has noise of its own, which is the same in both runs.
    ///
    /// ```
    /// use stochgrad_triples::{Triple, average};
    ///
    /// // The number of coins until the first head has the mean 1 / p.
    /// let mean = average(0.5, 20_000, 7, |run, p| {
    ///     let start = [run.bernoulli(p), Triple::constant(1.0)];
    ///     let end = run.while_loop(start, |state| state[0], |coin| *coin == 0.0, |run, [_, count]| {
    ///         [run.bernoulli(p), count + 1.0]
    ///     });
    ///     end[1]
    /// })?;
    /// assert!((mean.value - 2.0).abs() < 4.0 * mean.value_error);
    /// assert!((mean.derivative + 4.0).abs() < 4.0 * mean.derivative_error);
    /// # Ok::<(), stochgrad_triples::TripleError>(())
    /// ```
    pub fn while_loop<S: Triples, D: Triples>(
        &mut self,
        mut state: S,
        on: impl Fn(&S) -> D,
        condition: impl Fn(&D::Values) -> bool,
        mut body: impl FnMut(&mut Run, S) -> S,
    ) -> S {
        let key = self.key();
        // The state at which the loop would go another way after a jump, the iteration, and the jump.
        let mut parted: Option<(S, u64, u64)> = None;
        let mut iteration = 0;
        loop {
            let decisive = on(&state);
            self.require_discrete(&decisive, "loop");
            let goes_on = condition(&decisive.values(&mut |x| self.current(x)));
            if let Some(jumped) = self.jumped(&decisive)
                && condition(&jumped) != goes_on
            {
                parted = Some((state.clone(), iteration, self.live));
                self.live = 0;
            }
            if !goes_on || !self.may_repeat(iteration) {
                break;
            }
            state = self.with_noise(key, iteration, |run| body(run, state));
            iteration += 1;
        }
        if let Some((mut other, mut iteration, event)) = parted
            && self.is_chosen(event)
        {
            let other = self.after_jump(event, |run| {
                while condition(&on(&other).values(&mut |x| run.current(x))) && run.may_repeat(iteration) {
                    other = run.with_noise(key, iteration, |run| body(run, other.clone()));
                    iteration += 1;
                }
                other
            });
            self.merge(&mut state, &other, "loop");
        }
        state
    }

    /// Sets the largest number of iterations of a loop, 2³² by default. More are an error.
    pub fn loop_limit(&mut self, limit: u64) {
        self.loop_limit = limit;
    }

    fn may_repeat(&mut self, iteration: u64) -> bool {
        if iteration >= self.loop_limit {
            self.fail(TripleError::EndlessLoop { limit: self.loop_limit });
        }
        !self.has_failed()
    }

    /// The values after the jump that this run follows, if some of them have an alternative.
    fn jumped<D: Triples>(&self, on: &D) -> Option<D::Values> {
        if self.is_after_jump {
            return None;
        }
        let mut any = false;
        let values = on.values(&mut |x| {
            any |= self.has_alternative(x);
            x.if_jumped(self.live)
        });
        any.then_some(values)
    }

    /// Runs a block as it would run after a jump.
    fn after_jump<R>(&mut self, event: u64, block: impl FnOnce(&mut Run) -> R) -> R {
        self.live = event;
        self.is_after_jump = true;
        let result = block(self);
        self.is_after_jump = false;
        result
    }

    /// Makes the values of another structure the alternatives of a result.
    fn merge<R: Triples>(&mut self, result: &mut R, other: &R, statement: &'static str) {
        let [first, second] = [result.count(), other.count()];
        if first != second {
            self.fail(TripleError::Lengths { statement, first, second });
        }
        let event = self.live;
        result.zip_with(other, &mut |own, other| Triple { alternative: other.if_jumped(event), event, ..own });
    }

    fn require_discrete<D: Triples>(&mut self, on: &D, statement: &'static str) {
        if self.is_after_jump {
            return;
        }
        let mut smooth = 0.0;
        on.values(&mut |x| {
            if x.derivative != 0.0 {
                smooth = x.derivative;
            }
            x.value
        });
        if smooth != 0.0 {
            self.fail(TripleError::SmoothBranch { statement, derivative: smooth });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{average, estimate};

    #[test]
    fn a_decision_on_a_smooth_value_is_refused() {
        let program =
            |run: &mut Run, p: Triple| run.branch(p, |_, p| Triple::constant(if p > 0.5 { 1.0 } else { 0.0 }));
        let message = estimate(0.5, 1, program).expect_err("a refusal").to_string();
        assert!(
            message.starts_with("expected a branch on discrete values, got a value with the derivative 1;"),
            "{message}"
        );
    }

    #[test]
    fn an_endless_loop_is_an_error() {
        let error = estimate(0.5, 1, |run, p| {
            run.loop_limit(100);
            run.while_loop(p * 0.0, |_| Triple::constant(0.0), |_| true, |_, state| state + 1.0)
        });
        assert_eq!(error, Err(TripleError::EndlessLoop { limit: 100 }));
    }

    #[test]
    fn branches_must_return_as_many_values() {
        let program = |run: &mut Run, p: Triple| {
            let n = run.bernoulli(p);
            run.branch(n, |_, n| vec![Triple::constant(1.0); 1 + n as usize])[0]
        };
        let errors = (0..50).filter_map(|seed| estimate(0.5, seed, program).err());
        assert!(errors.into_iter().all(|error| matches!(error, TripleError::Lengths { .. })));
        assert!((0..50).any(|seed| estimate(0.5, seed, program).is_err()));
    }

    /// What a block draws must not change the noise of what follows it: otherwise the noise after the jump would depend
    /// on the number of draws in the block, and the derivative of this product would be wrong.
    #[test]
    fn what_follows_a_branch_is_independent_of_it() {
        let program = |run: &mut Run, p: Triple| {
            let n = run.binomial(2.0, p);
            let inside = run.branch(n, |run, n| (0..n as u32).map(|_| run.bernoulli(0.5)).sum::<Triple>());
            let outside = run.bernoulli(0.5 * p) + run.bernoulli(0.5);
            inside * outside
        };
        // E = p · (p + 1) / 2.
        let mean = average(0.6, 40_000, 3, program).expect("a valid program");
        assert!((mean.value - 0.48).abs() < 4.0 * mean.value_error, "{mean:?}");
        assert!((mean.derivative - 1.1).abs() < 4.0 * mean.derivative_error, "{mean:?}");
    }
}
