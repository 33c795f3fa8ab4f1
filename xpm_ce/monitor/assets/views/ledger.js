// What a training was given and what it has seen; beside another one, what differs besides the factor under study.
import { html } from "../dom.js";
import { change, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { Choice, Heading, Nothing, Pending } from "../parts.js";
import { place, plain, signed } from "../format.js";
import { Fields, JobLink } from "./job.js";

const TITLES = { seen: "Seen", cut: "Cut off", model: "Model", data: "Data", cost: "Cost", machine: "Machine", other: "Other" };

const isNested = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const Sections = ({ sections }) => html`<div class="ledger">${sections.map(({ section, fields }) => html`<section key=${section}><h2>${TITLES[section] ?? section}</h2>
  <dl>${fields.map(({ field, value }) => html`<div key=${field} class=${isNested(value) ? "nested" : ""}><dt>${field.replaceAll("_", " ")}</dt><dd class="figure">${isNested(value) ? html`<${Fields} fields=${value} />` : rounded(value)}</dd></div>`)}</dl></section>`)}</div>`;

/** Four figures are enough of what was measured. */
const rounded = (value) => (typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(4)) : plain(value));

function Rows({ rows, level = 0 }) {
  return rows.map((row) => html`<tr key=${row.field}><th scope="row" class="code" style=${{ paddingLeft: `${18 * level}px` }}>${row.field}</th><td>${rounded(row.a)}</td><td>${rounded(row.b)}</td>
    <td class="number dim">${row.relative === null || row.relative === undefined ? "" : `${signed(100 * row.relative, 0)} %`}</td></tr>${row.follows?.length ? html`<${Rows} rows=${row.follows} level=${level + 1} />` : null}`);
}

const Differences = ({ title, rows, empty }) => html`<section class="differences"><h2>${title}</h2>${rows.length
  ? html`<div class="scroll" tabindex="0" role="group" aria-label=${title}><table class="plain"><thead><tr><th scope="col">field</th><th scope="col">A</th><th scope="col">B</th><th scope="col" class="number">relative</th></tr></thead>
    <tbody><${Rows} rows=${rows} /></tbody></table></div>`
  : html`<p class="dim">${empty}</p>`}</section>`;

export default function Ledger() {
  const { query } = useAddress();
  const live = useLive();
  const learners = live.jobs.filter((job) => job.kind === "learn");
  const a = query.id ?? query.a ?? (learners.find((job) => job.state === "done") ?? learners[0])?.id;
  const b = query.b;
  const experiment = live.experiment || undefined;
  const one = useAnswer(a && !b ? "ledger" : null, { experiment, id: a });
  const two = useAnswer(a && b ? "fair" : null, { experiment, a, b });
  const options = learners.map((job) => [job.id, `${place(job.coordinates)} (${job.state})`]);
  return html`<${Heading} twin=${a ? twin(b ? "fair" : "ledger", b ? { experiment, a, b } : { experiment, id: a }) : undefined}>Ledger<//>
    ${learners.length ? html`<div class="tools"><${Choice} label="Learner" name="id" value=${a} options=${options} /><${Choice} label="Beside" name="b" value=${b} options=${options.filter(([id]) => id !== a)} empty="none" />
      ${b ? html`<button type="button" class="small" onClick=${() => change({ id: b, b: a })}>swap</button>` : null}</div>` : null}
    ${live.loaded && !learners.length ? html`<${Nothing}>No training is planned.<//>` : null}
    ${a && !b ? html`<p class="legend"><${JobLink} id=${a} /></p><${Pending} answer=${one}>${({ sections, there }) => (there ? html`<${Sections} sections=${sections} />` : html`<${Nothing}>This training has not ended: what it has seen is not written yet.<//>`)}<//>` : null}
    ${b ? html`<p class="legend"><span class="side">A</span> <${JobLink} id=${a} /> <span class="side">B</span> <${JobLink} id=${b} /></p>
      <${Pending} answer=${two}>${({ factor, under_study: studied, beside, cost, notes }) => html`
        <${Differences} title=${`Under study: ${factor.join(", ") || "nothing"}`} rows=${studied} empty="Nothing that was configured differs." />
        <${Differences} title="Beside it, they differ in" rows=${beside} empty="Nothing: the comparison is fair." />
        ${cost.length ? html`<${Differences} title="What it cost and came to" rows=${cost} empty="" />` : null}
        ${notes.length ? html`<ul class="notes">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>` : null}`}<//>` : null}`;
}
