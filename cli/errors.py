"""What a command says when it cannot go on."""


class UserError(Exception):
    """One line for the person at the terminal: what, where, and what would be right. Exits with 2."""
