"""A small OpenID Connect issuer on loopback, with keys of its own."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "skipseg"


@dataclass
class SmallIssuer:
    """Signs what it is asked to; ``answers`` is what it tells by path, ``asked`` what it was asked."""

    url: str = ""
    answers: dict[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def publish(self) -> None:
        """Tell the public keys."""
        rsa_jwk = RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"}
        ec_jwk = ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True) | {"kid": "ec", "alg": "ES256"}
        self.answers["/.well-known/openid-configuration"] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.answers["/keys"] = {"keys": [rsa_jwk, ec_jwk]}

    def claims(self, **changed: object) -> dict[str, object]:
        """Those of a token that counts; None leaves a claim out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "jane@hospital.example", "exp": now + 600, "nbf": now - 10}
        claims = good | {"scope": "openid skipseg:read"} | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, algorithm: str = "RS256", kid: str | None = None, **changed: object) -> str:
        key = self.ec_key if algorithm.startswith("ES") else self.rsa_key
        kid = kid or ("ec" if algorithm.startswith("ES") else "rsa")
        return jwt.encode(self.claims(**changed), key, algorithm, headers={"kid": kid})


@contextmanager
def issuing() -> Iterator[SmallIssuer]:
    """An issuer that answers on a free port."""
    issuer = SmallIssuer()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            answer = issuer.answers.get(self.path)
            self.send_response(404 if answer is None else 302 if isinstance(answer, str) else 200)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    issuer.publish()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
