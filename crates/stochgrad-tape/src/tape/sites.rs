//! Stochastic sites, and the sets of sites that values depend on.

use crate::op::Op;
use crate::sets::{SetId, SiteId};
use crate::tape::Tape;
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::Real;

impl<F: Real> Tape<F> {
    /// Creates a stochastic site.
    pub fn new_site(&self) -> SiteId {
        let mut inner = self.inner.borrow_mut();
        inner.sites += 1;
        SiteId(inner.sites - 1)
    }

    /// The number of stochastic sites.
    pub fn site_count(&self) -> usize {
        self.inner.borrow().sites as usize
    }

    /// Records the value of a stochastic node together with the parameters of its distribution. Values computed from
    /// the result depend on the node, and on everything that its parameters depend on. Gradients flow to `value` only.
    #[track_caller]
    pub fn sample<'t>(&'t self, site: SiteId, value: Var<'t, F>, parameters: &[Var<'t, F>]) -> Var<'t, F> {
        let location = Location::caller();
        let mut inputs = vec![value];
        inputs.extend_from_slice(parameters);
        match self.own(&inputs, location) {
            Ok(ids) => Var { tape: self, id: self.apply(Op::Sample(site), &ids, location) },
            Err(error) => self.fail(error),
        }
    }

    /// Stops gradients at the sampled value of a site if `closed` is set, otherwise lets them pass.
    pub fn set_closed(&self, site: SiteId, closed: bool) {
        let mut inner = self.inner.borrow_mut();
        if closed {
            inner.closed.insert(site);
        } else {
            inner.closed.remove(&site);
        }
    }

    /// Whether gradients stop at the sampled value of a site; see [`set_closed`](Self::set_closed).
    pub fn is_closed(&self, site: SiteId) -> bool {
        self.inner.borrow().closed.contains(&site)
    }

    /// The words of a set of sites. Bit `i` of word `w` represents site `64 w + i`.
    pub fn set_words(&self, set: SetId) -> Vec<u64> {
        self.inner.borrow().sets.words(set).to_vec()
    }

    /// The sites of a set, in rising order.
    pub fn sites(&self, set: SetId) -> Vec<SiteId> {
        let mut sites = Vec::new();
        for (index, &word) in self.inner.borrow().sets.words(set).iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                sites.push(SiteId(index as u32 * 64 + rest.trailing_zeros()));
                rest &= rest - 1;
            }
        }
        sites
    }

    /// Whether a site is in a set.
    pub fn set_contains(&self, set: SetId, site: SiteId) -> bool {
        self.inner
            .borrow()
            .sets
            .words(set)
            .get((site.0 / 64) as usize)
            .is_some_and(|word| word >> (site.0 % 64) & 1 == 1)
    }
}
