"""`python -m press.run`, by the path that the README names."""

import runpy

runpy.run_module("press.run", run_name="__main__", alter_sys=True)
