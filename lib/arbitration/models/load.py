"""Loading a model by its name: embedded, from the hub, or from a folder."""

import hashlib
from pathlib import Path

import torch
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
)

from arbitration.models import catalogue, embedded, hub, memory, snapshots, true_size
from arbitration.models.subject import Subject, check_subject

#: Layers beyond which a configuration is not believed: laying them out would take hours.
MOST_LAYERS = 1000


def load(
    name: str,
    weights: str = "trained",
    dtype: torch.dtype | None = None,
    device: str | None = None,
    images: dict | None = None,
) -> Subject:
    """Load a model by its name.

    Parameters
    ----------
    name : str
        One of `NAMES` (``smol``, ``smol-relay`` and ``smol-masked`` ship with the project, the
        others come from the hub), any other repository of the hub (``"org/name"``) with an
        image-text model that transformers knows, or a folder with such a model and its processor;
        or a merge of the trained embedded ones, ``smol-merge-0.25`` (`embedded.build_merged`).
    weights : {"trained", "random", "absent"}
        ``random`` is the same architecture with seeded random weights: a control, and for the
        models from the hub, at their true size, a way to try what they cost without their weights
        (`true_size`). ``absent`` is a model of the hub without any, for what others have recorded
        of it: prompts can be made for it, and nothing be measured.
    dtype : torch.dtype, optional
        float32 for the embedded models and bfloat16 for the others unless given.
    device : str, optional
        The first GPU if there is one. ``"auto"`` spreads a model from the hub over all GPUs, layer
        by layer.
    images : dict, optional
        What the processor is told about pictures, in place of what goes by architecture
        (`hub.picture_settings`); ``{}`` leaves the checkpoint's own settings.

    Raises
    ------
    ValueError
        For an unknown name or kind of weights, an embedded model on ``"auto"``, GPUs that together
        do not hold it, a checkpoint that does not fill the model, or a model that the measures
        cannot work on: that is found out from its configuration, before its weights are downloaded.
    FileNotFoundError
        If the weights are neither at hand nor to be had, or not whole; says how to get them.
    """
    entry = catalogue.entry_of(name)
    if weights not in ("trained", "random", "absent"):
        why = f"weights={weights!r}; choose 'trained', 'random' or 'absent'"
        raise ValueError(why)
    if weights == "absent" and (entry is None or Path(entry.repository).is_dir()):
        why = f"weights='absent' is for models of the hub; those of {name!r} are here: leave it out"
        raise ValueError(why)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    memory.check_place(dtype, device)
    if entry is None:
        if device == "auto":
            why = (
                f"device='auto' spreads models from the hub; {name!r} is small enough for one "
                f"device: leave it out, or name one"
            )
            raise ValueError(why)
        model, processor = embedded.build_embedded(
            name, weights=weights, dtype=dtype or torch.float32
        )
        hashes = [_content_hash(folder) for folder in embedded.parts(name)]
        revision = "-".join(hashes) if weights == "trained" else "random-0"
        closed = embedded.CLOSED.get(name, ())
        return check_subject(
            Subject(
                name,
                model.to(device).eval(),
                processor,
                f"{revision}-masked" if closed else revision,
                images or {},
                chat=False,
                closed=closed,
            )
        )
    dtype = dtype or torch.bfloat16
    if weights == "random":
        model, processor = true_size.build_true_size(name, entry.repository, dtype, device)
        images = hub.picture_settings(model.config) if images is None else images
        return check_subject(Subject(name, model, processor, "random-0", images))
    if weights == "absent":
        return _without_weights(catalogue.named(name), entry, dtype, images)
    return _pretrained(catalogue.named(name), entry, dtype, device, images)


def outline(name: str) -> PreTrainedModel | None:
    """The model of the hub or of a folder that a name stands for, without weights; None for an
    embedded one.

    Raises
    ------
    ValueError, FileNotFoundError
        As `load` does.
    """
    entry = catalogue.entry_of(name)
    return None if entry is None else _found(catalogue.named(name), entry)[0]


def _content_hash(folder: Path, *patterns: str) -> str:
    """Hash of a folder's weights; the base that an embedded model adapts is fixed by its own
    checksum.
    """
    digest = hashlib.sha256()
    for path in sorted(
        path for pattern in ("*.safetensors", *patterns) for path in folder.glob(pattern)
    ):
        with path.open("rb") as file:
            while part := file.read(2**24):
                digest.update(part)
    return digest.hexdigest()[:12]


def _found(
    name: str, entry: catalogue.Entry, weights: bool = True
) -> tuple[PreTrainedModel, str, str, dict]:
    """A checked model without weights; the revision of its weights, and where and how transformers
    finds them, or without `weights` all else.

    What is on this machine is looked at first: whatever is complete here needs no network.
    """
    options = {"trust_remote_code": False}
    pin = hub.pinned().get(entry.repository)
    with hub.reported(name, entry):
        local = Path(entry.repository).is_dir()
        kept = None if local else snapshots.complete(entry.repository, pin, weights)
        folder = Path(entry.repository) if local else kept
        if folder:
            source, revision = str(folder), folder.name
        else:
            source, revision = entry.repository, pin or hub.newest_revision(entry.repository)
            options["revision"] = revision
        config = AutoConfig.from_pretrained(source, **options)
    if folder and weights:
        hub.check_whole(folder, None if local else entry.repository)
    empty = _outline(name, entry, config)
    if folder and weights:
        _check_size(name, empty, folder)
    check_subject(Subject(name, empty, None, "none"))
    return empty, revision, source, options


def _without_weights(
    name: str, entry: catalogue.Entry, dtype: torch.dtype, images: dict | None
) -> Subject:
    """A model of the hub as its configuration has it, with its processor."""
    empty, revision, source, options = _found(name, entry, weights=False)
    processor = _processor(name, entry, source, options)
    images = hub.picture_settings(empty.config) if images is None else images
    return check_subject(Subject(name, empty.to(dtype).eval(), processor, revision, images))


def _pretrained(
    name: str, entry: catalogue.Entry, dtype: torch.dtype, device: str, images: dict | None
) -> Subject:
    """Download (once) and load; the revision of the first download is written down and used from
    then.
    """
    empty, revision, source, options = _found(name, entry)
    place = memory.places(empty, dtype) if device == "auto" else device
    local = Path(entry.repository).is_dir()
    if Path(source).is_dir():
        hub.check_whole(Path(source), None if local else entry.repository, contents=True)
    processor = _processor(name, entry, source, options)
    with hub.reported(name, entry):
        model, report = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=dtype,
            device_map=place,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,  # they are reported, and refused here
        )
    _check_filled(name, model, report)
    revision = _content_hash(Path(source), "*.json") if local else revision
    images = hub.picture_settings(model.config) if images is None else images
    subject = check_subject(Subject(name, model.eval(), processor, revision, images))
    if not local:
        hub.pin(entry.repository, revision)
    return subject


def _processor(name: str, entry: catalogue.Entry, source: str, options: dict) -> ProcessorMixin:
    """A model's processor, if it takes pictures and texts."""
    with hub.reported(name, entry):
        found = AutoProcessor.from_pretrained(source, **options)
    if not isinstance(found, ProcessorMixin):  # what comes of a file that names no processor
        why = (
            f"the processor of {name!r} is a {type(found).__name__}, which does not take pictures "
            f"and texts; give the files that `processor.save_pretrained` writes"
        )
        raise ValueError(why)
    return found


def _check_size(name: str, empty: PreTrainedModel, folder: Path) -> None:
    """Refuse a configuration that describes a much larger model than its files hold, before memory
    is taken for it; what else does not fit, `_check_filled` says.
    """
    described = sum(weight.numel() for weight in empty.parameters())
    held = snapshots.count_weights(folder)
    # Packed formats hold several weights in a number.
    if held and described > 8 * held:
        why = (
            f"the configuration of {name!r} describes a model of {described:,} weights, and its "
            f"files hold {held:,} numbers; give a config.json that `model.save_pretrained` wrote "
            f"for them"
        )
        raise ValueError(why)


def _check_filled(name: str, model: PreTrainedModel, report: dict) -> None:
    """Whether a checkpoint gave every weight of a model, in its shape, and none more that a pass
    would miss.

    Weights that are tied to others that came, as an unembedding to the embeddings, are not in the
    file. Whole modules that the file has and the model lacks, as heads for other tasks or a vision
    tower's pooling, take part in no pass; in the text decoder they would, as layers beyond those
    that the configuration counts.

    Raises
    ------
    ValueError
        Saying how many weights are wrong in which way, and the first of them.
    """
    shapes = {key for key, *_ in report["mismatched_keys"]}
    absent = set(report["missing_keys"]) - shapes
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    absent -= {weight for weight, source in tied.items() if source not in absent | shapes}
    modules = dict(model.named_modules())
    decoder = next(module for module, own in modules.items() if own is model.get_decoder())
    more = {
        key
        for key in report["unexpected_keys"]
        if key.rpartition(".")[0] in modules or key.startswith(f"{decoder}.")
    }
    if absent:  # then they tell what the checkpoint has in their place
        more = set(report["unexpected_keys"])
    wrong = {"missing": absent, "of another shape": shapes, "in no part of the model": more}
    said = [f"{len(keys)} {what} ({hub.few(sorted(keys))})" for what, keys in wrong.items() if keys]
    if not said:
        return
    kind = f"a {type(model).__name__} of {len(model.state_dict())} weights"
    what = f"the checkpoint of {name!r} does not fill {kind}: {', '.join(said)}"
    why = "what does not arrive is left random, and a measure would be of that"
    todo = (
        "Give a checkpoint that `save_pretrained` wrote for this class, or whose configuration "
        "describes it"
    )
    why = f"{what}; {why}. {todo}"
    raise ValueError(why)


def _outline(name: str, entry: catalogue.Entry, config) -> PreTrainedModel:
    """The model that a configuration describes, without weights."""
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        why = (
            f"model {name!r} is of type {config.model_type!r}, which transformers does not "
            f"know as an image-text model; give one that it does"
            " (AutoModelForImageTextToText)"
        )
        raise ValueError(why)
    if not isinstance(getattr(config, "image_token_id", None), int):
        why = (
            f"the configuration of model {name!r} ({config.model_type!r}) names no "
            f"'image_token_id', the number of the token that stands for the picture"
        )
        raise ValueError(why)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 1)
    if not 1 <= layers <= MOST_LAYERS:
        why = (
            f"the configuration of model {name!r} says num_hidden_layers={layers}; a model has "
            f"from 1 to {MOST_LAYERS:,}: correct its config.json"
        )
        raise ValueError(why)
    with hub.reported(name, entry), torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)
