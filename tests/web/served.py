"""A real server in a process of its own, and clients that behave as the page does."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx

HERE = Path(__file__).parent
STUB = "from cryores.web import scipion; scipion.RUNNER = 'stub_runner'; "
MAIN = "import sys; from cryores.cli import main; sys.exit(main(['web', *sys.argv[1:]]))"


class Served:
    """A server on a free port."""

    def __init__(self, store, *words, stub=True):
        self.store = Path(store)
        self.store.mkdir(parents=True, exist_ok=True)
        self.words = words
        self.stub = stub
        self.start()

    def start(self):
        self.log = self.store.parent / f"{self.store.name}.log"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
        environment.pop("SCIPION_HOME", None)
        command = [sys.executable, "-c", (STUB if self.stub else "") + MAIN]
        options = ["--store", str(self.store), "--port", "0", "--threads", "1", *self.words]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*command, *options], stdout=log, stderr=log, env=environment)
        self.url = wait_for(self._address, 60)

    def _address(self):
        found = re.search(r"is at (\S+) ", self.log.read_text())
        if not found and self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        return found and found.group(1)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()

    def folders(self):
        """Return the folders of jobs."""
        return sorted((self.store / "jobs").iterdir())

    def user(self):
        return User(self.url)

    def take_as_examined(self, job, like):
        """Copy what was found in another job with the same maps: it takes a second to find."""
        with contextlib.closing(sqlite3.connect(self.store / "jobs.sqlite")) as base, base:
            sql = "UPDATE jobs SET examined = (SELECT examined FROM jobs WHERE id = ?) WHERE id = ?"
            base.execute(sql, (like, job))

    def times_of(self, job):
        """Return when a job was started and when it ended."""
        with contextlib.closing(sqlite3.connect(self.store / "jobs.sqlite")) as base:
            return base.execute("SELECT started, ended FROM jobs WHERE id = ?", (job,)).fetchone()


class User(httpx.Client):
    """A browser: a cookie and the token of the page."""

    def __init__(self, url):
        super().__init__(base_url=url, timeout=60, trust_env=False)
        self.headers["X-Cryores-Token"] = self.get("/api/session").json()["token"]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def draft(self):
        return self.post("/api/jobs").json()["id"]

    def upload(self, job, role, content, name="a.mrc"):
        data = content.read_bytes() if isinstance(content, Path) else content
        return self.put(f"/api/jobs/{job}/inputs/{role}", content=data, headers={"X-File-Name": name})

    def examined(self, **files):
        """Make a job with these files, and let it be looked at."""
        job = self.draft()
        for role, path in files.items():
            done = self.upload(job, role, path, f"{role}.mrc")
            assert done.status_code == 200, done.text
        done = self.post(f"/api/jobs/{job}/examine", json={})
        assert done.status_code == 200, done.text
        return job

    def begin(self, job, methods=("monores",), **settings):
        return self.post(f"/api/jobs/{job}/start", json={"methods": list(methods), "settings": settings})

    def job(self, job):
        return self.get(f"/api/jobs/{job}").json()

    def wait(self, job, *states, seconds=120):
        return wait_for(lambda: (found := self.job(job))["state"] in states and found, seconds)


def wait_for(what, seconds):
    """Return what ``what`` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for {what}")


def sentence(answer, status=None):
    """Return what a refusal says, after checking that it is one in words."""
    assert 400 <= answer.status_code < 500 or answer.status_code in (502, 507), (answer.status_code, answer.text)
    assert status in (None, answer.status_code), answer.text
    error = answer.json()["error"]
    assert re.fullmatch(r"E_[A-Z0-9_]+", error["code"]) and len(error["message"]) > 10 and len(error["hint"]) > 5
    assert "/" not in error["message"].replace("Å/px", ""), error["message"]
    return f"{error['code']} {error['message']}; {error['hint']}"
