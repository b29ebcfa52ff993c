"""What skipseg's server is measured against: FastAPI and MONAI's inferer, as people write it by hand.

Its routes never block, decoding and encoding run in threads, and a lock keeps the model to one scan at a time.

    python -m skipseg.service.bench.plain_server BUNDLE [--device cpu]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Response, UploadFile
from monai.inferers.inferer import SlidingWindowInferer
from numpy.typing import NDArray

from skipseg.models.bundle import load_bundle
from skipseg.service.observing import logs
from skipseg.service.running.listener import listen, url_of


class Model:
    """A network in fp32, and the way from voxels to labels."""

    def __init__(self, folder: Path, device: str) -> None:
        bundle = load_bundle(folder)
        self.device = torch.device(device)
        self.network = bundle.network().to(self.device)
        self.infer = SlidingWindowInferer(bundle.plan.tile, 1, bundle.plan.overlap, mode="gaussian")

    @torch.inference_mode()
    def __call__(self, voxels: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = torch.from_numpy((voxels - voxels.mean()) / voxels.std())[None, None].to(self.device)
        logits: torch.Tensor = self.infer(image, self.network)[0]
        labels: NDArray[np.uint8] = logits.argmax(0).to(torch.uint8).cpu().numpy()
        return labels


def create_app(model: Model) -> FastAPI:
    """The whole server."""
    app = FastAPI()
    turn = asyncio.Lock()

    @app.post("/segment")
    async def segment(scan: UploadFile) -> Response:
        image = await asyncio.to_thread(_decode, await scan.read())
        voxels = await asyncio.to_thread(image.get_fdata, dtype=np.float32)
        async with turn:
            labels = await asyncio.to_thread(model, voxels)
        return Response(await asyncio.to_thread(_encode, labels, image), media_type="application/gzip")

    @app.get("/info")
    async def info() -> dict[str, str]:
        return {"model": "bench", "device": str(model.device)}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, list[str]]:
        return {"models": ["bench@1"]}  # it is loaded before it listens

    return app


def main() -> None:
    """Serve a bundle on a free port of this machine, and say on which."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    app = create_app(Model(wanted.bundle, wanted.device))
    with listen("127.0.0.1", 0) as listener:
        logs.configure("warning")
        logs.announce("listening", {"url": url_of(listener)})
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def _decode(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


def _encode(labels: NDArray[np.uint8], image: nib.Nifti1Image) -> bytes:
    return gzip.compress(nib.Nifti1Image(labels, image.affine).to_bytes(), compresslevel=1)


if __name__ == "__main__":
    main()
