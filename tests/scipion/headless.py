"""The environment in which Scipion runs without a desktop, from a plain pip installation; and tests that run in it."""

import io
import os
import sys
import unittest
from pathlib import Path


def environment(home):
    """Return the variables that a headless Scipion with its folders under ``home`` needs."""
    import scipion

    home = Path(home).resolve()
    (home / "data").mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "SCIPION_HOME": str(home),
        "SCIPION_USER_DATA": str(home / "data"),
        "SCIPION_TESTS_OUTPUT": str(home / "data" / "Tests"),
        "SCIPION_DOMAIN": "pwem",
        "SCIPION_HOSTS": str(Path(scipion.__file__).parent / "templates" / "hosts.template"),
        "SCIPION_PRIORITY_PACKAGE_LIST": "pwem tomo pwchem",
        "SCIPION_PYTHON": sys.executable,
        "SCIPION_NOTIFY": "False",
        "SCIPION_TEST_NOSYNC": "True",
        "VIRTUAL_ENV": str(Path(sys.executable).parent.parent),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "Agg",
    }


def start(home):
    """Make this process a headless Scipion with a folder of its own under ``home``."""
    os.environ.update(environment(Path(home) / str(os.getpid())))


def run_case(case):
    """Run a module of the plugin's tests in this process; return whether it passed, and what was said."""
    said = io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromName(f"cryoresplugin.tests.{case}")
    passed = unittest.TextTestRunner(stream=said).run(suite).wasSuccessful()
    return passed and suite.countTestCases() > 0, said.getvalue()
