"""Pure decisions: no subprocess, no Docker SDK, no file or network access, no clock, no Invoke."""
