"""A provider on loopback for this example: an outage of its big model, and a small one that misreads."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OVERLOADED = {"error": {"message": "overloaded", "code": "server_is_overloaded"}}


@contextmanager
def provider(outage_seconds: float) -> Iterator[str]:
    """Serve; gives the base URL. The outage begins with the fifth call to the big model."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(outage_seconds))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _handler(outage_seconds: float) -> type[BaseHTTPRequestHandler]:
    calls = {"big": 0, "small": 0}
    outage: list[float] = []

    def say(model: str, prompt: str) -> str:
        total = int(re.findall(r"total ([0-9]+)", prompt)[0])
        if model == "small" and calls["small"] % 5 == 0:
            total *= 10  # one in five is read wrongly
        asked = re.match(r"Is ([0-9]+) cents", prompt)
        return str(total) if asked is None else ("yes" if int(asked[1]) == total else "no")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model = body["model"]
            calls[model] += 1
            if model == "big" and calls["big"] == 5:
                outage.append(time.monotonic())
            if model == "big" and outage and time.monotonic() - outage[0] < outage_seconds:
                self._send(503, OVERLOADED)
                return
            message = {"role": "assistant", "content": say(model, body["messages"][0]["content"])}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
            self._send(200, {**answer, "choices": [choice]})

        def _send(self, status: int, body: object) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
