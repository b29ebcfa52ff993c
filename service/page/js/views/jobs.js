// Jobs: all of them, or the one in the address.

import { showJob } from "../jobs/one.js";
import { showList } from "../jobs/list.js";

export function show(root, { rest: [id] }) {
  return id ? showJob(root, id) : showList(root);
}
