//! The table of all methods on three small models, `docs/measured.md`.

use std::fmt::Write;
use std::path::Path;

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Id, Normal, OneHotCategorical};
use stochgrad_estimators::ScoreFunction;
use stochgrad_graph::GraphResult;
use stochgrad_lab::{Catalogue, Lab, Statistics};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tensor::Tensor;

fn bits(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", (b.sum() - 1.2).square())
}

fn categories(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &OneHotCategorical::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", ((b * record.constant([0.0, 1.0, 3.0])).sum() - 1.2).square())
}

fn number(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let x = record.sample("x", &Normal::new(record.param("mean")?, 0.5), &ScoreFunction::new())?;
    record.cost("loss", (x - 0.3).square())
}

/// The methods of the catalogue by their variance, and those that are missing with the reason.
fn section<D: Catalogue<f64>>(
    page: &mut String,
    (heading, intro): (&str, &str),
    model: fn(&Record<'_, '_, f64>) -> GraphResult<()>,
    parameters: &Parameters<f64>,
) {
    let inputs = Inputs::new();
    let lab = Lab::new(model, parameters, &inputs).warm_up(200);
    let compare = lab.compare().node::<D>("x", D::catalogue()).precision(0.02).repetitions(20_000);
    let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
    let mut arms: Vec<_> = found.measured().collect();
    let is_exact = |found: &Statistics| found.variance.estimate <= 1e-14 * found.second_moment.estimate;
    arms.sort_by(|one, other| one.1.variance.estimate.total_cmp(&other.1.variance.estimate));
    writeln!(page, "## {heading}\n\n{intro}\n").unwrap();
    writeln!(page, "| method | variance | bias / gradient | guarantee | evaluations |\n|---|---|---|---|---|").unwrap();
    for (arm, found) in arms {
        let variance = if is_exact(found) { "0".into() } else { format!("{:.2e}", found.variance.estimate) };
        let bias = match &found.bias {
            Some(bias) if bias.is_significant() => match &bias.relative {
                Some(relative) => format!("{:.2}", relative.estimate),
                None => format!("{:.2e}", bias.worst.estimate),
            },
            _ => "–".into(),
        };
        let evaluations = found.evaluations.map_or_else(|| "∞".into(), |count| count.to_string());
        let (method, guarantee) = (&arm.methods[0].1, found.guarantee);
        writeln!(page, "| `{method}` | {variance} | {bias} | {guarantee} | {evaluations} |").unwrap();
    }
    let refused = found.arms.iter().filter_map(|arm| Some((&arm.methods[0].1, arm.refusal.as_ref()?)));
    writeln!(page, "\nNot possible on this model:\n").unwrap();
    for (method, reason) in refused {
        // The place in the source is that of this program.
        let reason = reason.split(" (crates/").next().unwrap_or_default().replace('|', "\\|");
        writeln!(page, "* `{method}`: {reason}").unwrap();
    }
    writeln!(page, "\nNot for these distributions:\n").unwrap();
    for missing in D::not_applicable() {
        writeln!(page, "* `{}`: {}", missing.method, missing.reason).unwrap();
    }
    page.push('\n');
}

fn measured() -> String {
    let mut page = "\
# All methods on three small models

The lab measures every method of a catalogue, with customary settings, at fixed parameters. Variances are sums over all
elements of the gradient, to about 2 %; a bias is listed if it is significant. The methods are ordered by their variance,
so that their costs have to be compared as well: the cost evaluations are in the last column.
[The lab](lab.md) measures them on your model, with times.

```sh
cargo test --release -p stochgrad-lab --test measured -- --ignored
```

writes this page. The same seeds give the same numbers.

"
    .to_owned();
    let parameters = |name: &str, values: Tensor<f64>| {
        let mut parameters = Parameters::new();
        parameters.insert(name, values).unwrap();
        parameters
    };
    section::<Bernoulli<Id>>(
        &mut page,
        ("Bits", "Three bits with the logits −2, 0.5 and 1, and the cost $(\\sum_i b_i - 1.2)^2$."),
        bits,
        &parameters("logits", [-2.0, 0.5, 1.0].into()),
    );
    section::<OneHotCategorical<Id>>(
        &mut page,
        (
            "Categories",
            "A one-hot vector $b$ of three categories with the logits −1, 0 and 0.5, and the cost $(b_2 + 3 b_3 - \
             1.2)^2$.",
        ),
        categories,
        &parameters("logits", [-1.0, 0.0, 0.5].into()),
    );
    section::<Normal<Id>>(
        &mut page,
        (
            "A normal variable",
            "A normal variable with the mean 1 and the standard deviation ½, and the cost $(x - 0.3)^2$.",
        ),
        number,
        &parameters("mean", Tensor::scalar(1.0)),
    );
    page.trim_end().to_owned() + "\n"
}

#[test]
#[ignore = "writes docs/measured.md; half a minute"]
fn all_methods_on_three_models() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/measured.md");
    std::fs::write(file, measured()).unwrap();
}
