// The address holds the whole state of a view, so that every view can be shared. Knows no views, only names and values.
import { useState, useEffect } from "./dom.js";

const FIRST = "jobs";
const changed = new Set();

/** The view and the values that the address names. */
export function read() {
  const view = location.pathname.replace(/^\/+|\/+$/g, "") || FIRST;
  return { view, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

/** The address of a view; values that are empty are left out. */
export function href(view, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(kept).toString();
  return `/${view}${text ? `?${text}` : ""}`;
}

/** The address of a view of the experiment that is shown. */
export function link(view, query = {}) {
  const { experiment } = read().query;
  return href(view, { experiment, ...query });
}

/** Go to an address of this page. */
export function go(address, { replace = false } = {}) {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  changed.forEach((each) => each());
}

/** Change some values of the address and keep the others. Typing replaces the entry in the history, choosing adds one. */
export function change(values, { replace = false } = {}) {
  const { view, query } = read();
  go(href(view, { ...query, ...values }), { replace });
}

/** The view and values of the address, in a component that is drawn again when they change. */
export function useAddress() {
  const [address, set] = useState(read);
  useEffect(() => {
    const update = () => set(read());
    changed.add(update);
    window.addEventListener("popstate", update);
    update();
    return () => {
      changed.delete(update);
      window.removeEventListener("popstate", update);
    };
  }, []);
  return address;
}

/** Follow links within the page without loading it again; the browser keeps its ways of opening tabs. */
export function followLinks(root) {
  root.addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href]");
    const other = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (!anchor || other || event.defaultPrevented || anchor.target || anchor.origin !== location.origin) return;
    if (anchor.pathname.startsWith("/api/")) return;
    event.preventDefault();
    go(anchor.pathname + anchor.search);
  });
}
