// Before anything is painted: light or dark as the system wants it, and that scripts run.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  root.classList.add("has-scripts");
  dark.addEventListener("change", follow);
  follow();
})();
