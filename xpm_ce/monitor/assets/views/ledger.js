// What a training was given and what it has seen; beside another one, what differs besides the factor under study.
import { html } from "../dom.js";
import { change, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { Choice, Heading, Nothing, Pending } from "../parts.js";
import { place, plain } from "../format.js";
import { JobLink } from "./job.js";

const Sections = ({ sections }) => html`<div class="ledger">${sections.map((section) => html`<section key=${section.title}><h2>${section.title}</h2>
  <dl>${section.fields.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd class="figure">${plain(value)}</dd></div>`)}</dl></section>`)}</div>`;

const Differences = ({ title, rows, empty }) => html`<section class="differences"><h2>${title}</h2>${rows.length
  ? html`<div class="scroll" tabindex="0" role="group" aria-label=${title}><table class="plain"><thead><tr><th scope="col">field</th><th scope="col">A</th><th scope="col">B</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.field}><th scope="row" class="code">${row.field}</th><td>${plain(row.a)}</td><td>${plain(row.b)}</td></tr>`)}</tbody></table></div>`
  : html`<p class="dim">${empty}</p>`}</section>`;

function parts(data) {
  if (!data.differences) return data;
  return { under_study: data.differences.filter((each) => each.under_study), beside: data.differences.filter((each) => !each.under_study), cost: data.cost ?? [], notes: data.notes ?? [] };
}

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
    ${a && !b ? html`<p class="legend"><${JobLink} id=${a} /></p><${Pending} answer=${one}>${({ sections }) => html`<${Sections} sections=${sections} />`}<//>` : null}
    ${b ? html`<p class="legend"><span class="side">A</span> <${JobLink} id=${a} /> <span class="side">B</span> <${JobLink} id=${b} /></p>
      <${Pending} answer=${two}>${(data) => {
        const { under_study: studied, beside, cost, notes } = parts(data);
        return html`<${Differences} title="Under study" rows=${studied} empty="Nothing that was configured differs." />
          <${Differences} title="Beside it, they differ in" rows=${beside} empty="Nothing: the comparison is fair." />
          ${cost?.length ? html`<${Differences} title="What it cost and came to" rows=${cost} empty="" />` : null}
          ${notes?.length ? html`<ul class="notes">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>` : null}`;
      }}<//>` : null}`;
}
