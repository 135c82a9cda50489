"""The directive ``full_runs``: the verdicts of one model's recorded full runs beside this machine's
own.

    ```{full_runs} smol
    ```

Without a model: the verdicts on the paper's claims that the recorded runs of both embedded models
give.

The records are ``data/results/<model>/<notebook>.json`` (`press.tmp_full`); this machine's numbers
come by ``glue:text`` from the executed notebooks, and a missing one is a warning like any other.
"""

from functools import partial

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from arbitration.files import folders
from arbitration.models import embedded
from claims import glued
from press import tmp_full
from reproduction.claims import recorded, reported


class FullRuns(SphinxDirective):
    """Both runs of one model, and where the recorded one comes from; or what the recorded ones say
    of each claim.
    """

    optional_arguments = 1

    def run(self):
        written = (
            self.beside(self.arguments[0])
            if self.arguments
            else tmp_full.judged({name: self.recorded(name) for name in embedded.NAMES})
        )
        box = nodes.container(classes=["claim", "conventions"])
        self.state.nested_parse(
            StringList(written, source=self.get_source_info()[0]), self.content_offset, box
        )
        return [box]

    def recorded(self, model):
        records = recorded.read_records(model)
        for notebook in records:
            self.env.note_dependency(str(folders.DATA / "results" / model / f"{notebook}.json"))
        return records

    def beside(self, model):
        records, written = self.recorded(model), []
        for lead, known in (
            ("The paper's claims", reported.claims),
            ("Asked here", reported.questions),
        ):
            written += [
                f"**{lead}**",
                "",
                *tmp_full.lines(known(), records, partial(glued, model)),
                "",
            ]
        return [*written, "**The recorded runs**", "", *tmp_full.origins(records)]


def setup(app):
    app.add_directive("full_runs", FullRuns)
    return {"parallel_read_safe": True}
