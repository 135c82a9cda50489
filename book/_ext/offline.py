"""Leave out of every page the scripts that would be fetched from elsewhere, and thebe, which fails
without them.
"""


def keep_local(app, page, template, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "://" not in str(script.filename or "")
        and "thebe" not in str(script.filename or script.attributes.get("body", ""))
    ]


def setup(app):
    app.connect("html-page-context", keep_local, priority=900)
    return {"parallel_read_safe": True}
