// Every call of the server goes through here: relative paths, the key, and problems as words.

import { authorization, askForKey } from "./key.js";

/** What went wrong, in words: `title`, `detail` (what to do), `code`, `status` (0: no answer came), `id` of the request. */
export class Problem extends Error {
  constructor({ title, detail, code = "", status = 0, request_id: id = "", defects = [] }) {
    super(detail ? `${title}: ${detail}` : title);
    Object.assign(this, { title, detail, code, status, id, defects });
  }
}

const NO_ANSWER = {
  title: "The server does not answer",
  detail: "Check that it is running and that this computer reaches it, then try again.",
};

/** "/v1/models" -> its address, wherever the page is mounted: behind a proxy the server has a prefix. */
export function address(path) {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

/** An answer as JSON. Throws `Problem`, and `AbortError` when `signal` says so. */
export async function get(path, { signal } = {}) {
  return (await call(path, { signal })).json();
}

/** Send a JSON body; the answer as JSON, or null where there is none. */
export async function send(method, path, body, { signal, headers = {} } = {}) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await call(path, { method, signal, headers: { ...json, ...headers }, body: body === undefined ? null : JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
}

/** An answer as it is (`Response`), asking for a key when one is needed. */
export async function call(path, { method = "GET", headers = {}, body = null, signal } = {}) {
  const sent = authorization();
  let answer;
  try {
    answer = await fetch(address(path), { method, body, signal, headers: { ...headers, ...sent }, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(NO_ANSWER);
  }
  if (answer.status === 401 && (await askForKey(sent))) return call(path, { method, headers, body, signal });
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/**
 * Send a form and watch it go: `watch({sent, total})` while it is sent, `watch({sent: total, total})` when it has been.
 * The answer as a `Response`.
 */
export async function sendForm(method, path, form, { signal, watch = () => {} } = {}) {
  const sent = authorization();
  const answer = await posted(method, path, form, sent, signal, watch);
  if (answer.status === 401 && (await askForKey(sent))) return sendForm(method, path, form, { signal, watch });
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

function posted(method, path, form, headers, signal, watch) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
    const stop = () => request.abort();
    request.open(method, address(path));
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => watch({ sent: event.loaded, total: event.total });
    request.upload.onload = (event) => watch({ sent: event.total, total: event.total });
    request.onload = () => resolve(new Response(request.response, { status: request.status, headers: headersOf(request) }));
    request.onerror = () => reject(new Problem(NO_ANSWER));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) return request.onabort();
    signal?.addEventListener("abort", stop);
    request.send(form);
  });
}

function headersOf(request) {
  const lines = request.getAllResponseHeaders().trim().split(/\r?\n/);
  return lines.filter(Boolean).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

async function problemOf(answer) {
  try {
    return new Problem(await answer.json());
  } catch {
    return new Problem({ title: `The server answered ${answer.status}`, detail: "Something between this page and the server may be in the way; try again, or ask who runs it.", status: answer.status });
  }
}

/** Fetch a file and hand it to the browser's downloads. */
export async function download(path, name) {
  saveAs(await (await call(path)).blob(), name);
}

/** Hand bytes to the browser's downloads. */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
