// Buttons that copy the text of an element: <button data-copy="ID" hidden>.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const word = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Could not be copied: select the text";
    }
    setTimeout(() => { button.textContent = word; }, 2000);
  });
}
