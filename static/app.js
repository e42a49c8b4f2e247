// What the pages do on top of plain forms and links. Every page works without this file.
(() => {
  "use strict";
  const body = document.body;
  const dialog = document.getElementById("dialog");
  const panel = document.getElementById("dialog-body");

  // --- The dialog: a page's panel, fetched by htmx ---------------------------------------------
  const heading = () => panel.querySelector("h1, h2");
  function openDialog() {
    const title = heading();
    if (title) title.id = "dialog-title";
    if (!dialog.open) dialog.showModal();
    const first = panel.querySelector("[autofocus], [aria-invalid='true'], input:not([type=hidden]), select, textarea");
    const alert = panel.querySelector("[role=alert]");
    if (alert) alert.scrollIntoView({ block: "nearest" });
    if (first) first.focus();
  }
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === panel && panel.firstElementChild) openDialog();
    panel.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
  });
  // What opened the dialog may have been replaced, and what was done is said at the top of the page.
  document.addEventListener("modelkeep:saved", () => {
    dialog.close();
    document.getElementById("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  dialog.addEventListener("close", () => {
    const form = panel.querySelector("form");
    const cancelled = form && form.querySelector("[aria-busy=true]") ? form.dataset.cancelled : "";
    htmx.trigger(form || panel, "htmx:abort");
    panel.replaceChildren(); // nothing that was typed stays behind
    if (!cancelled) return;
    say(cancelled, "info");
    htmx.ajax("GET", location.href, { target: "#results", select: "#results", swap: "outerHTML" });
  });
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer && dialog.open && dialog.contains(closer)) {
      event.preventDefault();
      dialog.close();
    }
  });

  // --- Errors of htmx requests: said on the page, nothing stays stuck --------------------------
  function say(text, tone = "bad") {
    const note = document.createElement("div");
    note.className = `note ${tone}`;
    note.setAttribute("role", "alert");
    const inner = document.createElement("div");
    const strong = document.createElement("strong");
    strong.textContent = text;
    inner.append(strong);
    note.append(inner);
    const place = dialog.open ? panel.querySelector("[data-errors]") || panel : document.getElementById("messages");
    place.querySelectorAll(":scope > .note[data-js]").forEach((old) => old.remove());
    note.dataset.js = "";
    place.prepend(note);
    note.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("htmx:sendError", () => say(body.dataset.offline));
  document.addEventListener("htmx:timeout", () => say(body.dataset.offline));
  document.addEventListener("htmx:responseError", (event) => {
    say(event.detail.xhr.status === 403 ? body.dataset.forbidden : body.dataset.failed);
  });

  // --- Busy buttons: one click is one request; the seconds are counted from three on ------------
  const timers = new WeakMap();
  function busy(form, button) {
    const target = button || form.querySelector("button[type=submit]");
    if (!target || !form.hasAttribute("data-busy")) return;
    target.setAttribute("aria-busy", "true");
    const status = form.querySelector("[data-status]");
    const started = Date.now();
    if (status && form.dataset.busy) {
      status.textContent = form.dataset.busy;
      timers.set(form, setInterval(() => {
        const seconds = Math.round((Date.now() - started) / 1000);
        if (seconds >= 3) status.textContent = `${form.dataset.busy} ${seconds} s`;
      }, 1000));
    }
  }
  function idle(form) {
    clearInterval(timers.get(form));
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
    const status = form.querySelector("[data-status]");
    if (status) status.textContent = "";
    delete form.dataset.sent;
  }
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.hasAttribute("hx-post") || !form.hasAttribute("data-busy")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    busy(form, event.submitter);
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.detail.elt;
    if (form instanceof HTMLFormElement) busy(form, event.detail.requestConfig.triggeringEvent?.submitter);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt instanceof HTMLFormElement) idle(event.detail.elt);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-busy]").forEach(idle));

  // --- All rows of a page at once ----------------------------------------------------------------
  const rowBoxes = () => [...document.querySelectorAll("td.choose input[form]")];
  function countChosen() {
    const boxes = rowBoxes();
    const chosen = boxes.filter((box) => box.checked).length;
    document.querySelectorAll("[data-chosen]").forEach((place) => { place.textContent = chosen; });
    document.querySelectorAll("[data-choose-all]").forEach((label) => {
      const all = label.querySelector("input");
      label.hidden = false;
      all.checked = boxes.length > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    });
  }
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-choose-all]")) rowBoxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.closest("[data-choose-all], td.choose")) countChosen();
  });
  document.addEventListener("htmx:afterSettle", countChosen);
  countChosen();

  // --- Copy; where the browser has no clipboard (plain http) the text is selected --------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = button.dataset.copy ? document.querySelector(button.dataset.copy) : button.previousElementSibling;
    const label = button.querySelector("span") || button;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      label.textContent = body.dataset.copied;
    } catch {
      getSelection().selectAllChildren(source);
      label.textContent = body.dataset.selected;
    }
    stored = true;
    setTimeout(() => { label.textContent = before; }, 2500);
  });
  const copyButton = document.getElementById("copy-button"); // of a page whose examples are Markdown
  if (copyButton) {
    document.querySelectorAll("article pre").forEach((example) => {
      const frame = document.createElement("div");
      frame.className = "code";
      example.replaceWith(frame);
      frame.append(example, copyButton.content.cloneNode(true));
    });
  }
  document.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });

  // --- A key that is shown once: leaving without having stored it asks first -------------------
  let stored = !document.querySelector("[data-reveal]");
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-stored]")) stored = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!stored) event.preventDefault();
  });

  // --- Keyboard: "/" goes to the search field; Escape and a click outside close menus ----------
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !dialog.open) {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach((menu) => {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
  });
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  // --- The first wrong field of a page that came back has the focus ----------------------------
  const wrong = document.querySelector("main [aria-invalid='true']");
  if (wrong) wrong.focus();

  // --- The current page is visible in the scrolling strip of narrow screens --------------------
  const strip = document.querySelector(".side > div");
  const current = strip && strip.querySelector("[aria-current]");
  if (current && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = current.offsetLeft - 24;
})();
