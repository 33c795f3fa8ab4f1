// One job beside the others: why it stands as it does, how far it is, its log, files and neighbours; stop and retry.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../dom.js";
import { change, link, read } from "../address.js";
import { post, twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { jobOf, useLive, useLog } from "../live.js";
import { onEscape } from "../keys.js";
import { notify } from "../notice.js";
import { Shape, State } from "../states.js";
import { Copy, Question, Trouble } from "../parts.js";
import { bytes, clock, duration, percent, place, plain, plural, short } from "../format.js";

/** A reason of the plan as text: its kind and the values that go with it; of a change, what has changed. */
export function reasonText(reason) {
  if (!reason || reason.kind === "done") return "";
  const values = (reason.values ?? []).map((each) => plain(each).replace(" -> ", " → ")).join(", ");
  return reason.kind === "changed" ? values : [reason.kind, values].filter(Boolean).join(": ");
}

/** Why a job stands as it does, in a few words. */
export function why(job) {
  if (job.state === "blocked" && job.cause) {
    const cause = jobOf(job.cause);
    return cause ? `${cause.kind} ${place(cause.coordinates)} ${cause.state}` : "a job before it failed";
  }
  if (job.failure) return [job.failure.exception, job.failure.what].filter(Boolean).join(": ");
  return job.state === "done" ? job.message : job.message || reasonText(job.reason);
}

const STOPPABLE = ["running"];
const RETRIED = ["failed", "interrupted", "damaged"];

/** The job as a link, with its state. */
export function JobLink({ id }) {
  const job = jobOf(id);
  if (!job) return html`<span class="code dim">${short(id)}</span>`;
  const { view, query } = read();
  const here = view === "jobs" ? { ...query, id } : { id };
  return html`<a class="joblink" href=${link("jobs", here)}><${Shape} state=${job.state} label /><span>${job.kind}</span> <span class="dim">${place(job.coordinates)}</span></a>`;
}

const LISTED = 12;
const RETRY_LOOK = 2000; // ms between looks at a retry: it ends without an event where it could not begin

/** Links to jobs, the first ones at once. */
export function JobLinks({ ids }) {
  const [all, showAll] = useState(false);
  const shown = all ? ids : ids.slice(0, LISTED);
  return html`<ul class="joblinks">${shown.map((id) => html`<li key=${id}><${JobLink} id=${id} /></li>`)}
    ${shown.length < ids.length ? html`<li><button type="button" class="small" onClick=${() => showAll(true)}>${ids.length - shown.length} more</button></li>` : null}</ul>`;
}

/** The end of a log, which follows as long as one looks at its end. */
function Log({ id, start, follows }) {
  const text = useLog(follows ? id : null, start);
  const box = useRef(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  const scrolled = ({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
    atEnd.current = scrollTop + clientHeight > scrollHeight - 24;
  };
  return html`<pre class="log" ref=${box} tabindex="0" role="log" aria-label="Log" aria-live="off" onScroll=${scrolled}>${text || "Nothing was written."}</pre>`;
}

const isNested = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** A configuration, its parts folded. */
export const Fields = ({ fields }) => html`<dl class="fields">${Object.entries(fields).map(([name, value]) => html`<div key=${name}><dt class="code">${name}</dt>
  <dd>${isNested(value) ? html`<details><summary>${value.type ?? plural(Object.keys(value).length, "value")}</summary><${Fields} fields=${value} /></details>` : plain(value)}</dd></div>`)}</dl>`;

function Actions({ job, onDone }) {
  const [asked, ask] = useState(null);
  const name = `${job.kind} ${place(job.coordinates)}`.trim();
  const act = async (action) => {
    const { experiment } = read().query;
    const { message } = await post(action, { id: job.id, ...(experiment ? { experiment } : {}) });
    notify(message || "Done.");
    onDone();
  };
  return html`${STOPPABLE.includes(job.state) ? html`<button type="button" class="danger" onClick=${() => ask("stop")}>Stop</button>` : null}
    ${RETRIED.includes(job.state) ? html`<button type="button" class="primary" onClick=${() => ask("retry")}>Retry</button>` : null}
    ${asked === "stop" ? html`<${Question} title=${`Stop ${name}?`} text="Its process is asked to end. A training goes on from its last checkpoint when it is run again." yes="Stop it" danger
      onYes=${() => act("stop")} onClose=${() => ask(null)} />` : null}
    ${asked === "retry" ? html`<${Question} title=${`Retry ${name}?`} text="It is run again, then what depends on it." yes="Retry it" onYes=${() => act("retry")} onClose=${() => ask(null)} />` : null}`;
}

/** Each change on a line of its own, and the job that is done from which it differs. */
const Reason = ({ reason }) => (reason.changes
  ? html`<ul>${reason.changes.map(({ field, before, after }) => html`<li key=${field}><span class="code">${field}</span> ${plain(before)} → ${plain(after)}</li>`)}</ul>
    ${reason.sibling ? html`<span class="dim">beside <${JobLink} id=${reason.sibling} /></span>` : null}`
  : reasonText(reason));

/** What became of the last retry that was asked for on the page; its output where it did not end well. */
const Retried = ({ retry }) => (retry.running
  ? html`<p class="dim" role="status">A retry goes on; its log is <span class="code path">${retry.log}</span></p>`
  : retry.code
    ? html`<div class="trouble"><p><strong>The last retry ended with ${retry.code}</strong></p><pre class="log" tabindex="0">${retry.text}</pre></div>`
    : null);

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function Facts({ job, detail, now }) {
  const running = job.state === "running" && job.started;
  const seconds = running ? Math.max(0, now - job.started) : job.seconds;
  const cost = job.cost?.seconds;
  return html`<dl class="facts">
    ${Object.entries(job.coordinates).map(([axis, value]) => html`<${Fact} key=${axis} name=${axis}>${value}<//>`)}
    ${reasonText(job.reason) ? html`<${Fact} name="planned because"><${Reason} reason=${job.reason} /><//>` : null}
    ${job.state === "blocked" && job.cause ? html`<${Fact} name="blocked by"><${JobLink} id=${job.cause} /><//>` : null}
    ${job.progress !== null && job.state === "running" ? html`<${Fact} name="progress">${percent(job.progress)} ${job.message}<//>` : job.message && !detail?.failure ? html`<${Fact} name="says">${job.message}<//>` : null}
    ${seconds !== null && seconds !== undefined ? html`<${Fact} name="time">${duration(seconds)}${cost ? html` <span class="dim">of about ${duration(cost[1])} (${duration(cost[0])} to ${duration(cost[2])})</span>` : null}<//>`
      : cost ? html`<${Fact} name="expected">about ${duration(cost[1])} <span class="dim">(${duration(cost[0])} to ${duration(cost[2])})</span><//>` : null}
    ${job.started ? html`<${Fact} name="started">${clock(job.started)}${job.ended ? html` <span class="dim">ended ${clock(job.ended)}</span>` : null}<//>` : null}
    ${detail?.resources && Object.keys(detail.resources).length ? html`<${Fact} name="needs">${Object.entries(detail.resources).map(([name, value]) => `${name} ${plain(value)}`).join(", ")}<//>` : null}
    ${detail?.folder ? html`<${Fact} name="folder"><span class="path code">${detail.folder}</span> <${Copy} text=${detail.folder} label="Copy the folder's path" /><//>` : null}
    <${Fact} name="identity"><span class="path code">${job.id}</span> <${Copy} text=${job.id} label="Copy the identity" /><//>
  </dl>`;
}

const Failure = ({ failure }) => html`<div class="trouble">
  <p><strong>${failure.exception}</strong>: <span class="breaks">${failure.what}</span></p>
  ${failure.where || failure.frame ? html`<p class="dim code">${[failure.where, failure.frame].filter(Boolean).join("  ")}</p>` : null}
  ${failure.remedy ? html`<p class="breaks">${failure.remedy}</p>` : null}
</div>`;

export function JobPanel({ id, now }) {
  const live = useLive();
  const job = live.byId.get(id);
  const experiment = live.experiment || undefined;
  const [retries, look] = useState(0);
  const answer = useAnswer(live.loaded ? "job" : null, { experiment, id }, `${job?.state} ${retries}`);
  const detail = answer.data;
  useEffect(() => {
    if (!detail?.retry?.running) return undefined;
    const again = setTimeout(() => look((count) => count + 1), RETRY_LOOK);
    return () => clearTimeout(again);
  }, [detail]);
  const heading = useRef(null);
  const close = () => {
    change({ id: "" });
    requestAnimationFrame(() => document.querySelector('.grid [role="row"][tabindex="0"]')?.focus());
  };
  useEffect(() => onEscape(close), []);
  const shown = job ?? detail;
  return html`<aside class="panel" aria-label="A job">
    <div class="panel-head">
      <h2 tabindex="-1" ref=${heading}>${shown ? html`<span>${shown.kind}</span> <span class="dim">${place(shown.coordinates)}</span>` : short(id)}</h2>
      <button type="button" class="close" onClick=${close} aria-label="Close (Escape)" title="Escape">×</button>
    </div>
    ${answer.error ? html`<${Trouble} error=${answer.error} />` : null}
    ${shown ? html`
      <div class="actions"><${State} ...${shown} /><span class="space" /><${Actions} job=${shown} onDone=${() => look((count) => count + 1)} />
        ${shown.kind === "learn" ? html`<a href=${link("curves", { id })}>curves</a> <a href=${link("ledger", { id })}>ledger</a>` : null}
        <a class="twin" href=${twin("job", { experiment, id })} target="_blank" rel="noopener" title="The same as JSON">JSON</a></div>
      ${detail?.retry ? html`<${Retried} retry=${detail.retry} />` : null}
      ${detail?.failure ? html`<${Failure} failure=${detail.failure} />` : null}
      <${Facts} job=${shown} detail=${detail} now=${now} />` : null}
    ${detail ? html`
      <section><h3>Log</h3><${Log} id=${id} start=${detail.log || detail.output_log || ""} follows=${shown.state === "running"} /></section>
      ${detail.files?.length ? html`<section><h3>Files <span class="dim">${plural(detail.files.length, "file")}, ${bytes(detail.files.reduce((sum, file) => sum + file.bytes, 0))}</span></h3>
        <ul class="files">${detail.files.map((file) => html`<li key=${file.path}><span class="code">${file.path}</span><span class="dim figure">${bytes(file.bytes)}</span></li>`)}</ul></section>` : null}
      ${shown.depends_on?.length ? html`<section><h3>Depends on</h3><${JobLinks} ids=${shown.depends_on} /></section>` : null}
      ${detail.needed_by?.length ? html`<section><h3>Needed by</h3><${JobLinks} ids=${detail.needed_by} /></section>` : null}
      ${detail.parameters && Object.keys(detail.parameters).length ? html`<section><h3>Parameters</h3><${Fields} fields=${detail.parameters} /></section>` : null}
      ${detail.outputs_record?.environment ? html`<section><h3>Environment</h3><${Fields} fields=${detail.outputs_record.environment} /></section>` : null}` : null}
  </aside>`;
}
