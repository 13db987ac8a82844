"""Texts with wildcards: `*` stands for any run of characters, `?` for one."""


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is all of the text.

    At most len(pattern) * len(text) steps: patterns come from callers too (session policies), and a regular
    expression made of many stars would let them keep the server busy.
    """
    p = t = 0
    star, resume = -1, 0  # the last star, and where in the text what follows it is tried next
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, resume = p, t
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return all(rest == "*" for rest in pattern[p:])
