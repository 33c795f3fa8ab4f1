// Small pieces that several views are made of: choices, messages, a copy button, a question. Knows no data.
import { html, useState, useEffect, useRef } from "./dom.js";
import { change } from "./address.js";

/** A choice among texts, kept in the address under `name`. Options are texts or [value, text]. */
export function Choice({ label, name, value, options, empty, onChange }) {
  const pairs = options.map((each) => (Array.isArray(each) ? each : [each, String(each)]));
  const known = value === undefined || value === "" || pairs.some(([each]) => String(each) === String(value));
  return html`<label class="choice"><span>${label}</span>
    <select aria-label=${label} value=${value ?? ""} onChange=${(event) => (onChange ?? ((chosen) => change({ [name]: chosen })))(event.target.value)}>
      ${empty !== undefined ? html`<option value="">${empty}</option>` : null}
      ${known ? null : html`<option value=${value}>${value}</option>`}
      ${pairs.map(([each, text]) => html`<option key=${each} value=${each}>${text}</option>`)}
    </select></label>`;
}

/** A few ways to see the same, one of which is chosen. */
export const Ways = ({ label, name, value, options }) => html`<div class="ways" role="group" aria-label=${label}>
  ${options.map(([each, text]) => html`<button key=${each} type="button" aria-pressed=${each === value}
    onClick=${() => change({ [name]: each === options[0][0] ? "" : each })}>${text}</button>`)}
</div>`;

/** What went wrong, where, and what to do. */
export const Trouble = ({ error }) => html`<div class="trouble" role="alert">
  <p><strong>${error.what ?? String(error)}</strong></p>
  ${error.where ? html`<p class="dim code">${error.where}</p>` : null}
  ${error.remedy ? html`<p>${error.remedy}</p>` : null}
</div>`;

/** A sentence where nothing is to be shown. */
export const Nothing = ({ children }) => html`<p class="nothing">${children}</p>`;

/** What an answer is until it is there: its trouble, or a quiet word. */
export function Pending({ answer, children }) {
  if (answer.error && !answer.data) return html`<${Trouble} error=${answer.error} />`;
  if (!answer.data) return html`<p class="nothing" role="status">Reading…</p>`;
  return children(answer.data);
}

/** Copies a text; says so. */
export function Copy({ text, label }) {
  const [copied, set] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const end = setTimeout(() => set(false), 1500);
    return () => clearTimeout(end);
  }, [copied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(true);
    } catch {
      window.prompt(label, text);
    }
  };
  return html`<button type="button" class="small" onClick=${copy} aria-label=${label}><span aria-live="polite">${copied ? "copied" : "copy"}</span></button>`;
}

/** A question before something is done. `onYes` may be awaited; what it throws is shown. */
export function Question({ title, text, yes, onYes, onClose, danger }) {
  const dialog = useRef(null);
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const agree = async () => {
    setBusy(true);
    setTrouble(null);
    try {
      await onYes();
      onClose();
    } catch (error) {
      setTrouble(error);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="question">
    <h2 id="question">${title}</h2>
    <p>${text}</p>
    ${trouble ? html`<${Trouble} error=${trouble} />` : null}
    <div class="actions">
      <button type="button" onClick=${() => dialog.current.close()}>Cancel</button>
      <button type="button" class=${danger ? "danger" : "primary"} disabled=${busy} onClick=${agree}>${yes}</button>
    </div>
  </dialog>`;
}

/** The width and height that an element has, as they change. */
export function useSize(element) {
  const [size, set] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect;
      set((before) => (before.width === width && before.height === height ? before : { width, height }));
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

/** The heading of a view, with the link to its JSON twin. */
export const Heading = ({ children, twin }) => html`<div class="heading"><h1>${children}</h1>
  ${twin ? html`<a class="twin" href=${twin} target="_blank" rel="noopener" title="The same as JSON">JSON</a>` : null}</div>`;
