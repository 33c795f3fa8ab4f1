// What the server answers: reading, the two actions, and what went wrong, in words. Knows no views.
import { href } from "./address.js";

/** An answer that is no result: what happened, where, what to do. */
export class Refused extends Error {
  constructor(status, { what, where, remedy }) {
    super(what);
    Object.assign(this, { status, what, where, remedy });
  }
}

/** What the server is asked for when it does not answer at all. */
const AWAY = {
  what: "The monitor does not answer.",
  remedy: "It may have been stopped: run `xpm-ce monitor` again and open the link that it prints.",
};
const EXPIRED = {
  what: "This page is no longer let in.",
  remedy: "Run `xpm-ce monitor` again and open the link that it prints: a link works for one monitor.",
};

/** The address of the JSON twin of a view. */
export const twin = (path, query) => href(`api/${path}`, query);

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, AWAY);
  }
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  const given = content.error ?? { what: `The monitor answered ${response.status}.` };
  throw new Refused(response.status, response.status === 401 ? EXPIRED : given);
}

/** The answer that was asked for before the modules were there, once. */
function asked(address) {
  const { early } = window;
  if (early?.address !== address) return null;
  window.early = undefined;
  return early.answer;
}

export const get = (path, query, { signal } = {}) =>
  answer(asked(twin(path, query)) ?? fetch(twin(path, query), { signal, headers: { Accept: "application/json" }, cache: "no-store" }));

/** The secret that an action carries besides the cookie that lets in: another site cannot read it. */
function secret() {
  const name = `xpm_ce_actions_${location.port || 80}=`;
  const kept = document.cookie.split("; ").find((each) => each.startsWith(name));
  return kept ? decodeURIComponent(kept.slice(name.length)) : "";
}

export const post = (path, body) =>
  answer(
    fetch(`/api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-XPM-CE-Token": secret() },
      body: JSON.stringify(body),
    }),
  );
