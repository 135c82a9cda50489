"""The directive ``explorer``: a page on which a reader looks through every model's results.

    ```{explorer}
    ```

It takes each model that has a folder ``_executed/<model>/tables``. What the page shows of one
(`reproduction.numbers.explorer`) is written when the book is built, as a script of its own in
``_static/explorer/data``, which the page loads when the model is chosen; pictures of the shipped
scenes lie beside it. The page's own scripts are ``book/_static/explorer``.
"""

import hashlib
import html
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from docutils import nodes

from arbitration.dataset import checked, sets
from arbitration.dataset.pictures import read_picture
from directives.base import Directive, heading, sort_models
from reproduction.numbers.explorer import tell_model
from reproduction.numbers.one_sample import tell_words
from reproduction.results.origin import picture_of

PLACE = Path("_static") / "explorer" / "data"
#: In this order: each uses what those before it offer.
SCRIPTS = ("state", "draw", "controls", "paths", "heads", "sample", "main")
LARGEST = 256  # pixels: a picture's longer side


def find_models(executed: Path) -> list[str]:
    """The models that have tables, the book's own first; a name may be ``org/name``."""
    folders = executed.glob("**/tables")
    found = {
        folder.parent.relative_to(executed).as_posix()
        for folder in folders
        if any(folder.glob("*.parquet")) and ".running" not in folder.parts
    }
    return sort_models(found)


def name_file(model: str) -> str:
    """The name of a model's script: readable, and another for every other model."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-.") or "model"
    mark = "" if plain == model else "-" + hashlib.sha256(model.encode()).hexdigest()[:8]
    return f"{plain}{mark}.js"


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The published tables of a model, by name."""
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def list_scenes() -> dict[str, object]:
    """The shipped scenes by name."""
    return {scene.id: scene for split in sets.SPLITS for scene in checked.load("scenes", split)}


def gather_words(tables: Mapping[str, pd.DataFrame], scenes: Mapping) -> dict[str, dict]:
    """The words of each measured sample, with the name of its picture if it is a shipped scene.

    A scene is told by its picture, not by its name alone: a reader's set may have the same names.
    Of another set the words are those of the table texts, if the answers beside them are to the
    same picture.
    """
    swept = tables.get("knockout", tables.get("beliefs"))
    if swept is None:
        return {}
    texts, known = tell_words(tables), dict(_list_pictures(tables.get("answers")))
    found = {}
    for sample, picture in _list_pictures(swept):
        scene = scenes.get(sample)
        if scene is not None and picture_of(scene) == picture:
            fields = ("question", "context", "instruction_vision", "instruction_text")
            fields += ("answer_vision", "answer_text")
            found[sample] = {name: getattr(scene, name) for name in fields}
            found[sample]["picture"] = f"{picture}.png"
        elif sample in texts and known.get(sample) == picture:
            found[sample] = texts[sample]
    return found


def _list_pictures(table: pd.DataFrame | None) -> list[tuple[str, str]]:
    if table is None or "image" not in table:
        return []
    some = table[["sample", "image"]].drop_duplicates().astype(str)
    return list(some.itertuples(index=False, name=None))


def draw_picture(path: str) -> bytes:
    """A picture as a small PNG."""
    picture, out = read_picture(path), io.BytesIO()
    picture.thumbnail((LARGEST, LARGEST))
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def write_script(model: str, found: dict) -> str:
    """The script by which a page gets a model's numbers. Only ASCII: no word in it can end it, and
    no encoding changes one.
    """
    parts = (json.dumps(part, separators=(",", ":"), allow_nan=False) for part in (model, found))
    return f"Explorer.receive({','.join(parts)});\n"


def write_data(executed: Path, target: Path) -> None:
    """Write every model's script and the pictures that they show, into a folder that holds nothing
    else.
    """
    target.mkdir(parents=True, exist_ok=True)
    scenes, wanted = list_scenes(), {}
    for model in find_models(executed):
        tables = read_tables(executed / model / "tables")
        found = tell_model(tables, gather_words(tables, scenes))
        wanted[name_file(model)] = write_script(model, found).encode()
        for one in found["samples"]:
            picture = one.get("words", {}).get("picture")
            if picture and picture not in wanted:
                wanted[picture] = draw_picture(scenes[one["sample"]].image)
    for path in target.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (target / name).write_bytes(content)


class Explorer(Directive):
    """The place on the page, with the list of models; scripts do the rest."""

    def run(self):
        executed = self.executed("")
        models = [
            {"name": name, "title": heading(name), "file": name_file(name)}
            for name in find_models(executed)
        ]
        for model in models:
            for path in sorted((executed / model["name"] / "tables").glob("*.parquet")):
                self.env.note_dependency(str(path))
        self.env.metadata[self.env.docname]["explorer"] = True
        given = html.escape(json.dumps(models), quote=True)
        words = (
            "<noscript><p>The explorer needs JavaScript. What it shows, the figures of the other "
            "pages show, too.</p></noscript>"
        )
        text = (
            f'<div id="xp-root" class="tex2jax_ignore mathjax_ignore" data-models="{given}">'
            f"{words}</div>"
        )
        return [nodes.raw("", text, format="html")]


def add_scripts(app, page, template, context, doctree):
    """The explorer's scripts and style, on its page alone."""
    if "explorer" in app.env.metadata.get(page, {}):
        app.add_css_file("explorer/explorer.css")
        for name in SCRIPTS:
            app.add_js_file(f"explorer/{name}.js", loading_method="defer")


def look_again(app, env, added, changed, removed):
    """A further model may have results: the page is read in every build."""
    return [page for page, known in env.metadata.items() if "explorer" in known]


def write_files(app, error):
    """Write what the page loads, once the pages are there."""
    pages = [page for page, known in app.env.metadata.items() if "explorer" in known]
    if error is None and pages and app.builder.format == "html":
        write_data(Path(app.env.doc2path(pages[0])).parent / "_executed", Path(app.outdir) / PLACE)
