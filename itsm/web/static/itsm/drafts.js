// Drafts: what is typed into a composer stays on this device, per ticket and kind, until it has been sent.
"use strict";
const keepDraft = () => {
  const form = document.querySelector("form[data-draft]");
  if (!form || form.dataset.kept) return;
  form.dataset.kept = "yes";
  const PREFIX = "viable:draft:";
  const DAYS = 14;
  const body = form.elements.namedItem("body");
  const radios = [...form.querySelectorAll("input[name=audience]")];
  const kind = () => radios.find((radio) => radio.checked)?.value ?? "public";
  const key = (which) => `${PREFIX}${form.dataset.draft}:${which}`;

  // A browser may refuse storage (private window, full disk): then there are no drafts, and nothing else changes.
  const attempt = (action) => { try { return action(); } catch { return null; } };
  const read = (which) => attempt(() => JSON.parse(localStorage.getItem(key(which)))?.text) ?? "";
  const write = (which, text) => attempt(() => text.trim()
    ? localStorage.setItem(key(which), JSON.stringify({ text, at: Date.now() }))
    : localStorage.removeItem(key(which)));
  const old = (name) => !(attempt(() => JSON.parse(localStorage.getItem(name)).at) > Date.now() - DAYS * 86400000);
  attempt(() => Object.keys(localStorage).filter((name) => name.startsWith(PREFIX) && old(name))
    .forEach((name) => localStorage.removeItem(name)));

  // The server says that it was sent; a click on Send alone proves nothing.
  const sending = `viable:sending:${form.dataset.draft}`;
  const sent = attempt(() => sessionStorage.getItem(sending));
  attempt(() => sessionStorage.removeItem(sending));
  if (sent && document.querySelector(".note.done-comment")) write(sent, "");

  let current = kind();
  if (body.value) {
    write(current, body.value); // refused: what came back is the newest
  } else {
    if (!read(current)) {
      const other = radios.find((radio) => read(radio.value));
      if (other) { other.checked = true; current = other.value; }
    }
    body.value = read(current);
  }
  body.addEventListener("input", () => write(current, body.value));
  for (const radio of radios) {
    radio.addEventListener("change", () => {
      const before = current;
      current = kind();
      const waiting = read(current);
      // A reply may become a note; what was written as a note never slips into a reply by a click.
      if (current === "internal" && !waiting) { write(before, ""); write(current, body.value); }
      else { write(before, body.value); body.value = waiting; }
    });
  }
  form.addEventListener("submit", () => attempt(() => sessionStorage.setItem(sending, current)));
};
keepDraft();
document.addEventListener("viable:pane", keepDraft);
