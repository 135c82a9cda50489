/* Elements, numbers, tables and two kinds of charts: lines over layers, and maps of cells.

   Words come into the page as text alone (textContent, setAttribute), whatever they hold. Colours
   are classes and variables of explorer.css, so that a change of theme needs no script. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});
  const SVG = "http://www.w3.org/2000/svg";
  const WORDS = ["text", "value", "checked", "open", "disabled", "readOnly"];

  const fill = (node, given, children) => {
    for (const [key, value] of Object.entries(given || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key === "text") node.textContent = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (WORDS.includes(key) && key in node) node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children.flat().filter((one) => one !== null && one !== undefined));
    return node;
  };
  /** An element: attributes, text and listeners (onclick …), then what it holds. */
  X.make = (name, given, ...children) => fill(document.createElement(name), given, children);
  const shape = (name, given, ...children) =>
    fill(document.createElementNS(SVG, name), given, children);

  /** A number with so many decimals and a true minus; a dash where there is none. */
  X.number = (value, decimals = 2) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const text = value.toFixed(decimals);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
  };
  X.interval = (band, at, decimals = 2) =>
    band.low[at] === null
      ? `${X.number(band.mean[at], decimals)} (no interval)`
      : `${X.number(band.mean[at], decimals)} [${X.number(band.low[at], decimals)}, ${X.number(band.high[at], decimals)}]`;
  X.samples = (one) => {
    if (one.clusters === one.n) return `n = ${one.n}`;
    return `n = ${one.n}, ` + (one.clusters === 1 ? "all of one wording or picture" : `resampled in ${one.clusters} clusters of wording or picture`);
  };

  /** Numbers as a table that scrolls by itself. */
  X.table = (caption, head, rows) =>
    X.make("div", { class: "xp-scroll", tabindex: "0", role: "region", "aria-label": caption },
      X.make("table", {},
        X.make("caption", { text: caption }),
        X.make("thead", {}, X.make("tr", {}, head.map((text) => X.make("th", { scope: "col", text })))),
        X.make("tbody", {}, rows.map((row) =>
          X.make("tr", {}, row.map((text, at) =>
            at ? X.make("td", { text }) : X.make("th", { scope: "row", text })))))));

  const opened = new Set();
  /** The same, folded in until a reader asks for it; it stays open when the view is drawn anew. */
  X.numbers = (key, caption, head, rows) => {
    const box = X.make("details", { class: "xp-numbers", "data-key": key, open: opened.has(key) },
      X.make("summary", { text: "These numbers as a table" }));
    const show = () => {
      if (box.open && box.children.length === 1) box.append(X.table(caption, head, rows()));
      if (box.open) opened.add(key);
      else opened.delete(key);
    };
    box.addEventListener("toggle", show);
    show();
    return box;
  };

  /** A chart with what it is, what it shows in words, and its numbers. */
  X.figure = (title, chart, description, ...more) =>
    X.make("figure", { class: "xp-figure" },
      X.make("figcaption", { text: title }), chart,
      Array.isArray(description)
        ? X.make("ul", { class: "xp-description" }, description.map((text) => X.make("li", { text })))
        : X.make("p", { class: "xp-description", text: description }),
      ...more);

  /** Round steps for an axis. */
  const steps = (low, high, count) => {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step)
      found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
    return [found, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
  };

  const MARKS = {
    circle: "M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0", square: "M-3,-3h6v6h-6z",
    diamond: "M0,-4l4,4l-4,4l-4,-4z", up: "M0,-4l4,7h-8z", down: "M0,4l4,-7h-8z",
    plus: "M-1,-4h2v3h3v2h-3v3h-2v-3h-3v-2h3z", cross: "M-3,-3l6,6M-3,3l6,-6",
  };
  const mark = (look, x, y) =>
    shape("path", {
      d: MARKS[look.mark], transform: `translate(${x},${y})`,
      class: `xp-mark ${look.hollow || look.mark === "cross" ? "xp-hollow" : ""}`,
    });

  /** A short piece of a line, for legends. */
  X.sample = (look) =>
    shape("svg", { width: 34, height: 14, class: `xp-key xp-${look.color}`, "aria-hidden": "true" },
      shape("line", { x1: 2, x2: 32, y1: 7, y2: 7, class: `xp-line ${look.dashed ? "xp-dashed" : ""}` }),
      look.mark ? mark(look, 17, 7) : null);

  /** Lines with bands over layers, or over any numbers.
      series: [{look, x, mean, low, high}]; flags: [{x, text}], upright lines with a word.
      Returns node, and point(x), which moves the cursor. */
  X.lines = ({ label, width, height = 300, series, xTitle, yTitle, range, xs, flags = [], onhover, onpick }) => {
    const box = { left: 52, right: 14, top: flags.length ? 30 : 12, bottom: 44 };
    const all = series.flatMap((one) => [...one.mean, ...(one.low || []), ...(one.high || [])])
      .filter((one) => one !== null);
    let [low, high] = range || [Math.min(0, ...all), Math.max(0, ...all)];
    if (!range) {
      const room = 0.04 * (high - low || 1);
      [low, high] = [low < 0 ? low - room : low, high + room];
    }
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const pad = xs.length > 1 ? 0 : 1;
    const X_ = (x) =>
      box.left + 6 + ((x - left + pad) / (right - left + 2 * pad || 1)) * (width - box.left - box.right - 12);
    const Y_ = (y) => height - box.bottom - ((y - low) / (high - low || 1)) * (height - box.top - box.bottom);
    const svg = shape("svg", {
      width, height, viewBox: `0 0 ${width} ${height}`, class: "xp-chart", role: "img", "aria-label": label,
    });
    const [yTicks, decimals] = steps(low, high, height < 240 ? 4 : 6);
    for (const y of yTicks) {
      svg.append(
        shape("line", { x1: box.left, x2: width - box.right, y1: Y_(y), y2: Y_(y), class: y === 0 ? "xp-zero" : "xp-grid" }),
        shape("text", { x: box.left - 6, y: Y_(y) + 4, "text-anchor": "end", text: X.number(y, decimals) }));
    }
    const whole = xs.every(Number.isInteger);
    const every = Math.max(1, Math.ceil((xs.length * 26) / (width - box.left)));
    const xTicks = whole && xs.length > 8
      ? xs.filter((x) => x % Math.max(every, 5 * Math.ceil(every / 5)) === 0) : xs;
    for (const x of xTicks)
      svg.append(shape("text", { x: X_(x), y: height - box.bottom + 16, "text-anchor": "middle", text: X.number(x, whole ? 0 : x % 1 ? (x * 10) % 1 ? 2 : 1 : 0) }));
    svg.append(
      shape("text", { x: (box.left + width - box.right) / 2, y: height - 8, "text-anchor": "middle", class: "xp-axis", text: xTitle }),
      shape("text", { transform: `translate(13,${(box.top + height - box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "xp-axis", text: yTitle }));
    for (const one of series) {
      const group = shape("g", { class: `xp-${one.look.color} ${one.look.faint ? "xp-faint" : ""}` });
      const points = one.x.map((x, at) => [X_(x), one.mean[at], one.low && one.low[at], one.high && one.high[at]])
        .filter((point) => point[1] !== null);
      const banded = points.filter((point) => point[2] !== null && point[2] !== undefined);
      if (banded.length > 1)
        group.append(shape("path", {
          class: "xp-band",
          d: "M" + banded.map(([x, , , top]) => `${x},${Y_(top)}`).join("L") +
            "L" + [...banded].reverse().map(([x, , bottom]) => `${x},${Y_(bottom)}`).join("L") + "Z",
        }));
      else if (banded.length === 1 || one.bars)
        for (const [x, , bottom, top] of banded)
          group.append(shape("line", { x1: x, x2: x, y1: Y_(bottom), y2: Y_(top), class: "xp-line" }));
      group.append(shape("path", {
        class: `xp-line ${one.look.dashed ? "xp-dashed" : ""}`,
        d: points.length ? "M" + points.map(([x, y]) => `${x},${Y_(y)}`).join("L") : "M0,0",
      }));
      if (one.look.mark) for (const [x, y] of points) group.append(mark(one.look, x, Y_(y)));
      svg.append(group);
    }
    flags.forEach((flag, at) => {
      const x = X_(flag.x), end = x > width * 0.6;
      svg.append(
        shape("line", { x1: x, x2: x, y1: box.top - 4, y2: height - box.bottom, class: "xp-flag" }),
        shape("text", { x: end ? x - 4 : x + 4, y: 12 + 14 * (at % 2), "text-anchor": end ? "end" : "start", class: "xp-flagged", text: flag.text }));
    });
    const cursor = shape("line", { y1: box.top, y2: height - box.bottom, class: "xp-cursor", visibility: "hidden" });
    svg.append(cursor);
    const nearest = (event) => {
      const at = event.clientX - svg.getBoundingClientRect().left;
      return xs.reduce((best, x) => (Math.abs(X_(x) - at) < Math.abs(X_(best) - at) ? x : best), xs[0]);
    };
    const point = (x) => {
      const there = xs.includes(x);
      cursor.setAttribute("visibility", there ? "visible" : "hidden");
      if (there) for (const end of ["x1", "x2"]) cursor.setAttribute(end, X_(x));
    };
    if (onhover) {
      svg.addEventListener("pointermove", (event) => onhover(nearest(event)));
      svg.addEventListener("pointerleave", () => onhover(null));
      svg.addEventListener("click", (event) => onpick(nearest(event)));
    }
    return { node: svg, point };
  };

  /** A map of cells that mouse, arrow keys and screen readers can walk through.
      rows: [{text, faint, cells: [{size, label, ring, cross}]}], size from −1 to 1 or null.
      Returns node, and point(row, column). */
  X.map = ({ label, width, columns, rows, height, xTitle, yTitle, labels, onhover, onpick }) => {
    const left = labels, top = 4, bottom = 38;
    const step = Math.max(width < 500 ? 6 : 9, Math.floor((width - left - 6) / columns.length));
    const wide = left + step * columns.length + 6, tall = top + rows.length * height + bottom;
    const svg = shape("svg", {
      width: wide, height: tall, viewBox: `0 0 ${wide} ${tall}`, class: "xp-chart xp-map", role: "grid",
      "aria-label": label, "aria-rowcount": rows.length, "aria-colcount": columns.length,
    });
    const cells = rows.map((row, r) => {
      const group = shape("g", { role: "row", "aria-rowindex": r + 1, "aria-label": row.text, class: row.faint ? "xp-faint" : "" });
      if (row.shown !== false)
        group.append(shape("text", { x: left - 6, y: top + r * height + height / 2 + 4, "text-anchor": "end", "aria-hidden": "true", text: row.text }));
      const made = row.cells.map((cell, c) => {
        const size = cell.size === null ? 0 : Math.max(-1, Math.min(1, cell.size));
        const strength = 100 * Math.sqrt(Math.abs(size)); // a few cells are far beyond all others
        const x = left + c * step, y = top + r * height;
        const node = shape("g", {
          role: "gridcell", tabindex: "-1", "aria-colindex": c + 1, "aria-label": cell.label,
          class: "xp-cell", "data-row": r, "data-column": c,
        },
          shape("rect", {
            x, y, width: step - 1, height: height - 1,
            style: `fill: color-mix(in oklab, var(--xp-${size < 0 ? "minus" : "plus"}) ${strength.toFixed(1)}%, var(--xp-none))`,
          }),
          ...(cell.ring ? ["xp-halo", "xp-ring"] : []).map((name) =>
            shape("circle", { cx: x + (step - 1) / 2, cy: y + (height - 1) / 2, r: Math.max(2, Math.min(step, height) / 2 - 3), class: name })),
          ...(cell.cross ? ["xp-halo", "xp-turned"] : []).map((name) =>
            shape("path", { d: MARKS.cross, transform: `translate(${x + (step - 1) / 2},${y + (height - 1) / 2})`, class: name })));
        group.append(node);
        return node;
      });
      svg.append(group);
      return made;
    });
    const every = Math.max(1, Math.ceil(24 / step));
    const tick = every > 1 ? 5 * Math.ceil(every / 5) : 5;
    columns.forEach((column, c) => {
      if (column % tick === 0)
        svg.append(shape("text", { x: left + c * step + step / 2, y: tall - bottom + 15, "text-anchor": "middle", "aria-hidden": "true", text: column }));
    });
    svg.append(
      shape("text", { x: left + (step * columns.length) / 2, y: tall - 6, "text-anchor": "middle", class: "xp-axis", "aria-hidden": "true", text: xTitle }));
    if (yTitle)
      svg.append(shape("text", { transform: `translate(12,${top + (rows.length * height) / 2}) rotate(-90)`, "text-anchor": "middle", class: "xp-axis", "aria-hidden": "true", text: yTitle }));
    const place = (node) => [Number(node.dataset.row), Number(node.dataset.column)];
    const found = (event) => event.target.closest(".xp-cell");
    // Above all cells; a cell's own outline would lie below its neighbours.
    const box = shape("rect", { width: step - 1, height: height - 1, class: "xp-box" });
    svg.append(box);
    let here = [0, 0];
    const point = (r, c) => {
      const before = cells[here[0]][here[1]];
      before.setAttribute("tabindex", "-1");
      before.removeAttribute("aria-selected");
      here = [r, c];
      cells[r][c].setAttribute("tabindex", "0");
      cells[r][c].setAttribute("aria-selected", "true");
      box.setAttribute("x", left + c * step);
      box.setAttribute("y", top + r * height);
    };
    point(0, 0);
    svg.addEventListener("pointermove", (event) => found(event) && onhover(...place(found(event))));
    svg.addEventListener("pointerleave", () => onhover(null));
    svg.addEventListener("click", (event) => {
      if (!found(event)) return;
      const [r, c] = place(found(event));
      onpick(r, c, true);
      cells[r][c].focus({ preventScroll: true });
    });
    svg.addEventListener("keydown", (event) => {
      const [r, c] = here, last = [rows.length - 1, columns.length - 1];
      const to = {
        ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
        Home: [r, 0], End: [r, last[1]], PageUp: [0, c], PageDown: [last[0], c],
      }[event.key];
      if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const [row, column] = to.map((one, at) => Math.max(0, Math.min(last[at], one)));
      onpick(row, column, false);
      cells[row][column].focus();
    });
    const node = X.make("div", { class: "xp-scroll" }, svg);
    return { node, point };
  };

  /** What the colours of a map mean; those behind words are pale. */
  X.scale = (limit, unit, minus, plus, pale = false) =>
    X.make("p", { class: `xp-scale ${pale ? "xp-pale" : ""}`, title: pale ? null : "depth of colour: square root of the number" },
      X.make("span", { text: `${X.number(-limit)} ${unit}: ${minus}` }),
      X.make("span", { class: "xp-ramp", "aria-hidden": "true" }),
      X.make("span", { text: `+${X.number(limit)} ${unit}: ${plus}` }));
})();
