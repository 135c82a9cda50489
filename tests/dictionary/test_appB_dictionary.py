"""Dictionaries of any set (Appendix B): chosen by a language model that is a server of this machine
here, and judged by people.
"""

import csv
import functools
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from PIL import Image

from arbitration import dataset
from arbitration.dataset import entities, mc2, sets
from arbitration.dictionary import __main__, ask, endpoint, make, sheet, wordnet
from arbitration.dictionary.ask import AskedAnswer
from arbitration.dictionary.endpoint import Endpoint, Reply
from arbitration.files.folders import ROOT

KEY = "sk-of-nobody"


class Model(ThreadingHTTPServer):
    """A language model that remembers what it was asked; `says` makes its answer: (status, headers,
    body) or a text.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Chat)
        self.says, self.asked, self.keys, self.lock = (
            (lambda prompt, times: "[]"),
            [],
            set(),
            threading.Lock(),
        )
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Chat(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (
            self.path == "/v1/chat/completions"
            and body["model"] == "toy"
            and body["temperature"] == 0
        )
        ((prompt, role),) = [(message["content"], message["role"]) for message in body["messages"]]
        assert role == "user"
        with self.server.lock:
            self.server.asked.append(prompt)
            self.server.keys.add(self.headers["Authorization"])
            times = self.server.asked.count(prompt)
        said = self.server.says(prompt, times)
        if said is None:  # hangs up
            self.close_connection = True
            return
        status, headers, content = said if isinstance(said, tuple) else (200, {}, completion(said))
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content.encode()))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_):
        pass


def completion(text, **choice):
    return json.dumps(
        {
            "choices": [
                {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                | choice
            ]
        }
    )


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Model() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_MODEL", "toy")
        yield running
        running.shutdown()


READER = functools.cache(wordnet.reader)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """Opening WordNet takes seconds."""
    monkeypatch.setattr(wordnet, "reader", READER)


def asked(model, prompts, path, pause=0.01):
    return endpoint.ask_endpoint(Endpoint(model.url, "toy", KEY), prompts, path, pause)


def test_an_answer_is_asked_once_and_kept(model, tmp_path):
    model.says = lambda prompt, times: f"{prompt}!"
    first = asked(model, ["a", "b", "a"], tmp_path / "asked.jsonl")
    assert (
        first
        == {"a": Reply("a!"), "b": Reply("b!")}
        == asked(model, ["b", "a"], tmp_path / "asked.jsonl")
    )
    assert sorted(model.asked) == ["a", "b"] and model.keys == {f"Bearer {KEY}"}
    lines = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert {line["prompt"]: line["text"] for line in lines} == {
        "a": "a!",
        "b": "b!",
    } and KEY not in (tmp_path / "asked.jsonl").read_text()


def test_another_model_is_asked_anew(model, tmp_path):
    asked(model, ["a"], tmp_path / "asked.jsonl")
    with pytest.raises(ConnectionError):
        endpoint.ask_endpoint(
            Endpoint("http://127.0.0.1:9/v1", "other", KEY),
            ["a"],
            tmp_path / "asked.jsonl",
            pause=0,
        )


@pytest.mark.parametrize(
    "trouble", [(429, {}, "slow down"), (500, {}, ""), (503, {}, "<html>"), None]
)
def test_passing_trouble_is_waited_out(model, tmp_path, trouble):
    model.says = lambda prompt, times: trouble if times < 4 else "at last"
    assert asked(model, ["a"], tmp_path / "asked.jsonl") == {"a": Reply("at last")}
    assert len(model.asked) == 4


def test_waits_grow_and_the_servers_wish_goes_first(model, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    model.says = lambda prompt, times: (
        (429, {"Retry-After": "7"} if times == 3 else {}, "") if times < 6 else "at last"
    )
    assert asked(model, ["a"], tmp_path / "asked.jsonl", pause=1.0) == {"a": Reply("at last")}
    assert waits == [2, 7, 8, 16]


def test_lasting_trouble_ends_with_what_to_do(model, tmp_path):
    model.says = lambda prompt, times: "fine" if prompt == "a" else (429, {}, "quota exceeded")
    path = tmp_path / "asked.jsonl"
    asked(model, ["a"], path)
    with pytest.raises(
        ConnectionError,
        match=r"(?s)answered 429 6 times \(quota exceeded\); try again later"
        r".*1 of 2 answers are kept in .*run this again",
    ):
        asked(model, ["a", "b"], path, pause=0)


@pytest.mark.parametrize(
    "reply, said",
    [
        (
            (401, {}, f"bad key {KEY}"),
            r"does not take the key in OPENAI_API_KEY \(it answered 401: bad key …\)",
        ),
        (
            (400, {}, '{"error": "Model Not Exist"}'),
            "answered 400 .*look at OPENAI_BASE_URL and OPENAI_MODEL, 'toy'",
        ),
        ((404, {}, "nothing here"), "answered 404"),
        ("<html>Log in</html>", None),
        ((200, {}, "<html>Log in</html>"), "no chat completion but '<html>Log in"),
        ((200, {}, '{"choices": []}'), "which may lack a /v1"),
        ((200, {}, '{"choices": [3]}'), "no chat completion"),
    ],
)
def test_a_wrong_set_up_is_told_at_once(model, tmp_path, reply, said):
    model.says = lambda prompt, times: reply
    if said is None:
        assert asked(model, ["a"], tmp_path / "asked.jsonl") == {"a": Reply("<html>Log in</html>")}
        return
    with pytest.raises(ConnectionError, match=said):
        asked(model, ["a"], tmp_path / "asked.jsonl")
    assert len(model.asked) == 1 and not (tmp_path / "asked.jsonl").exists()


@pytest.mark.parametrize(
    "reply, why",
    [
        ((400, {}, '{"error": {"message": "Content Exists Risk"}}'), "Content Exists Risk"),
        ((200, {}, completion("[", finish_reason="content_filter")), "content_filter"),
        (
            (200, {}, completion(None, message={"content": None, "refusal": "I will not."})),
            "I will not.",
        ),
        ((200, {}, completion(" ")), "stop"),
    ],
)
def test_a_refusal_is_an_answer_and_not_asked_again(model, tmp_path, reply, why):
    model.says = lambda prompt, times: reply
    for _ in range(2):
        found = asked(model, ["a"], tmp_path / "asked.jsonl")["a"]
        assert found.text is None and why in found.refused
    assert model.asked == ["a"]


def test_an_interrupted_run_goes_on(model, tmp_path, monkeypatch):
    """The third answer stops the run as Ctrl-C does; what had come is kept, and half a line from a
    killed run does no harm.
    """
    monkeypatch.setattr(endpoint, "WORKERS", 1)
    path, answer = tmp_path / "asked.jsonl", endpoint._answer

    def interrupted(session, where, prompt):
        if prompt == "c":
            raise KeyboardInterrupt
        return answer(session, where, prompt)

    with monkeypatch.context() as patched:
        patched.setattr(endpoint, "_answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asked(model, ["a", "b", "c", "d"], path)
    assert set(model.asked) >= {"a", "b"} and "c" not in model.asked
    with open(path, "ab") as file:
        file.write(b'{"key": "half a li')
    before = list(model.asked)
    assert set(asked(model, ["a", "b", "c", "d"], path)) == {"a", "b", "c", "d"}
    assert "c" in model.asked and len(model.asked) == 4 and model.asked[: len(before)] == before
    assert asked(model, ["d", "c"], path) and len(model.asked) == 4


@pytest.mark.parametrize("missing", endpoint.VARIABLES)
def test_without_a_model_it_is_said_what_to_set(model, monkeypatch, missing):
    assert endpoint.from_environment() == Endpoint(model.url, "toy", KEY) and KEY not in repr(
        endpoint.from_environment()
    )
    monkeypatch.setenv(missing, " ")
    with pytest.raises(
        ValueError,
        match=rf"to ask: {missing} not set.*OPENAI_BASE_URL=https://api.deepseek.com"
        r".*Without --ask no language model is needed",
    ):
        endpoint.from_environment()


def test_an_address_is_one(model, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "api.deepseek.com")
    with pytest.raises(
        ValueError,
        match="OPENAI_BASE_URL is 'api.deepseek.com'; give an address that starts with https://",
    ):
        endpoint.from_environment()
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.deepseek.com/v1/chat/completions/")
    assert endpoint.from_environment().url == "https://api.deepseek.com/v1"


SOFA = AskedAnswer(
    "object_recognition", "sofa", ("couch", "lounge", "Sofa bed"), ("What is the cat on?",)
)


@pytest.mark.parametrize(
    "step, text, expected",
    [
        ("synonyms", '["couch", "lounge"]', ("answered", ["couch", "lounge"], 0)),
        (
            "synonyms",
            'Of these, ["a", "b"] do not fit:\n```json\n["lounge", "couch", "divan"]\n```',
            ("answered", ["couch", "lounge"], 1),
        ),
        ("synonyms", "[]", ("answered", [], 0)),
        ("synonyms", "couch", ("unreadable", [], 0)),
        ("synonyms", "[1, 2]", ("unreadable", [], 0)),
        (
            "chinese",
            '["沙发", "sofa", "长沙发", "沙发 (sofa)", "沙发"]',
            ("answered", ["沙发", "长沙发"], 2),
        ),
        (
            "chinese",
            json.dumps([chr(0x4E00 + i) for i in range(12)], ensure_ascii=False),
            ("answered", [chr(0x4E00 + i) for i in range(10)], 2),
        ),
    ],
)
def test_a_reply_counts_as_a_list_of_what_was_offered_or_is_chinese(step, text, expected):
    assert ask.read_reply(SOFA, step, Reply(text))[:3] == expected
    assert ask.read_reply(SOFA, step, Reply(None, "no")) == ("refused", [], 0, "no")


def test_prompts_say_what_is_asked():
    for step in ask.STEPS:
        text = ask.write_request(SOFA, step)
        assert (
            "Question: What is the cat on?\nAnswer: sofa" in text
            and "object recognition" in text
            and "{" not in text
        )
    assert '["couch", "lounge", "Sofa bed"]' in ask.write_request(
        SOFA, "synonyms"
    ) and "couch" not in ask.write_request(SOFA, "chinese")


@pytest.fixture
def folder(tmp_path):
    """A reader's set: a sofa or a carpet, two or three, and what WordNet does not know; the last in
    another split.
    """
    Image.new("RGB", (8, 8), "red").save(tmp_path / "one.png")
    rows = [
        ("object_recognition", "What is the cat on?", "sofa", "carpet"),
        ("counting", "How many?", "two", "three"),
        (None, "Which?", "glorp", "Zwick {x}"),
    ]
    with open(tmp_path / "samples.jsonl", "w") as file:
        for place, (task, question, vision, text) in enumerate(rows):
            record = {
                "question": question,
                "context": "…",
                "answer_vision": vision,
                "answer_text": text,
                "image": "one.png",
                "split": "b" if place == 2 else "a",
            }
            file.write(json.dumps(record | ({"task": task} if task else {})) + "\n")
    return tmp_path


def run(capsys, *arguments):
    __main__.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_without_a_model_one_sense_is_taken(folder, capsys, monkeypatch):
    for name in endpoint.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    out = run(capsys, folder)
    assert (
        f"{folder.resolve() / 'entities.json'}: 6 answers with" in out
        and "2 have no form but the answer itself" in out
    )
    for split in ("a", "b"):
        samples = dataset.load(folder, split)
        made = entities.of(folder, samples)
    assert made.forms("sofa", "object_recognition") == ("sofa", "couch", "lounge")
    assert made.forms("two", "counting") == ("two", "2", "ii") and made.forms("Zwick {x}") == (
        "Zwick {x}",
    )
    with pytest.raises(
        SystemExit,
        match=(
            "error: no language model to ask: OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL not set"
        ),
    ):
        __main__.main([str(folder), "--ask"])


def obliging(prompt, times):
    """Chooses couch, names Chinese forms of the sofa, refuses three, rambles about the carpet."""
    answer = re.search(r"^Answer: (.*)$", prompt, re.M)[1]
    if answer == "three":
        return 400, {}, "Content Exists Risk"
    if answer == "carpet":
        return "A carpet, well."
    if "Offered" in prompt:
        return '["couch", "settee"]' if answer == "sofa" else "[]"
    return '["沙发"]' if answer == "sofa" else "[]"


def test_a_model_chooses_and_adds_chinese(folder, model, capsys):
    model.says = obliging
    out = run(capsys, folder, "--ask")
    made = entities.of(folder, dataset.load(folder, "a"))
    assert made.forms("sofa", "object_recognition") == ("sofa", "couch", "沙发")
    assert made.forms("carpet", "object_recognition") == ("carpet",) and made.forms(
        "three", "counting"
    ) == ("three",)
    table = {
        line.split()[0]: [int(cell) for cell in line.split()[1:]]
        for line in out.splitlines()
        if line.startswith(("synonyms", "chinese"))
    }
    # Six answers, two of which WordNet does not know; "settee" was not offered.
    assert table == {"synonyms": [4, 2, 1, 1, 1, 1], "chinese": [6, 4, 1, 1, 1, 0]}
    assert (
        "refused: synonyms of 'three' (counting): Content Exists Risk" in out
        and "unreadable: chinese of 'carpet' (object_recognition): A carpet, well." in out
    )
    assert len(model.asked) == 10 and json.loads((folder / "entities.json").read_text())[
        "source"
    ].endswith("by toy")
    before = (folder / "entities.json").read_bytes()
    run(capsys, folder, "--ask")
    assert len(model.asked) == 10 and (folder / "entities.json").read_bytes() == before


def test_a_failing_model_leaves_no_half_dictionary(folder, model):
    model.says = lambda prompt, times: (401, {}, "who are you") if "Offered" not in prompt else "[]"
    with pytest.raises(SystemExit, match="error: .*does not take the key"):
        __main__.main([str(folder), "--ask"])
    assert not (folder / "entities.json").exists()


def test_mc2_needs_no_photograph(tmp_path, capsys, monkeypatch):
    record = {
        "image_id": "7",
        "task": "counting",
        "question": "How many ?",
        "answer_vision": " 2",
        "answer_text": "Three",
        "context": "Three.",
    }
    (tmp_path / "mc2.json").write_text(json.dumps([record]))
    run(capsys, tmp_path / "mc2.json")
    assert entities.read_dictionary(tmp_path / "mc2.entities.json").forms("two", "counting") == (
        "two",
        "2",
        "ii",
    )
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    assert (
        sets.file_beside("mc2", "entities.json")
        == tmp_path / "cache" / "mc2" / "evaluate_final.entities.json"
    )
    (tmp_path / "pictures" / "train2014").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(
        tmp_path / "pictures" / "train2014" / "COCO_train2014_000000000007.jpg"
    )
    assert (
        mc2.load_mc2(tmp_path / "mc2.json", pictures=tmp_path / "pictures")[0].answer_text
        == "three"
    )


def fill(folder, judge, delimiter=","):
    """Write a verdict into every row of a sheet."""
    path = folder / "sheet.csv"
    with open(path, encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(
            [head, *(row[:-1] + [judge(row)] for row in rows)]
        )
    return rows


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_people_judge_a_drawn_table(folder, model, capsys, delimiter):
    model.says = lambda prompt, times: (
        '["couch", "lounge", "rug", "2", "ii"]' if "Offered" in prompt else '["沙发", "一, 二"]'
    )
    run(capsys, folder, "--ask")
    assert "sheet.csv: write yes or no into the column 'right'" in run(
        capsys, folder, "--sheet", 100
    )
    rows = fill(folder, lambda row: " Yes" if row[4] != "lounge" else "n", delimiter)
    assert [row[0:3] for row in rows if row[4] == "couch"] == [
        ["object_recognition", "sofa", "What is the cat on?"]
    ]
    assert {row[3] for row in rows} == {"en", "zh"} and all(row[4] != row[1] for row in rows)
    english = sum(row[3] == "en" for row in rows)
    table = {
        line.split()[0]: [float(cell) for cell in line.split()[1:]]
        for line in run(capsys, folder, "--judged").splitlines()[2:4]
    }
    assert table["en"][:3] == [
        english,
        english - 1,
        pytest.approx((english - 1) / english, abs=1e-5),
    ]
    assert table["zh"][:2] == [6, 6] and table["zh"][3] == pytest.approx(
        0.6097, abs=1e-4
    )  # Wilson: n / (n + z²)
    made = entities.of(folder, dataset.load(folder, "a"))
    assert made.forms("sofa", "object_recognition") == ("sofa", "couch", "沙发")
    before, again = (folder / "entities.json").read_bytes(), run(capsys, folder, "--judged")
    run(capsys, folder, "--ask")
    assert (folder / "entities.json").read_bytes() == before, "what was judged wrong stays out"
    assert run(capsys, folder, "--judged") == again, "a judged table can be read again"
    with pytest.raises(SystemExit, match="sheet.csv is there already"):
        __main__.main([str(folder), "--sheet", "5"])


def test_mistakes_in_a_table_are_told_by_line(folder, capsys):
    run(capsys, folder)
    run(capsys, folder, "--sheet", 100)
    verdicts = iter(["yes", "", "noo", "maybe"])
    rows = fill(folder, lambda row: next(verdicts, "no"))
    assert len(rows) >= 5
    with open(folder / "sheet.csv", "a", encoding="utf-8") as file:
        file.write("counting,two,How many?,en,deuce,yes\r\n\r\ncounting,two\r\n")
    with pytest.raises(SystemExit) as caught:
        __main__.main([str(folder), "--judged"])
    last = len(rows) + 2
    assert str(caught.value).splitlines()[1:] == [
        "sheet.csv, line 3: right is empty; write yes or no",
        "sheet.csv, line 4: right is 'noo'; did you mean 'no'?",
        "sheet.csv, line 5: right is 'maybe'; write yes or no",
        (
            f"sheet.csv, line {last}: 'deuce' is no form (en) of 'two' (counting) in the "
            f"dictionary; leave those cells as they were drawn"
        ),
        f"sheet.csv, line {last + 2}: has 2 cells and not 6",
    ]
    (folder / "sheet.csv").write_text("answer,right\n")
    with pytest.raises(
        SystemExit,
        match=(
            "begins with 'answer,right' and not with its columns, "
            "kind,answer,question,language,form,right"
        ),
    ):
        __main__.main([str(folder), "--judged"])


def test_the_draw_is_seeded_and_of_each_language(tmp_path):
    forms = {"en": ["w"] + [f"e{i}" for i in range(50)], "zh": [f"z{i}" for i in range(50)]}
    drawn = {}
    for seed in (0, 0, 1):
        sheet.write_sheet(tmp_path / "s.csv", {"k": {"w": forms}}, {}, 10, seed)
        drawn.setdefault(seed, []).append((tmp_path / "s.csv").read_text(encoding="utf-8-sig"))
    assert drawn[0][0] == drawn[0][1] != drawn[1][0]
    table = pd.read_csv(tmp_path / "s.csv", encoding="utf-8-sig")
    assert (
        table["language"].value_counts().to_dict() == {"en": 10, "zh": 10}
        and table["right"].isna().all()
    )
    with pytest.raises(ValueError, match="nothing to judge"):
        sheet.write_sheet(tmp_path / "s.csv", {"k": {"w": {"en": ["w"]}}}, {}, 10, 0)
    with pytest.raises(ValueError, match="--sheet 0 asks for no form"):
        sheet.write_sheet(tmp_path / "s.csv", {"k": {"w": forms}}, {}, 0, 0)


def test_agreement_by_hand():
    """9 of 10: Wilson's 95 % interval is 0.5958 to 0.9821."""
    found = sheet.agreement(pd.DataFrame({"language": ["en"] * 10, "right": [True] * 9 + [False]}))
    assert found.loc["en"].tolist() == pytest.approx([10, 9, 0.9, 0.5958, 0.9821], abs=5e-5)


def test_what_is_missing_is_told(folder):
    for way in (["--sheet", "3"], ["--judged"]):
        with pytest.raises(
            SystemExit, match="there is no dictionary .*make it: python -m arbitration.dictionary"
        ):
            __main__.main([str(folder), *way])
    make.write_dictionary(folder)
    with pytest.raises(SystemExit, match="there is no table .*draw one with --sheet 100"):
        __main__.main([str(folder), "--judged"])
    (folder / "review.json").write_text("{")
    with pytest.raises(SystemExit, match="review.json is no review"):
        __main__.main([str(folder)])
    with pytest.raises(SystemExit, match="unknown data set 'nowhere'"):
        __main__.main(["nowhere"])


def test_a_review_changes_senses_and_forms(folder, capsys):
    review = {
        "senses": {"object_recognition": {"carpet": "carpet.n.02"}},
        "rejected": {"counting": {"two": ["ii"]}},
        "zh": {"counting": {"two": ["二"]}},
    }
    (folder / "review.json").write_text(json.dumps(review))
    run(capsys, folder)
    made = entities.of(folder, dataset.load(folder, "a"))
    assert made.forms("two", "counting") == ("two", "2", "二") and made.forms(
        "carpet", "object_recognition"
    ) == ("carpet",)


def test_the_page_names_every_command_and_variable():
    page = (ROOT / "book" / "dictionaries.md").read_text(encoding="utf-8")
    assert all(
        name in page
        for name in (
            *endpoint.VARIABLES,
            *endpoint.VARIABLES.values(),
            "--ask",
            "--sheet",
            "--judged",
            *sheet.COLUMNS,
        )
    )
