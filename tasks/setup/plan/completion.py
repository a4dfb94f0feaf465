"""Where a completion script belongs, and what is around it in each shell."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

HEADS = {
    "bash": '# eval "$(inv completion bash)"\n',
    "zsh": '# eval "$(inv completion zsh)"\n'
    "zmodload zsh/datetime # EPOCHSECONDS\n"
    "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n",
    "fish": "# inv completion fish | source\n",
}
TAILS = {
    "bash": "complete -F _slipway_complete -o default inv ./inv invoke\n",
    "zsh": """_slipway_zsh() {
    emulate -L ksh # arrays and words as in bash
    local -a COMP_WORDS COMPREPLY
    local COMP_CWORD=$((CURRENT - 1))
    COMP_WORDS=("${words[@]}")
    _slipway_complete
    if [[ ${#COMPREPLY[@]} == 0 ]]; then
        _files
        return
    fi
    compset -P '--*='
    compadd -- "${COMPREPLY[@]}"
}
compdef _slipway_zsh inv ./inv invoke
""",
    "fish": "",
}


@dataclass(frozen=True)
class ScriptPlace:
    """The file of a script, the start file of its shell that needs ``line`` ("" for none), and what loads it now."""

    script: str
    start_file: str
    line: str
    now: str


def place(shell: str, directories: Mapping[str, str], lazy: bool) -> ScriptPlace:
    """Return where the script of a shell belongs; ``lazy``: bash loads completions when their command is typed."""
    if shell == "fish":
        script = f"{directories['config']}/fish/completions/inv.fish"
        return ScriptPlace(script, "", "", f"source {script}")
    if shell == "bash" and lazy:
        script = f"{directories['data']}/bash-completion/completions/inv"
        return ScriptPlace(script, "", "", f". {shlex.quote(script)}")
    script = f"{directories['data']}/slipway/completion.{shell}"
    line = f"[ -r {shlex.quote(script)} ] && . {shlex.quote(script)} # completion of inv"
    start = f"{directories['zsh']}/.zshrc" if shell == "zsh" else f"{directories['home']}/.bashrc"
    return ScriptPlace(script, start, line, f". {shlex.quote(script)}")


def fish_quoted(text: str) -> str:
    """Return a text as one word of fish."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
