"""One prompt in, rows of a table out; one file a family of tables. Neither stores nor reads what is
stored.
"""

from reproduction.measures import (
    ability,
    answers,
    beliefs,
    components,
    head_sets,
    heads,
    organisms,
    paths,
    readings,
    routes,
    steering,
    tokens,
)
from reproduction.measures.rows import each
