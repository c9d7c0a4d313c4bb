//! Schedules as data: a number, or a table with the kind of the schedule.

use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Course, Schedule, Span};

/// The tables of schedules.
#[derive(Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename = "Schedule", deny_unknown_fields)]
enum Table {
    Constant {
        value: f64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Exponential {
        start: f64,
        end: f64,
        steps: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Linear {
        start: f64,
        end: f64,
        steps: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Cosine {
        start: f64,
        end: f64,
        steps: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Step {
        start: f64,
        factor: f64,
        every: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    OneCycle {
        peak: f64,
        steps: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Piecewise {
        first: f64,
        pieces: Vec<(u64, f64)>,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
    Then {
        before: Box<Schedule>,
        steps: u64,
        after: Box<Schedule>,
        #[serde(default, skip_serializing_if = "is_zero")]
        warm_up: u64,
    },
}

fn is_zero(steps: &u64) -> bool {
    *steps == 0
}

impl From<Table> for Schedule {
    fn from(table: Table) -> Self {
        let (course, warm_up) = match table {
            Table::Constant { value, warm_up } => (Course::Constant(value), warm_up),
            Table::Exponential { start, end, steps, warm_up } => {
                (Course::Exponential(Span { start, end, steps }), warm_up)
            }
            Table::Linear { start, end, steps, warm_up } => (Course::Linear(Span { start, end, steps }), warm_up),
            Table::Cosine { start, end, steps, warm_up } => (Course::Cosine(Span { start, end, steps }), warm_up),
            Table::Step { start, factor, every, warm_up } => (Course::Step { start, factor, every }, warm_up),
            Table::OneCycle { peak, steps, warm_up } => (Course::OneCycle { peak, steps }, warm_up),
            Table::Piecewise { first, pieces, warm_up } => (Course::Piecewise { first, pieces }, warm_up),
            Table::Then { before, steps, after, warm_up } => (Course::Then { before, steps, after }, warm_up),
        };
        Schedule { course, warm_up }
    }
}

impl From<&Schedule> for Table {
    fn from(schedule: &Schedule) -> Self {
        let warm_up = schedule.warm_up;
        match schedule.course.clone() {
            Course::Constant(value) => Table::Constant { value, warm_up },
            Course::Exponential(Span { start, end, steps }) => Table::Exponential { start, end, steps, warm_up },
            Course::Linear(Span { start, end, steps }) => Table::Linear { start, end, steps, warm_up },
            Course::Cosine(Span { start, end, steps }) => Table::Cosine { start, end, steps, warm_up },
            Course::Step { start, factor, every } => Table::Step { start, factor, every, warm_up },
            Course::OneCycle { peak, steps } => Table::OneCycle { peak, steps, warm_up },
            Course::Piecewise { first, pieces } => Table::Piecewise { first, pieces, warm_up },
            Course::Then { before, steps, after } => Table::Then { before, steps, after, warm_up },
        }
    }
}

/// A constant schedule is its value, and any other one a table with its kind. With the feature `serde`.
///
/// ```
/// use stochgrad_tape::descent::Schedule;
///
/// let schedule: Schedule =
///     serde_json::from_str(r#"{"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000, "warm_up": 50}"#)?;
/// assert_eq!(schedule, Schedule::cosine(0.1, 0.0, 1000).warm_up(50));
/// assert_eq!(serde_json::to_string(&Schedule::constant(0.5))?, "0.5");
/// # Ok::<(), serde_json::Error>(())
/// ```
impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_constant() {
            Some(value) => serializer.serialize_f64(value),
            None => Table::from(self).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrTable)
    }
}

struct NumberOrTable;

impl<'de> Visitor<'de> for NumberOrTable {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table with the kind of a schedule")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value as f64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(Schedule::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_comes_back() {
        let cosine = || Schedule::cosine(2.0, 0.0, 4);
        for schedule in [
            Schedule::constant(0.3),
            Schedule::constant(0.3).warm_up(5),
            Schedule::exponential(8.0, 0.5, 4),
            Schedule::linear(1.0, 3.0, 4).warm_up(2),
            cosine(),
            Schedule::step(0.8, 0.5, 3),
            Schedule::one_cycle(0.5, 10),
            Schedule::piecewise(1.0, [(1, 0.5), (3, 0.1)]),
            cosine().then(3, Schedule::constant(0.1)).warm_up(1),
        ] {
            let text = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule, "{text}");
        }
        assert_eq!(serde_json::from_str::<Schedule>("1").unwrap(), Schedule::constant(1.0));
    }

    #[test]
    fn unknown_kinds_and_fields_are_errors_with_those_that_exist() {
        for (text, parts) in [
            (r#""fast""#, ["\"fast\"", "expected a number, or a table with the kind of a schedule"]),
            (r#"{"kind": "cosin", "start": 1}"#, ["unknown variant `cosin`", "`cosine`"]),
            (r#"{"kind": "step", "start": 1, "factor": 0.5, "evry": 2}"#, ["unknown field `evry`", "`every`"]),
            (r#"{"kind": "step", "start": 1, "factor": 0.5}"#, ["missing field", "`every`"]),
        ] {
            let message = serde_json::from_str::<Schedule>(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
