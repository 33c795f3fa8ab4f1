// Asking the server from a component: the answer stays while it is asked again. Knows no views.
import { useState, useEffect, useRef } from "./dom.js";
import { get, twin } from "./api.js";
import { useResults } from "./live.js";

/**
 * What `path` says, kept while it is asked again: when the query changes, when new results are
 * there, and when `again` changes. `path` null asks nothing.
 */
export function useAnswer(path, query, again) {
  const [state, set] = useState({ data: null, error: null, loading: Boolean(path) });
  const results = useResults();
  const key = path ? twin(path, query) : null;
  const shown = useRef(null);
  useEffect(() => {
    if (!key) {
      set({ data: null, error: null, loading: false });
      return undefined;
    }
    const abort = new AbortController();
    const same = shown.current === key;
    set((before) => ({ ...before, loading: !same }));
    get(path, query, { signal: abort.signal }).then(
      (data) => {
        shown.current = key;
        set({ data, error: null, loading: false });
      },
      (error) => {
        if (error.name !== "AbortError") set((before) => ({ data: same ? before.data : null, error, loading: false }));
      },
    );
    return () => abort.abort();
  }, [key, results, again]);
  return state;
}
