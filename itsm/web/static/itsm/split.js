// The queue's pane: which row is open, where the focus goes, and what an answer that is no pane means.
"use strict";
(() => {
  const pane = document.getElementById("pane");
  if (!pane) return;
  const wide = matchMedia("(min-width: 60.01rem)");
  const openNow = () => new URLSearchParams(location.search).get("open")?.toUpperCase();
  const row = (number) => number && document.getElementById(`row-${number}`)?.querySelector(".title");
  let byKey = false;
  let last = openNow();

  // Enter on a link is a click without a pointer: that reader goes along into the pane.
  document.addEventListener("click", (event) => { byKey = event.detail === 0; }, true);

  const mark = (number) => {
    for (const title of document.querySelectorAll(".rows .title[aria-current]")) title.removeAttribute("aria-current");
    row(number)?.setAttribute("aria-current", "true");
  };

  // Signed out, or led elsewhere: the whole browser goes there.
  document.addEventListener("htmx:before:response", (event) => {
    const raw = event.detail.ctx.response.raw;
    if (raw.redirected && new URL(raw.url).pathname !== location.pathname) {
      event.preventDefault();
      location.assign(raw.url);
    }
  });

  document.addEventListener("htmx:after:swap", (event) => {
    const number = openNow();
    const sent = event.detail.ctx.request.method === "POST";
    mark(number);
    if (number !== last) document.getElementById("pane").scrollTop = 0;
    // On a narrow screen list and ticket are two pages, and a page begins at its top.
    if (!wide.matches && number !== last) scrollTo(0, 0);
    // A form is gone once it was sent, a closed pane as well: the focus must not fall back to the top of the document.
    const stays = document.activeElement !== document.body && !byKey;
    if (!stays) (number ? document.getElementById("pane") : row(last) ?? pane).focus({ preventScroll: true });
    if (sent) pane.querySelector(".conflict, .wrong")?.scrollIntoView({ block: "nearest" });
    byKey = false;
    last = number;
    document.dispatchEvent(new CustomEvent("viable:pane"));
  });

  document.addEventListener("htmx:error", () => {
    const notes = document.getElementById("notes");
    const note = document.createElement("p");
    note.className = "note error";
    note.textContent = pane.dataset.unreachable;
    notes.replaceChildren(note);
  });
})();
