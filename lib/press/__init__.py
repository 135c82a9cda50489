"""From notebooks to the book: run, publish, record, pair, Markdown. Knows no measure."""
