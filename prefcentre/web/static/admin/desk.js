// What all pages of the desk share: the proof for requests of htmx, what to do when they fail, and Ctrl-K.
(() => {
  "use strict";

  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content || "";

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = meta("csrf-token");
  });

  // A part of a page that could not be had says so once; what is shown stays.
  function tell(words) {
    const place = document.getElementById("messages");
    if (!place || place.querySelector("[data-from-script]")) return;
    const box = document.createElement("div");
    box.className = "alert alert-warning";
    box.dataset.fromScript = "";
    box.textContent = words;
    place.append(box);
  }
  document.addEventListener("htmx:sendError", () => tell("The server does not answer. What you see may be old; this page goes on trying."));
  document.addEventListener("htmx:responseError", () => tell("That did not work. Load the page anew to see how things stand."));
  document.addEventListener("htmx:afterOnLoad", () => document.querySelector("#messages [data-from-script]")?.remove());

  // A table that is wider than the screen can be moved by keyboard as well.
  function reach() {
    const taken = new Map();
    document.querySelectorAll(".table-responsive").forEach((area) => {
      if (area.scrollWidth <= area.clientWidth) {
        area.removeAttribute("tabindex");
        return;
      }
      area.tabIndex = 0;
      area.setAttribute("role", "region");
      const words = area.querySelector("caption") || area.closest("details")?.querySelector("summary") || area.closest(".card, section")?.querySelector("h2, h3") || document.querySelector("h1");
      const name = (words?.textContent || "Table").trim();
      // Two places of one name can't be told apart by those who go from one to the next.
      const turn = (taken.get(name) || 0) + 1;
      taken.set(name, turn);
      area.setAttribute("aria-label", turn > 1 ? `${name}, table ${turn}` : name);
    });
  }
  window.addEventListener("resize", reach);
  document.addEventListener("htmx:afterSettle", reach);
  reach();

  // Whoever begins here lives where their browser's clock is; the choice stays theirs.
  document.querySelectorAll("[data-suggest-zone]").forEach((select) => {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ([...select.options].some((option) => option.value === own)) select.value = own;
  });

  // --- Ctrl-K: people, campaigns and pages -------------------------------------------------------------------------

  const palette = document.getElementById("palette");
  if (!palette) return;
  const text = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  const hint = document.getElementById("palette-hint");
  const address = palette.querySelector("form").action;
  const usual = hint.textContent;
  let chosen = -1;
  let asked = 0;
  let waiting = 0;

  function open() {
    if (palette.open) return;
    text.value = "";
    show([]);
    hint.textContent = usual;
    palette.showModal();
    text.focus();
    ask();
  }

  function choose(place) {
    const options = [...list.children];
    chosen = options.length ? (place + options.length) % options.length : -1;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === chosen)));
    if (chosen >= 0) {
      text.setAttribute("aria-activedescendant", options[chosen].id);
      options[chosen].scrollIntoView({ block: "nearest" });
    } else {
      text.removeAttribute("aria-activedescendant");
    }
  }

  function show(found) {
    list.replaceChildren(...found.map((one, number) => {
      const option = document.createElement("li");
      option.id = `palette-${number}`;
      option.setAttribute("role", "option");
      option.dataset.href = one.href;
      const name = document.createElement("span");
      name.textContent = one.title;
      const kind = document.createElement("span");
      kind.className = "text-secondary";
      kind.textContent = one.detail ? `${one.kind} · ${one.detail}` : one.kind;
      option.append(name, kind);
      return option;
    }));
    text.setAttribute("aria-expanded", String(found.length > 0));
    choose(0);
  }

  async function ask() {
    const number = ++asked;
    const wanted = text.value.trim();
    try {
      const answer = await fetch(`${address}?q=${encodeURIComponent(wanted)}`, { headers: { Accept: "application/json" } });
      if (number !== asked) return;
      if (!answer.ok || !(answer.headers.get("Content-Type") || "").startsWith("application/json")) throw new Error(answer.statusText);
      const found = (await answer.json()).found;
      show(found);
      hint.textContent = found.length || wanted.length < 2 ? usual : `Nothing is called “${wanted}”.`;
    } catch {
      if (number === asked) hint.textContent = "The server does not answer. Try again in a moment.";
    }
  }

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  document.querySelectorAll("[data-find]").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    open();
  }));
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      window.location.assign(list.children[chosen].dataset.href);
    }
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-href]");
    if (option) window.location.assign(option.dataset.href);
  });
  palette.addEventListener("click", (event) => {
    if (event.target === palette) palette.close();
  });
})();
