"""`python -m press.parallel`, by a path."""

import runpy

runpy.run_module("press.parallel", run_name="__main__", alter_sys=True)
