// The scan as NIfTI, for the viewer: as it was dropped where it is NIfTI, else as the server reads it.

import { sendForm } from "../api.js";

/** A blob of NIfTI: the file itself where it is one. Throws `Problem` when the server cannot read the scan. */
export async function imageOf(scan, { signal, wishes = {} } = {}) {
  const isNifti = scan.files.length === 1 && /\.nii(\.gz)?$/i.test(scan.files[0].name);
  return isNifti ? scan.files[0] : asServerReads(scan, { signal, wishes });
}

/** The same, as the server reads it. */
export async function asServerReads(scan, { signal, wishes: { series = "", geometry = "" } = {} } = {}) {
  const form = new FormData();
  for (const part of await scan.parts(() => {})) form.append("scan", part, "scan");
  return (await sendForm("POST", `/v1/volumes?${new URLSearchParams({ ...(series && { series }), ...(geometry && { geometry }) })}`, form, { signal })).blob();
}
