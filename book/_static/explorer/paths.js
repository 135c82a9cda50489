/* The view “Paths”: what closing each path costs, by layer, beside as many random sources. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  X.views = X.views || {};

  /** Colour and mark of a path's line, the same wherever it is drawn. */
  const LOOKS = {
    "vision→instruction": { color: "blue", mark: "circle" },
    "context→instruction": { color: "red", mark: "diamond" },
    "instruction→last": { color: "pink", mark: "plus" },
    "vision→last": { color: "sky", mark: "up" },
    "context→last": { color: "orange", mark: "down" },
    "vision→context": { color: "green", mark: "square" },
    "vision→text": { color: "blue", mark: "square", hollow: true },
    "text→last": { color: "red", mark: "circle", hollow: true },
    "template→last": { color: "ink", mark: "cross" },
  };
  X.look = (path) => LOOKS[path] || { color: "green", mark: "diamond", hollow: true };
  X.VALUES = [["nssd", "NSSD (Eq. 7)"], ["lead", "lead lost"]];
  const AXIS = {
    nssd: "NSSD (nats; positive: the path helped)",
    lead: "lead lost (nats; positive: the path helped)",
  };
  /** What the paper contrasts: the way over the instruction, and the direct one. */
  const FIRST = {
    text: ["context→instruction", "instruction→last", "context→last"],
    vision: ["vision→instruction", "instruction→last", "vision→last"],
  };
  const RANK = Object.keys(LOOKS);
  const rank = (path) => (RANK.includes(path) ? RANK.indexOf(path) : RANK.length);
  /** Paths in the order in which they are always shown. */
  X.inOrder = (paths) => [...new Set(paths)].sort((a, b) => rank(a) - rank(b));
  const unique = (list) => [...new Set(list)];

  /** Where a curve is farthest from zero. */
  const farthest = (band) =>
    band.mean.reduce((best, one, at) => (Math.abs(one) > Math.abs(band.mean[best]) ? at : best), 0);
  const peak = (band, layers) => `${X.interval(band, farthest(band))} at layer ${layers[farthest(band)]}`;

  X.views.paths = (asked, data, { width, notes, model }) => {
    const curves = data.curves.filter((one) => one.following === asked.way);
    const widths = unique(data.curves.map((one) => one.width)).sort((a, b) => a - b);
    if (!curves.length) {
      const what = data.curves.length ? `Paths under “follow ${asked.way}” are` : "Paths are";
      return { state: {}, draw: () => ({ controls: [], body: [X.lacking(what, model, "sec3_knockout")], point: () => {} }) };
    }
    const middle = widths.includes(3) ? 3 : widths[0];
    const chosen = X.settle(asked.width, widths, middle, "window of width", notes);
    const here = curves.filter((one) => String(one.width) === chosen);
    const every = X.inOrder(here.map((one) => one.pathway));
    const wanted = asked.paths === undefined ? FIRST[asked.way] : asked.paths.split(",").filter((one) => one !== "none");
    let kept = every.filter((one) => wanted.includes(one));
    const gone = wanted.filter((one) => !every.includes(one));
    if (gone.length && asked.paths !== undefined)
      notes.push(`Windows of ${chosen} layers were not swept for ${gone.join(", ")}.`);
    // Other windows may have been swept for few paths only.
    if (asked.paths === undefined ? kept.length < 2 : !kept.length && asked.paths !== "none") kept = every.slice(0, 3);
    const value = X.settle(asked.value, ["nssd", "lead"], "nssd", "measure", notes);
    const layers = here.length ? here[0].layers : [];
    const shown = kept.flatMap((path) => here.filter((one) => one.pathway === path));
    const own = shown.filter((one) => !one.control);
    const size = (one) => Math.abs(one[value].mean[farthest(one[value])]);
    const first = own.reduce((best, one) => (best && size(best) >= size(one) ? best : one), null);
    const top = first ? layers[farthest(first[value])] : layers[0];
    const layer = X.settle(asked.layer, layers, top, "layer", asked.layer === "-1" ? null : notes);
    const paths = asked.paths === undefined || gone.length ? asked.paths : kept.join(",") || "none";
    const state = { width: chosen, paths, value, layer };

    const draw = () => {
      const series = shown.map((one) => ({
        look: { ...X.look(one.pathway), ...(one.control ? { dashed: true, faint: true, mark: null } : {}) },
        x: one.layers, ...one[value],
      })).sort((a, b) => (b.look.dashed ? 1 : 0) - (a.look.dashed ? 1 : 0));
      const told = X.make("div", { class: "xp-readout" });
      const tell = (at) => {
        const place = layers.indexOf(Number(at));
        told.replaceChildren(X.table(
          `Layer ${at}: ${value === "nssd" ? "NSSD" : "lead lost"} in nats, mean [95 % band]`,
          ["closed path", "path", "random sources", "n (random)"],
          own.map((one) => {
            const control = shown.find((other) => other.control && other.pathway === one.pathway);
            return [one.pathway, X.interval(one[value], place), control ? X.interval(control[value], place) : "not measured",
              `${one.n} (${control ? control.n : 0})`];
          })));
      };
      const slider = X.slider(layers[0], layers[layers.length - 1]);
      const chart = X.lines({
        label: `Line chart of ${AXIS[value]} by layer for ${kept.join(", ") || "no path"}`, width, height: width < 500 ? 280 : 360,
        series, xs: layers, xTitle: "centre of the closed window (layer, counted from 0)", yTitle: AXIS[value],
        onhover: (at) => {
          const place = at === null ? Number(X.at.layer) : at;
          chart.point(place);
          tell(place);
        },
        onpick: (at) => X.move({ layer: String(at) }),
      });
      const words = own.map((one) => {
        const control = shown.find((other) => other.control && other.pathway === one.pathway);
        return `${one.pathway}: farthest from zero ${peak(one[value], layers)}, ${X.samples(one)}` +
          (control ? `; random sources ${peak(control[value], layers)}, ${X.samples(control)}` : "; no control");
      });
      const rows = () => shown.flatMap((one) => one.layers.map((at, place) => [
        one.pathway, one.control ? "random sources" : "path", String(at),
        ...["mean", "low", "high"].map((end) => X.number(one[value][end][place], 4)), String(one.n)]));
      const figure = X.figure(
        `${model.title}, told to follow the ${asked.way === "text" ? "text" : "picture"}: ${value === "nssd" ? "NSSD" : "lead lost"} with a path closed in ${chosen} layer${chosen === "1" ? "" : "s"}. Solid: the path, with the band that covers the whole curve in 95 %. Dashed: as many random sources.`,
        chart.node,
        words.length ? words : "No path is chosen.",
        told,
        X.numbers("paths-table", "Every number of the chart, in nats", ["closed path", "sources", "layer", "mean", "low", "high", "n"], rows));
      return {
        controls: [
          X.choices("paths", "Closed paths", every.map((one) => [one, one, X.look(one)]), kept),
          X.choice("width", "Layers per window", widths.map((one) => [String(one), String(one)]), chosen),
          X.choice("value", "Measure", X.VALUES, value),
          slider.node,
        ],
        body: [figure, ...unique(here.map((one) => one.notebook)).map((name) => X.sources(data, name, ["knockout", "knockout_controls"]))].filter(Boolean),
        point: (state) => {
          X.at = state;
          const place = layers.indexOf(Number(state.layer));
          slider.point(state.layer, own.map((one) => `${one.pathway} ${X.interval(one[value], place)}`).join(", "));
          chart.point(Number(state.layer));
          tell(state.layer);
        },
      };
    };
    return { state, implied: { paths: kept.join(",") || "none" }, draw };
  };
})();
