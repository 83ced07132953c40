// The controls of a page, also in shadow trees: one entry a signature, marked with data-crawl where it can be clicked.
() => {
  const everywhere = (root, selector) => {
    const found = [...root.querySelectorAll(selector)];
    for (const element of root.querySelectorAll("*")) if (element.shadowRoot) found.push(...everywhere(element.shadowRoot, selector));
    return found;
  };
  const host = (element) => { const root = element.getRootNode(); return root.host ?? null; };
  const keyOf = (element) => {
    for (let at = element; at; at = at.parentElement ?? host(at)) {
      const key = [...(at.classList ?? [])].find((name) => name.startsWith("st-key-"));
      if (key) return key.slice(7);
    }
    return "";
  };
  const plain = (words) => (words ?? "").replace(/\s+/g, " ").replace(/bn-\d+|[0-9a-f]{8}-[0-9a-f-]+|\d[\d.,]*/g, "#").trim().slice(0, 60);
  const isThere = (element) => {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    const label = element.closest("label");
    return (box.width > 0 && box.height > 0 && style.visibility !== "hidden") || (label && label.getBoundingClientRect().width > 0);
  };
  const kinds = [
    ["cell", "[data-pick]"], ["tick", "[data-check], [data-check-all]"], ["link", "a[href]"], ["expander", "summary"],
    ["tab", "[role=tab]"], ["select", "input[role=combobox]"], ["check", "input[type=checkbox]"], ["radio", "input[type=radio]"],
    ["number", "input[type=number]"], ["slider", "[role=slider], input[type=range]"],
    ["text", "input[type=text]:not([role]), input[type=search], textarea"], ["button", "button"],
  ];
  const rank = { key: 0, cell: 1, button: 2, expander: 2, tab: 4, tick: 1, check: 5, radio: 5, slider: 6, number: 6, select: 7, text: 8, link: 9 };
  // Streamlit's own: tooltips, its menu, the sidebar's handle, parts of a select, the toolbar of a table or a chart
  const notOurs = "[aria-label^=Help], [data-testid=stMainMenuButton], [data-testid^=stBaseButton-header], [data-testid^=stSidebarCollapse], "
    + "[data-testid=stExpandSidebarButton], [data-testid^=stElementToolbar], [data-testid=stElementToolbarButton] *, "
    + "[data-testid=stCodeCopyButton], [data-testid=stException] *, [role=group] > button[aria-label=Open], [data-testid=stSkipToContent], [href^='#'], .modebar-btn";
  const seen = new Set(), controls = [];
  let mark = 0;
  const take = (kind, element, word) => {
    if (element.matches(notOurs) || element.closest("[data-testid=stElementToolbar]") || !isThere(element)) return;
    if (element.disabled || element.getAttribute("aria-disabled") === "true") return;
    const key = plain(keyOf(element)), signature = `${kind} ${key} ${plain(word)}`.trim();
    if (controls.some((other) => other.signature === signature)) return;
    element.dataset.crawl = String(++mark);
    const aside = element.closest("[data-testid=stSidebar]");
    controls.push({ kind, key, word, signature, mark, rank: rank[kind] + (aside ? 10 : 0), everywhere: Boolean(aside && kind === "link") });
  };
  for (const element of everywhere(document, "[data-crawl]")) delete element.dataset.crawl;
  for (const [kind, selector] of kinds)
    for (const element of everywhere(document, selector)) {
      if (seen.has(element)) continue;
      seen.add(element);
      const words = kind === "cell" ? "" : kind === "tick" ? (element.matches("[data-check-all]") ? "all" : "one")
        : element.getAttribute("aria-label") || element.innerText || element.placeholder || "";
      take(kind, element, words);
    }
  const names = { "←": "ArrowLeft", "→": "ArrowRight", "Left": "ArrowLeft", "Right": "ArrowRight" };
  for (const mark of everywhere(document, "kbd[aria-label^=Shortcut]")) {
    const button = mark.closest("button");
    if (!button || button.disabled) continue;
    const word = mark.getAttribute("aria-label").replace("Shortcut ", "");
    const key = names[word] ?? word, signature = `key ${plain(keyOf(button))} ${word}`;
    if (isThere(button) && !controls.some((other) => other.signature === signature))
      controls.push({ kind: "key", key: "", word: key.length === 1 ? key.toLowerCase() : key, signature, mark: 0, rank: rank.key, everywhere: false });
  }
  return controls;
}
