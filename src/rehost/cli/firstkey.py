"""The first access key: made on the first start, in a file that only its owner reads, never logged."""

import json
from pathlib import Path

from rehost.block.durable import write_file
from rehost.store.keys import generate
from rehost.store.store import Store

FILE = "first-access-key.json"
ACCOUNT = "default"


def ensure(data: Path, store: Store, endpoint: str, ca_file: Path) -> Path | None:
    """The file, when there is one; its endpoint is the present one.

    The file comes before the database: a start that is cut off in between finds the key in the file and
    takes it from there. A file that its owner removed is not made again.
    """
    path = data / FILE
    store.accounts.ensure(ACCOUNT)
    known = store.keys.all()
    if path.exists():
        content = json.loads(path.read_text())
    elif known:
        return None
    else:
        key_id, secret = generate()
        content = {"AccessKeyId": key_id, "AccessKeySecret": secret}
    present = {**content, "Endpoint": endpoint, "CaFile": str(ca_file)}
    if present != content:
        write_file(path, json.dumps(present, indent=1).encode(), 0o600)
    if not known:
        store.keys.add(ACCOUNT, present["AccessKeyId"], present["AccessKeySecret"])
    return path
