"""Tables in, a matplotlib Figure out; a file a notebook, `style` below them. Draws, and measures
nothing.

Every figure has text following on the left and vision following on the right, bootstrap 95 %
intervals over samples (a band along a curve covers all its points together), the number of samples
in each panel, and its control in dashed grey. It refuses a table without the columns that it draws
(`style.draws`).
"""

from reproduction.figures.ablations import fig14, fig14_beliefs
from reproduction.figures.authors import fig_authors, fig_published
from reproduction.figures.beliefs import fig5a, fig5b
from reproduction.figures.components import fig6a, fig6b, fig7
from reproduction.figures.controls import fig_controls
from reproduction.figures.dataset import fig2, fig_set
from reproduction.figures.heads import fig8, fig9_amplification, fig9_blocking
from reproduction.figures.knockout import fig3, fig4
from reproduction.figures.meaning import fig_spans_in, fig_spans_out
from reproduction.figures.organisms import fig_organism_claims, fig_organisms
from reproduction.figures.paths import fig1
from reproduction.figures.reviews import (
    fig_ability,
    fig_failures,
    fig_last,
    fig_stability,
    fig_whole,
)
from reproduction.figures.routes import fig_interaction, fig_routes
from reproduction.figures.sensitivity import (
    fig_head_amplification,
    fig_head_blocking,
    fig_head_cases,
    fig_head_truth,
)
from reproduction.figures.steer import fig_steer
from reproduction.figures.style import publish
from reproduction.figures.windows import fig10
