// What can be written where the cursor is, from the catalogue of the language.
const KEYS = ["id", "description", "mode", "when", "tag", "on_unmatch", "stop", "tests", "all", "any", "not", "is", "field",
  "version", "timezone", "tags", "lists", "schedules", "conditions", "rules"]
const MODES = { mode: ["live", "shadow", "off"], on_unmatch: ["remove", "keep"], stop: ["true", "false"],
  has_recording: ["true", "false"], has_voicemail: ["true", "false"] }

const option = (type) => ({ name, meaning, takes, type: kind }) => ({ label: name, type, detail: takes ?? kind, info: meaning })
const plain = (label) => ({ label })

export function completions({ fields, operators }) {
  const byName = new Map(fields.map((field) => [field.name, field]))
  const fieldOptions = fields.map(option("variable"))

  function operatorsOf(field) {
    const fitting = operators.filter((one) => !field || one.types.includes(field.type))
    return fitting.map((one) => ({ ...option("keyword")(one), apply: `${one.name}: ` }))
  }

  return (context) => {
    const word = context.matchBefore(/[\w.]*/)
    if (word.from === word.to && !context.explicit) return null
    const before = context.state.sliceDoc(Math.max(0, word.from - 400), word.from)
    const line = before.slice(before.lastIndexOf("\n") + 1)
    const named = [...before.matchAll(/field:\s*"?([\w.]+)"?/g)].pop()
    const field = named && before.slice(named.index).split("\n").length < 4 ? byName.get(named[1]) : undefined
    const value = /([\w.]+):\s*(\[[^\]]*)?"?$/.exec(line)
    const found = (options) => ({ from: word.from, options, validFor: /^[\w.]*$/ })
    if (value?.[1] === "field") return found(fieldOptions)
    if (value && MODES[value[1]]) return found(MODES[value[1]].map(plain))
    if (value && field?.values.length) return found(field.values.map(plain))
    if (value && !value[2]) return null
    if (/call:\s*\{[^}]*$/.test(before)) return found(fieldOptions.map((one) => ({ ...one, apply: `${one.label}: ` })))
    if (/field:\s*[\w."]+\s*,\s*$/.test(line) || (named && field && /^\s*$/.test(line))) return found(operatorsOf(field))
    return /[{,\s-]$|^$/.test(line) ? found(KEYS.map((key) => ({ label: key, type: "property", apply: `${key}: ` }))) : null
  }
}

export function callCompletions({ fields }) {
  const byName = new Map(fields.map((field) => [field.name, field]))
  return (context) => {
    const word = context.matchBefore(/[\w.]*/)
    const before = context.state.sliceDoc(Math.max(0, word.from - 200), word.from)
    const value = /"([\w.]+)"\s*:\s*"?$/.exec(before)
    const quoted = before.endsWith('"')
    if (word.from === word.to && !quoted && !context.explicit) return null
    const wrap = (label) => (quoted ? label : `"${label}"`)
    const options = value
      ? (byName.get(value[1])?.values ?? []).map((label) => ({ label, apply: wrap(label) }))
      : fields.map((field) => ({ ...option("variable")(field), apply: wrap(field.name) }))
    return { from: word.from, options, validFor: /^[\w.]*$/ }
  }
}
