// When a job's state changes, what can be done with it and its plan are loaded anew.
const place = document.querySelector("#progress")
const state = () => place.querySelector("[data-state]")?.dataset.state
let known = state()
place.addEventListener("live", () => {
  if (state() === known) return
  known = state()
  htmx.trigger(document.querySelector("#rest"), "job-changed")
})
