//! The parameters at which the sweep visits a distribution: ordinary ones, each extreme value of one parameter with
//! ordinary values of the others, and in the complete sweep each pair of extreme values.

use crate::distributions::{Entry, Precision};

/// What a parameter is, which decides the values that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any number.
    Location,
    /// An integer.
    Whole,
    /// Positive: a rate or a scale, by which values are multiplied.
    Rate,
    /// Positive: it changes the shape.
    Shape,
    /// From 0 to 1.
    Probability,
    /// Log-odds, or a location that is exponentiated.
    Logit,
    /// A number of trials.
    Count,
    /// A number of trials over which a sum is formed.
    Few,
    /// Not 0.
    Power,
    /// The parameter before it plus a positive width.
    High,
    /// The parameter before it plus a count.
    WholeHigh,
    /// A shape of any sign, with a limit at 0.
    Tail,
    /// Above 1: the power with which the probabilities of counts fall.
    Exponent,
    /// 1 less the parameter before it.
    Rest,
}

/// How much of the grid a sweep visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What the tests of every change visit.
    Part,
    /// Everything.
    Complete,
}

impl Kind {
    /// A count or an integer, which has no derivative.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Kind::Count | Kind::Few | Kind::Whole | Kind::WholeHigh)
    }

    fn ordinary(self) -> [f64; 2] {
        match self {
            Kind::Location => [0.3125, -1.5],
            Kind::Whole => [1.0, -3.0],
            Kind::Rate => [1.25, 0.625],
            Kind::Shape => [2.5, 0.625],
            Kind::Probability => [0.3125, 0.875],
            Kind::Logit => [0.3125, -1.75],
            Kind::Count | Kind::Few => [7.0, 30.0],
            Kind::Power => [2.0, -0.5],
            Kind::High => [2.0, 0.75],
            Kind::WholeHigh => [5.0, 1.0],
            Kind::Tail => [0.3125, -0.625],
            Kind::Exponent => [2.5, 1.375],
            Kind::Rest => [0.0; 2],
        }
    }

    /// Extreme values in double and in single precision. The first few belong to the part that is always visited.
    fn extreme(self, double: bool) -> (usize, Vec<f64>) {
        let positive: &[f64] = match double {
            true => &[1e-300, 1e-10, 1e10, 1e300, 1e-3, 1.0, 1e3, 1e-30, 1e100, 1e16, 1e-100],
            false => &[1e-37, 1e-5, 1e5, 1e37, 1e-2, 1.0, 1e2, 1e-10, 1e20, 1e8, 1e-20],
        };
        match self {
            Kind::Location => {
                let positive: &[f64] = if double { &[1e10, 1e300, 1e-300, 1e100] } else { &[1e5, 1e37, 1e-37, 1e20] };
                (4, positive.iter().flat_map(|&x| [x, -x]).chain([0.0]).collect())
            }
            Kind::Whole => (2, if double { vec![1e9, -1e15, 0.0] } else { vec![1e4, -8e6, 0.0] }),
            Kind::Rate => (4, positive.to_vec()),
            Kind::Shape => (6, positive.to_vec()),
            Kind::Probability => match double {
                true => (6, vec![0.0, 1.0, 1e-300, 1e-10, 1.0 - 1e-10, 1.0 - f64::EPSILON / 2.0, 0.5, 1e-3]),
                false => (6, vec![0.0, 1.0, 1e-37, 1e-5, 1.0 - 1e-5, 1.0 - f64::from(f32::EPSILON) / 2.0, 0.5, 1e-2]),
            },
            Kind::Logit => match double {
                true => (6, vec![0.0, -40.0, 40.0, -700.0, 800.0, 1e300, 1e-300, -1e10, 12.0, -5.0]),
                false => (6, vec![0.0, -20.0, 20.0, -85.0, 100.0, 1e37, 1e-37, -1e5, 12.0, -5.0]),
            },
            Kind::Count => (3, if double { vec![0.0, 1.0, 1e15, 1e9, 1e3] } else { vec![0.0, 1.0, 1e7, 1e4, 1e2] }),
            Kind::Few => (2, vec![0.0, 1.0, 1e3]),
            Kind::Power => match double {
                true => (4, vec![1e-10, -1.0, 1e10, -1e3, 1e-300, -1e300, 1.0]),
                false => (4, vec![1e-5, -1.0, 1e5, -1e2, 1e-37, -1e37, 1.0]),
            },
            Kind::High => (4, positive.to_vec()),
            Kind::WholeHigh => (2, if double { vec![0.0, 1e12, 1e3] } else { vec![0.0, 8e6, 1e3] }),
            Kind::Tail => {
                let tiny = if double { 1e-300 } else { 1e-37 };
                (7, vec![0.0, tiny, -tiny, -1e-5, 3.0, -1.0, -3.0, 1e-10, -1e-10, 0.5, -0.5, 1.0, 40.0, -40.0])
            }
            Kind::Exponent => match double {
                true => (6, vec![1.0625, 3.0, 40.0, 1e10, 1e300, 2.0, 1.0, 3.0625, 1e3, 1e100, 1.125]),
                false => (6, vec![1.25, 3.0, 20.0, 1e5, 1e37, 2.0, 1.0, 3.0625, 1e2, 1e20, 1.375]),
            },
            Kind::Rest => (0, Vec::new()),
        }
    }
}

/// A point with the parameters that depend on others filled in, in the numbers of the precision.
fn settled<F: Precision>(kinds: &[Kind], mut point: Vec<f64>) -> Vec<f64> {
    for i in 0..point.len() {
        let before = if i == 0 { 0.0 } else { point[i - 1] };
        let value = match kinds[i] {
            Kind::High | Kind::WholeHigh => {
                // The width may be below the spacing of numbers there.
                let value = F::rounded(before + point[i]);
                if value == before && point[i] > 0.0 { F::above(before) } else { value }
            }
            Kind::Rest => 1.0 - before,
            _ => point[i],
        };
        point[i] = F::rounded(value);
    }
    point
}

/// The parameters of an entry, ordinary ones first.
pub(crate) fn points<F: Precision>(entry: &Entry, extent: Extent) -> Vec<Vec<f64>> {
    let double = F::NAME == "f64";
    let ordinary = |which: usize| entry.kinds.iter().map(|kind| kind.ordinary()[which]).collect::<Vec<f64>>();
    let mut points = vec![ordinary(0), ordinary(1)];
    let extremes: Vec<Vec<f64>> = entry
        .kinds
        .iter()
        .map(|kind| {
            let (few, mut values) = kind.extreme(double);
            if extent == Extent::Part {
                values.truncate(few);
            }
            values
        })
        .collect();
    for (i, values) in extremes.iter().enumerate() {
        for &value in values {
            let mut point = ordinary(0);
            point[i] = value;
            points.push(point);
        }
    }
    if extent == Extent::Complete {
        for i in 0..extremes.len() {
            for j in 0..i {
                for (&first, &second) in extremes[i].iter().flat_map(|a| extremes[j].iter().map(move |b| (a, b))) {
                    let mut point = ordinary(0);
                    (point[i], point[j]) = (first, second);
                    points.push(point);
                }
            }
        }
    }
    points.into_iter().map(|point| settled::<F>(entry.kinds, point)).collect()
}
