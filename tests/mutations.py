"""Files that were scans before somebody damaged them: the same for the same seed."""

import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from random import Random

from isal import igzip
from scan_files import png_chunk, zipped

GZIP, PNG = b"\x1f\x8b", b"\x89PNG\r\n\x1a\n"
HEADER = 352  # bytes at the start, where a file says what it is
WORDS = [  # numbers that programs stumble over, as files hold them
    *(struct.pack("<h", value) for value in (0, 1, -1, 2, 7, 255, 32767, -32768)),
    *(struct.pack("<i", value) for value in (0, -1, 65536, 2**31 - 1, -(2**31))),
    *(struct.pack("<f", value) for value in (0, -1, 1e-30, 1e30, 400.0, float("nan"), float("inf"))),
    *(struct.pack(">I", value) for value in (0, 1, 2**16, 2**31, 2**32 - 1)),
]


@dataclass(frozen=True)
class Mutant:
    """A damaged file, and what it takes to make it again."""

    number: int
    name: str
    data: bytes


def mutants(originals: dict[str, bytes], count: int, seed: int) -> Iterator[Mutant]:
    for number in range(count):
        chance = Random(f"{seed}/{number}")
        name = chance.choice(sorted(originals))
        yield Mutant(number, name, _mutated(originals[name], chance))


def zip_of(files: dict[str, bytes]) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(zipfile.ZipInfo(name), data)
    return archive.getvalue()


def _mutated(data: bytes, chance: Random) -> bytes:
    """Damaged as it is, or behind what would show the damage at once: compression and checksums."""
    inside = chance.random() < 0.7
    if inside and data.startswith(GZIP):
        return zipped(_damaged(igzip.decompress(data), chance))
    if inside and data.startswith(PNG):
        return _with_good_checksums(_damaged(data, chance))
    return _damaged(data, chance)


def _damaged(data: bytes, chance: Random) -> bytes:
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        data = chance.choice(WAYS)(data, chance)
    return data


def _place(data: bytes, chance: Random) -> int:
    return chance.randrange(max(1, min(len(data), chance.choice([HEADER, HEADER, HEADER, len(data)]))))


def _flip_a_bit(data: bytes, chance: Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + bytes(byte ^ (1 << chance.randrange(8)) for byte in data[at : at + 1]) + data[at + 1 :]


def _put_a_word(data: bytes, chance: Random) -> bytes:
    word = chance.choice(WORDS)
    at = _place(data, chance) // 2 * 2
    return data[:at] + word + data[at + len(word) :]


def _put_noise(data: bytes, chance: Random) -> bytes:
    at, count = _place(data, chance), chance.choice([1, 4, 16, 256])
    return data[:at] + chance.randbytes(count) + data[at + count :]


def _cut_short(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _leave_out(data: bytes, chance: Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + data[at + chance.choice([1, 2, 7, 64]) :]


def _repeat(data: bytes, chance: Random) -> bytes:
    at, count = _place(data, chance), chance.choice([1, 2, 64, 4096])
    return data[: at + count] + data[at:]


WAYS: list[Callable[[bytes, Random], bytes]] = [
    _flip_a_bit,
    _put_a_word,
    _put_a_word,
    _put_noise,
    _cut_short,
    _leave_out,
    _repeat,
]


def _with_good_checksums(data: bytes) -> bytes:
    """A PNG of the same chunks, as far as they can be told apart."""
    made, at = data[: len(PNG)], len(PNG)
    while at + 8 <= len(data):
        length = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 8)
        made += png_chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return made
