from hypothesis import given
from hypothesis import strategies as st

from rehost.convert.guest import cmdline, grub, resume
from tests.convert.names import NAMES, ROOT, specs, words

MENU = """\
### BEGIN /etc/grub.d/00_header ###
set default="0"
terminal_output gfxterm
### END /etc/grub.d/00_header ###
menuentry 'Debian root=/dev/sda1' {
\tset root='hd0,msdos1'
\tsearch --no-floppy --fs-uuid --set=root aaaa-root
\tlinux\t/boot/vmlinuz-6.1 root=/dev/sda1 ro  quiet resume=/dev/sda2
\tinitrd\t/boot/initrd.img-6.1
}
"""

SETTINGS = """\
# root=/dev/sda1 is what it was
GRUB_TIMEOUT=5
GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sdz9"
GRUB_CMDLINE_LINUX=""
GRUB_DISABLE_LINUX_UUID="true"
#GRUB_TERMINAL=console
"""


def test_the_menu_boots_by_uuid_and_speaks_on_the_serial_console() -> None:
    menu = grub.edit_menu(MENU, NAMES, ROOT)
    linux = "\tlinux\t/boot/vmlinuz-6.1 root=UUID=aaaa-root ro  quiet resume=UUID=bbbb-swap"
    assert f"{linux} console=tty0 console=ttyS0,115200\n" in menu
    assert "menuentry 'Debian root=/dev/sda1' {" in menu, "titles are not touched"
    header, _, rest = menu.partition("### END /etc/grub.d/00_header ###")
    assert "terminal_output --append serial" in header
    assert "serial" not in rest.replace(linux, "")


def test_a_menu_without_sections_begins_with_the_serial_console() -> None:
    menu = grub.edit_menu("menuentry x {\n linux16 /vmlinuz root=/dev/sda1\n}\n", NAMES, ROOT)
    assert menu.index("insmod serial") < menu.index("menuentry")
    assert " linux16 /vmlinuz root=UUID=aaaa-root console=tty0 console=ttyS0,115200\n" in menu


def test_a_root_that_nobody_knows_is_the_root_that_was_found() -> None:
    assert cmdline.map_devices("ro root=/dev/sdq7", NAMES, ROOT) == "ro root=UUID=aaaa-root"
    assert cmdline.map_devices("root=/dev/mapper/vg-x", NAMES, ROOT) == "root=/dev/mapper/vg-x"


def test_a_swap_space_that_is_not_there_is_not_waited_for() -> None:
    assert cmdline.map_devices("resume=/dev/sdz9 resume=UUID=gone resume=/dev/sdb2", NAMES, ROOT) == (
        "noresume noresume noresume"
    )
    assert cmdline.map_devices("resume=/dev/mapper/vg-swap", NAMES, ROOT) == "resume=/dev/mapper/vg-swap"


def test_the_settings_of_grub() -> None:
    assert (
        grub.edit_settings(SETTINGS, NAMES, ROOT)
        == """\
# root=/dev/sda1 is what it was
GRUB_TIMEOUT=5
GRUB_CMDLINE_LINUX_DEFAULT="quiet noresume"
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_DISABLE_LINUX_UUID=false
#GRUB_TERMINAL=console
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
"""
    )


def test_settings_that_are_a_program_are_added_to() -> None:
    edited = grub.edit_settings("GRUB_CMDLINE_LINUX=$(cat /etc/cmdline)\nGRUB_TERMINAL=serial", NAMES, ROOT)
    assert edited.endswith('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 console=ttyS0,115200"\n')
    assert "GRUB_SERIAL_COMMAND" not in edited


def test_a_serial_console_that_is_there_stays() -> None:
    assert cmdline.with_serial_console("quiet console=ttyS0,9600n8") == "quiet console=ttyS0,9600n8"
    assert cmdline.with_serial_console("") == "console=tty0 console=ttyS0,115200"


def test_resume_settings() -> None:
    assert resume.edit("RESUME=/dev/sda2\n", NAMES) == "RESUME=UUID=bbbb-swap\n"
    assert resume.edit('# x\nRESUME="/dev/sdz9" # y\n', NAMES) == "# x\nRESUME=none # y\n"
    assert resume.edit("RESUME=UUID=gone", NAMES) == "RESUME=none"
    assert resume.edit("RESUME=/dev/sdb2", NAMES) == "RESUME=none", "there is no swap space on it"
    assert resume.edit("RESUME=/dev/vg/swap", NAMES) == "RESUME=/dev/vg/swap"
    assert resume.edit("RESUME=auto\n", NAMES) == "RESUME=auto\n"


def test_the_resume_setting_inside_the_initramfs() -> None:
    assert resume.setting("RESUME=none\nRESUME=/dev/sda2\n", NAMES) == "UUID=bbbb-swap"
    assert resume.setting("RESUME=auto\n", NAMES) == "none"
    assert resume.setting("", NAMES) == "none"


arguments = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["root", "resume", "xroot", "console"]), specs),
    st.sampled_from(["quiet", "console=ttyS0", "console=tty0", "noresume", "console=ttyS01"]),
    words,
)
commands = st.lists(arguments, max_size=5).map(" ".join)
menu_lines = st.one_of(
    commands.map("\tlinux /vmlinuz {}".format),
    commands.map('GRUB_CMDLINE_LINUX="{}"'.format),
    commands,
    st.sampled_from(
        ["### END /etc/grub.d/00_header ###", "GRUB_TERMINAL=console", "GRUB_DISABLE_LINUX_UUID=y"]
    ),
)
texts = st.lists(menu_lines, max_size=8).map("\n".join)


@given(texts)
def test_converting_twice_is_converting_once(text: str) -> None:
    menu = grub.edit_menu(text, NAMES, ROOT)
    assert grub.edit_menu(menu, NAMES, ROOT) == menu
    settings = grub.edit_settings(text, NAMES, ROOT)
    assert grub.edit_settings(settings, NAMES, ROOT) == settings
    resumed = resume.edit(text, NAMES)
    assert resume.edit(resumed, NAMES) == resumed


@given(texts)
def test_no_name_of_a_copied_disk_is_left_in_a_menu(text: str) -> None:
    menu = grub.edit_menu(text, NAMES, ROOT)
    linux = [line for line in menu.splitlines() if line.startswith("\tlinux ")]
    assert not any(" root=/dev/sd" in line or " resume=/dev/sd" in line for line in linux)
    assert all(cmdline.has_serial_console(line) for line in linux)
