//! The state of the generator of models: random choices, and the plates, data and parameters of a model.

use crate::choose::pick;
use crate::model::{Data, Model, Parameter, Plate, PlateKind, PlateSet};
use rand::{Rng, RngExt};

/// A model that is being generated.
pub(crate) struct Writer<'r> {
    pub(crate) rng: &'r mut dyn Rng,
    pub(crate) model: Model,
    /// The plates of the nodes generated so far.
    pub(crate) nodes: Vec<PlateSet>,
    /// The limit of the number of joint values of all draws.
    pub(crate) most: f64,
}

impl Writer<'_> {
    pub(crate) fn pick(&mut self, weights: &[u32]) -> usize {
        pick(self.rng, weights)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.rng.random_range(0..items.len())]) }
    }

    /// A random value with one decimal, between `low / 10` and `high / 10`.
    pub(crate) fn decimal(&mut self, low: i32, high: i32) -> f64 {
        f64::from(self.rng.random_range(low..=high)) / 10.0
    }

    /// A random value other than 0 between −1.5 and 1.5.
    pub(crate) fn factor(&mut self) -> f64 {
        let size = self.decimal(2, 15);
        if self.chance(0.3) { -size } else { size }
    }

    /// A random probability, sometimes 0 or 1.
    pub(crate) fn chance_value(&mut self, boundary: f64) -> f64 {
        if self.chance(boundary) {
            return if self.chance(0.5) { 0.0 } else { 1.0 };
        }
        self.decimal(1, 9)
    }

    pub(crate) fn plates(&mut self) {
        for at in 0..self.pick(&[5, 35, 34, 26]) {
            let kind = if self.chance(0.5) { PlateKind::Data } else { PlateKind::Samples };
            let size = [2, 3, 1][self.pick(&[78, 14, 8])];
            let name = match kind {
                PlateKind::Data => format!("rows{at}"),
                PlateKind::Samples => format!("k{at}"),
            };
            let summed = self.chance(0.4);
            self.model.plates.push(Plate { name, size, kind, summed });
            if kind == PlateKind::Data {
                for _ in 0..self.pick(&[65, 35]) + 1 {
                    let probabilities = self.chance(0.4);
                    let values = (0..size)
                        .map(|_| if probabilities { self.chance_value(0.12) } else { self.decimal(-15, 15) })
                        .collect();
                    let name = format!("{}{}", if probabilities { "chance" } else { "d" }, self.model.data.len());
                    self.model.data.push(Data { name, plate: at, values });
                }
            }
        }
    }

    pub(crate) fn parameters(&mut self) {
        let size = self.pick(&[20, 60, 20]) + 1;
        let values = (0..size).map(|_| self.decimal(-10, 10)).collect();
        self.model.parameters.push(Parameter { name: "t".into(), values, plate: None });
        if self.chance(0.3) {
            let values = (0..self.pick(&[60, 40]) + 1).map(|_| self.chance_value(0.04)).collect();
            self.model.parameters.push(Parameter { name: "p".into(), values, plate: None });
        }
        let plates: Vec<usize> = (0..self.model.plates.len()).collect();
        if let Some(plate) = self.one_of(&plates).filter(|_| self.rng.random_bool(0.45)) {
            let probabilities = self.chance(0.25);
            let size = self.model.plates[plate].size;
            let values = (0..size)
                .map(|_| if probabilities { self.chance_value(0.04) } else { self.decimal(-10, 10) })
                .collect();
            let name = if probabilities { "q" } else { "w" };
            self.model.parameters.push(Parameter { name: name.into(), values, plate: Some(plate) });
        }
    }
}
