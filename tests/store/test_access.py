from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.core.agentapi import Register
from rehost.core.errors import ActivationCodeError, DataFolderError, NotFoundError
from rehost.store.codes import ActivationCode, CodeFilter, CodeStatus
from rehost.store.keys import KeyStatus
from rehost.store.paging import Page
from rehost.store.schema import access_keys, metadata, nonces
from rehost.store.store import Store


def kept(store: Store, folder: Path) -> bytes:
    """All that the database keeps; of SQLite what its files have, too."""
    with store.database.read() as connection:
        rows = [
            tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))
        ]
    store.close()
    assert rows
    return repr(rows).encode() + b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_key_comes_back_with_its_secret(store: Store) -> None:
    key = store.keys.create("one")
    assert store.keys.get(key.id) == key
    assert store.keys.all("one") == (key,)
    assert store.keys.all("two") == ()
    assert store.keys.get("LTAInone") is None


def test_a_secret_is_nowhere_in_the_database_nor_in_a_text_of_the_record(
    store: Store, tmp_path: Path
) -> None:
    key = store.keys.create("one")
    assert key.secret not in repr(key)
    assert key.secret.encode() not in kept(store, tmp_path)


def test_another_secrets_key_is_a_clear_error(store: Store, records: Path | str) -> None:
    key = store.keys.create("one")
    other = Store.open(records, b"x" * 32)
    with pytest.raises(DataFolderError, match=r"secrets\.key"):
        other.keys.get(key.id)
    other.close()


def test_a_sealed_secret_does_not_open_in_another_row(store: Store) -> None:
    first, second = store.keys.create("one"), store.keys.create("one")
    column = access_keys.c
    with store.database.write() as connection:
        secret = connection.execute(sa.select(column.secret).where(column.id == first.id)).scalar_one()
        connection.execute(access_keys.update().where(column.id == second.id).values(secret=secret))
    with pytest.raises(DataFolderError):
        store.keys.get(second.id)


def test_a_key_can_be_disabled(store: Store) -> None:
    key = store.keys.create("one")
    store.keys.set_status(key.id, KeyStatus.INACTIVE)
    found = store.keys.get(key.id)
    assert found is not None
    assert found.status is KeyStatus.INACTIVE
    with pytest.raises(NotFoundError):
        store.keys.set_status("LTAInone", KeyStatus.ACTIVE)


def test_a_nonce_is_good_once_per_key(store: Store, clock) -> None:
    later = clock.time + 900
    assert store.nonces.use("k1", "n", later)
    assert not store.nonces.use("k1", "n", later)
    assert store.nonces.use("k2", "n", later)


def test_after_records_were_brought_back_older_nonces_count_as_used(store: Store, clock) -> None:
    store.nonces.spend(clock.time + 900)
    store.nonces.spend(clock.time + 900)
    again = Store.on(store.database, bytes(32))
    assert not again.nonces.use("k", "n", clock.time + 900)
    assert again.nonces.use("k", "n", clock.time + 901)


def test_expired_nonces_are_swept(store: Store, clock) -> None:
    store.nonces.use("k", "old", clock.time + 900)
    clock.time += 1000
    for number in range(300):
        store.nonces.use("k", str(number), clock.time + 900)
    with store.database.read() as connection:
        assert connection.execute(sa.select(nonces).where(nonces.c.nonce == "old")).first() is None


def _request(code: str, inventory, letter: str = "a") -> Register:
    return Register(code, letter * 64, inventory, "0.1")


def _codes(store: Store) -> tuple[ActivationCode, ...]:
    return store.codes.find("one", CodeFilter(), Page(size=50)).items


def test_a_code_registers_as_often_as_it_says(store: Store, register) -> None:
    inventory = register("z").inventory
    record, code = store.codes.create("one", "test", count=2)
    store.servers.register(_request(code, inventory, "a"))
    store.servers.register(_request(code, inventory, "b"))
    with pytest.raises(ActivationCodeError, match="used up"):
        store.servers.register(_request(code, inventory, "c"))
    assert [c.used for c in _codes(store) if c.id == record.id] == [2]


def test_a_repeated_registration_uses_nothing_up(store: Store, register) -> None:
    inventory = register("z").inventory
    record, code = store.codes.create("one", "test", count=1)
    first = store.servers.register(_request(code, inventory))
    assert store.servers.register(_request(code, inventory)).id == first.id
    assert [c.used for c in _codes(store) if c.id == record.id] == [1]


def test_bad_codes_say_why(store: Store, register, clock) -> None:
    inventory = register("z").inventory
    with pytest.raises(ActivationCodeError, match="not known"):
        store.servers.register(_request("nonsense", inventory))
    disabled, code = store.codes.create("one", "test")
    store.codes.disable("one", disabled.id)
    with pytest.raises(ActivationCodeError, match="disabled"):
        store.servers.register(_request(code, inventory))
    expiring, code = store.codes.create("one", "test", days=1)
    clock.time += 86401
    with pytest.raises(ActivationCodeError, match="expired"):
        store.servers.register(_request(code, inventory))
    statuses = {c.id: c.status for c in _codes(store)}
    assert statuses[disabled.id] is CodeStatus.DISABLED
    assert statuses[expiring.id] is CodeStatus.EXPIRED


def test_a_code_itself_is_not_kept(store: Store, tmp_path: Path) -> None:
    _, code = store.codes.create("one", "test")
    assert code.encode() not in kept(store, tmp_path)
