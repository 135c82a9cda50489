"""Commands as a person types them: what is shown, how they end, and where what they make is."""

import importlib
import json
import os
import shlex
import subprocess
import sys
import tomllib
from functools import partial

import nbclient
import nbformat
import papermill
import pytest
from filelock import FileLock

from arbitration import commands
from arbitration.files.folders import ROOT
from arbitration.files.given import find_path, parse_json
from press import KEPT, command, pair, planned, publish, shell
from reproduction import cohorts
from toy_notebook import TOY, write_toy
from typed import COMMAND, PAPERMILL, WAYS, prepare_environment, run_typed

#: As `cohorts.study` begins, without the seconds that its imports take; model `absent` is refused.
BEGIN = """
from arbitration import commands
from arbitration.files.given import find_path
commands.shorten_in_cells()
find_path("" if model == "absent" else "there")
"""
REFUSED = "error: '' is no path; give that of a file or a folder, as text"
READERS_TOY = TOY.replace("# %%\nimport os", f"# %%{BEGIN}\n# %%\nimport os")


@pytest.fixture
def toy(tmp_path):
    """A folder of notebooks with `toy` alone."""
    return write_toy(tmp_path, READERS_TOY)


def raised(call, *given):
    with pytest.raises(Exception) as caught:
        call(*given)
    return caught.value


def test_an_error_is_for_readers_where_this_project_raises_it_for_them():
    assert commands.is_for_readers(raised(find_path, ""))
    assert commands.is_for_readers(raised(cohorts.study, {"n": 0, "data": "scenes"}))
    slip = raised(parse_json, b"\xff")
    assert isinstance(slip, ValueError) and not commands.is_for_readers(slip)
    assert not commands.is_for_readers(raised(parse_json, "{"))
    assert not commands.is_for_readers(raised(int, "x"))
    assert not commands.is_for_readers(ValueError("never raised"))


def test_a_cell_shows_an_error_for_readers_by_its_sentence_and_others_whole(tmp_path, monkeypatch):
    """`%tb` shows where it was raised; what is raised again in another cell is as before."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "lib"))
    texts = ["model = 'absent'", BEGIN, "%tb", "find_path('there') / 0", "int('x')", BEGIN]
    cells = [nbformat.v4.new_code_cell(text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    shown = [one.outputs for one in notebook.cells]
    for (refused,) in (shown[1], shown[5]):
        assert (refused.ename, refused.traceback) == ("ValueError", [REFUSED])
        assert f"error: {refused.evalue}" == REFUSED
    assert "given.py" in str(shown[2])
    assert len(shown[3][0].traceback) > 1 and len(shown[4][0].traceback) > 1


@pytest.mark.parametrize("way", WAYS)
def test_papermill_ends_with_the_sentence(toy, way):
    """As typed in the README: with an output path, which it needs."""
    given = [str(toy / "toy.ipynb"), str(toy / "out.ipynb"), "-p", "model", "absent"]
    status, lines = run_typed(way, [*PAPERMILL, *given], prepare_environment(toy.parent))
    assert status == 1 and lines[-1] == REFUSED, lines
    assert len(lines) < 10, lines
    outputs = [cell.get("outputs", []) for cell in nbformat.read(toy / "out.ipynb", 4).cells]
    (refused,) = [one for some in outputs for one in some if one.output_type == "error"]
    assert refused.traceback == [REFUSED]


def test_papermill_shows_any_other_error_as_ever(capsys):
    before = lambda kind, error, trace: print("as before", error)
    shell.print_error(before, ValueError, ValueError("a slip"), None)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("as before a slip\n", "")


@pytest.fixture
def by_hand(toy, monkeypatch):
    """The command on the toy notebook, in this process; and where it writes."""
    monkeypatch.setattr(planned, "plan", partial(planned.plan, folder=toy))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "lib"))
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(toy.parent / "results"))
    return command.main, toy.parent / "results"


def test_a_run_by_hand_lies_in_results_and_its_last_line_says_where(by_hand, capfd):
    main, results = by_hand
    assert main(["run", "toy", "-p", "n", "3", "-p", "model", "smol-relay"]) == 0
    printed = capfd.readouterr()
    made = results / "smol-relay" / "toy.ipynb"
    last = f"The executed notebook, with its tables and figures beside it: {made}"
    assert printed.out.splitlines()[-1] == last and "[1/1] toy · smol-relay: running" in printed.out
    notebook = json.loads(made.read_text(encoding="utf-8"))
    given = notebook["metadata"]["papermill"]
    assert given["parameters"] == {"n": 3, "model": "smol-relay"}
    assert given["output_path"] == "smol-relay/toy.ipynb"
    assert (results / "smol-relay" / "figures" / "fig3.json").read_text() == "smol-relay"

    assert main(["run", "toy", "-p", "n", "3", "-p", "model", "smol-relay"]) == 0
    printed = capfd.readouterr().out
    assert "unchanged" in printed and printed.splitlines()[-1] == last


def test_an_error_for_readers_is_the_command_s_only_line_on_stderr(by_hand, toy, capfd):
    main, results = by_hand
    (toy / "toy.py").write_text(READERS_TOY.replace('== "absent"', '== "smol"'))
    (toy / "toy.ipynb").write_text(pair.convert(toy / "toy.py"))
    assert main(["run", "toy"]) == 1
    assert capfd.readouterr().err.splitlines() == [REFUSED]
    assert not (results / "smol").exists()


def test_any_other_error_of_a_cell_is_shown_whole(by_hand, capfd):
    assert by_hand[0](["run", "toy", "-p", "n", "13"]) == 1
    printed = capfd.readouterr().err
    assert "AssertionError" in printed and "-> " in printed and "broke off" in printed


def test_ctrl_c_ends_a_run_by_hand_with_what_to_do_next(tmp_path):
    """While it imports what it works with; while a notebook runs is in `test_runner`."""
    (tmp_path / "papermill.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    environment = prepare_environment(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    status, lines = run_typed("terminal", [*COMMAND, "run", "sec2_dataset"], environment)
    assert (status, lines) == (130, [f"stopped: {KEPT}"])


@pytest.mark.parametrize(
    "given, said",
    [
        (["tyo"], "unknown notebook 'tyo'; did you mean 'toy'?"),
        (["toy", "-p", "modle", "smol"], "unknown parameter of toy 'modle'; did you mean 'model'?"),
        (["toy", "-p", "model", "smoll"], "unknown model 'smoll'; did you mean 'smol'?"),
        (["toy", "-p", "n", "0"], "n is '0'; it must be a whole number from 1 to 1000000"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_nearest_that_is_right(by_hand, given, said, capsys):
    assert by_hand[0](["run", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line and not by_hand[1].exists()


def test_the_cache_is_shown_and_cleared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    for name, size in (("mc2", 3_000_000), ("parts", 1_500_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * size)
    (tmp_path / "mine").write_text("of the reader")

    assert command.main(["cache"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["3.0", "MB", "mc2:"], ["1.5", "MB", "parts:"]]
    assert last == f"The cache is {tmp_path}, with 4.5 MB."
    assert command.main(["cache", "--clear", "mc3"]) == 2
    assert "the cache holds nothing called 'mc3'; give base, mc2" in capsys.readouterr().err
    assert command.main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"3.0 MB are freed in {tmp_path}\n"
    assert (tmp_path / "parts" / "file").exists(), "measured rows go by their name alone"
    assert command.main(["cache", "--clear", "parts"]) == 0
    assert capsys.readouterr().out == f"1.5 MB are freed in {tmp_path}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_cache_in_use_is_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    (tmp_path / "locks").mkdir()
    (tmp_path / "mc2").mkdir()
    with FileLock(tmp_path / "locks" / "held.lock"):
        assert command.main(["cache", "--clear"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: another process is making held") and (tmp_path / "mc2").exists()


def test_the_cache_is_told_without_what_runs_notebooks():
    """Nor what measures: it comes at once, also where these are not installed."""
    program = (
        "import sys; from press import command; command.main(['cache']);"
        "sys.exit(bool({'torch', 'papermill', 'pandas'} & sys.modules.keys()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


def test_what_is_installed_leads_to_what_there_is():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = told["scripts"]["instruction-anchors"].partition(":")
    assert getattr(importlib.import_module(module), name) is command.main
    (engine,) = told["entry-points"]["papermill.engine"].values()
    assert importlib.import_module(engine) is shell


def typed_lines():
    """Every line of the pages that runs the command, as words."""
    pages = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages).replace("\\\n", " ")
    return [
        shlex.split(line, comments=True)
        for line in text.splitlines()
        if line.startswith(".venv/bin/instruction-anchors run ")
    ]


def test_every_line_of_the_pages_is_one_that_the_command_takes():
    lines = typed_lines()
    assert len(lines) >= 8
    for words in lines:
        given = command.command_parser().parse_args(words[1:])
        assert given.notebook in publish.listed(), words
        known = papermill.inspect_notebook(ROOT / "notebooks" / f"{given.notebook}.ipynb")
        assert given.parameter and dict(given.parameter).keys() <= known.keys(), words


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", ["papermill", "instruction-anchors"])
def test_the_lines_of_the_readme_on_the_real_notebooks(way, program, tmp_path):
    """With weights that are not at hand nor to be reached, and with those that ship."""
    environment = prepare_environment(tmp_path)
    path = str(ROOT / "notebooks" / "sec2_dataset.ipynb")
    typed = [*PAPERMILL, path, str(tmp_path / "out.ipynb")]
    if program == "instruction-anchors":
        typed = [*COMMAND, "run", "sec2_dataset"]
    given = [*typed, "-p", "model", "internvl3"]
    status, lines = run_typed(way, given, environment)
    assert status == 1 and lines[-1].startswith("error: the weights of 'internvl3'"), lines
    assert len(lines) < 10 and "the embedded models run now: smol" in lines[-1], lines
    status, lines = run_typed(way, [*typed, "-p", "n", "2"], environment)
    assert status == 0, lines
    made = tmp_path / "out.ipynb" if program == "papermill" else tmp_path / "results" / "smol"
    assert made.exists() and "Traceback" not in "".join(lines)
    assert list((tmp_path / "results" / "smol" / "tables").glob("*.parquet"))
