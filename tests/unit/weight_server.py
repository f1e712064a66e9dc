"""A real web server on this machine, with Range and ETag, that can be made to fail; and a set of weights for it."""

import hashlib
import io
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from cryores.nets.weights import HDF5_SIGNATURE

NAME = "xmipp_model_deepRes.tgz"
CONTENT = {
    name: HDF5_SIGNATURE + np.random.default_rng(seed).bytes(700_000)
    for seed, name in enumerate(("model_w13.h5", "model_w7.h5"))
}


def tar(members, mode="w:gz"):
    """Pack (name, bytes or TarInfo) pairs."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in members:
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                archive.addfile(content)
    return packed.getvalue()


GOOD = tar([("deepRes/readme.txt", b"hello"), *((f"deepRes/{n}", c) for n, c in CONTENT.items())])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``files`` with Range and ETag; ``cut`` ends an answer early, ``pause`` waits in the middle of each."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.cut, self.pause, self.gate = {NAME: GOOD}, [], [], 0.0, None
        self.ranges = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request, address):
        """Say nothing of clients that leave."""


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.files.get(self.path.lstrip("/"))
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if content is None:
            self.send_error(404)
            return
        tag, start = f'"{sha256(content)[:16]}"', 0
        if asked and self.server.ranges and self.headers.get("If-Range") in (None, tag):
            start = int(asked.split("=")[1].rstrip("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = self.server.cut.pop(0) if self.server.cut else len(content)
        middle = (start + end) // 2
        self.wfile.write(content[start:middle])
        self.wfile.flush()
        time.sleep(self.server.pause)
        if self.server.gate:
            self.server.gate.wait(20)
        self.wfile.write(content[middle:end])

    def log_message(self, *_):
        pass
