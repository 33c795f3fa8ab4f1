// The results table as `xpm-ce table` prints it: means and deviations, best and second, marks of significance, notes.
// Every number and mark is the server's.
import { html } from "../dom.js";
import { link, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { Choice, Heading, Nothing, Pending } from "../parts.js";

/** A cell; the best is bold, the second underlined, and both are said. */
function Cell({ cell }) {
  if (!cell) return html`<td class="number dim">–</td>`;
  const { text, mark, significance, jobs } = cell;
  const bare = significance && text.endsWith(significance) ? text.slice(0, -significance.length).trimEnd() : text;
  return html`<td class=${`number ${mark ?? ""}`} title=${mark ?? ""}>${jobs.length ? html`<a href=${link("jobs", { id: jobs[0] })}>${bare}</a>` : bare}${significance ? html` <span class="mark-of">${significance}</span>` : null}${mark ? html`<span class="hidden"> (${mark})</span>` : null}</td>`;
}

const Table = ({ table }) => html`<figure class="results"><figcaption>${table.title}</figcaption>
  <div class="scroll" tabindex="0" role="group" aria-label=${table.title}><table class="plain">
    <thead><tr><th scope="col">${table.row_axes.join(", ")}</th>${table.columns.map((column) => html`<th key=${column.text} scope="col" class="number" title=${column.text}>${column.heading || column.text || "value"}</th>`)}</tr></thead>
    <tbody>${table.rows.map((row) => html`<tr key=${row.text} class=${row.competes ? "" : "reference"}><th scope="row">${row.text}${row.letter ? html` <span class="mark-of">${row.letter}</span>` : null}</th>${row.cells.map((cell, index) => html`<${Cell} key=${index} cell=${cell} />`)}</tr>`)}</tbody>
  </table></div>
  ${table.notes.length ? html`<ul class="notes">${table.notes.map((note, index) => html`<li key=${index}>${note}</li>`)}</ul>` : null}</figure>`;

export default function Tables() {
  const { query } = useAddress();
  const live = useLive();
  const { measure, depth, protocol, rows, cols, baseline, test, correction } = query;
  const asked = { experiment: live.experiment || undefined, measure, depth, protocol, rows, cols, baseline, test, correction };
  const answer = useAnswer(live.loaded ? "table" : null, asked);
  const { shown = [], options = {} } = answer.data ?? {};
  const { measures = [], protocols = [], depths = [], axes = [] } = options;
  const baselines = [...new Set(shown.flatMap((table) => table.rows.filter((row) => row.competes).map((row) => row.text)))];
  return html`<${Heading} twin=${twin("table", asked)}>Table<//>
    <div class="tools">
      <${Choice} label="Measure" name="measure" value=${measure ?? answer.data?.tables[0]?.measure ?? measures[0]} options=${measures} />
      ${protocols.length > 1 ? html`<${Choice} label="Protocol" name="protocol" value=${protocol} options=${protocols} empty="all" />` : null}
      ${depths.length > 1 ? html`<${Choice} label="Depth" name="depth" value=${depth ?? answer.data?.tables[0]?.depth} options=${depths} />` : null}
      ${axes.length > 1 ? html`<${Choice} label="Rows" name="rows" value=${rows} options=${axes} empty="the experiment's" /><${Choice} label="Columns" name="cols" value=${cols} options=${[...axes, "protocol", "measure", "depth"]} empty="the experiment's" />` : null}
      <${Choice} label="Compare with" name="baseline" value=${baseline} options=${baselines} empty="nothing" />
      ${baseline ? html`<${Choice} label="Test" name="test" value=${test} options=${[["t", "paired t"], ["randomisation", "randomisation"]]} empty="by default" />` : null}
    </div>
    ${answer.loading && answer.data ? html`<p class="dim" role="status">Computing…</p>` : null}
    <${Pending} answer=${answer}>${() => (shown.length ? shown.map((table, index) => html`<${Table} key=${index} table=${table} />`) : html`<${Nothing}>No result is there yet; the heat map shows those that are planned.<//>`)}<//>`;
}
