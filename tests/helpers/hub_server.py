# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
A Hub for tests: the HTTP API that huggingface_hub, transformers and datasets speak, on 127.0.0.1.

Repositories with branches and commits, users with read or write tokens, private repositories, regular files, Git LFS and,
where a folder for it is given, Xet: hf_xet then stores chunks in that folder by its own file-system backend, as it would in
the content-addressed store behind the Hub.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.helpers.hub_xet import XetStore

WRITE_TOKEN, READ_TOKEN = "hf_write", "hf_read"
USER = "tester"
# As on the Hub: binary kinds are large files whatever their size.
LARGE_SUFFIXES = (".safetensors", ".parquet", ".png", ".bin", ".npy")


@dataclass(frozen=True)
class Blob:
    """A file of a commit. `oid` is the sha256 of a large file, else git's blob id."""

    data: bytes
    large: bool
    xet_hash: str | None = None

    @property
    def oid(self) -> str:
        if self.large:
            return hashlib.sha256(self.data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass
class Repo:
    private: bool
    branches: dict[str, list[dict[str, Blob]]] = field(default_factory=lambda: {"main": [{}]})

    def commit_id(self, branch: str, index: int) -> str:
        return hashlib.sha1(f"{id(self)}-{branch}-{index}".encode()).hexdigest()

    def head(self, branch: str = "main") -> str:
        return self.commit_id(branch, len(self.branches[branch]) - 1)

    def tree(self, revision: str) -> tuple[dict[str, Blob], str] | None:
        """Files and id of a branch's last commit or of one commit."""
        if revision in self.branches:
            return self.branches[revision][-1], self.head(revision)
        for branch, commits in self.branches.items():
            for index, files in enumerate(commits):
                if self.commit_id(branch, index) == revision:
                    return files, revision
        return None


class HubServer:
    """
    `with HubServer() as hub:` then `HF_ENDPOINT=hub.url`, `HF_TOKEN=WRITE_TOKEN` in the environment of a client.

    `fault(method, path)` may return an HTTP status to answer with, `"drop"` to break the connection, or None. `requests`
    lists what came, `received` the bytes of large files by their oid.
    """

    def __init__(self, xet_folder: Path | None = None, fault: Callable[[str, str], Any] = lambda method, path: None):
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.received: list[str] = []
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.fault = fault
        self.xet = XetStore(xet_folder) if xet_folder is not None else None
        self.port = 0

    def __enter__(self) -> "HubServer":
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path, token: str | None = WRITE_TOKEN) -> dict[str, str]:
        """Environment variables of a new client process that uses only this Hub."""
        variables = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "0" if self.xet else "1"}
        return variables | ({"HF_TOKEN": token} if token else {})

    def files(self, kind: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        return {name: blob.data for name, blob in self.repos[kind, repo_id].tree(revision)[0].items()}


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _route(self) -> None:
        split = urlsplit(self.path)
        self.query = parse_qs(split.query)
        path = unquote(split.path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {path}")
        fault = self.hub.fault(self.command, path)
        if fault == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None:
            self._send({"error": f"told to answer {fault}"}, fault)
            return
        for methods, pattern, name in ROUTES:
            if self.command in methods.split("|") and (match := re.fullmatch(pattern, path)):
                getattr(self, name)(**match.groupdict())
                return
        self.hub.unknown.append(f"{self.command} {path}")
        self._error(404, "EntryNotFound")

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _route

    def _send(self, body: Any = b"", status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        for key, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _error(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _may_write(self, repo_id: str) -> bool:
        if self._token() not in (READ_TOKEN, WRITE_TOKEN):
            self._error(401, "Unauthorized")
        elif self._token() == READ_TOKEN or not repo_id.startswith(f"{USER}/"):
            self._error(403, "Forbidden")
        else:
            return True
        return False

    def _repo(self, kind: str | None, repo_id: str) -> Repo | None:
        """The repository, or None after the answer that the Hub gives: it does not tell absent from private."""
        repo = self.hub.repos.get(((kind or "models").removesuffix("s"), repo_id))
        if repo is None or (repo.private and self._token() not in (READ_TOKEN, WRITE_TOKEN)):
            status = 404 if self._token() in (READ_TOKEN, WRITE_TOKEN) else 401
            self._error(status, "RepoNotFound")
            return None
        return repo

    # Users and repositories

    def whoami(self) -> None:
        if self._token() not in (READ_TOKEN, WRITE_TOKEN):
            self._error(401, "Unauthorized")
            return
        role = "write" if self._token() == WRITE_TOKEN else "read"
        self._send({"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": role}}})

    def create(self) -> None:
        wanted = json.loads(self.body)
        repo_id = f"{wanted.get('organization') or USER}/{wanted['name']}"
        kind = wanted.get("type") or "model"
        if not self._may_write(repo_id):
            return
        url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        if (kind, repo_id) in self.hub.repos:
            self._send({"error": "You already created this repo", "url": url}, 409)
            return
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.hub.repos[kind, repo_id] = Repo(bool(private))
        self._send({"url": url, "name": repo_id, "id": repo_id})

    def branch(self, kind: str, repo_id: str, revision: str) -> None:
        if not self._may_write(repo_id) or (repo := self._repo(kind, repo_id)) is None:
            return
        if revision in repo.branches:
            self._error(409, "BranchExists")
            return
        repo.branches[revision] = [dict(repo.branches["main"][-1])]
        self._send({})

    def info(self, kind: str, repo_id: str, revision: str = "main") -> None:
        if (repo := self._repo(kind, repo_id)) is None:
            return
        if (found := repo.tree(revision)) is None:
            self._error(404, "RevisionNotFound")
            return
        self._send(
            {
                "id": repo_id,
                "modelId": repo_id,
                "sha": found[1],
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": name} for name in sorted(found[0])],
            }
        )

    def refs(self, kind: str, repo_id: str) -> None:
        if (repo := self._repo(kind, repo_id)) is None:
            return
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": repo.head(name)} for name in repo.branches
        ]
        self._send({"branches": branches, "tags": [], "converts": []})

    def validate_yaml(self) -> None:
        self._send({"errors": [], "warnings": []})

    # Sending

    def preupload(self, kind: str, repo_id: str, revision: str) -> None:
        if not self._may_write(repo_id) or (repo := self._repo(kind, repo_id)) is None:
            return
        found = repo.tree(revision)
        if found is None:
            self._error(404, "RevisionNotFound")
            return
        answer = []
        for wanted in json.loads(self.body)["files"]:
            large = wanted["path"].endswith(LARGE_SUFFIXES)
            known = found[0].get(wanted["path"])
            answer.append(
                {
                    "path": wanted["path"],
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": False,
                    "oid": known.oid if known else None,
                }
            )
        self._send({"files": answer})

    def lfs_batch(self, repo_id: str, kind: str | None = None) -> None:
        if not self._may_write(repo_id) or self._repo(kind, repo_id) is None:
            return
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.large:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(entry)
        self._send({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            self._error(400, "BadOid")
            return
        self.hub.large[oid] = self.body
        self.hub.received.append(oid)
        self._send()

    def xet_token(self, kind: str, repo_id: str, access: str) -> None:
        if access == "write" and not self._may_write(repo_id):
            return
        if self._repo(kind, repo_id) is None:
            return
        if self.hub.xet is None:
            self._error(404, "XetNotHere")
            return
        expiry = int(time.time()) + 3600
        headers = {"X-Xet-Cas-Url": self.hub.xet.url, "X-Xet-Access-Token": "x", "X-Xet-Token-Expiration": str(expiry)}
        self._send({"casUrl": self.hub.xet.url, "accessToken": "x", "exp": expiry}, headers=headers)

    def commit(self, kind: str, repo_id: str, revision: str) -> None:
        if not self._may_write(repo_id) or (repo := self._repo(kind, repo_id)) is None:
            return
        if revision not in repo.branches:
            self._error(404, "RevisionNotFound")
            return
        tree = dict(repo.branches[revision][-1])
        for line in self.body.decode().splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "file":
                tree[value["path"]] = Blob(base64.b64decode(value["content"]), large=False)
            elif key == "lfsFile":
                blob = self._large(value["oid"])
                if blob is None:
                    self._error(400, "LfsObjectMissing")
                    return
                tree[value["path"]] = blob
            elif key == "deletedFile":
                tree.pop(value["path"], None)
        repo.branches[revision].append(tree)
        oid = repo.head(revision)
        self._send({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{repo_id}/commit/{oid}"})

    def _large(self, oid: str) -> Blob | None:
        if oid in self.hub.large:
            return Blob(self.hub.large[oid], large=True)
        found = self.hub.xet.find(oid) if self.hub.xet else None
        return Blob(found[1], True, found[0]) if found else None

    # Fetching

    def _entry(self, name: str, blob: Blob) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(blob.data), "oid": blob.oid[:40]}
        if blob.large:
            entry["lfs"] = {"oid": blob.oid, "size": len(blob.data), "pointerSize": 130}
            entry |= {"xetHash": blob.xet_hash} if blob.xet_hash else {}
        return entry

    def tree(self, kind: str, repo_id: str, revision: str, path: str = "") -> None:
        if (repo := self._repo(kind, repo_id)) is None:
            return
        if (found := repo.tree(revision)) is None:
            self._error(404, "RevisionNotFound")
            return
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries, folders = [], set()
        for name, blob in sorted(found[0].items()):
            if not name.startswith(prefix):
                continue
            parts = name[len(prefix) :].split("/")
            folders |= {prefix + "/".join(parts[:depth]) for depth in range(1, len(parts)) if recursive or depth == 1}
            if recursive or len(parts) == 1:
                entries.append(self._entry(name, blob))
        if prefix and not entries and not folders:
            self._error(404, "EntryNotFound")
            return
        self._send(
            [{"type": "directory", "path": name, "size": 0, "oid": "0" * 40} for name in sorted(folders)] + entries
        )

    def paths_info(self, kind: str, repo_id: str, revision: str) -> None:
        if (repo := self._repo(kind, repo_id)) is None:
            return
        text = self.body.decode()
        paths = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text).get("paths", [])
        found = repo.tree(revision)
        files = found[0] if found else {}
        folders = {name.rsplit("/", depth)[0] for name in files for depth in range(1, name.count("/") + 1)}
        known = [self._entry(path, files[path]) for path in paths if path in files]
        self._send(
            known
            + [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in paths if path in folders]
        )

    def resolve(self, repo_id: str, revision: str, path: str, kind: str | None = None) -> None:
        if (repo := self._repo(kind, repo_id)) is None:
            return
        if (found := repo.tree(revision)) is None:
            self._error(404, "RevisionNotFound")
            return
        files, commit = found
        if path not in files:
            self._error(404, "EntryNotFound", {"X-Repo-Commit": commit})
            return
        blob = files[path]
        data, status = blob.data, 200
        headers = {"ETag": f'"{blob.oid}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if blob.large:
            headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(len(data))}
        if blob.xet_hash:
            prefix = (kind or "models").removesuffix("s") + "s"
            route = f"{self.hub.url}/api/{prefix}/{repo_id}/xet-read-token/{revision}"
            headers |= {"X-Xet-Hash": blob.xet_hash, "X-Xet-Refresh-Route": route}
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and self.command == "GET":
            start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data, status = data[start : end + 1], 206
        self._send(data, status, headers)


_ID, _KIND = r"(?P<repo_id>[^/]+/[^/]+)", r"(?P<kind>models|datasets|spaces)"
_API, _GIT = rf"/api/{_KIND}/{_ID}", rf"/(?:(?P<kind>datasets|spaces)/)?{_ID}"
_REVISION = r"(?P<revision>[^/]+)"
ROUTES = (
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate_yaml"),
    ("POST", rf"{_API}/branch/{_REVISION}", "branch"),
    ("POST", rf"{_API}/preupload/{_REVISION}", "preupload"),
    ("POST", rf"{_API}/commit/{_REVISION}", "commit"),
    ("POST", rf"{_API}/paths-info/{_REVISION}", "paths_info"),
    ("GET", rf"{_API}/xet-(?P<access>read|write)-token/[^/]+", "xet_token"),
    ("GET", rf"{_API}/tree/{_REVISION}/?(?P<path>.*)", "tree"),
    ("GET", rf"{_API}/refs", "refs"),
    ("GET|HEAD", rf"{_API}/revision/{_REVISION}", "info"),
    ("GET|HEAD", _API, "info"),
    ("POST", rf"{_GIT}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]+)", "lfs_put"),
    ("GET|HEAD", rf"{_GIT}/resolve/{_REVISION}/(?P<path>.+)", "resolve"),
)
