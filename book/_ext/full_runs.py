"""The directive ``full_runs``: the verdicts of one model's recorded full runs beside this machine's own.

    ```{full_runs} smol
    ```

The records are ``data/results/<model>/<notebook>.json`` (`arbitration.paper_full`); this machine's numbers come by ``glue:text`` from the
executed notebooks, and a missing one is a warning like any other.
"""

from arbitration import folders, paper, paper_full
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from claims import glued


class FullRuns(SphinxDirective):
    """Both runs of one model, and where the recorded one comes from."""

    required_arguments = 1

    def run(self):
        model = self.arguments[0]
        records = paper_full.recorded(model)
        for notebook in records:
            self.env.note_dependency(str(folders.DATA / "results" / model / f"{notebook}.json"))
        written = []
        for lead, known in (("The paper's claims", paper.claims), ("Asked here", paper.questions)):
            written += [f"**{lead}**", "", *paper_full.lines(known(), records, lambda notebook, key, form: glued(model, notebook, key, form)), ""]
        written += ["**The recorded runs**", "", *paper_full.origins(records)]
        box = nodes.container(classes=["claim", "conventions"])
        self.state.nested_parse(StringList(written, source=self.get_source_info()[0]), self.content_offset, box)
        return [box]


def setup(app):
    app.add_directive("full_runs", FullRuns)
    return {"parallel_read_safe": True}
