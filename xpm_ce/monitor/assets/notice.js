// A short message that says what an action did, for a while. Knows no views.
import { html, useState, useEffect } from "./dom.js";

const SHOWN = 6000; // ms
let tell = () => {};

export const notify = (text) => tell(text);

export function Notice() {
  const [notice, set] = useState(null);
  useEffect(() => {
    tell = (text) => set({ text });
  }, []);
  useEffect(() => {
    if (!notice) return undefined;
    const end = setTimeout(() => set(null), SHOWN);
    return () => clearTimeout(end);
  }, [notice]);
  return html`<div class="notice" role="status">${notice ? html`<p>${notice.text}</p>` : null}</div>`;
}
