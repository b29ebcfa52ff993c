"""NIfTI images as any scanner or program may have left them, made by nibabel, as a hypothesis strategy."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from scipy.spatial.transform import Rotation

ORIENTATIONS = ["".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes)]
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def oblique_affine(orientation: str, spacing: tuple[float, ...], tilt: tuple[float, ...], shape) -> np.ndarray:
    straight = np.eye(4)
    straight[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ np.diag(spacing)
    straight[:3, 3] = (-90.25, 12.5, 1.0 / 3)
    return straight @ inv_ornt_aff(axcodes2ornt(orientation), shape)


@st.composite
def nifti_images(draw: st.DrawFn) -> nib.Nifti1Image:
    """Any orientation, tilt, spacing, size, number type, byte order, version, form codes, units and scaling."""
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    extra = draw(st.sampled_from([(), (), (1,), (3,), (1, 2)]))
    spacing = draw(st.tuples(*[st.floats(0.05, 20)] * 3))
    tilt = draw(st.tuples(*[st.floats(-44, 44)] * 3))
    affine = oblique_affine(draw(st.sampled_from(ORIENTATIONS)), spacing, tilt, shape)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    kind = draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 120, shape + extra).astype(dtype)
    header = kind.header_class(endianness=draw(st.sampled_from("<>")))
    header.set_data_dtype(dtype)
    header.set_xyzt_units(draw(st.sampled_from(["mm", "unknown"])), "sec")
    image = kind(values, affine, header)
    sform, qform = draw(st.sampled_from([(1, 1), (2, 0), (4, 1), (0, 1), (0, 0)]))
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    if dtype.kind == "i" and draw(st.booleans()):
        image.header.set_slope_inter(0.37, -12.5)
    return image
