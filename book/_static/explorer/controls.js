/* What a reader chooses with: native form elements, which mouse, keys and screen readers know. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  const FEW = 4; // more options than these are a list to open

  /** One of several. */
  X.choice = (key, title, options, chosen) => {
    if (options.length > FEW) {
      const list = X.make("select", { "data-key": key, onchange: (event) => X.go({ [key]: event.target.value }) },
        options.map(([value, text]) => X.make("option", { value, text })));
      list.value = chosen;
      return X.make("label", { class: "xp-choice" }, X.make("span", { class: "xp-title", text: title }), list);
    }
    return X.make("fieldset", { class: "xp-choice" },
      X.make("legend", { class: "xp-title", text: title }),
      options.map(([value, text]) =>
        X.make("label", { class: "xp-option" },
          X.make("input", {
            type: "radio", name: `xp-${key}`, value, checked: value === chosen, "data-key": `${key}-${value}`,
            onchange: () => X.go({ [key]: value }),
          }), X.make("span", { text }))));
  };

  /** Any of several, each with the look of its line. */
  X.choices = (key, title, options, chosen) =>
    X.make("fieldset", { class: "xp-choice xp-many" },
      X.make("legend", { class: "xp-title", text: title }),
      options.map(([value, text, look]) =>
        X.make("label", { class: "xp-option" },
          X.make("input", {
            type: "checkbox", value, checked: chosen.includes(value), "data-key": `${key}-${value}`,
            onchange: (event) => {
              const all = options.map(([one]) => one);
              const kept = all.filter((one) => (one === value ? event.target.checked : chosen.includes(one)));
              X.go({ [key]: kept.join(",") || "none" });
            },
          }), look ? X.sample(look) : null, X.make("span", { text }))));

  /** A layer, with a slider: its keys are those that every slider has, and it is read out with the
      numbers there. */
  X.slider = (first, last) => {
    const told = X.make("output", { class: "xp-told" });
    const input = X.make("input", {
      type: "range", min: first, max: last, step: 1, "data-key": "layer", "aria-label": "layer",
      oninput: (event) => X.move({ layer: event.target.value }),
    });
    const node = X.make("label", { class: "xp-choice xp-slider" },
      X.make("span", { class: "xp-title" }, "Layer ", told), input);
    const point = (layer, words) => {
      input.value = layer;
      told.textContent = Number(layer) < 0 ? "embedding" : String(layer);
      input.setAttribute("aria-valuetext", `${told.textContent}: ${words}`);
    };
    return { node, point };
  };

  /** What a model lacks, and how to measure it, in a sentence. */
  X.lacking = (what, model, notebook) =>
    X.make("p", { class: "xp-lacking", text: `${what} not measured on ${model.title} in this book: run ${notebook} on it (make notebook SECTION=${notebook} MODEL=${model.name}).` });

  /** Where the rows of some tables come from, as the notebook says it. */
  X.sources = (data, notebook, tables) => {
    const told = data.sources[notebook] || {};
    const known = tables.filter((one) => told[one]);
    if (!known.length) return null;
    const words = known.map((one) => `${one}: ${told[one]}`).join(". ");
    return X.make("p", { class: "xp-source", text: `Where the rows come from (${notebook}). ${words}.` });
  };
})();
