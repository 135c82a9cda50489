"""Forward hooks that are gone when the body is left."""

from contextlib import ExitStack, contextmanager


@contextmanager
def hooks(handles):
    """Keep forward hooks for the body only: ``handles`` is an iterable of fresh hook handles."""
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield
