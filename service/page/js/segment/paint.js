// A mask painted by hand from nothing, with the labels of a model or of a dataset.

import { get } from "../api.js";
import { field, select } from "../components/field.js";
import { fill, h } from "../dom.js";
import { go } from "../router.js";
import { asServerReads } from "../scan/image.js";
import { blank, readNifti } from "../scan/nifti.js";
import { hand } from "../session.js";
import { runner } from "./run.js";

const MODEL = "";

/** A way to the view Correct with an empty mask; `element` to show, `stop()` ends what is under way. */
export function paintByHand(order) {
  const whose = select([[MODEL, "The model above"]], MODEL);
  let datasets = null;

  async function offer() {
    datasets ??= await get("/v1/datasets").catch(() => []); // a key that may only segment paints with the labels of the model
    const chosen = whose.value;
    fill(whose, h("option", { value: MODEL }, "The model above"), datasets.map((one) => h("option", { value: one.name }, `The dataset ${one.name}`)));
    whose.value = chosen;
  }
  const run = runner("Paint on an empty mask", async ({ signal, told }) => {
    told(null, "The server reads the scan, for its grid");
    const { scan } = hand, wishes = order.wishes(), dataset = datasets?.find((one) => one.name === whose.value);
    const image = await asServerReads(scan, { signal, wishes }), empty = blank(await readNifti(image));
    if (hand.scan !== scan || signal.aborted) return;
    const isShown = hand.image === scan.files[0];
    Object.assign(hand, { wishes, model: dataset ? asModel(dataset) : order.model(), blank: empty, result: null, image: isShown ? hand.image : image });
    go("correct");
  });
  return {
    element: h("details", { ontoggle: () => offer() }, h("summary", {}, "Paint by hand"), h("div", { class: "stack" },
      field("Labels of", whose, "No model is asked; the mask can be saved as a case of a dataset."), run.element)),
    stop: () => run.stop(),
  };
}

/** As much of a model as painting needs. */
function asModel({ name, labels, channels }) {
  return { name, labels, input: { channels } };
}
