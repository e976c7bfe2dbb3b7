// What is live: [data-live] names a stream of server-rendered items. With data-most they are put first, each once, and
// the oldest go; without it the newest takes the place of what was there.
function listen(place) {
  const source = new EventSource(place.dataset.live)
  const pause = document.querySelector(`[data-pause="${place.id}"]`)
  let held = []
  const put = (html) => {
    if (!place.dataset.most) { place.innerHTML = html; place.dispatchEvent(new CustomEvent("live", { bubbles: true })); return }
    const box = document.createElement("template")
    box.innerHTML = html
    const fresh = [...box.content.children].filter((item) => !place.querySelector(`[data-key="${item.dataset.key}"]`))
    place.prepend(...fresh)
    while (place.children.length > Number(place.dataset.most)) place.lastElementChild.remove()
  }
  source.addEventListener("items", (event) => {
    if (pause?.getAttribute("aria-pressed") === "true") held = [...held, event.data].slice(-20)
    else put(event.data)
  })
  if (pause) {
    pause.hidden = false
    pause.addEventListener("click", () => {
      const now = pause.getAttribute("aria-pressed") !== "true"
      pause.setAttribute("aria-pressed", String(now))
      pause.textContent = now ? "Go on" : "Pause"
      if (!now) { held.forEach(put); held = [] }
    })
  }
  window.addEventListener("pagehide", () => source.close())
}

document.querySelectorAll("[data-live]").forEach(listen)
