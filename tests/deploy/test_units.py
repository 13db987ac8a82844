"""The units of deploy/: systemd understands them, and what they start works within their limits."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.serving import until
from tests.deploy.systemd import ROOT, Host, host

UNITS = sorted((ROOT / "deploy").iterdir())
BUILD = """
import subprocess
from pathlib import Path
from rehost.convert import helper_build
vm = helper_build.get(Path("/var/lib/rehost/cache"))
command = ["qemu-system-x86_64", "-nographic", "-m", "512", "-no-reboot", "-kernel", vm.kernel, "-append",
           "console=ttyS0 panic=-1"]
done = subprocess.run(command, capture_output=True, text=True, timeout=100)
print(done)
"""


def test_systemd_understands_them(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/rehost", str(ROOT))
        (tmp_path / unit.name).write_text(text)
    for unit in UNITS:
        command = ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), unit.name


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as made:
        yield made


@pytest.mark.lab
def test_the_service_is_started_again_and_the_nightly_backup_is_made(machine: Host) -> None:
    serving = json.loads(machine.sh("cat /var/lib/rehost/serve.json"))
    machine.sh(f"kill -9 {serving['pid']}")

    def again() -> bool:
        text = machine.sh("cat /var/lib/rehost/serve.json")
        return json.loads(text)["pid"] != serving["pid"]

    until(again, lambda: machine.sh("systemctl status rehost"), 60)
    assert machine.sh("systemctl show -p NRestarts --value rehost") == "1"
    machine.sh("systemctl start rehost-backup.service")
    (made,) = machine.sh("ls /var/backups/rehost").split()
    assert re.fullmatch(r"\d{8}T\d{6}Z", made)
    assert "backup.json" in machine.sh(f"ls /var/backups/rehost/{made}")
    machine.sh("systemctl stop rehost")
    machine.sh(f"rm -r /var/lib/rehost/*; /opt/rehost/.venv/bin/rehost restore /var/backups/rehost/{made}")
    machine.sh("systemctl start rehost")
    until(machine.up, "it is up", 60)


@pytest.mark.lab
def test_the_same_unit_is_a_workers_and_has_volumes_elsewhere_when_it_may_write_there(machine: Host) -> None:
    def again(line: str) -> None:
        machine.sh(f"echo '{line}' > /etc/default/rehost; systemctl daemon-reload; systemctl restart rehost")

    def says(text: str) -> None:
        log = "journalctl -u rehost"
        until(lambda: text in machine.sh(log), lambda: machine.sh(log), 60)

    machine.sh("mkdir -p /mnt/nas /etc/systemd/system/rehost.service.d")
    options = machine.sh("cut -d '\"' -f 2 /etc/default/rehost")
    with_volumes = f'REHOST_OPTIONS="{options} --volumes /mnt/nas"'
    again(with_volumes)
    says("/mnt/nas cannot be used: Read-only file system")
    drop_in = "/etc/systemd/system/rehost.service.d/nas.conf"
    machine.sh(f"printf '[Service]\\nReadWritePaths=/mnt/nas\\n' > {drop_in}")
    again(with_volumes)
    until(lambda: "replicas" in machine.sh("ls /mnt/nas"), lambda: machine.sh("journalctl -u rehost"), 60)
    again("REHOST_COMMAND=worker")
    says("a worker needs the database of a control plane")


@pytest.mark.lab
@pytest.mark.vm
def test_the_helper_vm_is_built_and_boots_within_the_units_limits(machine: Host) -> None:
    machine.sh(f"cat > /run/build.py <<'end'\n{BUILD}\nend")
    unit = machine.sh("cat /etc/systemd/system/rehost.service")
    unit = re.sub("ExecStart=.*", "ExecStart=/opt/rehost/.venv/bin/python /run/build.py", unit)
    unit = unit.replace("Restart=always", "Type=oneshot")
    machine.sh(f"cat > /etc/systemd/system/helper.service <<'end'\n{unit}\nend\nsystemctl daemon-reload")
    machine.sh("systemctl start helper || { journalctl -u helper; exit 1; }", 300)
    assert "Linux version" in machine.sh("journalctl -u helper")


@pytest.mark.lab
def test_the_key_of_the_secrets_can_be_a_credential_that_systemd_opens(machine: Host) -> None:
    """As docs/operations.md says it, but for the place of systemd's own key: this host keeps nothing."""
    machine.sh("systemctl stop rehost && rm -r /var/lib/rehost/*")
    sealed = "/etc/credstore.encrypted/rehost-secrets.key"
    machine.sh(f"""
        mkdir -p /etc/credstore.encrypted
        head -c 32 /dev/urandom | systemd-creds encrypt --with-key=host --name=rehost-secrets.key - {sealed}
        sed -i 's/^#LoadCredentialEncrypted/LoadCredentialEncrypted/' /etc/systemd/system/rehost.service
        systemctl daemon-reload && systemctl start rehost""")
    until(machine.up, lambda: machine.sh("journalctl -u rehost"), 60)
    assert "secrets.key" not in machine.sh("ls /var/lib/rehost/keys")
    listed = "/opt/rehost/.venv/bin/rehost source list --json"
    machine.sh("systemctl restart rehost")
    until(lambda: _answers(machine, listed), lambda: machine.sh("journalctl -u rehost"), 60)
    machine.sh("sed -i '/^LoadCredentialEncrypted/d' /etc/systemd/system/rehost.service")
    machine.sh("systemctl daemon-reload; systemctl restart rehost")
    without = "the unit needs its LoadCredential= again"
    until(
        lambda: without in machine.sh("journalctl -u rehost"), lambda: machine.sh("journalctl -u rehost"), 60
    )


def _answers(machine: Host, command: str) -> bool:
    try:
        return machine.sh(command).startswith("[")
    except AssertionError:
        return False
