"""Forks Python kernels. Imports that take half a second happen here once, and all kernels share their memory.

Lines of JSON on standard input: {"id", "connectionFile", "cwd", "variables"}. Lines of JSON on standard output: {"ready"},
{"id", "pid"}, {"id", "failed"} or {"id", "outdated"}, and {"ended", "status"} when a kernel has ended. The end of the
input ends the process.
"""

import gc
import importlib.machinery
import importlib.util
import json
import os
import select
import signal
import sys
import traceback

# matplotlib reads it when pyplot is imported. The kernel that shows a figure draws it.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
# It names the folder of the preload that reseeds generators in a copy of the sandbox. The preload is already loaded,
# and programs that kernels start must not inherit the variable.
os.environ.pop("PYTHONPATH", None)

import ipykernel.ipkernel  # noqa: E402
import ipykernel.kernelapp  # noqa: E402

from soulbox_kernel.die_with_parent import die_with_parent  # noqa: E402

PRELOADED = ("numpy", "pandas", "matplotlib", "PIL")
IMPORTED_WITH = {"matplotlib": "matplotlib.pyplot", "PIL": "PIL.Image"}


def version_of(name):
    """Identifies the installed version without an import: the path, modification time and size of its file."""
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    try:
        status = os.stat(spec.origin)
    except OSError:
        return None
    return spec.origin, status.st_mtime_ns, status.st_size


def preload():
    for name in PRELOADED:
        try:
            importlib.import_module(IMPORTED_WITH.get(name, name))
        except ImportError:
            continue
    import soulbox_kernel.start  # noqa: F401

    return {name: version_of(name) for name in PRELOADED}


def answer(message):
    sys.__stdout__.write(json.dumps(message) + "\n")
    sys.__stdout__.flush()


def fork_kernel(request):
    """Returns the kernel's process id. The child never returns."""
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        os.setsid()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with open(os.devnull, "r+b") as null:
            # Replace the pipes to our parent: a kernel that writes to descriptor 1 during its setup must not write
            # replies.
            for descriptor in (0, 1):
                os.dup2(null.fileno(), descriptor)
        from soulbox_kernel.start import run_kernel

        run_kernel(request)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def handle(request):
    try:
        os.stat(request["cwd"])
        answer({"id": request["id"], "pid": fork_kernel(request)})
    except OSError as error:
        answer({"id": request["id"], "failed": str(error)})


def report_ended():
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        answer({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def serve():
    versions = preload()
    importlib.invalidate_caches()
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The garbage collector would write to every page that kernels share.
    gc.collect()
    gc.freeze()
    answer({"ready": True})
    buffered = b""
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
        report_ended()
        if 0 not in readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        buffered += chunk
        *lines, buffered = buffered.split(b"\n")
        for line in lines:
            importlib.invalidate_caches()
            if {name: version_of(name) for name in PRELOADED} != versions:
                # Another version was installed: a kernel must import the version that is installed now.
                answer({"id": json.loads(line)["id"], "outdated": True})
                continue
            handle(json.loads(line))


if __name__ == "__main__":
    serve()
