"""Accounts, users, roles and policies as records."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from rehost.core.errors import IdentityError, InvalidValueError, NotFoundError, PolicyError
from rehost.store import migrations
from rehost.store.principals import PrincipalKind
from rehost.store.store import Store

ALLOW = '{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "smc:*", "Resource": "*"}]}'


def test_accounts(store: Store) -> None:
    made = store.accounts.create("web")
    assert len(made.id) == 16
    assert store.accounts.find("web") == store.accounts.find(made.id) == made
    with pytest.raises(InvalidValueError, match="already"):
        store.accounts.create("web")
    with pytest.raises(InvalidValueError, match="letters"):
        store.accounts.create("a:b")
    store.accounts.ensure("old")
    store.accounts.ensure("old")
    assert [account.name for account in store.accounts.all()] == ["web", "old"]
    store.accounts.delete(made.id)
    with pytest.raises(NotFoundError):
        store.accounts.find("web")


def test_an_id_is_not_taken_for_a_name_that_looks_like_it(store: Store) -> None:
    made = store.accounts.create("web")
    named = store.accounts.create(made.id)
    assert store.accounts.find(made.id) == made
    assert store.accounts.find(named.id) == named


def test_an_account_with_servers_stays(store: Store, register) -> None:
    store.accounts.ensure("one")
    register("a")
    account = store.servers.get(register("a").id).account
    with pytest.raises(IdentityError, match="source servers"):
        store.accounts.delete(account)


def test_an_account_goes_with_all_that_may_act_for_it(store: Store) -> None:
    made = store.accounts.create("web")
    store.principals.create(made.id, PrincipalKind.USER, "ann")
    store.policies.put(made.id, "all", ALLOW)
    store.policies.attach(made.id, "user/ann", "all")
    keys = [store.keys.create(made.id), store.keys.create(made.id, "user/ann")]
    store.accounts.delete(made.id)
    assert [store.keys.get(key.id) for key in keys] == [None, None]
    assert store.policies.of(made.id, "user/ann") == ()


def test_users_and_roles(store: Store) -> None:
    store.principals.create("1", PrincipalKind.USER, "ann")
    store.principals.create("1", PrincipalKind.ROLE, "ann")
    store.principals.create("2", PrincipalKind.USER, "ann")
    with pytest.raises(InvalidValueError, match="already"):
        store.principals.create("1", PrincipalKind.USER, "ann")
    assert [one.name for one in store.principals.all("1", PrincipalKind.USER)] == ["user/ann"]
    with pytest.raises(NotFoundError, match="user bob"):
        store.keys.create("1", "user/bob")
    with pytest.raises(NotFoundError):
        store.principals.delete("1", PrincipalKind.USER, "bob")


def test_policies(store: Store) -> None:
    store.principals.create("1", PrincipalKind.USER, "ann")
    store.policies.put("1", "all", ALLOW)
    with pytest.raises(PolicyError, match="Version"):
        store.policies.put("1", "all", "{}")
    assert store.policies.get("1", "all").document == ALLOW
    with pytest.raises(NotFoundError):
        store.policies.get("2", "all")
    for _ in range(2):
        store.policies.attach("1", "user/ann", "all")
        store.policies.attach("1", "user/ann", "AliyunSMCReadOnlyAccess")
    assert [policy.name for policy in store.policies.of("1", "user/ann")] == [
        "AliyunSMCReadOnlyAccess",
        "all",
    ]
    with pytest.raises(IdentityError, match="attached to user/ann"):
        store.policies.delete("1", "all")
    store.policies.detach("1", "user/ann", "all")
    store.policies.delete("1", "all")
    for wrong in (lambda: store.policies.attach("1", "user/ann", "all"),
                  lambda: store.policies.attach("1", "user/bob", "AliyunSMCFullAccess"),
                  lambda: store.policies.detach("1", "user/ann", "all")):  # fmt: skip
        with pytest.raises(NotFoundError):
            wrong()


def test_the_systems_policies_stay_as_they_are(store: Store) -> None:
    with pytest.raises(InvalidValueError):
        store.policies.put("1", "AliyunSMCFullAccess", ALLOW)
    with pytest.raises(IdentityError):
        store.policies.delete("1", "AliyunSMCFullAccess")


def test_accounts_of_an_older_database_are_known(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'rehost.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql(
            "INSERT INTO access_keys (id, account, secret, status, created)"
            " VALUES ('LTAI1', 'default', x'00', 'Active', 1)"
        )
    engine.dispose()
    store = Store.open(tmp_path, bytes(32))
    assert [account.name for account in store.accounts.all()] == ["default"]
    with store.database.read() as connection:
        row = connection.exec_driver_sql("SELECT principal, issuer, expires FROM access_keys").one()
    assert tuple(row) == ("", "", None)
    store.close()
