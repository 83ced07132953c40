// Whether the page has been at rest for a moment: no script runs, nothing waits to be redrawn.
() => {
  const app = document.querySelector(".stApp"), now = performance.now();
  const busy = !app || app.dataset.testScriptState !== "notRunning" || document.querySelector("[data-stale=true]");
  if (busy) { window.crawlQuiet = undefined; return false; }
  window.crawlQuiet ??= now;
  if (now - window.crawlQuiet < 180) return false;
  window.crawlQuiet = undefined;
  return true;
}
