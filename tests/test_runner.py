"""The runner on toy notebooks: what it refuses, what it publishes, what it leaves alone."""

import json
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

import pair
import publish
import run

TOY = """# %% tags=["parameters"]
model = "smol"
n = 1

# %%
import os, sys
from pathlib import Path
folder = Path(os.environ["ARBITRATION_OUTPUT"]) / model / "figures"
folder.mkdir(parents=True)
(folder / f"fig{n}.json").write_text(model)
print(sys.executable, os.getcwd())

# %%
assert n != 13, "an unlucky number"
"""


def test_models_run_side_by_side_and_the_worst_status_counts(tmp_path, monkeypatch, capfd):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "model = sys.argv[2]\n"
        "(here := __import__('pathlib').Path(__file__).parent / model).touch()\n"
        "other = here.with_name('second' if model == 'first' else 'first')\n"
        "for _ in range(200):\n    time.sleep(0.05)\n    if other.exists(): break\nelse: sys.exit(7)\n"
        "print('threads', os.environ['OMP_NUM_THREADS'], *sys.argv[3:])\n"
        "for step in range(50): sys.stderr.write(f'\\r{step} of 50')\n"
        "sys.exit(3 if model == 'second' else 0)\n"
    )
    monkeypatch.setattr(run, "__file__", str(program))
    monkeypatch.setattr(run.os, "cpu_count", lambda: 6)
    assert run.side_by_side(["first", "second"], ["-p", "n", "2"]) == 3
    printed = capfd.readouterr().out.splitlines()
    assert {"first  | threads 3 -p n 2", "second | threads 3 -p n 2"} <= set(printed)
    assert 2 <= sum("of 50" in line for line in printed) <= 6, "a bar's states come now and then, and its last one"


@pytest.fixture
def toy(tmp_path):
    """A folder with the notebook `toy`, and an empty folder for the published runs."""
    sources = tmp_path / "notebooks"
    sources.mkdir()
    (sources / "toy.py").write_text(TOY)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    return sources, tmp_path / "_executed"


def planned(sources, model="smol", **parameters):
    return run.plan(["toy"], [model], parameters, sources, known_models=("smol", "smol-relay"))


def test_appendices_run_after_what_they_read(toy):
    for name in ("appX", "secY"):
        (toy[0] / f"{name}.ipynb").write_text((toy[0] / "toy.ipynb").read_text())
    runs = run.plan([], ["smol"], {}, toy[0], known_models=("smol",))
    assert [one.source.stem for one in runs] == ["secY", "toy", "appX"]


@pytest.mark.parametrize("arguments, message", [
    (dict(notebooks=["tyo"], models=["smol"], parameters={}), "unknown notebook 'tyo'; did you mean 'toy'?"),
    (dict(notebooks=[], models=["smoll"], parameters={}), "unknown model 'smoll'; did you mean 'smol'?"),
    (dict(notebooks=[], models=["smol"], parameters={"modle": 1}), "unknown parameter of toy 'modle'; did you mean 'model'?"),
])
def test_misspelt_names_are_refused_with_the_nearest_valid_one(toy, arguments, message):
    with pytest.raises(ValueError) as error:
        run.plan(**arguments, folder=toy[0], known_models=("smol", "smol-relay"))
    assert message in str(error.value)


def test_the_command_refuses_a_misspelt_model_before_it_runs(tmp_path, capsys):
    assert run.main(["--model", "smol-rely", "--into", str(tmp_path)]) == 2
    assert "did you mean 'smol-relay'?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_published_and_not_repeated(toy, capfd):
    sources, executed = toy
    runs = planned(sources, "smol-relay", n=3)
    run.run_all(runs, executed, root=sources)
    notebook = nbformat.read(executed / "smol-relay" / "toy.ipynb", as_version=4)
    assert publish.finished(notebook)
    assert notebook.metadata.papermill.parameters == {"n": 3, "model": "smol-relay"}
    assert notebook.metadata.papermill.input_path == "notebooks/toy.ipynb"
    assert (executed / "smol-relay/figures/fig3.json").read_text() == "smol-relay"
    printed = capfd.readouterr().out
    assert "[1/1] toy · smol-relay: running" in printed
    assert sys.executable in printed  # the kernel is this very interpreter, and its output was passed on

    before = (executed / "smol-relay/toy.ipynb").stat().st_mtime_ns
    run.run_all(runs, executed, root=sources)
    assert "unchanged" in capfd.readouterr().out
    assert (executed / "smol-relay/toy.ipynb").stat().st_mtime_ns == before


def test_a_crash_leaves_the_last_finished_run(toy):
    sources, executed = toy
    run.run_all(planned(sources), executed, root=sources)
    before = {path: path.read_bytes() for path in executed.rglob("*") if path.is_file()}
    with pytest.raises(papermill.PapermillExecutionError, match="an unlucky number"):
        run.run_all(planned(sources, n=13), executed, root=sources)
    assert {path: path.read_bytes() for path in executed.rglob("*") if path.is_file()} == before


def test_a_kernel_that_dies_publishes_nothing(toy):
    sources, executed = toy
    (sources / "toy.py").write_text(TOY.replace("assert n", "os._exit(1)\nassert n"))
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    with pytest.raises(RuntimeError):
        run.run_all(planned(sources), executed, root=sources)
    assert not [path for path in executed.rglob("*") if path.is_file()]


END = "2026-01-01T00:00:00"


def staged(tmp_path, record=None, cell=False):
    """A staging folder whose notebook carries papermill's records, by default those of a finished run."""
    source = tmp_path / "toy.ipynb"
    source.write_text("{}")
    staging = tmp_path / "staging"
    staging.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.metadata["papermill"] = record or {"exception": None, "end_time": END}
    notebook.cells[0].metadata["papermill"] = {"exception": cell}
    nbformat.write(notebook, staging / "toy.ipynb")
    return publish.Run(source, "smol"), staging


@pytest.mark.parametrize("record, cell", [
    ({"exception": None, "end_time": None}, False), ({"exception": True, "end_time": END}, False),
    ({"exception": None, "end_time": END}, None), ({"exception": None, "end_time": END}, True),
])
def test_an_unfinished_run_is_not_published(tmp_path, record, cell):
    unfinished, staging = staged(tmp_path, record, cell)
    with pytest.raises(RuntimeError, match="toy · smol did not finish"):
        publish.publish(unfinished, staging, tmp_path / "_executed", {})
    assert not (tmp_path / "_executed").exists()


def test_a_changed_input_output_or_parameter_makes_a_run_stale(tmp_path):
    done, staging = staged(tmp_path)
    executed, shared = tmp_path / "_executed", {"lib/a.py": "1"}
    publish.publish(done, staging, executed, shared)
    assert publish.is_current(done, executed, shared)
    assert not publish.is_current(done, executed, {"lib/a.py": "2"})
    assert not publish.is_current(publish.Run(done.source, "smol", {"n": 2}), executed, shared)
    (executed / "smol/toy.ipynb").write_text("edited by hand")
    assert not publish.is_current(done, executed, shared)


def test_files_that_a_new_run_no_longer_makes_are_removed(tmp_path):
    done, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    for name in ("old.svg", "new.svg"):
        (staging / "output/smol").mkdir(parents=True, exist_ok=True)
        (staging / "output/smol" / name).write_text(name)
        publish.publish(done, staging, executed, {})
    assert sorted(path.name for path in (executed / "smol").iterdir()) == ["new.svg", "toy.ipynb", "toy.stamp.json"]


def test_inputs_are_the_code_the_data_and_the_pinned_versions():
    names = publish.inputs()
    assert {"constraints.txt", "lib/arbitration/metrics.py", "data/scenes/samples.jsonl", "data/authors_curves.json"} <= names.keys()
    assert not [name for name in names if name.startswith(("book/", "tests/"))]


def test_machine_paths_are_taken_out_of_printed_text(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text=f"{publish.ROOT}/lib/a.py {Path.home()}/b")]
    notebook.metadata["papermill"] = {"input_path": f"{publish.ROOT}/a"}
    cleaned = json.dumps(publish.without_paths(notebook, publish.Run(Path("toy.ipynb"), "smol")))
    assert str(publish.ROOT) not in cleaned and str(Path.home()) not in cleaned


def test_converting_is_repeatable_and_drift_is_found(toy):
    sources, _ = toy
    assert pair.convert(sources / "toy.py") == (sources / "toy.ipynb").read_text()
    assert pair.drifted(sources) == []
    (sources / "toy.py").write_text(TOY.replace("n = 1", "n = 2"))
    (sources / "lonely.ipynb").write_text("{}")
    assert pair.drifted(sources) == ["lonely", "toy"]


def test_the_notebooks_are_in_step_with_their_text():
    assert pair.drifted() == [], "run `make pair` and commit both halves"


def test_the_notebooks_are_committed_without_outputs_and_with_a_parameters_cell():
    for path in sorted(run.HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells), path.name
        assert {"model", "n", "seed"} <= papermill.inspect_notebook(path).keys(), path.name
