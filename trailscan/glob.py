"""What users write with `*` becomes a LIKE pattern; everything else in it is literal."""


def like(glob: str) -> str:
    """A LIKE pattern, with backslash as its escape character, for a text in which `*` stands for any characters."""
    literal = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal.replace("*", "%")
