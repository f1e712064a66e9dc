"""Compiled code that cannot be kept, or was cut short, keeps no run from its end."""

import importlib.util
import resource
import signal
import subprocess
import sys
import textwrap

import numba
from numba.core.caching import NullCache

from cryores.numba_cache import kept_in

SOURCE = textwrap.dedent("""
    import numba
    import cryores.openmp

    @numba.njit(cache=True)
    def twice(x):
        return 2 * x
""")


def load(path):
    spec = importlib.util.spec_from_file_location("compiled_here", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/none")
    room = {}
    exec(compile("def twice(x): return 2 * x", "/proc/none/a.py", "exec"), room)
    assert kept_in(room["twice"]) is None
    twice = numba.njit(cache=True)(room["twice"])
    assert isinstance(twice._cache, NullCache) and twice(4) == 8


def test_what_was_cut_short_is_compiled_anew(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    assert load(path).twice(2) == 4
    kept = sorted((tmp_path / "__pycache__").glob("*.nb?"))
    assert [file.suffix for file in kept] == [".nbc", ".nbi"]
    assert kept_in(load(path).twice.py_func) == str(kept[0].parent)
    for part in (lambda whole: b"", lambda whole: whole[: len(whole) // 2]):
        for cut in (kept, kept[:1], kept[1:]):
            for file in cut:
                file.write_bytes(part(file.read_bytes()))
            again = load(path)
            assert again.twice(3) == 6 and again.twice.stats.cache_misses
            once_more = load(path)
            assert once_more.twice(3) == 6 and once_more.twice.stats.cache_hits


def test_without_room_it_is_not_kept(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)

    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    command = [sys.executable, "-B", "-c", "import a; print(a.twice(5))"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=no_room, check=False)
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
    assert list((tmp_path / "__pycache__").iterdir()) == []
