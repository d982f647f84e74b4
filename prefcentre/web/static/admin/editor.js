// The editor of a campaign: saves by itself, shows what is wrong beside its field, and keeps the preview up to date.
// Without this script the page is a form with a button, and the preview follows after saving.
(() => {
  "use strict";
  const form = document.getElementById("editor");
  if (!form) return;
  const preview = document.getElementById("preview");
  const state = document.getElementById("save-state");
  const conflict = document.getElementById("conflict");
  const locked = form.dataset.locked === "yes";
  const PAUSE = 900;
  const AGAIN = 5000;
  const look = new URL(preview.src, location.href).searchParams;
  document.documentElement.classList.add("has-scripts");

  // --- The preview and its views ------------------------------------------------------------------------------------

  const show = () => {
    const query = new URLSearchParams();
    const person = form.elements.person.value;
    if (person) query.set("person", person);
    for (const key of ["view", "dark", "images"]) if (look.get(key)) query.set(key, look.get(key));
    const page = new URL(location.href);
    page.search = query.toString();
    history.replaceState(null, "", page);
    query.set("r", form.elements.revision.value);
    preview.src = `${preview.dataset.src}?${query}`;
    const view = look.get("view") || "desk";
    preview.className = `preview-frame preview-${view}`;
    preview.parentElement.classList.toggle("preview-dark", look.get("dark") === "1");
    for (const link of document.querySelectorAll("[data-view]")) mark(link, link.dataset.view === view);
    mark(document.querySelector("[data-dark]"), look.get("dark") === "1");
    mark(document.querySelector("[data-images]"), look.get("images") === "0");
  };
  const mark = (link, on) => {
    link.classList.toggle("active", on);
    if (on) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-view], [data-dark], [data-images], [data-person]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.person) return see(link);
    if (link.dataset.view) look.set("view", link.dataset.view);
    else if (link.hasAttribute("data-dark")) look.set("dark", look.get("dark") === "1" ? "" : "1");
    else look.set("images", look.get("images") === "0" ? "" : "0");
    show();
  });
  const see = (link) => {
    const box = document.getElementById("reader");
    form.elements.person.value = link.dataset.person;
    box.placeholder = link.textContent.trim().replace(/\s+/g, " ");
    box.value = "";
    document.getElementById("readers").replaceChildren();
    box.focus();
    if (locked) show();
    else save(true);
  };
  if (locked) return;

  // --- What is wrong, beside its field ------------------------------------------------------------------------------

  let editor = null;
  const tell = (trouble) => {
    for (const place of document.querySelectorAll("[data-wrong]")) {
      const here = trouble && trouble.field === place.dataset.wrong;
      const words = here ? `${trouble.line ? `Line ${trouble.line}: ` : ""}${trouble.message}` : "";
      if (place.textContent !== words) place.textContent = words;
      place.classList.toggle("d-block", Boolean(here));
      place.classList.toggle("d-none", !here);
      const field = document.getElementById(`f-${place.dataset.wrong}`);
      if (!field) continue;
      field.classList.toggle("is-invalid", Boolean(here));
      if (here) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    if (editor) editor.wrong(trouble && trouble.field === "body" ? trouble.line : null);
  };

  // --- Saving -------------------------------------------------------------------------------------------------------

  let timer = 0;
  let busy = false;
  let dirty = false;
  let stopped = false;
  const later = (pause) => {
    clearTimeout(timer);
    timer = setTimeout(save, pause);
  };
  const changed = () => {
    dirty = true;
    if (stopped) return;
    state.textContent = "Not saved yet …";
    later(PAUSE);
  };
  const save = async (anyway) => {
    clearTimeout(timer);
    if (stopped || busy || (!dirty && anyway !== true)) return;
    busy = true;
    dirty = false;
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json" },
      });
      const told = await answer.json();
      if (answer.status === 409) return refuse(told.problem);
      if (!answer.ok) throw new Error(String(answer.status));
      form.elements.revision.value = told.revision;
      state.textContent = dirty ? "Not saved yet …" : told.saved;
      document.getElementById("preview-subject").textContent = told.subject || form.elements.subject.value;
      tell(told.trouble);
      show();
    } catch {
      dirty = true;
      state.textContent = "Not saved: the server does not answer. Trying again …";
      later(AGAIN);
    } finally {
      busy = false;
      if (dirty && !stopped) later(PAUSE);
    }
  };
  const refuse = (problem) => {
    stopped = true;
    dirty = true;
    conflict.hidden = false;
    conflict.textContent = problem;
    conflict.tabIndex = -1;
    conflict.focus();
    state.textContent = "Not saved";
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", () => {
    dirty = false;
    clearTimeout(timer);
  });
  window.addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
  document.getElementById("test")?.addEventListener("submit", async (event) => {
    if (!dirty && !busy) return;
    event.preventDefault();
    const sent = event.target;
    while (busy) await new Promise((done) => setTimeout(done, 100));
    if (dirty) await save();
    if (!stopped) sent.submit();
  });

  // --- The body -----------------------------------------------------------------------------------------------------

  const area = document.getElementById("f-body");
  const insert = (text) => {
    if (editor) return editor.insert(text);
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.focus();
    changed();
  };
  document.getElementById("snippet").addEventListener("change", (event) => {
    event.stopPropagation();
    if (event.target.value) insert(event.target.value);
    event.target.value = "";
  });

  const kit = window.CodeMirrorDesk;
  if (!kit) return;
  let words = { variables: [], snippets: [] };
  fetch(form.dataset.words, { headers: { Accept: "application/json" } })
    .then((answer) => (answer.ok ? answer.json() : words))
    .then((found) => (words = found))
    .catch(() => {});
  const complete = (context) => {
    const inside = context.matchBefore(/\{\{\s*[\w.]*$/);
    if (inside) {
      const name = context.matchBefore(/[\w.]*$/);
      const rest = context.state.sliceDoc(context.pos, context.pos + 4);
      const end = /^\}\}/.test(rest) ? " " : /^\s*\}\}/.test(rest) ? "" : " }}";
      return {
        from: name ? name.from : context.pos,
        options: words.variables.map((label) => ({
          label,
          type: "variable",
          apply: label.endsWith(".") ? label : label + end,
        })),
        validFor: /^[\w.]*$/,
      };
    }
    const word = context.matchBefore(/[\wÀ-ɏ]+$/);
    if (!word && !context.explicit) return null;
    return {
      from: word ? word.from : context.pos,
      options: words.snippets.map((piece) => ({ label: piece.name, detail: "snippet", type: "text", apply: piece.body })),
      validFor: /^[\wÀ-ɏ ]*$/,
    };
  };
  const { EditorView, EditorState, Decoration } = kit;
  const meta = document.querySelector('meta[name="csp-nonce"]');
  const shared = {
    extensions: [
      EditorView.cspNonce.of(meta ? meta.content : ""),
      kit.basicSetup,
      EditorView.lineWrapping,
      form.dataset.form === "md" ? kit.markdown() : kit.html({ matchClosingTags: false }),
      EditorState.languageData.of(() => [{ autocomplete: complete }]),
      EditorView.contentAttributes.of({
        "aria-labelledby": "body-label",
        "aria-describedby": "wrong-body",
        spellcheck: "true",
      }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        area.value = update.state.doc.toString();
        changed();
      }),
    ],
  };
  const wrongLine = new kit.Compartment();
  const view = new EditorView({
    doc: area.value,
    extensions: [...shared.extensions, wrongLine.of([])],
  });
  area.after(view.dom);
  area.hidden = true;
  document.getElementById("body-label").addEventListener("click", () => view.focus());
  editor = {
    insert(text) {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    wrong(line) {
      const marks =
        line && line <= view.state.doc.lines
          ? Decoration.set([Decoration.line({ class: "cm-wrong-line" }).range(view.state.doc.line(line).from)])
          : Decoration.none;
      view.dispatch({ effects: wrongLine.reconfigure(EditorView.decorations.of(marks)) });
    },
  };
})();
