"""Server-sent events (WHATWG HTML, 9.2), as far as jobs use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from skipseg.client.answers import Job

SILENCE_S = 60.0  # the server says at least every 15 s that it is still there


def jobs_in(lines: Iterable[str]) -> Iterator[tuple[str, Job]]:
    """Events and the job that each tells; a comment, or an event that was cut short, tells nothing."""
    event, data = "", list[str]()
    for line in lines:
        if not line:
            if data:
                yield event, Job.model_validate_json("\n".join(data))
            event, data = "", []
        elif line.startswith("event:"):
            event = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
