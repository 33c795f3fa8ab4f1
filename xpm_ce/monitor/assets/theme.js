// Light, dark, or as the system has it: set before the first paint, so that nothing flashes. Knows no views.
(() => {
  const KEY = "xpm-ce-theme";
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  const kept = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system";
    }
  };
  window.theme = {
    get: kept,
    set(theme) {
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // A browser that keeps nothing still changes the page.
      }
      apply(theme);
      window.dispatchEvent(new Event("theme"));
    },
  };
  apply(kept());
})();
