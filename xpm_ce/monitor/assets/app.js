// The page: which experiment, which view, whether the server is heard. A view is a component; all but the first are
// fetched when they are first shown.
import { html, render, useEffect, useState } from "./dom.js";
import { followLinks, go, href, link, useAddress } from "./address.js";
import { useAnswer } from "./answers.js";
import { follow, useLive } from "./live.js";
import { listenToKeys } from "./keys.js";
import { Choice, Trouble, Nothing } from "./parts.js";
import { Notice } from "./notice.js";
import { Jobs } from "./views/jobs.js";

const VIEWS = [
  { name: "jobs", title: "Jobs", component: Jobs },
  { name: "failures", title: "Failures", fetch: () => import("./views/failures.js") },
  { name: "heatmap", title: "Heat map", fetch: () => import("./views/heatmap.js") },
  { name: "curves", title: "Curves", fetch: () => import("./views/curves.js") },
  { name: "table", title: "Table", fetch: () => import("./views/table.js") },
  { name: "queries", title: "Queries", fetch: () => import("./views/queries.js") },
  { name: "ledger", title: "Ledger", fetch: () => import("./views/ledger.js") },
];
const ALIASES = { fair: "ledger", job: "jobs", query: "queries", systems: "queries" };

const LINKS = { live: ["live", "Changes arrive by themselves."], connecting: ["connecting", "Waiting for the server."], nothing: ["nothing yet", "As soon as something is planned, it is shown."], away: ["reconnecting", "The server does not answer; this page tries again by itself. Jobs go on without it."] };

function Connection({ state }) {
  const [word, title] = LINKS[state];
  return html`<span class=${`connection ${state}`} role="status" title=${title}><span class="dot" aria-hidden="true" />${word}</span>`;
}

const THEMES = { system: "light", light: "dark", dark: "system" };

function Theme() {
  const [theme, set] = useState(window.theme.get);
  const next = THEMES[theme] ?? "light";
  const turn = () => {
    window.theme.set(next);
    set(next);
  };
  return html`<button type="button" class="quiet" onClick=${turn} title=${`Colours: ${theme}; press for ${next}`} aria-label=${`Colours: ${theme}. Change to ${next}`}>
    <svg class="shape" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="5.4" />
    ${theme === "light" ? null : theme === "dark" ? html`<circle cx="8" cy="8" r="5.4" class="filled" />` : html`<path class="filled" d="M8 2.6A5.4 5.4 0 0 1 8 13.4Z" />`}</svg></button>`;
}

/** Views that were fetched, by name. */
const fetched = { jobs: Jobs };

function View({ name, experiment }) {
  const [, again] = useState(0);
  const [trouble, setTrouble] = useState(null);
  const view = VIEWS.find((each) => each.name === (ALIASES[name] ?? name));
  useEffect(() => {
    setTrouble(null);
    if (!view || fetched[view.name]) return;
    view.fetch().then(
      (module) => {
        fetched[view.name] = module.default;
        again((count) => count + 1);
      },
      () => setTrouble({ what: "This view could not be fetched.", remedy: "Load the page again; the monitor may have been stopped." }),
    );
  }, [name]);
  if (trouble) return html`<${Trouble} error=${trouble} />`;
  if (!view) return html`<${Nothing}>There is no view “${name}”. <a href=${link("jobs")}>Jobs</a><//>`;
  const Component = fetched[view.name];
  return Component ? html`<${Component} experiment=${experiment} />` : html`<${Nothing}>Reading…<//>`;
}

function Page() {
  const { view, query } = useAddress();
  const live = useLive();
  const experiments = useAnswer("experiments", {}, `${live.experiment}`);
  useEffect(() => follow(query.experiment), [query.experiment]);
  const known = experiments.data?.experiments ?? [];
  const experiment = known.find((each) => each.name === live.experiment) ?? {};
  const failed = live.jobs.reduce((count, job) => count + (job.state === "failed" || job.state === "damaged"), 0);
  const running = live.jobs.reduce((count, job) => count + (job.state === "running"), 0);
  const current = ALIASES[view] ?? view;
  const title = VIEWS.find((each) => each.name === current)?.title ?? "";
  useEffect(() => {
    document.title = [running ? `${running} running` : "", failed ? `${failed} failed` : "", title, live.experiment].filter(Boolean).join(" · ");
  }, [running, failed, title, live.experiment]);
  return html`
    <a class="skip" href="#content" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("content").focus();
    }}>To the content</a>
    <header class="top">
      <span class="mark">xpm-ce</span>
      ${known.length > 1 || (known.length && !live.experiment)
        ? html`<${Choice} label="Experiment" value=${live.experiment} options=${known.map((each) => each.name)} onChange=${(name) => go(href(view, { experiment: name }))} />`
        : html`<span class="experiment">${live.experiment}</span>`}
      <nav aria-label="Views">${VIEWS.map((each) => html`<a key=${each.name} href=${link(each.name)} aria-current=${each.name === current ? "page" : undefined}>${each.title}${each.name === "failures" && failed ? html` <span class="badge">${failed}</span>` : null}</a>`)}</nav>
      <span class="space" />
      <${Connection} state=${live.link} />
      <${Theme} />
    </header>
    <main id="content" tabindex="-1">
      ${live.error && (!live.loaded || live.error.status !== 0) ? html`<${Trouble} error=${live.error} />` : null}
      ${live.error && !live.loaded ? null : html`<${View} name=${view} experiment=${experiment} />`}
    </main>
    <${Notice} />`;
}

const page = document.getElementById("page");
page.replaceChildren();
followLinks(page);
listenToKeys(document);
render(html`<${Page} />`, page);
