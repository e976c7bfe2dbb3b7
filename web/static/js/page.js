// What every page has: a question before what cannot be undone, and forms that are sent once.
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.ask
  if (question && !window.confirm(question)) {
    event.preventDefault()
    event.stopImmediatePropagation()
  }
}, true)

const sent = new Set()
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post" || !event.submitter) return
  sent.add(event.submitter)
  setTimeout(() => { event.submitter.disabled = true }) // once its name and value are on the way
})
window.addEventListener("pageshow", () => { // one came back to the page
  for (const button of sent) button.disabled = false
  sent.clear()
})
