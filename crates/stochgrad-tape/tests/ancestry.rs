//! The stochastic sites that a value depends on, through operations and through host code that read values.

use stochgrad_tape::{PlateKind, SiteId, Tape, Var};

/// A sample whose value is a function of its parameter.
fn draw<'t>(tape: &'t Tape<f64>, parameter: Var<'t, f64>) -> (SiteId, Var<'t, f64>) {
    let site = tape.new_site();
    (site, tape.sample(site, (parameter * 3.0).sin().stop_gradient(), &[parameter]))
}

fn sites(var: Var<'_, f64>) -> Vec<SiteId> {
    var.tape().sites(var.ancestors())
}

#[test]
fn a_value_descends_from_what_its_operands_descend_from() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    assert_eq!(sites(theta.exp()), []);
    let (a, x) = draw(&tape, theta);
    let (b, y) = draw(&tape, x + 1.0);
    let (c, z) = draw(&tape, theta);
    assert_eq!(sites(x), [a]);
    assert_eq!(sites(y), [a, b], "a sample descends from its parameters");
    assert_eq!(sites(z * theta), [c]);
    let all = y * z + x;
    assert_eq!(sites(all), [a, b, c]);
    assert_eq!(sites(all.stop_gradient()), [a, b, c], "stopping a gradient does not end a descent");
    assert_eq!(sites(theta + 1.0), []);
    assert!(tape.set_contains(all.ancestors(), b) && !tape.set_contains(x.ancestors(), b));
    assert_eq!(tape.set_words(all.ancestors()), [0b111]);
    assert_eq!((y * z).ancestors(), (z + y).ancestors(), "equal sets are one set");
}

#[test]
fn weights_of_a_plate_are_ancestors_too() {
    let tape = Tape::<f64>::new();
    let plate = tape.plate("samples", 2, PlateKind::Samples, &[]);
    let (site, w) = draw(&tape, tape.constant([0.3, 0.8]).event_to_plate(plate));
    assert_eq!(sites(tape.constant(2.0).weighted_sum_over(plate, w)), [site]);
}

#[test]
fn value_makes_control_ancestors_and_peek_does_not() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    let (a, x) = draw(&tape, theta);
    let (b, y) = draw(&tape, theta);
    x.peek().unwrap();
    let _ = format!("{x:?}");
    assert_eq!(sites(theta.exp()), [], "peek");
    assert!(tape.host_reads().is_empty());

    theta.value().unwrap();
    assert_eq!(sites(theta.exp()), [], "a read of what is not random");
    assert!(tape.host_reads().is_empty());

    let before = theta.sin();
    let recorded_before = tape.len();
    let line = line!() + 1;
    x.value().unwrap();
    assert_eq!(sites(before), [], "recorded before the read");
    assert_eq!(sites(theta.exp()), [a]);
    assert_eq!(sites(tape.constant(1.0)), [a], "constants that host code makes");
    assert_eq!(sites(tape.parameter(1.0)), [a]);
    assert_eq!(sites(y), [b]);
    assert_eq!(sites(y + 1.0), [a, b]);
    let reads = tape.host_reads();
    assert_eq!(reads.len(), 1);
    assert_eq!((reads[0].id, reads[0].recorded_before, reads[0].location.line()), (x.id(), recorded_before, line));

    y.item().unwrap();
    assert_eq!(sites(theta.exp()), [a, b]);
    let (c, z) = draw(&tape, theta);
    assert_eq!(sites(z), [a, b, c], "a sample that was drawn because of a read");
}

#[test]
fn a_read_after_which_nothing_is_recorded_changes_nothing() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    let (a, x) = draw(&tape, theta);
    let cost = x * theta;
    let other = theta.square();
    let before = (sites(cost), sites(other), tape.len(), tape.backward(cost + other, [theta]).unwrap());
    cost.value().unwrap();
    let after = (sites(cost), sites(other), before.2, before.3.clone());
    assert_eq!((&before.0, &before.1), (&after.0, &after.1));
    assert_eq!((before.0, before.1), (vec![a], vec![]));
}

#[test]
fn reading_a_gradient_is_not_a_read_of_the_host() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    let (_, x) = draw(&tape, theta);
    tape.backward(x * theta, [theta]).unwrap();
    assert!(tape.host_reads().is_empty());
    assert_eq!(sites(theta.exp()), []);
}

#[test]
fn ten_thousand_sites_and_costs() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.4);
    let count = 10_000;
    let mut state = theta;
    let mut total = tape.constant(0.0);
    for step in 0..count {
        let (site, x) = draw(&tape, state);
        state = x;
        let cost = state * theta;
        assert!(tape.set_contains(cost.ancestors(), site));
        if step % 1000 == 999 {
            assert_eq!(sites(cost).len(), step + 1);
        }
        total = total + cost;
    }
    assert_eq!(sites(total).len(), count);
}

#[test]
fn ancestors_do_not_outlive_a_step() {
    let mut workspace = stochgrad_tape::Workspace::<f64>::new();
    for _ in 0..3 {
        let tape = workspace.tape();
        let theta = tape.parameter(0.4);
        assert_eq!(sites(theta.exp()), []);
        let (site, x) = draw(tape, theta);
        assert_eq!(site, SiteId(0));
        x.value().unwrap();
        assert_eq!(sites(theta.exp()), [site]);
    }
}
