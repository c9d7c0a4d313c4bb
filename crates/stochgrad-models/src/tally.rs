//! The counts over many models, and their form in a file.

use crate::verdict::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The largest number of failures of one kind that are kept with their programs.
const MOST_FAILURES: usize = 40;

/// How often each verdict occurred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All compared quantities agree.
    pub agreed: u64,
    /// The cost agrees, and the gradient is labelled as biased.
    pub labelled: u64,
    /// The graph returned an error with a message.
    pub refused: u64,
    /// The estimator has too many outcomes, or draws that cannot be enumerated.
    pub too_large: u64,
    /// A result is wrong.
    pub failed: u64,
}

impl Counts {
    const NAMES: [&'static str; 5] = ["agreed", "labelled", "refused", "too large", "failed"];

    fn each(&self) -> [u64; 5] {
        [self.agreed, self.labelled, self.refused, self.too_large, self.failed]
    }

    fn from_each([agreed, labelled, refused, too_large, failed]: [u64; 5]) -> Self {
        Counts { agreed, labelled, refused, too_large, failed }
    }

    /// Counts a verdict.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Agreed(_) => self.agreed += 1,
            Verdict::Labelled => self.labelled += 1,
            Verdict::Refused(_) => self.refused += 1,
            Verdict::TooLarge | Verdict::NotEnumerable => self.too_large += 1,
            Verdict::Failed(_) => self.failed += 1,
        }
    }
}

/// A failure, its graph, and the smallest program that was found for it.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedGraph {
    /// The number of the graph.
    pub graph: u64,
    /// The kind of the failure.
    pub kind: String,
    /// The quantity that is wrong, or what happened.
    pub what: String,
    /// The expected value, as text because it may be NaN or infinite.
    pub expected: String,
    /// The value found.
    pub found: String,
    /// The program, as Rust code.
    pub program: String,
}

/// Counts over many graphs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// The number of judged graphs.
    pub graphs: u64,
    /// The number of models that were discarded because they have no derivatives.
    pub redrawn: u64,
    /// The counts over all graphs with their methods.
    pub all: Counts,
    /// The counts for each method and family of distributions. A graph counts once for each of its nodes.
    pub methods: BTreeMap<String, Counts>,
    /// How often derivatives agreed, by their highest order.
    pub orders: BTreeMap<u64, u64>,
    /// How often models were refused, by the first words of the reason.
    pub reasons: BTreeMap<String, u64>,
    /// The number of failures by kind.
    pub kinds: BTreeMap<String, u64>,
    /// The first failures of each kind.
    pub failures: Vec<FailedGraph>,
}

impl Tally {
    /// Adds the counts of other graphs. The failures are kept in the order of the graphs.
    pub fn merge(&mut self, other: Tally) {
        self.graphs += other.graphs;
        self.redrawn += other.redrawn;
        add(&mut self.all, &other.all);
        for (method, counts) in &other.methods {
            add(self.methods.entry(method.clone()).or_default(), counts);
        }
        let pairs = [(&mut self.reasons, other.reasons), (&mut self.kinds, other.kinds)];
        for (into, from) in pairs {
            for (key, count) in from {
                *into.entry(key).or_default() += count;
            }
        }
        for (order, count) in other.orders {
            *self.orders.entry(order).or_default() += count;
        }
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.graph);
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        self.failures.retain(|failure| {
            let of_kind = kept.entry(failure.kind.clone()).or_default();
            *of_kind += 1;
            *of_kind <= MOST_FAILURES
        });
    }

    /// Whether the program of another failure of this kind would be kept.
    pub fn keeps_failures(&self, kind: &str) -> bool {
        self.failures.iter().filter(|failure| failure.kind == kind).count() < MOST_FAILURES
    }

    /// The counts as text.
    pub fn table(&self) -> String {
        let mut text = format!("{} graphs ({} discarded)\n\n", self.graphs, self.redrawn);
        let _ = writeln!(text, "{:<86}{}", "", Counts::NAMES.map(|name| format!("{name:>10}")).concat());
        let mut row = |name: &str, counts: &Counts| {
            let _ = writeln!(text, "{name:<86}{}", counts.each().map(|count| format!("{count:>10}")).concat());
        };
        row("graphs with methods", &self.all);
        for (method, counts) in &self.methods {
            row(method, counts);
        }
        text.push_str("\nhighest order of agreement\n");
        for (order, count) in &self.orders {
            let _ = writeln!(text, "{count:>10}  {order}");
        }
        text.push_str("\nreasons for refusals\n");
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            let _ = writeln!(text, "{count:>10}  {reason}");
        }
        if !self.kinds.is_empty() {
            text.push_str("\nfailures\n");
            for (kind, count) in &self.kinds {
                let _ = writeln!(text, "{count:>10}  {kind}");
            }
        }
        text
    }

    /// The tally as JSON.
    pub fn to_json(&self) -> Value {
        let methods: BTreeMap<_, _> = self.methods.iter().map(|(name, counts)| (name, counts.each())).collect();
        let orders: BTreeMap<_, _> = self.orders.iter().map(|(order, count)| (order.to_string(), count)).collect();
        let failures: Vec<Value> = self.failures.iter().map(failure_to_json).collect();
        json!({
            "graphs": self.graphs,
            "redrawn": self.redrawn,
            "counts": Counts::NAMES,
            "all": self.all.each(),
            "methods": methods,
            "orders": orders,
            "reasons": self.reasons,
            "kinds": self.kinds,
            "failures": failures,
        })
    }

    /// The tally that [`to_json`](Self::to_json) wrote; `None` for other JSON.
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |key: &str| value.get(key)?.as_u64();
        let counts = |value: &Value| -> Option<Counts> {
            let each: Vec<u64> = value.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
            Some(Counts::from_each(each.try_into().ok()?))
        };
        let map = |key: &str| -> Option<BTreeMap<String, u64>> {
            value.get(key)?.as_object()?.iter().map(|(key, count)| Some((key.clone(), count.as_u64()?))).collect()
        };
        let methods = value.get("methods")?.as_object()?.iter();
        Some(Tally {
            graphs: number("graphs")?,
            redrawn: number("redrawn")?,
            all: counts(value.get("all")?)?,
            methods: methods.map(|(name, value)| Some((name.clone(), counts(value)?))).collect::<Option<_>>()?,
            orders: map("orders")?
                .into_iter()
                .map(|(order, count)| Some((order.parse().ok()?, count)))
                .collect::<Option<_>>()?,
            reasons: map("reasons")?,
            kinds: map("kinds")?,
            failures: value.get("failures")?.as_array()?.iter().map(failure_from_json).collect::<Option<_>>()?,
        })
    }
}

fn add(into: &mut Counts, from: &Counts) {
    let (left, right) = (into.each(), from.each());
    *into = Counts::from_each(std::array::from_fn(|at| left[at] + right[at]));
}

fn failure_to_json(failure: &FailedGraph) -> Value {
    json!({
        "graph": failure.graph,
        "kind": failure.kind,
        "what": failure.what,
        "expected": failure.expected,
        "found": failure.found,
        "program": failure.program,
    })
}

fn failure_from_json(value: &Value) -> Option<FailedGraph> {
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    Some(FailedGraph {
        graph: value.get("graph")?.as_u64()?,
        kind: text("kind")?,
        what: text("what")?,
        expected: text("expected")?,
        found: text("found")?,
        program: text("program")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_survives_json() {
        let mut tally = Tally { graphs: 3, redrawn: 1, ..Tally::default() };
        tally.all.add(&Verdict::Agreed(2));
        tally.all.add(&Verdict::Refused("no".into()));
        tally.methods.entry("score function".into()).or_default().add(&Verdict::TooLarge);
        tally.orders.insert(2, 1);
        tally.reasons.insert("no".into(), 1);
        tally.kinds.insert("Value".into(), 1);
        tally.failures.push(FailedGraph {
            graph: 2,
            kind: "Value".into(),
            what: "the value".into(),
            expected: "1".into(),
            found: "NaN".into(),
            program: "fn model() {}".into(),
        });
        let text = tally.to_json().to_string();
        let read: Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(Tally::from_json(&read), Some(tally.clone()));
        assert_eq!(Tally::from_json(&json!({ "graphs": 1 })), None);
        let mut twice = tally.clone();
        twice.merge(tally.clone());
        assert_eq!((twice.graphs, twice.all.agreed, twice.failures.len()), (6, 2, 2));
    }
}
