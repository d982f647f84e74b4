// Before anything is painted: light or dark, as was chosen in this browser, else as the system wants it; and that scripts run.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("desk-scheme") || "";
    } catch {
      // A browser that keeps nothing follows the system.
      return "";
    }
  }

  function follow() {
    const choice = chosen();
    const scheme = choice === "light" || choice === "dark" ? choice : dark.matches ? "dark" : "light";
    if (root.getAttribute("data-bs-theme") !== scheme) root.setAttribute("data-bs-theme", scheme);
  }

  root.classList.add("has-scripts");
  dark.addEventListener("change", follow);
  window.addEventListener("storage", follow);
  follow();

  document.addEventListener("DOMContentLoaded", () => {
    const selects = document.querySelectorAll("select[data-scheme]");
    selects.forEach((select) => {
      select.value = chosen();
      select.addEventListener("change", () => {
        try {
          localStorage.setItem("desk-scheme", select.value);
        } catch {
          // Nothing to keep it in: it holds for this page.
          root.setAttribute("data-bs-theme", select.value || (dark.matches ? "dark" : "light"));
          return;
        }
        selects.forEach((other) => { other.value = select.value; });
        follow();
      });
    });
  });
})();
