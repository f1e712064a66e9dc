"""Threads that wait sleep, and programs started from here are not told to."""

import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import os
import cryores.fourier
print(os.environ.get("OMP_WAIT_POLICY"))
"""


def loaded(**given):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    told = {**clean, "OMP_DISPLAY_ENV": "TRUE", **given}
    return subprocess.run([sys.executable, "-c", SCRIPT], env=told, capture_output=True, text=True, check=True)


def policies(done):
    found = {line.split("=")[1].strip() for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line}
    if not found:
        pytest.skip("no OpenMP runtime that shows its settings is installed here")
    return found


def test_both_runtimes_wait_passively_and_the_environment_is_put_back():
    done = loaded()
    assert done.stdout.strip() == "None"
    assert policies(done) == {"'PASSIVE'"}


def test_what_the_user_chose_stays():
    done = loaded(OMP_WAIT_POLICY="ACTIVE")
    assert done.stdout.strip() == "ACTIVE"
    assert policies(done) == {"'ACTIVE'"}


def test_a_start_imports_neither_dask_nor_what_few_methods_need():
    pytest.importorskip("dask.array", reason="Dask comes with the extra [cluster]")
    script = """
        import sys
        import cryores.resolution, cryores.postprocessing
        print([name for name in ("dask", "scipy.interpolate", "scipy.optimize", "matplotlib") if name in sys.modules])
        import dask.array
        print(dask.array.zeros(3).sum().compute())
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["[]", "0.0"]
