// Every file of a dataset looked at, and what is wrong with it.

import { get } from "../api.js";
import { defectsList } from "../components/defects.js";
import { h, fill } from "../dom.js";
import { runner } from "../segment/run.js";
import { plural } from "../words.js";

/** The card that has a dataset checked when somebody asks for it. */
export function checkCard(name, leaving) {
  const found = h("div", { class: "stack" });
  const run = runner("Check every file", async ({ signal, told }) => {
    fill(found);
    told(null, "The server reads every file");
    const { defects } = await get(`/v1/datasets/${encodeURIComponent(name)}?check=true`, { signal: AbortSignal.any([signal, leaving]) });
    fill(found, defects.length ? [h("p", { role: "status" }, words(defects)), defectsList(defects)] : h("p", { class: "notice good", role: "status" }, "Nothing is wrong with it."));
  });
  return h("section", { class: "card stack" }, h("h2", {}, "Check"),
    h("p", { class: "small muted" }, "Cases are looked at one by one before they are kept. This looks at all of them together: files that were damaged since, labels that are equal or empty, spacings unlike the others. Of a large dataset it takes minutes."),
    found, h("div", { class: "narrow" }, run.element));
}

function words(defects) {
  const errors = defects.filter((one) => one.severity === "error").length;
  return `${plural(errors, "error")}, ${plural(defects.length - errors, "warning")}. ${errors ? "No model can be trained on it until the errors are mended." : "Models can be trained on it as it is."}`;
}
