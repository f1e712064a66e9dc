"""Disturb every method on tiny maps, and judge what it leaves: ``python -m benchmarks.fault_trials [METHOD ...]``.

A run is killed at random moments, stopped by Ctrl-C, meets a full disk or one that can only be read, shares its folder
with another run, and gets too little address space. Every folder may already hold the result of another input. What
is in it afterwards has to be one whole result, or none; what the run says has to be true; the next run has to give what
an undisturbed one gives. Each run is a fork of one process that has imported what runs import, so that the moments
fall into the work. ``--kills N`` sets the number of kills (20); the other trials are in proportion.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import importlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Counter, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import psutil

from cryores.cli import main
from cryores.cli.output import NOTE
from cryores.mapio import read_map, write_map
from cryores.masks import sphere
from cryores.method import HALVES, load_method, method_summaries
from cryores.report.drawings import DRAWINGS

SIZE = 36
WARM = ("cryores.report", "cryores.report.html", "plotly.graph_objects", "plotly.offline", "numba.np.ufunc.parallel",
        "skimage.filters", "skimage.measure", "scipy.ndimage", "scipy.interpolate", "scipy.optimize", "scipy.stats",
        "cryores.cli.method_command", "cryores.diagnosis", "cryores.masks", "cryores.openmp", "tqdm")  # fmt: skip
"""What many runs import."""

LONGEST, LONGEST_STILL = 300.0, 120.0
"""Seconds of a processor after which a run counts as hanging, and seconds without any: others may keep it busy."""

NUMBER = r"-?\d+\.\d+(?:[eE][-+]?\d+)?"
SENTENCE = "error E_"
NOTHING, TEMPORARY = "nothing", "temporary"
SHARES = {"kill": 1.0, "interrupt": 0.3, "full disk": 0.15, "read-only": 0.05, "two at once": 0.1, "address space": 0.2}
"""Trials of each kind for one kill."""

ALLOWED = {
    "kill": (0, -signal.SIGKILL),
    "interrupt": (0, 1),
    "full disk": (0, 3),
    "read-only": (3,),
    "two at once": (0,),
    "address space": (0, 4),
}
"""Exit statuses, as the design states them."""


class WrongError(Exception):
    """What a disturbed run left or said is not what it should be."""


Content = Dict[str, Any]
"""File of a result -> its numbers; ``inputs`` -> the checksums of what it was made from."""


@dataclass
class Case:
    """A method with two different inputs, what each gives undisturbed, seconds, address space and bytes of that."""

    method: str
    words: Tuple[List[str], List[str]]
    wholes: List[Content]
    seconds: float = 0.0
    space: float = 0.0
    bytes: int = 0


def inputs_of(folder: Path) -> Tuple[Dict[str, str], Dict[str, str]]:
    """Write two sets of maps; return role -> file of each."""
    found = []
    for seed in (0, 1):
        place = folder / f"maps{seed}"
        words = ["--size", str(SIZE), "--voxel-size", "1.5", "--min-resolution", "4", "--seed", str(seed), "--quiet"]
        # Not in this process: numba refuses to work in the forks of one that has used OpenMP.
        subprocess.run([sys.executable, "-m", "cryores", "simulate", *words, "--out", str(place)], check=True)
        half1, half2, truth = (read_map(place / f"{name}.mrc") for name in ("half1", "half2", "truth"))
        write_map(place / "map.mrc", half1.like(0.5 * (half1.data + half2.data)))
        write_map(place / "inner.mrc", sphere(half1.grid, 0.3 * min(half1.grid.extent)))
        write_map(place / "other.mrc", truth.like(1.1 * truth.data))
        found.append({path.stem: str(path) for path in place.iterdir()})
    return found[0], found[1]


def words_of(name: str, files: Dict[str, str]) -> List[str]:
    """Return a command line of the method."""
    starts = load_method(name).maps
    words = [name, "--half1", files["half1"], "--half2", files["half2"]]
    if HALVES not in starts:
        words = [name, "--map", files["map"]]
    words += {
        "compare": ["--maps", files["truth"], files["other"]],
        "evaluate": ["--model", files["model"]],
        "blocres-shells": ["--thickness", "6"],
        "verdict": ["--bfactors", "0", "-60"],
        "monodir": ["--fast", "--min-resolution", "4", "--max-resolution", "8", "--resolution-step", "2"],
    }.get(name, [])
    # MonoDir wants room for the noise between the particle and the faces of the box.
    mask = files["inner" if name == "monodir" else "mask"]
    return [*words, "--mask", mask, "--threads", "1", "--quiet", "--overwrite"]


# --- runs -------------------------------------------------------------------------------------------------------


class Run:
    """A fork that runs a command line; ``prepare`` is called in it first."""

    def __init__(self, words: Sequence[str], out: Path, prepare: Callable[[], None] = lambda: None) -> None:
        self.said = Path(tempfile.mkstemp(prefix="said-", dir=out.parent.parent)[1])
        self.temporary = out.parent / TEMPORARY
        self.pid = os.fork()
        if self.pid == 0:
            self._be_the_child([*words, "--out", str(out)], prepare)

    def _be_the_child(self, words: List[str], prepare: Callable[[], None]) -> None:
        status = 1
        try:
            place = os.open(self.said, os.O_WRONLY)
            os.dup2(place, 1), os.dup2(place, 2)
            tempfile.tempdir = os.environ["TMPDIR"] = str(self.temporary)
            prepare()
            status = main(words)
            sys.stderr.flush()
        finally:
            os._exit(status)

    def status(self, limit: float) -> Optional[int]:
        """Wait; return the exit status, negative for a signal, None where it still runs after ``limit`` seconds."""
        end = time.monotonic() + limit
        return self.status_when(lambda: time.monotonic() > end)

    def status_when(self, moment: Callable[[], bool]) -> Optional[int]:
        """Wait for the end, or for the moment: then the status is None."""
        while True:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return -os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)
            if moment():
                return None
            time.sleep(0.001)

    def over(self) -> int:
        """Wait for the end; a run that does not end is wrong."""
        process = psutil.Process(self.pid)
        used, since = -1.0, 0.0

        def hangs() -> bool:
            nonlocal used, since
            now = sum(process.cpu_times()[:2])
            if now > used:
                used, since = now, time.monotonic()
            return now > LONGEST or time.monotonic() - since > LONGEST_STILL

        status = self.status_when(hangs)
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise WrongError("it hangs")
        return status

    def sentence(self) -> str:
        """Return the last line that it said, and forget all."""
        lines = self.said.read_text(errors="replace").strip().splitlines()
        self.said.unlink()
        return lines[-1] if lines else ""


def undisturbed(case: Case, number: int, out: Path) -> None:
    """Run, and compare with the first such run."""
    start = time.monotonic()
    run = Run(case.words[number], out)
    status, seconds = run.over(), time.monotonic() - start
    if status != 0:
        raise WrongError(f"an undisturbed run ended with {status}: {run.sentence()}")
    run.sentence()
    found = content(out)
    if number == len(case.wholes):
        case.wholes.append(found)
        case.seconds = seconds if number else case.seconds
        case.bytes = sum(path.stat().st_size for path in out.iterdir())
    elif not same(found, case.wholes[number]):
        raise WrongError("the next run gives something else")
    left = [path.name for path in out.iterdir() if path.name.startswith(".")]
    if left:
        raise WrongError(f"the next run leaves {left}")


# --- judging ----------------------------------------------------------------------------------------------------


def content(out: Path) -> Content:
    """Return the numbers of a whole result; raise `WrongError` if it is none."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    missing = [name for name in report["files"] if not is_whole(out / name)]
    # The note of what was being moved may outlive a run that was killed as its last act; the next one takes it away.
    stray = {path.name for path in out.iterdir() if path.is_file()} - {*report["files"], "report.json", NOTE}
    if missing or stray:
        raise WrongError(f"report.json stands, {missing} are missing, {sorted(stray)} are not of it")
    found: Content = {"inputs": [entry["sha256"] for _, entry in sorted(report["inputs"].items())]}
    found["summary"] = np.array(re.findall(NUMBER, json.dumps(report["summary"])), dtype=np.float64)
    for path in (out / name for name in report["files"]):
        if path.suffix == ".mrc":
            found[path.name] = read_map(path).data
        elif path.suffix in (".star", ".csv", ".xml"):
            found[path.name] = np.array(re.findall(NUMBER, path.read_text(encoding="utf-8")), dtype=np.float64)
    return found


ENDS = {".png": b"IEND\xaeB`\x82", ".html": b"</html>", ".json": b"}", ".xml": b">"}
"""What the last bytes of a file are, by its kind."""


def is_whole(path: Path) -> bool:
    """Tell whether a file is there, and goes on to its end as far as that can be seen."""
    content = path.read_bytes() if path.is_file() else b""
    return bool(content) and content.rstrip().endswith(ENDS.get(path.suffix, b""))


def check_place(kind: str, out: Path) -> None:
    """Raise `WrongError` if there is something beside the folder of results, or left in that of temporary files."""
    beside = {path.name for path in out.parent.iterdir()} - {"out", "0", "1", TEMPORARY}
    left = [path.name for path in (out.parent / TEMPORARY).iterdir()] if kind != "kill" else []
    if beside or left:
        raise WrongError(f"it leaves {sorted(beside)} beside the folder, {left} among temporary files")
    for path in (out.parent / TEMPORARY).iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def same(one: Content, other: Content) -> bool:
    """Tell whether two results are the same to the accuracy that the design states: FFTW's plans differ in rounding."""
    if one.keys() != other.keys() or one["inputs"] != other["inputs"]:
        return False
    pairs = [(one[name], other[name]) for name in one if name != "inputs"]
    return all(a.shape == b.shape and _alike(a, b) for a, b in pairs)


def _alike(a: Any, b: Any) -> bool:
    return bool(np.mean(np.isclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max(initial=0.0))) >= 0.998)


def judged(case: Case, out: Path) -> str:
    """Return whose result is in the folder, or that there is none."""
    if not (out / "report.json").exists():
        return NOTHING
    found = content(out)
    for number, whole in enumerate(case.wholes):
        if same(found, whole):
            return f"result {number}"
    raise WrongError("the folder holds a mixture")


def check_words(kind: str, status: int, sentence: str) -> None:
    """Raise `WrongError` if exit status and last words do not tell what happened."""
    if status not in ALLOWED[kind]:
        raise WrongError(f"it ended with {status}: {sentence}")
    if status > 0 and not sentence.startswith(SENTENCE):
        raise WrongError(f"it ended with {status} and said {sentence!r}")


# --- disturbances -----------------------------------------------------------------------------------------------


def signalled(number: int) -> Callable[..., Tuple[int, str]]:
    def disturb(case: Case, out: Path, random: np.random.Generator) -> Tuple[int, str]:
        run = Run(case.words[1], out)
        if random.random() < 0.5:
            status = run.status(random.uniform(0.02, 1.0) * case.seconds)
        else:
            # The moments that matter: while the finished files are given their names.
            status = run.status_when(lambda: any(out.glob(".cryores-*/report.html")))
            status = run.status(random.uniform(0.0, 0.01)) if status is None else status
        if status is None:
            os.kill(run.pid, number)
            status = run.over()
        return status, run.sentence()

    return disturb


def full_disk(case: Case, out: Path, random: np.random.Generator) -> Tuple[int, str]:
    pages = int(random.uniform(1.0, 0.95 * case.bytes / 4096))
    with mounted(out, f"size={pages * 4 + 8}k"):
        return ended(case, out)


def read_only(case: Case, out: Path, random: np.random.Generator) -> Tuple[int, str]:
    with mounted(out, "ro"):
        return ended(case, out)


def address_space(case: Case, out: Path, random: np.random.Generator) -> Tuple[int, str]:
    def limit() -> None:
        allowed = psutil.Process().memory_info().vms + int(random.uniform(0.0, 1.0) * case.space)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))

    return ended(case, out, limit)


def ended(case: Case, out: Path, prepare: Callable[[], None] = lambda: None) -> Tuple[int, str]:
    run = Run(case.words[1], out, prepare)
    return run.over(), run.sentence()


def two_at_once(case: Case, out: Path, random: np.random.Generator) -> Tuple[int, str]:
    runs = [Run(case.words[0], out)]
    time.sleep(random.uniform(0.0, 0.1) * case.seconds)
    runs.append(Run(case.words[1], out))
    for run in runs:
        status, sentence = run.over(), run.sentence()
        check_words("two at once", status, sentence)
    if judged(case, out) == NOTHING:
        raise WrongError("two runs left nothing")
    return status, sentence


DISTURBANCES = {
    "kill": signalled(signal.SIGKILL),
    "interrupt": signalled(signal.SIGINT),
    "full disk": full_disk,
    "read-only": read_only,
    "two at once": two_at_once,
    "address space": address_space,
}


@contextlib.contextmanager
def mounted(out: Path, option: str) -> Iterator[None]:
    """Put a file system of its own under ``out``, with what ``out`` holds; what is in it in the end is put back."""
    aside = out.with_name("aside")
    shutil.rmtree(aside, ignore_errors=True)
    out.mkdir(exist_ok=True)
    out.rename(aside)
    out.mkdir()
    held = sum(path.stat().st_size // 4096 + 1 for path in aside.iterdir()) if option != "ro" else 0
    if option != "ro":
        option = f"size={int(option[5:-1]) + 4 * held}k"
    mount("tmpfs", out, b"tmpfs", 0, option if option != "ro" else "")
    try:
        for path in aside.iterdir():
            shutil.copy2(path, out / path.name)
        if option == "ro":
            mount("tmpfs", out, b"tmpfs", MS_REMOUNT | MS_RDONLY, "")
        yield
    finally:
        shutil.rmtree(aside)
        shutil.copytree(out, aside)
        LIBC.umount2(os.fsencode(out), MNT_DETACH)
        out.rmdir()
        aside.rename(out)


LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2


def mount(what: str, where: Path, kind: bytes, flags: int, option: str) -> None:
    if LIBC.mount(what.encode(), os.fsencode(where), kind, flags, option.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


# --- the trials -------------------------------------------------------------------------------------------------


def peak_space(words: Sequence[str], out: Path) -> float:
    """Return how much address space a run takes beyond what it starts with."""
    run = Run(words, out)
    start = most = psutil.Process(run.pid).memory_info().vms
    while run.status(0.0) is None:
        with contextlib.suppress(psutil.Error):
            most = max(most, psutil.Process(run.pid).memory_info().vms)
        time.sleep(0.005)
    run.said.unlink()
    return float(most - start)


def trials(case: Case, kills: int, folder: Path, random: np.random.Generator) -> Iterator[Tuple[str, str]]:
    """Yield, for every trial, its kind and what was found: a result, nothing, or words that begin with ``wrong``."""
    out = folder / case.method / "out"
    (out.parent / TEMPORARY).mkdir(parents=True)
    try:
        for number in (0, 1):
            undisturbed(case, number, out)
            out.rename(out.with_name(str(number)))
    except WrongError as error:
        yield "undisturbed", f"wrong: {error}"
        return
    case.space = peak_space(case.words[1], out)
    for kind, share in SHARES.items():
        for number in range(max(1, round(share * kills))):
            # The folder holds another result, or nothing, or what the trial before has left.
            if number % 3 < 2:
                shutil.rmtree(out, ignore_errors=True)
                shutil.copytree(out.with_name("0"), out) if number % 3 == 0 else out.mkdir()
            try:
                status, sentence = DISTURBANCES[kind](case, out, random)
                check_words(kind, status, sentence)
                check_place(kind, out)
                found = judged(case, out)
                if status == 0 and found != "result 1" and kind != "two at once":
                    raise WrongError(f"it ended well, and the folder holds {found}")
            except WrongError as error:
                found = f"wrong: {error}"
            yield kind, found
        try:
            undisturbed(case, 1, out)
        except WrongError as error:
            yield kind, f"wrong: {error}"
            shutil.rmtree(out)
            out.mkdir()


def table(found: Dict[str, Counter[str]]) -> str:
    """Return the counts as a table of reStructuredText."""
    lines = [f"{method:16}" + "".join(f"{c[kind]:>14}" for kind in SHARES) + f"{c['wrong']:>8}"
             for method, c in found.items()]  # fmt: skip
    total: Counter[str] = sum(found.values(), collections.Counter())
    lines.append(f"{'all':16}" + "".join(f"{total[kind]:>14}" for kind in SHARES) + f"{total['wrong']:>8}")
    head = f"{'method':16}" + "".join(f"{kind:>14}" for kind in SHARES) + f"{'wrong':>8}"
    rule = "=" * 15 + " " + (" " + "=" * 13) * len(SHARES) + " " + "=" * 7
    return "\n".join((rule, head, rule, *lines, rule))


def warm_up() -> None:
    """Import what runs import, and draw once, so that the forks begin where the work does."""
    for module in WARM:
        importlib.import_module(module)
    for module in DRAWINGS.values():
        importlib.import_module(f"cryores.report.drawings.{module}")
    from plotly.graph_objects import Bar, Figure, Heatmap, Mesh3d, Scatter

    from cryores.report.figures import new_figure

    figure = new_figure(3, 2)
    figure.add_subplot().set(xlabel="x", title="$y$ 0123456789")
    figure.savefig(io.BytesIO())
    traces = Bar(y=[1]), Heatmap(z=[[1]]), Mesh3d(x=[1]), Scatter(y=[1], mode="lines")
    Figure(traces, layout={"xaxis": {"title": {"text": "x"}}}).to_json()
    method_summaries()


def run_trials(methods: Sequence[str], kills: int, seed: int, folder: Path) -> Dict[str, Counter[str]]:
    """Try every method; print what is wrong at once; return the counts."""
    files = inputs_of(folder)
    warm_up()
    found: Dict[str, Counter[str]] = {}
    for name in methods:
        load_method(name)
        start = time.monotonic()
        counts: Counter[str] = collections.Counter()
        case = Case(name, (words_of(name, files[0]), words_of(name, files[1])), [])
        for kind, outcome in trials(case, kills, folder, np.random.default_rng([seed, len(found)])):
            counts[kind] += 1
            counts[outcome.split(":")[0]] += 1
            if outcome.startswith("wrong"):
                print(f"{name}, {kind}: {outcome}", flush=True)
        found[name] = counts
        shutil.rmtree(folder / name)
        told = ", ".join(f"{counts[key]} x {key}" for key in (NOTHING, "result 0", "result 1", "wrong"))
        print(f"{name}: {told} ({case.seconds:.1f} s a run, {time.monotonic() - start:.0f} s in all)", flush=True)
    return found


def in_a_room_of_its_own() -> None:
    """Start again where this process may mount file systems that nobody else sees."""
    if os.environ.get("FAULT_TRIALS_ROOM") is None:
        done = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "benchmarks.fault_trials"]
        os.execvpe(done[0], [*done, *sys.argv[1:]], {**os.environ, "FAULT_TRIALS_ROOM": "1"})


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", metavar="METHOD", default=list(method_summaries()))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    in_a_room_of_its_own()
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        counted = run_trials(given.methods or list(method_summaries()), given.kills, given.seed, Path(place))
    print(table(counted))
    sys.exit(1 if any(c["wrong"] for c in counted.values()) else 0)
