"""The errors that a user can see; each has a message, a hint that says what to do, and an exit code."""


class SlipwayError(Exception):
    """An error: shown as one line, with a hint as the second line, and an exit code.

    The codes are the contract of the command line (README, "What you can rely on").
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        from .quoting import MESSAGE, quoted  # keeps the start of every task quick

        # The text may quote other programs' output, and is stored in the history, JSON output and hooks.
        self.message, self.hint = quoted(message, MESSAGE), quoted(hint, MESSAGE)
        super().__init__(self.message)


class InputError(SlipwayError):
    """Bad input: arguments, profile or Compose file."""

    exit_code = 2


class RefusedError(SlipwayError):
    """Slipway will not start: lock held, not confirmed, a required tool or the engine missing."""

    exit_code = 3


class DeployError(SlipwayError):
    """A deploy began and failed."""

    exit_code = 4


class PausedError(DeployError):
    """A rollout stopped halfway, as `update_config.failure_action: pause` asks; what served continues to serve."""


class LockLostError(DeployError):
    """The deploy lock was lost during the work: it was broken, or it expired and another process took it."""


class CheckError(SlipwayError):
    """Tests, a scan, a smoke, load or size check ran and did not pass."""

    exit_code = 5


class PendingChanges(SlipwayError):
    """``deploy.plan --exit-code`` found changes."""

    exit_code = 6


class CommandError(SlipwayError):
    """A command that Slipway ran failed; the exit code is that command's own."""

    def __init__(self, message: str, exit_code: int, hint: str = "", output: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
        self.output = output


class StoppedError(SlipwayError):
    """Stopped by a signal; the exit code is 128 plus its number."""

    def __init__(self, signal_number: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number
