// Keys: what they do is said by the list in the help dialog; single characters only for whoever has not turned them off.
"use strict";
(() => {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const single = dialog.hasAttribute("data-single-keys");
  const actions = new Map([...dialog.querySelectorAll("[data-action]")]
    .filter((one) => one.dataset.action && (single || !one.hasAttribute("data-single")))
    .map((one) => [one.dataset.key, one.dataset.action]));

  const titles = () => [...document.querySelectorAll(".rows .title")];
  // Where the reader is in the list: the row with the focus, else the open one.
  const place = (all) => {
    const focused = all.indexOf(document.activeElement);
    return focused >= 0 ? focused : all.findIndex((title) => title.hasAttribute("aria-current"));
  };
  const move = (step) => {
    const all = titles();
    if (!all.length) return false;
    const now = place(all);
    const next = all[now < 0 ? 0 : Math.min(Math.max(now + step, 0), all.length - 1)];
    next.focus({ preventScroll: true });
    next.closest("tr").scrollIntoView({ block: "nearest" });
    return true;
  };
  const run = {
    next: () => move(1),
    previous: () => move(-1),
    page: () => {
      const all = titles();
      const address = document.activeElement?.closest?.("#pane")
        ? document.getElementById("whole-page")?.href
        : all[place(all)]?.closest("tr").dataset.page;
      if (address) location.assign(address);
      return Boolean(address);
    },
    search: () => {
      const field = document.getElementById("find");
      field?.focus();
      return Boolean(field);
    },
    help: () => { dialog.showModal(); return true; },
    close: () => {
      const menu = document.querySelector(".menu[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); return true; }
      const close = document.getElementById("close-pane");
      close?.click();
      return Boolean(close);
    },
  };

  // A field takes every key; a select box and a button take theirs, and none of ours is among them.
  const typing = (element) => element.isContentEditable ||
    element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=file])");
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") || typing(event.target)) return;
    const action = actions.get(event.key.toLowerCase());
    if (action && run[action]()) event.preventDefault();
  });

  for (const link of document.querySelectorAll("[data-help]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); dialog.showModal(); });
  }
  document.documentElement.classList.add("scripted");
})();
