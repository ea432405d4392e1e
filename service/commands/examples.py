"""The ends of the commands' help: examples, and what the exit codes say."""

from service.commands.outcomes import EXIT_CODES


def examples(*lines: str, has_codes: bool = False) -> str:
    """Return the end of a command's help."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}" + (f"\n\n{EXIT_CODES}" if has_codes else "")
