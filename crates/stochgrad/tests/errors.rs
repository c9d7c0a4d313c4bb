//! Mistakes of users: each returns an error that says what was expected and where, and none panics.

use stochgrad::distributions::{Binomial, Distribution, Exponential, Geometric};
use stochgrad::graph::{GraphError, GraphResult};
use stochgrad::prelude::*;
use stochgrad::train::TrainError;

/// Runs a mistake on a fresh graph, and returns the message of its error.
fn message(mistake: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> String {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(0));
    match mistake(&graph).and_then(|()| graph.backward().map(|_| ())) {
        Ok(()) => panic!("the mistake went unnoticed"),
        Err(error) => error.to_string(),
    }
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in: {message}");
    }
}

#[test]
fn shapes_that_do_not_fit_name_both_and_the_line() {
    let message = message(|graph| {
        let x = graph.param("x", [1.0, 2.0, 3.0])?;
        let y = graph.constant([1.0, 2.0]);
        let poisoned = (x * y).sum();
        graph.cost("cost", poisoned * 2.0)
    });
    assert_says(&message, &["Mul", "[3]", "[2]", "errors.rs:"]);
}

#[test]
fn shapes_that_do_not_fit_name_the_plates() {
    let message = message(|graph| {
        let x = graph.data("batch", [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])?;
        graph.cost("cost", (x + graph.constant([1.0, 2.0])).sum())
    });
    assert_says(&message, &["batch(2)", "[3]", "[2]"]);
}

#[test]
fn a_probability_above_one() {
    let message = message(|graph| {
        let p = graph.param("p", [0.5, 1.2])?;
        let bits = graph.sample("bits", &Bernoulli::from_probabilities(p), &ScoreFunction::new())?;
        graph.cost("cost", bits.sum())
    });
    assert_says(&message, &["bits", "probabilities", "[0, 1]", "1.2", "position 1", "logits", "errors.rs:"]);
}

#[test]
fn parameters_that_are_nan() {
    let message = message(|graph| {
        let location = graph.param("location", f64::NAN)?;
        let x = graph.sample("x", &Normal::new(location, 1.0), &Pathwise::new())?;
        graph.cost("cost", x)
    });
    assert_says(&message, &["Normal", "location", "finite", "NaN"]);
}

#[test]
fn a_cost_that_is_nan() {
    let message = message(|graph| {
        let x = graph.param("x", -1.0)?;
        graph.cost("cost", x.ln())
    });
    assert_says(&message, &["cost", "NaN", "errors.rs:"]);
}

#[test]
fn a_plate_without_members() {
    assert_says(&message(|graph| graph.plate("samples", 0).map(|_| ())), &["samples", "no members"]);
    let message = message(|graph| {
        let p = graph.param("p", 0.5)?;
        let bits = graph.sample("bits", &Bernoulli::from_probabilities(p), &ScoreFunction::new().samples(0))?;
        graph.cost("cost", bits)
    });
    assert_says(&message, &["bits", "no members"]);
}

#[test]
fn data_of_another_size() {
    let message = message(|graph| {
        graph.data("batch", [1.0, 2.0])?;
        graph.data("batch", [1.0, 2.0, 3.0]).map(|_| ())
    });
    assert_says(&message, &["batch", "expected 2 members", "got 3"]);
}

#[test]
fn a_cost_with_event_axes() {
    let message = message(|graph| {
        let x = graph.param("x", [1.0, 2.0])?;
        graph.cost("cost", x.square())
    });
    assert_says(&message, &["cost", "[2]", "sum()", "errors.rs:"]);
}

#[test]
fn two_nodes_of_one_name() {
    let message = message(|graph| {
        let p = graph.param("p", 0.5)?;
        graph.sample("bit", &Bernoulli::from_probabilities(p), &ScoreFunction::new())?;
        graph.sample("bit", &Bernoulli::from_probabilities(p), &ScoreFunction::new()).map(|_| ())
    });
    assert_says(&message, &["\"bit\" exists already", "index"]);
}

#[test]
fn two_costs_and_two_parameters_of_one_name() {
    let costs = message(|graph| {
        let x = graph.param("x", 1.0)?;
        graph.cost("cost", x)?;
        graph.cost("cost", x)
    });
    assert_says(&costs, &["cost \"cost\" exists already"]);
    let parameters = message(|graph| {
        graph.param("x", 1.0)?;
        graph.param("x", 2.0).map(|_| ())
    });
    assert_says(&parameters, &["parameter \"x\" exists already"]);
}

#[test]
fn unknown_names_list_the_known_ones() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let x = graph.param("x", 1.0).expect("a parameter");
    graph.cost("cost", x).expect("a cost");
    let gradients = graph.backward().expect("gradients");
    assert_says(&gradients.get("y").expect_err("no y").to_string(), &["\"y\"", "there are: x"]);
    assert_says(&gradients.cost("loss").expect_err("no loss").to_string(), &["\"loss\"", "there are: cost"]);
}

#[test]
fn leave_one_out_with_one_sample() {
    let message = message(|graph| {
        let p = graph.param("p", 0.5)?;
        let method = ScoreFunction::new().baseline(LeaveOneOut);
        let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &method)?;
        graph.cost("cost", bit)
    });
    assert_says(&message, &["bit", "samples"]);
}

#[test]
fn enumeration_of_too_many_states() {
    let message = message(|graph| {
        let p = graph.param("p", vec![0.0; 40])?;
        let bits = graph.sample("bits", &Bernoulli::from_logits(p), &Enumerate::new())?;
        graph.cost("cost", bits.sum())
    });
    assert_says(&message, &["bits", "2^40", "4096", "ScoreFunction"]);
}

#[test]
fn variables_of_another_tape() {
    let other = Tape::<f64>::new();
    let foreign = other.constant(1.0);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let error = graph.cost("cost", foreign).expect_err("a foreign variable");
    assert_says(&error.to_string(), &["another tape", "errors.rs:"]);
}

#[test]
fn a_second_graph_on_one_tape() {
    let tape = Tape::<f64>::new();
    let first = Graph::new(&tape, Seed::new(0));
    let p = first.param("p", 0.5).expect("a parameter");
    first.sample("bit", &Bernoulli::from_probabilities(p), &ScoreFunction::new()).expect("a bit");
    let second = Graph::new(&tape, Seed::new(1));
    let error =
        second.sample("bit", &Bernoulli::from_probabilities(p), &ScoreFunction::new()).expect_err("one graph a tape");
    assert_says(&error.to_string(), &["holds a graph already", "Workspace"]);
}

#[test]
fn the_first_error_is_kept_and_nothing_panics_afterwards() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let x = graph.param("x", [1.0, 2.0]).expect("a parameter");
    let bad = x.reshape([3]);
    let worse = bad.matmul(x).log_softmax(7).index(0, 9).sum().stop_gradient();
    assert!(worse.shape().is_empty());
    for error in [worse.value().expect_err("poisoned").to_string(), graph.backward().expect_err("poisoned").to_string()]
    {
        assert_says(&error, &["Reshape", "3 elements", "[2]"]);
    }
}

#[test]
fn a_graph_without_a_cost() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = graph.param("x", 1.0).unwrap();
    graph.sample("bit", &Bernoulli::from_logits(x), &ScoreFunction::new()).unwrap();
    for message in [graph.backward().err(), graph.surrogate().err(), graph.compile().err()] {
        assert_says(&message.expect("an error").to_string(), &["no cost", "graph.cost"]);
    }
}

#[test]
fn a_second_graph_on_a_tape_where_nothing_was_random() {
    let tape = Tape::<f64>::new();
    let first = Graph::new(&tape, Seed::new(1));
    first.cost("square", first.param("x", 3.0).unwrap().square()).unwrap();
    let second = Graph::new(&tape, Seed::new(1));
    let message = second.param("x", 3.0).unwrap_err().to_string();
    assert_says(&message, &["holds a graph already", "Workspace::tape()"]);
}

#[test]
fn a_tensor_of_a_model_that_does_not_fit_its_shape() {
    fn model(graph: &Graph<'_, f64>) -> GraphResult<()> {
        let x = graph.constant(Tensor::new(vec![1.0, 2.0, 3.0], [2, 2])?);
        graph.cost("cost", x.sum())
    }
    let tape = Tape::<f64>::new();
    let message = model(&Graph::new(&tape, Seed::new(1))).unwrap_err().to_string();
    assert_says(&message, &["shape [2, 2]", "4", "3"]);
}

/// The error of a likelihood of data, recorded at a line of this file.
fn likelihood<'t, D: Distribution<'t, f64>>(
    data: [f64; 3],
    density: impl FnOnce(&'t Tape<f64>) -> D,
    tape: &'t Tape<f64>,
) -> String {
    let graph = Graph::new(tape, Seed::new(0));
    let data = graph.data("rows", data).unwrap();
    let line = line!() + 1;
    let log = density(tape).log_prob(data);
    graph.cost("likelihood", -log).unwrap();
    let message = graph.backward().expect_err("a value outside of the support").to_string();
    assert_says(&message, &["\"likelihood\"", &format!("errors.rs:{line}")]);
    message
}

#[test]
fn data_outside_of_a_support_is_shown_with_the_line_of_the_likelihood() {
    let counts = ["whole numbers, at least 0", "got 0.0625 at position 1", "use counts"];
    let data = [1.0, 0.0625, 2.0];
    let tapes: [Tape<f64>; 4] = Default::default();
    for (tape, poisson) in tapes[..2].iter().zip([Poisson::from_rate, Poisson::from_log_rate]) {
        let message = likelihood(data, |tape| poisson(tape.parameter(0.5)), tape);
        assert_says(&message, &["Poisson"]);
        assert_says(&message, &counts);
    }
    let message = likelihood(data, |tape| Geometric::from_probabilities(tape.parameter(0.5)), &Tape::new());
    assert_says(&message, &["geometric"]);
    assert_says(&message, &counts);
    let message = likelihood(
        [1.0, 3.0, 5.0],
        |tape| Binomial::from_probabilities(tape.constant(4.0), tape.parameter(0.5)),
        &Tape::new(),
    );
    assert_says(&message, &["binomial", "from 0 to the number of trials", "got 5 at position 2"]);
    for (tape, bernoulli) in tapes[2..].iter().zip([Bernoulli::from_probabilities, Bernoulli::from_logits]) {
        let message = likelihood([1.0, 0.0, 16.0], |tape| bernoulli(tape.parameter(0.5)), tape);
        assert_says(&message, &["Bernoulli", "expected bits", "got 16 at position 2", "threshold"]);
    }
    let message =
        likelihood([1.0, 3.0, 2.0], |tape| Categorical::from_logits(tape.parameter([0.5, 1.0, 0.0])), &Tape::new());
    assert_says(&message, &["outside of the support", "got 3 at position 1", "number of categories"]);
    let message = likelihood([1.0, -3.0, 2.0], |tape| Exponential::new(tape.parameter(0.5)), &Tape::new());
    assert_says(&message, &["outside the support, at position 1", "choose a distribution"]);
}

#[test]
fn a_possible_value_of_probability_zero_is_no_value_outside() {
    let message = likelihood([0.0, 1.0, 0.0], |tape| Poisson::from_rate(tape.parameter(0.0)), &Tape::new());
    assert_says(&message, &["first appears in PoissonLogPmf", "inside the domain"]);
}

/// What a program prints whose `main` returns the error.
fn printed(error: impl Into<Box<dyn std::error::Error>>) -> String {
    format!("{:?}", error.into())
}

#[test]
fn a_program_that_fails_prints_the_message() {
    let unknown = || GraphError::Unknown { what: "cost", name: "los".into(), known: "loss".into() };
    assert_eq!(printed(unknown()), "no cost is called \"los\"; there are: loss");

    let at_step = || GraphError::Step { step: 3, source: Box::new(unknown()) };
    assert_eq!(printed(at_step()), at_step().to_string());
    let training = || TrainError::Step { step: 3, epoch: 0, checkpoint: None, source: at_step() };
    assert_eq!(printed(training()), training().to_string());

    let tensor = Tensor::from([1.0, 2.0]).reshape([3]).unwrap_err();
    assert_says(&printed(tensor), &["expected 3 element(s)", "got 2", "pass a shape with 2 element(s)"]);
    let parameter = stochgrad::nn::Parameters::<f64>::new().insert("", 1.0.into()).unwrap_err();
    assert_says(&printed(parameter), &["a name that is not empty", "name each layer differently"]);
}
