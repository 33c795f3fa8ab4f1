// The grid of science: backbone by loss, a protocol and a measure at a time, filling in as evaluations end.
// The numbers are the server's; here they become text and colour.
import { html, useEffect, useState } from "../dom.js";
import { change, link, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { heat } from "../colours.js";
import { Choice, Heading, Nothing, Pending, Ways } from "../parts.js";
import { plural, score, signed } from "../format.js";

/** Draw again when the colours of the page change. */
export function useTheme() {
  const [count, set] = useState(0);
  useEffect(() => {
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const update = () => set((before) => before + 1);
    media.addEventListener("change", update);
    window.addEventListener("theme", update);
    return () => {
      media.removeEventListener("change", update);
      window.removeEventListener("theme", update);
    };
  }, []);
  return count;
}

/** The place of a cell as words of the jobs' filter; several axes on one side cannot be told apart, so its first job. */
function jobsOf(data, row, col, cell) {
  const sides = [[data.row_axes, row], [data.column_axes, col]].filter(([axes]) => axes.length);
  if (sides.some(([axes]) => axes.length > 1)) return { id: cell.jobs[0] };
  const word = ([[axis], label]) => (/\s/.test(label) ? `"${axis}=${label}"` : `${axis}=${label}`);
  return { filter: sides.map(word).join(" ") };
}

const Seeds = ({ done, expected }) => html`<span class="seeds" aria-hidden="true">${"●".repeat(Math.min(done, 8))}${"○".repeat(Math.max(0, Math.min(expected, 8) - done))}</span>`;

function Cell({ cell, data, row, col, low, high, base }) {
  if (!cell || (!cell.expected && !cell.done)) return html`<td class="heat unplanned"><span class="dim" title="not planned">·</span></td>`;
  const { value, done, expected, text } = cell;
  const there = value !== null && value !== undefined;
  const { ground, ink } = there ? heat(high > low ? (value - low) / (high - low) : 0.5) : {};
  const shown = !there ? (expected > done ? "…" : "–") : base === undefined ? (text ?? score(value)) : signed(100 * (value - base), 1);
  const said = `${[row, col].filter(Boolean).join(", ")}: ${there ? text ?? score(value) : "nothing yet"}, ${done} of ${plural(expected, "seed")}`;
  return html`<td class=${`heat ${there ? "" : "empty"}`} style=${there ? { background: ground, color: ink } : {}}>
    <a href=${link("jobs", jobsOf(data, row, col, cell))} aria-label=${`${said}; show its jobs`} title=${said}>
      <span class="value">${shown}</span>${expected > 1 || done < expected ? html`<${Seeds} done=${done} expected=${expected} />` : null}</a></td>`;
}

function Map({ data, by }) {
  useTheme();
  const values = data.cells.flat().map((cell) => cell?.value).filter((value) => value !== null && value !== undefined);
  const first = data.first_stage;
  const steps = Array.from({ length: 24 }, (_, step) => step / 23);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const done = data.cells.flat().reduce((sum, cell) => sum + (cell?.done ?? 0), 0);
  const expected = data.cells.flat().reduce((sum, cell) => sum + (cell?.expected ?? 0), 0);
  const difference = by === "difference" && first !== null && first !== undefined;
  const printed = (value) => (difference ? signed(100 * (value - first), 1) : score(value));
  return html`<p class="caption" id="heatmap">${data.title}: ${difference ? "difference to the first stage" : "mean over seeds"}. ${done} of ${plural(expected, "result")} there.</p>
  <div class="scroll" tabindex="0" role="group" aria-label="Heat map"><table class="heatmap" aria-labelledby="heatmap">
    <thead><tr><th scope="col" class="corner dim">${[data.row_axes.join(", "), data.column_axes.join(", ")].filter(Boolean).join(" \\ ")}</th>${data.cols.map((col) => html`<th key=${col} scope="col">${col || "value"}</th>`)}</tr></thead>
    <tbody>${data.rows.map((row, y) => html`<tr key=${row}><th scope="row">${row}</th>${data.cols.map((col, x) => html`<${Cell} key=${col} cell=${data.cells[y][x]} data=${data} row=${row} col=${col} low=${low} high=${high} base=${difference ? first : undefined} />`)}</tr>`)}</tbody>
  </table></div>
  ${values.length ? html`<div class="legend" aria-label="Scale"><span class="figure">${printed(low)}</span><span class="ramp" aria-hidden="true">${steps.map((step) => html`<span key=${step} style=${{ background: heat(step).ground }} />`)}</span><span class="figure">${printed(high)}</span>
    ${first !== null && first !== undefined ? html`<span class="dim">${(data.first_stages ?? []).map((each) => each.name).join(", ") || "first stage"} ${score(first)}</span>` : null}<span class="dim"><span aria-hidden="true">●</span> a seed that is measured, <span aria-hidden="true">○</span> one to come</span></div>` : html`<${Nothing}>No evaluation has ended yet; cells fill in as they do.<//>`}`;
}

export default function HeatMap() {
  const { query } = useAddress();
  const live = useLive();
  const { protocol, measure, depth, rows, cols, by = "value" } = query;
  const asked = { experiment: live.experiment || undefined, protocol, measure, depth, rows, cols };
  const answer = useAnswer(live.loaded ? "heatmap" : null, asked);
  const data = answer.data;
  const axes = data?.axes ?? [];
  return html`<${Heading} twin=${twin("heatmap", asked)}>Heat map<//>
    ${data ? html`<div class="tools">
      <${Choice} label="Protocol" name="protocol" value=${protocol ?? data.protocol ?? data.protocols[0]} options=${data.protocols} />
      <${Choice} label="Measure" name="measure" value=${measure ?? data.measure ?? data.measures[0]} options=${data.measures} />
      ${data.depths?.length > 1 ? html`<${Choice} label="Depth" name="depth" value=${depth ?? data.depth} options=${data.depths} />` : null}
      ${axes.length > 1 ? html`<${Choice} label="Rows" name="rows" value=${rows ?? data.row_axes.join(",")} options=${axes} />
      <${Choice} label="Columns" name="cols" value=${cols ?? data.column_axes.join(",")} options=${axes} />` : null}
      <${Ways} label="Show" name="by" value=${by} options=${[["value", "Values"], ["difference", "− first stage"]]} />
    </div>` : null}
    <${Pending} answer=${answer}>${(found) => (found.cells.length ? html`<${Map} data=${found} by=${by} />` : html`<${Nothing}>No trained system is planned.<//>`)}<//>`;
}
