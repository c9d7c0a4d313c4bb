//! Interned sets of stochastic sites.
//!
//! Each value on the tape stores the id of the set of sites that it depends on. The sets are bit sets. Equal sets are
//! stored once and unions are cached, so a chain of operations costs one look-up for each operation.

use std::collections::HashMap;

/// The number of a stochastic node on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub u32);

/// An interned set of sites: equal sets have equal ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u32);

impl SetId {
    /// The empty set.
    pub const EMPTY: SetId = SetId(0);
}

#[derive(Debug)]
pub(crate) struct SetTable {
    words: Vec<Box<[u64]>>,
    ids: HashMap<Box<[u64]>, SetId>,
    unions: HashMap<(SetId, SetId), SetId>,
    singles: HashMap<(SetId, SiteId), SetId>,
}

impl SetTable {
    pub(crate) fn new() -> Self {
        let mut table =
            SetTable { words: Vec::new(), ids: HashMap::new(), unions: HashMap::new(), singles: HashMap::new() };
        table.clear();
        table
    }

    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.ids.clear();
        self.unions.clear();
        self.singles.clear();
        self.intern(Vec::new());
    }

    fn intern(&mut self, mut words: Vec<u64>) -> SetId {
        while words.last() == Some(&0) {
            words.pop();
        }
        if let Some(&id) = self.ids.get(words.as_slice()) {
            return id;
        }
        let id = SetId(self.words.len() as u32);
        let words = words.into_boxed_slice();
        self.words.push(words.clone());
        self.ids.insert(words, id);
        id
    }

    pub(crate) fn union(&mut self, a: SetId, b: SetId) -> SetId {
        if a == b || b == SetId::EMPTY {
            return a;
        }
        if a == SetId::EMPTY {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(&id) = self.unions.get(&key) {
            return id;
        }
        let (long, short) = {
            let (x, y) = (&self.words[a.0 as usize], &self.words[b.0 as usize]);
            if x.len() >= y.len() { (x, y) } else { (y, x) }
        };
        let mut words = long.to_vec();
        for (word, other) in words.iter_mut().zip(short.iter()) {
            *word |= other;
        }
        let id = self.intern(words);
        self.unions.insert(key, id);
        id
    }

    pub(crate) fn insert(&mut self, set: SetId, site: SiteId) -> SetId {
        if let Some(&id) = self.singles.get(&(set, site)) {
            return id;
        }
        let mut words = self.words[set.0 as usize].to_vec();
        let word = (site.0 / 64) as usize;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (site.0 % 64);
        let id = self.intern(words);
        self.singles.insert((set, site), id);
        id
    }

    pub(crate) fn words(&self, set: SetId) -> &[u64] {
        &self.words[set.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_equal_ids() {
        let mut table = SetTable::new();
        let a = table.insert(SetId::EMPTY, SiteId(3));
        let b = table.insert(SetId::EMPTY, SiteId(70));
        let ab = table.union(a, b);
        assert_eq!(ab, table.union(b, a));
        assert_eq!(ab, table.insert(a, SiteId(70)));
        assert_eq!(table.union(ab, a), ab);
        assert_eq!(table.words(ab), &[8, 64]);
        assert_eq!(table.insert(ab, SiteId(3)), ab);
    }
}
