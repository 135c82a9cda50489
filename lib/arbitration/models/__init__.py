"""A model under study, and a sample put to it as a prompt. No other room knows architectures."""
