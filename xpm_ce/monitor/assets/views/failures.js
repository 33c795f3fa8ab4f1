// What went wrong, grouped by its root cause: said once, with what to do, the jobs it struck and those it holds up.
import { html } from "../dom.js";
import { useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive, useClock } from "../live.js";
import { Heading, Nothing, Pending } from "../parts.js";
import { plural } from "../format.js";
import { JobLinks, JobPanel } from "./job.js";

/** Changes when other jobs fail or are mended. */
const struck = (jobs) => jobs.filter((job) => ["failed", "damaged", "interrupted", "blocked"].includes(job.state)).map((job) => job.id.slice(0, 8) + job.state).join();

const Group = ({ group }) => html`<article class="failure">
  <h2><span class="exception">${group.exception}</span> <span class="breaks">${group.what}</span></h2>
  ${group.where || group.frame ? html`<p class="dim code">${[group.where, group.frame].filter(Boolean).join("  ")}</p>` : null}
  ${group.remedy ? html`<p class="breaks remedy">${group.remedy}</p>` : null}
  <div class="sides">
    <section><h3>${plural(group.jobs.length, "job")}</h3><${JobLinks} ids=${group.jobs} /></section>
    ${group.blocked.length ? html`<section><h3>${plural(group.blocked.length, "job")} blocked by ${group.jobs.length === 1 ? "it" : "them"}</h3><${JobLinks} ids=${group.blocked} /></section>` : null}
  </div>
</article>`;

export default function Failures() {
  const { query } = useAddress();
  const live = useLive();
  const now = useClock(false);
  const experiment = live.experiment || undefined;
  const answer = useAnswer(live.loaded ? "failures" : null, { experiment }, struck(live.jobs));
  return html`<div class="beside"><div class="column">
    <${Heading} twin=${twin("failures", { experiment })}>Failures<//>
    <${Pending} answer=${answer}>${({ groups }) =>
      groups.length
        ? html`<p class="dim">${plural(groups.length, "cause")}; the one that holds up most comes first.</p>${groups.map((group, index) => html`<${Group} key=${index} group=${group} />`)}`
        : html`<${Nothing}>Nothing has failed.<//>`}<//>
  </div>${query.id ? html`<${JobPanel} key=${query.id} id=${query.id} now=${now} />` : null}</div>`;
}
