"""Writes the files that the tests of PyTorch's names and layouts read.

    pip install torch safetensors
    python crates/stochgrad-nn/tests/pytorch/generate.py [NAME ...]

For each layer, NAME.safetensors is the state dict of the module of PyTorch, as a user would save it, and
NAME.values.safetensors has an input `x`, the output `y`, random weights `w`, and the gradients of the sum of w·y with
respect to the input (`x.grad`) and to the parameters (`grad.` and their names). The files were written with PyTorch
2.15.0.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def case(name, module, *inputs, run=None, others=None):
    """Writes the files of a module. `run` computes the output from the inputs, `others` are further values."""
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    torch.manual_seed(len(name))
    with torch.no_grad():
        for parameter in module.parameters():
            # Initial values such as 0 and 1 would hide errors.
            parameter.add_(0.2 * torch.randn(parameter.shape))
    state = {key: value.clone() for key, value in module.state_dict().items()}
    x = [torch.randn(shape).requires_grad_() if isinstance(shape, tuple) else shape for shape in inputs]
    y = run(module, *x) if run else module(*x)
    w = torch.randn(y.shape)
    (y * w).sum().backward()
    values = {"x": x[0], "y": y, "w": w}
    for number, value in enumerate(x[1:], 1):
        values[f"x{number}"] = value
    for number, value in enumerate(x):
        if value.grad is not None:
            values["x.grad" if number == 0 else f"x{number}.grad"] = value.grad
    for key, parameter in module.named_parameters():
        values[f"grad.{key}"] = parameter.grad
    if others:
        values.update(others(module, *x))
    values = {key: value.detach().contiguous() for key, value in values.items()}
    save_file({key: value.contiguous() for key, value in state.items()}, HERE / f"{name}.safetensors")
    save_file(values, HERE / f"{name}.values.safetensors")


def after_training(module, *x):
    """The state after a step, and the output in evaluation."""
    after = {f"after.{key}": value.clone() for key, value in module.state_dict().items() if "running" in key}
    module.eval()
    return after | {"evaluated": module(x[0])}


def main():
    nn = torch.nn
    case("linear", nn.Linear(3, 4), (5, 3))
    case("linear_without_bias", nn.Linear(3, 4, bias=False), (5, 3))
    case("mlp", nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), (5, 3))
    activations = [nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.ELU(0.7), nn.Softplus(), nn.LeakyReLU(0.1)]
    linear = [nn.Linear(3, 3) for _ in activations]
    case("sequential", nn.Sequential(*[layer for pair in zip(linear, activations) for layer in pair]), (5, 3))
    case("layer_norm", nn.LayerNorm([3, 4]), (5, 2, 3, 4))
    # Channels last here, second in PyTorch.
    first = lambda module, x: module(x.movedim(-1, 1)).movedim(1, -1)
    case("group_norm", nn.GroupNorm(2, 6), (4, 3, 2, 6), run=first)
    batch_norm = nn.BatchNorm2d(3)
    last = lambda module, *x: {
        key: value.movedim(1, -1) if key == "evaluated" else value
        for key, value in after_training(module, x[0].movedim(-1, 1)).items()
    }
    case("batch_norm", batch_norm, (4, 2, 5, 3), run=first, others=last)
    case("gru_cell", nn.GRUCell(3, 4), (5, 3), (5, 4))
    case("gru", nn.GRU(3, 4, num_layers=2, batch_first=True), (5, 6, 3), run=lambda module, x: module(x)[0])
    for name, layer in [("gru", nn.GRU), ("lstm", nn.LSTM)]:
        module = layer(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        case(f"{name}_bidirectional", module, (5, 6, 3), run=lambda module, x: module(x)[0])
    both = lambda module, x, h, c: torch.cat(module(x, (h, c)), -1)
    case("lstm_cell", nn.LSTMCell(3, 4), (5, 3), (5, 4), (5, 4), run=both)
    case("lstm", nn.LSTM(3, 4, num_layers=2, batch_first=True), (5, 6, 3), run=lambda module, x: module(x)[0])

    def attend(module, x, mask=None, causal=False, memory=None):
        memory = x if memory is None else memory
        steps = x.shape[1]
        above = torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1) if causal else None
        padding = None if mask is None else mask == 0
        return module(x, memory, memory, key_padding_mask=padding, attn_mask=above, need_weights=False)[0]

    attention = lambda: nn.MultiheadAttention(8, 2, batch_first=True)
    case("attention", attention(), (3, 5, 8), run=attend)
    case("attention_causal", attention(), (3, 5, 8), run=lambda module, x: attend(module, x, causal=True))
    mask = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1]])
    case("attention_padded", attention(), (3, 5, 8), mask, run=lambda module, x, mask: attend(module, x, mask))
    cross = lambda module, x, memory, mask: attend(module, x, mask, memory=memory)
    case("attention_cross", attention(), (3, 4, 8), (3, 5, 8), mask, run=cross)
    case("conv1d", nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), (3, 7, 2), run=first)
    case("conv2d", nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (2, 5, 6, 2), run=first)
    transposed = nn.ConvTranspose1d(4, 2, 3, stride=2, padding=1, output_padding=1, groups=2)
    case("conv_transpose1d", transposed, (3, 4, 4), run=first)
    transposed = nn.ConvTranspose2d(3, 2, (3, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0))
    case("conv_transpose2d", transposed, (2, 3, 4, 3), run=first)
    case("conv2d_without_bias", nn.Conv2d(2, 3, (3, 2), bias=False), (2, 5, 6, 2), run=first)
    transposed = nn.ConvTranspose2d(3, 2, (3, 2), bias=False)
    case("conv_transpose2d_without_bias", transposed, (2, 3, 4, 3), run=first)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 3, 2),
        nn.AvgPool2d((2, 1), stride=1, padding=(1, 0)),
        nn.Flatten(),
        nn.Linear(18, 2),
    )
    case("conv_net", model, (2, 6, 6, 1), run=lambda module, x: module(x.movedim(-1, 1)))
    categories = torch.tensor([[0.0, 3, 4], [4, 4, 1]])
    case("embedding", nn.Embedding(5, 3), categories, run=lambda module, x: module(x.long()))
    model = nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        nn.SiLU(),
        nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)),
    )
    case("nested", model, (5, 4))


if __name__ == "__main__":
    main()
