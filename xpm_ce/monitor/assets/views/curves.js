// Trainings as they go: loss and validation against documents seen, a panel per row of the experiment's table, a line
// per column, seeds as a band. Losses of different kinds are not comparable, so each has its own panel.
import { html, useEffect, useMemo } from "../dom.js";
import { change, link, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { dash, lineColour } from "../colours.js";
import { Choice, Heading, Nothing, Pending } from "../parts.js";
import { counted, place, short } from "../format.js";
import { LinePlot } from "../plot.js";
import { Shape } from "../states.js";
import { useTheme } from "./heatmap.js";

const SHEET = "/assets/vendor/uplot.css";

/** The plot's own style sheet, when it is first needed. */
function useSheet() {
  useEffect(() => {
    if (document.querySelector(`link[href="${SHEET}"]`)) return;
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: SHEET }));
  }, []);
}

const last = (values) => values[values.length - 1];

/** What an axis shows, as the courses name it. */
function titles(data) {
  const measures = [...new Set(data.learners.map((learner) => learner.measure).filter(Boolean))];
  return { loss: "training loss", validation: `validation ${measures.join(", ")} x 100` };
}

/** Validation is printed x 100, as tables are. */
const scaled = (group) => (group.quantity === "validation" ? 100 : 1);

function lineOf(group, columns) {
  const index = Math.max(0, columns.indexOf(group.column));
  const times = (values) => values.map((value) => value * scaled(group));
  return {
    label: group.column || group.row, place: index, colour: lineColour(index), x: group.documents,
    mean: times(group.mean), low: times(group.low), high: times(group.high), band: group.seeds > 1,
  };
}

const words = (name, row, lines) => `${name} of ${row || "all"} against documents seen. ${lines.map((line) => `${line.label}: from ${line.mean[0]?.toPrecision(3)} to ${last(line.mean)?.toPrecision(3)} at ${counted(Math.round(last(line.x) ?? 0))} documents`).join("; ")}`;

const Key = ({ columns, hidden }) => html`<div class="legend" role="group" aria-label="Lines">${columns.map((column, index) => html`<button key=${column} type="button" class="key"
  aria-pressed=${hidden.includes(column) ? "false" : "true"} onClick=${() => change({ without: (hidden.includes(column) ? hidden.filter((each) => each !== column) : [...hidden, column]).join(",") }, { replace: true })}>
  <svg viewBox="0 0 26 8" class="stroke" aria-hidden="true"><line x1="1" y1="4" x2="25" y2="4" stroke=${lineColour(index)} stroke-width="2" stroke-dasharray=${dash(index).join(" ")} /></svg>${column}</button>`)}
  <span class="dim">bands: lowest to highest seed</span></div>`;

function Panels({ data, hidden, only }) {
  const theme = useTheme();
  const groups = data.groups.filter((group) => !hidden.includes(group.column) && (!only || group.row === only));
  const { columns, named } = data;
  const rows = data.rows.filter((row) => groups.some((group) => group.row === row));
  const validations = groups.filter((group) => group.quantity === "validation").flatMap((group) => [...group.low, ...group.high]).map((value) => 100 * value);
  const [low, high] = [Math.min(...validations), Math.max(...validations)];
  const range = validations.length ? [low - 0.04 * (high - low || 1), high + 0.04 * (high - low || 1)] : null;
  return html`<div class="panels">${rows.map((row) => html`<section key=${row} class="plotpanel"><h2>${row || "Training"}</h2>
    ${["loss", "validation"].map((quantity) => {
      const lines = groups.filter((group) => group.row === row && group.quantity === quantity).map((group) => lineOf(group, columns));
      if (!lines.length) return null;
      const name = named[quantity];
      return html`<h3 class="dim">${name}</h3><${LinePlot} lines=${lines} label=${words(name, row, lines)} range=${quantity === "validation" ? range : null} sync="documents" theme=${theme}
        height=${only ? 280 : 150} format=${(value) => (quantity === "validation" ? value.toFixed(1) : value.toPrecision(3))} />`;
    })}</section>`)}</div>`;
}

/** One learner's own course. */
function groupsOf(learner) {
  const one = (quantity, documents, values) => ({ row: place(learner.coordinates), column: short(learner.id), quantity, documents, mean: values, low: values, high: values, seeds: 1 });
  return [
    ...(learner.loss?.length ? [one("loss", learner.documents, learner.loss)] : []),
    ...(learner.validation?.length ? [one("validation", learner.validation.map((point) => point.documents), learner.validation.map((point) => point.value))] : []),
  ];
}

/** The same as numbers: where each line ends. */
function Ends({ groups, named }) {
  return html`<details class="ends"><summary>Where each line stands</summary><div class="scroll" tabindex="0" role="group" aria-label="Where each line stands"><table class="plain">
    <thead><tr><th scope="col">row</th><th scope="col">column</th><th scope="col">quantity</th><th scope="col" class="number">seeds</th><th scope="col" class="number">documents seen</th><th scope="col" class="number">mean</th><th scope="col" class="number">lowest</th><th scope="col" class="number">highest</th></tr></thead>
    <tbody>${groups.filter((group) => group.mean.length).map((group) => html`<tr key=${`${group.row}/${group.column}/${group.quantity}`}><th scope="row">${group.row}</th><td>${group.column}</td><td>${named[group.quantity]}</td>
      <td class="number">${group.seeds}</td><td class="number">${counted(Math.round(last(group.documents)))}</td>${["mean", "low", "high"].map((each) => html`<td key=${each} class="number">${(scaled(group) * last(group[each])).toPrecision(4)}</td>`)}</tr>`)}</tbody></table></div></details>`;
}

export default function Curves() {
  useSheet();
  const { query } = useAddress();
  const live = useLive();
  const { id, row } = query;
  const asked = { experiment: live.experiment || undefined, id: id || "all" };
  // What trains writes all the time: ask again as it goes on.
  const progress = live.jobs.filter((job) => job.kind === "learn" && (!id || job.id === id)).map((job) => `${job.state[0]}${Math.floor(20 * (job.progress ?? 0))}`).join("");
  const answer = useAnswer(live.loaded ? "curves" : null, asked, progress);
  const hidden = useMemo(() => (query.without ? query.without.split(",") : []), [query.without]);
  const learners = live.jobs.filter((job) => job.kind === "learn");
  return html`<${Heading} twin=${twin("curves", asked)}>Curves<//>
    <div class="tools">
      <${Choice} label="Learner" name="id" value=${id} options=${learners.map((job) => [job.id, `${place(job.coordinates)} (${job.state})`])} empty="all, seeds together" />
      ${answer.data && !id ? html`<${Choice} label="Row" name="row" value=${row} options=${[...new Set(answer.data.groups.map((group) => group.row))]} empty="all" />` : null}
    </div>
    <${Pending} answer=${answer}>${(data) => {
      const chosen = id && data.learners.find((learner) => learner.id === id);
      const groups = id ? (chosen ? groupsOf(chosen) : []) : data.groups;
      const columns = [...new Set(groups.map((group) => group.column))];
      const named = titles(data);
      const shown = { groups, columns, rows: [...new Set(groups.map((group) => group.row))], named };
      if (!groups.length) return html`<${Nothing}>${id ? "This training has written no loss yet." : "No training has begun."}<//>`;
      return html`${id ? html`<p class="legend"><${Shape} state=${live.byId.get(id)?.state} label /><a href=${link("jobs", { id })}>${place(chosen.coordinates)}</a>${chosen.kept ? html`<span class="dim">kept: ${Object.entries(chosen.kept).map(([rule, step]) => `${rule} at step ${counted(step)}`).join(", ")}</span>` : null}</p>` : columns.length > 1 || columns[0] ? html`<${Key} columns=${columns} hidden=${hidden} />` : null}
        <${Panels} data=${shown} hidden=${hidden} only=${id ? groups[0].row : row} /><${Ends} groups=${groups} named=${named} />`;
    }}<//>`;
}
