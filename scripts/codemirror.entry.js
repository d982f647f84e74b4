// What the admin's editor needs of CodeMirror 6, as one file: window.CodeMirrorDesk.
import { autocompletion, snippet } from "@codemirror/autocomplete";
import { html } from "@codemirror/lang-html";
import { markdown } from "@codemirror/lang-markdown";
import { Compartment, EditorState } from "@codemirror/state";
import { Decoration, EditorView, keymap } from "@codemirror/view";
import { basicSetup } from "codemirror";

window.CodeMirrorDesk = {
  autocompletion, basicSetup, Compartment, Decoration, EditorState, EditorView, html, keymap, markdown, snippet,
};
