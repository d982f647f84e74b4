"""A small sign-in service (OpenID Connect) on this machine, which says what a test wants it to say."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

CLIENT, SECRET = "desk", "a secret of both"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Say nothing."""


@dataclass
class Provider:
    """Who is signed in there, and what it says about them; ``says`` changes or adds claims."""

    issuer: str = ""
    subject: str = "user-1"
    email: str = "viewer@staff.example.com"
    says: dict[str, Any] = field(default_factory=dict)
    refuses: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        answer = getattr(
            self, request.path.strip("/").replace(".well-known/", "").replace("-", "_")
        )(request)
        return answer(environ, start)

    def openid_configuration(self, _: Request) -> Response:
        paths = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "jwks",
        }
        told: dict[str, Any] = {name: f"{self.issuer}/{path}" for name, path in paths.items()}
        told |= {"issuer": self.issuer, "id_token_signing_alg_values_supported": ["RS256"]}
        return _json(told)

    def jwks(self, _: Request) -> Response:
        return _json({"keys": [self.key.as_dict(private=False)]})

    def authorize(self, request: Request) -> Response:
        asked = request.args.to_dict()
        self.asked.append(asked)
        back = {"state": asked["state"]}
        if self.refuses:
            back["error"] = "access_denied"
        else:
            code = back["code"] = secrets.token_hex(8)
            self.codes[code] = asked
        return Response(
            status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(back)}"}
        )

    def token(self, request: Request) -> Response:
        asked = self.codes.pop(request.form["code"])
        login = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        verifier = hashlib.sha256(request.form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if login != f"{CLIENT}:{SECRET.replace(' ', '+')}" and login != f"{CLIENT}:{SECRET}":
            return _json({"error": "invalid_client"}, 401)
        if challenge != asked["code_challenge"] or asked["code_challenge_method"] != "S256":
            return _json({"error": "invalid_grant"}, 400)
        return _json({"access_token": "x", "token_type": "Bearer", "id_token": self._id(asked)})

    def _id(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": self.subject,
            "email": self.email,
            "email_verified": True,
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 300,
        } | self.says
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signs_with or self.key)


@contextmanager
def running() -> Iterator[Provider]:
    """A provider that answers on this machine."""
    provider = Provider()
    server = make_server("127.0.0.1", 0, provider, threaded=True, request_handler=_Quiet)
    provider.issuer = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _json(told: object, status: int = 200) -> Response:
    return Response(json.dumps(told), status, content_type="application/json")
