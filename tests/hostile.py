"""Text as nobody should write it, for every place where people's text is shown."""

TEXTS = {
    "subscripts": "$x_1_2$",
    "fraction": r"$\frac{1$",
    "price": "5$ and 6$",
    "escaped": r"a\$b",
    "tag": "<script>alert(1)</script>&amp;",
    "markup": "[red]x[/red] [/] [bold",
    "colour": "\x1b[31mred\x9b0m\x07",
    "lines": "one\ntwo\r\nthree\u2028four",
    "reversed": "\u202egnp.exe\u2066 \u05d0\u05d1",
    "formula": "=HYPERLINK(1)",
    "markdown": "# a | b `c` *d* ~~e~~ ![f](g)",
    "long": "lettersandnospace" * 11,
    "emoji": "\U0001f9ec :smile:",
}
"""By what each is meant to break."""

OBEYED = ("\x1b", "\x9b", "\x07", "\u202e", "\u2066")
"""Letters that are not shown, but do something."""
