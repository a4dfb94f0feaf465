"""What a preset is made from, and what it says about a database server."""

from collections.abc import Mapping

from ...record import Record

DATABASE = "database"  # the key that names a preset, and the role that it gives
POSTGRES, MYSQL, MARIADB, MONGO, REDIS = PRESETS = ("postgres", "mysql", "mariadb", "mongo", "redis")

# A script runs in the container: the image's variables, and files of secrets, are read there.
SH, BASH = ("sh", "-c"), ("bash", "-c")


class Declared(Record):
    """What a Compose file says about the service of a database: its environment, its command, where it has mounts.

    ``name`` is the database that ``x-slipway.backup.name`` says, "" when it says none.
    """

    environment: Mapping[str, str]
    command: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    name: str = ""

    def first(self, *variables: str) -> str:
        """Return the value of the first variable that has one, "" when none has."""
        return next((value for name in variables if (value := self.environment.get(name, ""))), "")


class Preset(Record):
    """A known server: its client, where its files are, the name of its database, the commands of its backups.

    ``database`` is "" when the environment does not say it; ``named_by`` is the variable that would. Passwords are in
    none of the commands: they are read in the container, from where the server's image reads them.
    """

    client: tuple[str, ...]
    data: str
    database: str
    named_by: str
    commands: Mapping[str, tuple[str, ...]]
