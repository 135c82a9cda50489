/* The view “One sample”: its picture and words, the signals of both answers, and each path closed. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  X.views = X.views || {};

  const READ = [["instruction", "the instruction tokens"], ["last", "the last token"]];
  const PHI = [["d", "difference"], ["f", "followed answer"], ["c", "competitor"]];
  const PALE = 45; // per cent of a colour behind words that are to be read
  const OUTCOMES = { follow: "follows", competitor: "the competitor's answer", other: "another answer" };
  const outcome = (one) => `“${one.answer.trim()}” (${OUTCOMES[one.outcome] || one.outcome})`;
  const leads = (turn) =>
    turn === null ? "never leads for good" : turn < 0 ? "leads from the embedding on" : `leads from layer ${turn} on`;

  /** The instruction, token by token in the colour of a signal; or as it is. */
  const instruct = (one, sentence, phi) => {
    if (!one.tokens)
      return {
        node: X.make("div", {},
          X.make("p", { class: "xp-words", text: sentence || "–" }),
          X.make("p", { class: "xp-description", text: "Tokens are not coloured: no table has Φ token by token of this prompt." })),
        point: () => {},
      };
    const value = (token, at) => (phi === "d" ? token.f[at] - token.c[at] : token[phi][at]);
    const scale = X.make("div", {});
    const spans = one.tokens.map((token) => X.make("span", { class: "xp-token", text: token.token }));
    const point = (layer) => {
      const at = Math.max(0, one.token_layers.indexOf(layer));
      // Φ grows with depth: each layer has a scale of its own.
      const limit = Math.max(...one.tokens.map((token) => Math.abs(value(token, at)))) || 1;
      scale.replaceChildren(X.scale(limit, "logits", phi === "d" ? "the competitor leads" : "below zero", phi === "d" ? "the followed answer leads" : "above zero", true));
      spans.forEach((span, place) => {
        const size = value(one.tokens[place], at);
        span.style.setProperty("background", `color-mix(in oklab, var(--xp-${size < 0 ? "minus" : "plus"}) ${((PALE * Math.abs(size)) / limit).toFixed(1)}%, var(--xp-none))`);
        span.title = `Φ of the followed answer ${X.number(one.tokens[place].f[at])}, of its competitor ${X.number(one.tokens[place].c[at])} logits`;
      });
    };
    const table = X.numbers("tokens-table", "Φ of both answers at each token of the instruction, logits", ["token", "layer", "followed", "competitor"],
      () => one.tokens.flatMap((token) => one.token_layers.map((layer, at) => [token.token, String(layer), X.number(token.f[at]), X.number(token.c[at])])));
    return { node: X.make("div", {}, X.make("p", { class: "xp-words" }, spans), scale, table), point };
  };

  const describe = (one, way, phi) => {
    const words = one.words || {};
    const sentence = words[`instruction_${way}`];
    const told = instruct(one, sentence, phi);
    const answers = words.answer_vision === undefined ? null
      : X.make("p", { text: `The picture answers “${words.answer_vision}”, the text “${words.answer_text}”.` });
    const picture = words.picture
      ? X.make("img", { src: X.picture(words.picture), alt: `Picture of the sample ${one.sample}, in which the answer is ${words.answer_vision}`, class: "xp-picture" })
      : X.make("p", { text: "The picture of this sample is not part of the book.", class: "xp-lacking xp-picture" });
    const row = (title, node) => [X.make("dt", { text: title }), X.make("dd", {}, node)];
    return {
      node: X.make("div", { class: "xp-scene" }, picture,
        X.make("dl", {},
          ...(words.context === undefined && !one.tokens ? row("Words", X.make("p", { text: "No table has the words of this sample." })) : [
            ...row("Text", X.make("p", { text: words.context || "–" })),
            ...row("Question", X.make("p", { text: words.question || "–" })),
            ...row("Instruction", told.node)]),
          ...row("Answers", X.make("div", {}, answers,
            X.make("p", { text: (one.answer === undefined ? "" : `The model answers ${outcome(one)}. `) + (one.lead === undefined ? "" : `Its lead, ln P(y_p) − ln P(y_c), is ${X.number(one.lead)} nats with all paths open.`) }))))),
      point: told.point,
    };
  };

  const signals = (one, read, { width, model }) => {
    const found = one.beliefs && one.beliefs[read];
    if (!found || !found.f) return { node: X.lacking("Φ by layer is", model, "sec3_beliefs"), point: () => {}, told: () => "" };
    const followed = { color: "blue", mark: "circle" }, competitor = { color: "red", mark: "diamond", dashed: true };
    const flags = found.turn === null ? [] : [{ x: found.turn, text: leads(found.turn) }];
    const chart = X.lines({
      label: "Line chart of Φ of the followed answer and of its competitor by layer", width, height: 260, flags, xs: found.layers,
      series: [{ look: competitor, x: found.layers, mean: found.c }, { look: followed, x: found.layers, mean: found.f }],
      xTitle: "layer (−1: embedding)", yTitle: "Φ (logits)",
      onhover: (at) => X.hoverLayer(at === null ? Number(X.at.layer) : at), onpick: (at) => X.move({ layer: String(at) }),
    });
    const where = READ.find(([key]) => key === read)[1];
    const words = `At ${where} the followed answer's signal ${leads(found.turn)}` +
      (found.turn_shuffled === undefined ? "; there is no control by another sample's answers." : `. Control, read with another sample's answers: it ${leads(found.turn_shuffled)}.`);
    return {
      node: X.figure(`Φ (Eq. 8) of both answers at ${where}.`, chart.node, words,
        X.make("p", { class: "xp-legend" },
          X.make("span", {}, X.sample(followed), "followed answer"), X.make("span", {}, X.sample(competitor), "its competitor")),
        X.numbers("signals-table", `Φ at ${where}, logits`, ["layer", "followed", "competitor"],
          () => found.layers.map((layer, at) => [String(layer), X.number(found.f[at], 3), X.number(found.c[at], 3)]))),
      point: chart.point,
      told: (layer) => {
        const at = found.layers.indexOf(layer);
        return at < 0 ? "" : `Φ of the followed answer ${X.number(found.f[at])}, of its competitor ${X.number(found.c[at])} logits`;
      },
    };
  };

  const named = (path) => path.pathway + (path.control ? ", random sources" : "");
  const closed = (one, state, { width, model }) => {
    if (!one.paths) return { node: X.lacking("Paths closed on this sample are", model, "sec3_knockout"), point: () => {} };
    const order = X.inOrder(one.paths.map((path) => path.pathway));
    const lines = order.flatMap((name) => [false, true].map((control) => one.paths.find((path) => path.pathway === name && path.control === control))).filter(Boolean);
    const columns = lines[0].layers;
    const limit = Math.max(...lines.flatMap((path) => path[state.value].map(Math.abs))) || 1;
    const told = (path, at) =>
      `${named(path)} closed around layer ${columns[at]}: NSSD ${X.number(path.nssd[at], 3)}, lead lost ${X.number(path.lead[at])} of ${X.number(one.lead)} nats` +
      (one.lead > 0 && path.lead[at] > one.lead ? "; the competitor is then ahead" : "");
    const rows = lines.map((path) => ({
      text: path.control ? (width < 500 ? "random" : "random sources") : path.pathway, faint: path.control,
      cells: columns.map((_, at) => ({
        size: path[state.value][at] === null ? null : path[state.value][at] / limit,
        cross: one.lead > 0 && path.lead[at] > one.lead, label: told(path, at),
      })),
    }));
    const readout = X.make("p", { class: "xp-readout" });
    const row = (name) => {
      const at = lines.findIndex((path) => named(path) === name);
      return at < 0 ? 0 : at;
    };
    const tell = (r, at) => (readout.textContent = `${told(lines[r], at)}.`);
    const place = (layer) => Math.max(0, columns.indexOf(Number(layer)));
    const map = X.map({
      label: "Map of closed paths by layer; arrow keys move from cell to cell", width, columns, rows, height: 22,
      labels: width < 500 ? 122 : 150, xTitle: "centre of the closed window (layer)",
      onhover: (r, c) => (r === null ? tell(row(X.at.row), place(X.at.layer)) : tell(r, c)),
      onpick: (r, c) => X.move({ row: named(lines[r]), layer: String(columns[c]) }),
    });
    const cells = lines.filter((path) => !path.control).map((path) => [path.pathway, path.lead.filter((lost) => one.lead > 0 && lost > one.lead).length]);
    const flips = cells.filter(([, count]) => count).map(([name, count]) => `${name} in ${count} layer${count > 1 ? "s" : ""}`);
    return {
      node: X.figure(`What each closed path does to this sample: ${state.value === "nssd" ? "NSSD (Eq. 7)" : "lead lost"}, nats. ×: the competitor is then ahead.`,
        map.node, one.lead > 0 ? `The competitor gets ahead with ${flips.join(", ") || "no path"} closed.` : "The competitor is ahead with all paths open.",
        X.scale(limit, "nats", "closing it helps", "closing it impairs"), readout,
        X.numbers("closed-table", "Each closed path on this sample, nats", ["closed path", "layer", "NSSD", "lead lost"],
          () => lines.flatMap((path) => columns.map((layer, at) => [named(path), String(layer), X.number(path.nssd[at], 3), X.number(path.lead[at], 3)])))),
      point: (state) => {
        map.point(row(state.row), place(state.layer));
        tell(row(state.row), place(state.layer));
      },
    };
  };

  /** What is answered with a path closed in the layers of Fig. 5b. */
  const answered = (one) => {
    if (!one.closed) return null;
    const places = [...new Set(one.closed.map((row) => row.place))];
    const heads = places.map((place) => {
      const { layers } = one.closed.find((row) => row.place === place);
      return `layers ${layers} (${place === "own" ? "found on other samples" : "the paper's, scaled"})`;
    });
    const told = (blocked, place) => {
      const row = one.closed.find((some) => some.blocked === blocked && some.place === place);
      return row ? outcome(row) : "–";
    };
    return X.table("Answers with a path into the answer closed (Fig. 5b)", ["closed path", ...heads],
      [...new Set(one.closed.map((row) => row.blocked))].map((blocked) => [
        { none: "nothing", "random→last": "random sources→last" }[blocked] || blocked, ...places.map((place) => told(blocked, place))]));
  };

  /** Where a closed path does most: the cell that is looked at first. */
  const strongest = (one, value) => {
    let best = null;
    for (const path of (one.paths || []).filter((some) => !some.control))
      path[value].forEach((size, at) => {
        if (!best || Math.abs(size) > Math.abs(best.size)) best = { size, row: path.pathway, layer: path.layers[at] };
      });
    return best || { row: "", layer: undefined };
  };

  X.views.sample = (asked, data, { width, notes, model }) => {
    const here = data.samples.filter((one) => one.following === asked.way);
    if (!here.length)
      return { state: {}, draw: () => ({ controls: [], body: [X.lacking(`Single samples under “follow ${asked.way}” are`, model, "sec3_knockout")], point: () => {} }) };
    const names = here.map((one) => one.sample);
    const name = X.settle(asked.sample, names, names[0], `sample under “follow ${asked.way}” called`, notes);
    const one = here.find((some) => some.sample === name);
    const read = X.settle(asked.read, READ.map(([key]) => key), "instruction", "place", notes);
    const value = X.settle(asked.value, ["nssd", "lead"], "lead", "measure", notes);
    const phi = X.settle(asked.phi, PHI.map(([key]) => key), "d", "signal", notes);
    const layers = (one.beliefs && one.beliefs[read] && one.beliefs[read].layers) || (one.paths && one.paths[0].layers) || [0];
    const first = strongest(one, value);
    const layer = X.settle(asked.layer, layers, layers.includes(first.layer) ? first.layer : layers[layers.length - 1], "layer", notes);
    const lines = one.paths ? one.paths.map(named) : [""];
    const state = { sample: name, read, value, phi, layer, row: X.settle(asked.row, lines, first.row, "row", null) };

    const draw = () => {
      const at = names.indexOf(name);
      const step = (by, text) => X.make("button", {
        type: "button", text, disabled: !names[at + by], "data-key": `step${by}`, onclick: () => X.go({ sample: names[at + by] }),
      });
      const scene = describe(one, asked.way, phi);
      const chart = signals(one, read, { width, model });
      const map = closed(one, state, { width, model });
      const slider = X.slider(layers[0], layers[layers.length - 1]);
      X.hoverLayer = (layer) => {
        chart.point(layer);
        scene.point(layer);
      };
      return {
        controls: [
          X.make("div", { class: "xp-choice xp-steps" },
            X.choice("sample", "Sample", names.map((some) => [some, some]), name), step(-1, "Previous"), step(1, "Next")),
          X.choice("read", "Φ read at", READ, read),
          X.choice("value", "Measure of paths", X.VALUES, value),
          one.tokens ? X.choice("phi", "Colour of tokens", PHI, phi) : null,
          slider.node,
        ],
        body: [scene.node,
          chart.node, map.node, answered(one),
          X.sources(data, "sec3_beliefs", ["beliefs", "token_signals", "paths"]), X.sources(data, "sec3_knockout", ["knockout", "knockout_controls"])].filter(Boolean),
        point: (state) => {
          X.at = state;
          slider.point(state.layer, chart.told(Number(state.layer)));
          X.hoverLayer(Number(state.layer));
          map.point(state);
        },
      };
    };
    return { state, draw };
  };
})();
