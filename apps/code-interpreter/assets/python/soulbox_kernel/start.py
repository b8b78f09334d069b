"""Runs an IPython kernel in this process."""

import os
import random
import signal
import sys

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from traitlets.config import Config

from soulbox_kernel import formats

def run_kernel(request):
    os.environ.update(request["variables"])
    os.chdir(request["cwd"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reseed()
    sys.argv = ["python3"]
    # As in a notebook: modules in the working directory can be imported.
    sys.path = ["", *(entry for entry in sys.path if entry not in ("", os.path.dirname(os.path.dirname(__file__))))]
    IPKernelApp.clear_instance()
    app = IPKernelApp.instance(config=kernel_config(), kernel_class=IPythonKernel)
    app.initialize(["-f", request["connectionFile"]])
    formats.install(app.shell)
    app.start()


def reseed():
    """Every kernel inherits the zygote's generators. In a copy of the sandbox the preload of the zygote reseeds them."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def kernel_config():
    config = Config()
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.history_length = 0
    config.HistoryManager.enabled = False
    config.PlainTextFormatter.max_seq_length = 0
    config.InlineBackend.figure_formats = {"png"}
    # A cell cannot be edited again here.
    config.IPKernelApp.matplotlib = None
    config.IPKernelApp.outstream_class = "soulbox_kernel.output.BoundedStream"
    return config
