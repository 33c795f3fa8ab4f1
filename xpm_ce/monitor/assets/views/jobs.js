// The jobs of an experiment: a live table, a tree along dependencies, a graph of kinds; one job's details beside it.
import { html, useMemo, useEffect, useCallback } from "../dom.js";
import { change, link, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useLive, useClock } from "../live.js";
import { Grid, useNarrow } from "../grid.js";
import { State, Shape, StateBar, BAR, MEANING, countedByState } from "../states.js";
import { Choice, Ways, Heading, Nothing } from "../parts.js";
import { counted, duration, percent, place, placeInFull, plural, short } from "../format.js";
import { kindsOf, matcher, sorted } from "./filter.js";
import { treeRows } from "./tree.js";
import { Graph } from "./graph.js";
import { JobPanel, why } from "./job.js";

const ROW = 30;
const NARROW_ROW = 56;
const PLAN = "plan"; // the plan's own order
const TEMPLATE = "112px minmax(84px, 110px) minmax(160px, 1.3fr) minmax(180px, 1.6fr) 84px 84px 84px";
const BESIDE = "104px 88px minmax(140px, 1.6fr) minmax(120px, 1.2fr) 72px 76px 80px"; // where a job is open beside it
const TREE_TEMPLATE = "minmax(220px, 2fr) 112px minmax(120px, 1.2fr) minmax(110px, 1fr) 80px 80px 80px";

/** A running job's share as a bar and a number. */
export const Bar = ({ share, label }) => html`<span class="bar" role="progressbar" aria-label=${label} aria-valuemin="0"
  aria-valuemax="100" aria-valuenow=${Math.floor(100 * share)}><span style=${{ width: `${Math.min(100, 100 * share)}%` }} /></span>`;

/** Seconds that a job has run; of one that runs, until now. */
export const elapsed = (job, now) => (job.state === "running" && job.started ? Math.max(0, now - job.started) : job.seconds);

function Progress({ job }) {
  if (job.state === "running")
    return html`${job.progress === null ? html`<span class="bar unknown" />` : html`<${Bar} share=${job.progress} label=${`${job.kind} ${place(job.coordinates)}`} />`}
      <span class="figure">${job.progress === null ? "" : percent(job.progress)}</span><span class="dim clipped" title=${job.message}>${job.message}</span>`;
  const said = why(job);
  return html`<span class="dim clipped" title=${said}>${said}</span>`;
}

const expected = (job) => job.cost?.seconds?.[1];

function expectation(job) {
  if (!job.cost?.seconds) return undefined;
  const [low, , high] = job.cost.seconds;
  return `expected from jobs of the same shape: ${duration(low)} to ${duration(high)}`;
}

const columnsOf = (now) => [
  { key: "state", title: "State", sort: true, cell: (job) => html`<${State} ...${job} />` },
  { key: "kind", title: "Kind", sort: true, cell: (job) => job.kind },
  { key: "place", title: "Place", sort: true, cell: (job) => html`<span class="clipped" title=${placeInFull(job.coordinates)}>${place(job.coordinates)}</span>` },
  { key: "progress", title: "Progress", sort: true, cell: (job) => html`<${Progress} job=${job} />` },
  { key: "time", title: "Time", sort: true, className: "time number", cell: (job) => duration(elapsed(job, now)) },
  { key: "expected", title: "Expected", sort: true, className: "expected number dim", cell: (job) => html`<span title=${expectation(job)}>${expected(job) ? `~ ${duration(expected(job))}` : ""}</span>` },
  { key: "id", title: "Job", sort: true, className: "id code dim", cell: (job) => html`<span title=${job.id}>${short(job.id)}</span>` },
];

function treeColumns(now, toggle) {
  const flat = Object.fromEntries(columnsOf(now).map((column) => [column.key, { ...column, sort: false, cell: (row) => column.cell(row.job) }]));
  const branch = {
    key: "branch",
    title: "Job",
    cell: (row) => html`<span class="branch" style=${{ paddingLeft: `${(row.level - 1) * 16}px` }}>
      ${row.open === null
        ? html`<span class="twig" />`
        : html`<button type="button" class="twig" tabindex="-1" aria-hidden="true" onClick=${() => toggle(row)}>${row.open ? "▾" : "▸"}</button>`}
      <span class=${row.matches ? "" : "dim"}>${row.job.kind}</span>
      <span class="dim clipped" title=${placeInFull(row.job.coordinates)}>${place(row.job.coordinates)}</span></span>`,
  };
  const below = {
    key: "below",
    title: "Below it",
    cell: (row) => (row.below ? html`<${StateBar} counts=${row.counts} label=${plural(row.below, "job")} /><span class="dim figure">${counted(row.below)}</span>` : ""),
  };
  return [branch, flat.state, flat.progress, below, flat.time, flat.expected, { ...flat.id, title: "Id" }];
}

/** How far the experiment has come: a bar, and a button per state that shows its jobs alone. */
function Summary({ counts, chosen }) {
  const toggle = (state) => change({ state: (chosen.includes(state) ? chosen.filter((each) => each !== state) : [...chosen, state]).join(",") });
  return html`<div class="summary">
    <${StateBar} counts=${counts} label="All jobs" />
    <div class="chips" role="group" aria-label="Show only jobs that are">
      ${BAR.filter((state) => counts[state] || chosen.includes(state)).map((state) => html`<button key=${state} type="button" class=${`chip ${state}`}
        aria-pressed=${chosen.includes(state) ? "true" : "false"} title=${MEANING[state]} onClick=${() => toggle(state)}>
        <${Shape} state=${state} />${state} <span class="figure">${counted(counts[state] ?? 0)}</span></button>`)}
    </div>
  </div>`;
}

export function Jobs({ experiment }) {
  const { query } = useAddress();
  const live = useLive();
  const narrow = useNarrow();
  const { filter = "", kind = "", sort = "state", id, as = "table" } = query; // what needs a look comes first
  const states = useMemo(() => (query.state ? query.state.split(",") : []), [query.state]);
  const toggled = useMemo(() => new Set(query.toggled ? query.toggled.split(",") : []), [query.toggled]);
  const { jobs, byId } = live;
  const counts = useMemo(() => countedByState(jobs), [jobs]);
  const done = (counts.done ?? 0) + (counts.pruned ?? 0);
  const now = useClock(Boolean(counts.running));
  const filtered = Boolean(filter || kind || states.length);

  const matches = useMemo(() => {
    const words = matcher(filter);
    return (job) => (!kind || job.kind === kind) && (!states.length || states.includes(job.state)) && words(job);
  }, [filter, kind, states]);
  const shown = useMemo(() => (as === "table" ? sorted(jobs.filter(matches), sort) : []), [jobs, matches, sort, as]);
  const tree = useMemo(() => (as === "tree" ? treeRows(jobs, byId, { matches, filtered, toggled }) : []), [jobs, matches, toggled, as]);
  const matching = as === "table" ? shown.length : filtered ? jobs.filter(matches).length : jobs.length;

  const toggle = useCallback(({ job }) => {
    const key = job.id.slice(0, 8);
    const keys = new Set(toggled);
    if (!keys.delete(key)) keys.add(key);
    change({ toggled: [...keys].join(",") }, { replace: true });
  }, [toggled]);
  const open = (job) => {
    change({ id: job.id }, { replace: Boolean(id) });
    if (narrow || id === job.id) requestAnimationFrame(() => document.querySelector(".panel h2")?.focus());
  };
  const choose = (job) => id && change({ id: job.id }, { replace: true });
  const columns = useMemo(() => (as === "tree" ? treeColumns(now, toggle) : columnsOf(now)), [as, now, toggle]);

  useEffect(() => {
    if (live.loaded) performance.mark("xpm-ce jobs shown");
  }, [live.loaded]);

  const common = { label: `Jobs of ${live.experiment}`, columns, rowHeight: narrow ? NARROW_ROW : ROW, chosen: id };
  return html`<div class=${`jobs ${id ? "with-panel" : ""}`}>
    <section class="main" aria-label="Jobs">
      <${Heading} twin=${twin("jobs", { experiment: live.experiment })}>${experiment.title || live.experiment || "Jobs"}
        ${live.loaded ? html`<span class="summary-line"><strong class="figure">${counted(done)}</strong> of ${plural(jobs.length, "job")} done${live.secondsLeft === null ? "" : `, about ${duration(live.secondsLeft)} left`}</span>` : null}<//>
      ${live.loaded ? html`<${Summary} counts=${counts} chosen=${states} />` : null}
      <div class="tools">
        <input type="search" data-filter="" placeholder="Filter: words, axis=value, -not   ( / )" aria-label="Filter the jobs" value=${filter}
          onInput=${(event) => change({ filter: event.target.value }, { replace: true })}
          onKeyDown=${(event) => event.key === "Escape" && event.currentTarget.blur()} />
        <${Choice} label="Kind" name="kind" value=${kind} options=${kindsOf(jobs)} empty="all" />
        ${narrow && as === "table" ? html`<${Choice} label="Sort" name="sort" value=${query.sort} empty="state" options=${[PLAN, "kind", "place", ["-time", "time"], "expected"]} />` : null}
        <${Ways} label="Show as" name="as" value=${as} options=${[["table", "Table"], ["tree", "Tree"], ["graph", "Graph"]]} />
        <span class="count dim" role="status">${live.loaded ? (filtered ? `${counted(matching)} of ${plural(jobs.length, "job")}` : plural(jobs.length, "job")) : "Reading…"}</span>
      </div>
      ${as === "graph" ? html`<${Graph} jobs=${jobs} byId=${byId} kind=${kind} onKind=${(each) => change({ kind: each })} />` : null}
      ${as === "tree" ? html`<${Grid} ...${common} rows=${tree} keyOf=${(row) => row.job.id} template=${TREE_TEMPLATE} rowClass=${(row) => `${row.job.state} tree`}
        levelOf=${(row) => ({ level: row.level, open: row.open })} onToggle=${toggle} onOpen=${(row) => open(row.job)} onChoose=${(row) => choose(row.job)} />` : null}
      ${as === "table" ? html`<${Grid} ...${common} rows=${shown} keyOf=${(job) => job.id} template=${id ? BESIDE : TEMPLATE} rowClass=${(job) => job.state} sort=${sort}
        onSort=${(each) => change({ sort: each === "state" ? "" : each || PLAN })} onOpen=${open} onChoose=${choose} />` : null}
      ${live.loaded && !matching ? html`<${Nothing}>${jobs.length ? html`No job matches. <a href=${link("jobs")}>Show all ${counted(jobs.length)}</a>` : "No job is planned yet."}<//>` : null}
    </section>
    ${id ? html`<${JobPanel} key=${id} id=${id} now=${now} />` : null}
  </div>`;
}
