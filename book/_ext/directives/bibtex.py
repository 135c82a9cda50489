"""The directive ``bibtex``: how the paper, or this book, is cited, from ``CITATION.cff``.

```{bibtex} paper
```
"""

from docutils import nodes

from arbitration.files.folders import ROOT
from directives.base import Directive
from press.citation import FILE, KEYS, read_citation, write_bibtex


class Bibtex(Directive):
    """One entry, to copy."""

    required_arguments = 1

    def run(self):
        which = self.arguments[0]
        if which not in KEYS:
            why = f"{which!r} is not cited here; there are: {', '.join(KEYS)}"
            raise self.error(why)
        self.env.note_dependency(str(ROOT / FILE))
        entry = write_bibtex(read_citation(), which)
        return [nodes.literal_block(entry, entry, language="bibtex")]
