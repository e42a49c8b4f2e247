// The playground on top of its plain forms: answers arrive as they are written, can be stopped, and are asked of another model.
(() => {
  "use strict";
  const root = document.getElementById("playground");
  if (!root) return;
  const texts = JSON.parse(root.dataset.texts);
  const tokens = (scope) => [...scope.querySelectorAll("input[name=csrfmiddlewaretoken]")];
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

  // --- Calls -------------------------------------------------------------------------------------
  class Failed extends Error {
    constructor(problem) { super(problem.message || problem.title); this.problem = problem; }
  }

  // Send something to this server. Whoever signed in again meanwhile has another token than this page: it is read anew, once.
  async function post(address, body, signal, headers = {}) {
    const send = () => fetch(address, {
      method: "POST", credentials: "same-origin", redirect: "manual", signal, body,
      headers: { "X-CSRFToken": tokens(root)[0].value, ...headers },
    });
    const response = await send();
    const isPage = (response.headers.get("content-type") || "").startsWith("text/html");
    return response.status === 403 && isPage && await renew(signal) ? send() : response;
  }
  async function renew(signal) {
    const page = await fetch(location.href, { credentials: "same-origin", redirect: "manual", signal });
    if (page.status !== 200) return false;
    const [found] = tokens(new DOMParser().parseFromString(await page.text(), "text/html"));
    if (found) tokens(document).forEach((one) => { one.value = found.value; });
    return Boolean(found);
  }

  // One call to a model. body: an object, sent as JSON, or a form. Throws Failed; AbortError where it was stopped.
  async function call(operation, body, signal) {
    const isForm = body instanceof FormData;
    let response;
    try {
      const address = root.dataset.call.replace("OPERATION", operation);
      response = await post(address, isForm ? body : JSON.stringify(body), signal, isForm ? {} : { "Content-Type": "application/json" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failed(texts.offline);
    }
    if (response.type === "opaqueredirect") throw new Failed({ ...texts.ended, link: { address: root.dataset.signIn, text: texts.sign_in } });
    if (response.status !== 200) throw new Failed(await problemOf(response));
    return response;
  }
  async function problemOf(response) {
    let error = {};
    try { error = (await response.json()).error || {}; } catch { /* a page, not an answer of the gateway */ }
    if (!error.code && (response.status === 403 || response.status === 404)) return { ...texts.forbidden, status: response.status };
    return { ...error, title: texts.titles[error.code] || texts.failed, status: response.status };
  }

  // What a page shows of a problem: the same as the server's own note.
  const element = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  function line(address, text, target = "") {
    const made = element("p");
    made.append(Object.assign(element("a", "", text), { href: address, target }));
    return made;
  }
  function note(problem, model) {
    const made = element("div", "note bad small");
    made.setAttribute("role", "alert");
    const inner = element("div");
    inner.append(element("strong", "", problem.title));
    const own = texts.words[problem.code]; // what this server says itself; other messages are the provider's own words
    const message = own || problem.message;
    if (message && message !== problem.title) inner.append(element("p", "", message));
    if (problem.link) inner.append(line(problem.link.address, problem.link.text, "_blank"));
    if (texts.about_key.includes(problem.code) && root.dataset.credentials) {
      inner.append(line(root.dataset.credentials.replace("PROVIDER", encodeURIComponent(model.split("/")[0])), root.dataset.mend));
    }
    if (problem.status) {
      const details = element("details");
      details.append(element("summary", "", root.dataset.details));
      const parts = [model, `HTTP ${problem.status} ${problem.code || ""}`.trim(), problem.request_id && `${root.dataset.request} ${problem.request_id}`];
      details.append(element("code", "clip", parts.filter(Boolean).join(" · ")));
      if (own && problem.message) details.append(Object.assign(element("p", "", problem.message), { lang: "en" }));
      inner.append(details);
    }
    made.append(inner);
    return made;
  }

  // "12 + 40 tokens · 0.8 s · trial, 37 left"
  function footer(response, usage, seconds, more = []) {
    const parts = [];
    if (usage && Number.isInteger(usage.prompt_tokens) && Number.isInteger(usage.completion_tokens)) {
      parts.push(fill(texts.tokens, { asked: usage.prompt_tokens, said: usage.completion_tokens }));
    } else if (usage && Number.isInteger(usage.total_tokens)) {
      parts.push(fill(texts.total, { n: usage.total_tokens }));
    }
    parts.push(fill(texts.seconds, { n: seconds.toFixed(1) }));
    const source = decodeURIComponent(response ? response.headers.get("x-modelkeep-source") || "" : "");
    const left = response && response.headers.get("x-modelkeep-credits-remaining");
    if (source.startsWith("trial:")) parts.push(left ? fill(texts.left, { n: left }) : texts.trial);
    else if (source) parts.push(source.slice(source.indexOf(":") + 1));
    return [...parts, ...more].join(" · ");
  }
  window.playground = { root, texts, fill, call, note, footer, Failed };

  // --- What all tabs share: choosing is sending, buttons to copy appear ----------------------------
  function settle(scope) {
    scope.querySelectorAll("[data-without-scripts]").forEach((button) => { button.hidden = true; });
    scope.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
    if (matchMedia("(max-width: 60rem)").matches) scope.querySelectorAll("details[data-wide]").forEach((one) => { one.open = false; });
  }
  settle(document);
  const strip = root.querySelector(".tabs");
  strip.scrollLeft = strip.querySelector("[aria-current]").offsetLeft - strip.offsetLeft - 24; // the current one is visible on narrow screens
  document.addEventListener("htmx:afterSwap", (event) => settle(event.detail.target.isConnected ? event.detail.target : document));
  document.addEventListener("htmx:afterSettle", () => settle(root));
  root.querySelectorAll("form[data-pick] select").forEach((select) => select.addEventListener("change", () => select.form.requestSubmit()));

  // --- Chat ----------------------------------------------------------------------------------------
  const form = document.getElementById("chat");
  if (!form) return;
  const log = document.getElementById("conversation");
  const status = document.getElementById("status");
  const [send, stop, clear] = ["send", "stop", "clear"].map((id) => document.getElementById(id));
  const box = form.elements.message;
  const turns = []; // {user, answers: [{slot, model, text}]}: what the next request tells; kept by this page alone
  const written = new WeakMap(); // an answer's element -> its Markdown
  let running = null; // AbortController of what is under way

  form.removeAttribute("data-busy"); // the script's own messages stand there
  document.getElementById("keys").hidden = false;
  const again = document.getElementById("again");
  if (again) again.remove(); // asked without scripts, and opened with them again: the page's own buttons follow
  if (form.elements.history.value) {
    try { turns.push(...JSON.parse(form.elements.history.value)); } catch { /* begins anew */ }
  }

  const names = () => {
    const pick = document.getElementById("pick");
    const found = [pick.elements.model.value];
    if (pick.elements.beside && pick.elements.beside.value && pick.elements.beside.value !== found[0]) found.push(pick.elements.beside.value);
    return found;
  };

  // What the column beside says: system prompt, tools and the parameters that were set. Throws Failed for tools that are no list.
  function settings() {
    const body = {};
    for (const input of document.querySelectorAll("#beside [name^='p-']")) {
      if (input.value === "") continue;
      body[input.name.slice(2)] = input.type === "number" ? Number(input.value) : input.value;
    }
    const tools = document.querySelector("#beside [name=tools]");
    if (tools && tools.value.trim()) {
      let list = null;
      try { list = JSON.parse(tools.value); } catch { /* said below */ }
      if (!Array.isArray(list)) throw new Failed({ ...texts.json, field: tools });
      if (list.length) body.tools = list;
    }
    return body;
  }
  function messages(slot, upTo) {
    const system = document.querySelector("#beside [name=system]");
    const found = system && system.value.trim() ? [{ role: "system", content: system.value }] : [];
    turns.slice(0, upTo + 1).forEach((turn, number) => {
      found.push({ role: "user", content: turn.user });
      if (number === upTo) return;
      const own = turn.answers.filter((answer) => answer.slot === slot);
      const last = (own.length ? own : turn.answers).at(-1);
      if (last && last.text) found.push({ role: "assistant", content: last.text });
    });
    return found;
  }

  // Pieces of an event stream, as objects.
  async function* events(response) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n");
        const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
        if (data && data !== "[DONE]") yield { failed: lines.includes("event: error"), data: JSON.parse(data) };
        if (data === "[DONE]") return;
      }
    }
  }

  const near = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const follow = (was) => { if (was) log.scrollTop = log.scrollHeight; };

  // Text grows as plain text: adding a piece costs the same however long the answer is, and half a table or an open code block
  // never flickers. When it is complete the server turns the whole into HTML, once.
  function appender(place) {
    let node = null;
    return (piece) => {
      const was = near();
      if (!node) { node = document.createTextNode(""); place.replaceChildren(node); }
      node.appendData(piece);
      follow(was);
    };
  }

  function addCalls(calls, pieces) {
    for (const piece of pieces) {
      const at = piece.index ?? calls.length;
      const known = calls[at] || (calls[at] = { id: piece.id, type: piece.type || "function", function: { name: "", arguments: "" } });
      if (piece.id) known.id = piece.id;
      if (piece.function) {
        known.function.name += piece.function.name || "";
        known.function.arguments += piece.function.arguments || "";
      }
    }
  }

  // One answer, from the request to the rendered text. Never throws.
  async function answer(turn, number, slot, model, place, signal) {
    const article = document.getElementById("answer-template").content.firstElementChild.cloneNode(true);
    const part = (name) => article.querySelector(`[data-${name}]`);
    part("model").textContent = model;
    place.append(article);
    follow(true);
    article.setAttribute("aria-busy", "true");
    part("text").classList.add("as-typed");
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const say = appender(part("text"));
    const think = appender(part("thought-text"));
    const calls = [];
    const more = [];
    let text = "", usage = null, response = null, problem = null, ended = false;
    const clock = setInterval(() => { if (!text && seconds() >= 3) part("footer").textContent = fill(texts.seconds, { n: Math.round(seconds()) }); }, 1000);
    try {
      const body = { model, messages: messages(slot, number), stream: true, stream_options: { include_usage: true }, ...settings() };
      response = await call("chat.completions", body, signal);
      for await (const event of events(response)) {
        if (event.failed) throw new Failed({ ...event.data.error, title: texts.titles[event.data.error.code] || texts.failed, status: 200 });
        if (event.data.usage) usage = event.data.usage;
        const choice = (event.data.choices || [])[0];
        if (!choice) continue;
        const delta = choice.delta || {};
        if (delta.reasoning_content) { part("thought").hidden = false; think(delta.reasoning_content); }
        if (delta.content) { text += delta.content; say(delta.content); status.textContent = texts.writing; }
        if (delta.tool_calls) { addCalls(calls, delta.tool_calls); part("calls").hidden = false; part("calls-text").textContent = JSON.stringify(calls.filter(Boolean), null, 2); }
        if (choice.finish_reason) ended = true;
        if (choice.finish_reason === "length") more.push(texts.cut);
        if (choice.finish_reason === "content_filter") more.push(texts.filtered);
      }
      if (!text && !calls.length && !more.length) more.push(texts.empty);
    } catch (error) {
      if (signal.aborted) more.push(texts.stopped);
      else problem = error instanceof Failed ? error.problem : { ...texts.broken, request_id: response && response.headers.get("x-request-id"), status: response ? response.status : 0 };
    }
    clearInterval(clock);
    article.removeAttribute("aria-busy");
    const record = { slot, model, text: text || (calls.length ? JSON.stringify(calls) : ""), footer: "" };
    if (problem) part("problem").replaceChildren(note(problem, model));
    part("footer").textContent = problem && !text ? "" : footer(response, usage, seconds(), more);
    record.footer = part("footer").textContent;
    turn.answers.push(record);
    written.set(article, text);
    part("tools").hidden = !text;
    if (text) await rendered(part("text"), text);
    return { problem, ended };
  }

  // The answer's Markdown as HTML that the server has cleaned. Where that fails the text stays as it was written.
  async function rendered(place, text) {
    try {
      const response = await post(root.dataset.render, new URLSearchParams({ text }));
      if (!response.ok) return;
      const was = near();
      place.innerHTML = await response.text();
      place.classList.remove("as-typed");
      follow(was);
    } catch { /* offline just now */ }
  }

  function busy(on) {
    stop.hidden = !on;
    send.disabled = on;
    send.toggleAttribute("aria-busy", on);
    if (on) send.setAttribute("aria-busy", "true");
    root.querySelectorAll("[data-again]").forEach((one) => { if (on) one.remove(); });
    clear.hidden = on || !turns.length;
  }

  async function ask(turn, number, pairs, place) {
    running = new AbortController();
    busy(true);
    status.textContent = texts.waiting;
    const { signal } = running;
    const results = await Promise.all(pairs.map(([slot, model]) => answer(turn, number, slot, model, place, signal)));
    running = null;
    busy(false);
    status.textContent = signal.aborted ? texts.halted : results.some((one) => one.problem) ? "" : texts.complete;
    offerAgain(turn, number, place);
    form.elements.history.value = JSON.stringify(turns.filter((one) => one.answers.some((answer) => answer.text)));
  }

  // "Try again with ...": the same question to the same or another model; the new answer counts from then on.
  function offerAgain(turn, number, place) {
    const made = document.getElementById("again-template").content.firstElementChild.cloneNode(true);
    const select = made.querySelector("select");
    for (const child of document.getElementById("pick").elements.model.children) select.append(child.cloneNode(true));
    select.value = turn.answers.at(-1).model;
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      made.remove();
      ask(turn, number, [[0, select.value]], place);
    });
    place.after(made);
    follow(true);
  }

  // Whether the column beside can be sent. What is wrong is shown, also where it was folded away, and has the focus.
  function isRight() {
    const tools = document.querySelector("#beside [name=tools]");
    if (tools) ["aria-invalid", "aria-errormessage"].forEach((name) => tools.removeAttribute(name));
    try {
      settings();
    } catch (error) {
      const { field } = error.problem;
      status.replaceChildren(Object.assign(note(error.problem, ""), { id: "tools-problem" }));
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-errormessage", "tools-problem");
      field.closest("details").open = true;
      field.focus();
      return false;
    }
    for (const input of form.elements) if (!input.validity.valid && input.closest("details")) input.closest("details").open = true;
    return form.reportValidity();
  }

  function submit() {
    const message = box.value;
    if (running || !message.trim()) { if (!running) box.focus(); return; }
    if (!isRight()) return;
    const quiet = document.getElementById("quiet-start");
    if (quiet) quiet.remove();
    const made = document.getElementById("turn-template").content.firstElementChild.cloneNode(true);
    made.querySelector("[data-asked]").textContent = message;
    log.append(made);
    const turn = { user: message, answers: [] };
    turns.push(turn);
    box.value = "";
    grow();
    ask(turn, turns.length - 1, names().map((model, slot) => [slot, model]), made.querySelector("[data-answers]"));
  }

  const grow = () => { box.rows = Math.min(12, Math.max(3, box.value.split("\n").length)); };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    // While a word is being composed (pinyin, kana), Enter belongs to the keyboard.
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === clear) {
      turns.length = 0;
      log.replaceChildren();
      form.elements.history.value = "";
      status.textContent = "";
      clear.hidden = true;
      box.focus();
    } else {
      submit();
    }
  });
  stop.addEventListener("click", () => { if (running) running.abort(); box.focus(); });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy-answer]");
    if (!button) return;
    const article = button.closest("[data-answer]");
    const label = button.querySelector("span");
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(written.get(article));
      label.textContent = texts.copied;
    } catch {
      getSelection().selectAllChildren(article.querySelector("[data-text]")); // plain http has no clipboard
      label.textContent = document.body.dataset.selected;
    }
    setTimeout(() => { label.textContent = before; }, 2500);
  });

  // A draft handed over from another page, and what the model's change may not lose.
  grow();
  if (box.value) { box.focus(); box.setSelectionRange(box.value.length, box.value.length); }
  let kept = {};
  let sample = 0;
  const samples = () => [...document.querySelectorAll("#beside .use-model details")];
  document.addEventListener("htmx:beforeSwap", () => {
    kept = {};
    sample = samples().findIndex((one) => one.open);
    document.querySelectorAll("#beside [form=chat]").forEach((input) => { kept[input.name] = input.value; });
  });
  // At once, not when htmx has settled: whoever goes on typing meanwhile would lose it.
  document.addEventListener("htmx:afterSwap", () => {
    document.querySelectorAll("#beside [form=chat]").forEach((input) => {
      const inside = (limit, ok) => limit === "" || ok(Number(kept[input.name]), Number(limit));
      if (kept[input.name] && (input.type !== "number" || (inside(input.min, (a, b) => a >= b) && inside(input.max, (a, b) => a <= b)))) input.value = kept[input.name];
    });
    // Of details that share a name one is open: old and new ones met for a moment, and the new one lost.
    if (samples()[sample]) samples()[sample].open = true;
    form.elements.model.value = names()[0];
    form.elements.beside.value = names()[1] || "";
  });
})();
