"""Tables in, named numbers with their intervals out: what the prose quotes. A file a notebook."""

from reproduction.numbers.ablations import summarise_ablations
from reproduction.numbers.beliefs import summarise_beliefs
from reproduction.numbers.components import summarise_components
from reproduction.numbers.controls import summarise_controls
from reproduction.numbers.conventions import compare_conventions
from reproduction.numbers.dataset import summarise_answers, summarise_set
from reproduction.numbers.heads import summarise_heads
from reproduction.numbers.knockout import summarise_drawn, summarise_knockout
from reproduction.numbers.meaning import summarise_meaning
from reproduction.numbers.organisms import summarise_organisms
from reproduction.numbers.reviews import summarise_reviews
from reproduction.numbers.routes import summarise_routes
from reproduction.numbers.sensitivity import summarise_sensitivity
from reproduction.numbers.steer import summarise_steer
from reproduction.numbers.windows import summarise_windows
