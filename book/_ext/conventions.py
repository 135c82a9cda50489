"""The directives ``conventions`` and ``controls``: the tables of these names as one model's run
measured them.

    ```{conventions} smol
    ```

They read ``_executed/<model>/tables/<name>.parquet``; a table that is missing is a warning, and the
book is built with warnings as errors.
"""

from pathlib import Path

import pandas as pd
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from press import tmp_controls, tmp_conventions

LOG = logging.getLogger(__name__)


class Conventions(SphinxDirective):
    """The table of one model."""

    table, notebook, lines = "conventions", "appE_ablations", staticmethod(tmp_conventions.lines)
    required_arguments = 1

    def run(self):
        model = self.arguments[0]
        path = (
            Path(self.env.doc2path(self.env.docname)).parent
            / "_executed"
            / model
            / "tables"
            / f"{self.table}.parquet"
        )
        if not path.is_file():
            LOG.warning(
                (
                    f"the table of {self.table} of model {model!r} is not there ({path.name}): "
                    f"run {self.notebook}"
                ),
                location=self.get_location(),
                type="measured",
            )
            return [nodes.paragraph(text=f"The {self.table} have not been measured on {model}.")]
        self.env.note_dependency(str(path))
        box = nodes.container(classes=["claim", "conventions"])
        self.state.nested_parse(
            StringList(self.lines(pd.read_parquet(path)), source=self.get_source_info()[0]),
            self.content_offset,
            box,
        )
        return [box]


class Controls(Conventions):
    """The table of controls of one model."""

    table, notebook, lines = "controls", "controls", staticmethod(tmp_controls.lines)


def setup(app):
    app.add_directive("conventions", Conventions)
    app.add_directive("controls", Controls)
    return {"parallel_read_safe": True}
