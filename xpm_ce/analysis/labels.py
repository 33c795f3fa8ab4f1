"""How people write the labels of a grid: neither capitals nor punctuation matter."""


def letters_and_digits(label: str) -> str:
    """A label without all else, so that margin_mse is found as MarginMSE."""
    return "".join(filter(str.isalnum, label)).casefold()
