// What the server tells by itself: the jobs and their changes, that results are there, the log of one job.
// Knows the form of the events, not how anything is shown.
import { useState, useEffect } from "./dom.js";
import { get } from "./api.js";

const SHOWN_EVERY = 100; // ms: changes that come closer together are shown at once
const AGAIN = [1000, 2000, 5000, 10000, 15000]; // ms between attempts, when the browser has given up

const heard = new Set();
const jobs = new Map();
let state = { jobs: [], byId: jobs, version: 0, link: "connecting", error: null, loaded: false, experiment: "", results: 0 };
let source = null;
let experiment;
let attempts = 0;
let later = null;
let telling = null;

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
    set({ jobs: [...jobs.values()], version: all.version, experiment: all.experiment, error: null, loaded: true }, { now: true });
  } catch (error) {
    if (asked === experiment) set({ error, loaded: state.loaded }, { now: true });
  }
}

function receive({ version, changed = [], removed = [] }) {
  for (const id of removed) jobs.delete(id);
  for (const job of changed) jobs.set(job.id, { ...job, place: jobs.get(job.id)?.place ?? jobs.size });
  if (changed.length || removed.length) set({ jobs: [...jobs.values()], version });
}

function listen() {
  const address = new URLSearchParams(experiment ? { experiment } : {});
  const own = new EventSource(`/api/events?${address}`);
  source = own;
  own.onopen = () => {
    if (state.link !== "live" && state.link !== "connecting") load(); // what changed meanwhile was not told
    attempts = 0;
    set({ link: "live" });
  };
  own.addEventListener("jobs", (event) => receive(JSON.parse(event.data)));
  own.addEventListener("reload", load);
  own.addEventListener("results", () => set({ results: state.results + 1 }));
  own.onerror = () => {
    if (source !== own) return;
    set({ link: "away" });
    if (own.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    later = setTimeout(() => {
      if (source !== own) return;
      load();
      listen();
    }, AGAIN[Math.min(attempts++, AGAIN.length - 1)]);
  };
}

/** Show another experiment: its jobs are read, then its changes are heard. */
export function follow(name) {
  if (source && name === experiment) return;
  experiment = name;
  source?.close();
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

/** The last lines of a job's log as they are written; `start` is what is there already. */
export function useLog(id, start) {
  const [text, set_] = useState(start);
  useEffect(() => set_(start), [id, start]);
  useEffect(() => {
    if (!id) return undefined;
    const own = new EventSource(`/api/events?${new URLSearchParams({ ...(experiment ? { experiment } : {}), id })}`);
    own.addEventListener("log", (event) => {
      const told = JSON.parse(event.data);
      if (told.id === id) set_((before) => (before + told.text).slice(-65536));
    });
    return () => own.close();
  }, [id]);
  return text;
}

/** The time, once a second while `running`. */
export function useClock(running) {
  const [now, set_] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!running) return undefined;
    const clock = setInterval(() => document.hidden || set_(Date.now() / 1000), 1000);
    return () => clearInterval(clock);
  }, [running]);
  return now;
}
