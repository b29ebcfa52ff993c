// A reload, or a tab that is closed, while it would lose something: the browser asks first.

/** Ask before the page is left while `isLosing()`; gives the function that ends it. */
export function askBeforeLeaving(isLosing) {
  const ask = (event) => { if (isLosing()) event.preventDefault(); };
  window.addEventListener("beforeunload", ask);
  return () => window.removeEventListener("beforeunload", ask);
}
