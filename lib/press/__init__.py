"""From notebooks to the book: run, publish, record, pair, Markdown. Knows no measure."""

#: What a command says that was stopped.
KEPT = (
    "what is published stays, and what has been measured is kept; the same command goes on "
    "from there"
)
