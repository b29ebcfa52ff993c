// Long work in pieces.

/** Let the page do what else it has to, and go on. */
export function rest() {
  return new Promise((resolve) => { setTimeout(resolve); });
}
