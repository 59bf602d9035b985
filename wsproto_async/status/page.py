"""The page: one file that asks for nothing else, and has no secret in it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from ..handshake.http11 import Response

__all__ = ["page"]


def page() -> Response:
    """Return the page, with a policy that lets nothing run but what is in it."""
    text = Path(__file__).with_name("page.html").read_text("utf-8")
    style, script = (
        b64encode(sha256(part.encode()).digest()).decode()
        for part in re.findall(r"<(?:style|script)>(.*?)</", text, re.DOTALL)
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "; ".join(
            [
                "default-src 'none'",
                f"style-src 'sha256-{style}'",
                f"script-src 'sha256-{script}'",
                "connect-src 'self'",
                "img-src data:",  # the icon
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(200, headers=headers, body=text)
