// What keys do everywhere on the page: `/` goes to the filter, Escape closes what is open. Views say what these are.
const closers = [];

/** Call `close` on Escape; the last one that was added goes first. Returns how to take it away again. */
export function onEscape(close) {
  closers.push(close);
  return () => closers.splice(closers.indexOf(close), 1);
}

const writes = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

export function listenToKeys(root) {
  root.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !writes(event.target)) {
      const filter = document.querySelector("[data-filter]");
      if (filter) {
        event.preventDefault();
        filter.focus();
        filter.select();
      }
    } else if (event.key === "Escape" && closers.length && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      closers.at(-1)();
    }
  });
}
