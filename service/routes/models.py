"""What can be asked for: models, and the server itself."""

from __future__ import annotations

from fastapi import APIRouter

from skipseg import __version__
from skipseg.models.bundle import BundleManifest
from skipseg.models.errors import SkipsegError
from skipseg.models.plan import Plan
from skipseg.models.registry import RegisteredModel
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.service.keys.access import needs
from skipseg.service.problems import documented
from skipseg.service.resident.loading import Loaded
from skipseg.service.schemas import (
    ExpectedInput,
    Info,
    LimitsInfo,
    LoadedModel,
    ModelDetails,
    ModelList,
    ModelMemory,
    ModelSummary,
)
from skipseg.service.state import Server, ServerDep

router = APIRouter(prefix="/v1", tags=["models"], dependencies=[needs("read")])


@router.get("/models", summary="The models of the registry: what goes in, what comes out, how good they are")
def list_models(server: ServerDep) -> ModelList:
    return ModelList(models=tuple(_listed(model, server) for model in server.registry.models()))


@router.get(
    "/models/{name}", summary="One model: what goes in, what comes out, how good it is", responses=documented(404, 422)
)
def show_model(name: str, server: ServerDep) -> ModelDetails:
    return _details(server.registry.model(name), server)


@router.get("/info", summary="This server: version, device, loaded models, limits")
async def info(server: ServerDep) -> Info:
    settings, (used, budget) = server.settings, server.models.loader.memory
    return Info(
        version=__version__,
        device=server.models.device_label,
        models=server.models.references(),
        loaded=tuple(_chosen(loaded) for loaded in server.models.loader.all()),
        model_memory=ModelMemory(used_bytes=used, budget_bytes=budget),
        formats=tuple(MASK_FORMATS),
        limits=LimitsInfo(
            upload_bytes=settings.max_upload_bytes,
            voxels=settings.max_voxels,
            channels=settings.max_channels,
            queue_size=settings.queue_size,
        ),
    )


def expected_input(plan: Plan) -> ExpectedInput:
    """What a scan must be for a plan."""
    return ExpectedInput(
        dimensions=plan.dimensions,
        channels=tuple(channel.name for channel in plan.channels),
        orientation=plan.orientation,
        spacing_mm=plan.spacing,
    )


def _chosen(loaded: Loaded) -> LoadedModel:
    choice = loaded.predictor.choice
    assert choice is not None  # the loader's predictors were chosen
    return LoadedModel(
        model=loaded.version.reference,
        bytes=loaded.bytes,
        backend=choice.backend,
        precision=choice.precision,
        batch=loaded.predictor.backend.batch,
        overlap=loaded.predictor.way().overlap,
        difference=choice.difference,
        reason=choice.reason,
    )


def _listed(model: RegisteredModel, server: Server) -> ModelDetails | ModelSummary:
    try:
        return _details(model, server)
    except (SkipsegError, OSError):  # one damaged bundle must not hide the others
        return _summary(model, server)


def _details(model: RegisteredModel, server: Server) -> ModelDetails:
    described, manifest = _described(model, server)
    return ModelDetails(
        **_summary(model, server).model_dump(),
        described=described,
        task=manifest.task,
        licence=manifest.licence,
        input=expected_input(manifest.plan),
        labels=manifest.labels.all,
        metrics=manifest.metrics,
    )


def _described(model: RegisteredModel, server: Server) -> tuple[int, BundleManifest]:
    """The version that is loaded, else the live one, else the latest."""
    loaded = server.models.answering(model.name)
    if loaded is not None:
        return loaded.version.version, loaded.predictor.bundle.manifest
    version = server.registry.resolve(f"{model.name}@{model.live or model.versions[-1]}")
    return version.version, version.open().manifest


def _summary(model: RegisteredModel, server: Server) -> ModelSummary:
    return ModelSummary(
        name=model.name,
        versions=model.versions,
        live=model.live,
        shipped=model.shipped,
        state=server.models.state(model.name),
    )
