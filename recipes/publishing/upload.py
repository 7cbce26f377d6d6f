# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uploads a plan as one commit on the Hub. A repeated upload does not send files again that have arrived."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, LocalTokenNotFoundError

from processing.errors_gem import PublishError

from .plan import PublishPlan, stale_files

# Files are sent in groups; each group is complete on the server before the next begins.
GROUP_BYTES = 1_000_000_000
GROUP_FILES = 100
LOGIN = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access."
HTTP_HELP = {
    401: f"the Hub does not know you, or your token has expired. {LOGIN}",
    403: "your token may not write there. Use a token with write access to this namespace.",
    404: "there is no such repository or revision, or your token may not see it.",
    409: "somebody else changed the repository meanwhile. Nothing was overwritten; run the same command again.",
    412: "somebody else changed the repository meanwhile. Nothing was overwritten; run the same command again.",
    413: "a file is larger than the Hub accepts. Publish with a smaller --max-shard-size.",
    429: "the Hub asks to slow down. Wait some minutes and run the same command again; what has arrived is not sent again.",
    507: "the storage of this namespace is full. Free some, or ask for more.",
}


def upload(
    plan: PublishPlan,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    api: HfApi | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CommitInfo:
    """
    Creates the repository if it does not exist, sends the files, and then commits all of them at once, so that users see either the
    old state or the new one. The same commit deletes stale weight and table files.

    Args:
        plan: What to publish.
        repo_id: `name/repository`.
        private: Whether a repository that is created is private; an existing one keeps its visibility.
        revision: Branch; created where it does not exist.
        api: Client; its endpoint and token default to HF_ENDPOINT and the login.
        progress: Called with bytes done and bytes in total.

    Raises:
        PublishError: No access, a conflict, a broken connection, a full disk. Nothing was committed.
    """
    api = api or HfApi()
    sizes = plan.sizes
    sent, total = 0, sum(sizes.values())
    with _explained(repo_id, lambda: f"{sent / 1e6:.1f} of {total / 1e6:.1f} MB had arrived"):
        api.whoami()
        sdk = plan.metadata.get("sdk") if plan.repo_type == "space" else None
        api.create_repo(repo_id, repo_type=plan.repo_type, private=private, exist_ok=True, space_sdk=sdk)
        if revision not in (None, "main"):
            api.create_branch(repo_id, branch=revision, repo_type=plan.repo_type, exist_ok=True)
        remote = api.list_repo_files(repo_id, repo_type=plan.repo_type, revision=revision)
        additions = [CommitOperationAdd(name, str(path)) for name, path in plan.files.items()]
        for group in _groups(additions, sizes):
            api.preupload_lfs_files(repo_id, additions=group, repo_type=plan.repo_type, revision=revision)
            sent += sum(sizes[addition.path_in_repo] for addition in group)
            progress(sent, total)
        deletions = [CommitOperationDelete(name) for name in stale_files(remote, plan)]
        return api.create_commit(
            repo_id,
            operations=[*deletions, *additions],
            commit_message=f"Publish {plan.repo_type} with gem-ecg",
            repo_type=plan.repo_type,
            revision=revision,
        )


def _groups(additions: list[CommitOperationAdd], sizes: dict[str, int]) -> Iterator[list[CommitOperationAdd]]:
    group: list[CommitOperationAdd] = []
    filled = 0
    for addition in additions:
        size = sizes[addition.path_in_repo]
        if group and (filled + size > GROUP_BYTES or len(group) == GROUP_FILES):
            yield group
            group, filled = [], 0
        group.append(addition)
        filled += size
    if group:
        yield group


@contextmanager
def _explained(repo_id: str, state: Callable[[], str]) -> Iterator[None]:
    """Turns what the client raises into one sentence that says what to do."""
    again = "Run the same command again; what has arrived is not sent again."
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise PublishError(f"{repo_id}: you are not logged in. {LOGIN}") from error
    except HFValidationError as error:
        raise PublishError(f"{repo_id}: not the name of a repository (`name/repository`): {error}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        cure = HTTP_HELP.get(status, f"{state()}. {again}" if status >= 500 else str(error.server_message or error))
        raise PublishError(f"{repo_id}: the Hub answers {status}: {cure}") from error
    except HTTPError as error:  # of httpx under huggingface_hub 1, of httpx2 under 2
        raise PublishError(f"{repo_id}: the connection to the Hub broke ({error}); {state()}. {again}") from error
    except RuntimeError as error:
        # Both upload backends (LFS and Xet) wrap what happened to a file in this.
        cause = error.__cause__ or error
        raise PublishError(f"{repo_id}: {error} ({cause}); {state()}. {again}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PublishError(
                f"{repo_id}: the disk is full ({error}). Make room, or set HF_HOME and TMPDIR."
            ) from error
        raise


__all__ = ["upload"]
