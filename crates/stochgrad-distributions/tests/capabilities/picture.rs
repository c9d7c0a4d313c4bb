//! The picture of a distribution, as SVG: its density, its probabilities, or draws of it.

use crate::catalogue::Entry;
use crate::page::{label, number};
use crate::settings::{STEPS, Settings, View};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The width of a picture, its height without the legend, and the height of a line of the legend.
const SIZE: (u32, u32) = (640, 340);
const LINE: u32 = 20;

/// Colours that are told apart by readers who do not see all of them, of Okabe and Ito.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// The number of characters of a line of the legend.
const WIDEST: usize = 92;

/// Points on a density.
const POINTS: usize = 160;
/// Draws of each setting, as points or as sequences.
const DRAWS: usize = 60;
const SEQUENCES: usize = 3;

/// The picture, as SVG.
pub(crate) fn picture(entry: &Entry, settings: &Settings) -> String {
    let mut svg = String::new();
    let legend = 10 + LINE * settings.parameters.len() as u32;
    let root = SVGBackend::with_string(&mut svg, (SIZE.0, SIZE.1 + legend)).into_drawing_area();
    draw(&root, legend, entry, settings).unwrap_or_else(|error| panic!("{}: {error}", entry.distribution));
    drop(root);
    svg
}

fn draw(root: &Panel<'_>, height: u32, entry: &Entry, settings: &Settings) -> Result<(), Box<dyn Error>> {
    root.fill(&WHITE)?;
    let (legend, panel) = root.split_vertically(height);
    for (at, parameters) in settings.parameters.iter().enumerate() {
        let middle = (10 + LINE * at as u32 + LINE / 2) as i32;
        legend.draw(&Rectangle::new([(24, middle - 4), (40, middle + 4)], COLOURS[at % COLOURS.len()].filled()))?;
        let mut name = label(entry, parameters);
        if name.chars().count() > WIDEST {
            name = name.chars().take(WIDEST).chain(['…']).collect();
        }
        legend.draw(&Text::new(name, (48, middle - 8), ("sans-serif", 14)))?;
    }
    match settings.view {
        View::Along { label, from, to, top, value } => {
            let inputs = numbers_between(from, to);
            let values: Vec<Vec<f64>> = inputs.iter().map(|&input| value(input)).collect();
            let curves = probabilities(entry, settings, &values);
            let highest = curves.iter().flatten().copied().filter(|density| *density <= top).fold(0.0, f64::max);
            curves_of(&panel, label, &inputs, &curves, top.min(1.05 * highest))
        }
        View::WithAtoms { from, to, atoms } => {
            let inputs: Vec<f64> = numbers_between(from, to).into_iter().filter(|x| !atoms.contains(x)).collect();
            let [density, heights] = [&inputs[..], &atoms].map(|inputs| {
                probabilities(entry, settings, &inputs.iter().map(|&input| vec![input]).collect::<Vec<_>>())
            });
            densities_and_atoms(&panel, (&inputs, &density), (&atoms, &heights))
        }
        View::Integers(from, to) => {
            let inputs: Vec<f64> = (from..=to).map(f64::from).collect();
            let values: Vec<Vec<f64>> = inputs.iter().map(|&input| vec![input]).collect();
            counts(&panel, &inputs, &probabilities(entry, settings, &values))
        }
        View::Values(values) => {
            let values = if values.is_empty() { support(entry) } else { values.iter().map(|v| v.to_vec()).collect() };
            bars(&panel, &values, &probabilities(entry, settings, &values), last_axis(entry))
        }
        View::Points { elements, from, to } => {
            points(&panel, elements, [from[0]..to[0], from[1]..to[1]], entry, settings)
        }
        View::Sequences => sequences(&panel, entry, settings),
    }
}

/// The inputs of a density.
fn numbers_between(from: f64, to: f64) -> Vec<f64> {
    (0..=POINTS).map(|i| from + (to - from) * i as f64 / POINTS as f64).collect()
}

/// A distribution on a tape, at some parameters.
fn with<'t>(
    tape: &'t Tape<f64>,
    entry: &Entry,
    settings: &Settings,
    parameters: &[f64],
) -> Box<dyn Distribution<'t, f64> + 't> {
    let parameters: Vec<Var<'t, f64>> = parameters.iter().map(|&value| tape.constant(value)).collect();
    settings.build.unwrap_or(entry.build)(tape, &parameters)
}

/// The probabilities or densities of some values, for each setting.
fn probabilities(entry: &Entry, settings: &Settings, values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of = |parameters: &Vec<f64>| {
        let tape = Tape::<f64>::new();
        let distribution = with(&tape, entry, settings, parameters);
        let plate = tape.plate("values", values.len(), PlateKind::Samples, &[]);
        let shape: Vec<usize> = [&[values.len()], &distribution.event_shape()[..]].concat();
        let values = Tensor::new(values.concat(), shape).expect("values of the event shape");
        let logs = distribution.log_prob(tape.constant_on(&[plate], values));
        logs.expand_plates(&[plate]).peek().expect("log-probabilities").as_slice().iter().map(|log| log.exp()).collect()
    };
    settings.parameters.iter().map(of).collect()
}

/// The values of an element with a finite support.
fn support(entry: &Entry) -> Vec<Vec<f64>> {
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.constant(value)).collect();
    let distribution = (entry.build)(&tape, &parameters);
    let finite = distribution.capabilities().finite_support.expect("a finite support");
    let values = finite.element_support().expect("the values");
    values.as_slice().chunks(values.as_slice().len() / values.shape()[0]).map(<[f64]>::to_vec).collect()
}

/// The size of the last axis of a value.
fn last_axis(entry: &Entry) -> usize {
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.constant(value)).collect();
    (entry.build)(&tape, &parameters).event_shape().last().copied().unwrap_or(1)
}

/// Draws of a setting, one after the other.
fn draws(entry: &Entry, settings: &Settings, parameters: &[f64], count: usize) -> Vec<Vec<f64>> {
    let tape = Tape::<f64>::new();
    let distribution = with(&tape, entry, settings, parameters);
    let plate = tape.plate("samples", count, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let values = distribution.draw(&draw).expect("draws");
    values.as_slice().chunks(values.as_slice().len() / count).map(<[f64]>::to_vec).collect()
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// The number of labels on an axis, and their text.
type Labels<'a> = (usize, &'a dyn Fn(&f64) -> String);

/// Axes without a grid.
fn axes<'a, 'b, X, Y>(
    panel: &'a Panel<'b>,
    (x_name, x): (&str, X),
    (y_name, y): (&str, Y),
    (x_count, x_label): Labels<'_>,
) -> Result<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>, Box<dyn Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut builder = ChartBuilder::on(panel);
    builder.margin(8).margin_right(20).x_label_area_size(44).y_label_area_size(64);
    let mut chart = builder.build_cartesian_2d(x, y)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_mesh()
        .x_desc(x_name)
        .y_desc(y_name)
        .axis_desc_style(("sans-serif", 14))
        .label_style(("sans-serif", 13));
    mesh.x_labels(x_count).y_labels(6).x_label_formatter(&x_label).y_label_formatter(&|y| number(*y)).draw()?;
    Ok(chart)
}

/// Densities as lines; a line ends where it leaves the picture.
fn curves_of(
    panel: &Panel<'_>,
    label: &str,
    inputs: &[f64],
    curves: &[Vec<f64>],
    top: f64,
) -> Result<(), Box<dyn Error>> {
    let range = inputs[0]..inputs[inputs.len() - 1];
    let mut chart = axes(panel, (label, range), ("density", 0.0..top), (9, &|x| number(*x)))?;
    for (at, curve) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = inputs.iter().copied().zip(curve.iter().copied()).collect();
        for part in points.split(|(_, density)| !(0.0..=top).contains(density)).filter(|part| part.len() > 1) {
            chart.draw_series(LineSeries::new(part.iter().copied(), COLOURS[at % COLOURS.len()].stroke_width(2)))?;
        }
    }
    Ok(())
}

/// Densities as lines, which end at the atoms, and the probabilities of the atoms as dots on stems. The stems of the
/// settings are beside each other.
fn densities_and_atoms(
    panel: &Panel<'_>,
    (inputs, curves): (&[f64], &[Vec<f64>]),
    (atoms, heights): (&[f64], &[Vec<f64>]),
) -> Result<(), Box<dyn Error>> {
    let top = 1.05 * curves.iter().chain(heights).flatten().copied().fold(0.0, f64::max);
    let (first, last) = (inputs[0], inputs[inputs.len() - 1]);
    let name = "density; dots: probability";
    let mut chart = axes(panel, ("value", first..last), (name, 0.0..top), (9, &|x| number(*x)))?;
    let part = |x: f64| atoms.iter().filter(|atom| **atom < x).count();
    for (at, (curve, heights)) in curves.iter().zip(heights).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points: Vec<(f64, f64)> = inputs.iter().copied().zip(curve.iter().copied()).collect();
        for part in points.chunk_by(|one, next| part(one.0) == part(next.0)) {
            chart.draw_series(LineSeries::new(part.iter().copied(), colour.stroke_width(2)))?;
        }
        let aside = 0.01 * (last - first) * (at as f64 - 0.5 * (curves.len() - 1) as f64);
        for (atom, &height) in atoms.iter().zip(heights) {
            let place = atom + aside;
            chart.draw_series(LineSeries::new([(place, 0.0), (place, height)], colour.stroke_width(2)))?;
            chart.draw_series([Circle::new((place, height), 5, colour.filled())])?;
        }
    }
    Ok(())
}

/// Probabilities of integers as dots, with lines that lead the eye.
fn counts(panel: &Panel<'_>, inputs: &[f64], curves: &[Vec<f64>]) -> Result<(), Box<dyn Error>> {
    let top = 1.05 * curves.iter().flatten().copied().fold(0.0, f64::max);
    let range = inputs[0] - 0.5..inputs[inputs.len() - 1] + 0.5;
    let name = |x: &f64| if x.fract() == 0.0 { number(*x) } else { String::new() };
    let mut chart = axes(panel, ("value", range), ("probability", 0.0..top), (inputs.len().min(12), &name))?;
    for (at, curve) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = inputs.iter().copied().zip(curve.iter().copied()).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), COLOURS[at % COLOURS.len()].mix(0.4)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, COLOURS[at % COLOURS.len()].filled())))?;
    }
    Ok(())
}

/// Probabilities of values as groups of bars. Rows of a matrix, of this length, are separated by bars in its name.
fn bars(panel: &Panel<'_>, values: &[Vec<f64>], curves: &[Vec<f64>], row: usize) -> Result<(), Box<dyn Error>> {
    let top = 1.05 * curves.iter().flatten().copied().fold(0.0, f64::max);
    let digits = |value: &Vec<f64>| -> String {
        let rows = value.chunks(row).map(|row| row.iter().map(|x| number(*x)).collect::<String>());
        rows.collect::<Vec<_>>().join("|")
    };
    let name = |x: &f64| {
        let is_value = x.fract() == 0.0 && (0.0..values.len() as f64).contains(x);
        if is_value { digits(&values[*x as usize]) } else { String::new() }
    };
    let range = -0.5..values.len() as f64 - 0.5;
    let mut chart = axes(panel, ("value", range), ("probability", 0.0..top), (values.len(), &name))?;
    let width = 0.7 / curves.len() as f64;
    for (at, curve) in curves.iter().enumerate() {
        chart.draw_series(curve.iter().enumerate().map(|(value, &height)| {
            let left = value as f64 - 0.35 + width * at as f64;
            Rectangle::new([(left, 0.0), (left + width, height)], COLOURS[at % COLOURS.len()].filled())
        }))?;
    }
    Ok(())
}

/// Draws as points.
fn points(
    panel: &Panel<'_>,
    [x, y]: [(usize, &str); 2],
    [of_x, of_y]: [Range<f64>; 2],
    entry: &Entry,
    settings: &Settings,
) -> Result<(), Box<dyn Error>> {
    let mut chart = axes(panel, (x.1, of_x.clone()), (y.1, of_y.clone()), (9, &|x| number(*x)))?;
    for (at, parameters) in settings.parameters.iter().enumerate() {
        let own = draws(entry, settings, parameters, DRAWS).into_iter().map(|draw| (draw[x.0], draw[y.0]));
        let inside = own.filter(|(x, y)| of_x.contains(x) && of_y.contains(y));
        chart.draw_series(inside.map(|point| Circle::new(point, 3, COLOURS[at % COLOURS.len()].filled())))?;
    }
    Ok(())
}

/// Draws as lines over their steps.
fn sequences(panel: &Panel<'_>, entry: &Entry, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let own: Vec<Vec<Vec<f64>>> =
        settings.parameters.iter().map(|parameters| draws(entry, settings, parameters, SEQUENCES)).collect();
    let (low, high) = own
        .iter()
        .flatten()
        .flatten()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let margin = 0.05 * (high - low);
    let range = 0.0..STEPS as f64;
    let mut chart = axes(panel, ("step", range), ("value", low - margin..high + margin), (9, &|x| number(*x)))?;
    for (at, of_setting) in own.iter().enumerate() {
        for sequence in of_setting {
            let size = sequence.len() / STEPS;
            let line = sequence.iter().step_by(size).enumerate().map(|(step, &value)| ((step + 1) as f64, value));
            chart.draw_series(LineSeries::new(line, COLOURS[at % COLOURS.len()].stroke_width(1)))?;
        }
    }
    Ok(())
}
