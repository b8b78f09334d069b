"""Additions to IPython's kernel: result formats, charts and the start of a kernel."""
