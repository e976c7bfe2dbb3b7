// What the pages use of CodeMirror 6, as one module.
export { autocompletion, completionKeymap } from "@codemirror/autocomplete"
export { defaultKeymap, history, historyKeymap, indentWithTab, toggleTabFocusMode } from "@codemirror/commands"
export { yaml } from "@codemirror/lang-yaml"
export { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language"
export { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint"
export { EditorState } from "@codemirror/state"
export { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view"
export { tags } from "@lezer/highlight"
