// A table of thousands of rows of which only those in sight are drawn; arrows move, Enter opens, a header sorts.
// Knows rows and columns, not what they say. ARIA's grid, or treegrid where rows have levels.
import { html, useState, useLayoutEffect, useRef, useEffect } from "./dom.js";
import { useSize } from "./parts.js";

const BEYOND = 8; // rows drawn above and below those in sight

/** Whether the window is narrow, as it changes. */
export function useNarrow() {
  const media = window.matchMedia("(max-width: 720px)");
  const [narrow, set] = useState(media.matches);
  useEffect(() => {
    const update = () => set(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  return narrow;
}

/**
 * `columns`: {key, title, cell(row), sort?, className?}; `rows`: anything, `keyOf(row)` names it; `sort`: a key, with a
 * minus for descending. In a tree, `levelOf(row)` is {level, open: true | false | null} and `onToggle(row)` opens.
 */
export function Grid({ label, columns, rows, keyOf, rowHeight, sort, onSort, chosen, onChoose, onOpen, levelOf, onToggle, rowClass, template }) {
  const scroller = useRef(null);
  const { height } = useSize(scroller);
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(null);
  const toFocus = useRef(false);
  const at = rows.findIndex((row) => keyOf(row) === (active ?? chosen));
  const current = at < 0 ? 0 : at;
  const head = useRef(null);

  useLayoutEffect(() => {
    if (!toFocus.current) return;
    toFocus.current = false;
    scroller.current.querySelector('[role="row"][tabindex="0"]')?.focus({ preventScroll: true });
  });

  // A row that the address names is brought into sight when the grid is first drawn.
  useLayoutEffect(() => {
    const index = chosen ? rows.findIndex((row) => keyOf(row) === chosen) : -1;
    if (index >= 0) show(index);
  }, [chosen, height > 0]);

  function show(index) {
    const view = scroller.current;
    const above = index * rowHeight;
    const room = view.clientHeight - (head.current?.offsetHeight ?? 0);
    if (above < view.scrollTop) view.scrollTop = above;
    else if (above + rowHeight > view.scrollTop + room) view.scrollTop = above + rowHeight - room;
    setTop(view.scrollTop);
  }

  function move(index) {
    const to = Math.max(0, Math.min(rows.length - 1, index));
    setActive(keyOf(rows[to]));
    toFocus.current = true;
    show(to);
    onChoose?.(rows[to]);
  }

  function keydown(event) {
    if (event.target.getAttribute("role") !== "row" || !rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(height / rowHeight) - 2);
    const row = rows[current];
    const { level, open } = levelOf?.(row) ?? {};
    const moves = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + page, PageUp: current - page, Home: 0, End: rows.length - 1 };
    if (event.key in moves) move(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") onOpen(row);
    else if (event.key === "ArrowRight" && open === false) onToggle(row);
    else if (event.key === "ArrowLeft" && open === true) onToggle(row);
    else if (event.key === "ArrowLeft" && level > 1) {
      let parent = current;
      while (parent > 0 && levelOf(rows[parent]).level >= level) parent -= 1;
      move(parent);
    } else return;
    event.preventDefault();
  }

  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + (height || 800)) / rowHeight) + BEYOND);
  const drawn = [];
  for (let index = first; index < last; index += 1) drawn.push(index);
  if (rows.length && (current < first || current >= last)) drawn.push(current); // keeps the focus while scrolled away

  const line = (index) => {
    const row = rows[index];
    const key = keyOf(row);
    const { level, open } = levelOf?.(row) ?? {};
    return html`<div key=${key} role="row" class=${`row ${key === chosen ? "chosen" : ""} ${rowClass?.(row) ?? ""}`}
      aria-rowindex=${index + 2} aria-selected=${key === chosen ? "true" : "false"} aria-level=${level}
      aria-expanded=${open === true || open === false ? String(open) : undefined}
      tabindex=${index === current ? 0 : -1} style=${{ transform: `translateY(${index * rowHeight}px)` }}
      onFocus=${(event) => event.target === event.currentTarget && setActive(key)}
      onClick=${(event) => {
        setActive(key);
        if (!event.target.closest("button, a")) onOpen(row, event);
      }}>
      ${columns.map((column) => html`<div key=${column.key} role="gridcell" class=${`cell ${column.className ?? column.key}`}>${column.cell(row)}</div>`)}
    </div>`;
  };
  const direction = (column) => (sort === column.key ? "ascending" : sort === `-${column.key}` ? "descending" : "none");
  return html`<div class="grid" ref=${scroller} role=${levelOf ? "treegrid" : "grid"} aria-label=${label}
    aria-rowcount=${rows.length + 1} aria-colcount=${columns.length} onKeyDown=${keydown} onScroll=${(event) => setTop(event.currentTarget.scrollTop)}
    style=${{ "--columns": template, "--row": `${rowHeight}px` }}>
    <div role="rowgroup" class="head" ref=${head}>
      <div role="row" class="row" aria-rowindex="1">
        ${columns.map((column) => html`<div key=${column.key} role="columnheader" class=${`cell ${column.className ?? column.key}`}
          aria-sort=${column.sort ? direction(column) : undefined}>
          ${column.sort
            ? html`<button type="button" class="sort" onClick=${() => onSort(direction(column) === "ascending" ? `-${column.key}` : direction(column) === "descending" ? "" : column.key)}>
                ${column.title}<span class="arrow" aria-hidden="true">${{ ascending: "↑", descending: "↓", none: "" }[direction(column)]}</span></button>`
            : column.title}</div>`)}
      </div>
    </div>
    <div role="rowgroup" class="body" style=${{ height: `${rows.length * rowHeight}px` }}>${drawn.map(line)}</div>
  </div>`;
}
