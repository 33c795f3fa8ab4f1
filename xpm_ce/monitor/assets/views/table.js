// The results table as `xpm-ce table` prints it: means and deviations, best and second, marks of significance, notes.
// Every number and mark is the server's.
import { html } from "../dom.js";
import { change, link, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { Choice, Heading, Nothing, Pending } from "../parts.js";

/** A cell; the best is bold, the second underlined, and both are said. */
function Cell({ cell }) {
  if (!cell) return html`<td class="number dim">–</td>`;
  const said = cell.best ? "best" : cell.second ? "second" : "";
  const behind = (cell.jobs ?? [])[0];
  const mark = cell.mark ?? "";
  const text = mark && cell.text.endsWith(mark) ? cell.text.slice(0, -mark.length).trimEnd() : cell.text;
  return html`<td class=${`number ${said}`} title=${said}>${behind ? html`<a href=${link("jobs", { id: behind })}>${text}</a>` : text}${mark ? html` <span class="mark-of">${mark}</span>` : null}${said ? html`<span class="hidden"> (${said})</span>` : null}</td>`;
}

const Table = ({ table }) => html`<figure class="results"><figcaption>${table.title}</figcaption>
  <div class="scroll" tabindex="0" role="group" aria-label=${table.title}><table class="plain">
    <thead><tr><th scope="col">${(table.row_axes ?? []).join(", ")}</th>${table.columns.length ? table.columns.map((column) => html`<th key=${column} scope="col" class="number">${column}</th>`) : html`<th scope="col" class="number">${table.measure}</th>`}</tr></thead>
    <tbody>${table.rows.map((row) => html`<tr key=${row.key} class=${row.system && row.system !== "trained" ? "reference" : ""}><th scope="row">${row.key}</th>${(table.columns.length ? table.columns : [""]).map((column) => html`<${Cell} key=${column} cell=${row.cells[column]} />`)}</tr>`)}</tbody>
  </table></div>
  ${table.notes?.length ? html`<ul class="notes">${table.notes.map((note, index) => html`<li key=${index}>${note}</li>`)}</ul>` : null}</figure>`;

export default function Tables() {
  const { query } = useAddress();
  const live = useLive();
  const { measure, depth, protocol, rows, cols, baseline, test, correction } = query;
  const asked = { experiment: live.experiment || undefined, measure, depth, protocol, rows, cols, baseline, test, correction };
  const answer = useAnswer(live.loaded ? "table" : null, asked);
  const data = answer.data ?? {};
  const axes = data.axes ?? [];
  return html`<${Heading} twin=${twin("table", asked)}>Table<//>
    <div class="tools">
      <${Choice} label="Measure" name="measure" value=${measure ?? data.measure ?? data.measures?.[0]} options=${data.measures ?? []} />
      <${Choice} label="Protocol" name="protocol" value=${protocol} options=${data.protocols ?? []} empty="all" />
      ${data.depths?.length > 1 ? html`<${Choice} label="Depth" name="depth" value=${depth ?? data.depth} options=${data.depths} />` : null}
      ${axes.length ? html`<${Choice} label="Rows" name="rows" value=${rows} options=${axes} empty="the experiment's" /><${Choice} label="Columns" name="cols" value=${cols} options=${[...axes, "protocol", "measure"]} empty="the experiment's" />` : null}
      <${Choice} label="Compare with" name="baseline" value=${baseline} options=${data.baselines ?? []} empty="nothing" />
      ${baseline ? html`<${Choice} label="Test" name="test" value=${test} options=${[["t", "paired t"], ["randomisation", "randomisation"]]} empty="by default" />` : null}
    </div>
    ${answer.loading && answer.data ? html`<p class="dim" role="status">Computing…</p>` : null}
    <${Pending} answer=${answer}>${({ tables }) => (tables.length ? tables.map((table, index) => html`<${Table} key=${index} table=${table} />`) : html`<${Nothing}>No result is planned.<//>`)}<//>`;
}
