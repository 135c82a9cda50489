"""The repository's address: from a workflow's environment, from git's remote, or not at all."""

import subprocess

import pytest

from press.repository import Repository, find_repository, read_address

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "remote, address",
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://github.com/owner/name/", "https://github.com/owner/name"),
        ("https://user:secret@github.com/owner/name", "https://github.com/owner/name"),
        ("http://git.example.org:3000/owner/na.me", "http://git.example.org:3000/owner/na.me"),
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("git.example.org:group/sub/name", "https://git.example.org/group/sub/name"),
        ("ssh://git@git.example.org:2222/owner/name.git", "https://git.example.org/owner/name"),
        ("git://git.example.org/owner/name", "https://git.example.org/owner/name"),
        ("/srv/git/owner/name.git", ""),
        ("../owner/name", ""),
        ("file:///srv/owner/name.git", ""),
        (r"C:\owner\name", ""),
        ("C:/owner/name", ""),
        ("https://github.com/name", ""),
        ('https://github.com/owner/na"me', ""),
        ("https://github.com/owner/name;rm", ""),
        ("", ""),
    ],
)
def test_a_remote_gives_its_address_on_the_web_without_secrets(remote, address):
    assert read_address(remote) == address


def git(folder, *words):
    given = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", *given, *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=first")
    return tmp_path


def test_a_workflow_says_where_it_runs_before_git_does(checkout):
    git(checkout, "remote", "add", "origin", "git@git.example.org:other/name.git")
    given = {"GITHUB_REPOSITORY": "owner/name", "GITHUB_SHA": COMMIT}
    found = find_repository(checkout, given)
    assert found == Repository("https://github.com/owner/name", COMMIT)
    assert found.on_github and found.name == "owner/name"
    server = {"GITHUB_SERVER_URL": "https://git.example.org"}
    found = find_repository(checkout, given | server)
    assert found.url == "https://git.example.org/owner/name" and not found.on_github


def test_elsewhere_git_says_it_of_this_checkout_alone(checkout):
    """Not of a repository around it."""
    inner = checkout / "inner"
    inner.mkdir()
    assert find_repository(checkout, {}) is None
    git(checkout, "remote", "add", "origin", "git@git.example.org:owner/name.git")
    head = git(checkout, "rev-parse", "HEAD")
    here = Repository("https://git.example.org/owner/name", head)
    assert find_repository(checkout, {"GITHUB_SHA": COMMIT}) == here
    assert find_repository(inner, {}) is None


def test_without_a_commit_or_without_git_there_is_no_repository(tmp_path, monkeypatch):
    given = {"GITHUB_REPOSITORY": "owner/name"}
    assert find_repository(tmp_path, given) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_repository(tmp_path, given) is None
    assert find_repository(tmp_path, given | {"GITHUB_SHA": COMMIT}) is not None
