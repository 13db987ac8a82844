from pathlib import Path

import pytest

from rehost.convert.guest.tree import Changes, Tree, content


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/fstab").write_text("old\n")
    return Tree(root)


def test_links_stay_inside_the_guest(tree: Tree) -> None:
    (tree.root / "link").symlink_to("/etc")
    (tree.root / "etc/up").symlink_to("../../../../../etc/fstab")
    (tree.root / "loop").symlink_to("loop")
    assert tree.place("/link/fstab") == tree.root / "etc/fstab"
    assert tree.place("/etc/up") == tree.root / "etc/fstab"
    assert tree.place("/../../etc/./fstab") == tree.root / "etc/fstab"
    assert tree.read("/link/fstab") == "old\n"
    assert tree.read("/loop") == ""
    assert tree.read("/none") == ""


def test_an_edit_is_reported_with_its_difference(tree: Tree) -> None:
    changes = Changes(tree)
    changes.edit("/etc/fstab", "why", lambda text: text.replace("old", "new"))
    changes.edit("/etc/fstab", "why", lambda text: text)
    changes.edit("/etc/missing", "why", lambda _: pytest.fail("there is no such file"))
    (change,) = changes.made
    assert (change.path, change.kind, change.reason) == ("/etc/fstab", "edited", "why")
    assert change.diff == "--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1 +1 @@\n-old\n+new\n"
    assert change.before == content(b"old\n")
    assert change.after == content(b"new\n")
    assert (tree.root / "etc/fstab").read_text() == "new\n"
    assert [path.name for path in (tree.root / "etc").iterdir()] == ["fstab"], "no copy is left beside it"


def test_bytes_that_are_no_text_survive_an_edit(tree: Tree) -> None:
    (tree.root / "etc/fstab").write_bytes(b"caf\xe9 old")
    changes = Changes(tree)
    changes.edit("/etc/fstab", "why", lambda text: text.replace("old", "new"))
    assert (tree.root / "etc/fstab").read_bytes() == b"caf\xe9 new"
    assert "\\xe9" in changes.made[0].diff
    assert "No newline at end of file" in changes.made[0].diff


def test_creating_removing_linking(tree: Tree) -> None:
    changes = Changes(tree)
    for _ in range(2):
        changes.create("/etc/new/file", "why", "text\n")
        changes.link("/etc/link", "why", "/dev/null")
        changes.link("/etc/fstab", "why", "/dev/null")
        changes.remove("/etc/fstab", "why")
    kinds = [(change.path, change.kind) for change in changes.made]
    assert kinds[:2] == [("/etc/new/file", "created"), ("/etc/link", "created")]
    assert kinds[2] == ("/etc/fstab", "removed")
    assert (tree.root / "etc/new/file").read_text() == "text\n"
    assert (tree.root / "etc/link").readlink() == Path("/dev/null")


def test_removing_a_link_keeps_what_it_points_to(tree: Tree) -> None:
    (tree.root / "etc/link").symlink_to("fstab")
    Changes(tree).remove("/etc/link", "why")
    assert (tree.root / "etc/fstab").exists()
    assert not (tree.root / "etc/link").is_symlink()


def test_appending_keeps_owner_and_mode(tree: Tree) -> None:
    file = tree.root / "etc/fstab"
    file.chmod(0o640)
    changes = Changes(tree)
    changes.append("/etc/fstab", "why", lambda data: data + b"more")
    changes.append("/etc/fstab", "why", lambda data: data)
    changes.append("/etc/fstab", "why", lambda data: b"ol")
    assert file.read_bytes() == b"ol"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [change.kind for change in changes.made] == ["appended", "appended"]
    assert changes.made[0].after == content(b"old\nmore")
