"""Whether the measures can work on a model, and models with planted, known answers."""
