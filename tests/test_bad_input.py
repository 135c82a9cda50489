"""One table of what a reader may get wrong, whatever room it is for. Each is refused in a sentence
or two that name the value and say what to do, before anything is measured, and leaves no file
behind. A second table has what looks wrong and is right, with what is made of it.
"""

import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch
from transformers import PreTrainedModel

import arbitration as arb
import broken
import tiny
from arbitration import dataset
from arbitration.checks import conformance
from arbitration.dataset import entities, mc2, own, pictures
from arbitration.dictionary import __main__ as dictionary_command
from arbitration.dictionary import make, sheet
from arbitration.models import embedded, hub
from press import planned, publish, run
from reproduction import cohorts
from reproduction.results import __main__ as results_command
from reproduction.results import parts, records
from toy_notebook import contents

GOOD = {
    "question": "What is on the table?",
    "context": "There is a pear on the table.",
    "answer_vision": "apple",
    "answer_text": "pear",
    "image": "one.png",
}
LINE = json.dumps(GOOD)
NOTEBOOK = {"model": "smol", "data": "scenes", "split": "held", "seed": 0, "n": 2}
LONG, DEEP = "a" * 5000, "[" * 100_000


@dataclass(frozen=True)
class Room:
    """Where a case makes its input: an empty folder, and a small model that was saved."""

    folder: Path
    net: Path


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes
    ----------
    name : str
    make : callable
        Makes it in a room, and gives what a reader would call next.
    says : tuple of str
        What the message holds: the value, and the remedy.
    raises : type
        Or the exit status of a command, which prints the message.
    """

    name: str
    make: Callable[[Room], Callable[[], object]]
    says: tuple[str, ...]
    raises: type | int = ValueError


# What is made, and how a reader asks for it.


def asked(function, *given, **named):
    """Nothing is made, and a function is called."""
    return lambda room: partial(function, *given, **named)


def in_notebook(**changed):
    """The first line of every notebook."""
    return asked(cohorts.study, NOTEBOOK | changed)


def in_environment(**variables):
    """The first line of every notebook, in an environment that says so."""

    def asked_there():
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            cohorts.study(dict(NOTEBOOK))

    return lambda room: asked_there


def of_a_cut_notebook(room):
    sources = room.folder / "notebooks"
    sources.mkdir()
    (room.folder / "_toc.yml").write_text(contents("toy"))
    (sources / "toy.ipynb").write_text('{"cells": [')
    return lambda: run.with_workers(
        run.parser("").parse_args(["--notebook", "toy"]),
        lambda given: planned.plan(["toy"], ["smol"], {}, sources),
        print,
    )


def into_a_file(room):
    (room.folder / "book").write_text("")
    return partial(run.main, ["--notebook", "sec4_heads", "--into", str(room.folder / "book")])


def by_command(**typed):
    """The runner, which has everything as text."""
    parameters = [part for pair in typed.items() for part in ("-p", *pair)]
    return asked(run.main, ["--notebook", "sec4_heads", "--model", "smol", *parameters])


def in_set(content: str | bytes, name: str = "samples.jsonl", **files: bytes):
    """A reader's own set: its file, a good picture, and what else lies beside them."""

    def made(room):
        broken.two_colours().save(room.folder / "one.png")
        for file, one in {name: content, **files}.items():
            (room.folder / file).write_bytes(one.encode() if isinstance(one, str) else one)
        return partial(dataset.load, room.folder)

    return made


def with_fields(**changed):
    """A set of one good and one changed sample."""
    return in_set(f"{LINE}\n{json.dumps(GOOD | changed)}\n")


def with_picture(content: bytes, name: str = "two.png"):
    return in_set(json.dumps(GOOD | {"image": name}), **{name: content})


def with_link(target: str):
    """A picture that is a link; beside the folder of the set lies another picture."""

    def made(room):
        load = with_fields(image="link.png")(room)
        broken.two_colours().save(room.folder.parent / "outside.png")
        (room.folder / "link.png").symlink_to(target)
        return load

    return made


def in_rows(**changed):
    """The same in parquet; a changed column may have any type."""
    columns = {name: [value] for name, value in (GOOD | changed).items()}
    return in_table(pyarrow.table(columns))


def in_table(table, cut: int | None = None):
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return in_set(sink.getvalue().to_pybytes()[:cut], "samples.parquet")


def in_mc2(content):
    def made(room):
        file = room.folder / "evaluate_final.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return partial(dataset.load, file)

    return made


def with_dictionary(apple, **more):
    """A set whose dictionary has an entry for its first answer, and a good one for the other."""
    made = {"entries": {"any": {"apple": apple, "pear": {"en": ["pear"]}}}, **more}
    return in_dictionary(json.dumps(made).encode())


def in_dictionary(content: bytes):
    def made(room):
        load = in_set(LINE, **{"entities.json": content})(room)
        return lambda: entities.of(room.folder, load())

    return made


def in_review(review, call=make.write_dictionary):
    content = review if isinstance(review, str) else json.dumps(review)

    def made(room):
        in_set(LINE, **{"review.json": content.encode()})(room)
        return partial(call, room.folder)

    return made


def in_words(**changed):
    """A sample put to a model."""

    def made(room):
        sample = replace(tiny.samples()[0], **changed)
        return partial(tiny.subject("llava").encode, sample, "text")

    return made


def for_one_prompt(**given):
    """A reader's own conflict in the notebook `steer`."""
    return lambda room: partial(own.own_conflict, tiny.samples()[0], **given)


def in_model(file: str, change, call=None):
    """A saved model with another of its files, and its first prompt."""

    def made(room):
        folder = room.folder / "net"
        shutil.copytree(room.net, folder, copy_function=os.link)
        content = change((folder / file).read_text(encoding="utf-8"))
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_text(content, encoding="utf-8")
        return partial(call or first_prompt, str(folder))

    return made


def with_weights_cut(short: int):
    def made(room):
        folder = room.folder / "net"
        shutil.copytree(room.net, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        content = (room.net / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[:-short])
        return partial(first_prompt, str(folder))

    return made


def first_prompt(folder: str):
    subject = arb.load(folder, dtype=torch.float32, device="cpu", images={})
    return subject.encode(tiny.samples()[0], "text")


def says_of(part: str = "", **changed):
    """A configuration with other values, at its top or in a part of it."""

    def change(text):
        config = json.loads(text)
        (config[part] if part else config).update(changed)
        return json.dumps(config)

    return in_model("config.json", change)


def in_store(change=None, rows=None, where="toy", arguments=("merge",)):
    """Another store of records with one record, whose .json or whose rows are changed."""

    def made(room):
        path = room.folder / where / "table.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        made_by = {"code": "abc", "when": "2026-01-02"}
        columns = {"model": "toy", "layer": [0, 1], "nssd": [0.1, 0.2]}
        own_columns = {"case": "c", "prompt": "p", "content": "d", "made": "m", "seconds": 1.0}
        table = pd.DataFrame(columns | own_columns)
        record = records.Record(rows(table) if rows else table, {"c": {}}, {"m": made_by})
        records.write_record(path, record)
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        about.pop("check")  # as if by a version that writes none
        content = change(about) if change else about
        content = content if isinstance(content, str) else json.dumps(content)
        path.with_suffix(".json").write_text(content, encoding="utf-8")
        return partial(results_command.main, [*arguments, str(room.folder)])

    return made


def in_file(name: str, content: str | bytes, call):
    """Some other file of the folder, and what reads it."""

    def made(room):
        path = room.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return partial(call, path)

    return made


def in_cache(name: str, content: str, call):
    def made(room):
        path = room.folder.parent / "cache" / name
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
        return call

    return made


MC2 = dict.fromkeys(mc2.FIELDS, "1") | {"answer_vision": "a", "answer_text": "b"}
ENVIRONMENT = [
    Case(
        "records asked for in another word",
        in_environment(ARBITRATION_RECORDED="onyl"),
        ("ARBITRATION_RECORDED is 'onyl'", "set it to only"),
    ),
    Case(
        "recording switched on in another word",
        in_environment(ARBITRATION_RECORD="true"),
        ("ARBITRATION_RECORD is 'true'", "set it to 1"),
    ),
    Case(
        "too few prompts to attest",
        in_environment(ARBITRATION_ATTEST="1"),
        ("ARBITRATION_ATTEST is '1'", "at least 2"),
    ),
    Case(
        "no number of prompts to attest",
        in_environment(ARBITRATION_ATTEST="some"),
        ("ARBITRATION_ATTEST is 'some'", "or all"),
    ),
    Case(
        "a notebook that was cut", of_a_cut_notebook, ("toy.ipynb is no notebook", "make pair"), 2
    ),
    Case("a book into a file", into_a_file, ("is a file", "give a folder"), 2),
]
PARAMETERS = [
    Case("n of 0", in_notebook(n=0), ("n is 0", "nearest: 1")),
    Case("n below 0", in_notebook(n=-1), ("n is -1", "nearest: 1")),
    Case("n of 10⁹", in_notebook(n=10**9), ("n is 1000000000", "nearest: 1000000")),
    Case("n as a word", in_notebook(n="ten"), ("n is 'ten'", "a whole number")),
    Case("n not finite", in_notebook(n=float("inf")), ("n is inf", "a whole number")),
    Case("n very long", in_notebook(n="9" * 5000), ("n is '999", "a whole number")),
    Case("n of 0, typed", by_command(n="0"), ("n is '0'", "nearest: 1"), 2),
    Case("draws of 10¹²", by_command(draws="1e12"),
         ("draws is '1e12'", "nearest: 1000000"), 2),
    Case("a seed below 0", in_notebook(seed=-1), ("seed is -1", "nearest: 0")),
    Case("a seed between", in_notebook(seed=1.5), ("seed is 1.5", "nearest: 2")),
    Case("an even width", in_notebook(width=4), ("width is 4", "nearest: 5")),
    Case("a width of 10⁹", in_notebook(width=10**9 + 1), ("width is 1000000001", "nearest: 999")),
    Case("no widths", in_notebook(widths=[]), ("widths is []", "[1, 3, 5]")),
    Case("a share of 0", in_notebook(share=0), ("share is 0", "above 0")),
    Case("a share in %", in_notebook(shares="5%"), ("shares is '5%'", "[0.05, 0.1]")),
    Case("shares above 1", in_notebook(shares=[0.1, 5]), ("shares is [0.1, 5]", "nearest: 1")),
    Case("a factor below 0", in_notebook(factor=-1), ("factor is -1", "nearest: 0")),
    Case("a factor of 10³⁰⁰", in_notebook(factors=[1e300]), ("[1e+300]", "nearest: 1000")),
    Case("a factor of NaN", in_notebook(factor=float("nan")), ("factor is nan", "a number from 0")),
    Case("a split that is not", in_notebook(split="hold"), ("split is 'hold'", "nearest: held")),
    Case("a split of a number", in_notebook(split=3), ("split is 3", "must be one of iid")),
    Case("neither true nor false", in_notebook(measure="yes"), ("is 'yes'", "nearest: true")),
    Case("a pathway of many", in_notebook(pathways=["vision-last"]),
         ("is ['vision-last']", "nearest: vision→last")),
    Case("one answer", in_notebook(answers=["apple"]), ("is ['apple']", "a list of 2")),
    Case("weights that are not", in_notebook(weights="Trained"), ("'Trained'", "nearest: trained")),
    Case("data of no type", in_notebook(data=None), ("data is None", "must be text")),
    Case("data nowhere", in_notebook(data="no/where"), ("'no/where'", "'scenes', 'mc2', or the")),
    Case("data of nobody", in_notebook(data="~nobody9/x"), ("'~nobody9/x'", "give another one")),
    Case("data too long", in_notebook(data=LONG), ("'aaa", "File name too long", "give another")),
    Case("data with a zero", in_notebook(data="a\0b"), ("'a\\x00b'", "give another one")),
    Case("an image of nobody", in_notebook(image="~nobody9/x"), ("image: '~nob", "give another")),
    Case("an image too long", in_notebook(image=LONG), ("image: 'aaa", "give another one")),
    Case("an image that is a folder", in_notebook(image="/"), ("picture '/'", "paths start from")),
    Case("a parameter that is not", by_command(modle="smol"), ("'modle'", "mean 'model'?"), 2),
    Case("a notebook that is not", asked(run.main, ["--notebook", "sec4_head"]),
         ("'sec4_head'", "did you mean 'sec4_heads'?"), 2),
    Case("data in Python of no type", asked(dataset.load, 7), ("7 is no path", "'scenes', 'mc2'")),
    Case("data in Python of nothing", asked(dataset.load, ""), ("'' is no path", "'scenes'")),
    Case("a split in Python", asked(dataset.load, "scenes", None), ("split None", "held_style")),
]  # fmt: skip
MODELS = [
    Case("a model misspelt", asked(arb.load, "smoll"), ("'smoll'", "did you mean 'smol'?")),
    Case("a model of no type", asked(arb.load, 7), ("7 is no name", "'org/name'")),
    Case("a model of nothing", asked(arb.load, ""), ("'' is no name", "'org/name'")),
    Case("a model, typed", asked(run.main, ["--model", "smoll"]), ("'smoll'", "mean 'smol'?"), 2),
    Case("a model too long", asked(arb.load, LONG), ("model 'aaa", "'org/name'")),
    Case("a merge beyond 1", asked(arb.load, "smol-merge-2"), ("'smol-merge-2'", "known models")),
    Case("no repository", asked(arb.load, "org/na..me"), ("'org/na..me'", "known models")),
    Case("an address", asked(arb.load, "https://x.co/a/b"), ("'https://x.co/a/b'", "'org/name'")),
    Case("a folder without a model", lambda room: partial(arb.load, str(room.folder)),
         ("has no config.json", "save_pretrained")),
    Case("weights of no kind", asked(arb.load, "smol", weights=None), ("weights=None", "choose")),
    Case("a device that is not", asked(arb.load, "smol", device="gpu"), ("'gpu'", "'cuda:0'")),
    Case("a device that is not here", asked(arb.load, "smol", device="cuda:99"),
         ("'cuda:99'", "give 'cpu'")),
    Case("a device, typed", asked(conformance.main, ["smol", "--device", "gpu"]),
         ("device='gpu'", "give 'cpu'"), 2),
    Case("a format as text", asked(arb.load, "smol", dtype="float32"),
         ("dtype='float32'", "torch.float32")),
    Case("whole numbers as a format", asked(arb.load, "smol", dtype=torch.int8),
         ("dtype=torch.int8", "torch.float32")),
    Case("pins of another kind", in_cache("revisions.json", "[1]", hub.pinned),
         ("revisions.json", "no object", "restore it, or delete it")),
    Case("pins that are no revisions", in_cache("revisions.json", '{"org/name": 5}', hub.pinned),
         ("revisions.json", "no object", "restore it, or delete it")),
]  # fmt: skip
LIES = [
    Case("no configuration", in_model("config.json", lambda text: text[:40]),
         ("no image-text model", "not a valid JSON", "save_pretrained"), FileNotFoundError),
    Case("a configuration of null", in_model("config.json", lambda text: "null"),
         ("no image-text model", "save_pretrained"), FileNotFoundError),
    Case("a configuration too deep", in_model("config.json", lambda text: DEEP),
         ("no image-text model", "RecursionError", "save_pretrained"), FileNotFoundError),
    Case("a type that is not", says_of(model_type="nope"), ("`nope`", "give a checkpoint")),
    Case("a text model", says_of("text_config", model_type="bert"),
         ("has no 'layers'", "text decoder is a stack of layers")),
    Case("heads of 0", says_of("text_config", num_attention_heads=0),
         ("ZeroDivisionError", "save_pretrained"), FileNotFoundError),
    Case("heads below 0", says_of("text_config", num_attention_heads=-6),
         ("-48", "save_pretrained"), FileNotFoundError),
    Case("heads that do not divide", says_of("text_config", num_attention_heads=7),
         ("attention heads (7)", "save_pretrained"), FileNotFoundError),
    Case("fewer heads than there are", says_of("text_config", num_attention_heads=3),
         ("10 of another shape", "Give a checkpoint")),
    Case("keys of 0 heads", says_of("text_config", num_key_value_heads=0),
         ("ZeroDivisionError", "save_pretrained"), FileNotFoundError),
    Case("no layers", says_of("text_config", num_hidden_layers=0),
         ("num_hidden_layers=0", "correct its config.json")),
    Case("100,000 layers", says_of("text_config", num_hidden_layers=10**5),
         ("num_hidden_layers=100000", "correct its config.json")),
    Case("a layer fewer", says_of("text_config", num_hidden_layers=4),
         ("9 in no part of the model", "Give a checkpoint")),
    Case("a vocabulary of 10¹³", says_of("text_config", vocab_size=10**13),
         ("960,000,000,101,680 weights", "files hold", "save_pretrained")),
    Case("another size of text", says_of(text_config=None),
         ("6,755,352,512 weights", "files hold", "save_pretrained")),
    Case("an activation that is not", says_of("text_config", hidden_act="nope"),
         ("'nope'", "save_pretrained"), FileNotFoundError),
    Case("patches of 0", says_of("vision_config", patch_size=0),
         ("ZeroDivisionError", "save_pretrained"), FileNotFoundError),
    Case("attention that is not here", says_of(attn_implementation="flash_attention_2"),
         ("FlashAttention2", "save_pretrained"), FileNotFoundError),
    Case("no token of the picture", says_of(image_token_id=None),
         ("'image_token_id'", "the number of the token")),
    Case("a token as text", says_of(image_token_id="<image>"),
         ("'image_token_id'", "the number of the token")),
    Case("another token", says_of(image_token_index=10**9),
         ("no token 1000000000", "a processor and a model of the same checkpoint")),
    Case("a processor without pictures",
         in_model("processor_config.json", lambda text: '{"processor_class": "X"}'),
         ("the processor of 'local/net' is a", "processor.save_pretrained")),
    Case("no chat template", in_model("chat_template.jinja", lambda text: None),
         ("template of local/net cannot be used", "put the chat_template.jinja")),
    Case("a broken chat template", in_model("chat_template.jinja", lambda text: "{% for"),
         ("end of template", "put the chat_template.jinja")),
    Case("another chat template", in_model("chat_template.jinja", lambda text: "Hello."),
         ("exactly once: 'Hello.'", "put that of its checkpoint")),
    Case("a model that cannot be checked",
         in_model("config.json", lambda text: "{}", lambda net: conformance.main([net])),
         ("local/net", "give a checkpoint"), 2),
    Case("weights that are cut short", with_weights_cut(9),
         ("model.safetensors", "not whole", "copy or save them again"), FileNotFoundError),
]  # fmt: skip
PICTURES = [
    Case("a picture of 0 bytes", with_picture(b""), ("'two.png'", "a picture that opens")),
    Case("no picture", with_picture(b"<html>not found</html>"), ("'two.png'", "that opens")),
    Case("a drawing in words", with_picture(b"<svg/>", "two.svg"), ("'two.svg'", "that opens")),
    Case("a truncated picture", with_picture(broken.stored(broken.two_colours(), "PNG")[:-30]),
         ("'two.png'", "Truncated", "that opens")),
    Case("a truncated photograph",
         with_picture(broken.stored(broken.two_colours(size=(64, 64)), "JPEG")[:-40], "two.jpg"),
         ("'two.jpg'", "truncated", "that opens")),
    Case("a picture 0 wide", with_picture(broken.png(0, 5)), ("'two.png'", "that opens")),
    Case("a picture 0 high", with_picture(broken.png(5, 0)), ("'two.png'", "that opens")),
    Case("a huge picture", with_picture(broken.png(60_000, 60_000)),
         ("3600000000 pixels", "save it smaller")),
    Case("grey without a white",
         with_picture(broken.stored(broken.Image.fromarray(np.eye(4, dtype=np.float32)), "TIFF")),
         ("floating-point numbers", "save it with 8 or 16 bits")),
    Case("a picture that is not there", with_fields(image="three.png"),
         ("'three.png'", "no file", "relative to the folder")),
    Case("a folder as picture", with_fields(image="."), ("image '.'", "relative to the folder")),
    Case("a picture's path of a type", with_fields(image=3), ("image is 3", "in quotes")),
]  # fmt: skip
PATHS = [
    Case("an absolute path", with_fields(image="/etc/passwd"),
         ("absolute path '/etc/passwd'", "relative to the folder")),
    Case("a path out of the folder", with_fields(image="../outside.png"),
         ("'../outside.png' leads out", "into the folder")),
    Case("a path out and in again", with_fields(image="a/../../outside.png"),
         ("leads out", "into the folder")),
    Case("a link out of the folder", with_link("../outside.png"),
         ("'link.png' leads out", "outside.png", "into the folder")),
    Case("a link to nothing", with_link("nothing.png"), ("'link.png'", "no file")),
    Case("a link to itself", with_link("link.png"), ("'link.png'", "of a picture that opens")),
    Case("a path too long", with_fields(image=LONG), ("image 'aaa", "File name too long")),
    Case("a path with a zero", with_fields(image="a\0b"), ("'a\\x00b'", "give another one")),
    Case("a name of a path", with_fields(id="../x"), ("id '../x'", "use up to 50 letters")),
    Case("a name that is too long", with_fields(id="𠀀" * 50), ("id '𠀀", "use up to 50 letters")),
    Case("another file", lambda room: partial(dataset.load, "/etc/passwd"),
         ("/etc/passwd", "give a .jsonl or .parquet file")),
]  # fmt: skip
LINES = [
    Case("no line", in_set("\n\n"), ("holds no sample", "write one line for each")),
    Case("half a line", in_set(LINE[:60]), ("line 1: not valid JSON", "one whole {…} object")),
    Case("a list", in_set("[1, 2]"), ("[1, 2] is no sample", "write one {…} object")),
    Case("lines too deep", in_set(DEEP), ("line 1", "nested too deep", "one whole {…} object")),
    Case("a field given twice", in_set(f'{LINE[:-1]}, "context": "Another."}}'),
         ("'context' is given twice", "one whole {…} object")),
    Case("a value of NaN", in_set(LINE.replace('"apple"', "NaN")), ("is nan", "in quotes")),
    Case("a value without an end", in_set(LINE.replace('"apple"', "9" * 5000)),
         ("not valid JSON", "4300 digits", "one whole {…} object")),
    Case("a nested value", with_fields(context={"text": "A pear."}),
         ("context is {'text': 'A pear.'}", "as text in quotes")),
    Case("a value of a type", with_fields(answer_text=3), ("answer_text is 3", "in quotes")),
    Case("a field that is missing", with_fields(context=None), ("context is missing", "write the")),
    Case("an empty context", with_fields(context=" "), ("context is empty", "write the text")),
    Case("a field too many", with_fields(contxt="A pear."), ("'contxt'", "mean 'context'?")),
    Case("a field with a long name", with_fields(**{LONG: "x"}), ("field 'aaa", "known fields")),
    Case("half a character", with_fields(context="A \ud83d"), ("U+D83D", "write the whole one")),
    Case("a name given twice", in_set("\n".join([LINE[:-1] + ', "id": "a"}'] * 2)),
         ("id 'a' is also that of line 1", "write a name that no other sample has")),
    Case("a name in another case",
         in_set(f'{LINE[:-1]}, "id": "LINE-0002"}}\n{LINE}'), ("'line-0002' is also", "write a")),
    Case("the same answer", with_fields(answer_text="An apple."), ("'An apple.'", "needs two")),
    Case("an answer without words", with_fields(answer_text="?!"), ("'?!'", "no word")),
    Case("splits of some", with_fields(split="a"), ("line 2 has one", "to every sample or")),
    Case("another encoding", in_set(LINE.replace("pear", "poiré").encode("latin-1")),
         ("line 1: not written in UTF-8", "save the file in that encoding")),
    Case("two bytes a letter", in_set(LINE.encode("utf-16")), ("UTF-8", "save the file")),
    Case("old ends of lines", in_set(f"{LINE}\r{LINE}\r"), ("Extra data", "on each line")),
    Case("two files", in_set(LINE, **{"samples.parquet": b""}), ("both", "give the path")),
    Case("rows too many to list",
         in_set("\n".join(json.dumps(GOOD | {"image": f"{n}.png"}) for n in range(300))),
         ("300 things are wrong", "line 21 is the first of 280 more")),
]  # fmt: skip
ROWS = [
    Case("no row", in_table(pyarrow.table({name: [""] for name in GOOD}).slice(0, 0)),
         ("holds no sample", "write one row for each")),
    Case("no parquet", in_set(b"", "samples.parquet"), ("0 bytes", "give a .jsonl file")),
    Case("truncated parquet", in_table(pyarrow.table({"a": [1]}), -40),
         ("cannot be read as parquet", "write it again")),
    Case("a column of NaN", in_rows(context=float("nan")), ("row 1: context is nan", "in quotes")),
    Case("a column of bytes", in_rows(context=b"A pear."), ("is b'A pear.'", "in quotes")),
    Case("a nested column", in_rows(context={"a": 1}), ("context is {'a': 1}", "in quotes")),
    Case("a column of lists", in_rows(answer_text=["pear"]), ("is ['pear']", "in quotes")),
    Case("a column of dates", in_rows(task=pd.Timestamp(0)), ("task is", "which is no text")),
    Case("a column that is missing", in_table(pyarrow.table({"question": ["Why?"]})),
         ("row 1: context is missing", "write the text")),
    Case("a column too many", in_rows(answer="pear"), ("'answer'", "did you mean")),
    Case("a column given twice",
         in_table(pyarrow.table([["Why?"], ["a"], ["b"]], names=["question", "image", "image"])),
         ("image", "write it again")),
    Case("half a letter", in_table(pyarrow.table({"context": pyarrow.StringArray.from_buffers(
        1, pyarrow.py_buffer(struct.pack("<ii", 0, 1)), pyarrow.py_buffer(b"\xff"))})),
         ("0xff", "write it again")),
]  # fmt: skip
SETS = [
    Case("no list of MC²", in_mc2({"a": 1}), ("is no list of objects", "image_id")),
    Case("MC² too deep", in_mc2(DEEP.encode()), ("nested too deep", "one list of objects")),
    Case("lines as MC²", in_mc2(b"{}\n{}"), ("Extra data", ".jsonl file")),
    Case("a number of MC²", in_mc2([MC2 | {"image_id": 5}]), ("image_id is 5", "in quotes")),
    Case("a path of MC²", in_mc2([MC2 | {"image_id": "../5"}]), ("is '../5'", "COCO number")),
    Case("a field of MC² given twice", in_mc2(b'[{"task": "a", "task": "b"}]'),
         ("'task' is given twice", "one list of objects")),
    Case("a dictionary of nothing", in_dictionary(b"{}"), ("no entries", "make it again")),
    Case("a dictionary too deep", in_dictionary(DEEP.encode()), ("too deep", "make it again")),
    Case("a dictionary of another set", in_dictionary(b'{"entries": {}}'),
         ("lacks 2 of the 2 answers", "make it again")),
    Case("an entry with nothing usable", with_dictionary({"en": []}), ("'apple'", "make it again")),
    Case("an entry that is one text", with_dictionary({"en": "apple"}),
         ("'apple' for 'en', which is no list", "make it again")),
    Case("an entry without its answer", with_dictionary({"en": ["malus"]}),
         ("['malus'] for 'en', which lacks the answer", "make it again")),
    Case("Chinese that is one text", with_dictionary({"en": ["apple"], "zh": "苹果"}),
         ("'苹果' for 'zh'", "make it again")),
    Case("a form without a word", with_dictionary({"en": ["apple", "?!"]}),
         ("the form '?!'", "make it again")),
    Case("a form of half a character", with_dictionary({"en": ["apple", "\ud83d"]}),
         ("the form '\\ud83d'", "make it again")),
    Case("a form of a number", with_dictionary({"en": ["apple", 3]}), ("form 3", "make it again")),
    Case("an entry given twice",
         in_dictionary(b'{"entries": {"any": {"apple": {}, "apple": {}}}}'),
         ("'apple' is given twice", "make it again")),
    Case("a review of nothing", in_review([]), ("is no review", "correct it, or delete it")),
    Case("a review too deep", in_review(DEEP), ("nested too deep", "correct it, or delete it")),
    Case("senses as a list", in_review({"senses": []}), ("senses has for each", "correct it")),
    Case("a form instead of a list", in_review({"rejected": {"any": {"apple": "malus"}}}),
         ("not 'malus'", "correct it, or delete it")),
    Case("an unknown part", in_review({"reject": {}}), ("is no review", "correct it")),
    Case("a review, typed", in_review([], lambda folder: dictionary_command.main([str(folder)])),
         ("error:", "is no review", "correct it, or delete it"), SystemExit),
    Case("a sheet of nothing",
         asked(sheet.write_sheet, Path("sheet.csv"), {}, {}, 0, 0), ("--sheet 0", "above 0")),
    Case("a sheet by no seed",
         asked(sheet.write_sheet, Path("sheet.csv"), {}, {}, 1, -1), ("--seed -1", "at least 0")),
]  # fmt: skip
WORDS = [
    *(Case(f"a special token in the {name}", in_words(**{field: "So <|im_end|> it is."}),
           ("'<|im_end|>'", "write it otherwise"))
      for name, field in {"question": "question", "context": "context", "answer": "answer_vision",
                          "instruction": "instruction_text"}.items()),
    Case("the picture's token in the context", in_words(context="An <image>."),
         ("'<image>'", "write it otherwise")),
    Case("an enormous context", in_words(context="So it is. " * 50_000),
         ("has 2,048 positions", "shorten its context")),
    Case("one answer to an own question", for_one_prompt(question="Why?", answers=["apple"]),
         ("question given, and answers=['apple']", "also say both answers")),
    Case("an answer for both", for_one_prompt(question="Why?", answers="ab"),
         ("answers=['ab']", "also say both answers")),
    Case("answers of a type", for_one_prompt(question="Why?", answers=[1, 2]),
         ("answers: 1 is no text", "write it in quotes")),
    Case("half a character in an own context",
         for_one_prompt(context="A \ud83d", answers=["apple", "pear"]),
         ("context: 'A \\ud83d'", "U+D83D", "write the whole one")),
    Case("half a character in an own instruction", for_one_prompt(instruction="\ud83d"),
         ("instruction: ", "U+D83D", "write the whole one")),
    Case("an own picture nowhere", for_one_prompt(image="none.png", answers=["apple", "pear"]),
         ("no picture 'none.png'", "looked for"), FileNotFoundError),
    Case("an own picture too long", for_one_prompt(image=LONG, answers=["apple", "pear"]),
         ("'aaa", "File name too long", "give another one")),
]  # fmt: skip
RECORDS = [
    Case("a record of another version", in_store(lambda about: {"version": 2, "rows": 3}),
         ("table.parquet is damaged", "this version", "git checkout"), 2),
    Case("a record of a list", in_store(lambda about: "[]"),
         ("is damaged", "this version", "git checkout"), 2),
    Case("a record too deep", in_store(lambda about: DEEP), ("too deep", "git checkout"), 2),
    Case("a record without makers", in_store(lambda about: about | {"made": {}}),
         ("does not tell the made 'm'", "git checkout"), 2),
    Case("a record by nobody", in_store(lambda about: about | {"made": {"m": None}}),
         ("by which code", "git checkout"), 2),
    Case("a record without cases", in_store(lambda about: about | {"cases": {}}),
         ("does not tell the cases 'c'", "git checkout"), 2),
    Case("a record of types that are not",
         in_store(lambda about: about | {"types": about["types"] | {"layer": "int7"}}),
         ("int7", "git checkout"), 2),
    Case("a record that lacks a column", in_store(rows=lambda rows: rows.drop(columns="seconds")),
         ("no column seconds", "git checkout"), 2),
    Case("a record that was cut", in_store(lambda about: about | {"sha256": "0"}),
         ("its hash is another", "git checkout"), 2),
    Case("one model's records as a store", in_store(where="."),
         ("is of 'toy'", "give the folder that holds the models' folders"), 2),
    Case("a store's parent", in_store(where="results/toy"),
         ("'results/toy'", "give the folder that holds the models' folders"), 2),
    Case("no store", lambda room: partial(results_command.main, ["merge", str(room.folder)]),
         ("no record in", "as data/results is"), 2),
    Case("a damaged part of a table", in_file("part.parquet", b"PAR1", parts.read_table),
         ("part.parquet is damaged",)),
]  # fmt: skip
CASES = [
    *ENVIRONMENT,
    *PARAMETERS,
    *MODELS,
    *LIES,
    *PICTURES,
    *PATHS,
    *LINES,
    *ROWS,
    *SETS,
    *WORDS,
    *RECORDS,
]


@pytest.fixture(scope="session")
def net(tmp_path_factory):
    """A small model as `save_pretrained` writes it."""
    folder, subject = tmp_path_factory.mktemp("saved"), tiny.subject("llava", torch.float32)
    subject.model.save_pretrained(folder)
    subject.processor.save_pretrained(folder)
    return folder


@pytest.fixture
def room(tmp_path, net, monkeypatch):
    """Every place in which something could be left behind, empty; and no model may be run."""
    for name in ("given", "here", "temporary"):
        (tmp_path / name).mkdir()
    for name in ("CACHE", "OUTPUT", "RECORDS"):
        monkeypatch.setenv(f"ARBITRATION_{name}", str(tmp_path / name.lower()))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")

    def run_anyway(*given, **named):
        pytest.fail("something was measured")

    monkeypatch.setattr(PreTrainedModel, "__call__", run_anyway)
    monkeypatch.setattr(embedded, "build_embedded", run_anyway)
    monkeypatch.setattr(run, "execute", run_anyway)
    monkeypatch.setattr(run, "side_by_side", run_anyway)
    return Room(tmp_path / "given", net)


def left(folder: Path) -> dict[str, tuple[int, int]]:
    """What lies in a folder and below it, with its size and time."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    }


def told(call, raises: type | int, capsys) -> str:
    """What a reader reads: an error's message, or what a command prints before it ends."""
    capsys.readouterr()
    if isinstance(raises, int):
        assert call() == raises
        return capsys.readouterr().err
    with pytest.raises(raises) as caught:
        call()
    return str(caught.value)


def sentences(message: str) -> list[str]:
    """Its sentences; neither names of files nor numbers end one."""
    return [one for one in re.split(r"[.!?]['’)]*\s+(?=[A-Z])|\n", message.strip()) if one]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_bad_input_is_named_with_the_remedy_before_anything_is_done(case, room, capsys):
    call = case.make(room)
    before = left(room.folder.parent)
    message = told(call, case.raises, capsys)
    assert all(said in message for said in case.says), message
    most = 22 if "things are wrong" in message else 3
    assert len(sentences(message)) <= most and "Traceback" not in message, message
    assert max(map(len, message.splitlines())) < 700, message
    assert left(room.folder.parent) == before, "a file was left behind"


def test_the_table_has_no_input_twice():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) > 150


def grey(*values: int) -> bytes:
    """A line of 16-bit grey, as a PNG has it."""
    return b"\0" + struct.pack(f">{len(values)}H", *values)


def turned(orientation: int) -> bytes:
    exif = broken.Image.Exif()
    exif[0x0112] = orientation
    return broken.stored(broken.two_colours(size=(2, 1)), "PNG", exif=exif)


RED, BLUE, WHITE, BLACK, HALF = broken.RED, broken.BLUE, (255,) * 3, (0,) * 3, (128,) * 3
PAIR = broken.two_colours(size=(2, 1))
FRAMES = {"save_all": True, "append_images": [PAIR.transpose(broken.Image.Transpose.ROTATE_180)]}
CLEAR = broken.png(2, 1, 8, 4, b"\0\0\0\0\xff")
#: Pictures that are not plain, and the first and last of their pixels as a model gets them.
ODD = {
    "CMYK": (broken.stored(PAIR.convert("CMYK"), "TIFF"), (RED, BLUE)),
    "a palette": (broken.stored(PAIR.convert("P"), "PNG"), (RED, BLUE)),
    "one bit": (broken.stored(broken.Image.fromarray(np.array([[True, False]])), "PNG"),
                (WHITE, BLACK)),
    "16 bits of grey": (broken.png(2, 1, 16, 0, grey(65535, 32896)), (WHITE, HALF)),
    "16 bits of grey, one of them clear":
        (broken.png(2, 1, 16, 0, grey(0, 32896), tRNS=struct.pack(">H", 0)), (WHITE, HALF)),
    "16 bits of grey with alpha": (broken.png(2, 1, 16, 4, grey(0, 0, 32896, 65535)),
                                   (WHITE, HALF)),
    "16 bits of colour": (broken.png(2, 1, 16, 2, grey(65535, 0, 0, 0, 0, 65535)), (RED, BLUE)),
    "alpha": (CLEAR, (WHITE, BLACK)),
    "an animated GIF": (broken.stored(PAIR, "GIF", **FRAMES), (RED, BLUE)),
    "an animated PNG": (broken.stored(PAIR, "PNG", **FRAMES), (RED, BLUE)),
    "an animated WebP": (broken.stored(PAIR, "WEBP", lossless=True, **FRAMES), (RED, BLUE)),
    "pages of a TIFF": (broken.stored(PAIR, "TIFF", **FRAMES), (RED, BLUE)),
    "turned half round": (turned(3), (BLUE, RED)),
    "turned by nothing that is": (turned(99), (RED, BLUE)),
    "a JPEG of one colour": (broken.stored(broken.Image.new("L", (8, 8), 128), "JPEG"),
                             (HALF, HALF)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_what_a_viewer_shows(name, room):
    content, pixels = ODD[name]
    (sample,) = with_picture(content)(room)()
    read = pictures.read_picture(sample.image)
    assert read.mode == "RGB"
    assert (read.getpixel((0, 0)), read.getpixel((read.width - 1, read.height - 1))) == pixels


FIELDS = {name: value for name, value in GOOD.items() if name != "image"}
CATEGORIES = pyarrow.table({
    name: pyarrow.array([value]).dictionary_encode() for name, value in GOOD.items()
})  # fmt: skip
#: Files that are not plain, and how many samples are in them, all of them the good one.
WRITTEN = {
    "a mark at the start": (in_set(f"\ufeff{LINE}"), 1),
    "ends of lines as Windows has them": (in_set(f"{LINE}\r\n\r\n{LINE}\r\n"), 2),
    "no end of the last line": (in_set(f"{LINE}\n{LINE}"), 2),
    "white space around values": (with_fields(**{n: f" {v}\n" for n, v in GOOD.items()}), 2),
    "fields that are null": (with_fields(id=None, task=None, split=None), 2),
    "letters as their numbers": (in_set(LINE.replace("apple", "\\u0061pple")), 1),
    "a path with a detour": (with_fields(image="./././one.png"), 2),
    "a link within the folder": (with_link("one.png"), 2),
    "parquet with categories": (in_table(CATEGORIES), 1),
    "parquet with nulls": (in_rows(id=None), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_an_odd_file_says_what_a_plain_one_does(name, room):
    made, count = WRITTEN[name]
    samples = made(room)()
    assert len(samples) == count
    for sample in samples:
        assert {field: asdict(sample)[field] for field in FIELDS} == FIELDS
        assert pictures.find_fault(Path(sample.image)) is None


def test_a_mark_at_the_start_of_a_dictionary_or_review_does_no_harm(room):
    found = {"entries": {"any": {one: {"en": [one]} for one in ("apple", "pear")}}}
    mark = "\ufeff".encode()
    dictionary = in_dictionary(mark + json.dumps(found).encode())(room)()
    assert dictionary.forms("apple") == ("apple",)
    (room.folder / "review.json").write_bytes(mark + b"{}")
    (room.folder / "sheet.csv").write_text(",".join(sheet.COLUMNS) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="sheet.csv has no row"):
        make.judge(room.folder)


@pytest.mark.parametrize("stamp", [b"", b"[]", b"{", b'{"version": 2}', DEEP.encode(), b"\xff"])
def test_a_stamp_of_another_version_says_nothing_so_that_its_notebook_runs_again(stamp):
    assert publish.told(stamp) == {"inputs": publish.UNFINISHED, "files": {}}


@pytest.mark.parametrize("name", ["image", "question", "context", "instruction"])
def test_white_space_in_an_own_conflict_is_the_scenes_own(name):
    scene = tiny.samples()[0]
    assert own.own_conflict(scene, **{name: " \n"}) == scene


def test_a_model_s_configuration_may_differ_in_what_no_pass_uses(room):
    change = says_of(architectures=["Other"], torch_dtype="float16")
    assert change(room)().groups.length == first_prompt(str(room.net)).groups.length
