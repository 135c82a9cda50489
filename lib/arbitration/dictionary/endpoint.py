"""A language model behind an OpenAI-compatible endpoint, whose every answer is kept: nothing is
asked twice.

Answers are JSON lines in a file that only grows, each under a hash of the model's name and of what
was asked. An interrupted run keeps what it has and goes on from there; deleting the file asks
everything anew.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from tqdm.auto import tqdm
from urllib3.util import Retry

from arbitration.files.given import parse_json

#: What the environment must say, with the paper's model as the example.
VARIABLES = {
    "OPENAI_BASE_URL": "https://api.deepseek.com",
    "OPENAI_API_KEY": "sk-…",
    "OPENAI_MODEL": "deepseek-chat",
}
#: Busy, broken or slow servers are asked again after 0, 2, 4, … times the pause, or when they say
#: (`Retry-After`, in seconds or as a date).
AGAIN = (408, 425, 429, 500, 502, 503, 504, 529)
TRIES = 6
LONGEST = 120  # seconds to wait for an answer, or because a server says so
WORKERS = 4
#: What servers say that will not answer because of what they were asked, where they do not answer
#: at all (DeepSeek: "Content Exists Risk").
UNWILLING = re.compile(
    r"content[\s_]*(exists[\s_]*risk|filter|policy|management)|moderation", re.IGNORECASE
)


@dataclass(frozen=True)
class Endpoint:
    """Where a language model is asked.

    Attributes
    ----------
    url : str
        Up to and without ``/chat/completions``.
    model : str
    key : str
        Sent with every request, and neither printed nor kept.
    """

    url: str
    model: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """What came back: a text, or why there is none."""

    text: str | None
    refused: str | None = None


def from_environment() -> Endpoint:
    """The endpoint that ``OPENAI_BASE_URL``, ``OPENAI_API_KEY`` and ``OPENAI_MODEL`` name.

    Raises
    ------
    ValueError
        Naming what is not set.
    """
    given = {name: os.environ.get(name, "").strip() for name in VARIABLES}
    if missing := [name for name, value in given.items() if not value]:
        example = " ".join(f"{name}={value}" for name, value in VARIABLES.items())
        why = (
            f"no language model to ask: {', '.join(missing)} not set. Set all three, for "
            f"DeepSeek as in {example}"
            f" (a server of your own that needs no key takes any text as one). Without "
            f"--ask no language model is needed"
        )
        raise ValueError(why)
    url, key, model = given["OPENAI_BASE_URL"], given["OPENAI_API_KEY"], given["OPENAI_MODEL"]
    if not re.match(r"https?://[^/]", url):
        why = (
            f"OPENAI_BASE_URL is {url!r}; give an address that starts with https:// or "
            f"http://, as {VARIABLES['OPENAI_BASE_URL']}"
        )
        raise ValueError(why)
    return Endpoint(url.rstrip("/").removesuffix("/chat/completions"), model, key)


def ask_endpoint(
    endpoint: Endpoint, prompts: Iterable[str], path: Path, pause: float = 1.0
) -> dict[str, Reply]:
    """The model's answers, from the file where they are there.

    Parameters
    ----------
    endpoint : Endpoint
    prompts : iterable of str
        Each is asked on its own, at temperature 0.
    path : Path
        The JSON lines: key, model, prompt, text, refused.
    pause : float
        Seconds before a second try; twice as many before each further one.

    Returns
    -------
    dict
        For each prompt its `Reply`. A model that will not answer is an answer too, and not asked
        again.

    Raises
    ------
    ConnectionError
        If an answer cannot be had; says what to do, and how many are kept.
    """
    kept = dict(_kept(path))
    keys = {prompt: _key(endpoint.model, prompt) for prompt in prompts}
    missing = [prompt for prompt, key in keys.items() if key not in kept]
    lock, session = threading.Lock(), _session(pause)

    def ask(prompt: str) -> None:
        reply = _answer(session, endpoint, prompt)
        line = {
            "key": keys[prompt],
            "model": endpoint.model,
            "prompt": prompt,
            "text": reply.text,
            "refused": reply.refused,
        }
        with lock:
            _append(path, line)
            kept[keys[prompt]] = reply

    # What is under way when one fails, or when the run is interrupted, still ends and is kept;
    # nothing further is begun.
    with (
        ThreadPoolExecutor(WORKERS) as pool,
        tqdm(
            total=len(keys), initial=len(keys) - len(missing), desc=f"asking {endpoint.model}"
        ) as bar,
    ):
        try:
            for done in as_completed([pool.submit(ask, prompt) for prompt in missing]):
                done.result()
                bar.update()
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            if isinstance(error, ConnectionError):
                have = sum(key in kept for key in keys.values())
                why = (
                    f"{error}\n{have} of {len(keys)} answers are kept in {path}; run this "
                    f"again to go on from there"
                )
                raise ConnectionError(why) from error
            raise
    return {prompt: kept[key] for prompt, key in keys.items()}


def _session(pause: float) -> requests.Session:
    retry = Retry(
        total=TRIES - 1,
        status_forcelist=AGAIN,
        allowed_methods=None,
        backoff_factor=pause,
        backoff_max=LONGEST,
        retry_after_max=LONGEST,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=WORKERS))
    return session


def _answer(session: requests.Session, endpoint: Endpoint, prompt: str) -> Reply:
    """Ask once, which includes the tries after failures that pass."""

    def signed(request):
        # As `auth`, because a header alone gives way to what a .netrc file says.
        request.headers["Authorization"] = f"Bearer {endpoint.key}"
        return request

    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
    }
    try:
        answer = session.post(
            f"{endpoint.url}/chat/completions", json=body, auth=signed, timeout=(10, LONGEST)
        )
    except requests.RequestException as error:
        why = (
            f"{endpoint.url} could not be reached ({error}); look at the network and at "
            f"OPENAI_BASE_URL"
        )
        raise ConnectionError(why) from error
    said = " ".join(answer.text.replace(endpoint.key, "…").split())[:300]
    if answer.status_code in (401, 403):
        why = (
            f"{endpoint.url} does not take the key in OPENAI_API_KEY (it answered "
            f"{answer.status_code}: {said})"
        )
        raise ConnectionError(why)
    if answer.status_code in AGAIN:
        why = (
            f"{endpoint.url} answered {answer.status_code} {TRIES} times ({said}); try again later"
        )
        raise ConnectionError(why)
    if answer.status_code >= 400:
        if UNWILLING.search(said):
            return Reply(None, said)
        why = (
            f"{endpoint.url} answered {answer.status_code} ({said}); look at OPENAI_BASE_URL "
            f"and OPENAI_MODEL, {endpoint.model!r}"
        )
        raise ConnectionError(why)
    try:
        choice = answer.json()["choices"][0]
        text, refusal, end = (
            choice["message"].get("content"),
            choice["message"].get("refusal"),
            choice.get("finish_reason"),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        why = (
            f"{endpoint.url} sent no chat completion but {said!r}; look at OPENAI_BASE_URL, "
            f"which may lack a /v1"
        )
        raise ConnectionError(why) from error
    if refusal or end == "content_filter" or not isinstance(text, str) or not text.strip():
        return Reply(None, str(refusal or end or "an empty answer"))
    return Reply(text)


def _key(model: str, prompt: str) -> str:
    return hashlib.sha256(f"{model}\0{prompt}".encode()).hexdigest()


def _kept(path: Path) -> Iterator[tuple[str, Reply]]:
    """Key and reply of every whole line; one that a killed run left half does not count."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            record = parse_json(line)
            yield record["key"], Reply(record["text"], record["refused"])
        except (ValueError, LookupError, TypeError):
            continue


def _append(path: Path, line: dict) -> None:
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
