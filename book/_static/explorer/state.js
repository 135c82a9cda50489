/* The choices of a view, and the address that holds them.

   Everything that a reader can choose is one flat object of words, and stands behind the # of the
   address: so a view can be cited, and the browser's own back button leads through the views. The
   page needs no server, and asks for nothing but its own files. */
(() => {
  "use strict";
  const X = (window.Explorer = window.Explorer || {});

  const KEYS = [
    "view", "model", "way", "width", "paths", "value", "layer", "rank", "head", "where", "fail",
    "sample", "read", "row", "phi",
  ];
  const ARROW = "→", SPELT = "-to-";

  /** The choices in an address; what cannot be read is left out. */
  X.readState = (hash) => {
    const state = {};
    for (const part of hash.replace(/^#/, "").split("&")) {
      const [key, ...rest] = part.split("=");
      if (!KEYS.includes(key) || !rest.length) continue;
      try {
        state[key] = decodeURIComponent(rest.join("=")).split(SPELT).join(ARROW);
      } catch {
        /* not written by this page */
      }
    }
    return state;
  };

  /** The address of some choices, always in the same order. */
  X.writeState = (state) => {
    const spell = (text) =>
      encodeURIComponent(String(text).split(ARROW).join(SPELT)).replace(/%2F/g, "/").replace(/%2C/g, ",");
    const given = KEYS.filter((key) => state[key] !== undefined && state[key] !== "");
    return "#" + given.map((key) => `${key}=${spell(state[key])}`).join("&");
  };

  /** What is asked for, if it is one of the options; else what stands in for it, with a note. */
  X.settle = (asked, options, instead, what, notes) => {
    const known = options.map(String);
    if (asked !== undefined && known.includes(String(asked))) return String(asked);
    if (asked !== undefined && notes)
      notes.push(`There is no ${what} “${asked}” here; shown is ${instead}.`);
    return String(instead);
  };
})();
