// The models of the registry, and where a training begins.

import { get } from "../api.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { plural } from "../words.js";
import { stateWords } from "./words.js";
import { trainingForm } from "./train.js";

/** `dataset`: the name of one to train on, where the reader comes from it. */
export async function showModels(root, dataset) {
  const { models } = await get("/v1/models");
  const training = await trainingForm(models, dataset);
  root.append(
    h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Models"), h("p", {}, "What this server can segment, which version answers, and how a better one is made."))),
    models.length ? h("div", { class: "grid" }, models.map(card)) : h("div", { class: "empty" }, h("h2", {}, "No models yet"), h("p", {}, "Train one below, or add a bundle with: skipseg models add FOLDER --name NAME")),
    training);
  if (dataset) training.scrollIntoView();
}

function card(model) {
  const dice = model.metrics?.dice;
  const labels = model.labels?.filter((label) => label.value).map((label) => label.name).join(", ");
  return h("section", { class: "card stack tight", data: { model: model.name } },
    h("div", { class: "row spread" }, h("h2", {}, h("a", { href: link("models", model.name) }, model.name)), h("span", { class: `tag ${model.live ? "good" : "warn"}` }, model.live ? `version ${model.live} is live` : "none is live")),
    h("p", { class: "small muted" }, model.task ?? "Its bundle cannot be read: the server's log says why."),
    labels && h("p", { class: "small" }, `Finds ${labels}.`),
    h("p", { class: "small muted" }, [plural(model.versions.length, "version"), dice !== undefined && dice !== null && `mean Dice ${dice.toFixed(3)}`, stateWords(model.state)].filter(Boolean).join(" · ")));
}
