"""Workers: one process's tables to the bit, whoever dies or joins; what they cannot do is done
here.
"""

import os
import re
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from transformers import PreTrainedModel

import arbitration as arb
import tiny
import unlucky
from reproduction import measures, results
from reproduction.measures import organisms
from reproduction.results import cluster, parts, question, tasks

distributed = pytest.importorskip("distributed", reason=cluster.MISSING)
dask = pytest.importorskip("dask")
PATHWAYS = [arb.Pathway("context", "instruction"), arb.Pathway("vision", "last")]


def alone(make, *arguments, **options):
    """What `make` makes, while no worker in a thread of this process makes a model: transformers
    changes its classes meanwhile, and of two at once the second leaves them changed.
    """
    with tasks._ALONE:
        return make(*arguments, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that any process can load, in float32, where company decides rounding."""
    place = tmp_path_factory.mktemp("models") / "mine"
    own = alone(tiny.subject, "llava", dtype=torch.float32)
    own.model.save_pretrained(place)
    own.processor.save_pretrained(place)
    return place


@pytest.fixture
def subject(folder):
    return alone(arb.load, str(folder), dtype=torch.float32, device="cpu")


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(cluster.VARIABLE, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as a worker has: they decide rounding, too
    yield tmp_path
    torch.set_num_threads(threads)


def encode(subject, n, ways=("text", "vision")):
    return [subject.encode(sample, way) for way in ways for sample in tiny.samples(n)]


@pytest.fixture(scope="module")
def inside():
    """A worker in a thread of this process: what it does costs no new process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as own:
        yield own.scheduler_address
        cluster.connect(own.scheduler_address).close()
    with tasks._ALONE:  # a task that was taken back may still be loading
        assert PreTrainedModel.tie_weights.__name__ == "tie_weights", "two were made at once"


@pytest.mark.faults
def test_workers_that_die_and_join_give_the_tables_of_one_process(room, subject, monkeypatch):
    """Six samples a direction are no whole passes: the last pass of one direction goes on in the
    other, or stops there, as the measure wants it.
    """
    prompts = encode(subject, 22)
    given = {"pathways": PATHWAYS, "layers": [1, 3], "worst": prompts[2].id}
    some = prompts[:6] + prompts[22:28]
    ways = {"width": 1, "layers": [2], "seed": 0}

    def measure_all(folder):
        rows = unlucky.sweep_in_danger
        swept = results.gather("swept", rows, subject, prompts, folder=str(folder), **given)
        return swept, results.gather("ways", organisms.sweep_ways, subject, some, **ways)

    alone = measure_all(room / "none")
    log = room / "log"
    assert not log.exists()
    monkeypatch.setenv("ARBITRATION_CACHE", str(room / "other"))
    # as for the sweep that it wraps
    monkeypatch.setattr(tasks, "knockout_tables", unlucky.sweep_in_danger)
    own = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=4, silence_logs=50, **own) as local:
        monkeypatch.setenv(cluster.VARIABLE, local.scheduler_address)

        def replace_the_dead():
            unlucky._wait_for(room / "died")
            local.scale(5)
            cluster.connect(local.scheduler_address).wait_for_workers(5)
            (room / "joined").touch()

        helper = threading.Thread(target=replace_the_dead, daemon=True)
        helper.start()
        shared = measure_all(room)
        helper.join()
    for one, other in zip(alone, shared, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    lines = [line.split() for line in log.read_text().splitlines()]
    done = [prompt for _, prompt in lines]
    twice = {prompt for prompt in done if done.count(prompt) > 1}
    assert twice == {prompt.id for prompt in prompts[:2]}, "of the task that died, what it had done"
    assert len(done) == len(prompts) + 2 and set(done) == {prompt.id for prompt in prompts}
    assert len({process for process, _ in lines}) >= 5
    assert str(os.getpid()) not in {process for process, _ in lines}


@pytest.mark.parametrize(
    "rows, workers, sizes",
    [
        # 6 text, 6 vision: passes of a sweep of all are 4, 4, 4; of each direction 4, 2, 4, 2
        (arb.knockout_tables, 2, [4, 4, 4]),
        (organisms.sweep_ways, 2, [4, 2, 4, 2]),
        (measures.each(measures.answers.ask), 0, [4, 2, 4, 2]),
    ],
)
def test_a_task_is_whole_passes(rows, workers, sizes):
    prompts = encode(alone(tiny.subject, "llava"), 6)
    cut = tasks.cut(rows, prompts, workers)
    assert [len(task) for task in cut] == sizes
    assert sum(cut, []) == list(range(12)), "in order, each once"


def test_long_tables_have_longer_tasks_and_each_worker_eight():
    prompts = [type("Prompt", (), {"following": "text"})] * 256
    for workers, size in ((16, 4), (4, 8), (2, 16), (1, 16)):
        assert {len(task) for task in tasks.cut(unlucky.fail_at, prompts, workers)} == {size}


@pytest.fixture
def workers(room, inside, monkeypatch):
    monkeypatch.setenv(cluster.VARIABLE, inside)
    tasks._loaded.clear()


def gather(subject, prompts, place="none", kind="", **options):
    return results.gather(
        "toy", unlucky.fail_at, subject, prompts, place=place, kind=kind, **options
    )


def here(table):
    return set(table["thread"]) == {threading.current_thread().name}


def test_a_model_is_loaded_once_and_spells_as_the_task_says(workers, subject, monkeypatch):
    honest, loads = tasks.load.load, []
    monkeypatch.setattr(tasks.load, "load", lambda *a: loads.append(a) or honest(*a))
    for spelling in ("as given", "capitalised"):
        table = gather(replace(subject, spelling=spelling), encode(subject, 5))
        assert len(table) == 10 and set(table["spelling"]) == {spelling} and not here(table)
    assert loads == [(str(subject.model.name_or_path), "trained", torch.float32, "cpu", {})]


def test_a_worker_keeps_small_models_and_forgets_large_ones(monkeypatch):
    models = {name: alone(tiny.subject, "llava", seed=seed) for seed, name in enumerate("abc")}
    size = tasks._size(models["a"].model)
    loaded = {name: (one, {}) for name, one in models.items()}
    monkeypatch.setattr(tasks, "_loaded", loaded)
    for kept, left in ((3 * size, "abc"), (2 * size, "bc"), (size - 1, "")):
        monkeypatch.setattr(tasks, "KEPT", kept / 2**30)
        tasks._make_room()
        assert "".join(loaded) == left


def test_a_task_has_its_own_prompts_share_of_what_is_lent(workers, subject):
    prompts = encode(subject, 6)
    lent = dict(zip((one.id for one in tiny.samples(6)), tiny.samples(6)[::-1], strict=True))
    table = results.gather("lent", unlucky.borrow, subject, prompts, borrowed=lent)
    assert table["own"].tolist() == [lent[prompt.sample.id].id for prompt in prompts]
    assert table["all"].tolist() == ([4] * 4 + [2] * 2) * 2


def test_what_no_name_leads_to_is_measured_here_and_said(workers, capsys):
    subject = alone(tiny.subject, "llava")
    assert here(gather(subject, encode(subject, 3)))
    why = "no other process can load 'tiny-llava', which `load` has not made"
    assert f"toy, tiny-llava: measured here, not by workers: {why}" in capsys.readouterr().out


def test_a_model_whose_weights_were_changed_is_measured_here_and_said(workers, subject, capsys):
    assert not here(gather(subject, encode(subject, 2)))
    with torch.no_grad():
        subject.output_projection(3).weight[0, 0] += 1e-3
    assert here(gather(subject, encode(subject, 4)[2:4] + encode(subject, 4)[6:]))
    told = capsys.readouterr().out
    assert re.search(
        r"measured here, not by workers: a worker that loads '.*mine' has weights", told
    )


def test_a_worker_with_other_code_is_refused(workers, subject, monkeypatch):
    honest, main = tasks.describe_around, threading.current_thread().name

    def describe(*arguments):
        found = honest(*arguments)
        return found if threading.current_thread().name == main else found | {"code": "edited"}

    monkeypatch.setattr(tasks, "describe_around", describe)
    with pytest.raises(RuntimeError, match="would measure with code edited, not .*start workers"):
        gather(subject, encode(subject, 2))


@pytest.mark.parametrize("place", [0, 2, 6])
def test_an_error_comes_as_it_was_and_names_its_prompt(workers, subject, place):
    prompts = encode(subject, 8, ("text",))
    with pytest.raises(unlucky.Odd) as caught:
        gather(subject, prompts, prompts[place].sample.id)
    assert str(caught.value) == "this and 2" and caught.value.second == 2
    there, note = caught.value.__notes__
    assert "in a worker:" in there and "unlucky.py" in there
    title = f"toy, {subject.name}"
    assert note == f"{title}: the first prompt that was not measured is {prompts[place].id}"
    kept = {path.stem.rsplit("-", 1)[0] for path in question.cache().rglob("*.parquet")}
    # what came before it in its task and in those before
    assert kept >= {prompt.id for prompt in prompts[:place]} and prompts[place].id not in kept


def test_an_error_that_cannot_travel_is_told(workers, subject):
    def rows(subject, prompts):
        error = OSError("no more")
        error.held = threading.Lock()
        raise error

    with pytest.raises(RuntimeError, match="^OSError: no more\n"):
        results.gather("toy", rows, subject, encode(subject, 1))


def test_an_unusable_sample_is_dropped_alone(workers, subject, capsys):
    prompts = encode(subject, 6)
    table = gather(subject, prompts, prompts[1].sample.id, "unusable")
    assert table["sample"].tolist() == [
        prompt.sample.id for number, prompt in enumerate(prompts) if number not in (1, 7)
    ]
    lost = "; ".join(f"{prompts[number].id}: too long" for number in (1, 7))
    assert f"dropped 2 of 12 prompts from the table 'toy': {lost}" in capsys.readouterr().out


def list_known(dask_scheduler) -> list[str]:
    return list(dask_scheduler.tasks)


def test_ctrl_c_keeps_what_is_measured_and_takes_the_rest_back(workers, subject, monkeypatch):
    honest, written = parts.write_table, []

    def interrupted(table, path, first=False):
        if len(written) == 5:
            # Dask takes tasks in beside other messages: what takes a task back may come before it,
            # and is then forgotten.
            client = cluster.connect(cluster.address())
            while not set(client.futures) <= set(client.run_on_scheduler(list_known)):
                time.sleep(0.01)
            raise KeyboardInterrupt
        written.append(path)
        honest(table, path, first)

    prompts = encode(subject, 12)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(parts, "write_table", interrupted)
        gather(subject, prompts)
    kept = {path: path.stat().st_mtime_ns for path in question.cache().rglob("*.parquet")}
    assert set(kept) == set(written) and len(kept) == 5
    client, until = cluster.connect(cluster.address()), time.monotonic() + 60
    while any(client.processing().values()) or client.who_has():
        assert time.monotonic() < until, "tasks that nobody waits for"
        time.sleep(0.05)
    assert len(gather(subject, prompts)) == 24
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_task_in_which_every_worker_dies_names_its_prompts(subject):
    prompts, died = encode(subject, 1), distributed.scheduler.KilledWorker("task", None, 3)
    found, error = cluster._received(SimpleNamespace(status="error"), (None, died, None), prompts)
    assert found == [] and error is died
    assert ", ".join(one.id for one in prompts) in died.__notes__[0]
    assert "lack memory" in died.__notes__[0]


def test_a_scheduler_that_goes_away_is_said():
    gone = distributed.client.FutureCancelledError("task", "lost")
    found, error = cluster._received(SimpleNamespace(status="cancelled"), gone, [])
    assert found == [] and isinstance(error, ConnectionError) and "same command" in str(error)

    def no_answer():
        raise OSError

    with pytest.raises(ConnectionError, match="the scheduler is gone"):
        cluster.count_threads(SimpleNamespace(nthreads=no_answer))


def test_a_client_is_made_once_and_anew_when_it_has_lost_its_scheduler(inside):
    first = cluster.connect(inside)
    assert cluster.connect(inside) is first
    first.close()
    assert cluster.connect(inside) is not first and cluster.connect(inside).status == "running"


def test_no_scheduler_and_no_dask_are_said(monkeypatch):
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(ConnectionError, match=f"no scheduler answers at '{address}'"),
        ):
            cluster.connect(address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"-e '\.\[cluster\]'"):
        cluster.connect("tcp://127.0.0.1:2")
