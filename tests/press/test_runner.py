"""The runner on toy notebooks: what it refuses, what it publishes, what it leaves alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_client import connect
from nbclient import NotebookClient

from apart import wait_for_end
from arbitration.files.folders import ROOT
from press import forked, pair, processes, publish, run, sockets
from press import planned as plans
from press.glued import read_glued
from toy_notebook import TOY, contents, files_of


def test_models_run_side_by_side_and_the_worst_status_counts(tmp_path, monkeypatch, capfd):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "model = sys.argv[2]\n"
        "(here := __import__('pathlib').Path(__file__).parent / model).touch()\n"
        "other = here.with_name('second' if model == 'first' else 'first')\n"
        "for _ in range(200):\n    time.sleep(0.05)\n    if other.exists(): break\nelse: "
        "sys.exit(7)\n"
        "print('threads', os.environ['OMP_NUM_THREADS'], *sys.argv[3:])\n"
        "for step in range(50): sys.stderr.write(f'\\r{step} of 50')\n"
        "sys.exit(3 if model == 'second' else 0)\n"
    )
    monkeypatch.setattr(processes, "PROGRAM", (str(program),))
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 6)
    parts = {"first": ["--model", "first"], "second": ["--model", "second", "--notebook=toy"]}
    assert processes.side_by_side(parts, ["-p", "n", "2"]) == 3
    printed = capfd.readouterr().out.splitlines()
    told = {"first  | threads 3 -p n 2", "second | threads 3 --notebook=toy -p n 2"}
    assert told <= set(printed)
    assert 2 <= sum("of 50" in line for line in printed) <= 6, (
        "a bar's states come now and then, and its last one"
    )


def test_a_model_that_is_killed_has_not_succeeded(tmp_path, capfd):
    """A signal's number is negative: less than the 0 of the others."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys\nif sys.argv[2] == 'second': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    models = {name: ["--model", name] for name in ("first", "second", "third")}
    assert processes.side_by_side(models, [], (str(program),)) == 128 + signal.SIGKILL
    assert "second was ended by signal 9; what it had measured is kept" in capfd.readouterr().out


@pytest.fixture
def toy(tmp_path):
    """A folder with the notebook `toy`, and an empty folder for the published runs."""
    sources = tmp_path / "notebooks"
    sources.mkdir()
    (tmp_path / "_toc.yml").write_text(contents("toy"))
    (sources / "toy.py").write_text(TOY)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    return sources, tmp_path / "_executed"


def planned(sources, model="smol", **parameters):
    return run.plan(["toy"], [model], parameters, sources)


def test_the_notebooks_are_those_that_the_book_lists_in_its_order(toy):
    for name in ("appX", "secY", "Untitled", "toy-Copy1"):
        (toy[0] / f"{name}.ipynb").write_text((toy[0] / "toy.ipynb").read_text())
    (toy[0] / "toy-Copy1.py").write_text(TOY + "# edited\n")
    (toy[0].parent / "_toc.yml").write_text(contents("secY", "toy", "appX"))
    assert [one.source.stem for one in run.plan([], ["smol"], {}, toy[0])] == [
        "secY",
        "toy",
        "appX",
    ]
    with pytest.raises(ValueError, match="unknown notebook 'Untitled'"):
        run.plan(["Untitled"], ["smol"], {}, toy[0])
    assert pair.strays(toy[0]) == ["Untitled.ipynb", "toy-Copy1.ipynb"]
    for name in ("secY", "appX"):
        (toy[0] / f"{name}.py").write_text(TOY)
    assert pair.drifted(toy[0]) == []


def test_sections_come_before_the_appendices_and_controls_that_read_them():
    aside = ("steer", "organisms")
    late = [name.startswith(("app", "controls")) for name in publish.listed() if name not in aside]
    assert late == sorted(late) and len(late) >= 11


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"notebooks": ["tyo"], "models": ["smol"], "parameters": {}},
            "unknown notebook 'tyo'; did you mean 'toy'?",
        ),
        (
            {"notebooks": [], "models": ["smoll"], "parameters": {}},
            "unknown model 'smoll'; did you mean 'smol'?",
        ),
        (
            {"notebooks": [], "models": ["smol"], "parameters": {"modle": 1}},
            "unknown parameter of toy 'modle'; did you mean 'model'?",
        ),
    ],
)
def test_misspelt_names_are_refused_with_the_nearest_valid_one(toy, arguments, message):
    with pytest.raises(ValueError) as error:
        run.plan(**arguments, folder=toy[0])
    assert message in str(error.value)


def test_the_command_refuses_a_misspelt_model_before_it_runs(tmp_path, capsys):
    assert run.main(["--model", "smol-rely", "--into", str(tmp_path)]) == 2
    assert "did you mean 'smol-relay'?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_published_and_not_repeated(toy, capfd):
    sources, executed = toy
    runs = planned(sources, "smol-relay", n=3)
    run.run_all(runs, executed)
    notebook = nbformat.read(executed / "smol-relay" / "toy.ipynb", as_version=4)
    assert publish.finished(notebook)
    assert notebook.metadata.papermill.parameters == {"n": 3, "model": "smol-relay"}
    assert notebook.metadata.papermill.input_path == "notebooks/toy.ipynb"
    assert (executed / "smol-relay/figures/fig3.json").read_text() == "smol-relay"
    printed = capfd.readouterr().out
    assert "[1/1] toy · smol-relay: running" in printed
    assert (
        sys.executable in printed
    )  # the kernel is this very interpreter, and its output was passed on

    before = (executed / "smol-relay/toy.ipynb").stat().st_mtime_ns
    run.run_all(runs, executed)
    assert "unchanged" in capfd.readouterr().out
    assert (executed / "smol-relay/toy.ipynb").stat().st_mtime_ns == before


def test_a_crash_leaves_the_last_finished_run(toy):
    sources, executed = toy
    run.run_all(planned(sources), executed)
    before = files_of(executed)
    with pytest.raises(papermill.PapermillExecutionError, match="an unlucky number"):
        run.run_all(planned(sources, n=13), executed)
    assert files_of(executed) == before and len(before) == 3


@pytest.mark.parametrize("times", [1, 2], ids=["its own process", "a fork"])
def test_a_kernel_that_dies_publishes_nothing(toy, times):
    sources, executed = toy
    (sources / "toy.py").write_text(TOY.replace("assert n", "os._exit(1)\nassert n"))
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    with pytest.raises(RuntimeError):
        run.run_all(planned(sources) * times, executed)
    assert not files_of(executed)


END = "2026-01-01T00:00:00"


def staged(tmp_path, record=None, cell=False):
    """A staging folder whose notebook carries papermill's records, by default those of a finished
    run.
    """
    source = tmp_path / "toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), source)
    staging = tmp_path / "staging"
    staging.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.metadata["papermill"] = record or {"exception": None, "end_time": END}
    notebook.cells[0].metadata["papermill"] = {"exception": cell}
    nbformat.write(notebook, staging / "toy.ipynb")
    return publish.Run(source, "smol"), staging


def put(one, staging, executed, before=None):
    """Publish a staged run that saw the stamp as it is now, or as it was before."""
    return publish.publish_run(
        one,
        staging,
        executed,
        publish.fingerprint(one),
        publish.seen(one, executed) if before is None else before,
    )


def test_a_run_whose_folder_is_deleted_does_not_count_as_published(tmp_path, monkeypatch):
    """What was deleted before its files were listed would be missing, and nobody would know."""
    one, staging = staged(tmp_path)
    executed, honest = tmp_path / "_executed", os.replace

    def delete(path, target):
        honest(path, target)
        (staging / "toy.ipynb").unlink(missing_ok=True)

    monkeypatch.setattr(publish.os, "replace", delete)
    with pytest.raises(RuntimeError, match="was deleted while it ran"):
        put(one, staging, executed)
    assert not publish.is_current(one, executed)


@pytest.mark.parametrize(
    "record, cell",
    [
        ({"exception": None, "end_time": None}, False),
        ({"exception": True, "end_time": END}, False),
        ({"exception": None, "end_time": END}, None),
        ({"exception": None, "end_time": END}, True),
    ],
)
def test_an_unfinished_run_is_not_published(tmp_path, record, cell):
    unfinished, staging = staged(tmp_path, record, cell)
    with pytest.raises(RuntimeError, match="toy · smol did not finish"):
        put(unfinished, staging, tmp_path / "_executed")
    assert not (tmp_path / "_executed").exists()


def test_a_changed_input_output_or_parameter_makes_a_run_stale(tmp_path, monkeypatch):
    done, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    assert put(done, staging, executed)
    assert publish.is_current(done, executed)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "inputs", lambda source: {"arbitration.a": "2"})
        assert not publish.is_current(done, executed)
    assert not publish.is_current(publish.Run(done.source, "smol", {"n": 2}), executed)
    (executed / "smol/toy.ipynb").write_text("edited by hand")
    assert not publish.is_current(done, executed)


def test_files_that_a_new_run_no_longer_makes_are_removed(tmp_path):
    done, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    for name in ("old.svg", "new.svg"):
        (staging / "output/smol").mkdir(parents=True, exist_ok=True)
        (staging / "output/smol" / name).write_text(name)
        put(done, staging, executed)
    assert sorted(path.name for path in (executed / "smol").iterdir()) == [
        "new.svg",
        "toy.ipynb",
        "toy.stamp.json",
    ]


def test_inputs_are_the_code_and_data_that_a_notebook_can_reach_and_the_pinned_versions():
    knockout = publish.inputs(plans.NOTEBOOKS / "sec3_knockout.ipynb")
    assert {
        "constraints.txt",
        "arbitration.equations.metrics",
        "arbitration.engine.resume",
        "reproduction.figures.knockout",
        "reproduction.numbers.authors",
        "data/scenes/samples.jsonl",
        "data/models/tokenizer.json",
        "data/authors_curves.json",
    } <= knockout.keys()
    assert not [name for name in knockout if name.startswith(("book/", "tests/", "press.run"))]
    pages_alone = (
        "data/results/",
        "data/paper_reported.json",
        "data/questions.json",
    )
    assert not [name for name in knockout if name.startswith(pages_alone)]


def test_machine_paths_are_taken_out_of_printed_text(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.cells[0].outputs = [
        nbformat.v4.new_output("stream", text=f"{publish.ROOT}/lib/a.py {Path.home()}/b"),
        nbformat.v4.new_output(
            "execute_result",
            {"text/plain": f"PosixPath('{tmp_path}/output/smol/tables/a.parquet')"},
        ),
    ]
    notebook.metadata["papermill"] = {"input_path": f"{publish.ROOT}/a"}
    one = publish.Run(Path("toy.ipynb"), "smol")
    cleaned = json.dumps(publish.without_paths(notebook, one, tmp_path))
    assert str(tmp_path) not in cleaned and "PosixPath('smol/tables/a.parquet')" in cleaned
    assert str(publish.ROOT) not in cleaned and str(Path.home()) not in cleaned


def test_converting_is_repeatable_and_drift_is_found(toy):
    sources, _ = toy
    assert pair.convert(sources / "toy.py") == (sources / "toy.ipynb").read_text()
    assert pair.drifted(sources) == []
    (sources / "toy.py").write_text(TOY.replace("n = 1", "n = 2"))
    (sources / "stray.ipynb").write_text("{}")
    (sources.parent / "_toc.yml").write_text(contents("toy", "lacking"))
    assert pair.drifted(sources) == ["lacking", "toy"]


def test_the_check_of_the_pairs_writes_nothing_and_says_what_to_do(toy, monkeypatch, capsys):
    sources, _ = toy
    monkeypatch.setattr(pair, "drifted", lambda: ["toy"])
    before = {path: path.read_bytes() for path in sources.iterdir()}
    assert pair.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "notebooks/toy.ipynb is not what toy.py says" in said and "run make pair" in said
    assert {path: path.read_bytes() for path in sources.iterdir()} == before
    monkeypatch.setattr(pair, "drifted", list)
    assert pair.main(["--check"]) == 0


def test_the_notebooks_are_in_step_with_their_text():
    assert pair.drifted() == [], "run `make pair` and commit both halves"


def test_the_notebooks_are_committed_without_outputs_and_with_a_parameters_cell():
    for path in (plans.NOTEBOOKS / f"{name}.ipynb" for name in publish.listed()):
        notebook = nbformat.read(path, as_version=4)
        assert not any(
            cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells
        ), path.name
        assert {"model", "n", "seed"} <= papermill.inspect_notebook(path).keys(), path.name


def test_a_stamp_that_is_not_whole_makes_a_run_stale(tmp_path):
    done, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    put(done, staging, executed)
    stamp = publish.stamp_of(done, executed)
    whole = stamp.read_text()
    for damage in ("", whole[:-9], "[]", "{}", '{"inputs": 1, "files": 2}', "null"):
        stamp.write_text(damage)
        assert not publish.is_current(done, executed)
        assert (
            put(done, staging, executed)
            and stamp.read_text() == whole
            and publish.is_current(done, executed)
        )


def test_what_breaks_publishing_off_leaves_no_run_that_counts(tmp_path, monkeypatch):
    done, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    for name in ("old.svg", "new.svg"):
        (staging / "output/smol").mkdir(parents=True, exist_ok=True)
        (staging / "output/smol" / name).write_text(name)
        if name == "old.svg":
            put(done, staging, executed)
            continue
        replace = publish.os.replace
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(
                publish.os,
                "replace",
                lambda source, target: (
                    replace(source, target)
                    if str(source).endswith(".partial")
                    else (_ for _ in ()).throw(KeyboardInterrupt)
                ),
            )
            put(done, staging, executed)
    assert not publish.is_current(done, executed)
    assert put(done, staging, executed), "what was broken off is no other run's"
    assert sorted(path.name for path in (executed / "smol").iterdir()) == [
        "new.svg",
        "toy.ipynb",
        "toy.stamp.json",
    ]


def test_of_two_runs_at_once_the_first_is_published_whole(tmp_path):
    one, staging = staged(tmp_path)
    executed = tmp_path / "_executed"
    before = publish.seen(one, executed)
    put(one, staging, executed)
    first = files_of(executed)
    assert not put(one, staging, executed, before), "the same again is not needed"
    other = publish.Run(one.source, "smol", {"n": 2})
    with pytest.raises(
        RuntimeError,
        match=(
            "toy · smol: another run, with other parameters, code or data, was published while "
            "this one ran.* run it again"
        ),
    ):
        put(other, staging, executed, before)
    assert files_of(executed) == first
    assert put(other, staging, executed) and publish.is_current(other, executed)


AT_ONCE = TOY.replace(
    "assert n",
    """import time
(Path.cwd() / f"here-{n}").touch()
for _ in range(400):
    if len(list(Path.cwd().glob("here-*"))) == 2: break
    time.sleep(0.05)
else: raise RuntimeError("the other run did not come")
assert n""",
)


@pytest.mark.parametrize("times", [1, 2], ids=["its own process", "a fork"])
def test_a_kernel_needs_no_port_that_another_program_may_take(toy, times, monkeypatch):
    """The one that Jupyter found free is taken when the kernel begins."""
    sources, executed = toy
    monkeypatch.setattr(forked, "IMPORTED", ["ipykernel.kernelapp"])
    before = {*Path(tempfile.gettempdir()).glob("kernel-*")}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(connect.LocalPortCache, "find_available_port", lambda *ignored: taken)
        run.run_all(planned(sources) * times, executed)
    assert files_of(executed)
    assert {*Path(tempfile.gettempdir()).glob("kernel-*")} <= before


def test_no_number_is_lost_that_the_runner_has_not_read_yet(toy, monkeypatch):
    """A kernel glues them faster than papermill reads, and keeps some thousand messages."""
    sources, executed = toy
    read = NotebookClient.process_message

    def read_slowly(client, *given):
        time.sleep(0.002)
        return read(client, *given)

    monkeypatch.setattr(NotebookClient, "process_message", read_slowly)
    glue = "from press.glued import glue_all\nglue_all({f'n{one}': one for one in range(4000)})\n"
    (sources / "toy.py").write_text(f"{TOY}\n# %%\n{glue}")
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    run.run_all(planned(sources), executed)
    kept = read_glued(json.loads((executed / "smol" / "toy.ipynb").read_text()))
    assert kept == {f"n{one}": one for one in range(4000)}


def test_where_files_cannot_be_sockets_ports_are(monkeypatch):
    with sockets.lend_sockets() as found:
        assert found["KernelManager"]["transport"] == "ipc"
        assert len(found["KernelManager"]["connection_file"]) < 104
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + 100 * "a")
    with sockets.lend_sockets() as found:
        assert found == {}


@pytest.mark.faults
def test_two_commands_at_once_leave_the_whole_run_of_one(toy, monkeypatch):
    sources, executed = toy
    (sources / "toy.py").write_text(AT_ONCE)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    program = (
        "import sys; from press import run; sys.exit(run.conclude(lambda: "
        "run.run_all(run.plan(['toy'], ['smol'], {'n': int(sys.argv[2])}, sys.argv[1]), "
        "run.Path(sys.argv[3]))))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), os.environ.get("PYTHONPATH", "")]),
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(sources), n, str(executed)],
            cwd=sources.parent,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in "12"
    ]
    errors = [one.communicate(timeout=120)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 1], errors
    won = [one.returncode for one in both].index(0) + 1
    assert "was published while this one ran" in errors[2 - won]
    assert "Traceback" not in "".join(errors)
    (mine,) = run.plan(["toy"], ["smol"], {"n": won}, sources)
    assert publish.is_current(mine, executed)
    assert sorted(files_of(executed)) == [
        f"smol/figures/fig{won}.json",
        "smol/toy.ipynb",
        "smol/toy.stamp.json",
    ]
    assert not [path for path in (executed / ".running").iterdir() if path.is_dir()]


def test_the_folder_of_a_killed_run_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    one = publish.Run(tmp_path / "toy.ipynb", "smol")
    left = tmp_path / ".running" / "toy-left"
    left.mkdir(parents=True)
    with publish.staged(one, tmp_path) as first:
        assert not left.exists()
        with publish.staged(one, tmp_path) as second:
            assert first != second and first.is_dir() and second.is_dir()
        assert first.is_dir() and not second.exists()
    assert not first.exists()


def test_paths_start_from_the_folder_that_the_command_was_typed_in(
    toy, monkeypatch, capfd, tmp_path
):
    sources, executed = toy
    (typed := tmp_path / "typed").mkdir()
    monkeypatch.chdir(typed)
    run.run_all(planned(sources), executed)
    assert str(typed) in capfd.readouterr().out
    assert str(typed) not in json.dumps(publish.told(publish.seen(planned(sources)[0], executed)))


def test_a_readers_own_things_count_by_what_they_contain(tmp_path, monkeypatch):
    nbformat.write(nbformat.v4.new_notebook(), source := tmp_path / "toy.ipynb")
    monkeypatch.chdir(tmp_path)
    for name in ("set", "moved"):
        own_set(tmp_path / name)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text("{}")

    def prints(**parameters):
        return publish.fingerprint(publish.Run(source, parameters.pop("model", "smol"), parameters))

    first, model = prints(data="set"), prints(model="net")
    assert (
        first
        == prints(data=str(tmp_path / "set"))
        == prints(data="./moved")
        != prints(data="scenes")
    )
    (tmp_path / "set" / "p.png").write_bytes(b"another picture")
    assert prints(data="set") != first == prints(data="moved")
    own_set(tmp_path / "moved", context="a cat")
    assert prints(data="moved") != first
    (tmp_path / "net" / "config.json").write_text("{ }")
    assert prints(model="net") != model
    picture = prints(image="set/p.png")
    (tmp_path / "set" / "p.png").write_bytes(b"a third")
    assert prints(image="set/p.png") != picture


def own_set(folder, context="a dog"):
    folder.mkdir(exist_ok=True)
    (folder / "p.png").write_bytes(b"a picture")
    sample = {
        "question": "?",
        "context": context,
        "answer_vision": "cat",
        "answer_text": "dog",
        "image": "p.png",
    }
    (folder / "samples.jsonl").write_text(json.dumps(sample))


def test_a_model_of_a_folder_or_of_the_hub_is_taken_and_called_by_its_name(
    toy, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text("{}")
    for given, named in (
        ("org/name", "org/name"),
        ("net", "local/net"),
        (str(tmp_path / "net"), "local/net"),
    ):
        (one,) = planned(toy[0], given)
        assert (one.model, one.named, one.title) == (given, named, f"toy · {named}")
        assert (
            publish.stamp_of(one, Path("executed")) == Path("executed") / named / "toy.stamp.json"
        )


@pytest.mark.parametrize(
    "parameters, said",
    [
        ({"n": "0"}, "toy: n is '0'; it must be a whole number from 1 to 1000000; nearest: 1"),
        ({"n": "ten"}, "toy: n is 'ten'"),
        ({"model": "smol"}, "set by --model smol"),
    ],
)
def test_a_value_that_a_parameter_cannot_have_is_refused_before_anything_runs(
    toy, parameters, said
):
    with pytest.raises(ValueError) as error:
        run.plan(["toy"], ["smol"], parameters, toy[0])
    assert said in str(error.value)


def test_typed_values_mean_what_they_say(toy):
    (one,) = run.plan(["toy"], ["smol"], {"n": "12"}, toy[0])
    assert one.parameters == {"n": 12, "model": "smol"}


def test_output_in_another_encoding_is_passed_on(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint('a · b → c', sys.stdout.encoding)\n")
    code = (
        f"import sys; from arbitration import commands; from press import processes; "
        f"processes.PROGRAM = ({str(program)!r},); "
        "commands.status(lambda: None, ''); "
        "sys.exit(processes.side_by_side({one: ['--model', one] for one in ('one', 'two')}, []))"
    )
    for encoding in ("latin-1", "ascii", "utf-8"):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "lib"),
            "PYTHONIOENCODING": encoding,
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, timeout=60
        )
        assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
        shown = "a · b → c utf-8".encode(encoding, "replace").decode(encoding)
        assert sorted(done.stdout.decode(encoding).splitlines()) == [
            f"one | {shown}",
            f"two | {shown}",
        ]


@pytest.mark.faults
def test_the_models_side_by_side_end_with_a_command_that_is_killed(tmp_path):
    """Else they would publish beside the same command's next start."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\nfrom pathlib import Path\nfrom press import run\n"
        "def work():\n    (Path(__file__).parent / sys.argv[2]).write_text(str(os.getpid()))\n"
        "    print('begun', 'ARBITRATION_STARTED' in os.environ, flush=True)\n    time.sleep(60)\n"
        "run.conclude(work)\n"
    )
    code = (
        f"from press import processes; processes.PROGRAM = ({str(program)!r},); "
        "processes.side_by_side({one: ['--model', one] for one in ('one', 'two')}, [])"
    )
    going = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    # What they start in turn has an input of its own.
    assert [going.stdout.readline().strip()[-11:] for _ in range(2)] == ["begun False"] * 2
    going.kill()
    going.communicate(timeout=30)
    for name in ("one", "two"):
        wait_for_end(int((tmp_path / name).read_text()))


@pytest.mark.faults
def test_ctrl_c_ends_the_models_side_by_side_without_a_traceback(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\nfrom pathlib import Path\n(Path(__file__).parent / "
        "sys.argv[2]).write_text(str(__import__('os').getpid()))\nprint('begun', "
        "flush=True)\ntime.sleep(60)\n"
    )
    code = (
        f"import sys; from press import processes, run; processes.PROGRAM = ({str(program)!r},); "
        "parts = {one: ['--model', one] for one in ('one', 'two')}; "
        "sys.exit(run.conclude(lambda: processes.side_by_side(parts, [])))"
    )
    going = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert [going.stdout.readline().strip()[-5:] for _ in range(2)] == ["begun"] * 2
    going.send_signal(signal.SIGINT)
    out, error = going.communicate(timeout=30)
    assert (going.returncode, out) == (130, "") and error.splitlines() == [f"stopped: {run.KEPT}"]
    for name in ("one", "two"):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / name).read_text()), 0)


@pytest.mark.faults
@pytest.mark.parametrize("times", [1, 2], ids=["its own process", "a fork"])
def test_ctrl_c_ends_a_run_its_kernel_and_its_folder(toy, times):
    sources, executed = toy
    (sources / "toy.py").write_text(
        TOY.replace(
            "assert n",
            "import time\nprint('begun', os.getpid(), flush=True)\ntime.sleep(60)\nassert n",
        )
    )
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    code = (
        f"import sys; from press import run; sys.exit(run.conclude(lambda: "
        f"run.run_all(run.plan(['toy'], ['smol'], {{}}, {str(sources)!r}) * {times}, "
        f"run.Path({str(executed)!r}))))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "lib")])}
    going = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kernel = next(int(line.split()[1]) for line in going.stdout if line.startswith("begun"))
    going.send_signal(signal.SIGINT)
    error = going.communicate(timeout=60)[1]
    assert (
        going.returncode == 130
        and error.splitlines()[-1] == f"stopped: {run.KEPT}"
        and "Traceback" not in error
    ), error
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    assert not files_of(executed) and not [
        path for path in (executed / ".running").iterdir() if path.is_dir()
    ]


def test_the_command_is_there_before_torch_is():
    """Help and usage errors come at once: the face of the primitives imports what is asked for."""
    program = "import press.run, arbitration, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
