"""What is said of the inputs at once: grid, global resolution, warnings. ``python -m cryores.web.examine FOLDER``.

It reads whole maps of strangers, and so runs in a process of its own: the question comes on stdin, the answer goes to
stdout, both JSON. Of two half maps it also writes the mean, which is the project's main map.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from cryores.errors import CryoresError, InputError, UsageError
from cryores.web.limits import RefusedError
from cryores.web.uploads import without_path

SECONDS = 180.0
AT_ONCE = threading.BoundedSemaphore(2)
"""So many examinations share the processors with the jobs."""

FULL = "full.mrc"
"""The mean of the half maps, in the folder of the inputs."""


def examine(folder: Path, inputs: Mapping[str, Any], voxel_size: Optional[float], threads: int) -> Dict[str, Any]:
    """Return what `findings` returns, from a process of its own.

    Raises
    ------
    CryoresError
        What is wrong with the inputs, in the client's words for them.
    """
    question = {"files": {role: entry["file"] for role, entry in inputs.items()}, "voxel_size": voxel_size,
                "threads": threads}  # fmt: skip
    command = [sys.executable, "-m", "cryores.web.examine", str(folder)]
    with AT_ONCE:
        try:
            done = subprocess.run(
                command, input=json.dumps(question), capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RefusedError(422, "E_TOO_SLOW", "the maps took too long to look at", "crop or bin them") from error
    try:
        answer: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        print(done.stderr, file=sys.stderr, flush=True)
        raise RefusedError(
            422, "E_EXAMINE", "the maps could not be examined", "are they too large for this server?"
        ) from error
    if "error" in answer:
        raise _in_words(answer["error"], folder, inputs)
    return answer


def _in_words(error: Mapping[str, str], folder: Path, inputs: Mapping[str, Any]) -> CryoresError:
    hint = "state it under Settings" if error["code"] == "E_VOXEL_SIZE" else error["hint"].replace("--voxel-size", "it")
    message = error["message"]
    for entry in inputs.values():
        message = message.replace(str(folder / entry["file"]), entry["name"])
    return without_path(InputError(error["code"], message, hint), folder, "the file")


def findings(folder: Path, files: Mapping[str, str], voxel_size: Optional[float], threads: int) -> Dict[str, Any]:
    """Read every input, and return its grid, its global resolution, what is suspicious, and what to start with.

    Raises
    ------
    CryoresError
        For everything that no method can work with.
    """
    from cryores.diagnosis import check_inputs, suspicious
    from cryores.execution import Execution
    from cryores.mapio import read_half_maps, read_map, write_map
    from cryores.method import Inputs, load_method
    from cryores.volume import HalfMaps, Maps

    paths = {role: folder / file for role, file in files.items()}
    if ("half1" in paths) != ("half2" in paths):
        raise UsageError("E_USAGE", "one half map is missing", "give both, or one map alone")
    if "half1" not in paths and "map" not in paths:
        raise UsageError("E_USAGE", "there is no map yet", "give two half maps, or one map")
    halves = "half1" in paths
    maps: Maps = (
        read_half_maps(paths["half1"], paths["half2"], voxel_size) if halves else read_map(paths["map"], voxel_size)
    )
    mask = read_map(paths["mask"], maps.grid.spacing) if "mask" in paths else None
    yours = {"yours": read_map(paths["map"], maps.grid.spacing)} if halves and "map" in paths else None
    method = load_method("monores")
    check_inputs(Inputs(maps, mask=mask), method)
    if yours is not None:
        check_inputs(Inputs(maps, mask=mask, sharpened_maps=yours), load_method("verdict"))
    if "model" in paths:
        from cryores.atoms import heavy_atoms, read_model

        heavy_atoms(read_model(paths["model"]))
    overall = None
    if isinstance(maps, HalfMaps):
        write_map(folder / FULL, maps.mean())
        fsc = load_method("fsc")
        curves = fsc.run(Inputs(maps, mask=mask), fsc.make_parameters({}), Execution(threads)).result
        overall = curves.resolution.get("0.143")
    grid, suspects = maps.grid, suspicious(Inputs(maps, mask=mask), method, method.make_parameters({}))
    return {
        "kind": "halves" if halves else "map",
        "shape": list(reversed(grid.shape)),
        "voxel_size": grid.spacing,
        "nyquist": grid.nyquist,
        "global_resolution": overall,
        "warnings": [str(finding) for finding in suspects],
        "codes": [finding.code for finding in suspects],
        "suggested": _suggested(grid.nyquist, grid.spacing, max(grid.extent), overall),
    }


def _suggested(nyquist: float, spacing: float, extent: float, overall: Optional[float]) -> Dict[str, str]:
    """Return, for every setting, what is taken when it is left open, in words."""
    box = "" if overall is None else f", {round(6 * overall / spacing)}"
    return {
        "voxel_size": f"{spacing:.4g}, from the header",
        "min_resolution": f"{nyquist:.3g}, Nyquist",
        "max_resolution": "chosen by each method",
        "resolution": "not needed with half maps" if overall else "wanted by AutoSharpen and LocSpiral",
        "box": f"6 times the global resolution{box}",
    }


def main(words: List[str]) -> int:
    """Answer the question on stdin about the folder in ``words``."""
    question = json.load(sys.stdin)
    answer: Dict[str, Any]
    try:
        answer = findings(Path(words[0]), question["files"], question["voxel_size"], question["threads"])
    except CryoresError as error:
        answer = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    except MemoryError:
        answer = {"error": {"code": "E_MEMORY", "message": "the maps are too large for this server's memory",
                            "hint": "crop or bin them"}}  # fmt: skip
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
