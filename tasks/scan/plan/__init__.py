"""The pure part of scan.*: commands, reports and decisions; no process, no file, no engine."""
