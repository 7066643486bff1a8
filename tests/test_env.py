"""Reading the environment: a password may come apart from its address."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import env


def test_a_password_from_a_file_completes_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret/@:%\n")
    monkeypatch.setenv("SOME_PASSWORD_FILE", str(secret))
    password = env.text("SOME_PASSWORD", "")
    assert env.database("postgresql://itsm_app@db/viable", password)["PASSWORD"] == "s3cret/@:%"
    assert env.redis("redis://queue:6379/0", password) == "redis://:s3cret%2F%40%3A%25@queue:6379/0"
    assert env.redis("rediss://app@queue:6379/0", password) == "rediss://app:s3cret%2F%40%3A%25@queue:6379/0"


def test_the_password_of_the_address_itself_wins() -> None:
    assert env.database("postgresql://itsm_app:own@db/viable", "other")["PASSWORD"] == "own"
    assert env.redis("redis://:own@queue/0", "other") == "redis://:own@queue/0"


def test_without_a_password_nothing_changes() -> None:
    assert env.database("postgresql://itsm_app@db/viable")["PASSWORD"] == ""
    assert env.redis("unix:///run/valkey.sock?db=0") == "unix:///run/valkey.sock?db=0"


def test_a_password_that_would_be_lost_is_refused() -> None:
    with pytest.raises(env.BadSetting, match="put the password into the URL itself"):
        env.redis("unix:///run/valkey.sock?db=0", "secret")


def test_what_is_missing_and_what_is_wrong_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME", raising=False)
    with pytest.raises(env.MissingSetting, match=r"SOME is not set\. See docs/operations/settings\.md"):
        env.text("SOME")
    monkeypatch.setenv("SOME", "often")
    with pytest.raises(env.BadSetting, match="SOME='often' is neither yes nor no"):
        env.flag("SOME")
    with pytest.raises(env.BadSetting, match="SOME='often' is not a whole number"):
        env.number("SOME", 1)
    with pytest.raises(env.BadSetting, match="SOME='often' is none of: line, json"):
        env.choice("SOME", "line", ("line", "json"))


def test_another_role_gets_the_same_database_and_no_password() -> None:
    owner = env.database(env.as_role("postgresql://itsm_app:own@db:5433/viable?sslmode=require", "itsm_owner"))
    assert (owner["USER"], owner["PASSWORD"], owner["HOST"], owner["PORT"]) == ("itsm_owner", "", "db", "5433")
    assert (owner["NAME"], owner["OPTIONS"]) == ("viable", {"sslmode": "require"})
