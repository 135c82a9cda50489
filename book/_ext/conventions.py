"""The directive ``conventions``: the table of conventions as one model's run of `appE_ablations` measured it.

    ```{conventions} smol
    ```

It reads ``_executed/<model>/tables/conventions.parquet``; a table that is missing is a warning, and the book is built with
warnings as errors.
"""

from pathlib import Path

import pandas as pd
from arbitration.summary_conventions import lines
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)


class Conventions(SphinxDirective):
    """The table of one model."""

    required_arguments = 1

    def run(self):
        model = self.arguments[0]
        path = Path(self.env.doc2path(self.env.docname)).parent / "_executed" / model / "tables" / "conventions.parquet"
        if not path.is_file():
            LOG.warning(f"the table of conventions of model {model!r} is not there ({path.name}): run appE_ablations",
                        location=self.get_location(), type="measured")
            return [nodes.paragraph(text=f"The conventions have not been measured on {model}.")]
        self.env.note_dependency(str(path))
        box = nodes.container(classes=["claim", "conventions"])
        self.state.nested_parse(StringList(lines(pd.read_parquet(path)), source=self.get_source_info()[0]), self.content_offset, box)
        return [box]


def setup(app):
    app.add_directive("conventions", Conventions)
    return {"parallel_read_safe": True}
