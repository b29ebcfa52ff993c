// Datasets: all of them, the one in the address, or one case of it.

import { showCase } from "../datasets/case.js";
import { showDatasets } from "../datasets/list.js";
import { showDataset } from "../datasets/one.js";

export function show(root, { rest: [name, case_], query }) {
  if (case_) return showCase(root, name, case_, query.get("job"));
  return name ? showDataset(root, name) : showDatasets(root);
}
