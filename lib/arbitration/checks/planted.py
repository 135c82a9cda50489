"""Small transformers whose mechanism was written down, weight by weight, instead of trained: known
answers for every measure.

A `Plant` says which heads fetch the cues, what arbitrates and where, and how the last position
hears of it; `subject` writes that into the weights of a Llama of five layers with eight heads each.
All other heads are decoys: they look at the cues, as sharply as the planted ones, and write where
nobody reads, or they are idle.

Every dimension of the residual stream is a channel with a name and one meaning. Two tricks make the
rest of the architecture harmless. A loud channel that nobody reads settles the norms: they see only
it and multiply every channel by exactly 1. And positions are scaled down so far that rotary
embeddings turn nothing.
"""

import functools
import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import MODALITIES, SOURCE, Sample
from arbitration.equations.heads import Head
from arbitration.models.prompt import Prompt, TokenGroups
from arbitration.models.subject import Subject, check_subject

COLOURS = ("red", "green", "blue", "yellow")
LAYERS, HEADS = 5, 8
#: Logits that the mechanism gives the right answer, and that the habit gives the text's.
STRENGTH, HABIT = 6.0, 2.0
#: What a command puts on the MLP's gate; SiLU of it is the factor of an open gate, and of 0 that of
#: a shut one.
GATE = 4.0
#: What a key can say of its token; queries choose among these.
ROLES = ("start", "vision", "context", "command")
#: The channel that holds a modality's cue in the tokens where it is given.
CUE = {"vision": "shown", "text": "written"}
KINDS = ("shown", "written", "fetched vision", "fetched text", "answer", "unread")
CHANNELS = (
    "loud",
    "any",
    *ROLES,
    "last",
    "told vision",
    "told text",
    "heard vision",
    "heard text",
    "unsure",
    "spoken",
    *(f"{kind} {colour}" for kind in KINDS for colour in COLOURS),
)
CHANNEL = {name: number for number, name in enumerate(CHANNELS)}
# Powers of two, so that the norm, which transformers evaluates in float32, multiplies by exactly 1.
WIDTH, LOUD = 64, 2.0**27
#: Lead of a wanted key over the first token, on which heads rest, and of that over all others: e to
#: its negative is 0 in float64.
SHARP = 1024.0


@dataclass(frozen=True)
class Plant:
    """Where a mechanism was put.

    Attributes
    ----------
    name : str
    vision, text : Head
        The heads that fetch each modality's cue; they may be one and the same.
    messenger : Head
        Brings from the instruction to the last position what is missing there: the answer, or the
        command.
    place : {"instruction", "last"}
        Where the cues are fetched to and the decision falls: a relay, or the direct way.
    mlp : int, optional
        The layer whose MLP arbitrates; then the fetching heads look at their cues whatever the
        instruction says. Unless given, they arbitrate themselves: each looks at a cue only on
        command.
    habit : Head, optional
        Pulls the last position towards the text's answer, whatever the instruction says.
    echo : Head, optional
        Writes the right answer at the instruction tokens although nothing reads it there.
    """

    name: str
    vision: Head
    text: Head
    messenger: Head
    place: str = "instruction"
    mlp: int | None = None
    habit: Head | None = None
    echo: Head | None = None

    def fetcher(self, modality: str) -> Head:
        return {"vision": self.vision, "text": self.text}[modality]

    def decided(self, modality: str) -> int:
        """The layer that writes the decision at the place of arbitration."""
        return self.fetcher(modality).layer if self.mlp is None else self.mlp

    @property
    def told(self) -> str:
        """The channels that hold the command at the place of arbitration: the instruction's own, or
        what the messenger brought.
        """
        return "told" if self.place == "instruction" else "heard"


@dataclass(frozen=True)
class Wiring:
    """What one head does.

    Attributes
    ----------
    looks : dict of str to str
        Which of its own token's channels makes it look at tokens of which role. If none is set it
        rests on the first token; a head without any looks everywhere alike.
    reads, writes : list of list of str
        For each of its dimensions the channels that are summed up there, and those that the sum
        goes to.
    gain : float
        What the sum is multiplied by on its way.
    """

    looks: dict[str, str]
    reads: list[list[str]]
    writes: list[list[str]]
    gain: float = 1.0


def _each(kind: str) -> list[list[str]]:
    """The channels of one kind, colour by colour."""
    return [[f"{kind} {colour}"] for colour in COLOURS]


EITHER_CUE = [[f"{CUE[modality]} {colour}" for modality in MODALITIES] for colour in COLOURS]
PLANTS = (
    Plant("relay", Head(1, 2), Head(1, 2), Head(3, 0)),
    Plant("relay elsewhere", Head(2, 5), Head(2, 5), Head(4, 3)),
    Plant("relay by two heads", Head(1, 3), Head(2, 1), Head(4, 2)),
    Plant("relay by an MLP", Head(0, 4), Head(1, 1), Head(4, 1), mlp=2),
    Plant("relay against a habit", Head(1, 2), Head(1, 2), Head(3, 0), habit=Head(2, 3)),
    Plant("direct", Head(3, 1), Head(3, 1), Head(1, 0), place="last"),
    Plant("direct by two heads", Head(2, 2), Head(4, 0), Head(0, 3), place="last"),
    Plant("direct by an MLP", Head(1, 1), Head(2, 3), Head(2, 0), place="last", mlp=3),
    Plant("direct with an echo", Head(3, 1), Head(3, 1), Head(1, 0), place="last", echo=Head(2, 4)),
)
#: Every token, with the channels that its embedding sets to 1 (besides those that all set).
SHOWN = {f"<{colour}>": ["vision", f"shown {colour}"] for colour in COLOURS}
WRITTEN = {colour: ["context", f"written {colour}", "spoken"] for colour in COLOURS}
FILLERS = ("trust", "the", "note", "says", "here", "which", "colour", "?")
WORDS = {
    "<s>": ["start"],
    "</s>": [],
    "user": [],
    "assistant": [],
    ":": ["last", "unsure"],
    "<blank>": [],
    **SHOWN,
    **WRITTEN,
    "picture": ["command", "told vision"],
    "words": ["command", "told text"],
    **{word: [] for word in FILLERS},
    "unsure": ["spoken"],
}


def samples() -> list[Sample]:
    """Every pair of colours that picture and text can disagree about; the picture is the tokens
    that stand for it.
    """
    pairs = [(shown, written) for shown in COLOURS for written in COLOURS if shown != written]
    return [
        Sample(
            id=f"{shown}-{written}",
            split="planted",
            task="color",
            image=f"<blank> <{shown}> <{shown}> <blank>",
            question="which colour ?",
            context=f"the note says {written}" if number % 2 else f"{written} says the note here",
            answer_vision=shown,
            answer_text=written,
            instruction_vision="trust the picture",
            instruction_text="trust the words",
        )
        for number, (shown, written) in enumerate(pairs)
    ]


def dictionary() -> EntityDictionary:
    """Each colour's only form is its name."""
    return EntityDictionary({"colour": {colour: {"en": [colour]} for colour in COLOURS}})


def encode_planted(subject: Subject, sample: Sample, following: str) -> Prompt:
    """The prompt of one sample under one instruction; image tokens are words of the vocabulary."""
    pieces = (
        ("<s> user", "template"),
        (sample.image, "vision"),
        (sample.context, "context"),
        (sample.instruction(following), "modality"),
        (sample.question, "question"),
        ("assistant", "template"),
        (":", "last"),
    )
    ids: list[int] = []
    places: dict[str, list[int]] = {"constraint": []}
    for words, group in pieces:
        tokens = subject.tokenizer(words)["input_ids"]
        places.setdefault(group, []).extend(range(len(ids), len(ids) + len(tokens)))
        ids += tokens
    groups = {name: torch.tensor(found, dtype=torch.long) for name, found in places.items()}
    groups["instruction"] = torch.cat([groups["modality"], groups["question"]])
    y_p, y_c = (subject.tokenizer(answer)["input_ids"][0] for answer in sample.answers(following))
    inputs = {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
    }
    return Prompt(
        inputs,
        TokenGroups(**groups),
        y_p,
        y_c,
        sample,
        following,
        " ".join(words for words, _ in pieces),
    )


@functools.lru_cache
def subject(plant: Plant) -> Subject:
    """A model that does what the plant says, and nothing else, in float64."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        intermediate_size=3 * len(COLOURS),
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=len(ROLES),
        max_position_embeddings=64,
        rope_parameters={"rope_type": "linear", "factor": 1e30, "rope_theta": 10000.0},
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config).double().eval()
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=1, pad_token_id=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(LOUD / WIDTH**0.5 if "norm" in name else 0.0)
        _write_words(model)
        for number, layer in enumerate(model.model.layers):
            _write_heads(layer.self_attn, number, plant)
            _write_mlp(layer.mlp, plant if plant.mlp == number else None)
    return check_subject(
        Subject(f"planted: {plant.name}", model, SimpleNamespace(tokenizer=_tokenizer()), "written")
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}))
    words.normalizer, words.pre_tokenizer = (
        normalizers.Lowercase(),
        pre_tokenizers.WhitespaceSplit(),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def _write_words(model) -> None:
    embedding, unembedding = (
        model.get_input_embeddings().weight,
        model.get_output_embeddings().weight,
    )
    for number, (word, channels) in enumerate(WORDS.items()):
        embedding[number, CHANNEL["loud"]] = LOUD
        embedding[number, [CHANNEL[name] for name in ("any", *channels)]] = 1.0
        if word in COLOURS:
            unembedding[number, CHANNEL[f"answer {word}"]] = 1.0
    words = list(WORDS)
    unembedding[words.index("unsure"), CHANNEL["unsure"]] = (
        1.0  # what is said when nothing was decided
    )
    unembedding[words.index("</s>"), CHANNEL["spoken"]] = 100.0  # an answer is one word


def _write_heads(attention, layer: int, plant: Plant) -> None:
    """The plant's heads of one layer, and decoys of every kind in the others."""
    wirings = {
        head.index: wiring for head, wiring in _planted(plant).items() if head.layer == layer
    }
    free = [index for index in range(HEADS) if index not in wirings]
    wirings |= zip(free, itertools.cycle(_decoys(plant)))
    for index, wiring in wirings.items():
        if wiring:
            _write_head(attention, index, wiring)


def _planted(plant: Plant) -> dict[Head, Wiring]:
    """The heads that do something."""
    wirings = {}
    for modality in MODALITIES:
        head = plant.fetcher(modality)
        if plant.mlp is None:
            looks = {
                f"{plant.told} {other}": SOURCE[other]
                for other in MODALITIES
                if plant.fetcher(other) == head
            }
            wirings[head] = Wiring(looks, EITHER_CUE, _each("answer"), STRENGTH)
        else:
            here = "command" if plant.place == "instruction" else "last"
            wirings[head] = Wiring(
                {here: SOURCE[modality]}, _each(CUE[modality]), _each(f"fetched {modality}")
            )
    if plant.place == "instruction":
        wirings[plant.messenger] = Wiring({"last": "command"}, _each("answer"), _each("answer"))
    else:
        wirings[plant.messenger] = Wiring(
            {"last": "command"},
            [["told vision"], ["told text"]],
            [["heard vision"], ["heard text"]],
        )
    if plant.habit:
        wirings[plant.habit] = Wiring({"last": "context"}, _each("written"), _each("answer"), HABIT)
    if plant.echo:
        wirings[plant.echo] = Wiring(_on_command("told"), EITHER_CUE, _each("answer"), STRENGTH)
    return wirings


def _decoys(plant: Plant) -> tuple[Wiring | None, ...]:
    """The heads that do nothing, one of each kind."""
    unread = _each("unread")
    return (
        Wiring({}, [[role] for role in ROLES], unread),  # looks everywhere alike
        Wiring({"any": "vision"}, _each("shown"), unread),
        Wiring({"any": "context"}, _each("written"), unread),
        Wiring(_on_command(plant.told), EITHER_CUE, unread, STRENGTH),  # looks as an arbiter does
        None,  # idle
    )


def _on_command(told: str) -> dict[str, str]:
    return {f"{told} {modality}": SOURCE[modality] for modality in MODALITIES}


def _write_head(attention, index: int, wiring: Wiring) -> None:
    size = len(ROLES)
    own = slice(index * size, (index + 1) * size)
    query, key, value = (
        projection.weight[own]
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    for dimension, role in enumerate(ROLES):
        key[dimension, CHANNEL[role]] = 1.0
    sharp = SHARP * size**0.5  # attention divides by the root
    if wiring.looks:
        query[ROLES.index("start"), CHANNEL["any"]] = sharp
    for when, role in wiring.looks.items():
        query[ROLES.index(role), CHANNEL[when]] = 2 * sharp
    for dimension, (sources, targets) in enumerate(zip(wiring.reads, wiring.writes)):
        value[dimension, [CHANNEL[name] for name in sources]] = 1.0
        attention.o_proj.weight[[CHANNEL[name] for name in targets], index * size + dimension] = (
            wiring.gain
        )


def _write_mlp(mlp, plant: Plant | None) -> None:
    """Neurons that let a fetched cue through on command, if this MLP arbitrates; and decoys that
    write where nobody reads.
    """
    neurons = [("any", f"shown {colour}", f"unread {colour}", 1.0) for colour in COLOURS]
    if plant:
        opened = GATE * torch.sigmoid(torch.tensor(GATE, dtype=torch.float64)).item()
        neurons += [
            (
                f"{plant.told} {modality}",
                f"fetched {modality} {colour}",
                f"answer {colour}",
                STRENGTH / opened,
            )
            for modality in MODALITIES
            for colour in COLOURS
        ]
    for number, (gate, source, target, weight) in enumerate(neurons):
        mlp.gate_proj.weight[number, CHANNEL[gate]] = GATE
        mlp.up_proj.weight[number, CHANNEL[source]] = 1.0
        mlp.down_proj.weight[CHANNEL[target], number] = weight
