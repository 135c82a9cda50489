"""The pages on many workers: the job script is what SLURM would be given; the plan is counted."""

import importlib.util
import re

import pytest

import arbitration as arb
from arbitration.files.folders import ROOT

PAGE = (ROOT / "book" / "scale.md").read_text(encoding="utf-8")
PLAN = (ROOT / "book" / "thousand_models.md").read_text(encoding="utf-8")


def test_the_job_script_is_that_of_the_code_above_it(capsys):
    """Without SLURM: nothing is submitted before `scale`."""
    pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    code = re.search(r"```python\n(from dask_jobqueue .*?)```", PAGE, re.S)[1]
    made, told, rest = code.partition("print(cluster.job_script())\n")
    assert told and rest.startswith("cluster.scale(jobs=16)\n")
    scope: dict = {}
    exec(made, scope)
    with scope["cluster"] as cluster:
        script = cluster.job_script().replace(cluster.scheduler_address, "tcp://…")
        assert callable(cluster.scale) and callable(cluster.adapt)
    shown = re.search(r"```sh\n(#!/usr/bin/env bash\n.*?)```", PAGE, re.S)[1]
    assert script.strip() == shown.strip()
    assert "#SBATCH --gpus=1" in script and "--nthreads 1 " in script


def test_the_plan_s_operations_are_counted_and_its_arithmetic_is_right():
    path = ROOT / "benchmarks" / "knockout.py"
    spec = importlib.util.spec_from_file_location("benchmark_knockout", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    name = "Qwen2.5-VL-7B decoder"
    subject = benchmark.real_size(name, benchmark.REAL_SIZES[name], "meta")
    on_cpu = type("Device", (), {"device": "cpu"})
    prompt = benchmark.synthetic_prompt(on_cpu, 700)
    windows = [arb.LayerWindow(centre, 3).layers(28) for centre in range(28)]
    count = benchmark.operations(subject, prompt, arb.STANDARD_PATHWAYS, windows)
    resumed, plain = (count[way] / 1e12 for way in ("resumed", "plain"))
    assert f"| {resumed:.1f} Tflop a prompt, eight paths resumed ({plain:,.0f} plain) |" in PLAN
    hours = resumed / 400 * 2e6 / 3600
    assert f"= {hours:.0f}$ | {hours:.0f},000: 1,000 GPUs for five days |" in PLAN
    assert round(hours / 24) == 5
    assert f"{plain / 400:.1f}$ s a prompt | {round(plain / 400 * 2e6 / 3600, -2):,.0f} |" in PLAN
    rows = 9 * 28 * 2e6
    assert f"= {89 * rows / 1e9:.0f}$ GB in" in PLAN and f"= {45 * rows / 1e9:.0f}$ GB |" in PLAN
    sent = 2048 * 1176 * 4
    assert f"= {sent * 2e6 / 1e12:.0f}$ TB, {sent * 2e6 / 103e6 / 3600:.0f} hours" in PLAN
