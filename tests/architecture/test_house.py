"""The rules of the house that a machine can check."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cryores.citations import BIBTEX
from cryores.method import load_method, method_summaries

ROOT = Path(__file__).resolve().parents[2]
ENGINE = sorted((ROOT / "cryores").rglob("*.py"))
OWNERS = {
    "mrcfile": ("mapio.py",),
    "gemmi": ("atoms.py",),
    "matplotlib": ("report",),
    "plotly": ("report",),
    "tensorflow": ("nets",),
    "keras": ("nets",),
    "h5py": ("nets",),
    "pooch": ("nets",),
    "requests": ("nets",),
    "tqdm": ("cli",),
    "cupy": ("cuda_backend.py",),
    "dask": ("batch", "blocks.py"),
    "distributed": ("batch",),
    "dask_jobqueue": ("batch",),
    "pyarrow": ("batch",),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "pyworkflow": (),
    "pwem": (),
    "cryoresplugin": (),
}
LAYERS = (
    ("web", ("cli",)),
    ("batch", ("cli", "web")),
    ("report", ("batch", "web", "cli")),
    ("resolution", ("report", "batch", "web", "cli")),
    ("postprocessing", ("report", "batch", "web", "cli")),
)
LONGEST = 560


def imports(path):
    """Yield all that a file imports; of ``from cryores import report`` also ``cryores.report``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_by_its_owner_only(library):
    for path in ENGINE:
        place = path.relative_to(ROOT / "cryores").parts[0]
        if any(name.split(".")[0] == library for name in imports(path)):
            assert place in OWNERS[library], f"{path.relative_to(ROOT)} imports {library}"


@pytest.mark.parametrize(("room", "above"), LAYERS)
def test_imports_go_one_way(room, above):
    for path in (ROOT / "cryores" / room).rglob("*.py"):
        for name in imports(path):
            assert not name.startswith(tuple(f"cryores.{layer}" for layer in above)), f"{path.name} imports {name}"


def test_the_core_knows_no_method():
    allowed = {"cli", "batch", "web", "report", "resolution", "postprocessing", "nets"}
    for path in ENGINE:
        if path.relative_to(ROOT / "cryores").parts[0] not in allowed:
            found = [n for n in imports(path) if n.startswith(tuple(f"cryores.{room}" for room in allowed))]
            assert not found or path.name == "__main__.py", f"{path.name} imports {found}"


@pytest.mark.parametrize("name", list(method_summaries()))
def test_a_method_is_complete(name):
    stem = name.replace("-", "_")
    method = load_method(name)
    room = method.compute.__module__.split(".")[1]
    assert method.name == name, f"METHOD.name is {method.name!r} in cryores/{room}/{stem}.py"
    assert method_summaries()[name], f"the docstring of cryores/{room}/{stem}.py has no first line"
    unknown = set(method.citations) - set(BIBTEX)
    assert not unknown, f"{name} cites {unknown}, which cryores/citations.py does not hold"
    files = (f"tests/methods/test_{stem}.py", f"docs/methods/{stem}.rst", f"cryoresplugin/protocols/protocol_{stem}.py")
    missing = [part for part in files if not (ROOT / part).exists()]
    for place, line in (
        (f"cryores/{room}/__init__.py", f"import {stem} as {stem}$"),
        ("README.rst", f"^{name} +\\S"),
        ("docs/index.rst", f"methods/{stem}.rst"),
        ("cryoresplugin/protocols/__init__.py", f"protocol_{stem} import"),
    ):
        if not re.search(line, (ROOT / place).read_text(encoding="utf-8"), re.M):
            missing.append(f"a line in {place}")
    assert not missing, f"{name} has no {'; '.join(missing)}"


PROTOCOLS = {
    protocol: path.name
    for path in sorted((ROOT / "cryoresplugin/protocols").glob("protocol_*.py"))
    for protocol in re.findall(r"^class (CryoresProt[A-Z]\w+)", path.read_text(encoding="utf-8"), re.M)
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_stands_in_the_tree_and_has_a_test(protocol):
    tree = (ROOT / "cryoresplugin/protocols.conf").read_text(encoding="utf-8")
    assert f'"value": "{protocol}"' in tree, f"add {protocol} to cryoresplugin/protocols.conf, as its neighbours are"
    tests = (ROOT / "cryoresplugin/tests").glob("test_*.py")
    run = any(re.search(rf"\b{protocol}\b", path.read_text(encoding="utf-8")) for path in tests)
    assert run, f"add a test of {protocol} to cryoresplugin/tests: from the form to the values of the output"


def test_no_module_has_lost_its_subject():
    for path in ENGINE:
        assert path.name not in ("utils.py", "helpers.py", "misc.py")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, path.name


def test_importing_cryores_is_light():
    heavy = "numba", "matplotlib", "plotly", "tensorflow", "pwem"
    code = f"import sys, cryores; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "benchmarks").glob("[a-z]*.py"))])
def test_a_benchmark_finds_all_that_it_uses(name):
    pytest.importorskip("atheris" if name == "fuzz" else "numpy")
    importlib.import_module(f"benchmarks.{name}")
