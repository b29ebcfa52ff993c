// How much two label volumes agree, label by label.

/** Map of value to {dice, one, other} (voxels) for every value in `values`; dice is null where neither has the label. */
export function diceOf(one, other, values) {
  if (one.length !== other.length) throw new Error("The two masks have different numbers of voxels");
  const most = values.reduce((a, b) => Math.max(a, b), 0) + 1;
  const first = new Float64Array(most), second = new Float64Array(most), both = new Float64Array(most);
  for (let i = 0; i < one.length; i += 1) {
    const a = one[i], b = other[i];
    if (a < most) first[a] += 1;
    if (b < most) second[b] += 1;
    if (a === b && a < most) both[a] += 1;
  }
  return new Map(values.map((value) => {
    const size = first[value] + second[value];
    return [value, { dice: size ? (2 * both[value]) / size : null, one: first[value], other: second[value] }];
  }));
}
