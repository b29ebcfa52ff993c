// The models that can be asked, and what each of them needs.

import { get } from "../api.js";

/** Every version that can segment: [{reference, title, details}], live ones first; `details` is null for others. */
export async function versions(signal) {
  const { models } = await get("/v1/models", { signal });
  const usable = models.filter((model) => model.labels);
  const live = usable.filter((model) => model.live).map((model) => one(model, model.live, true));
  const others = usable.flatMap((model) => model.versions.filter((version) => version !== model.live).map((version) => one(model, version, false)));
  return [...live, ...others];
}

function one(model, version, isLive) {
  const reference = `${model.name}@${version}`;
  return { reference, isLive, title: isLive ? `${model.name} (version ${version}, live)` : `${model.name}, version ${version}`, details: model.described === version ? model : null };
}

/** What one needs and gives: channels in order, labels with their colours. */
export async function detailsOf(version, signal) {
  const [name, number] = version.reference.split("@");
  version.details ??= await get(`/v1/models/${encodeURIComponent(name)}/versions/${number}`, { signal });
  return version.details;
}
