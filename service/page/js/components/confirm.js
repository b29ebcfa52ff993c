// A question before something that cannot be taken back, or that others notice.

import { h } from "../dom.js";

/** confirm({title, words, yes: "Promote", danger: true}): true when they mean it. */
export function confirm({ title, words, yes, no = "Cancel", danger = false }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "confirm-title", onclose: () => { dialog.remove(); resolve(dialog.returnValue === "yes"); } },
      h("div", { class: "stack" },
        h("h2", { id: "confirm-title" }, title),
        h("p", {}, words),
        h("div", { class: "row" },
          h("button", { class: `button main-action${danger ? " danger" : ""}`, type: "button", onclick: () => dialog.close("yes") }, yes),
          h("button", { class: "button", type: "button", autofocus: true, onclick: () => dialog.close() }, no))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
