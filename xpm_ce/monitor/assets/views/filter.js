// Which jobs are shown, and in what order: words, states, kinds, a column. Knows jobs, no elements.
import { STATES } from "../states.js";
import { place } from "../format.js";

const texts = new WeakMap();

/** All that can be searched of a job, lower-cased: its kind, place, state, identity, message. */
function textOf(job) {
  let text = texts.get(job);
  if (text === undefined) {
    const pairs = Object.entries(job.coordinates).map(([axis, value]) => `${axis}=${value}`);
    text = [job.kind, job.state, job.reused ? "reused" : "", ...pairs, place(job.coordinates), job.id, job.message ?? "", job.failure?.exception ?? "", job.failure?.what ?? "", job.task].join("\n").toLowerCase();
    texts.set(job, text);
  }
  return text;
}

/** Whether a job has all the words; `axis=value` is a whole value, `-word` must not be there. */
export function matcher(filter = "") {
  const words = filter.toLowerCase().match(/-?"[^"]*"|\S+/g) ?? [];
  const tests = words.map((word) => {
    const not = word.length > 1 && word.startsWith("-");
    const bare = (not ? word.slice(1) : word).replaceAll('"', "");
    const has = bare.includes("=") ? (text) => `${text}\n`.includes(`\n${bare}\n`) || text.includes(`\n${bare}`) : (text) => text.includes(bare);
    return (text) => has(text) !== not;
  });
  return (job) => {
    const text = textOf(job);
    return tests.every((test) => test(text));
  };
}

const orders = {
  state: (job) => STATES.indexOf(job.state),
  kind: (job) => job.kind,
  place: (job) => place(job.coordinates),
  progress: (job) => job.progress ?? (job.state === "done" ? 1 : -1),
  time: (job) => job.seconds ?? -1,
  expected: (job) => job.cost?.seconds?.[1] ?? -1,
  id: (job) => job.id,
};

/** The jobs in the order of a column; equal ones stay in the plan's. */
export function sorted(jobs, sort) {
  const key = orders[sort?.replace("-", "")];
  if (!key) return jobs;
  const sign = sort.startsWith("-") ? -1 : 1;
  const keyed = jobs.map((job) => [key(job), job]);
  const compare = typeof keyed[0]?.[0] === "string" ? (a, b) => a.localeCompare(b, "en", { numeric: true }) : (a, b) => a - b;
  return keyed.sort(([a, left], [b, right]) => sign * compare(a, b) || left.place - right.place).map(([, job]) => job);
}

/** The kinds in the order in which the plan names them first. */
export const kindsOf = (jobs) => [...new Set(jobs.map((job) => job.kind))];
