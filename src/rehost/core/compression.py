"""Whether compressing a chunk pays, and how hard to try. All speeds are bytes of content a second.

A chunk of n bytes takes n / link on its way as it is, and n / speed + n * share / link packed, where `share`
is what packing leaves of it. So packing pays while link < speed * (1 - share).
"""

PAYS = 15 / 16  # a share above this is not worth the receiver's time
_EASY, _HARD = 0.25, 1.0  # seconds of packing for each second that the result is under way


def may_pay(speed: float, link: float | None) -> bool:
    """Some content can be worth it; a link of unknown speed counts as slow."""
    return link is None or link < speed


def pays(share: float, speed: float, link: float | None) -> bool:
    """Content of which `share` is left is worth it."""
    return share <= PAYS and (link is None or link < speed * (1 - share))


def next_level(level: int, cap: int, packing: float, sending: float) -> int:
    """The level to go on with, from 1 to `cap`, after packing took so many seconds for a result that the
    link needs `sending` seconds for. Between the two bounds it stays, so that it does not swing."""
    if packing < _EASY * sending:
        return min(level + 1, cap)
    if packing > _HARD * sending:
        return max(level - 1, 1)
    return level
