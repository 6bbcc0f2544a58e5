// Makes pages quicker, never readable: every page says the same without this file.
"use strict";

// Keyboard: j and k move through the rows of the table in view, / finds.
function rows() {
  return Array.from(document.querySelectorAll("table.rows tbody tr")).map(row => row.querySelector("a") || row)
    .filter(each => each.matches("a, [tabindex]"));
}
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    const find = document.getElementById("find");
    if (find) { event.preventDefault(); find.focus(); }
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const all = rows();
  if (!all.length) return;
  const row = document.activeElement && document.activeElement.closest("table.rows tbody tr");
  const here = row ? all.findIndex(each => row.contains(each)) : -1;
  const next = all[here < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
});

// Relative times go on by themselves.
function span(seconds) {
  for (const [unit, size, least] of [["d", 86400, 172800], ["h", 3600, 7200], ["min", 60, 60]])
    if (seconds >= least) return Math.floor(seconds / size) + "\u00a0" + unit;
  return Math.max(0, Math.floor(seconds)) + "\u00a0s";
}
function tellTimes() {
  for (const each of document.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.now() - Date.parse(each.dateTime)) / 1000;
    const text = seconds < 0 ? each.textContent : seconds < 1 ? "now" : span(seconds) + " ago";
    if (each.textContent !== text) each.textContent = text;
  }
}
setInterval(tellTimes, 5000);

// Live: regions marked data-live take over what is different in a fresh copy of this page, node by node, so that focus,
// selection, open details and what was typed stay as they are.
function same(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
}
function become(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of Array.from(old.attributes))
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  for (const { name, value } of Array.from(fresh.attributes))
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  let at = old.firstChild;
  for (const child of Array.from(fresh.childNodes)) {
    if (at && same(at, child)) {
      become(at, child);
      at = at.nextSibling;
    } else {
      old.insertBefore(document.importNode(child, true), at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const here = document.querySelectorAll("[data-live]");
  const there = fresh.querySelectorAll("[data-live]");
  const ids = list => Array.from(list, each => each.id).join();
  if (ids(here) !== ids(there)) {
    // A region came or went: the main part is taken over whole, still node by node.
    if (!document.querySelector("main form input:focus, main form select:focus")) become(document.querySelector("main"), fresh.querySelector("main"));
  } else {
    for (const region of here) {
      const next = fresh.getElementById(region.id);
      if (next && !region.contains(document.querySelector("input:focus, select:focus"))) become(region, next);
    }
  }
  tellTimes();
}
const main = document.querySelector("main[data-events]");
if (main && "EventSource" in window) {
  const told = document.getElementById("live");
  const mine = location.pathname.match(/^\/engagements\/(.+)$/);
  let due = null, last = 0, missed = false;
  const soon = () => {
    if (document.hidden) { missed = true; return; }
    if (due === null) due = setTimeout(() => {
      due = null; last = Date.now();
      refresh().catch(() => {});
    }, Math.max(50, 1500 - (Date.now() - last)));
  };
  const source = new EventSource(main.dataset.events);
  source.addEventListener("open", () => { told.textContent = "● Live."; });
  source.addEventListener("error", () => { told.textContent = "○ Not live: reconnecting."; });
  source.addEventListener("change", event => {
    const { engagements } = JSON.parse(event.data);
    if (!mine || !engagements.length || engagements.includes(decodeURIComponent(mine[1]))) soon();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && missed) { missed = false; soon(); } });
  window.addEventListener("pagehide", () => source.close());
}
