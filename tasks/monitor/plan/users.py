"""The users as whom the exporters of databases log in: they see the statistics of the server, and no data.

The statements go to the stdin of the database's own client, so a password is on no command line.
"""

from collections.abc import Mapping

from .exporters import USER

_PSQL = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")
DATABASE_PASSWORD, REDIS_PASSWORDS, MYSQL_CLIENT = "database_password", "redis_passwords", "mysql_client"
"""The names of the secrets in the Compose file of the monitoring."""
# https://github.com/prometheus/mysqld_exporter#required-grants, without the right to read tables of the project.
_MYSQL = """\
CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}';
ALTER USER '{user}'@'%' IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 5;
GRANT PROCESS, REPLICATION CLIENT ON *.* TO '{user}'@'%';
GRANT SELECT ON performance_schema.* TO '{user}'@'%';
"""


def postgres_client(client: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command line of psql for the statements on its stdin."""
    return (*client, *_PSQL)


def postgres_statements(verifier: str, role: str) -> str:
    """Return what makes the role: ``role`` is the file role.sql, ``verifier`` the password as PostgreSQL keeps it."""
    return f"\\set role {USER}\n\\set password '{verifier}'\n{role}"


def mysql_statements(password: str) -> str:
    """Return what makes the user; the password has no quotes in it."""
    return _MYSQL.format(user=USER, password=password)


def mysql_client_file(password: str) -> str:
    """Return the options of a MySQL client that logs in as the user."""
    return f"[client]\nuser={USER}\npassword={password}\n"


def password_in(name: str, text: str) -> str:
    """Return the password in a secret that was written earlier, "" when there is none."""
    if name == MYSQL_CLIENT:
        lines = (line.partition("=") for line in text.splitlines())
        return next((value for key, _, value in lines if key == "password"), "")
    return text.strip()


def shown(users: Mapping[str, str]) -> str:
    """Return in words which users are made, by service."""
    return ", ".join(f"{user} in {service}" for service, user in sorted(users.items()))
