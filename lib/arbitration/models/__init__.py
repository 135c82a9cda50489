"""A model under study, and a sample put to it as a prompt: the only room that knows architectures."""
