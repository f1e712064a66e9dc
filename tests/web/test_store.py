"""Jobs are kept in order, under limits, and leave nothing behind."""

import time
from dataclasses import replace

import pytest

from cryores.errors import CryoresError
from cryores.web.limits import GIGABYTE, Limits, RefusedError
from cryores.web.store import CANCELLED, DONE, DRAFT, RUNNING, WAITING, Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store", Limits(per_client=2, unfinished=3))
    yield made
    made.close()


def test_a_job_can_be_found_by_its_id_only(store):
    first, second = store.create("owner", "client"), store.create("owner", "client")
    assert len(first.id) >= 24 and first.id != second.id
    assert store.get(first.id) == first and first.state == DRAFT and first.inputs == {}
    with pytest.raises(RefusedError) as refused:
        store.get(first.id[:-1])
    assert refused.value.status == 404
    assert [job.id for job in store.of_owner("owner")] == [second.id, first.id]
    assert store.of_owner("another") == []


def test_a_client_and_all_together_have_so_many_unfinished_jobs(store):
    mine = [store.create("a", "a") for _ in range(2)]
    with pytest.raises(RefusedError, match="you have too many"):
        store.create("a", "a")
    store.create("b", "b")
    with pytest.raises(RefusedError, match="the server has too many"):
        store.create("c", "c")
    store.update(mine[0].id, state=DONE)
    assert store.create("c", "c").state == DRAFT


def test_the_queue_goes_by_submission(store):
    first, second = store.create("a", "a"), store.create("b", "b")
    store.update(second.id, state=WAITING, submitted=1.0)
    store.update(first.id, state=WAITING, submitted=2.0)
    assert [job.id for job in store.in_state(WAITING)] == [second.id, first.id]
    assert store.ahead_of(store.get(first.id)) == 1 and store.ahead_of(store.get(second.id)) == 0
    store.update(second.id, state=RUNNING)
    assert store.ahead_of(store.get(first.id)) == 1


def test_a_change_only_in_some_states(store):
    job = store.create("a", "a").id
    assert store.update(job, only_if=(DRAFT,), state=WAITING)
    assert not store.update(job, only_if=(DRAFT,), state=CANCELLED)
    assert store.get(job).state == WAITING


def test_inputs_change_while_it_is_a_draft_and_what_was_found_is_forgotten(store, tmp_path):
    job = store.create("a", "a").id
    store.update(job, examined={"kind": "map"})
    arrived = tmp_path / "arrived"
    arrived.write_bytes(b"1")
    store.change_inputs(job, "map", {"file": "map.mrc", "name": "mine.mrc"}, arrived)
    assert store.get(job).inputs["map"]["name"] == "mine.mrc" and store.get(job).examined is None
    assert (store.folder_of(job) / "inputs" / "map.mrc").read_bytes() == b"1"
    store.update(job, state=WAITING)
    arrived.write_bytes(b"2")
    with pytest.raises(RefusedError):
        store.change_inputs(job, "map", {"file": "map.mrc", "name": "later.mrc"}, arrived)
    assert (store.folder_of(job) / "inputs" / "map.mrc").read_bytes() == b"1"


def test_deleting_and_expiring_leave_no_file(store):
    old, young, draft = (store.create(name, name).id for name in "abc")
    now = time.time()
    store.update(old, state=DONE, ended=now - store.limits.keep_seconds - 1)
    store.update(young, state=DONE, ended=now)
    store.update(draft, created=now - store.limits.draft_seconds - 1)
    assert store.expire() == [old, draft]
    assert [folder.name for folder in (store.folder / "jobs").iterdir()] == [young]
    store.delete(young)
    assert not list((store.folder / "jobs").iterdir())


def test_no_job_where_there_is_no_room(store):
    store.create("a", "a")
    store.limits = replace(store.limits, disk_bytes=0)
    (store.folder_of(store.of_owner("a")[0].id) / "inputs" / "x").write_bytes(bytes(10))
    store._measured = (0.0, 0)
    with pytest.raises(RefusedError) as refused:
        store.create("a", "a")
    assert refused.value.status == 507
    store.limits = replace(store.limits, disk_bytes=10**9 * GIGABYTE)
    with pytest.raises(RefusedError):
        store.require_room(10**9 * GIGABYTE)


def test_one_server_a_folder(store):
    with pytest.raises(CryoresError, match="another server uses"):
        Store(store.folder, Limits())
    secret = store.secret()
    store.close()
    again = Store(store.folder, Limits())
    assert again.secret() == secret and len(secret) == 32
    assert (again.folder / "secret").stat().st_mode & 0o077 == 0
    again.close()


@pytest.mark.parametrize("damage", [lambda folder: folder.symlink_to("store"), lambda folder: folder.write_text("1")])
def test_a_folder_that_is_none_is_told(tmp_path, damage):
    damage(tmp_path / "store")
    with pytest.raises(CryoresError, match=r"^E_STORE: cannot write in .*; hint: give another folder with --store"):
        Store(tmp_path / "store", Limits())


def test_a_list_of_jobs_that_is_none_is_told_and_let_go(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(CryoresError, match=r"^E_STORE: cannot keep the list of jobs in .*: file is not a database"):
        Store(tmp_path, Limits())
    (tmp_path / "jobs.sqlite").unlink()
    Store(tmp_path, Limits()).close()
