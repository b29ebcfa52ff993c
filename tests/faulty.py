"""A proxy in front of a real server that fails on demand, as networks and proxies do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx


@dataclass
class Proxy:
    """``faults`` befall the next requests, one each: ``lose`` the answer, ``cut`` it short, be ``busy``."""

    url: str
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def proxy_of(server_url: str) -> Iterator[Proxy]:
    proxy = Proxy("")

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            proxy.asked.append(f"{self.command} {self.path}")
            proxy.keys.append(self.headers.get("Authorization"))
            fault = proxy.faults.pop(0) if proxy.faults else ""
            body = self._body()
            if fault == "busy":
                self.send_response(503)
                self.send_header("Retry-After", "0")
                return self.end_headers()
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("transfer-encoding", "content-length")
            }
            answer = httpx.request(self.command, server_url + self.path, content=body, headers=headers, timeout=120)
            if fault == "lose":
                return None
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content[: len(answer.content) // 2] if fault == "cut" else answer.content)
            return None

        do_GET = do_POST = do_DELETE = pass_on  # noqa: N815 - the names that http.server looks for

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            blocks = []
            while size := int(self.rfile.readline(), 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(blocks)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        proxy.url = f"http://127.0.0.1:{http.server_port}"
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            http.shutdown()
            thread.join()
