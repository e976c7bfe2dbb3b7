// The playground: editors in the place of the two text areas, and what the rules say while one types.
import {
  autocompletion, bracketMatching, completionKeymap, defaultKeymap, drawSelection, EditorState, EditorView,
  highlightActiveLine, HighlightStyle, history, historyKeymap, indentUnit, indentWithTab, keymap, lineNumbers,
  lintGutter, lintKeymap, setDiagnostics, syntaxHighlighting, tags, yaml,
} from "../vendor/codemirror.js"
import { completions, callCompletions } from "./completing.js"

const WAIT = 300
const desk = document.getElementById("desk")
const result = document.getElementById("tried")
const heard = document.getElementById("summary")
const words = JSON.parse(document.getElementById("words").textContent)

const theme = EditorView.theme({
  "&": { color: "var(--pico-color)", backgroundColor: "var(--pico-form-element-background-color)",
    border: "1px solid var(--pico-form-element-border-color)", borderRadius: "var(--pico-border-radius)" },
  "&.cm-focused": { outline: "3px solid var(--pico-primary)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--pico-font-family-monospace)", fontSize: "14px", maxHeight: "34rem" },
  ".cm-content": { caretColor: "var(--pico-color)", minHeight: "12rem" },
  ".cm-cursor": { borderLeftColor: "var(--pico-color)" },
  ".cm-gutters": { color: "var(--pico-muted-color)", backgroundColor: "transparent",
    borderRight: "1px solid var(--pico-muted-border-color)" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--pico-text-selection-color)" },
  ".cm-tooltip, .cm-panels": { color: "var(--pico-color)", backgroundColor: "var(--pico-card-background-color)",
    border: "1px solid var(--pico-muted-border-color)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { color: "var(--pico-primary-inverse)",
    backgroundColor: "var(--pico-primary-background)" },
})
const colours = syntaxHighlighting(HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--pico-primary)" },
  { tag: [tags.string, tags.content], color: "var(--pico-color)" },
  { tag: tags.comment, color: "var(--pico-muted-color)", fontStyle: "italic" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: "var(--pico-muted-color)" },
]))

function editor(area, place, name, source, more = []) {
  const view = new EditorView({
    parent: place,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        EditorView.cspNonce.of(desk.dataset.nonce), theme, colours, yaml(), indentUnit.of("  "), history(),
        lineNumbers(), drawSelection(), highlightActiveLine(), bracketMatching(), EditorView.lineWrapping,
        autocompletion({ override: [source], icons: false }),
        keymap.of([...completionKeymap, ...lintKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ "aria-label": name, tabindex: "0", "aria-describedby": area.getAttribute("aria-describedby"),
          spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return
          area.value = update.state.doc.toString()
          later()
        }),
        ...more,
      ],
    }),
  })
  area.hidden = true
  area.labels.forEach((label) => label.addEventListener("click", () => view.focus()))
  place.hidden = false
  return view
}

function put(view, text) {
  const now = view.state.doc.toString()
  if (text !== now) view.dispatch({ changes: { from: 0, to: now.length, insert: text } })
}

// Lines and columns count from 1, and columns in characters, of which some are two units here.
function offset(doc, line, column) {
  const found = doc.line(Math.min(Math.max(line, 1), doc.lines))
  return found.from + [...found.text].slice(0, column - 1).join("").length
}

function mark(marks) {
  const doc = rules.state.doc
  const found = marks.map(({ line, column, message, warning }) => {
    const from = offset(doc, line, column)
    const word = /^[^\s,:{}[\]]+/.exec(doc.sliceString(from, doc.lineAt(from).to))
    const to = Math.min(from + (word ? word[0].length : 1), doc.length)
    return { from: Math.min(from, to), to, severity: warning ? "warning" : "error", message }
  })
  rules.dispatch(setDiagnostics(rules.state, found))
}

let timer, asked = 0, saved = desk.elements.text.value

function later() {
  clearTimeout(timer)
  result.setAttribute("aria-busy", "true")
  timer = setTimeout(() => ask("try"), WAIT)
}

async function ask(what) {
  clearTimeout(timer)
  const number = ++asked
  const fields = new URLSearchParams(new FormData(desk))
  fields.set("do", what)
  let told
  try {
    const answer = await fetch(desk.action, { method: "POST", body: fields,
      headers: { Accept: "application/json", "X-CSRF-Token": desk.dataset.csrf } })
    if (!answer.headers.get("content-type")?.startsWith("application/json")) throw new Error(answer.status)
    told = await answer.json()
  } catch {
    if (number === asked) say("No answer: calltag is away, or you are logged out. Your text is still here; copy it to be sure.")
    return
  }
  if (number !== asked) return
  result.innerHTML = told.html
  if (heard.textContent !== told.summary) heard.textContent = told.summary
  result.removeAttribute("aria-busy")
  if (what !== "try") {
    document.getElementById("said").innerHTML = told.said
    put(rules, told.text)
    put(call, told.call)
    desk.elements.name.value = told.name
    clearTimeout(timer)
  }
  mark(told.marks)
}

function say(text) {
  const line = document.createElement("p")
  line.className = "wrong"
  line.setAttribute("role", "alert")
  line.textContent = text
  result.replaceChildren(line)
  result.removeAttribute("aria-busy")
}

const rules = editor(desk.elements.text, document.getElementById("editor"), "Rules as YAML", completions(words), [lintGutter()])
const call = editor(desk.elements.call, document.getElementById("call-editor"), "Call as JSON", callCompletions(words))
document.querySelectorAll("[data-script]").forEach((one) => { one.hidden = false })

desk.addEventListener("submit", (event) => {
  const what = document.activeElement === desk.elements.ref ? "load-ref" : event.submitter?.value
  if (["try", "test", "load-ref", "load-sample"].includes(what)) {
    event.preventDefault()
    ask(what)
  } else {
    saved = desk.elements.text.value
  }
})
desk.elements.sample.addEventListener("change", (event) => event.target.value && ask("load-sample"))
desk.elements.at.addEventListener("input", later)
desk.elements.only.addEventListener("input", later)
function go(line, column) {
  const at = offset(rules.state.doc, line, column)
  rules.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) })
  rules.focus()
}

result.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]")
  if (place) go(Number(place.dataset.line), Number(place.dataset.column))
})
const wanted = /^#line-(\d{1,6})$/.exec(location.hash)
if (wanted) go(Number(wanted[1]), 1)
window.addEventListener("beforeunload", (event) => {
  if (desk.elements.text.value !== saved) event.preventDefault()
})
ask("try")
