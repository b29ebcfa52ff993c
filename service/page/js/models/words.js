// What the server does with a model, in words.

const STATES = { ready: "in memory", loading: "being loaded", failed: "cannot be loaded: the server's log says why", "not loaded": "loaded when it is asked for" };

/** "not loaded" -> "loaded when it is asked for" */
export function stateWords(state) {
  return STATES[state] ?? state;
}
