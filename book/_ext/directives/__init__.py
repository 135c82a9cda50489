"""The directives of the book's pages, one file a directive, and what is left out of every page."""

import re
from pathlib import Path

from sphinx.ext import autosummary

from directives.authors import Authors
from directives.base import verdict_role
from directives.bibtex import Bibtex
from directives.claims import Claim, Question, Tests
from directives.columns import Columns
from directives.contents import add_notebooks, write_indices
from directives.explorer import Explorer, add_scripts, look_again, write_files
from directives.findings import Finding
from directives.launch import add_launch, show_repository, write_notebooks
from directives.measured import Measured, describe_outputs
from directives.minds import Minds
from directives.minus import set_minus_signs
from directives.origins import Origins, Records
from directives.reference import Face, Room, link_equations, shorten_signature
from directives.runs import Run
from directives.summary import Summary
from directives.tables import Controls, Conventions
from directives.verdicts import Verdicts

SIZED = r'style="width: (\d+)px; height: (\d+)px;"'
STATIC = Path(__file__).resolve().parents[2] / "_static"
DIRECTIVES = {
    "authors": Authors,
    "claim": Claim,
    "question": Question,
    "tests": Tests,
    "finding": Finding,
    "summary": Summary,
    "run": Run,
    "verdicts": Verdicts,
    "minds": Minds,
    "columns": Columns,
    "measured": Measured,
    "conventions": Conventions,
    "controls": Controls,
    "origins": Origins,
    "records": Records,
    "face": Face,
    "room": Room,
    "explorer": Explorer,
    "bibtex": Bibtex,
}


def keep_local(app, page, template, context, doctree):
    """Leave out the scripts that would be fetched from elsewhere, and thebe, which fails without
    them.
    """
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "://" not in str(script.filename or "")
        and "thebe" not in str(script.filename or script.attributes.get("body", ""))
    ]


def mend_body(app, page, template, context, doctree):
    """Let a page fetch a picture only when it is shown: each has a sister for the other theme, and
    others stand in tabs that are closed. And give references a role that a list may have.
    """
    if "body" in context:
        body = context["body"].replace("<img ", '<img loading="lazy" ')
        # Attributes give a shape, which styles can narrow; Sphinx writes styles that cannot.
        body = re.sub(SIZED, r'width="\1" height="\2"', body)
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    """Tell Sphinx of all of it."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    app.add_role("verdict", verdict_role)
    app.setup_extension("sphinx_design")
    app.connect("config-inited", write_indices, priority=100)
    app.connect("config-inited", add_notebooks, priority=950)
    app.connect("builder-inited", lambda app: app.config.html_static_path.append(str(STATIC)))
    app.add_css_file("book.css")
    app.add_js_file("book.js")
    app.connect("doctree-read", describe_outputs)
    app.connect("doctree-read", link_equations)
    app.connect("doctree-resolved", set_minus_signs)
    app.setup_extension("sphinx.ext.autodoc")
    # Where a function's first sentence ends, for the lists of functions.
    autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Eqs.", "Fig.", "Figs.")
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("html-page-context", keep_local, priority=900)
    app.connect("html-page-context", mend_body)
    app.connect("html-page-context", add_scripts)
    app.connect("config-inited", show_repository)
    app.connect("html-page-context", add_launch)
    app.connect("build-finished", write_notebooks)
    app.connect("env-get-outdated", look_again)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True}
