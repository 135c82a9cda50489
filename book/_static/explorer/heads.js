/* The view “Heads”: every head under one of two rankings, and what scaling the first of them does. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  X.views = X.views || {};

  const RANKINGS = {
    eq12: { text: "Eq. 12 (attribution)", unit: "logits", notebook: "sec4_heads", decimals: 3 },
    sensitivity: { text: "sensitivity (derivative)", unit: "nats per unit of gain", notebook: "sec4_sensitivity", decimals: 3 },
  };
  const WHERE = [["instruction", "the instruction tokens"], ["last", "the last token"], ["both", "both"]];
  const SETS = {
    original: { text: "no change", look: { color: "ink", mark: null, dashed: true } },
    target: { text: "top heads", look: { color: "red", mark: "circle" } },
    sensitivity: { text: "top heads", look: { color: "red", mark: "circle" } },
    shared: { text: "heads in both directions' top", look: { color: "green", mark: "diamond" } },
    matched: { text: "control: same layers", look: { color: "orange", mark: "down", dashed: true } },
    "sensitivity matched": { text: "control: same layers", look: { color: "orange", mark: "down", dashed: true } },
    random: { text: "control: any heads", look: { color: "grey", mark: "cross", dashed: true } },
  };
  const SETTINGS = {
    blocking: { title: "Blocked (factor 0)", axis: "blocked heads (% of all)", table: "blocking", unit: 100 },
    amplification: { title: "Amplified, on prompts that failed", axis: "factor on the heads' output", table: "amplification", unit: 1 },
  };
  const other = (way) => (way === "text" ? "vision" : "text");

  /** One chart of modality-following ratios with its table, or a sentence. */
  const scaled = (state, data, setting, { width, model }) => {
    const { title, axis, unit } = SETTINGS[setting];
    const mine = data.scaled.filter((one) => one.ranking === state.rank && one.setting === setting && one.following === state.way);
    const here = mine.filter((one) => one.positions === state.where && (setting === "blocking" || one.source === state.fail));
    const named = `${title} at ${WHERE.find(([one]) => one === state.where)[1]}`;
    if (!here.some((one) => one.heads !== "original")) {
      const rest = setting === "blocking" ? "" : ` of the kind “${state.fail || "any"}”`;
      return X.make("section", { class: "xp-half" }, X.make("h4", { text: title }),
        mine.length
          ? X.make("p", { class: "xp-lacking", text: `Heads were not ${setting === "blocking" ? "blocked" : `amplified on failures${rest}`} at ${WHERE.find(([one]) => one === state.where)[1]} here.` })
          : X.lacking(setting === "blocking" ? "Blocked heads are" : "Amplified heads are", model, RANKINGS[state.rank].notebook));
    }
    const sets = here.filter((one) => one.heads !== "original");
    const xs = [...new Set(sets.flatMap((one) => one.at.map((at) => at * unit)))].sort((a, b) => a - b);
    const start = here.find((one) => one.heads === "original");
    const series = sets.map((one) => ({ look: SETS[one.heads].look, x: one.at.map((at) => at * unit), mean: one.mean, low: one.low, high: one.high })).reverse();
    if (start) series.unshift({ look: SETS.original.look, x: xs, mean: xs.map(() => start.mean[0]) });
    const chart = X.lines({
      label: `Line chart of the modality-following ratio, ${named}`, width: width > 700 ? Math.floor(width / 2) - 12 : width,
      height: 250, series, xs, xTitle: axis, yTitle: "share that follows", range: [0, 1.02],
    });
    const at = (one, place) => `${X.number(one.at[place] * unit, one.at[place] * unit % 1 ? 2 : 0)}${unit === 100 ? " %" : " ×"}`;
    const words = sets.map((one) => {
      const place = one.mean.length - 1;
      return `${SETS[one.heads].text} at ${at(one, place)}: ${X.interval(one, place)}`;
    });
    const rows = () => here.flatMap((one) => one.at.map((_, place) => [
      SETS[one.heads].text, one.heads === "original" ? "–" : at(one, place),
      ...["mean", "low", "high"].map((end) => X.number(one[end][place], 4)), String(one.draws), String(one.n)]));
    const legend = X.make("p", { class: "xp-legend" }, [...(start ? [start] : []), ...sets].map((one) =>
      X.make("span", {}, X.sample(SETS[one.heads].look), SETS[one.heads].text)));
    return X.make("section", { class: "xp-half" },
      X.make("h4", { text: named }),
      X.figure(`${X.samples(sets[0])}${setting === "amplification" && state.fail ? `, failures: ${state.fail}` : ""}. Bands are 95 % intervals that hold together.`,
        chart.node, `${start ? `Without a change ${X.interval(start, 0)}. ` : ""}${words.join(". ")}.`, legend,
        X.numbers(`${setting}-table`, `Modality-following ratio, ${named}`, ["heads", unit === 100 ? "share" : "factor", "mean", "low", "high", "draws", "n"], rows)));
  };

  X.views.heads = (asked, data, { width, notes, model }) => {
    const names = Object.keys(RANKINGS);
    const rank = X.settle(asked.rank, names, "eq12", "ranking", notes);
    const score = data.scores.find((one) => one.ranking === rank && one.following === asked.way);
    const choices = () => [X.choice("rank", "Ranking", names.map((one) => [one, RANKINGS[one].text]), rank)];
    if (!score) {
      const what = `Heads by ${RANKINGS[rank].text} under “follow ${asked.way}” are`;
      return { state: { rank }, draw: () => ({ controls: choices(), body: [X.lacking(what, model, RANKINGS[rank].notebook)], point: () => {} }) };
    }
    const name = (place) => `${Math.floor(place / score.heads)}.${place % score.heads}`;
    const all = score.mean.map((_, place) => name(place));
    const head = X.settle(asked.head, all, name(score.order[0]), "head", notes);
    const where = X.settle(asked.where, WHERE.map(([one]) => one), "instruction", "position", notes);
    const kinds = [...new Set(data.scaled.filter((one) => one.ranking === rank && one.setting === "amplification" && one.following === asked.way).map((one) => one.source))];
    const fail = kinds.length ? X.settle(asked.fail, kinds, kinds[0], "kind of failure", null) : asked.fail;
    const state = { rank, head, where, fail };

    const draw = () => {
      const { unit, text, decimals } = RANKINGS[rank];
      const limit = Math.max(...score.mean.map(Math.abs)) || 1;
      const places = new Map(score.order.map((place, at) => [place, at + 1]));
      const columns = [...Array(score.layers).keys()];
      const rows = [...Array(score.heads).keys()].map((h) => ({
        text: String(h),
        shown: score.heads <= 16 || h % 4 === 0,
        cells: columns.map((layer) => {
          const place = layer * score.heads + h;
          return {
            size: score.mean[place] / limit, ring: places.get(place) <= score.top,
            label: `layer ${layer}, head ${h}: ${X.interval(score, place, decimals)} ${unit}, rank ${places.get(place)} of ${all.length}`,
          };
        }),
      }));
      const told = X.make("div", { class: "xp-readout" });
      const tell = (place) => {
        const line = (ranking, way, what) => {
          const found = data.scores.find((one) => one.ranking === ranking && one.following === way);
          if (!found) return [what, "not measured", "–", "–"];
          const at = found.order.indexOf(place) + 1;
          return [what, `${X.interval(found, place, decimals)} ${RANKINGS[ranking].unit}`,
            `${at} of ${found.order.length}${at <= found.top ? " (top 5 %)" : ""}`, String(found.n)];
        };
        const way = asked.way, two = names.find((one) => one !== rank);
        const lesions = WHERE.slice(0, 2).map(([positions, words]) => {
          const found = data.lesions.find((one) => one.following === way && one.positions === positions);
          const what = `silenced alone at ${words}: lead lost`;
          return found
            ? [what, `${X.interval(found, place, 3)} nats`, `turns ${X.number(100 * found.turned[place], 0)} % of prompts`, String(found.n)]
            : [what, "not measured", "–", "–"];
        });
        told.replaceChildren(X.table(`Layer ${Math.floor(place / score.heads)}, head ${place % score.heads}`,
          ["measure", "mean [95 % band over all heads]", "rank", "n"],
          [line(rank, way, text), line(two, way, RANKINGS[two].text),
            line(rank, other(way), `${text}, under the other instruction`), ...lesions]));
      };
      const place = (one) => all.indexOf(one);
      const map = X.map({
        label: `Map of ${all.length} heads by ${text}; arrow keys move from head to head`, width, columns, rows, labels: 34,
        height: score.heads > 16 ? 14 : 24, xTitle: "layer (counted from 0)", yTitle: "head",
        onhover: (h, layer) => tell(h === null ? place(X.at.head) : layer * score.heads + h),
        onpick: (h, layer, clicked) => X[clicked ? "go" : "move"]({ head: `${layer}.${h}` }),
      });
      const best = score.order.slice(0, score.top);
      const buttons = best.map((one) => X.make("button", {
        type: "button", class: "xp-head", text: name(one), "data-key": `head-${name(one)}`, onclick: () => X.go({ head: name(one) }),
      }));
      const figure = X.figure(
        `${model.title}, told to follow the ${asked.way === "text" ? "text" : "picture"}: every head by ${text}, ${X.samples(score)}. Rings: the top 5 % (${score.top} heads)${data.scaled.some((one) => one.ranking === rank && one.following === asked.way) ? ", which are scaled below on other samples" : ""}.`,
        map.node,
        `Strongest: ${best.slice(0, 5).map((one) => `${name(one)} (${X.interval(score, one, decimals)})`).join(", ")} ${unit}. In the last third of the layers lie ${best.filter((one) => Math.floor(one / score.heads) >= Math.floor((2 * score.layers) / 3)).length} of the ${score.top}.`,
        X.scale(limit, unit, "against the instruction", "for the instruction"),
        X.make("div", { class: "xp-heads", role: "group", "aria-label": "top heads, strongest first" }, buttons),
        told,
        X.numbers("heads-table", `All heads by ${text}, strongest first, in ${unit}`, ["head (layer.head)", "rank", "mean", "low", "high"],
          () => score.order.map((one, at) => [name(one), String(at + 1), ...["mean", "low", "high"].map((end) => X.number(score[end][one], 4))])));
      const told_of = ["heads", "blocking", "amplification", "head_scores", "head_effects", "head_blocking"];
      return {
        controls: [
          ...choices(),
          X.choice("where", "Heads scaled at", WHERE, where),
          kinds.length > 1 ? X.choice("fail", "Failures", kinds.map((one) => [one, one]), fail) : null,
        ],
        body: [figure,
          X.make("div", { class: "xp-halves" },
            scaled({ ...asked, ...state }, data, "blocking", { width, model }),
            scaled({ ...asked, ...state }, data, "amplification", { width, model })),
          X.sources(data, RANKINGS[rank].notebook, told_of)].filter(Boolean),
        point: (state) => {
          X.at = state;
          const at = place(state.head);
          map.point(at % score.heads, Math.floor(at / score.heads));
          for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === state.head));
          tell(at);
        },
      };
    };
    return { state, draw };
  };
})();
