// The experiment's graph, a box per kind of job: how many there are in each state, and which kind feeds which.
import { html } from "../dom.js";
import { countedByState, StateBar } from "../states.js";
import { counted } from "../format.js";
import { Nothing } from "../parts.js";

const BOX = { width: 148, height: 56, gapX: 46, gapY: 18 };

/** Kinds by level, and the pairs of kinds of which one feeds the other, without ways that others already show. */
export function kindGraph(jobs, byId) {
  const kinds = new Map();
  for (const job of jobs) {
    const kind = kinds.get(job.kind) ?? { kind: job.kind, jobs: [], from: new Set() };
    kind.jobs.push(job);
    for (const id of job.depends_on) if (byId.get(id) && byId.get(id).kind !== job.kind) kind.from.add(byId.get(id).kind);
    kinds.set(job.kind, kind);
  }
  const reaches = (from, to, seen = new Set()) =>
    from === to || (!seen.has(from) && seen.add(from) && [...(kinds.get(from)?.from ?? [])].some((each) => reaches(each, to, seen)));
  const feeds = [];
  for (const { kind, from } of kinds.values())
    for (const before of from)
      if (![...from].some((other) => other !== before && !reaches(before, other) && reaches(other, before))) feeds.push([before, kind]);
  level(kinds, feeds);
  return { kinds: [...kinds.values()], feeds };
}

/** Each kind one level after the last of those that feed it. */
function level(kinds, feeds) {
  for (const each of kinds.values()) each.level = 0;
  for (let round = 0; round < kinds.size; round += 1)
    for (const [from, to] of feeds) kinds.get(to).level = Math.max(kinds.get(to).level, kinds.get(from).level + 1);
}

/** Boxes from left to right; a box shows its kind alone when it is pressed. */
export function Graph({ jobs, byId, kind, onKind }) {
  if (!jobs.length) return html`<${Nothing}>No job is planned.<//>`;
  const { kinds, feeds } = kindGraph(jobs, byId);
  const levels = [];
  for (const each of kinds) (levels[each.level] ??= []).push(each);
  const columns = levels.filter(Boolean);
  const tallest = Math.max(...columns.map((column) => column.length));
  const places = new Map();
  columns.forEach((column, x) =>
    column.forEach((each, y) =>
      places.set(each.kind, {
        x: x * (BOX.width + BOX.gapX),
        y: (y + (tallest - column.length) / 2) * (BOX.height + BOX.gapY),
      }),
    ),
  );
  const width = columns.length * (BOX.width + BOX.gapX) - BOX.gapX;
  const height = tallest * (BOX.height + BOX.gapY) - BOX.gapY;
  const way = ([from, to]) => {
    const a = places.get(from);
    const b = places.get(to);
    const [x1, y1, x2, y2] = [a.x + BOX.width, a.y + BOX.height / 2, b.x, b.y + BOX.height / 2];
    const bend = Math.min(48, (x2 - x1) / 2);
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  };
  return html`<div class="graph" tabindex="0" role="group" aria-label="Kinds of jobs, and which feeds which">
    <div class="graph-area" style=${{ width: `${width}px`, height: `${height}px` }}>
      <svg width=${width} height=${height} aria-hidden="true">${feeds.map((each) => html`<path key=${each.join(">")} d=${way(each)} />`)}</svg>
      ${columns.flat().map((each) => {
        const counts = countedByState(each.jobs);
        const from = feeds.filter(([, to]) => to === each.kind).map(([before]) => before);
        return html`<button key=${each.kind} type="button" class="box" aria-pressed=${kind === each.kind ? "true" : "false"}
          style=${{ left: `${places.get(each.kind).x}px`, top: `${places.get(each.kind).y}px`, width: `${BOX.width}px`, height: `${BOX.height}px` }}
          title=${from.length ? `after ${from.join(", ")}` : "depends on nothing"} onClick=${() => onKind(kind === each.kind ? "" : each.kind)}>
          <span class="box-title"><strong>${each.kind}</strong><span class="dim">${counted(counts.done ?? 0)}${each.jobs.length > 1 || !counts.done ? ` of ${counted(each.jobs.length)}` : ""}</span></span>
          <${StateBar} counts=${counts} label=${each.kind} />
        </button>`;
      })}
    </div>
  </div>`;
}
