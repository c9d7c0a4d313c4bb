"""Writes a jitted function of JAX as a program that `--bin xla` runs: its StableHLO text and its arguments.

    from export_jax import export
    export("step.mlir", jitted, *arguments)

The text goes to the file, and the arguments, as bytes one after the other, to the file beside it that ends in `.bin`.
Donated arguments become the state: they take the values of the results to which they are tied.
"""

import pathlib

import jax
import numpy as np


def export(path, jitted, *arguments):
    path = pathlib.Path(path)
    lowered = jitted.lower(*arguments)
    path.write_text(lowered.as_text())
    leaves = jax.tree.leaves(arguments)
    kept = sorted(lowered._lowering.compile_args["kept_var_idx"])
    path.with_suffix(".bin").write_bytes(b"".join(np.asarray(leaves[index]).tobytes() for index in kept))
