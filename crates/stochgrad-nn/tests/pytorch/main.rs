//! Files of PyTorch: models that load them have PyTorch's outputs and gradients, and save the same files.
//!
//! `generate.py` in this folder writes the files.

mod case;

use case::Case;
use stochgrad_graph::Seed;
use stochgrad_nn::{
    Activation, AvgPool2d, BatchNorm, Conv1d, Conv2d, ConvKernel, ConvTranspose1d, ConvTranspose2d, Convolution,
    Embedding, Flatten, GroupNorm, Gru, GruCell, Initialization, LayerNorm, Linear, Lstm, LstmCell, MaxPool2d, Mlp,
    MultiHeadAttention, NnError, Parameters, Pooling, Sequential,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Tensor;

const SEED: Seed = Seed { seed: 7, step: 0 };
const UNIFORM: Initialization = Initialization::Uniform;

#[test]
fn linear_layers() {
    Case::new("linear").layer(|p| Linear::new(p, "", 3, 4, UNIFORM, SEED));
    Case::new("linear_without_bias").layer(|p| Linear::without_bias(p, "", 3, 4, UNIFORM, SEED));
    Case::new("mlp").layer(|p| Mlp::new(p, "", &[3, 4, 4, 2], Activation::Tanh, SEED));
}

#[test]
fn activations_in_a_sequence() {
    Case::new("sequential").layer(|p| {
        use Activation::{Elu, Gelu, GeluTanh, LeakyRelu, Silu, Softplus};
        let activations = [Gelu, GeluTanh, Silu, Elu(0.7), Softplus, LeakyRelu(0.1)];
        let layers = activations.into_iter().fold(Sequential::builder(p, ""), |layers, activation| {
            layers.layer(|at, name| Linear::new(at, name, 3, 3, UNIFORM, SEED)).then(activation)
        });
        layers.build()
    });
}

#[test]
fn normalisation() {
    Case::new("layer_norm").layer(|p| LayerNorm::new(p, "", [3, 4]));
    Case::new("group_norm").layer(|p| GroupNorm::new(p, "", 2, 6));
    let trained = Case::new("batch_norm").layer(|p| BatchNorm::new(p, "", 3));
    trained.evaluates(|p| BatchNorm::new(p, "", 3));
}

#[test]
fn recurrent_layers() {
    Case::new("gru").layer(|p| Gru::new(p, "", 3, 4, 2, SEED));
    Case::new("lstm").layer(|p| Lstm::new(p, "", 3, 4, 2, SEED));
    Case::new("gru_bidirectional").layer(|p| Gru::bidirectional(p, "", 3, 4, 2, SEED));
    Case::new("lstm_bidirectional").layer(|p| Lstm::bidirectional(p, "", 3, 4, 2, SEED));
    Case::new("gru_cell")
        .function(|p| GruCell::new(p, "", 3, 4, SEED), |cell, record, inputs| cell.step(record, inputs[0], inputs[1]));
    Case::new("lstm_cell").function(
        |p| LstmCell::new(p, "", 3, 4, SEED),
        |cell, record, inputs| Ok(Var::concat(&cell.step(record, inputs[0], [inputs[1], inputs[2]])?, -1)?),
    );
}

#[test]
fn attention() {
    let make = |p: &mut Parameters<f64>| MultiHeadAttention::new(p, "", 8, 2, SEED);
    Case::new("attention").layer(make);
    Case::new("attention_causal").layer(|p| Ok(make(p)?.causal()));
    Case::new("attention_padded")
        .function(make, |layer, record, inputs| layer.attend(record, inputs[0], inputs[0], Some(inputs[1])));
    Case::new("attention_cross")
        .function(make, |layer, record, inputs| layer.attend(record, inputs[0], inputs[1], Some(inputs[2])));
}

#[test]
fn convolutions() {
    Case::new("conv1d").layer(|p| {
        let geometry = Convolution::new().stride([2]).padding([1]).groups(2);
        Conv1d::new(p, "", [2, 4], ConvKernel::new([3]).convolution(geometry), SEED)
    });
    Case::new("conv2d").layer(|p| {
        let geometry = Convolution::new().stride([2, 1]).padding([1, 0]).dilation([1, 2]);
        Conv2d::new(p, "", [2, 3], ConvKernel::new([3, 2]).convolution(geometry), SEED)
    });
    Case::new("conv_transpose1d").layer(|p| {
        let geometry = Convolution::new().stride([2]).padding([1]).groups(2);
        Ok(ConvTranspose1d::new(p, "", [4, 2], ConvKernel::new([3]).convolution(geometry), SEED)?.output_padding([1]))
    });
    Case::new("conv_transpose2d").layer(|p| {
        let geometry = Convolution::new().stride([2, 1]).padding([1, 0]);
        Ok(ConvTranspose2d::new(p, "", [3, 2], ConvKernel::new([3, 2]).convolution(geometry), SEED)?
            .output_padding([1, 0]))
    });
}

#[test]
fn convolutions_without_bias() {
    Case::new("conv2d_without_bias")
        .layer(|p| Conv2d::new(p, "", [2, 3], ConvKernel::new([3, 2]).without_bias(), SEED));
    Case::new("conv_transpose2d_without_bias")
        .layer(|p| ConvTranspose2d::new(p, "", [3, 2], ConvKernel::new([3, 2]).without_bias(), SEED));
}

#[test]
fn convolutional_networks() {
    Case::new("conv_net").layer(|p| {
        let padded = ConvKernel::new([3, 3]).convolution(Convolution::new().padding([1, 1]));
        Sequential::builder(p, "")
            .layer(|at, name| Conv2d::new(at, name, [1, 2], padded, SEED))
            .then(Activation::Gelu)
            .then(MaxPool2d::new(Pooling::new([2, 2])))
            .layer(|at, name| Conv2d::new(at, name, [2, 3], [2, 2], SEED))
            .then(AvgPool2d::new(Pooling::new([2, 1]).stride([1, 1]).padding([1, 0])))
            .then(Flatten::channels_first())
            .layer(|at, name| Linear::new(at, name, 18, 2, UNIFORM, SEED))
            .build()
    });
}

#[test]
fn embeddings() {
    Case::new("embedding").layer(|p| Embedding::new(p, "", 5, 3, SEED));
}

#[test]
fn nested_layers() {
    Case::new("nested").layer(|p| {
        Sequential::builder(p, "")
            .layer(|at, name| Linear::new(at, name, 4, 6, UNIFORM, SEED))
            .layer(|at, name| BatchNorm::new(at, name, 6))
            .then(Activation::Silu)
            .layer(|at, name| {
                Sequential::builder(at, name)
                    .layer(|at, name| Linear::new(at, name, 6, 6, UNIFORM, SEED))
                    .layer(|at, name| LayerNorm::new(at, name, 6))
                    .build()
            })
            .build()
    });
}

#[test]
fn files_of_other_models_are_errors_that_change_nothing() {
    let path = case::path("linear.safetensors");
    let refused = |parts: &[&str], make: &dyn Fn(&mut Parameters<f32>)| {
        let mut parameters = Parameters::new();
        make(&mut parameters);
        let before = parameters.clone();
        let error = parameters.load_pytorch(&path).unwrap_err();
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(parameters.iter().eq(before.iter()));
        error
    };
    let error = refused(&["expected tensor `head.weight`", "`bias`, `weight`"], &|p| {
        Linear::new(p, "head", 3, 4, UNIFORM, SEED).unwrap();
    });
    assert!(matches!(error, NnError::MissingEntry { .. }));
    refused(&["`weight`", "expected shape [5, 3]", "got shape [4, 3]"], &|p| {
        Linear::new(p, "", 3, 5, UNIFORM, SEED).unwrap();
    });
    refused(&["expected the 1 tensors of this model, got 2, `weight` among them"], &|p| {
        p.insert("bias", Tensor::zeros([4])).unwrap();
    });
    let missing = Parameters::<f32>::new().load_pytorch(case::path("none.safetensors")).unwrap_err();
    assert!(matches!(missing, NnError::Io { .. }), "{missing}");
}

#[test]
fn two_tensors_of_one_name_cannot_be_saved() {
    let mut parameters = Parameters::<f32>::new();
    Mlp::new(&mut parameters, "f", &[2, 3, 1], Activation::Tanh, SEED).unwrap();
    parameters.insert("f.2.bias", Tensor::zeros([1])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let message = parameters.save_pytorch(folder.path().join("f.safetensors")).unwrap_err().to_string();
    assert!(message.contains("`f.2.bias`"), "{message}");
}
