"""Reads event files with the reader of TensorBoard.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0 "setuptools<81"
    venv/bin/python crates/stochgrad-train/tests/tensorboard/read.py FOLDER

Prints a line for each scalar: the folder below FOLDER, the tag, the step and the value, separated by tabs.
"""

import sys

from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.util.tensor_util import make_ndarray

multiplexer = EventMultiplexer()
multiplexer.AddRunsFromDirectory(sys.argv[1])
multiplexer.Reload()
for run in sorted(multiplexer.Runs()):
    for tag in sorted(multiplexer.Runs()[run]["tensors"]):
        for event in multiplexer.Tensors(run, tag):
            print(run, tag, event.step, float(make_ndarray(event.tensor_proto)), sep="\t")
