// Folds: a link to something inside one opens it. Print opens all, and fetches every picture.
function openAround(id) {
  const target = id && document.getElementById(id);
  for (let one = target; one; one = one.parentElement) {
    if (one.tagName === "DETAILS") one.open = true;
  }
  if (target) target.scrollIntoView();
}
const follow = () => openAround(decodeURIComponent(location.hash.slice(1)));
window.addEventListener("hashchange", follow);
window.addEventListener("load", follow);
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  document.querySelectorAll("img").forEach((one) => { one.loading = "eager"; });
});

// Buttons that copy what they name. Where the browser keeps the clipboard closed, the words are shown to be copied by hand.
document.addEventListener("click", async ({target}) => {
  const words = target.dataset && target.dataset.copied;
  if (!words) return;
  const name = target.dataset.named ??= target.textContent;
  try {
    await navigator.clipboard.writeText(words);
    target.textContent = "Copied";
    setTimeout(() => { target.textContent = name; }, 2000);
  } catch {
    prompt(name, words);
  }
});
