"""Who may import whom: three floors, no circle, no arrow up."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import from its own room and from these.
BELOW = {
    "models": (),
    "training": ("models",),
    "client": (),
    "service": ("models", "training", "client"),
    "service/entry": ("service",),
}

# Inside a room: what a part must not know of, because that is built on top of it.
ON_TOP = ("models.preprocess", "models.bundle", "models.inference", "models.registry")
TRAINING = (
    "datasets",
    "fitting",
    "planning",
    "judging",
    "reports",
    "study",
    "runs",
    "pipeline",
)  # each knows of those before it
ABOVE = {
    "models.errors": ("models",),
    "models.labels": ("models",),
    "models.scans": ("models.networks", "models.plan", *ON_TOP),
    "models.networks": ("models.scans", "models.plan", *ON_TOP),
    "models.plan": ("models.scans", *ON_TOP),
    "models.preprocess": ("models.bundle", "models.inference", "models.registry"),
    "models.bundle": ("models.scans", "models.preprocess", "models.inference", "models.registry"),
    "models.inference": ("models.registry",),
    **{
        f"training.{part}": tuple(f"training.{later}" for later in TRAINING[i + 1 :]) for i, part in enumerate(TRAINING)
    },
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours as its dotted name below ``skipseg``, such as ``models.scans.volume``, and its file."""
    for room in ("models", "training", "service"):
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if parts[:2] == ("service", "client") else parts  # installed as skipseg.client
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    """What a file imports of our rooms, in functions too, as dotted names below ``skipseg``; none may be relative."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        ours = (name.removeprefix("skipseg.") for name in names if name.startswith("skipseg."))
        yield from (name for name in ours if name.split(".")[0] in BELOW)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def arrows() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports; a name inside a module counts as the module."""
    known = {name for name, _ in modules()}
    return {name: {_module_of(target, known) for target in imports(path)} - {name} for name, path in modules()}


def _module_of(target: str, known: set[str]) -> str:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target


def test_rooms_import_only_what_lies_below_them() -> None:
    wrong = []
    for name, path in modules():
        own = "service/entry" if within(name, "service.entry") else name.split(".")[0]
        allowed = (own, *BELOW[own])
        wrong += [f"{name} imports {target}" for target in imports(path) if target.split(".")[0] not in allowed]
    assert not wrong


@pytest.mark.parametrize("part", ABOVE)
def test_parts_of_models_do_not_know_what_is_built_on_them(part: str) -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in arrows().items()
        if within(name, part)
        for target in targets
        if not within(target, part) and any(within(target, above) for above in ABOVE[part])
    ]
    assert not wrong


def test_the_client_needs_neither_torch_nor_the_server() -> None:
    program = "import skipseg.client, sys; print(*(name.partition('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "httpx" in loaded
    assert {"torch", "monai", "numpy", "fastapi", "starlette", "uvicorn", "sqlalchemy", "dbos"}.isdisjoint(loaded)


def test_nothing_imports_the_command_line_but_the_entry() -> None:
    assert {name for name, targets in arrows().items() if "service.cli" in targets} <= {"service.entry.__main__"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")
