// Models: all of them, or the one in the address.

import { showModels } from "../models/list.js";
import { showModel } from "../models/one.js";

export async function show(root, { rest: [name], query }) {
  await (name ? showModel(root, name) : showModels(root, query.get("dataset")));
}
