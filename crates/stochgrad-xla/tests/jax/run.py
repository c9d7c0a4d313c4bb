"""Runs a module in StableHLO with JAX: prints one line of elements for each result.

Standard input has the number of lines of arguments, a line for each argument (its type, its sizes separated by commas, and
its elements, separated by spaces), and then the text of the module.
"""

import sys

import jax
import numpy as np
from jaxlib import _jax

jax.config.update("jax_enable_x64", True)


def argument(line):
    kind, sizes, *elements = line.split(" ")
    shape = [int(size) for size in sizes.split(",") if size]
    return np.array([float(x) for x in elements if x]).astype(kind).reshape(shape)


count, rest = sys.stdin.read().split("\n", 1)
*lines, text = rest.split("\n", int(count))
device = jax.devices("cpu")[0]
executable = device.client.compile_and_load(text.encode(), _jax.DeviceList((device,)))
arguments = [jax.device_put(argument(line), device) for line in lines]
for [result] in executable.execute_sharded(arguments).disassemble_into_single_device_arrays():
    print(" ".join(repr(float(x)) for x in np.asarray(result).ravel()))
