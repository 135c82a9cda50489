"""`python -m press.run`, by a path."""

import runpy

runpy.run_module("press.run", run_name="__main__", alter_sys=True)
