"""Jobs of many users run in their order, can be ended, and outlive the server."""

import contextlib
import sqlite3

import psutil
from served import sentence, wait_for


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def child_of(server, job):
    """Return what the job's runner has started."""
    path = server.store / "jobs" / job / "child"
    return int(wait_for(lambda: path.exists() and path.read_text(), 20))


def drafts(server, maps, *users):
    """Return a job of each user, ready to begin."""
    jobs = [users[0].examined(map=maps["map"])]
    for user in users[1:]:
        jobs.append(user.draft())
        user.upload(jobs[-1], "map", maps["map"])
        server.take_as_examined(jobs[-1], jobs[0])
    return jobs


def begin(user, job, **settings):
    answer = user.begin(job, **settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_eight_users_at_once_are_served_in_order(serve, maps):
    server = serve()
    users = [server.user() for _ in range(8)]
    jobs = drafts(server, maps, *users)
    for user, job in zip(users, jobs):
        assert begin(user, job)["state"] == "waiting"
    assert users[7].job(jobs[7])["ahead"] >= 3
    done = [user.wait(job, "done", "failed") for user, job in zip(users, jobs)]
    assert [job["state"] for job in done] == ["done"] * 8
    assert [step["state"] for step in done[0]["steps"]] == ["done", "waiting"]
    times = [server.times_of(job) for job in jobs]
    # One at a time: each begins when the one before has ended.
    assert all(ended <= following for (_, ended), (following, _) in zip(times, times[1:]))
    for user in users:
        user.close()


def test_cancelling_and_deleting_end_every_process(serve, maps):
    server = serve()
    with server.user() as user:
        running, waiting, third = drafts(server, maps, user, user, user)
        begin(user, running, box=300), begin(user, waiting), begin(user, third, box=300)
        user.wait(running, "running")
        child = child_of(server, running)
        assert alive(child)
        assert user.post(f"/api/jobs/{waiting}/cancel").json()["state"] == "cancelled"
        assert sentence(user.post(f"/api/jobs/{waiting}/cancel"), 409).startswith("E_NOT_RUNNING")
        assert user.post(f"/api/jobs/{running}/cancel").json()["state"] == "cancelled"
        assert not alive(child)
        user.wait(third, "running")
        child = child_of(server, third)
        assert user.delete(f"/api/jobs/{third}").json() == {"deleted": True}
        assert not alive(child) and not (server.store / "jobs" / third).exists()
        assert sentence(user.get(f"/api/jobs/{third}"), 404).startswith("E_NO_JOB")
        assert sentence(user.upload(waiting, "map", maps["map"]), 409).startswith("E_STARTED")
        assert sentence(user.begin(waiting), 409).startswith("E_STARTED")


def test_a_job_that_fails_or_takes_too_long_says_so(serve, maps):
    server = serve("--hours", str(3 / 3600))
    with server.user() as user:
        unlucky, slow = drafts(server, maps, user, user)
        begin(user, unlucky, min_resolution=13), begin(user, slow, box=300)
        failed = user.wait(unlucky, "failed", "done")
        assert failed["state"] == "failed" and failed["message"] == "thirteen brings bad luck"
        child = child_of(server, slow)
        ended = user.wait(slow, "failed", "done")
        assert ended["state"] == "failed" and "longer than" in ended["message"]
        assert not alive(child)


def test_a_clock_that_is_set_ends_no_job(serve, maps):
    server = serve("--hours", "1")
    with server.user() as user:
        (job,) = drafts(server, maps, user)
        begin(user, job, box=80)
        user.wait(job, "running")
        # As if it had been set to ten hours later: the job, noted as begun long ago, is looked at while it runs.
        with contextlib.closing(sqlite3.connect(server.store / "jobs.sqlite")) as base, base:
            assert base.execute("UPDATE jobs SET started = started - 36000 WHERE id = ?", (job,)).rowcount == 1
        assert user.wait(job, "done", "failed")["state"] == "done"


def test_nothing_is_lost_when_the_server_is_killed(serve, maps):
    server = serve()
    user, other = server.user(), server.user()
    running, second, draft, third = drafts(server, maps, user, other, user, user)
    begin(user, running, box=40), begin(other, second), begin(user, third)
    user.wait(running, "running")
    orphan = child_of(server, running)
    server.kill()
    assert alive(orphan)
    (server.store / "jobs" / running / "child").unlink()
    server.start()
    # The browsers still have their cookies, and their tokens are still good.
    user.base_url = other.base_url = server.url
    assert not alive(orphan)
    assert user.job(draft)["state"] == "draft" and user.upload(draft, "map", maps["map"]).status_code == 200
    assert other.job(second)["state"] == "waiting" and other.job(second)["ahead"] == 1
    done = [client.wait(job, "done", "failed") for client, job in ((user, running), (other, second), (user, third))]
    assert [job["state"] for job in done] == ["done"] * 3
    assert [job["id"] for job in user.get("/api/jobs").json()] == [third, draft, running]
    user.close(), other.close()


def test_a_process_that_the_dead_server_did_not_note_is_found(serve, maps):
    server = serve()
    with server.user() as user:
        (job,) = drafts(server, maps, user)
        begin(user, job, box=300)
        user.wait(job, "running")
        orphan = child_of(server, job)
        server.kill()
        # As if it had died a moment earlier: between the start of the process and the note of it.
        with contextlib.closing(sqlite3.connect(server.store / "jobs.sqlite")) as base, base:
            assert base.execute("UPDATE jobs SET pid = NULL, born = NULL WHERE state = 'running'").rowcount == 1
        server.start()
        user.base_url = server.url
        assert not alive(orphan)
        assert user.wait(job, "running", "failed")["state"] == "running"
        user.delete(f"/api/jobs/{job}")


def test_an_orderly_end_puts_the_running_job_back(serve, maps):
    server = serve()
    with server.user() as user:
        (job,) = drafts(server, maps, user)
        begin(user, job, box=300)
        user.wait(job, "running")
        child = child_of(server, job)
        server.stop()
        assert server.process.returncode in (0, 1) and not alive(child)
        server.start()
        user.base_url = server.url
        assert user.wait(job, "running")
        user.delete(f"/api/jobs/{job}")
