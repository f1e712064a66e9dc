"""Files that can be read or not, that change while they are used, and that appear whole."""

import os

import pytest

from cryores.errors import InputError
from cryores.files import appearing, fingerprint, require_file, sha256, spelled, unchanging


def told(path):
    with pytest.raises(InputError) as refused:
        require_file(path)
    return refused.value.code, refused.value.message


def test_what_is_no_file_is_told_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("1")
    assert told(tmp_path) == ("E_NO_FILE", f"{tmp_path} is a folder, and no file")
    assert told(tmp_path / "pipe") == ("E_NO_FILE", f"{tmp_path}/pipe is a pipe or a device, and no file")
    assert told("/dev/zero")[1] == "/dev/zero is a pipe or a device, and no file"
    assert told(tmp_path / "none") == ("E_NO_FILE", f"there is no file {tmp_path}/none")
    assert told(tmp_path / "file" / "x") == ("E_NO_FILE", f"there is no file {tmp_path}/file/x")
    assert told("x" * 300) == ("E_READ", f"{'x' * 300} cannot be read: File name too long")
    assert told(tmp_path / "loop")[0] == "E_READ"
    assert told("a\0b")[0] == "E_READ"
    assert require_file(str(tmp_path / "file")) == tmp_path / "file"


def test_what_this_user_may_not_read_is_told(tmp_path):
    path = tmp_path / "secret"
    path.write_text("1")
    path.chmod(0)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            code, message = told(path)
            assert code == "E_READ" and message == f"{path} cannot be read: Permission denied"
            assert fingerprint(["a", str(path)])["files"] == {}
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def rewrite(path):
    path.write_text("other")


def remove(path):
    path.unlink()


def touch(path):
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize("change", [rewrite, remove, touch])
def test_what_was_made_of_files_that_changed_is_refused(tmp_path, change):
    path = tmp_path / "a"
    path.write_text("1")
    with pytest.raises(InputError) as refused, unchanging([str(path), path]):
        change(path)
    assert str(refused.value).startswith(f"E_CHANGED: {path} was changed while it was used; hint: start again")


def test_a_change_goes_before_the_error_that_it_led_to(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    with pytest.raises(InputError, match="E_CHANGED") as refused, unchanging([path]):
        path.write_text("")
        raise InputError("E_TRUNCATED", "short", "copy it")
    assert refused.value.__cause__.code == "E_TRUNCATED"
    with pytest.raises(InputError, match="E_TRUNCATED"), unchanging([path, "none"]):
        raise InputError("E_TRUNCATED", "short", "copy it")
    with pytest.raises(KeyboardInterrupt), unchanging([path]):
        path.write_text("11")
        raise KeyboardInterrupt


def test_names_that_are_no_text_are_spelled(tmp_path):
    assert spelled(os.fsdecode(b"a\xff\xfe/\xc3\xbc.mrc")) == "a\\xff\\xfe/ü.mrc"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(OSError, match="full"), appearing(path) as unfinished:
        unfinished.write_text("1")
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []
    with appearing(path) as unfinished:
        unfinished.write_text("1")
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert fingerprint(["a", str(path)]) == {"words": ["a", str(path)], "files": {str(path): sha256(path)}}
