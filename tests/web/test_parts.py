"""The parts that need no server: archive, EMDB, progress, the command line's refusals."""

import gzip
import http.server
import io
import json
import os
import tarfile
import threading
from pathlib import Path

import pytest

from cryores.cli import main
from cryores.errors import UsageError
from cryores.report import html
from cryores.web import emdb, menu, progress
from cryores.web.archive import tar_stream
from cryores.web.limits import Limits, RefusedError
from cryores.web.security import cookie_of, known_names, token_of
from cryores.web.store import Store
from cryores.web.uploads import printable


def test_an_archive_holds_files_in_place_of_links_and_none_from_outside(tmp_path):
    job, outside = tmp_path / "job", tmp_path / "outside"
    (job / "project" / "deep").mkdir(parents=True)
    (job / "inputs").mkdir()
    (job / "inputs" / "half1.mrc").write_bytes(b"h" * 700)
    (job / "project" / "long" / ("n" * 120)).mkdir(parents=True)
    (job / "project" / "long" / ("n" * 120) / "ü.txt").write_text("u")
    outside.write_text("secret")
    os.symlink(job / "inputs" / "half1.mrc", job / "project" / "deep" / "import.mrc")
    os.symlink(outside, job / "project" / "leak")
    os.symlink("/etc", job / "project" / "folder")
    data = b"".join(tar_stream(job / "project", "p", job))
    assert len(data) % tarfile.BLOCKSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = {member.name: member for member in archive}
        assert archive.extractfile("p/deep/import.mrc").read() == b"h" * 700
        assert archive.extractfile(f"p/long/{'n' * 120}/ü.txt").read() == b"u"
    assert all(member.isreg() or member.isdir() for member in names.values())
    assert "p/leak" not in names and "p/folder" not in names


class Archive(http.server.BaseHTTPRequestHandler):
    """An EMDB with one entry that has half maps, one that has none, and one that sends elsewhere."""

    files = None

    def do_GET(self):
        if "4004" in self.path:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/secret")
            self.end_headers()
            return
        content = self.files.get(self.path)
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"") + (5 if "4005" in self.path else 0)))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def archive(maps):
    packed = {name: gzip.compress(path.read_bytes()) for name, path in maps.items()}
    Archive.files = {
        "/EMD-3488/map/emd_3488.map.gz": packed["map"],
        "/EMD-3488/other/emd_3488_half_map_1.map.gz": packed["half1"],
        "/EMD-3488/other/emd_3488_half_map_2.map.gz": packed["half2"],
        "/EMD-0093/map/emd_0093.map.gz": packed["map"],
        "/EMD-4005/map/emd_4005.map.gz": packed["map"],
        "/EMD-4006/map/emd_4006.map.gz": gzip.compress(b"no map" * 1000),
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store", Limits(map_bytes=10**6))
    yield made
    made.close()


def test_an_entry_of_emdb_comes_with_its_half_maps(archive, store):
    job = store.create("a", "a").id
    arrived = emdb.fetch("EMD-3488", store, job, archive)
    assert set(arrived) == set(store.get(job).inputs) == {"half1", "half2", "map"}
    assert arrived["half1"]["name"] == "EMD-3488 half map 1" and arrived["map"]["shape"] == [32, 32, 32]
    assert sorted(os.listdir(store.folder_of(job) / "inputs")) == ["half1.mrc", "half2.mrc", "map.mrc"]
    job = store.create("a", "a").id
    assert set(emdb.fetch(93, store, job, archive)) == {"map"}


@pytest.mark.parametrize(
    ("number", "code"),
    [("", "E_EMDB_NUMBER"), ("x", "E_EMDB_NUMBER"), ("-1", "E_EMDB_NUMBER"), ("../3488", "E_EMDB_NUMBER"),
     ("3488/../1", "E_EMDB_NUMBER"), ("٣٤٨٨", "E_EMDB_NUMBER"), (None, "E_EMDB_NUMBER"), ("0", "E_EMDB_NUMBER"),
     ("1234567890", "E_EMDB_NUMBER"), ("9999", "E_EMDB_ENTRY"), ("4004", "E_EMDB"), ("4005", "E_EMDB")],
)  # fmt: skip
def test_what_cannot_be_fetched_is_told_and_leaves_nothing(archive, store, number, code):
    job = store.create("a", "a").id
    with pytest.raises(RefusedError) as refused:
        emdb.fetch(number, store, job, archive)
    assert refused.value.code == code
    assert os.listdir(store.folder_of(job) / "inputs") == []


def test_without_a_network_emdb_says_what_to_do(store):
    job = store.create("a", "a").id
    with pytest.raises(RefusedError, match="cannot be reached from this server") as refused:
        emdb.fetch(3488, store, job, "http://127.0.0.1:1")
    assert "upload the files" in refused.value.hint


def test_an_entry_that_is_no_map_is_refused_like_an_upload(archive, store):
    from cryores.errors import InputError

    with pytest.raises(InputError, match="is not an MRC map"):
        emdb.fetch(4006, store, store.create("a", "a").id, archive)


def test_progress_is_what_the_runner_told(tmp_path):
    lines = [
        {"event": "plan", "t": 0.0, "steps": ["import", "monores", "compare"]},
        {"event": "begin", "t": 1.0, "step": "import"}, {"event": "done", "t": 3.5, "step": "import"},
        {"event": "begin", "t": 4.0, "step": "monores"}, {"event": "said", "t": 5.0, "step": "monores", "line": "half"},
        {"event": "failed", "t": 6.0, "step": "monores", "message": "no noise"},
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / progress.FILE).write_text(text + '{"event": "beg')
    steps = progress.steps_of(tmp_path)
    assert [(step["title"], step["state"]) for step in steps] == [
        ("Import into Scipion", "done"), ("MonoRes", "failed"), ("Comparison", "waiting"),
    ]  # fmt: skip
    assert steps[0]["seconds"] == 2.5 and steps[1]["message"] == "no noise" and steps[1]["line"] == ""
    assert progress.last_words(tmp_path, 1) == "no noise"
    assert "signal 9" in progress.last_words(tmp_path / "nowhere", -9)


def test_a_plan_keeps_the_order_and_adds_the_comparison():
    halves = {"half1": {}, "half2": {}}
    asked = menu.plan(halves, ["fsc", "blocres", "monores"], {"box": "20", "min_resolution": "", "evil": 1})
    assert asked == {"methods": ["monores", "fsc", "blocres", "compare"], "settings": {"box": 20}}
    assert menu.plan(halves, ["fsc", "monores"], None)["methods"] == ["monores", "fsc"]
    with pytest.raises(UsageError):
        menu.plan({"map": {}}, ["blocres"], {})
    chosen = {offer["name"] for offer in menu.offers({**halves, "map": {}, "model": {}}, ()) if offer["chosen"]}
    assert chosen == {"locres", "monores", "fsc", "blocres", "verdict", "evaluate"}
    offered = [offer["name"] for offer in menu.offers({"map": {}}, ("W_MASKED",))]
    assert offered == [
        "monores",
        "deepres",
        "resmap",
        "monodir",
        "autosharpen",
        "localdeblur",
        "locspiral",
        "deepemhancer",
    ]


def test_what_one_map_does_not_tell_is_asked_for():
    with pytest.raises(UsageError, match="Resolution of one map") as refused:
        menu.plan({"map": {}}, ["autosharpen"], {})
    assert refused.value.code == "E_SETTING" and "Settings" in refused.value.hint
    assert menu.plan({"map": {}}, ["autosharpen", "locspiral"], {"resolution": "3.5"})["settings"] == {
        "resolution": 3.5
    }
    assert menu.plan({"half1": {}, "half2": {}}, ["autosharpen"], {})["methods"] == ["autosharpen"]


def test_what_the_engine_takes_of_one_map_is_offered_for_one_map():
    """But for two that then want what the page does not ask for."""
    from cryores.method import MAP, load_method

    able = {offer.name for offer in menu.MENU if MAP in load_method(offer.name).maps}
    offered = {offer.name for offer in menu.MENU if menu.ONE_MAP in offer.kinds}
    assert offered <= able and able - offered == {"fsc", "postprocess"}


def test_names_of_files_are_only_shown():
    assert printable("../../etc/passwd") == "passwd"
    assert printable("C:\\Users\\me\\half 1.mrc") == "half 1.mrc"
    assert printable("\x00\n\x1b[31m") == "[31m" and printable("") == printable("/") == "a file without a name"
    assert len(printable("x" * 5000)) == 120


def test_tokens_and_cookies():
    assert token_of(b"k", "a") != token_of(b"k", "b") != token_of(b"l", "b")
    good = "a" * 32
    assert cookie_of(f"x=1; cryores={good}") == good
    for header in (
        "",
        "cryores=",
        "cryores=short",
        f"cryores={good}<script>",
        f"cryores={'a' * 100}",
        f"xcryores={good}",
    ):
        assert cookie_of(header) is None
    assert known_names("127.0.0.1", ["Lab.Example"]) == {"localhost", "lab.example"}


def test_a_page_is_read_back_as_it_was_made():
    import plotly.graph_objects as go

    from cryores.method import load_method

    figure = go.Figure(go.Scatter(x=[1, 2], y=[3.5, 4.5], name="</script><h1>no</h1>"))
    sections = [html.Section("A & B", figure, "5 < 6"), html.Section("Nothing", None, "No surface.")]
    record = {"version": "1", "summary": {}, "criterion": "c", "warnings": [], "parameters": {}, "inputs": {},
              "mask_was_made": False, "timings": {}, "peak_memory_mb": 1.0, "planned_memory_mb": 1.0, "threads": 1,
              "device": "cpu", "platform": "x", "python": "3", "seed": None, "citations": [], "files": []}  # fmt: skip
    page = html.read_page(html.page(load_method("fsc"), record, sections))
    assert page.title == load_method("fsc").title
    assert [(s.heading, s.words) for s in page.sections] == [("A & B", "5 < 6"), ("Nothing", "No surface.")]
    assert page.sections[0].figure == json.loads(figure.to_json()) and page.sections[1].figure is None


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [(["--host", "0.0.0.0"], 2, "E_REMOTE"), (["--port", "x"], 2, "E_USAGE"), (["--jobs", "0"], 2, "E_USAGE"),
     (["--store", "/proc/nowhere"], 1, "E_STORE")],
)  # fmt: skip
def test_the_command_refuses_in_words(words, status, code, capsys):
    assert main(["web", *words]) == status
    assert f"error {code}: " in capsys.readouterr().err


def test_without_the_packages_the_command_says_which(monkeypatch, tmp_path, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["web", "--store", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "error E_NO_WEB: the web tool needs the package uvicorn" in said
    assert "pip install 'scipion-em-cryores[web]'" in said


def test_the_page_asks_no_other_server():
    static = Path(html.__file__).parents[1] / "web" / "static"
    for path in static.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text, path.name
