"""Who may ask, by what name, for what: headers, tokens, links, limits."""

import json
import sqlite3

import httpx
import pytest
from served import sentence


@pytest.fixture(scope="module")
def user(server):
    with server.user() as made:
        yield made


def test_every_answer_has_the_headers_of_a_careful_server(server, user):
    for path, status in (
        ("/", 200),
        ("/api/session", 200),
        ("/static/main.js", 200),
        ("/nowhere", 404),
        ("/api/jobs/x", 404),
    ):
        answer = user.get(path)
        assert answer.status_code == status
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
        assert "server" not in headers
    page = user.get("/").text
    assert "<script>" not in page and " onclick=" not in page and "http://" not in page and "https://" not in page


def test_the_cookie_is_for_this_site_and_no_script(server):
    cookie = httpx.get(f"{server.url}api/session", trust_env=False).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_a_change_needs_the_token_of_the_page(server, user):
    count = len(server.folders())
    with server.user() as other:
        token = other.headers.pop("X-Cryores-Token")
        assert sentence(other.post("/api/jobs"), 403).startswith("E_TOKEN")
        mixed = {"X-Cryores-Token": user.headers["X-Cryores-Token"]}
        assert sentence(other.post("/api/jobs", headers=mixed), 403).startswith("E_TOKEN")
        good = {"X-Cryores-Token": token}
        for foreign in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                        {"Sec-Fetch-Site": "same-site"}):  # fmt: skip
            assert sentence(other.post("/api/jobs", headers={**good, **foreign}), 403).startswith("E_CROSS_SITE")
        assert len(server.folders()) == count
        same = {"Origin": server.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        made = other.post("/api/jobs", headers={**good, **same})
        assert made.status_code == 200
        assert other.delete(f"/api/jobs/{made.json()['id']}", headers=good).status_code == 200


def test_another_name_of_the_server_is_refused(server, user):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.0.1", "[::2]", ""):
        assert sentence(user.get("/", headers={"Host": host}), 421).startswith("E_HOST")
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:8765"):
        assert user.get("/", headers={"Host": host}).status_code == 200


def test_two_users_do_not_see_or_change_what_is_not_theirs(server, user, maps):
    job = user.draft()
    user.upload(job, "map", maps["map"], "secret.mrc")
    with server.user() as other:
        assert other.get("/api/jobs").json() == []
        # Whoever has the link sees the job, and can do nothing to it.
        assert other.job(job)["mine"] is False
        for answer in (
            other.delete(f"/api/jobs/{job}"), other.upload(job, "map", maps["half1"]), other.begin(job),
            other.post(f"/api/jobs/{job}/cancel"), other.delete(f"/api/jobs/{job}/inputs/map"),
            other.post(f"/api/jobs/{job}/examine"), other.post(f"/api/jobs/{job}/emdb", json={"number": 1}),
        ):  # fmt: skip
            assert sentence(answer, 403).startswith("E_NOT_YOURS")
    assert [found["id"] for found in user.get("/api/jobs").json()] == [job]
    assert user.job(job)["inputs"]["map"]["name"] == "secret.mrc"
    user.delete(f"/api/jobs/{job}")
    assert sentence(user.get(f"/api/jobs/{job}"), 404).startswith("E_NO_JOB")


@pytest.mark.parametrize(
    "path",
    ["/static/..%2fapp.py", "/static/../app.py", "/static/%2e%2e/app.py", "/static/stub_runner.py", "/../../etc/passwd",
     "/api/jobs/..", "/api/jobs/..%2f..%2fsecret", "/api/jobs/{}/results/..%2f..%2f/files/secret",
     "/api/jobs/{}/results/monores/files/..%2f..%2f..%2fjobs.sqlite", "/api/jobs/{}/results/x/all.tar",
     "/api/jobs/{}/results/monores", "/api/jobs/{}/project.tar", "/jobs.sqlite", "/secret"],
)  # fmt: skip
def test_no_path_leads_out(user, path):
    job = user.draft()
    answer = user.get(path.format(job))
    assert answer.status_code in (404, 409), answer.text
    sentence(answer)
    user.delete(f"/api/jobs/{job}")


def test_questions_that_make_no_sense(user, maps):
    job = user.examined(map=maps["map"])
    start = f"/api/jobs/{job}/start"
    for content in (b"{", b"[1]", b"\xff", b'"x"', b"[" * 60000, b" " * 100_000):
        assert sentence(user.post(start, content=content), 400).startswith("E_QUESTION")
    for methods in (None, [], ["blocres"], ["rm -rf"], "monores", [["monores"]], [{}], {"monores": 1}):
        assert sentence(user.post(start, json={"methods": methods}), 400).startswith("E_METHODS")
    for settings in ({"voxel_size": -1}, {"box": "x"}, {"min_resolution": "nan"}, {"max_resolution": 1e9}, {"box": [4]},
                     {"voxel_size": True}):  # fmt: skip
        assert sentence(user.begin(job, **settings), 400).startswith("E_SETTING")
    assert sentence(user.begin(job, min_resolution=9, max_resolution=5), 400).startswith("E_RANGE")
    assert user.job(job)["state"] == "draft"
    user.delete(f"/api/jobs/{job}")


def test_a_client_has_so_many_jobs(serve):
    server = serve("--jobs-per-client", "2", "--jobs", "3")
    with server.user() as first, server.user() as second, server.user() as third:
        jobs = [first.draft(), first.draft(), second.draft()]
        assert sentence(first.post("/api/jobs"), 429).startswith("E_TOO_MANY_JOBS")
        assert sentence(third.post("/api/jobs"), 429).startswith("E_TOO_MANY_JOBS")
        first.delete(f"/api/jobs/{jobs[0]}")
        assert third.post("/api/jobs").status_code == 200


def test_what_is_found_comes_at_once_with_methods_that_fit(user, maps):
    halves = user.examined(half1=maps["half1"], half2=maps["half2"], mask=maps["mask"])
    found = user.job(halves)
    examined = found["examined"]
    assert examined["kind"] == "halves" and examined["shape"] == [32, 32, 32]
    assert examined["voxel_size"] == pytest.approx(1.5) and examined["nyquist"] == pytest.approx(3.0)
    assert 3.0 < examined["global_resolution"] < 8.0
    chosen = {offer["name"]: offer["chosen"] for offer in found["offers"]}
    assert chosen["monores"] and chosen["blocres"] and chosen["fsc"] and not chosen["verdict"]
    assert "evaluate" not in chosen
    assert found["seconds"] is None and found["steps"] == []
    one = user.examined(map=maps["map"])
    found = user.job(one)
    assert any("this is one map" in warning for warning in found["examined"]["warnings"])
    chosen = {offer["name"]: offer["chosen"] for offer in found["offers"]}
    assert chosen["monores"] and chosen["deepres"] and "blocres" not in chosen
    # A mask on the map itself takes the noise away: that is said, and MonoRes not recommended.
    from cryores.mapio import read_map, write_map
    from cryores.volume import Volume

    masked = maps["map"].with_name("masked.mrc")
    volume = read_map(maps["map"])
    write_map(masked, Volume(volume.data * read_map(maps["mask"]).data, volume.grid))
    found = user.job(user.examined(map=masked))
    assert any("masked" in warning for warning in found["examined"]["warnings"])
    assert not {offer["name"]: offer["chosen"] for offer in found["offers"]}["monores"]
    for job in user.get("/api/jobs").json():
        user.delete(f"/api/jobs/{job['id']}")


def test_what_the_table_holds_is_strict_json(server, user, maps):
    job = user.examined(map=maps["map"])
    with sqlite3.connect(server.store / "jobs.sqlite") as base:
        row = base.execute("SELECT inputs, examined FROM jobs WHERE id = ?", (job,)).fetchone()
    inputs, examined = (json.loads(value, parse_constant=pytest.fail) for value in row)
    assert inputs["map"]["file"] == "map.mrc" and examined["global_resolution"] is None
    user.delete(f"/api/jobs/{job}")
