"""Completion scripts: Invoke answers tasks and options, these add the values."""

from invoke import Context

from ..plan.checks import steps
from ..plan.errors import InputError
from .files import settings
from .output import emit
from .project import Project

_BASH = r"""# eval "$(inv completion bash)"
_slipway_complete() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" file
    COMPREPLY=()
    # --env=st comes as three words.
    [[ $current == "=" ]] && current=""
    [[ $previous == "=" ]] && previous="${COMP_WORDS[COMP_CWORD-2]}"
    case "$previous" in
        --env|env.show|env.diff|env.check|env.adopt|--from)
            for file in "%(envs)s"/*.env; do
                file="${file##*/}"; file="${file%%.env}"
                case "$file" in base|*.local) ;; *) COMPREPLY+=($(compgen -W "$file" -- "$current")) ;; esac
            done
            return ;;
        completion)
            COMPREPLY=($(compgen -W "bash zsh fish" -- "$current"))
            return ;;
        --service|--only)
            COMPREPLY=($(compgen -W "$("%(inv)s" completion bash --values "${previous#--}" 2>/dev/null)" -- "$current"))
            return ;;
    esac
    COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" --complete -- ${COMP_WORDS[*]} 2>/dev/null)" -- "$current"))
}
complete -F _slipway_complete -o default inv ./inv invoke
"""
_ZSH = (
    r"""# eval "$(inv completion zsh)"
autoload -Uz bashcompinit && bashcompinit
"""
    + _BASH
)
_FISH = r"""# inv completion fish | source
function __slipway_environments
    for file in "%(envs)s"/*.env
        set name (string replace -r '\.env$' '' (path basename $file))
        string match -qr '^base$|\.local$' -- $name; or echo $name
    end
end
complete -c inv -f -a '(inv --complete -- (commandline -cop) 2>/dev/null)'
complete -c inv -f -l env -x -a '(__slipway_environments)'
complete -c inv -f -l service -x -a '("%(inv)s" completion fish --values service 2>/dev/null)'
complete -c inv -f -l only -x -a '("%(inv)s" completion fish --values only 2>/dev/null)'
complete -c inv -f -n 'test (commandline -opc)[-1] = completion' -a 'bash zsh fish'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(c: Context, shell: str, values: str, env: str) -> None:
    """Write a completion script, or the values that an option can take, to stdout."""
    if values == "service":
        for name in Project(c, env).stack.services:
            emit(name)
        return
    if values == "only":
        for step in steps("", ()):
            emit(step.name)
        return
    if values:
        raise InputError(f"no values for {values!r}", "there are: service, only")
    if shell not in _SCRIPTS:
        raise InputError(f"no completion for {shell!r}", f"there are: {', '.join(_SCRIPTS)}")
    where = settings()
    emit((_SCRIPTS[shell] % {"envs": where.envs_dir, "inv": where.root / "inv"}).rstrip("\n"))
