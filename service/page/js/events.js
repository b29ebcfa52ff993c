// Server-sent events, with a key: the browser's own EventSource cannot send one.

import { call, Problem } from "./api.js";

const PAUSE_MS = 2000; // before a stream that broke is opened again

/**
 * Follow a stream: `heard(event, data)` with data read as JSON, until `isLast(event)`, the `signal`, or a problem.
 * A stream that breaks is opened again, as the server tells the whole state in every event.
 */
export async function follow(path, heard, { signal, isLast = (event) => event === "end" } = {}) {
  for (;;) {
    try {
      const answer = await call(path, { signal, headers: { Accept: "text/event-stream" } });
      for await (const { event, data } of eventsOf(answer.body)) {
        heard(event, JSON.parse(data));
        if (isLast(event)) return;
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof Problem && error.status) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (signal?.aborted) return;
  }
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event.data) yield event;
    }
  }
}

function parsed(block) {
  const found = { event: "message", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === "event") found.event = value;
    if (name === "data") found.data += value;
  }
  return found;
}
