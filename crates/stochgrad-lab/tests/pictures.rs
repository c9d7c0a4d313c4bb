//! The pictures of the documentation.

use std::path::Path;

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Id, Normal};
use stochgrad_estimators::{
    Arms, DisArm, Enumerate, GumbelRao, LeaveOneOut, LocalExpectation, Pathwise, Rebar, ReinMax, ScoreFunction,
    StraightThrough,
};
use stochgrad_lab::{Lab, candidates};
use stochgrad_nn::{Inputs, Parameters, Record};

/// Writes a picture of `docs/lab.md`, or a page that has all of them.
fn write(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
#[ignore = "writes the pictures of docs/lab.md, whose times depend on the machine"]
fn pictures_of_the_documentation() {
    let model = |record: &Record<'_, '_, f64>| {
        let logits = record.param("logits")?;
        let b = record.sample("b", &Bernoulli::from_logits(logits), &ScoreFunction::new())?;
        record.cost("loss", (b.sum() - 1.2).square())
    };
    let mut parameters = Parameters::new();
    parameters.insert("logits", [-2.0, 0.5, 1.0].into()).unwrap();
    let inputs = Inputs::new();
    let lab = Lab::new(model, &parameters, &inputs);
    let methods = candidates![
        ScoreFunction::new(),
        ScoreFunction::new().samples(2).baseline(LeaveOneOut),
        ScoreFunction::new().samples(4).baseline(LeaveOneOut),
        DisArm::new(),
        Arms::new(4),
        LocalExpectation::new(),
        Rebar::new(),
        StraightThrough::new(1.0),
        ReinMax::new(1.0),
        GumbelRao::new(0.5),
        Enumerate::new(),
    ];
    let compare = lab.compare().node::<Bernoulli<Id>>("b", methods).exact_reference(&Oracle::new()).unwrap();
    let found = compare.run().unwrap();
    println!("{found}");
    write("lab_comparison.svg", &found.to_svg("Methods on three bits").unwrap());
    write("lab_box_plots.svg", &found.box_plots_svg("Gradients").unwrap());
    write("lab_bias_variance.svg", &found.bias_variance_svg("Bias and variance").unwrap());
    if let Some(folder) = std::env::var_os("PAGES") {
        let methods = candidates![ScoreFunction::new(), DisArm::new(), Enumerate::new(), StraightThrough::new(1.0)];
        let selection = lab.select().node::<Bernoulli<Id>>("b", methods).run().unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join("comparison.html"), found.to_html("Methods on three bits").unwrap())
            .unwrap();
        std::fs::write(Path::new(&folder).join("selection.html"), selection.to_html("The choice").unwrap()).unwrap();
    }

    let model = |record: &Record<'_, '_, f64>| {
        let mean = record.param("mean")?;
        let x = record.sample("x", &Normal::new(mean, 1.0), &Pathwise::new())?;
        let y = record.sample("y", &Normal::new(mean, 1.0), &Pathwise::new())?;
        let z = record.sample("z", &Normal::new(mean, 1.0), &Pathwise::new())?;
        record.cost("loss", x + 2.0 * y + 3.0 * x * y + z)
    };
    let mut parameters = Parameters::new();
    parameters.insert("mean", 0.0.into()).unwrap();
    let lab = Lab::new(model, &parameters, &inputs);
    let shares = lab.attribute().of(stochgrad_lab::Quantity::TotalCost).run().unwrap();
    write("lab_shares.svg", &shares.to_svg("Shares of three nodes").unwrap());
    if let Some(folder) = std::env::var_os("PAGES") {
        std::fs::write(Path::new(&folder).join("shares.html"), shares.to_html("Shares of three nodes").unwrap())
            .unwrap();
    }
}
