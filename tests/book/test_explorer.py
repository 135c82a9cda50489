"""The page Explorer: what is written for it, and how it behaves in a browser that has no network.

The browser's tests build one page over toy tables. With ``EXPLORER_PAGE``, the path of a built
book's ``explorer.html``, those that hold for any book run on that one instead.
"""

import json
import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import toy_explorer
from arbitration import uncertainty
from arbitration.equations.heads import share_count
from chromium import browser, visit
from directives import explorer as directive
from reproduction.figures import style
from reproduction.numbers import explorer, narrow, one_sample
from toy_book import build
from toy_explorer import BARE, FULL, HOSTILE

PAGE = "# Explorer\n\n```{explorer}\n```\n"


@pytest.fixture(scope="module")
def tables():
    return toy_explorer.make_tables()


def by_hand(table, value, columns):
    """Samples × columns without the library: one row a sample, in the order of the names, with the
    labels of the clusters.
    """
    names = sorted(table["sample"].unique())
    places = sorted({tuple(row) for row in table[columns].itertuples(index=False, name=None)})
    cells = np.full((len(names), len(places)), np.nan)
    found = table.groupby(["sample", *columns])[value].mean()
    for (name, *place), number in found.items():
        cells[names.index(name), places.index(tuple(place))] = number
    wording = table.groupby("sample")["wording"].first()
    return cells, [wording[name] for name in names], places


def near(found, expected, decimals=4):
    return np.abs(np.array(found, float) - expected).max() <= 0.5 * 10.0**-decimals + 1e-9


def test_curves_are_means_and_bands_of_the_rows(tables):
    curves = explorer.list_curves(tables)
    keys = [(one["width"], one["following"], one["pathway"], one["control"]) for one in curves]
    assert len(keys) == len(set(keys)) == 2 * 5 * 2 + 2 * 2 * 2 * 2
    told = dict(zip(keys, curves))
    for key, source in (
        ((3, "text", "vision→last", False), "knockout"),
        ((3, "vision", "context→last", True), "knockout_controls"),
        ((5, "text", "vision→last", True), "windows"),
    ):
        width, following, pathway, control = key
        rows = tables[source]
        rows = rows[(rows["width"] == width) & (rows["following"] == following)]
        rows = rows[(rows["pathway"] == pathway) & (rows["control"] == control)]
        lost = (rows["logp_p"] - rows["logp_c"]) - (rows["logp_p_blocked"] - rows["logp_c_blocked"])
        for name, column in (("nssd", rows["nssd"]), ("lead", lost)):
            cells, labels, layers = by_hand(rows.assign(value=column), "value", ["layer"])
            mean, low, high = uncertainty.simultaneous(cells, clusters=labels)
            assert near(told[key][name]["mean"], cells.mean(axis=0))
            assert near(told[key][name]["mean"], mean)
            assert near(told[key][name]["low"], low) and near(told[key][name]["high"], high)
        assert told[key]["layers"] == [layer for (layer,) in layers]
        assert (told[key]["n"], told[key]["clusters"]) == (len(cells), len(set(labels)))


def test_a_curve_is_the_one_that_the_figures_draw(tables):
    rows = tables["knockout"]
    rows = rows[(rows["following"] == "text") & (rows["pathway"] == "vision→last")]
    panel = Figure().subplots()
    style.band(panel, rows, "nssd")
    [one] = [
        one
        for one in explorer.list_curves({"knockout": rows})
        if (one["following"], one["control"]) == ("text", False)
    ]
    assert near(one["nssd"]["mean"], panel.lines[0].get_ydata())
    outline = panel.collections[0].get_paths()[0].vertices
    for layer, low, high in zip(one["layers"], one["nssd"]["low"], one["nssd"]["high"]):
        drawn = outline[outline[:, 0] == layer, 1]
        assert near([low, high], [drawn.min(), drawn.max()])


def test_a_width_that_both_tables_have_is_that_of_the_larger_one(tables):
    curves = explorer.list_curves(tables)
    assert {one["n"] for one in curves if one["width"] == 3 and not one["control"]} == {8}
    alone = explorer.list_curves({"windows": tables["windows"]})
    assert {(one["width"], one["n"]) for one in alone} == {(1, 4), (3, 4), (5, 4)}


def test_scores_rank_all_heads_on_samples_on_which_none_is_scaled(tables):
    scores = {(one["ranking"], one["following"]): one for one in explorer.list_scores(tables)}
    assert len(scores) == 4
    tested = set(tables["head_blocking"]["sample"])
    for (name, way), one in scores.items():
        table = tables["heads" if name == "eq12" else "head_scores"]
        rows = table[table["following"] == way]
        rows = rows if name == "eq12" else rows[~rows["sample"].isin(tested)]
        value = "margin" if name == "eq12" else "sensitivity_instruction"
        cells, labels, _ = by_hand(rows, value, ["layer", "head"])
        mean, low, high = uncertainty.simultaneous(cells, clusters=labels)
        assert near(one["mean"], mean) and near(one["low"], low) and near(one["high"], high)
        assert one["n"] == len(cells) == (8 if name == "eq12" else 4)
        means = cells.mean(axis=0)
        assert one["order"] == sorted(range(48), key=lambda place: (-means[place], place))
        assert one["top"] == share_count(48)
    strongest = scores["eq12", "text"]["order"][0]
    assert divmod(strongest, toy_explorer.HEADS) == (8, 2), "the head that was made strong"


def test_scaled_heads_are_shares_of_prompts_that_follow(tables):
    scaled = explorer.list_scaled(tables)
    [one] = [
        one
        for one in scaled
        if (one["ranking"], one["setting"], one["following"]) == ("eq12", "amplification", "text")
        and (one["positions"], one["heads"], one["source"]) == ("last", "random", "weakened")
    ]
    rows = tables["amplification"]
    rows = rows[(rows["following"] == "text") & (rows["positions"] == "last")]
    rows = rows[(rows["heads"] == "random") & (rows["source"] == "weakened")]
    rows = rows.assign(follows=(rows["outcome"] == "follow").astype(float))
    cells, labels, factors = by_hand(rows, "follows", ["factor"])
    mean, low, high = uncertainty.share(cells, clusters=labels)
    assert near(one["mean"], mean) and near(one["low"], low) and near(one["high"], high)
    assert one["at"] == [factor for (factor,) in factors] == [1.5, 2.0, 5.0]
    assert (one["n"], one["draws"]) == (len(cells), 2)
    ranked = tables["head_blocking"]
    ranked = ranked[(ranked["heads"] == "sensitivity") & (ranked["positions"] == "last")]
    ranked = ranked[(ranked["following"] == "vision") & (ranked["share"] == 0.05)]
    others = ranked[ranked["ranked_on"] == "other samples"]
    [one] = [
        one
        for one in scaled
        if (one["ranking"], one["setting"], one["heads"])
        == (
            "sensitivity",
            "blocking",
            "sensitivity",
        )
        and (one["following"], one["positions"]) == ("vision", "last")
    ]
    assert near(one["mean"][one["at"].index(0.05)], (others["outcome"] == "follow").mean())
    assert len(others) < len(ranked), "what was ranked on the tested samples is left out"
    sources = {(one["ranking"], one["setting"], one["source"]) for one in scaled}
    assert sources == {
        ("eq12", "blocking", ""),
        ("eq12", "amplification", "natural"),
        ("eq12", "amplification", "weakened"),
        ("sensitivity", "blocking", ""),
        ("sensitivity", "amplification", "weak evidence"),
    }


def test_a_sample_has_its_own_rows_and_words(tables):
    words = directive.gather_words(tables, directive.list_scenes())
    samples = one_sample.list_samples(tables, words)
    assert len(samples) == 16 and len(one_sample.list_samples(tables, words, limit=3)) == 6
    [one] = [one for one in samples if (one["sample"], one["following"]) == ("held-001", "vision")]
    rows = tables["knockout"]
    rows = rows[(rows["sample"] == "held-001") & (rows["following"] == "vision")]
    assert one["lead"] == pytest.approx((rows["logp_p"] - rows["logp_c"]).iloc[0], abs=5e-4)
    [path] = [
        path for path in one["paths"] if path["pathway"] == "vision→last" and not path["control"]
    ]
    expected = rows[rows["pathway"] == "vision→last"].sort_values("layer")["nssd"]
    assert near(path["nssd"], expected.to_numpy(), decimals=3)
    beliefs = tables["beliefs"]
    beliefs = beliefs[(beliefs["sample"] == "held-001") & (beliefs["following"] == "vision")]
    own = beliefs[(beliefs["positions"] == "last") & (beliefs["dictionary"] == "own")]
    own = own.sort_values("layer")
    assert near(one["beliefs"]["last"]["f"], own["phi_f"].to_numpy(), decimals=3)
    behind = own.loc[~(own["phi_f"] > own["phi_c"]), "layer"].max()
    assert one["beliefs"]["last"]["turn"] == (behind + 1 if behind < 11 else None)
    assert [token["token"] for token in one["tokens"]] == ["Follow", " the", " <b>text</b>", "."]
    assert one["words"]["picture"].endswith(".png") and HOSTILE not in one["words"]["question"]
    [strange] = [one for one in samples if one["sample"] == "own-0" and one["following"] == "text"]
    assert "picture" not in strange["words"] and HOSTILE in strange["words"]["question"]
    assert strange["words"]["instruction_vision"].startswith("instruction 2")
    assert strange["words"]["answer_text"].startswith("answer 5")


@pytest.mark.parametrize(
    ("followed", "turn"),
    [([1, 1, 1], None), ([3, 3, 3], -1), ([1, 3, 3], 0), ([3, 1, 3], 1), ([3, 3, 1], None)],
)
def test_the_turn_is_the_first_layer_of_a_lead_that_stays(followed, turn):
    assert one_sample.find_turn(followed, [2, 2, 2], -1) == turn


def test_words_of_another_set_under_a_scenes_name_are_not_the_scenes(tables):
    swept = tables["knockout"].assign(image="another")
    words = directive.gather_words({**tables, "knockout": swept}, directive.list_scenes())
    assert words == {}, "neither the scene's nor those of texts, which are of other pictures"


def test_what_was_not_measured_is_empty_and_not_an_error(tables):
    empty = explorer.tell_model({}, {})
    assert set(map(len, empty.values())) == {0}
    lacking = {name: table[:0] for name, table in tables.items()}
    assert set(map(len, explorer.tell_model(lacking, {}).values())) <= {0, 1}
    odd = {name: table.drop(columns="sample", errors="ignore") for name, table in tables.items()}
    assert explorer.tell_model(odd, {})["curves"] == []


def test_numbers_are_rounded_and_what_is_none_is_null():
    found = narrow.to_list([0.00004, -0.00004, np.nan, np.inf, 12.34567], 4)
    assert json.dumps(found) == "[0.0, 0.0, null, null, 12.3457]"


def test_one_sample_has_a_curve_without_a_band(tables):
    single = tables["knockout"][tables["knockout"]["sample"] == "held-000"]
    [one, *_] = explorer.list_curves({"knockout": single})
    assert one["n"] == 1 and set(one["nssd"]["low"]) == {None} and None not in one["nssd"]["mean"]


def test_every_model_with_tables_is_found_and_has_a_file_of_its_own(tmp_path):
    for name in ("a", "org/name", "smol-relay", "smol", "org-name", "é", ".running/x", "empty"):
        (tmp_path / name / "tables").mkdir(parents=True)
        if name != "empty":
            (tmp_path / name / "tables" / "answers.parquet").touch()
    models = directive.find_models(tmp_path)
    assert models == ["smol", "smol-relay", "a", "org-name", "org/name", "é"]
    files = [directive.name_file(name) for name in models]
    assert len(set(files)) == len(files)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+\.js", name) for name in files)


def test_a_script_is_ascii_and_holds_what_it_was_given():
    given = {"words": HOSTILE, "lone": "\ud800"}
    script = directive.write_script("a/b", given)
    assert script.isascii() and "\n" not in script.strip()
    inside = script.removeprefix("Explorer.receive(").removesuffix(");\n")
    assert json.loads(f"[{inside}]") == ["a/b", given]


# In the browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The page over toy tables."""
    source = tmp_path_factory.mktemp("toy")
    toy_explorer.write_tables(source / "_executed")
    (source / "index.md").write_text(PAGE, encoding="utf-8")
    done = build(source, html_theme="sphinx_book_theme")
    assert done.returncode == 0, done.stderr
    return source / "html" / "index.html"


@pytest.fixture(scope="module")
def page(request):
    """Of a whole book if one is named, else the toy."""
    given = os.environ.get("EXPLORER_PAGE")
    return Path(given).resolve() if given else request.getfixturevalue("toy")


def open_view(session, page, address=""):
    """Open a view; returns what happened, and waits until it is drawn."""
    session.get("about:blank")
    for kind in ("performance", "browser"):
        session.get_log(kind)
    session.get(page.as_uri() + address)
    wait_for(session, lambda: root(session).get_attribute("data-shown"))


def wait_for(session, what):
    return WebDriverWait(session, 20).until(lambda _: what())


def root(session):
    return session.find_element(By.ID, "xp-root")


def find(session, selector):
    return root(session).find_element(By.CSS_SELECTOR, selector)


def click(session, selector):
    session.execute_script(
        "arguments[0].scrollIntoView({block: 'center'})", find(session, selector)
    )
    find(session, selector).click()


def press(session, *keys):
    for key in keys:
        session.switch_to.active_element.send_keys(key)


def state(session):
    """The choices in the address."""
    hashed = session.execute_script("return location.hash").removeprefix("#")
    return dict(unquote(part).split("=", 1) for part in hashed.split("&") if part)


def read_table(session, key):
    """Open the table of a chart, and read it."""
    box = f'details[data-key="{key}"]'
    if not find(session, box).get_attribute("open"):
        click(session, f"{box} summary")
    wait_for(session, lambda: root(session).find_elements(By.CSS_SELECTOR, f"{box} tbody tr"))
    script = (
        "return [...arguments[0].querySelectorAll('tr')].map(row => "
        "[...row.cells].map(cell => cell.textContent))"
    )
    head, *rows = session.execute_script(script, find(session, f"{box} table"))
    return pd.DataFrame(rows, columns=head)


def numbers_of(column):
    return column.str.replace("−", "-").astype(float).to_numpy()


@pytest.mark.browser
@pytest.mark.parametrize("view", ["", "#view=heads", "#view=sample", "#view=paths&value=lead"])
def test_each_view_is_drawn_without_an_error_or_a_request(chromium, page, view):
    visit(chromium, page)  # the session's first page in a new profile sets the theme
    open_view(chromium, page, view)
    errors = [one for one in chromium.get_log("browser") if one["level"] == "SEVERE"]
    assert errors == []
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked and [url for url in asked if not url.startswith(("file:", "data:"))] == []
    charts = root(chromium).find_elements(By.CSS_SELECTOR, "svg.xp-chart")
    assert charts and all(chart.get_attribute("aria-label") for chart in charts)
    described = root(chromium).find_elements(By.CSS_SELECTOR, "figure .xp-description")
    folded = root(chromium).find_elements(By.CSS_SELECTOR, "figure details.xp-numbers")
    assert len(described) >= len(charts) and len(folded) == len(charts)
    assert all(one.text for one in described)
    pictures = chromium.execute_script(
        "return [...document.querySelectorAll('#xp-root img')].map(e => [e.alt, e.naturalWidth])"
    )
    assert all(alt and width for alt, width in pictures)
    named = chromium.execute_script(
        "return [...document.querySelectorAll('#xp-root input, #xp-root select')]"
        ".filter(e => !e.labels.length && !e.ariaLabel).length"
    )
    assert named == 0, "a form element without a name"


@pytest.mark.browser
def test_the_tables_say_what_the_rows_say(chromium, toy, tables):
    open_view(chromium, toy, "#view=paths&way=vision&paths=vision-to-last,context-to-last&width=5")
    shown = read_table(chromium, "paths-table")
    rows = tables["windows"]
    rows = rows[(rows["width"] == 5) & (rows["following"] == "vision")]
    for control, word in ((False, "path"), (True, "random sources")):
        some = rows[(rows["pathway"] == "context→last") & (rows["control"] == control)]
        cells, labels, layers = by_hand(some, "nssd", ["layer"])
        band = uncertainty.simultaneous(cells, clusters=labels)
        told = shown[(shown["closed path"] == "context→last") & (shown["sources"] == word)]
        assert [int(layer) for layer in told["layer"]] == [layer for (layer,) in layers]
        for column, expected in zip(("mean", "low", "high"), band):
            assert near(numbers_of(told[column]), expected)
        assert set(told["n"]) == {"4"}
    assert len(shown) == 2 * 2 * toy_explorer.LAYERS

    open_view(chromium, toy, "#view=heads&way=vision&rank=eq12")
    shown = read_table(chromium, "heads-table")
    rows = tables["heads"][tables["heads"]["following"] == "vision"]
    cells, _, places = by_hand(rows, "margin", ["layer", "head"])
    means = dict(zip((f"{layer}.{head}" for layer, head in places), cells.mean(axis=0)))
    told = dict(zip(shown["head (layer.head)"], numbers_of(shown["mean"])))
    assert told.keys() == means.keys()
    assert near([told[head] for head in means], list(means.values()))
    assert list(numbers_of(shown["mean"])) == sorted(told.values(), reverse=True)


@pytest.mark.browser
def test_it_is_driven_by_clicks(chromium, toy):
    open_view(chromium, toy)
    assert state(chromium) == {}
    click(chromium, 'input[data-key="way-vision"]')
    click(chromium, 'input[data-key="width-5"]')
    click(chromium, 'input[data-key="paths-context→last"]')
    assert state(chromium)["way"] == "vision" and state(chromium)["width"] == "5"
    assert state(chromium)["paths"] == "vision-to-last"
    click(chromium, 'input[data-key="paths-context→last"]')
    assert state(chromium)["paths"] == "vision-to-last,context-to-last"
    assert "Windows of 5 layers" not in root(chromium).text
    click(chromium, 'a[data-key="view-heads"]')
    click(chromium, 'g[data-row="2"][data-column="8"]')
    assert state(chromium)["head"] == "8.2" and state(chromium)["view"] == "heads"
    assert "Layer 8, head 2" in find(chromium, ".xp-readout").text
    click(chromium, 'input[data-key="rank-sensitivity"]')
    assert "by sensitivity" in find(chromium, "figcaption").text
    assert state(chromium)["head"] == "8.2", "the head stays chosen"
    click(chromium, 'a[data-key="view-sample"]')
    click(chromium, 'button[data-key="step1"]')
    assert state(chromium)["sample"] == "held-001"
    chosen = Select(find(chromium, 'select[data-key="sample"]'))
    chosen.select_by_visible_text("own-0")
    assert state(chromium)["sample"] == "own-0"


@pytest.mark.browser
def test_it_is_driven_by_keys(chromium, toy):
    open_view(chromium, toy, "#view=heads&head=0.0")
    chromium.execute_script("document.querySelector('#xp-root a').focus()")
    for _ in range(30):  # from the views over the choices into the map
        press(chromium, Keys.TAB)
        if chromium.switch_to.active_element.get_attribute("role") == "gridcell":
            break
    here = chromium.switch_to.active_element
    assert here.get_attribute("aria-label").startswith("layer 0, head 0:")
    press(chromium, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    here = chromium.switch_to.active_element
    assert here.get_attribute("aria-label").startswith("layer 1, head 2:")
    assert here.get_attribute("aria-selected") == "true"
    assert "Layer 1, head 2" in find(chromium, ".xp-readout").text
    wait_for(chromium, lambda: state(chromium)["head"] == "1.2")
    press(chromium, Keys.END, Keys.PAGE_DOWN, Keys.ARROW_DOWN)
    wait_for(chromium, lambda: state(chromium)["head"] == "11.3")

    open_view(chromium, toy, "#view=paths&layer=4")
    chromium.execute_script("document.querySelector('#xp-root input[type=range]').focus()")
    press(chromium, Keys.ARROW_RIGHT)
    assert "Layer 5:" in find(chromium, ".xp-readout").text
    slider = chromium.switch_to.active_element
    assert slider.get_attribute("aria-valuetext").startswith("5: context→instruction ")
    wait_for(chromium, lambda: state(chromium)["layer"] == "5")
    chromium.execute_script("document.querySelector('[data-key=way-text]').focus()")
    press(chromium, Keys.ARROW_RIGHT)
    assert state(chromium)["way"] == "vision"
    focused = chromium.switch_to.active_element.get_attribute("data-key")
    assert focused == "way-vision", "the choice keeps the keyboard when the view is drawn anew"


@pytest.mark.browser
def test_what_the_pointer_passes_is_told_and_not_chosen(chromium, toy):
    open_view(chromium, toy, "#view=heads&head=0.0")
    cell = find(chromium, 'g[data-row="3"][data-column="10"]')
    chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    ActionChains(chromium).move_to_element(cell).perform()
    wait_for(chromium, lambda: "Layer 10, head 3" in find(chromium, ".xp-readout").text)
    assert state(chromium)["head"] == "0.0"
    ActionChains(chromium).move_to_element(find(chromium, ".xp-cite")).perform()
    wait_for(chromium, lambda: "Layer 0, head 0" in find(chromium, ".xp-readout").text)


@pytest.mark.browser
def test_tokens_have_the_signals_of_the_layer(chromium, toy, tables):
    rows = tables["token_signals"]
    rows = rows[(rows["sample"] == "held-002") & (rows["following"] == "vision")]
    open_view(chromium, toy, "#view=sample&way=vision&sample=held-002&layer=3")
    chromium.execute_script("document.querySelector('#xp-root input[type=range]').focus()")
    colours = set()
    for layer in (3, 4):
        here = rows[rows["layer"] == layer].sort_values("position")
        tokens = root(chromium).find_elements(By.CLASS_NAME, "xp-token")
        assert [one.get_attribute("textContent") for one in tokens] == list(here["token"])
        for token, followed, competitor in zip(tokens, here["phi_f"], here["phi_c"]):
            told = token.get_attribute("title").replace("−", "-")
            given = re.findall(r"-?\d+\.\d\d", told)
            assert near([float(one) for one in given], [followed, competitor], decimals=2)
            colours.add((layer, token.value_of_css_property("background-color")))
        press(chromium, Keys.ARROW_RIGHT)
    assert len(colours) == 8, "each token of each layer has a colour of its own"


@pytest.mark.browser
def test_an_address_opens_the_same_view_again_and_the_back_button_leads_back(chromium, toy):
    open_view(chromium, toy)
    click(chromium, 'input[data-key="value-lead"]')
    first = find(chromium, "figcaption").text
    click(chromium, 'a[data-key="view-heads"]')
    click(chromium, 'g[data-row="1"][data-column="3"]')
    cited = find(chromium, ".xp-address").get_attribute("value")
    second = root(chromium).text
    assert cited.startswith(toy.as_uri() + "#view=heads&model=smol&way=text")
    assert "head=3.1" in cited
    chromium.back()
    chromium.back()
    wait_for(chromium, lambda: find(chromium, "figcaption").text == first)
    assert state(chromium)["view"] == "paths" and state(chromium)["value"] == "lead"
    chromium.forward()
    chromium.forward()
    wait_for(chromium, lambda: "Layer 3, head 1" in root(chromium).text)
    open_view(chromium, toy, cited.removeprefix(toy.as_uri()))
    assert root(chromium).text == second


@pytest.mark.browser
def test_an_address_that_asks_for_what_is_not_there_shows_something_and_says_so(chromium, toy):
    wrong = "#view=x&model=%3Cb%3E&way=%E0%A4%A&width=99&layer=77&paths=a-to-b&nothing=1"
    open_view(chromium, toy, wrong)
    notes = " ".join(one.text for one in root(chromium).find_elements(By.CLASS_NAME, "xp-note"))
    for word in ("“x”", "“<b>”", "“99”", "“77”", "a→b"):
        assert word in notes
    assert find(chromium, "svg.xp-chart").is_displayed()


@pytest.mark.browser
def test_a_model_that_lacks_tables_says_so_in_a_sentence(chromium, toy):
    open_view(chromium, toy, f"#model={BARE}&view=heads")
    text = find(chromium, ".xp-lacking").text
    assert "not measured on org/bare" in text
    assert "make notebook SECTION=sec4_heads MODEL=org/bare" in text
    assert not root(chromium).find_elements(By.CSS_SELECTOR, "svg.xp-chart")
    open_view(chromium, toy, f"#model={BARE}&view=sample")
    lacking = [one.text for one in root(chromium).find_elements(By.CLASS_NAME, "xp-lacking")]
    assert any("Φ by layer is not measured" in one for one in lacking)
    assert "no table has Φ token by token" in root(chromium).text
    open_view(chromium, toy, f"#model={BARE}&view=paths")
    assert "no control" in find(chromium, ".xp-description").text
    scripts = chromium.execute_script("return [...document.scripts].map(e => e.src)")
    loaded = [Path(src).name for src in scripts if "/data/" in src]
    assert loaded == [directive.name_file(BARE)], "a model's numbers are loaded when it is chosen"


@pytest.mark.browser
def test_a_readers_words_are_text_and_nothing_else(chromium, toy):
    open_view(chromium, toy, "#view=sample&sample=own-1")
    text = root(chromium).get_attribute("textContent")
    assert text.count(HOSTILE) >= 6
    inside = "return document.querySelectorAll('#xp-root script, #xp-root b, #xp-root img').length"
    assert chromium.execute_script(inside) == 0
    for one in ("tokens-table", "signals-table", "closed-table"):
        read_table(chromium, one)
    assert chromium.execute_script(inside) == 0
    assert [one for one in chromium.get_log("browser") if one["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_it_follows_the_theme(chromium, page):
    open_view(chromium, page, "#view=heads")
    colours = (
        "const of = (name, what) =>"
        " getComputedStyle(document.querySelector('#xp-root ' + name))[what];"
        "return [of('.xp-cell rect', 'fill'), of('.xp-axis', 'fill'), of('table', 'color')];"
    )
    found = {}
    for theme in ("light", "dark", "light"):
        chromium.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        seen = chromium.execute_script(colours)
        assert found.setdefault(theme, seen) == seen
    assert not set(found["light"]) & set(found["dark"])


@pytest.mark.browser
@pytest.mark.parametrize("view", ["paths", "heads", "sample"])
def test_it_fits_a_narrow_screen(chromium, page, view):
    narrow = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        open_view(chromium, page, f"#view={view}")
        wide, inner = chromium.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= inner == 390
        reach = chromium.execute_script(
            "return Math.max(...[...document.querySelectorAll('#xp-root figure > svg, #xp-root p')]"
            ".map(e => e.getBoundingClientRect().right))"
        )
        assert reach <= 390
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.browser
def test_a_lost_file_is_told_in_a_sentence(chromium, toy, tmp_path):
    copy = tmp_path / "html"
    shutil.copytree(toy.parent, copy)
    (copy / "_static/explorer/data" / directive.name_file(FULL)).unlink()
    chromium.get((copy / "index.html").as_uri())
    wait_for(chromium, lambda: "could not be opened" in root(chromium).text)
    click_other = f'input[data-key="model-{BARE}"]'
    wait_for(chromium, lambda: root(chromium).find_elements(By.CSS_SELECTOR, click_other))
    click(chromium, click_other)
    wait_for(chromium, lambda: root(chromium).get_attribute("data-shown"))
