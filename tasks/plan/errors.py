"""The errors a user can meet; each carries its message, a hint that mends it, and an exit code."""


class SlipwayError(Exception):
    """A fault to be shown as one line, a hint as the second, and an exit code.

    The codes are the contract of the command line (README, "Exit codes").
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        from .quoting import MESSAGE, quoted  # loading the tasks must not pay for it

        # It may quote what others wrote, and goes on into the history, the documents and the hooks.
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
    """A rollout stopped where it was, as `update_config.failure_action: pause` asks; what served goes on serving."""


class LockLostError(DeployError):
    """The lock that work was done under is held no more: it was broken, or expired and was taken over."""


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
