"""``make image-check``: build the image as docker/Dockerfile says, run it as its user, and have it segment.

For machines without a Docker engine: Debian's buildah builds and runs without one, in a root of Debian's packages that
debootstrap fetches from where apt does. Python packages come from where this machine's pip has them, before the build,
which then needs no network and learns nothing of this machine. Read ``main`` first; all of it is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from image_use import jobs_by_two_containers, masks_over_http

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("buildah", "debootstrap", "apt-get")
INCLUDED = "python3,python3-venv,python3-pip,ca-certificates"  # what docker/Dockerfile asks of its base
LARGEST = 3 * 2**30  # bytes of the whole image, with the CPU builds of PyTorch
USER = 10001
COMPILERS = ("gcc", "cc", "c++", "g++", "ld", "make")
NOT_IN_IT = (*(f"usr/bin/{name}" for name in COMPILERS), "root/.cache", "data/.cache", "src", "tmp/requirements.txt")


@dataclass(frozen=True)
class Buildah:
    """buildah with a storage of its own, that is gone afterwards."""

    place: Path

    def __call__(self, *arguments: object, **how: object) -> str:
        command = [*self.command, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **how).stdout.strip()  # type: ignore[call-overload,no-any-return]

    @property
    def command(self) -> list[str]:
        storage = ["--root", self.place / "storage", "--runroot", self.place / "run", "--storage-driver", "vfs"]
        return ["buildah", *map(str, storage)]

    @property
    def policy(self) -> list[str]:
        return ["--signature-policy", str(self.place / "policy.json")]


def main() -> None:
    """Raises ``SystemExit`` with words, and ``CalledProcessError`` of whatever fails."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", metavar="DIR", type=Path, help="work here, and leave it all there")
    kept = options.parse_args().keep
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.getuid() != 0:
        raise SystemExit(f"image-check runs as root, with {', '.join(TOOLS)}; missing: {', '.join(missing) or 'root'}")
    began = time.monotonic()
    with ExitStack() as ends:
        place = kept or Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="skipseg-image-", dir="/var/tmp")))
        place.mkdir(exist_ok=True)
        (place / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        buildah = Buildah(place)
        _say("base: Debian's packages")
        base = _base(buildah)
        _say("wheels: with this machine's pip")
        _wheels(place)
        _say("image: docker/Dockerfile, target cpu")
        image = _image(buildah, base)
        with _container(buildah, image) as (container, root):
            _check_configuration(buildah, image)
            size = _check_files(root)
            _say("run: segment over HTTP")
            masks_over_http(buildah.command, container, place, USER)
            _say("run: server and worker in containers of their own, on one PostgreSQL")
            jobs_by_two_containers(buildah.command, container, place, USER)
    print(f"image-check: {size / 2**20:.0f} MiB, all well, in {(time.monotonic() - began) / 60:.0f} min")


def _base(buildah: Buildah) -> str:
    """A base of what this machine's apt has."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.splitlines()  # fmt: skip
    mirror, suite = next(target.split()[:2] for target in targets if "debian" in target and target.endswith(" main"))
    rootfs, archive = buildah.place / "rootfs", buildah.place / "base.tar"
    _quietly(buildah.place, "debootstrap", "--variant=minbase", f"--include={INCLUDED}", suite, rootfs, mirror)
    left_out = ["./proc/*", "./sys/*", "./dev/*", "./var/cache/apt/*", "./var/lib/apt/lists/*"]
    excluded = [f"--exclude={pattern}" for pattern in left_out]
    _quietly(buildah.place, "tar", "-C", rootfs, "--numeric-owner", *excluded, "-cf", archive, ".")
    shutil.rmtree(rootfs)
    container = buildah("from", *buildah.policy, "scratch")
    buildah("add", container, archive, "/")
    buildah("commit", "--quiet", *buildah.policy, "--format", "docker", container, "localhost/skipseg-base:check")
    buildah("rm", container)
    archive.unlink()
    return "localhost/skipseg-base:check"


def _wheels(place: Path) -> None:
    """All that the build installs, and what builds skipseg itself, for the Python of the base."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    constraints = ["-c", ROOT / "constraints.txt", "--only-binary", ":all:"]
    _quietly(place, sys.executable, "-m", "pip", "download", "-d", place / "wheels", *constraints, *wanted)
    (place / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")


def _image(buildah: Buildah, base: str) -> str:
    name = "localhost/skipseg:check"
    mounts = ["-v", f"{buildah.place / 'wheels'}:/wheels:ro", "-v", f"{buildah.place / 'pip.conf'}:/etc/pip.conf:ro"]
    how = ["--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker", *buildah.policy]
    what = ["--build-arg", f"BASE_IMAGE={base}", "-f", ROOT / "docker" / "Dockerfile", "--target", "cpu", "-t", name]
    _quietly(buildah.place, *buildah.command, "bud", *how, *mounts, *what, ROOT)
    return name


@contextmanager
def _container(buildah: Buildah, image: str) -> Iterator[tuple[str, Path]]:
    """A container of an image, and the root of its files."""
    container = buildah("from", *buildah.policy, "--pull-never", image)
    try:
        yield container, Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def _check_configuration(buildah: Buildah, image: str) -> None:
    config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    _expect(config["User"], f"{USER}:{USER}", "the user that everything runs as")
    _expect((config["Entrypoint"], config["Cmd"]), (["skipseg"], ["serve"]), "what is run")
    _expect(list(config["Volumes"]), ["/data"], "the volumes")


def _check_files(root: Path) -> int:
    """Bytes of the image."""
    found = [name for name in NOT_IN_IT if (root / name).exists()]
    _expect(found, [], "compilers, caches and leftovers in the image")
    caches = [str(path) for path in (root / "opt" / "skipseg").rglob("pip") if path.is_dir()]
    _expect(caches, [], "copies of pip beside skipseg")
    ours = [path for path in (root / "opt" / "skipseg").rglob("*") if not path.is_symlink() and path.stat().st_uid != 0]
    _expect(ours, [], "files of skipseg that are not root's")
    size = int(subprocess.run(["du", "-sbx", root], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[0])
    if size > LARGEST:
        raise SystemExit(f"image-check: the image has {size / 2**20:.0f} MiB; expected at most {LARGEST / 2**20:.0f}")
    return size


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise SystemExit(f"image-check: {what}: expected {wanted}, found {found}")


def _quietly(place: Path, *command: object) -> None:
    """Run a command; what it says is shown if it fails."""
    log = place / "log"
    with log.open("w") as file:
        code = subprocess.run(list(map(str, command)), stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise SystemExit(f"{log.read_text()[-4000:]}\nimage-check: {command[0]} ended with exit code {code}")


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    main()
