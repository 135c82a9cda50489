"""The directives of the book's pages, one file a directive, and what is left out of every page."""

from pathlib import Path

from directives.authors import Authors
from directives.claims import Claims, Questions
from directives.explorer import Explorer, add_scripts, look_again, write_files
from directives.full_runs import FullRuns
from directives.measured import Measured, describe_outputs
from directives.origins import Origins, Records
from directives.tables import Controls, Conventions
from directives.verdicts import Verdicts

STATIC = Path(__file__).resolve().parents[2] / "_static"
DIRECTIVES = {
    "authors": Authors,
    "claims": Claims,
    "questions": Questions,
    "verdicts": Verdicts,
    "full_runs": FullRuns,
    "measured": Measured,
    "conventions": Conventions,
    "controls": Controls,
    "origins": Origins,
    "records": Records,
    "explorer": Explorer,
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


def setup(app):
    """Tell Sphinx of all of it."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    app.connect("builder-inited", lambda app: app.config.html_static_path.append(str(STATIC)))
    app.add_css_file("claims.css")
    app.connect("doctree-read", describe_outputs)
    app.connect("html-page-context", keep_local, priority=900)
    app.connect("html-page-context", add_scripts)
    app.connect("env-get-outdated", look_again)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True}
