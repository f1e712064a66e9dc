"""Weights from a real server on this machine: whole, cut off, wrong, evil, slow, two at once, on a full disk."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from weight_server import CONTENT, GOOD, NAME, Server, sha256, tar

from cryores.cli import main
from cryores.errors import CryoresError, UsageError, WeightsError
from cryores.execution import Execution
from cryores.nets import weights
from cryores.nets.weights import Archive, WeightFile, WeightSet


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(weights.MIRROR_VARIABLE, raising=False)
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


def deepres(*urls, **known):
    """The set as the manifest has it, at other addresses."""
    known = {"size": None, "sha256": None, "checksums": None, "files": {}, **known}
    files = tuple(WeightFile(name, **known["files"].get(name, {})) for name in CONTENT)
    archive = Archive(NAME, tuple(urls), known["size"], None, known["sha256"], known["checksums"])
    return WeightSet("deepres", "", files, (archive,), "", "", "")


def is_installed(folder):
    for name, content in CONTENT.items():
        assert weights.find("deepres", name, folder).read_bytes() == content
    assert leftovers(folder) == []
    return True


def leftovers(folder):
    kept = {"deepres", "deepres.json", ".deepres.lock"}
    return sorted(path.name for path in Path(folder).iterdir() if path.name not in kept)


def code_of(action, *words, **options):
    with pytest.raises(WeightsError) as raised:
        action(*words, **options)
    assert raised.value.exit_status == 5 and raised.value.hint
    return raised.value.code


# --- from a server ----------------------------------------------------------------------------------------------------


def test_a_whole_file_is_fetched_checked_and_unpacked(server, tmp_path):
    (tmp_path / ".deepres-left").mkdir()  # by an installation that was killed
    given = deepres(f"{server.url}/{NAME}", size=len(GOOD), sha256=sha256(GOOD))
    paths = weights.fetch(given, tmp_path)
    assert [path.name for path in paths] == list(CONTENT) and is_installed(tmp_path)
    record = json.loads((tmp_path / "deepres.json").read_text())
    assert record["files"]["model_w7.h5"] == {"size": 700_008, "sha256": sha256(CONTENT["model_w7.h5"])}
    assert [p.name for p in (tmp_path / "deepres").iterdir() if p.name not in CONTENT] == []


def test_what_is_installed_is_not_fetched_again_unless_damaged(server, tmp_path):
    given = deepres(f"{server.url}/{NAME}")
    weights.fetch(given, tmp_path)
    weights.fetch(given, tmp_path)
    assert len(server.asked) == 1
    (tmp_path / "deepres/model_w7.h5").write_bytes(b"scribble")
    weights.fetch(given, tmp_path)
    assert len(server.asked) == 2 and is_installed(tmp_path)


def test_an_answer_that_is_cut_off_is_taken_up_where_it_ended(server, tmp_path):
    server.cut = [500_000, 900_000]
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path)
    starts = [int(asked[6:-1]) for _, asked in server.asked[1:]]
    lost = [cut - start for cut, start in zip((500_000, 900_000), starts)]
    assert len(starts) == 2 and all(0 <= bytes_lost < 65536 for bytes_lost in lost) and is_installed(tmp_path)


def test_a_server_that_cannot_go_on_begins_anew(server, tmp_path):
    server.cut, server.ranges = [900_000], False
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path)
    assert len(server.asked) == 2 and is_installed(tmp_path)


def test_a_file_that_has_changed_meanwhile_is_not_patched_together(server, tmp_path):
    server.cut = [900_000, 900_000]
    assert code_of(weights.fetch, deepres(f"{server.url}/{NAME}"), tmp_path) == "E_WEIGHTS_DOWNLOAD"
    assert leftovers(tmp_path) == [f".{NAME}.part", f".{NAME}.part.tag"]
    server.files[NAME] = tar(CONTENT.items(), "w")  # the same files, packed in another way
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path)
    assert is_installed(tmp_path)


def test_a_part_that_is_complete_already_is_no_obstacle(server, tmp_path):
    (tmp_path / f".{NAME}.part").write_bytes(GOOD)
    (tmp_path / f".{NAME}.part.tag").write_text(f'"{sha256(GOOD)[:16]}"')
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path)
    assert [asked for _, asked in server.asked] == [f"bytes={len(GOOD)}-", None] and is_installed(tmp_path)


def test_a_mirror_stands_in_for_a_dead_address(server, tmp_path):
    weights.fetch(deepres(f"{server.url}/gone/{NAME}", "http://127.0.0.1:9/x", f"{server.url}/{NAME}"), tmp_path)
    assert is_installed(tmp_path)


def test_every_reason_is_told_when_no_address_works(server, tmp_path):
    given = deepres(f"{server.url}/gone/{NAME}", f"{server.url}/{NAME}", size=17)
    with pytest.raises(WeightsError) as raised:
        weights.fetch(given, tmp_path)
    assert "the server says 404" in raised.value.message and "should have 17" in raised.value.message
    assert raised.value.code == "E_WEIGHTS_DOWNLOAD" and "import" in raised.value.hint and leftovers(tmp_path) == []


@pytest.mark.parametrize("way", ["sha256", "md5 of the server", "md5 of Zenodo"])
def test_a_file_with_another_hash_is_thrown_away(server, tmp_path, way):
    server.files["corrupt"] = GOOD[:500_000] + b"?" + GOOD[500_001:]
    md5 = hashlib.md5(GOOD).hexdigest()
    server.files["list"] = f"0123456789abcdef0123456789abcdef  xmipp_model_other.tgz\n{md5}  {NAME}\n".encode()
    server.files["zenodo"] = json.dumps({"files": [{"key": NAME, "checksum": f"md5:{md5}"}]}).encode()
    known = {
        "sha256": {"sha256": sha256(GOOD)},
        "md5 of the server": {"checksums": f"{server.url}/list"},
        "md5 of Zenodo": {"checksums": f"{server.url}/zenodo"},
    }[way]
    assert code_of(weights.fetch, deepres(f"{server.url}/corrupt", **known), tmp_path) == "E_WEIGHTS_DOWNLOAD"
    assert leftovers(tmp_path) == [] and not (tmp_path / "deepres").exists()
    weights.fetch(deepres(f"{server.url}/corrupt", f"{server.url}/{NAME}", **known), tmp_path)
    assert is_installed(tmp_path)


def test_without_a_list_the_first_is_trusted_and_that_is_said(server, tmp_path):
    said = []
    given = deepres(f"{server.url}/{NAME}", checksums=f"{server.url}/no-list")
    weights.fetch(given, tmp_path, execution=Execution(say=said.append))
    assert any("what comes first is trusted" in line for line in said)
    assert any(sha256(CONTENT["model_w13.h5"]) in line for line in said) and is_installed(tmp_path)


def test_what_was_trusted_first_must_come_again(server, tmp_path):
    given = deepres(f"{server.url}/{NAME}")
    weights.fetch(given, tmp_path)
    shutil.rmtree(tmp_path / "deepres")
    server.files[NAME] = tar([(name, content + b"!") for name, content in CONTENT.items()])
    assert code_of(weights.fetch, given, tmp_path) == "E_WEIGHTS_CHANGED"
    assert not (tmp_path / "deepres").exists()
    (tmp_path / "deepres.json").unlink()
    weights.fetch(given, tmp_path)
    assert weights.find("deepres", "model_w7.h5", tmp_path).stat().st_size == 700_009


def test_a_silent_server_is_given_up(server, tmp_path):
    server.pause = 3.0
    start = time.monotonic()
    given = deepres(f"{server.url}/{NAME}")
    assert code_of(weights.fetch, given, tmp_path, timeout=0.2) == "E_WEIGHTS_DOWNLOAD"
    assert time.monotonic() - start < 2.9


def test_a_page_in_place_of_the_file_is_told(server, tmp_path):
    server.files[NAME] = b"<html>moved</html>"
    assert code_of(weights.fetch, deepres(f"{server.url}/{NAME}"), tmp_path) == "E_WEIGHTS_FOREIGN"
    assert leftovers(tmp_path) == []


def test_the_second_archive_stands_in_for_the_first(server, tmp_path):
    server.files["b.zip"] = zipped(CONTENT.items())
    first = deepres(f"{server.url}/none")
    given = WeightSet("deepres", "", first.files, (*first.archives, Archive("b.zip", (f"{server.url}/b.zip",))), *"abc")
    weights.fetch(given, tmp_path)
    assert is_installed(tmp_path)


def test_two_installations_at_once_fetch_once(server, tmp_path):
    server.gate = threading.Event()
    said, failed = [], []

    def install():
        try:
            weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path, execution=Execution(say=said.append))
        except CryoresError as error:
            failed.append(error)

    both = [threading.Thread(target=install) for _ in range(2)]
    for thread in both:
        thread.start()
    deadline = time.monotonic() + 20
    while not any("waiting for it" in line for line in said) and time.monotonic() < deadline:
        time.sleep(0.01)
    server.gate.set()
    for thread in both:
        thread.join(30)
    assert failed == [] and len(server.asked) == 1 and is_installed(tmp_path)


# --- the command, in a process of its own -----------------------------------------------------------------------------


def command(server, folder, *more, before=""):
    """Run ``cryores weights fetch`` against the server, which its --mirror names first."""
    code = f"import sys\nfrom cryores.cli import main\n{before}\nsys.exit(main(sys.argv[1:]))"
    words = ["weights", "fetch", "deepres", "--mirror", server.url, "--weights-dir", str(folder), *more]
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_fetch_that_is_killed_goes_on(server, tmp_path):
    server.gate = threading.Event()
    with command(server, tmp_path) as run:
        part = tmp_path / f".{NAME}.part"
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        run.send_signal(signal.SIGKILL)
    came = part.stat().st_size
    assert 0 < came < len(GOOD)
    server.gate.set()
    with command(server, tmp_path) as run:
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert (f"/{NAME}", f"bytes={came}-") in server.asked
    assert out.splitlines() == [str(tmp_path / "deepres" / name) for name in CONTENT]
    assert {p for p in leftovers(tmp_path) if p.startswith(".")} == set()


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""


@pytest.mark.parametrize("room", [300_000, 1_300_000])
def test_a_full_disk_is_told_and_what_came_is_kept(server, tmp_path, room):
    if room > 1_000_000:  # enough for the packed file and not for a file that is in it
        big = {name: weights.HDF5_SIGNATURE + bytes(2_000_000) for name in CONTENT}
        server.files[NAME] = tar(big.items())
    with command(server, tmp_path, before=FULL.format(room)) as run:
        err = run.communicate(timeout=60)[1]
    last = err.strip().splitlines()[-1]
    assert run.returncode == 5 and last.startswith("error E_WEIGHTS_WRITE: ") and "make room" in last, err
    assert not (tmp_path / "deepres").exists() and not list(tmp_path.glob(".deepres-*"))
    with command(server, tmp_path) as run:
        err = run.communicate(timeout=60)[1]
    assert run.returncode == 0, err
    assert weights.verify("deepres", tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert code_of(weights.fetch, deepres("http://127.0.0.1:9/"), tmp_path / "file" / "in") == "E_WEIGHTS_WRITE"


# --- archives that nobody should open ---------------------------------------------------------------------------------


def zipped(members, **external):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = external.get(Path(name).stem, 0) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return packed.getvalue()


def link(name, to, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def bomb():
    info = tarfile.TarInfo("model_w13.h5")
    info.size = 5 << 30
    return info.tobuf() + bytes(10_000)


EVIL = {
    "a path up": tar([("../../model_w13.h5", CONTENT["model_w13.h5"])]),
    "an absolute path": tar([("/tmp/model_w13.h5", CONTENT["model_w13.h5"])]),
    "a symbolic link": tar([("model_w13.h5", link("model_w13.h5", "/etc/passwd"))]),
    "a hard link": tar([("model_w13.h5", link("model_w13.h5", "/etc/passwd", tarfile.LNKTYPE))]),
    "a device": tar([("model_w13.h5", link("model_w13.h5", "", tarfile.CHRTYPE))]),
    "one name twice": tar([(f"{i}/model_w13.h5", CONTENT["model_w13.h5"]) for i in (1, 2)]),
    "a bomb": bomb(),
    "cut short": GOOD[:900_000],
    "another checksum": GOOD[:-8] + bytes(8),
    "too many": tar([(f"f{i}", b"") for i in range(10_001)]),
    "a zip with a path up": zipped([("..\\..\\model_w13.h5", CONTENT["model_w13.h5"])]),
    "a zip with a link": zipped([("model_w13.h5", b"/etc/passwd")], model_w13=0o120777),
    "a zip that is scribbled on": zipped(CONTENT.items())[:1000] + bytes(50) + zipped(CONTENT.items())[1050:],
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_evil_archive_is_refused_and_leaves_nothing(server, tmp_path, kind):
    server.files[NAME] = EVIL[kind]
    folder = tmp_path / "a" / "b" / "weights"
    assert code_of(weights.fetch, deepres(f"{server.url}/{NAME}"), folder) == "E_WEIGHTS_ARCHIVE"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".deepres.lock"]


def test_links_to_elsewhere_that_nobody_wants_are_left_in_the_archive(server, tmp_path):
    server.files[NAME] = tar([("x", link("x", "/etc")), ("x/y", b"z"), *CONTENT.items()])
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path)
    assert is_installed(tmp_path) and {p.name for p in (tmp_path / "deepres").iterdir()} == set(CONTENT)


# --- from this machine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["archive", "renamed archive", "zip", "folder", "folder with the archive"])
def test_a_site_without_network_imports(tmp_path, kind):
    source, folder = tmp_path / "usb", tmp_path / "weights"
    (source / "models" / "deepRes").mkdir(parents=True)
    if kind == "folder":
        for name, content in CONTENT.items():
            (source / "models" / "deepRes" / name).write_bytes(content)
    else:
        packed = {"renamed archive": "weights.dat", "zip": "w.zip"}.get(kind, NAME)
        source /= packed
        source.write_bytes(zipped(CONTENT.items()) if kind == "zip" else GOOD)
        source = source.parent if kind == "folder with the archive" else source
    before = sorted(tmp_path.rglob("*"))
    assert main(["weights", "import", "deepres", str(source), "--weights-dir", str(folder), "--quiet"]) == 0
    assert is_installed(folder) and set(before) <= set(tmp_path.rglob("*"))
    other = tmp_path / "second"
    assert main(["weights", "fetch", "deepres", "--from", str(source), "--weights-dir", str(other), "--quiet"]) == 0
    assert is_installed(other)


def test_one_file_of_a_set_is_enough_for_it(tmp_path):
    (tmp_path / "model_w13.h5").write_bytes(CONTENT["model_w13.h5"])
    weights.import_files(deepres(), tmp_path / "model_w13.h5", tmp_path / "w")
    assert weights.find("deepres", "model_w13.h5", tmp_path / "w")
    assert code_of(weights.find, "deepres", "model_w7.h5", tmp_path / "w") == "E_WEIGHTS_MISSING"
    assert weights.installed_in("deepres", tmp_path / "w", "model_w13.h5") == tmp_path / "w"
    assert weights.installed_in("deepres", tmp_path / "w", "model_w7.h5") is None


def test_what_an_earlier_import_brought_stays(server, tmp_path):
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
        weights.import_files(deepres(), tmp_path / name, tmp_path / "w")
    assert is_installed(tmp_path / "w")


def test_a_set_that_is_installed_in_part_is_completed(server, tmp_path):
    (tmp_path / "model_w13.h5").write_bytes(CONTENT["model_w13.h5"])
    weights.import_files(deepres(), tmp_path / "model_w13.h5", tmp_path / "w")
    weights.fetch(deepres(f"{server.url}/{NAME}"), tmp_path / "w")
    assert is_installed(tmp_path / "w")


def test_what_is_imported_is_checked(tmp_path):
    source = tmp_path / "model_w13.h5"
    source.write_bytes(b"<html>")
    assert code_of(weights.import_files, deepres(), source, tmp_path / "w") == "E_WEIGHTS_FOREIGN"
    source.write_bytes(CONTENT["model_w13.h5"])
    for known in ({"size": 5}, {"sha256": "0" * 64}):
        given = deepres(files={"model_w13.h5": known})
        assert code_of(weights.import_files, given, source, tmp_path / "w") == "E_WEIGHTS_DAMAGED"
    assert code_of(weights.import_files, deepres(), tmp_path / "none", tmp_path / "w") == "E_WEIGHTS_MISSING"
    (tmp_path / "empty").mkdir()
    assert code_of(weights.import_files, deepres(), tmp_path / "empty", tmp_path / "w") == "E_WEIGHTS_MISSING"
    (tmp_path / "empty" / "model_w13.h5").write_bytes(CONTENT["model_w13.h5"])
    (tmp_path / "text.txt").write_text("hello")
    assert code_of(weights.import_files, deepres(), tmp_path / "text.txt", tmp_path / "w") == "E_WEIGHTS_FOREIGN"
    assert code_of(weights.import_files, deepres(), tmp_path, tmp_path / "w") == "E_WEIGHTS_AMBIGUOUS"
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".deepres.lock"]


# --- where they lie, and the command ----------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch):
    source, folder = tmp_path / NAME, tmp_path / "weights"
    source.write_bytes(GOOD)
    weights.import_files(deepres(), source, folder)
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return folder


def test_the_given_folder_goes_before_the_variable_and_that_before_the_users(installed, tmp_path, monkeypatch):
    own = tmp_path / "home" / "cryores" / "weights"
    assert weights.folders("~") == [Path.home()] and weights.folders() == [installed, own]
    monkeypatch.delenv(weights.FOLDER_VARIABLE)
    assert weights.folders() == [own] and weights.installed_in("deepres") is None
    shutil.move(str(installed), own)
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "nothing"))
    assert weights.find("deepres", "model_w7.h5") == own / "deepres" / "model_w7.h5"


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:100] + b"?" + b[101:], lambda b: b + b"x"])
def test_a_byte_that_changes_is_noticed_whenever_the_file_is_used(installed, capsys, change):
    path = installed / "deepres" / "model_w7.h5"
    path.write_bytes(change(path.read_bytes()))
    assert code_of(weights.find, "deepres", "model_w7.h5") == "E_WEIGHTS_DAMAGED"
    assert main(["weights", "verify"]) == 5
    assert "error E_WEIGHTS_DAMAGED: model_w7.h5 " in capsys.readouterr().err
    assert weights.find("deepres", "model_w13.h5")


def test_records_of_later_versions_and_damaged_ones_are_told(installed):
    record = installed / "deepres.json"
    text = record.read_text()
    record.write_text(text.replace('"format": 1', '"format": 2'))
    assert code_of(weights.find, "deepres", "model_w7.h5") == "E_WEIGHTS_NEWER"
    for bad in (text[:50], "[]", '{"format": 1, "files": {"model_w7.h5": {}}}'):
        record.write_text(bad)
        assert code_of(weights.find, "deepres", "model_w7.h5") == "E_WEIGHTS_DAMAGED"


def test_the_sub_commands(installed, capsys):
    assert main(["weights", "list"]) == 0
    said = capsys.readouterr().out
    assert f"installed in {installed / 'deepres'}" in said and "deepemhancer: " in said and "not installed" in said
    assert "xmipp_model_deepRes.tgz" in said and "licence:" in said and "doi:10.1107/S2052252519011692" in said
    assert main(["weights", "path", "deepres", "model_w7.h5"]) == 0
    assert capsys.readouterr().out.strip() == str(installed / "deepres" / "model_w7.h5")
    assert main(["weights", "path", "deepres"]) == 0
    assert capsys.readouterr().out.strip() == str(installed / "deepres")
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.count(": as installed") == 2


def test_missing_weights_end_with_5_and_the_command_that_brings_them(installed, capsys):
    for words in (["verify", "deepemhancer"], ["path", "deepemhancer"], ["path", "deepres", "model_w99.h5"]):
        assert main(["weights", *words]) == 5
        said = capsys.readouterr().err
        assert "error E_WEIGHTS_MISSING: " in said and "cryores weights fetch" in said and "weights import" in said


def test_names_that_are_no_sets_and_no_action_are_usage(capsys):
    for words in (["fetch", "resmap"], ["verify", "x"], ["path", "x"], ["import", "x", "y"], [], ["fetch"]):
        assert main(["weights", *words]) == 2
    assert "the sets are deepres, deepemhancer" in capsys.readouterr().err
    with pytest.raises(UsageError):
        weights.weight_set("none")


def test_the_manifest_is_whole(tmp_path):
    for given in weights.weight_sets().values():
        assert given.what and given.licence and "doi:10." in given.citation and given.by_hand
        for archive in given.archives:
            assert archive.urls and all(url.rsplit("/", 1)[1] == archive.name for url in archive.urls)
            assert archive.checksums and archive.about
    (tmp_path / "m.json").write_text('{"format": 2, "sets": []}')
    assert code_of(weights.weight_sets, tmp_path / "m.json") == "E_WEIGHTS_NEWER"


def test_a_missing_file_of_an_installed_set_is_missing(installed):
    os.unlink(installed / "deepres" / "model_w7.h5")
    assert code_of(weights.verify, "deepres") == "E_WEIGHTS_MISSING"
