// The views, in the order of the navigation. A view is a module with `show(root, params)`: see README.md.

export const VIEWS = [
  { name: "segment", title: "Segment", load: () => import("./views/segment.js") },
  { name: "correct", title: "Correct", load: () => import("./views/correct.js") },
  { name: "jobs", title: "Jobs", load: () => import("./views/jobs.js") },
  { name: "datasets", title: "Datasets", load: () => import("./views/datasets.js") },
  { name: "models", title: "Models", load: () => import("./views/models.js") },
  { name: "operate", title: "Operate", load: () => import("./views/operate.js") },
];
