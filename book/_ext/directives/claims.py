"""The directive ``claims``: each claim of a section, with the paper's numbers beside those measured
on each model.

    ```{claims} 3.1
    :models: smol, smol-relay
    :only: relay, compensation
    ```

``questions`` does the same for what is asked in this book beside the paper's claims
(`reproduction.claims.reported.questions`).

Beside an extreme of NSSD stand the median sample and the lead lost, in nats, from the same table; a
line says what NSSD would be if every sample gained or lost 10 nats of lead, and the share of sure
samples. *Seen from* is the size from which an effect would have been seen (`rules.seen_from`).

It writes ordinary MyST with ``glue:text`` roles, so every measured number comes from an executed
notebook, and one that is missing is a warning like any other; the claims themselves are
`reproduction.claims.reported.reported_claims`.
"""

from arbitration.files import folders
from directives.base import MODELS, ONLY, Directive, glued, heading, listed
from press.markdown import markdown
from reproduction.claims import recorded, reported
from reproduction.numbers.estimates import DIRECTIONS


def cell(quantity, model, notebook):
    """A measured number with its interval and layer, as MyST."""
    text = glued(model, notebook, quantity.key, quantity.format)
    if quantity.interval:
        text += (
            f" [{glued(model, notebook, quantity.key + '_low', quantity.format)},\N{NO-BREAK SPACE}"
        )
        text += f"{glued(model, notebook, quantity.key + '_high', quantity.format)}]"
    if quantity.layer:
        layer = glued(model, notebook, f"{quantity.key}_layer", ".0f")
        text += f" at\N{NO-BREAK SPACE}layer\N{NO-BREAK SPACE}{layer}"
    kind = next((kind for kind in LEADS if quantity.key.startswith(kind)), None)
    if notebook == "sec3_knockout" and kind:
        lead = quantity.key.replace(kind, LEADS[kind], 1)
        median, lost, low, high = (
            glued(model, notebook, key, quantity.format)
            for key in (f"{quantity.key}_median", lead, f"{lead}_low", f"{lead}_high")
        )
        text += f"; median {median}; lead {lost} [{low},\N{NO-BREAK SPACE}{high}]"
    if quantity.key.startswith(BESIDE.get(notebook, ())) and quantity.interval:
        if not quantity.key.endswith(("_control", "_over")):
            median, lost = (
                glued(model, notebook, f"{quantity.key}_{what}", quantity.format)
                for what in ("median", "lead")
            )
            text += f"; median {median}; lead {lost}"
    return text


#: Elsewhere the lead lost stands beside NSSD at its own layer (`estimates.tell_beside`).
BESIDE = {
    "appC_windows": ("extreme_",),
    "appF_meaning": ("into_", "out_"),
    "appG_reviews": ("part_",),
}


#: Extremes of NSSD, and those of the lead lost that stand beside them.
LEADS = {"peak_": "lead_", "trough_": "lead_trough_"}


def room_cell(model, notebook):
    """What NSSD could have shown in each direction, whatever a path does."""
    told = []
    for way in DIRECTIONS:
        sure, least, most = (
            glued(model, notebook, f"{name}_{way}", ".2f") for name in ("sure", "least", "most")
        )
        told.append(f"{way}: {least} to {most}, sure {sure}")
    return "; ".join(told)


def verdict_cell(key, model, notebook):
    """A verdict with the size of its effect and n, where it is about one number."""
    word = f"**{glued(model, notebook, key, 's')}**"
    if key.startswith(recorded.NUMBERLESS):
        return word
    name = key.removesuffix("_verdict")
    size = glued(model, notebook, f"{name}_size", "s")
    seen = glued(model, notebook, f"{name}_seen", ".2f")
    return f"{word}, {size}, seen from {seen}"


def samples_cell(claim, model):
    """The numbers of samples, as MyST."""
    return " / ".join(glued(model, claim.notebook, name, ".0f") for name in claim.samples)


def write_claim(claim, models):
    """One claim's table: a line for each quantity, the numbers of samples, and the verdicts."""
    rows = [["measured", "paper", *map(heading, models)]]
    for quantity in claim.quantities:
        cells = [cell(quantity, model, claim.notebook) for model in models]
        rows.append([quantity.label, quantity.reported, *cells])
    sides = " / ".join(name.rsplit("_", 1)[-1] for name in claim.samples)
    cells = [samples_cell(claim, model) for model in models]
    rows.append([f"samples, {sides} following", "–", *cells])
    if claim.notebook == "sec3_knockout":
        cells = [room_cell(model, claim.notebook) for model in models]
        rows.append(["*what NSSD could have shown*", "–", *cells])
    for finer in claim.verdicts:
        cells = [verdict_cell(finer.key, model, claim.notebook) for model in models]
        rows.append([f"*{finer.what}?*", "", *cells])
    return markdown(rows)


class Claims(Directive):
    """All claims of a section, or those named by `only`, each under its statement."""

    lead, known = "The paper's claim", staticmethod(reported.reported_claims)
    required_arguments = 1
    option_spec = MODELS | ONLY

    def run(self):
        for file in ("paper_claims.json", "paper_reported.json", "questions.json"):
            self.env.note_dependency(str(folders.DATA / file))
        return [self.claim(claim) for claim in self.chosen()]

    def chosen(self):
        """The claims of the section, without those that the option leaves out."""
        found = reported.of_section(self.arguments[0], self.known)
        if "only" not in self.options:
            return found
        only = listed(self.options["only"])
        unknown = sorted(set(only) - {claim.id for claim in found})
        if unknown:
            why = (
                f"section {self.arguments[0]} has none called {', '.join(unknown)}; "
                f"it has {', '.join(claim.id for claim in found)}"
            )
            raise self.error(why)
        return [claim for claim in found if claim.id in only]

    def claim(self, claim):
        """One claim's box."""
        figure = f" (Fig. {claim.figure})" if claim.figure != "–" else ""
        lines = [
            f"**{self.lead}{figure}.** {claim.statement}",
            "",
            *write_claim(claim, self.models()),
            "",
        ]
        label, title = f"claim-{claim.id}", f"claim {claim.id}"
        return self.box(lines, "claim", label=label, title=title)


class Questions(Claims):
    """The same for the questions of this book."""

    lead, known = "Asked here", staticmethod(reported.questions)
