// Asks for the jobs before the page's modules are there: they are what takes longest. Knows one address.
(() => {
  const experiment = new URLSearchParams(location.search).get("experiment");
  const address = `/api/jobs${experiment ? `?${new URLSearchParams({ experiment })}` : ""}`;
  const answer = fetch(address, { headers: { Accept: "application/json" }, cache: "no-store" });
  answer.catch(() => {}); // who waits for it says what went wrong
  window.early = { address, answer };
})();
