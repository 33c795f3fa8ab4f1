// The states of a job: the order in which they matter, their words and shapes. A state never hangs on colour alone.
import { html } from "./dom.js";

/** From what needs a look to what does not. */
export const STATES = ["failed", "damaged", "interrupted", "running", "waiting", "blocked", "pruned", "done"];

/** What stands for how far an experiment has come, in the order of its bar. */
export const BAR = ["done", "pruned", "running", "failed", "damaged", "interrupted", "blocked", "waiting"];

export const MEANING = {
  failed: "ended with an error",
  damaged: "says that it is done, but files are missing or have another size",
  interrupted: "was stopped, or its process is gone; it continues when the experiment is run again",
  running: "its process is alive",
  waiting: "for a free slot, or for the jobs it depends on",
  blocked: "a job it depends on failed",
  pruned: "its result was cleaned away; it is made again when something needs it",
  done: "its result is there",
};

const SHAPES = {
  done: html`<path d="M3.2 8.4 6.6 11.6 12.8 4.6" />`,
  running: html`<path d="M5 3.2 12.4 8 5 12.8Z" class="filled" />`,
  waiting: html`<circle cx="8" cy="8" r="4.6" />`,
  failed: html`<path d="M4 4 12 12M12 4 4 12" />`,
  interrupted: html`<path d="M5.6 3.6V12.4M10.4 3.6V12.4" />`,
  blocked: html`<circle cx="8" cy="8" r="5.2" /><path d="M4.4 11.6 11.6 4.4" />`,
  damaged: html`<path d="M8 2.6 14 13H2Z" /><path d="M8 6.4V9.6M8 11V11.6" />`,
  pruned: html`<path d="M3 8H13" />`,
};

/** The shape of a state; the word stands beside it or in its label. */
export const Shape = ({ state, label }) => html`<svg
  class=${`shape ${state}`} viewBox="0 0 16 16" role=${label ? "img" : undefined} aria-label=${label ? state : undefined}
  aria-hidden=${label ? undefined : "true"}>${SHAPES[state] ?? SHAPES.waiting}</svg>`;

/** Shape and word. */
export const State = ({ state, reused }) => html`<span class=${`state ${state}`} title=${MEANING[state]}>
  <${Shape} state=${state} /><span>${reused && state === "done" ? "reused" : state}</span></span>`;

/** How many jobs are in each state. */
export function countedByState(jobs) {
  const counts = {};
  for (const job of jobs) counts[job.state] = (counts[job.state] ?? 0) + 1;
  return counts;
}

/** The states of some jobs as one thin bar. */
export function StateBar({ counts, label }) {
  const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const said = BAR.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`).join(", ");
  return html`<div class="statebar" role="img" aria-label=${`${label ? `${label}: ` : ""}${said || "nothing"}`} title=${said}>
    ${BAR.filter((state) => counts[state]).map(
      (state) => html`<span key=${state} class=${state} style=${{ flexGrow: counts[state], minWidth: all > 40 ? "2px" : "4px" }} />`,
    )}
  </div>`;
}
