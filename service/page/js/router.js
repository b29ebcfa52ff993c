// Which view is shown: "#/jobs/17?state=failed" is the view "jobs" with {rest: ["17"], query}.

import { h, fill } from "./dom.js";
import { problemCard } from "./components/problem.js";
import { VIEWS } from "./views.js";

let leave = null; // of the view that is shown
let turn = 0;

/** Go to a view, such as go("jobs", "17"). */
export function go(...parts) {
  location.hash = link(...parts);
}

/** The address of a view, for links. */
export function link(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** Show what the address says, now and whenever it changes. */
export function start(nav, main) {
  fill(nav, VIEWS.map((view) => h("a", { href: link(view.name), data: { view: view.name } }, view.title)));
  window.addEventListener("hashchange", () => turnTo(nav, main, true));
  return turnTo(nav, main, false);
}

async function turnTo(nav, main, moved) {
  if (location.hash && !location.hash.startsWith("#/")) return main.focus(); // "#main", of the skip link
  const [path, search = ""] = location.hash.slice(2).split("?");
  const [name, ...rest] = path.split("/").filter(Boolean).map(decodeURIComponent);
  const view = VIEWS.find((one) => one.name === name) ?? VIEWS[0];
  const mine = ++turn;
  await leave?.();
  leave = null;
  for (const each of nav.children) {
    if (each.dataset.view === view.name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  nav.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "center" }); // a phone shows some of them
  document.title = `${view.title} · skipseg`;
  const root = h("div", { class: "stack view" });
  fill(main, root);
  if (moved) main.focus({ preventScroll: true });
  await shown(view, root, { rest, query: new URLSearchParams(search) }, () => mine === turn);
}

async function shown(view, root, params, isCurrent) {
  try {
    const cleanup = await (await view.load()).show(root, params);
    if (isCurrent()) leave = cleanup ?? null;
    else cleanup?.();
  } catch (error) {
    if (isCurrent() && error.name !== "AbortError") fill(root, problemCard(error, () => location.reload()));
  }
}
