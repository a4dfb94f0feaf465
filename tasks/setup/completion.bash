# Completion of bash and zsh from a table of tasks and options. A Tab starts Python only when that table, or a list of
# values that Compose or the engine has to give, is missing or too old.
_slipway_inv=@INV@
_slipway_venv=@VENV@
_slipway_tasks=@TASKS@
_slipway_home=@HOME@
_slipway_root=@ROOT@
_slipway_settings=@SETTINGS@
_slipway_envs=@ENVS@
_slipway_project=@PROJECT@
_slipway_backups=@BACKUPS@
_slipway_cache=@CACHE@
_slipway_table=@TABLE@
_slipway_old=30 # seconds from which a list of values is made again, in the background

_slipway_complete() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" word
    COMPREPLY=()
    # --env=st: bash makes three words of it, zsh one.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous="${COMP_WORDS[COMP_CWORD-2]}"
    elif [[ $current == --*=* ]]; then
        previous=${current%%=*} current=${current#*=}
    fi
    if _slipway_known && _slipway_here; then
        _slipway_answer "$current" "$previous"
    else
        for word in $("${COMP_WORDS[0]}" --complete -- "${COMP_WORDS[@]}" 2>/dev/null); do
            [[ $word == "$current"* ]] && COMPREPLY+=("$word")
        done
    fi
}

# Whether what is typed is this checkout's program and the table of its tasks is there; Python makes it when it is old.
_slipway_known() {
    local file program=${COMP_WORDS[0]} places=$PATH:
    while [[ $program != */* && $places ]]; do # in this shell: to start another one takes longer than all of this
        [[ -x ${places%%:*}/$program ]] && program=${places%%:*}/$program
        places=${places#*:}
    done
    [[ $program -ef $_slipway_inv || $program -ef $_slipway_venv/inv || $program -ef $_slipway_venv/invoke ]] || return
    for file in "$_slipway_tasks"/*.py "$_slipway_tasks"/*/*.py "$_slipway_settings" "$_slipway_envs"; do
        [[ ! -e $_slipway_table || $file -nt $_slipway_table ]] || continue
        mkdir -p "$_slipway_cache" && "$_slipway_inv" --complete -- @table >"$_slipway_table.$$" 2>/dev/null &&
            mv -f "$_slipway_table.$$" "$_slipway_table" && return
        rm -f "$_slipway_table.$$"
        return 1
    done
    [[ -s $_slipway_table ]]
}

# Whether the working directory is of the project whose lists these are; in another's, the program answers by itself.
_slipway_here() {
    local directory=$PWD name line
    [[ $SLIPWAY_ROOT || ($SLIPWAY_PROJECT_DIR && $SLIPWAY_ENVS_DIR) ]] && return
    while [[ $directory ]]; do
        for name in invoke.yaml slipway.yaml; do
            [[ -f $directory/$name ]] || continue
            while read -r line; do
                [[ $line == slipway:* ]] && break 3
            done <"$directory/$name"
        done
        directory=${directory%/*}
    done
    [[ ${directory:-$_slipway_home} == "$_slipway_root" ]]
}

# A line of the table is a task and its options. An option with a value ends in "=" and the kind of its values; ":kind"
# is a positional argument. The first line has the program's own options.
_slipway_answer() {
    local task options names="" all="" own="" word at last="" place=0 kind="" given=0 before=""
    while read -r task options; do
        all+=" $options"
        [[ $task == - ]] && own=$options || names+=" $task"
    done <"$_slipway_table"
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        # In `--env test`, test is no task.
        [[ "$names " == *" $word "* && $before != "=" && $all != *" $before="* ]] && last=$word place=$at
        before=$word
    done
    before=""
    if [[ $last ]]; then
        while read -r task options; do
            [[ $task == "$last" ]] && own=$options
        done <"$_slipway_table"
    fi
    for word in $own; do
        if [[ $word == "$2="* ]]; then
            _slipway_values "${word#*=}" "$1" "$last"
            return
        fi
    done
    [[ $1 == -* ]] && names=""
    for ((at = place + 1; place && at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -* || " $own" == *" $before="* ]] || given=$((given + 1))
        before=${COMP_WORDS[at]}
    done
    for word in $own; do
        if [[ $word == :* ]]; then
            [[ $given == 0 && $1 != -* ]] && kind=${word#:}
            given=$((given - 1))
        elif [[ $1 == -* ]]; then
            names+=" ${word%%=*}"
        fi
    done
    if [[ $kind ]]; then
        _slipway_values "$kind" "$1" "$last"
        return
    fi
    for word in $names; do
        [[ $word == "$1"* ]] && COMPREPLY+=("$word")
    done
}

_slipway_values() {
    local word
    case $1 in
        env)
            for word in "$_slipway_envs"/*.env; do
                word=${word##*/} word=${word%.env}
                case $word in
                    base | base.local) continue ;;
                    *-rehearsal.local) word=${word%.local} ;;
                    *.local) continue ;;
                esac
                [[ $word == "$2"* ]] && COMPREPLY+=("$word")
            done
            ;;
        dump)
            for word in "$_slipway_backups"/*/*; do
                [[ -f $word ]] && word=${word#"$PWD"/} && [[ $word == "$2"* ]] && COMPREPLY+=("$word")
            done
            ;;
        service | release) _slipway_cached "$1" "$2" "$3" ;;
        *)
            for word in ${1//,/ }; do # the values themselves
                [[ $word == "$2"* ]] && COMPREPLY+=("$word")
            done
            ;;
    esac
}

# The environment that a command line is about, in _slipway_env.
_slipway_environment() {
    local at
    _slipway_env=${SLIPWAY_ENV:-dev}
    case $1 in
        build.* | deploy.*) [[ -e $_slipway_envs/${1#*.}.env ]] && _slipway_env=${1#*.} ;;
    esac
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            --env=*) _slipway_env=${COMP_WORDS[at]#*=} ;;
            --env)
                _slipway_env=${COMP_WORDS[at + 1]}
                [[ $_slipway_env == "=" ]] && _slipway_env=${COMP_WORDS[at + 2]}
                ;;
        esac
    done
}

_slipway_cached() {
    local _slipway_env file source line rest
    _slipway_environment "$3"
    file=$_slipway_table-$1-$_slipway_env
    for source in "$_slipway_project"/*.y*ml "$_slipway_envs"/*.env "$_slipway_settings"; do
        [[ ! -e $file || $source -nt $file ]] || continue
        _slipway_ask "$1" "$_slipway_env" "$file"
        break
    done
    [[ -s $file ]] || return
    while read -r line rest; do
        if [[ $line == "#" ]]; then
            ((${EPOCHSECONDS:-$(date +%s)} - rest > _slipway_old)) && (_slipway_ask "$1" "$_slipway_env" "$file" &)
        elif [[ $line == "$2"* ]]; then
            COMPREPLY+=("$line")
        fi
    done <"$file"
}

# Make a list of values again; the one that is there stays when that fails.
_slipway_ask() {
    local list
    list=$("$_slipway_inv" completion bash --values "$1" --env "$2" 2>/dev/null </dev/null) || return
    printf '# %s\n%s\n' "${EPOCHSECONDS:-$(date +%s)}" "$list" >"$3.$$" && mv -f "$3.$$" "$3"
}
