// Runs in every page before anything else, outside of the page's policy: measures what a page does and gives `probe` to the tests.
(() => {
  "use strict";
  if (window.probe) return;
  const seen = { shift: 0, lcp: 0, longest: 0, violations: [] };
  addEventListener("securitypolicyviolation", (event) => seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  let latest = 0; // when something was fetched, painted or moved, or kept the page busy
  const observe = (type, each) => new PerformanceObserver((list) => {
    latest = performance.now();
    list.getEntries().forEach(each);
  }).observe({ type, buffered: true });
  observe("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value; });
  observe("largest-contentful-paint", (entry) => { seen.lcp = Math.max(seen.lcp, entry.startTime); });
  observe("longtask", (entry) => { seen.longest = Math.max(seen.longest, entry.duration); });
  observe("resource", () => {});
  const isQuiet = (ms) => document.readyState === "complete" && seen.lcp > 0 && performance.now() - latest > ms;

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const brief = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 110);
  const bodyless = (element) => element.closest("[inert]") !== null;

  // Everything a keyboard must reach. Of radio buttons of one group one is enough.
  function controls() {
    const groups = new Set();
    const modal = document.querySelector("dialog:modal");
    return all("a[href], button, input, select, textarea, summary, [tabindex], audio[controls], video[controls]", modal || document).filter((one) => {
      if (one.disabled || one.tabIndex < 0 || one.type === "hidden" || bodyless(one) || !shown(one)) return false;
      if (one.type === "radio") {
        const group = `${one.form ? all("form").indexOf(one.form) : ""}/${one.name}`;
        const chosen = all(`input[type=radio][name="${CSS.escape(one.name)}"]`).some((other) => other.checked && other.form === one.form);
        if (groups.has(group) || (chosen && !one.checked)) return false;
        groups.add(group);
      }
      return true;
    });
  }

  // --- P19 to P21: the way through the page by Tab; the test presses the key, this notes where it leads.
  const walk = { stops: new Set(), first: "", rings: [] };
  function ring(element) {
    const style = getComputedStyle(element);
    const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && style.outlineColor !== "rgba(0, 0, 0, 0)";
    return outline || style.boxShadow !== "none";
  }
  function startWalk() {
    walk.stops.clear();
    walk.first = "";
    walk.rings.length = 0;
    // Where Tab starts is told by what had the focus last: here something before everything else.
    const start = document.createElement("span");
    start.tabIndex = -1;
    document.body.prepend(start);
    start.focus();
    start.remove();
    getSelection().removeAllRanges();
    scrollTo(0, 0);
    document.addEventListener("focusin", (event) => {
      const target = event.target;
      if (!walk.first) walk.first = brief(target);
      if (!walk.stops.has(target) && target.matches("a, button, input, select, textarea, summary") && !ring(target)) walk.rings.push(brief(target));
      walk.stops.add(target);
    });
    return controls().length;
  }
  function endWalk() {
    return {
      first: walk.first,
      rings: walk.rings,
      missed: controls().filter((one) => !walk.stops.has(one)).map(brief),
      ordered: all("[tabindex]").filter((one) => one.tabIndex > 0).map(brief),
    };
  }

  // --- P22, P23, P25, P38: how the page is built.
  function structure() {
    const found = [];
    const levels = all("h1, h2, h3, h4, h5, h6").filter((one) => shown(one) && !one.closest("dialog:not([open])"));
    const modal = document.querySelector("dialog:modal");
    const scope = modal ? levels.filter((one) => modal.contains(one)) : levels.filter((one) => !one.closest("nav"));
    const ranks = scope.map((one) => Number(one.tagName[1]));
    if (ranks.filter((rank) => rank === 1).length !== 1) found.push(`P22 ${ranks.filter((rank) => rank === 1).length} h1`);
    ranks.forEach((rank, at) => { if (at && rank - ranks[at - 1] > 1) found.push(`P22 h${ranks[at - 1]} then h${rank}: ${scope[at].textContent.trim().slice(0, 40)}`); });
    scope.filter((one) => !one.textContent.trim()).forEach((one) => found.push(`P22 empty heading ${brief(one)}`));
    if (all("main").length !== 1) found.push(`P23 ${all("main").length} main`);
    if (all("body > header, body > * > header").filter((one) => !one.closest("main, article, section")).length > 1) found.push("P23 several headers");
    all("nav").forEach((one) => { if (!one.ariaLabel && !one.getAttribute("aria-labelledby")) found.push(`P23 nav without a name ${brief(one)}`); });
    if (!document.title.trim()) found.push("P23 no title");
    const fields = all("input:not([type=hidden]):not([type=submit]):not([type=button]), select, textarea");
    fields.forEach((one) => {
      const named = (one.labels && one.labels.length) || one.ariaLabel || one.getAttribute("aria-labelledby");
      if (!named) found.push(`P25 no label ${brief(one)}`);
    });
    const ids = all("[id]").map((one) => one.id);
    [...new Set(ids.filter((id, at) => ids.indexOf(id) !== at))].forEach((id) => found.push(`P25 id twice: ${id}`));
    all("[aria-labelledby], [aria-describedby], [aria-controls], label[for]").forEach((one) => {
      ["aria-labelledby", "aria-describedby", "for"].forEach((name) => (one.getAttribute(name) || "").split(/\s+/).filter(Boolean).forEach((id) => {
        if (!document.getElementById(id) && id !== "dialog-title") found.push(`P25 ${name} names nothing: ${id}`);
      }));
    });
    all("[hidden]").forEach((one) => { if (getComputedStyle(one).display !== "none") found.push(`P38 seen though hidden ${brief(one)}`); });
    all("button").forEach((one) => { if (!["submit", "button"].includes(one.getAttribute("type"))) found.push(`P38 no type ${brief(one)}`); });
    all("[style], style, script:not([src]):not([type='application/json'])").forEach((one) => found.push(`P04 inline ${brief(one)}`));
    all("a[target=_blank]").forEach((one) => { if (!/noopener/.test(one.rel)) found.push(`P23 a new tab may look back ${brief(one)}`); });
    return found;
  }

  // --- P09 to P11, P13: what the page weighs.
  function weight() {
    const [page] = performance.getEntriesByType("navigation");
    const rest = performance.getEntriesByType("resource");
    const bytes = (list) => list.reduce((sum, one) => sum + one.transferSize, 0);
    return {
      bytes: bytes([page, ...rest]),
      scripts: bytes(rest.filter((one) => one.name.endsWith(".js"))),
      decodedScripts: rest.filter((one) => one.name.endsWith(".js")).reduce((sum, one) => sum + one.decodedBodySize, 0),
      requests: rest.length + 1,
      elements: all("*").length,
      ...seen,
    };
  }

  // --- P31, P32: nothing is wider than the window, nothing is cut off.
  const scrolled = (element) => {
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      const flow = getComputedStyle(one).overflowX;
      if (flow === "auto" || flow === "scroll") return true;
    }
    return false;
  };
  function width() {
    const root = document.documentElement;
    const over = root.scrollWidth - root.clientWidth;
    if (over <= 0) return [];
    const guilty = all("body *").filter((one) => shown(one) && one.getBoundingClientRect().right > root.clientWidth + 0.5 && !scrolled(one));
    return [`${over} px too wide: ${guilty.slice(-2).map(brief).join(" | ")}`];
  }
  function cut() {
    return all("main *, header *, nav *").filter((one) => {
      const style = getComputedStyle(one);
      if (!["hidden", "clip"].includes(style.overflowY) || !shown(one) || one.closest(".visually-hidden, svg, .clip, dialog:not([open])")) return false;
      return one.textContent.trim() && one.clientHeight > 1 && one.scrollHeight > one.clientHeight + 2;
    }).slice(0, 3).map(brief);
  }
  const wide = `*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important} p{margin-bottom:2em!important}`;
  function spacing(on) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(on ? wide : "");
    document.adoptedStyleSheets = [sheet];
  }

  // --- P29: reduced motion. P30: forced colours.
  function moving() {
    const animated = document.getAnimations().map((one) => `${one.animationName || one.transitionProperty} on ${brief(one.effect.target)}`);
    const eased = all("body *").filter((one) => {
      const style = getComputedStyle(one);
      return style.animationName !== "none" || style.transitionDuration.split(", ").some((time) => parseFloat(time) > 0.001);
    });
    return [...animated, ...eased.slice(0, 3).map(brief)];
  }
  function forced() {
    const found = [];
    const bordered = (style) => ["Top", "Bottom", "Left", "Right"].some((side) => style[`border${side}Style`] !== "none" && parseFloat(style[`border${side}Width`]) >= 1);
    const frames = ".btn, button.primary, input:not([type=checkbox]):not([type=radio]):not([type=hidden]):not([type=range]):not([type=file]), select, textarea, .card, .panel, .note";
    all(frames).filter((one) => shown(one) && !(one.matches(".panel") && one.closest("dialog"))).forEach((one) => {
      const outer = one.matches("input, select") ? one.closest(".search") || one : one;
      if (!bordered(getComputedStyle(one)) && !bordered(getComputedStyle(outer))) found.push(`no border ${brief(one)}`);
    });
    all("svg[role=meter]").filter(shown).forEach((meter) => {
      const fill = meter.querySelector(".fill, rect:last-of-type");
      if (fill && parseFloat(fill.getAttribute("width")) > 0 && getComputedStyle(fill).fill === getComputedStyle(meter).backgroundColor) found.push(`a meter without a bar ${brief(meter)}`);
    });
    all("[role=switch]").filter(shown).forEach((one) => {
      const track = one.querySelector("span") || one;
      if (!bordered(getComputedStyle(track))) found.push(`a switch without a border ${brief(one)}`);
    });
    return found;
  }

  // --- P35: what a reader sees and hears, without names and code.
  function texts() {
    const found = [document.title];
    const silent = "code, pre, kbd, samp, script, style, noscript, svg, [translate=no], [lang]:not(html)";
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const parent = node.parentElement;
      const named = parent.tagName === "OPTION" && parent.value.includes("/"); // a model, a time zone
      if (node.textContent.trim() && !named && !parent.closest(silent)) found.push(node.textContent.trim());
    }
    all("[aria-label], [title], [placeholder], [alt], [data-label], [data-busy], input[type=submit]").forEach((one) => {
      ["aria-label", "title", "placeholder", "alt", "data-label", "data-busy"].forEach((name) => { if (one.getAttribute(name)) found.push(one.getAttribute(name)); });
      if (one.type === "submit" && one.value && one.tagName === "INPUT") found.push(one.value);
    });
    return found;
  }

  window.probe = { controls: () => controls().length, isQuiet, startWalk, endWalk, structure, weight, width, cut, spacing, moving, forced, texts };
})();
