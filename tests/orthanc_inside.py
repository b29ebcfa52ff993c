"""Runs in a network namespace of its own: Orthanc, and the doors to it.

This version of Orthanc listens on every address. In here there is none but loopback, so that no other machine can reach
it; the tests come in through sockets in the file system, which namespaces of networks do not part.

    python orthanc_inside.py FOLDER      the folder holds orthanc.json; http.sock and dicom.sock are made there
"""

import asyncio
import ctypes
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from forwarding import forwarder

PORTS = {"http.sock": 8042, "dicom.sock": 4242}
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def main(folder: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    log = (folder / "orthanc.log").open("ab")
    orthanc = subprocess.Popen(
        ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log, preexec_fn=die_with_parent
    )
    for name, port in PORTS.items():
        (folder / name).unlink(missing_ok=True)
        await asyncio.start_unix_server(
            forwarder(partial(asyncio.open_connection, "127.0.0.1", port)), str(folder / name)
        )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    while not ended.is_set() and orthanc.poll() is None:
        await asyncio.sleep(0.05)
    orthanc.kill()
    orthanc.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
