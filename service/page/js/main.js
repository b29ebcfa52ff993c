// The page: its bar, its views, and which server this is.

import { get } from "./api.js";
import { showTools } from "./components/tools.js";
import { start } from "./router.js";

showTools(document.getElementById("tools"));
await start(document.getElementById("nav"), document.getElementById("main"));
get("/v1/info").then((info) => {
  document.getElementById("version").textContent = `skipseg ${info.version} on ${info.device}`;
}, () => { /* the view tells what is wrong */ });
