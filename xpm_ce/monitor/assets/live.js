// What the server tells by itself: the jobs and their changes, that results are there, the log of one job.
// Knows the form of the events, not how anything is shown.
import { useState, useEffect } from "./dom.js";
import { get } from "./api.js";

const SHOWN_EVERY = 100; // ms: changes that come closer together are shown at once
const LOG_KEPT = 65536; // characters of a log that are shown
const AGAIN = [1000, 2000, 5000, 10000, 15000]; // ms between attempts, when the browser has given up

const heard = new Set();
const jobs = new Map();
let state = { jobs: [], byId: jobs, version: 0, link: "connecting", error: null, loaded: false, experiment: "", results: 0, secondsLeft: null };
let source = null;
let experiment;
let started = false;
let attempts = 0;
let later = null;
let telling = null;
let log = null; // the job whose log is followed, and who shows it

function tell() {
  telling ??= setTimeout(() => {
    telling = null;
    heard.forEach((each) => each());
  }, SHOWN_EVERY);
}

function set(changes, { now = false } = {}) {
  state = { ...state, ...changes };
  if (now) heard.forEach((each) => each());
  else tell();
}

async function load() {
  const asked = experiment;
  try {
    const all = await get("jobs", { experiment: asked });
    if (asked !== experiment) return;
    jobs.clear();
    all.jobs.forEach((job, place) => jobs.set(job.id, { ...job, place }));
    set({ jobs: [...jobs.values()], version: all.version, secondsLeft: all.seconds_left, experiment: all.experiment, error: null, loaded: true }, { now: true });
  } catch (error) {
    if (asked === experiment) set({ error, loaded: state.loaded }, { now: true });
  }
}

function receive({ version, changed, reload, seconds_left: secondsLeft }) {
  if (reload) {
    load();
    return;
  }
  for (const job of changed) jobs.set(job.id, { ...job, place: jobs.get(job.id)?.place ?? jobs.size });
  if (changed.length) set({ jobs: [...jobs.values()], version, secondsLeft, error: null });
}

/** One connection a tab: a browser keeps few. Asking for another log asks anew, from the version that is here. */
function relisten() {
  if (source) listen();
}

function listen() {
  source?.close();
  clearTimeout(later);
  if (log) log.offset = -1;
  const address = new URLSearchParams({
    ...(experiment || state.experiment ? { experiment: experiment || state.experiment } : {}), since: state.version, ...(log ? { id: log.id } : {}),
  });
  const own = new EventSource(`/api/events?${address}`);
  source = own;
  own.onopen = () => {
    attempts = 0;
    set({ link: "live" });
  };
  own.addEventListener("jobs", (event) => receive(JSON.parse(event.data)));
  own.addEventListener("log", (event) => hearLog(JSON.parse(event.data)));
  own.addEventListener("problem", (event) => set({ error: JSON.parse(event.data) }));
  own.addEventListener("results", () => set({ results: state.results + 1 }));
  own.onerror = () => {
    if (source !== own) return;
    if (log) log.offset = -1;
    set({ link: state.error?.status === 404 ? "nothing" : "away" });
    if (own.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    later = setTimeout(async () => {
      await load();
      if (source === own) listen();
    }, AGAIN[Math.min(attempts++, AGAIN.length - 1)]);
  };
}

/** Show another experiment: its jobs are read, then its changes are heard. */
export function follow(name) {
  if (started && name === experiment) return;
  started = true;
  experiment = name;
  source?.close();
  source = null;
  clearTimeout(later);
  jobs.clear();
  set({ jobs: [], loaded: false, link: "connecting", error: null }, { now: true });
  load().then(() => {
    if (name === experiment) listen();
  });
}

function useHeard(pick) {
  const [value, update] = useState(() => pick(state));
  useEffect(() => {
    const hear = () => update(() => pick(state));
    heard.add(hear);
    hear();
    return () => heard.delete(hear);
  }, []);
  return value;
}

/** Everything: the jobs in the plan's order, the same by id, whether the server is heard. */
export const useLive = () => useHeard((each) => each);

/** A number that grows when there are new results. */
export const useResults = () => useHeard((each) => each.results);

/** A job by its id, as it was last told. */
export const jobOf = (id) => jobs.get(id);

/** The last lines of a job's log as they are written; `start` is what is there already. `id` null follows none. */
export function useLog(id, start) {
  const [text, show] = useState(start);
  useEffect(() => show(start), [id, start]);
  useEffect(() => {
    if (!id) return undefined;
    log = { id, offset: -1, show };
    relisten();
    return () => {
      log = null;
      relisten();
    };
  }, [id]);
  return text;
}

/** The first text holds the end of the log, and so does one after the log began again; others are what was added. */
function hearLog(told) {
  if (told.id !== log?.id) return;
  const anew = log.offset < 0 || told.offset < log.offset;
  log.offset = told.offset;
  log.show((before) => (anew ? told.text : before + told.text).slice(-LOG_KEPT));
}

/** The time, once a second while `running`. */
export function useClock(running) {
  const [now, update] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!running) return undefined;
    const clock = setInterval(() => document.hidden || update(Date.now() / 1000), 1000);
    return () => clearInterval(clock);
  }, [running]);
  return now;
}
