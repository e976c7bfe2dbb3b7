// Draws each figure[data-chart] from the table beside it: the first column is time, each further one a series.
import uPlot from "../vendor/uplot.js"

const COLOURS = { light: ["#0172ad", "#b3261e", "#1b7c3d", "#8a5a00", "#6f42c1", "#00797a", "#ad1457", "#555f6b"],
  dark: ["#4fb3f0", "#ff8a80", "#5ecb80", "#f0b755", "#b79bf5", "#4fd0d1", "#f48fb1", "#aab4c0"] }
const DASHES = [[], [6, 3], [2, 3], [10, 4], [6, 3, 2, 3], [1, 2], [12, 2], [4, 4]]
const HEIGHT = 180
const dark = window.matchMedia("(prefers-color-scheme: dark)")
const drawn = new Map()

function read(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")]
  const names = [...figure.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent)
  const times = rows.map((row) => Number(row.querySelector("[data-at]").dataset.at))
  return { names, data: [times, ...names.map((_, n) => rows.map((row) => Number(row.cells[n + 1].textContent)))] }
}

function clock(at, times) {
  const text = new Date(at * 1000).toISOString()
  return times.at(-1) - times[0] > 2 * 86400 ? text.slice(5, 10) : text.slice(11, 16)
}

function series(name, n, bars, colour) {
  const look = bars ? { paths: uPlot.paths.bars({ size: [0.8, 40] }), fill: colour } : { dash: DASHES[n % DASHES.length] }
  return { label: name, stroke: colour, width: bars ? 0 : 2, points: { show: false }, ...look }
}

function draw(figure) {
  const plot = figure.querySelector(".plot")
  if (!plot) return
  drawn.get(figure)?.destroy()
  const { names, data } = read(figure)
  const style = getComputedStyle(figure)
  const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue("--pico-muted-border-color"), width: 1 } }
  const colours = COLOURS[dark.matches ? "dark" : "light"]
  const options = {
    width: plot.clientWidth, height: HEIGHT, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { drag: { x: false, y: false } }, scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [{ ...axis, space: 60, values: (_, times) => times.map((at) => clock(at, data[0])) }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000, 50000, 100000] }],
    series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...names.map((name, n) =>
      series(name, n, figure.dataset.chart === "bars", colours[n % colours.length]))],
  }
  drawn.set(figure, new uPlot(options, data, plot))
}

function drawAll() {
  for (const figure of drawn.keys()) if (!figure.isConnected) { drawn.get(figure).destroy(); drawn.delete(figure) }
  document.querySelectorAll("figure[data-chart]").forEach(draw)
}

drawAll()
dark.addEventListener("change", drawAll)
document.addEventListener("htmx:after:swap", drawAll)
let width = window.innerWidth
window.addEventListener("resize", () => {
  if (window.innerWidth !== width) { width = window.innerWidth; drawAll() }
})
