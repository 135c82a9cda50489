/* The page: loads a model's numbers when they are asked for, draws the view that the address names,
   and keeps address and view the same. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  const FILES = new URL("data/", document.currentScript.src);
  const VIEWS = [["paths", "Paths"], ["heads", "Heads"], ["sample", "One sample"]];
  //: Choices that move a cursor in a view and leave its charts as they are.
  const CURSORS = ["layer", "head", "row"];
  const WAIT = 250; // milliseconds without a step before a cursor's place is written
  const data = {}, asked = new Set(), broken = new Set();
  let root, models, now = {}, implied = {}, written = "", shown = null, timer = null;

  /** Called by each model's file. */
  X.receive = (name, found) => {
    data[name] = found;
    render();
  };

  const load = (model) => {
    if (asked.has(model.name)) return;
    asked.add(model.name);
    const script = document.createElement("script");
    script.src = new URL(model.file, FILES).href;
    script.onerror = () => {
      broken.add(model.name);
      render();
    };
    document.head.append(script);
  };

  X.picture = (name) => new URL(name, FILES).href;

  const write = (push) => {
    clearTimeout(timer);
    timer = null;
    const address = X.writeState({ ...now, ...implied });
    if (address === written) return;
    written = address;
    history[push ? "pushState" : "replaceState"](null, "", address);
    cite();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => write(false), WAIT);
  };

  /** Choose: a step that the back button takes back. */
  X.go = (change) => {
    if (timer) write(false);
    now = { ...now, ...change };
    render();
    write(true);
  };
  /** Move a cursor: it takes the place of the view before. */
  X.move = (change) => {
    now = { ...now, ...change };
    shown.point(now);
    later();
  };

  const cite = () => {
    const field = root.querySelector(".xp-address");
    if (field) field.value = location.href.split("#")[0] + X.writeState({ ...now, ...implied });
  };

  const copy = async (event) => {
    const field = root.querySelector(".xp-address"), button = event.target;
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy the link"), 1500);
  };

  const header = (chosen) =>
    X.make("nav", { class: "xp-views", "aria-label": "Views of the explorer" },
      VIEWS.map(([view, text]) =>
        X.make("a", {
          href: X.writeState({ ...now, view }), text, "data-key": `view-${view}`,
          "aria-current": view === chosen ? "page" : null,
          onclick: (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            X.go({ view });
          },
        })));

  const footer = () =>
    X.make("p", { class: "xp-cite" },
      X.make("label", {}, "Link to this view ",
        X.make("input", { class: "xp-address", readOnly: true, type: "text", value: "", "data-key": "address" })),
      X.make("button", { type: "button", text: "Copy the link", onclick: copy, "data-key": "copy" }));

  const common = ({ model, way }) => [
    X.choice("model", "Model", models.map(({ name, title }) => [name, title]), model),
    X.choice("way", "Instruction", [["text", "follow the text"], ["vision", "follow the picture"]], way),
  ];

  const frozen = (state) =>
    JSON.stringify(Object.entries(state).filter(([key]) => !CURSORS.includes(key)).sort());

  /** Draw what is chosen; of a view that only lost its cursor's place, move the cursor. */
  const render = () => {
    const notes = [];
    const first = {
      view: X.settle(now.view, VIEWS.map(([view]) => view), "paths", "view", notes),
      model: X.settle(now.model, models.map(({ name }) => name), models[0].name, "model", notes),
      way: X.settle(now.way, ["text", "vision"], "text", "instruction", notes),
    };
    const model = models.find(({ name }) => name === first.model);
    const focused = document.activeElement && document.activeElement.closest("[data-key]");
    const key = focused && root.contains(focused) ? focused.dataset.key : null;
    const width = Math.max(280, root.clientWidth);
    let view;
    if (!data[model.name]) {
      load(model);
      const words = broken.has(model.name)
        ? `The file with the numbers of ${model.title} (${model.file}) could not be opened.`
        : `Loading the numbers of ${model.title} …`;
      view = { controls: [], body: [X.make("p", { role: "status", text: words })], point: () => {} };
    } else {
      now = { ...now, ...first };
      const settled = X.views[now.view](now, data[model.name], { width, notes, model });
      now = { ...now, ...settled.state };
      implied = settled.implied || {}; // what follows from other choices until it is chosen
      const frame = frozen(now) + width;
      if (shown && shown.frame === frame && shown.data === data[model.name]) {
        shown.point(now);
        return;
      }
      view = { ...settled.draw(), frame, data: data[model.name] };
    }
    root.replaceChildren(
      header(first.view),
      X.make("div", { class: "xp-controls" }, common(first), view.controls),
      ...notes.map((text) => X.make("p", { class: "xp-note", role: "status", text })),
      X.make("div", { class: `xp-body xp-${first.view}` }, view.body),
      footer());
    shown = view;
    view.point(now);
    cite();
    if (key) {
      const same = [...root.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
      if (same) same.focus({ preventScroll: true });
    }
    root.dataset.shown = data[model.name] ? first.view : "";
  };

  const follow = () => {
    if (location.hash === written && location.hash) return;
    written = location.hash;
    now = X.readState(location.hash);
    render();
  };

  const start = () => {
    root = document.getElementById("xp-root");
    models = JSON.parse(root.dataset.models);
    if (!models.length) {
      root.replaceChildren(X.make("p", { text: "No model has been measured yet: run make book." }));
      return;
    }
    window.addEventListener("popstate", follow);
    window.addEventListener("hashchange", follow);
    let before = root.clientWidth, waiting = null;
    new ResizeObserver(() => {
      if (Math.abs(root.clientWidth - before) < 8) return; // a scroll bar came or went
      before = root.clientWidth;
      clearTimeout(waiting);
      waiting = setTimeout(render, 100);
    }).observe(root);
    follow();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
