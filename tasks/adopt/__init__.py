"""The first minute: the tasks on a Compose project of somebody's own."""

from invoke import Context, task


@task(
    name="adopt",
    help={
        "project": "directory of the Compose project (default: the working directory, or the nearest above it)",
        "file": "Compose file where it has none of the usual names; several are laid over each other in order",
        "yes": "write without asking",
        "json": "one JSON document on stdout",
    },
    iterable=["file"],
    auto_shortflags=False,
)
def adopt_(c: Context, project: str = "", file: list[str] | None = None, yes: bool = False, json: bool = False) -> None:
    """Look at a Compose project, write its profiles and settings, and say what works and what is missing."""
    from .adopt import run

    run(c, project, tuple(file or ()), yes, json)
