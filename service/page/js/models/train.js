// A training, ordered.

import { get, send } from "../api.js";
import { field, select } from "../components/field.js";
import { problemCard } from "../components/problem.js";
import { h, fill } from "../dom.js";
import { go, link } from "../router.js";
import { plural } from "../words.js";

/** The card that orders one; who may not train, or has no dataset, is told what to do. */
export async function trainingForm(models, wanted = null) {
  const element = h("section", { class: "card stack", "aria-labelledby": "train-title" });
  const heading = h("h2", { id: "train-title" }, "Train a candidate");
  try {
    const datasets = (await get("/v1/datasets")).filter((dataset) => dataset.case_count);
    return fill(element, heading, datasets.length ? form(datasets, models, wanted) : nothing());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return fill(element, heading, problemCard(error));
  }
}

function form(datasets, models, wanted) {
  const dataset = select(datasets.map((one) => [one.name, `${one.name} (${plural(one.case_count, "case")})`]), (datasets.find((one) => one.name === wanted) ?? datasets[0]).name);
  const versions = models.flatMap((model) => [...model.versions].reverse().map((version) => `${model.name}@${version}`));
  const base = select([["", "nothing: begin anew"], ...versions.map((each) => [each, each])], "", () => { if (base.value && !name.value) name.value = base.value.split("@")[0]; });
  const name = h("input", { type: "text", required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,62}", spellcheck: "false", autocomplete: "off" });
  const minutes = h("input", { type: "number", min: "0.1", step: "any", max: "20160", value: "30", required: true, inputmode: "decimal" });
  const promotion = select([["manual", "A person, afterwards"], ["auto", "The rule, if it is better by it"]], "manual");
  const troubles = h("div", {});
  const button = h("button", { class: "button main-action", type: "submit" }, "Start the training");
  return h("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const order = { kind: "train", dataset: dataset.value, name: name.value.trim(), minutes: Number(minutes.value), promotion: promotion.value, ...(base.value && { from: base.value }) };
      go("jobs", (await send("POST", "/v1/jobs", order)).id);
    } catch (error) {
      fill(troubles, problemCard(error));
    }
    button.disabled = false;
  } },
    h("div", { class: "grid" },
      field("Dataset", dataset, "A fifth of it is frozen the first time, and never learned from."),
      field("Base", base, "A version whose weights are the beginning."),
      field("Model that gets a new version", name, "Lower-case letters, digits, - and _."),
      field("Minutes", minutes, "Training and evaluation; the comparison with the live version comes on top."),
      field("Who makes it live", promotion)),
    troubles, h("div", { class: "row" }, button));
}

function nothing() {
  return h("p", { class: "muted" }, "There is no dataset with cases yet. Save corrected masks as cases, or ", h("a", { href: link("datasets") }, "make one of a zip"), ".");
}
