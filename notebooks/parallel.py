"""`python -m press.parallel`, by the path that the README names."""

import runpy

runpy.run_module("press.parallel", run_name="__main__", alter_sys=True)
