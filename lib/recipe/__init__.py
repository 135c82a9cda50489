"""How the embedded models were trained: scenes, two training stages, evaluation, packing."""
