"""First answers of prompts that begin alike, shared against plain, side by side in one run.

    python benchmarks/answers.py   on a CPU: smol, both instructions of shipped scenes, and the
                                   attempts of the searches for failures

Every line says what the operation count allows and which share of it was reached; the numbers go to
``data/benchmarks``.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent))

from knockout import RESULTS, row_operations, timed, vision_operations

import arbitration as arb
from arbitration.engine import generation, recent
from arbitration.engine.plain import log_softmax, next_token_logits
from arbitration.models.prompt import Prompt
from arbitration.models.subject import Subject
from press.markdown import markdown
from reproduction.cohorts import failures


def operations(subject: Subject, prompt: Prompt, shared: int, tokens: int, guessed: bool) -> dict:
    """Floating-point operations of one answer, and rows that the decoder computes, both ways.

    Parameters
    ----------
    shared : int
        Rows that the prompt before had too.
    tokens : int
        That the model gives, the end token included.
    guessed : bool
        Whether the first of them is the guess that is passed behind the prompt.
    """
    length, depth = prompt.groups.length, subject.n_layers
    unembedding = 2 * subject.unembedding.numel()
    vision = vision_operations(subject, prompt)

    def steps(first: int) -> float:
        return sum(
            depth * row_operations(subject, 1, length + number) + unembedding
            for number in range(first, tokens - 1)
        )

    own, free = length + 1 - shared, int(guessed and tokens > 1)
    plain = vision + depth * row_operations(subject, length, 0) + unembedding + steps(0)
    once = vision + depth * row_operations(subject, own, shared) + 2 * unembedding + steps(free)
    return {
        "plain": plain,
        "shared": once,
        "rows_plain": length + tokens - 1,
        "rows_shared": own + tokens - 1 - free,
    }


def measure(subject: Subject, groups: list[list[Prompt]], name: str) -> dict:
    """One line of the table: the answers of some groups of prompts, each group behind the other,
    both ways in turn, the same answers from each.
    """
    last = recent.Recent(checked=True)
    seconds, count, off = {"plain": 0.0, "shared": 0.0}, {}, 0.0
    for group in tqdm(groups, desc=name, leave=False):
        one, answers = timed(_ask, subject, group, None, repeats=1)
        two, same = timed(_ask, subject, group, last, repeats=1)
        if answers != same:
            why = f"{name}: {answers} the plain way, {same} from common rows"
            raise RuntimeError(why)
        seconds["plain"] += one
        seconds["shared"] += two
    last = recent.Recent(checked=True)
    prompts = [prompt for group in groups for prompt in group]
    for prompt in prompts:
        _, logits, shared = recent.answer_after(subject, prompt, last)
        guessed = int(logits[0].argmax()) == prompt.y_p
        for key, value in operations(subject, prompt, shared, len(logits), guessed).items():
            count[key] = count.get(key, 0) + value
        both = (log_softmax(row) for row in (logits[0], next_token_logits(subject, prompt)[0]))
        one, two = (row[[prompt.y_p, prompt.y_c]] for row in both)
        off = max(off, (one - two).abs().max().item())
    faster, allowed = seconds["plain"] / seconds["shared"], count["plain"] / count["shared"]
    return {
        "case": name,
        "model": subject.name,
        "prompts": len(prompts),
        "rows_plain": count["rows_plain"],
        "rows_shared": count["rows_shared"],
        "teraflop_plain": count["plain"] / 1e12,
        "teraflop_shared": count["shared"] / 1e12,
        "allowed": allowed,
        "plain_s": seconds["plain"],
        "shared_s": seconds["shared"],
        "over_plain": faster,
        "share_of_allowed": faster / allowed,
        "largest_difference": off,
    }


def _ask(subject, prompts, last) -> list[tuple[str, int]]:
    return [generation.first_answer(subject, prompt, last) for prompt in prompts]


def cases(subject: Subject, samples) -> dict[str, list[list[Prompt]]]:
    """The prompts of each line, by the sample that they share: both instructions, and every attempt
    of each source of failures.
    """
    both = [[subject.encode(sample, way) for way in ("text", "vision")] for sample in samples]
    found = {"both instructions": both}
    names = {
        failures.WEAKENED: "4 mixes with the mirror image",
        failures.UNREAD: "4 wordings",
        failures.FADED: "3 blurs of the evidence",
    }
    for source, name in names.items():
        found[name] = []
        for number, sample in enumerate(samples):
            way = ("text", "vision")[number % 2]
            others = failures.draw_wordings(samples, way)
            tried = failures.list_attempts(subject, sample, way, source, others)
            found[name].append([prompt for _, prompt in tried])
    return found


def table(lines: list[dict]) -> str:
    """A column for each case."""
    rows = {
        "": lambda line: line["case"],
        "prompts": lambda line: line["prompts"],
        "rows, plain": lambda line: line["rows_plain"],
        "rows, shared": lambda line: line["rows_shared"],
        "operations, plain, Tflop": lambda line: f"{line['teraflop_plain']:.2f}",
        "operations, shared, Tflop": lambda line: f"{line['teraflop_shared']:.2f}",
        "ratio of the operations": lambda line: f"{line['allowed']:.1f}",
        "plain, s a prompt": lambda line: f"{line['plain_s'] / line['prompts']:.2f}",
        "**shared, s a prompt**": lambda line: f"**{line['shared_s'] / line['prompts']:.2f}**",
        "faster than plain (share of the ratio)": lambda line: (
            f"{line['over_plain']:.2f} × ({line['share_of_allowed']:.0%})"
        ),
        "largest difference, nats": lambda line: f"{line['largest_difference']:.0e}",
    }
    written = [[name, *(str(value(line)) for line in lines)] for name, value in rows.items()]
    return "\n".join(markdown(written))


def main() -> None:
    subject = arb.load("smol", device="cpu")
    samples = arb.dataset.shuffled(arb.dataset.load("scenes", "held"), 0)[:12]
    _ask(subject, [subject.encode(samples[0], "text")], None)
    lines = [measure(subject, groups, name) for name, groups in cases(subject, samples).items()]
    origin = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    written = json.dumps({**origin, "lines": lines}, indent=1) + "\n"
    (RESULTS / "answers_cpu.json").write_text(written, encoding="utf-8")
    said = (
        f"Measured on {origin['machine']}, load {origin['load']}, torch {origin['torch']}, "
        f"{origin['date']}.\n\n{table(lines)}\n"
    )
    (RESULTS / "answers_cpu.md").write_text(said, encoding="utf-8")
    print(said)
    print("written: data/benchmarks/answers_cpu.json")


if __name__ == "__main__":
    main()
