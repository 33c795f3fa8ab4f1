// Two systems query by query: where B wins and where it loses, and both rankings of one query side by side with text.
import { html, useMemo } from "../dom.js";
import { change, useAddress } from "../address.js";
import { twin } from "../api.js";
import { useAnswer } from "../answers.js";
import { useLive } from "../live.js";
import { Grid, useNarrow } from "../grid.js";
import { Choice, Heading, Nothing, Pending, Trouble } from "../parts.js";
import { counted, plural, score, signed } from "../format.js";

const ROW = 32;
const NARROW_ROW = 56;
const TEMPLATE = "minmax(180px, 1fr) 60px 60px 76px minmax(120px, 260px)";
const BESIDE = "minmax(120px, 1fr) 52px 52px 68px 72px"; // where a query is open beside it

/** A difference as a bar from the middle. */
const Difference = ({ value, most }) => html`<span class="delta" aria-hidden="true"><span class=${value < 0 ? "worse" : "better"}
  style=${value < 0 ? { right: "50%", width: `${(50 * -value) / most}%` } : { left: "50%", width: `${(50 * value) / most}%` }} /></span>`;

const COLUMNS = (most) => [
  { key: "query", title: "Query", sort: true, cell: (query) => html`<span class="clipped" title=${`${query.id}: ${query.text}`}>${query.text || query.id}</span>` },
  { key: "a", title: "A", sort: true, className: "a number", cell: (query) => score(query.a) },
  { key: "b", title: "B", sort: true, className: "b number", cell: (query) => score(query.b) },
  { key: "difference", title: "B − A", sort: true, className: "difference number", cell: (query) => html`<span class=${query.difference < 0 ? "worse" : query.difference > 0 ? "better" : "dim"}>${signed(100 * query.difference, 1)}</span>` },
  { key: "share", title: html`<span class="hidden">As a bar</span>`, cell: (query) => html`<${Difference} value=${query.difference} most=${most} />` },
];

const orders = { query: (query) => query.text || query.id, a: (query) => query.a, b: (query) => query.b, difference: (query) => query.difference };

function inOrder(queries, sort) {
  const key = orders[sort.replace("-", "")];
  if (!key) return queries;
  const sign = sort.startsWith("-") ? -1 : 1;
  return [...queries].sort((x, y) => sign * (typeof key(x) === "string" ? key(x).localeCompare(key(y)) : key(x) - key(y)));
}

/** A grade that was judged, as a number and a word; relevance is never a colour alone. */
const Grade = ({ grade }) => (grade === null || grade === undefined ? html`<span class="grade none" title="not judged">?</span>` : html`<span class=${`grade ${grade > 0 ? "relevant" : "not"}`} title=${`judged ${grade}`}>${grade > 0 ? "★" : ""} ${grade}</span>`);

function Ranking({ ranking, name, title }) {
  return html`<section class="ranking"><h3><span class="side">${name}</span> ${title}</h3><ol>${ranking.documents.map((document) => {
    const there = document.other_rank;
    const moved = !there ? "not in the other" : there === document.rank ? "the same in the other" : `${there} in the other`;
    return html`<li key=${document.id} class=${document.grade > 0 ? "relevant" : ""}>
      <div class="document"><span class="rank figure">${document.rank}</span><${Grade} grade=${document.grade} /><strong class="clipped" title=${document.id}>${document.title || document.id}</strong>
        <span class="dim figure" title="score">${document.score === null || document.score === undefined ? "" : document.score.toFixed(2)}</span></div>
      <p class="text">${document.text}</p>
      <p class="dim places">${document.title ? html`<span class="code">${document.id}</span> · ` : ""}${document.first_stage_rank ? `first stage ${document.first_stage_rank} · ` : ""}${moved}</p></li>`;
  })}</ol></section>`;
}

/** One ranking is one seed's. */
const titled = (name, seed) => (seed && !name.includes(`seed=${seed}`) ? `${name}, seed ${seed}` : name);

function Query({ asked, id, names }) {
  const answer = useAnswer("query", { ...asked, query: id });
  return html`<aside class="panel wide" aria-label="One query"><div class="panel-head"><h2>${answer.data ? answer.data.text || id : id}</h2>
      <button type="button" class="close" aria-label="Close" onClick=${() => change({ query: "" })}>×</button></div>
    <${Pending} answer=${answer}>${({ rankings: [a, b], judged }) => html`<p class="dim"><span class="code">${id}</span> · ${plural(judged, "document")} judged · ★ relevant, ? not judged</p>
      <div class="rankings"><${Ranking} ranking=${a} name="A" title=${titled(names[0], a.seed)} /><${Ranking} ranking=${b} name="B" title=${titled(names[1], b.seed)} /></div>`}<//></aside>`;
}

/** What the test of the comparison says of the difference. */
function Test({ test: { p_values: values, interval } }) {
  const said = Object.entries(values).map(([name, p]) => `p ${p < 0.0001 ? "< 0.0001" : `= ${p.toPrecision(2)}`} (${name})`);
  return html`<span class="dim">${interval ? `${Math.round(100 * interval.level)} % interval ${signed(100 * interval.low, 1)} to ${signed(100 * interval.high, 1)}, ` : ""}${said.join(", ")}</span>`;
}

function Compared({ data, asked, query, names }) {
  const narrow = useNarrow();
  const sort = query.sort ?? "difference";
  const filter = (query.filter ?? "").toLowerCase();
  const most = useMemo(() => Math.max(1e-9, ...data.queries.map((each) => Math.abs(each.difference))), [data]);
  const shown = useMemo(() => inOrder(data.queries.filter((each) => !filter || `${each.id} ${each.text}`.toLowerCase().includes(filter)), sort), [data, sort, filter]);
  const columns = useMemo(() => COLUMNS(most), [most]);
  const { wins, ties, losses } = data;
  return html`<div class="verdict"><span><span class="side">A</span> ${score(data.mean_a)}</span><span><span class="side">B</span> ${score(data.mean_b)}</span>
      <strong class=${data.mean_b < data.mean_a ? "worse" : "better"}>${signed(100 * (data.mean_b - data.mean_a), 1)}</strong>${data.test ? html`<${Test} test=${data.test} />` : null}</div>
    <div class="outcomes" role="img" aria-label=${`B wins on ${wins}, ties on ${ties}, loses on ${losses} queries`}>
      ${[["worse", losses, "B loses"], ["tie", ties, "tie"], ["better", wins, "B wins"]].filter(([, count]) => count).map(([name, count, text]) => html`<span key=${name} class=${name} style=${{ flexGrow: count }}>${text} ${counted(count)}</span>`)}</div>
    <div class="tools"><input type="search" data-filter="" placeholder="Filter the queries   ( / )" aria-label="Filter the queries" value=${query.filter ?? ""} onInput=${(event) => change({ filter: event.target.value }, { replace: true })} />
      <span class="dim" role="status">${counted(shown.length)} queries</span></div>
    <${Grid} label="Queries" columns=${columns} rows=${shown} keyOf=${(each) => each.id} rowHeight=${narrow ? NARROW_ROW : ROW} template=${query.query ? BESIDE : TEMPLATE} sort=${sort} rowClass=${() => "query"}
      onSort=${(each) => change({ sort: each === "difference" ? "" : each || "-difference" })} chosen=${query.query} onOpen=${(each) => change({ query: each.id }, { replace: Boolean(query.query) })}
      onChoose=${(each) => query.query && change({ query: each.id }, { replace: true })} />`;
}

export default function Queries() {
  const { query } = useAddress();
  const live = useLive();
  const experiment = live.experiment || undefined;
  const systems = useAnswer(live.loaded ? "systems" : null, { experiment });
  const all = systems.data?.systems ?? [];
  const a = query.a ?? all[0]?.key;
  const others = all.filter((each) => each.key !== a);
  const b = query.b ?? (others.find((each) => each.system === "trained") ?? others[0])?.key;
  const asked = { experiment, a, b, measure: query.measure, protocol: query.protocol, depth: query.depth };
  const answer = useAnswer(a && b ? "queries" : null, asked);
  const options = all.map((each) => [each.key, each.text]);
  const names = [a, b].map((key) => all.find((each) => each.key === key)?.text ?? key);
  return html`<div class="beside"><div class="column full">
    <${Heading} twin=${a && b ? twin("queries", asked) : undefined}>Queries<//>
    ${systems.error ? html`<${Trouble} error=${systems.error} />` : null}
    ${systems.data && all.length < 2 ? html`<${Nothing}>Two systems must be measured before they can be compared; ${all.length} ${all.length === 1 ? "is" : "are"}.<//>` : null}
    ${all.length ? html`<div class="tools"><${Choice} label="A" name="a" value=${a} options=${options} /><${Choice} label="B" name="b" value=${b} options=${options} />
      <button type="button" class="small" onClick=${() => change({ a: b, b: a })}>swap</button>
      <${Choice} label="Measure" name="measure" value=${query.measure ?? answer.data?.measure ?? systems.data?.measures?.[0]} options=${systems.data.measures} />
      ${systems.data.protocols.length > 1 ? html`<${Choice} label="Protocol" name="protocol" value=${query.protocol ?? answer.data?.protocol ?? systems.data?.protocols?.[0]} options=${systems.data.protocols} />` : null}
      ${systems.data.depths.length > 1 ? html`<${Choice} label="Depth" name="depth" value=${query.depth ?? answer.data?.depth} options=${systems.data.depths} />` : null}</div>` : null}
    ${a && b ? html`<${Pending} answer=${answer}>${(data) => html`<${Compared} data=${data} asked=${asked} query=${query} names=${names} />`}<//>` : null}
  </div>${query.query && a && b ? html`<${Query} key=${query.query} asked=${asked} id=${query.query} names=${names} />` : null}</div>`;
}
