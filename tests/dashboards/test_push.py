"""`penstock dashboards push` against a Grafana that checks what the real one checks."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from penstock import dashboards

TOKEN = "glsa_0123456789abcdef_SECRET"
UID = "penstock-overview"


class Grafana:
    """The dashboard and folder API: bearer token, folders by uid, optimistic versions, 412 on conflict."""

    def __init__(self):
        self.folders = {}
        self.dashboards = {}
        self.requests = []
        self.before_save = lambda: None
        self.redirect = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(*outer.get(self))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*outer.post(self, body))

            def answer(self, status, body):
                raw = json.dumps(body).encode()
                self.send_response(status)
                if outer.redirect:
                    self.send_header("Location", outer.redirect)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def allowed(self, request):
        self.requests.append((request.command, request.path, request.headers.get("Authorization")))
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def get(self, request):
        if self.redirect:
            self.allowed(request)
            return 302, {}
        if not self.allowed(request):
            return 401, {"message": f"invalid API key {request.headers.get('Authorization')}"}
        *_, kind, uid = request.path.split("/")
        if kind == "folders":
            found = self.folders.get(uid)
            return (200, found) if found else (404, {"message": "folder not found", "status": "not-found"})
        found = self.dashboards.get(uid)
        return (200, found) if found else (404, {"message": "Dashboard not found"})

    def post(self, request, body):
        if not self.allowed(request):
            return 401, {"message": "invalid API key"}
        if request.path == "/api/folders":
            self.folders[body["uid"]] = body
            return 200, body
        assert request.path == "/api/dashboards/db"
        self.before_save()
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        uid = body["dashboard"]["uid"]
        there = self.dashboards.get(uid)
        version = there["dashboard"]["version"] if there else 0
        if there and not body["overwrite"] and body["dashboard"].get("version") != version:
            return 412, {"status": "version-mismatch", "message": "changed by someone else"}
        model = body["dashboard"] | {"version": version + 1, "id": 7}
        self.dashboards[uid] = {"dashboard": model, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"status": "success", "uid": uid, "version": version + 1}


@pytest.fixture
def grafana():
    stub = Grafana()
    yield stub
    stub.server.shutdown()
    stub.server.server_close()


def push(url, *arguments, token=TOKEN):
    command = [sys.executable, "-m", "penstock", "dashboards", "push", "--url", url, *arguments]
    env = {k: v for k, v in os.environ.items() if not k.startswith("GRAFANA_")} | {"GRAFANA_TOKEN": token}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert "SECRET" not in done.stdout + done.stderr
    return done


def written(grafana):
    return [path for command, path, _ in grafana.requests if command == "POST"]


def test_without_apply_nothing_is_saved(grafana):
    done = push(grafana.url)
    assert done.returncode == 0
    assert "8 new; nothing saved: add --apply" in done.stdout
    assert written(grafana) == []


def test_apply_creates_the_folder_and_saves_every_dashboard(grafana):
    done = push(grafana.url, "--apply")
    assert done.returncode == 0, done.stderr
    assert grafana.folders["penstock"]["title"] == "Penstock"
    assert set(grafana.dashboards) == {board.uid for board in dashboards.shipped()}
    for board in dashboards.shipped():
        saved = grafana.dashboards[board.uid]
        assert saved["meta"]["folderUid"] == "penstock"
        assert saved["dashboard"]["panels"] == board.model["panels"]
    assert {header for *_, header in grafana.requests} == {f"Bearer {TOKEN}"}


def test_a_second_push_changes_nothing(grafana):
    push(grafana.url, "--apply")
    before = len(written(grafana))
    done = push(grafana.url, "--apply")
    assert done.returncode == 0
    assert done.stdout.count("same ") == 8
    assert len(written(grafana)) == before


def test_the_difference_is_shown_before_anything_is_saved(grafana):
    push(grafana.url, "--apply")
    grafana.dashboards[UID]["dashboard"]["title"] = "Mine"
    grafana.dashboards[UID]["meta"]["folderUid"] = "elsewhere"
    done = push(grafana.url, "--only", UID)
    assert f"changed  {UID}" in done.stdout
    assert "folder: elsewhere -> penstock" in done.stdout
    assert '-  "title": "Mine"' in done.stdout
    assert '+  "title": "Penstock / Overview"' in done.stdout
    assert grafana.dashboards[UID]["dashboard"]["title"] == "Mine"


def test_a_change_by_somebody_else_is_a_conflict_until_overwritten(grafana):
    push(grafana.url, "--apply")
    there = grafana.dashboards[UID]["dashboard"]
    there["title"] = "Mine"

    def somebody_saves():
        there["version"] += 1

    grafana.before_save = somebody_saves
    done = push(grafana.url, "--apply", "--only", UID)
    assert done.returncode == 1
    assert f"conflict {UID}" in done.stdout
    assert grafana.dashboards[UID]["dashboard"]["title"] == "Mine"
    done = push(grafana.url, "--apply", "--only", UID, "--overwrite")
    assert done.returncode == 0
    assert grafana.dashboards[UID]["dashboard"]["title"] == "Penstock / Overview"


def test_a_folder_of_ones_own_is_used(grafana):
    done = push(grafana.url, "--apply", "--folder", "LLM apps", "--folder-uid", "llm", "--only", UID)
    assert done.returncode == 0
    assert grafana.folders["llm"]["title"] == "LLM apps"
    assert grafana.dashboards[UID]["meta"]["folderUid"] == "llm"


def test_a_wrong_token_is_one_line_that_does_not_repeat_it(grafana):
    done = push(grafana.url, token="another_SECRET")
    assert done.returncode == 2
    assert "the token is not valid here" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("token", ["", "  "])
def test_without_a_token_it_says_where_to_put_one(grafana, token):
    done = push(grafana.url, token=token)
    assert done.returncode == 2
    assert "GRAFANA_TOKEN is not set" in done.stderr


def test_a_token_with_a_line_break_in_it_is_not_repeated_either(grafana):
    done = push(grafana.url, token="one\ntwo_SECRET")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert grafana.requests == []


def test_a_redirect_does_not_carry_the_token_on(grafana):
    other = Grafana()
    grafana.redirect = f"{other.url}/api/dashboards/uid/{UID}"
    done = push(grafana.url, "--only", UID)
    assert done.returncode == 2
    assert other.requests == []
    other.server.shutdown()
    other.server.server_close()


@pytest.mark.parametrize("url", ["localhost:3000", "file:///etc/passwd", "http://"])
def test_a_url_that_is_none_is_one_line(url):
    done = push(url)
    assert done.returncode == 2
    assert "write it as http://host:port" in done.stderr


def test_nobody_there_is_one_line():
    done = push("http://127.0.0.1:9")
    assert done.returncode == 2
    assert "does not answer" in done.stderr
    assert len(done.stderr.splitlines()) == 1
