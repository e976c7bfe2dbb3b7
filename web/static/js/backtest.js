// Thresholds that can be moved: how many of the calls would be on the rule's side of another one.
const WIDTH = 720
const said = document.getElementById("fields")
const fields = said ? JSON.parse(said.textContent) : {}
const holds = {
  gt: (value, [mark]) => value > mark,
  gte: (value, [mark]) => value >= mark,
  lt: (value, [mark]) => value < mark,
  lte: (value, [mark]) => value <= mark,
  eq: (value, [mark]) => value === mark,
  between: (value, [low, high]) => value >= low && value <= high,
}

function shown(value, unit) {
  if (unit !== "s") return `${value}`
  const whole = Math.round(value)
  const parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]]
  return parts.filter(([number]) => number).map(([number, name]) => number + name).join("") || "0s"
}

for (const figure of document.querySelectorAll("[data-threshold]")) {
  const { field, operator, unit } = figure.dataset
  const [start, end] = [Number(figure.dataset.start), Number(figure.dataset.end)]
  const sliders = [...figure.querySelectorAll("input[type=range]")]
  const lines = figure.querySelectorAll("line.mark")
  const values = fields[field].values
  const all = values.reduce((sum, [, calls]) => sum + calls, 0)
  // A step as values are kept: three digits. What is not moved stays exactly as it was written.
  const rounded = (value) => Number(value.toPrecision(3))
  const written = JSON.parse(figure.dataset.marks)
  const marks = [...written]
  const count = (at) => values.reduce((sum, [value, calls]) => sum + (holds[operator](value, at) ? calls : 0), 0)
  const tell = () => {
    marks.forEach((mark, at) => {
      const x = ((mark - start) / (end - start)) * WIDTH
      lines[at].setAttribute("x1", x)
      lines[at].setAttribute("x2", x)
      sliders[at].setAttribute("aria-valuetext", shown(mark, unit))
    })
    const now = count(marks)
    const share = all ? ` (${((now / all) * 100).toFixed(1)} %)` : ""
    const before = marks.some((mark, at) => mark !== written[at]) ? `; as written ${count(written)}` : ""
    figure.querySelector("[data-said]").textContent =
      `${operator} ${marks.map((mark) => shown(mark, unit)).join(" to ")}: ${now} of ${all} calls that have a value${share}${before}`
  }
  sliders.forEach((slider, at) => {
    slider.labels[0].hidden = false
    slider.addEventListener("input", () => {
      marks[at] = rounded(Number(slider.value))
      tell()
    })
  })
  tell()
}
