"""The store: tables part by part, with their provenance, taken from records that are attested or
measured, here or by workers. Knows rows, not what they mean.
"""

from importlib import import_module

#: What the room offers, and where it is written. A module is imported when one of its names is
#: first asked for: ``python -m reproduction.results`` is to hear Ctrl-C before it imports torch.
FACE = {
    "NotAttested": "attest",
    "NotRecorded": "attest",
    "tell_origins": "attest",
    "provenance": "origin",
    "list_origins": "recorded",
    "use_records": "recorded",
    "collect": "store",
    "gather": "store",
    "remember": "store",
    "save": "store",
    "save_origins": "store",
}


def __getattr__(name: str):
    if name not in FACE:
        why = f"reproduction.results has no {name!r}; it has {', '.join(FACE)}"
        raise AttributeError(why)
    return getattr(import_module(f"{__name__}.{FACE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(FACE)
