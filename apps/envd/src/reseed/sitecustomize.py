"""Seeds Python's generators again in a copy of a running sandbox: PYTHONPATH=/.soulbox/reseed/python, see docs/fork.md.

envd sends SIGURG to the Python programs of a copy that have a handler for it. Only loaded modules are seeded. At the
start only built-in modules are imported, because an import would slow down every start of Python.
"""

import os
import sys

import _frozen_importlib
import _signal


def _reseed(_signal_number, _frame):
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "_ssl" in sys.modules:
        # OpenSSL's other generators detect that the first one was seeded.
        sys.modules["_ssl"].RAND_add(os.urandom(32), 32.0)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _run_next_sitecustomize():
    """This file hides a sitecustomize of the template or the tenant, which must still run."""
    own = os.path.realpath(os.path.dirname(__spec__.origin))
    others = [path for path in sys.path if os.path.realpath(path) != own]
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "PathFinder":
            spec = finder.find_spec("sitecustomize", others)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module(_frozen_importlib.module_from_spec(spec))


try:
    _signal.signal(_signal.SIGURG, _reseed)
except ValueError:
    pass  # Not the main interpreter.
_run_next_sitecustomize()
