# Completion of fish from a table of tasks and options. A Tab starts Python only when that table, or a list of values
# that Compose or the engine has to give, is missing or too old.
set -g _slipway_inv @INV@
set -g _slipway_venv @VENV@
set -g _slipway_tasks @TASKS@
set -g _slipway_home @HOME@
set -g _slipway_root @ROOT@
set -g _slipway_settings @SETTINGS@
set -g _slipway_envs @ENVS@
set -g _slipway_project @PROJECT@
set -g _slipway_backups @BACKUPS@
set -g _slipway_cache @CACHE@
set -g _slipway_table @TABLE@
set -g _slipway_old 30 # seconds from which a list of values is made again, in the background

# Whether what is typed is this checkout's program and the table of its tasks is there; Python makes it when it is old.
function __slipway_known
    set -l program (path resolve -- (type -fP -- $argv[1] 2>/dev/null; or echo $argv[1]))
    contains -- $program (path resolve -- $_slipway_inv $_slipway_venv/inv $_slipway_venv/invoke); or return 1
    set -l made (path mtime -- $_slipway_table 2>/dev/null; or echo 0)
    for changed in (path mtime -- $_slipway_tasks/*.py $_slipway_tasks/*/*.py $_slipway_settings $_slipway_envs)
        test $changed -gt $made; or continue
        command mkdir -p $_slipway_cache
        and $_slipway_inv --complete -- @table >$_slipway_table.$fish_pid 2>/dev/null
        and command mv -f $_slipway_table.$fish_pid $_slipway_table
        and return 0
        command rm -f $_slipway_table.$fish_pid
        return 1
    end
    test -s $_slipway_table
end

# Whether the working directory is of the project whose lists these are; in another's, the program answers by itself.
function __slipway_here
    set -q SLIPWAY_ROOT; and return 0
    set -q SLIPWAY_PROJECT_DIR; and set -q SLIPWAY_ENVS_DIR; and return 0
    set -l directory $PWD
    while test -n "$directory"
        for name in invoke.yaml slipway.yaml
            if test -f $directory/$name; and string match -qr -- '^slipway:' <$directory/$name
                test $directory = $_slipway_root
                return
            end
        end
        set directory (string replace -r -- '/[^/]*$' '' $directory)
    end
    test $_slipway_home = $_slipway_root
end

# A line of the table is a task and its options. An option with a value ends in "=" and the kind of its values; ":kind"
# is a positional argument. The first line has the program's own options.
function __slipway_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    if not __slipway_known $typed[1]; or not __slipway_here
        command $typed[1] --complete -- $typed $current 2>/dev/null
        return
    end
    set -l names
    set -l lines
    while read -l line
        set -a lines $line
        set -a names (string split -f1 -- ' ' $line)
    end <$_slipway_table
    set -l last
    set -l own (string split -- ' ' $lines[1])[2..]
    set -l after $typed[2..]
    set -l every (string match -ar -- '-[^ =]+(?==)' $lines)
    for at in (seq (count $typed))
        # In `--env test`, test is no task.
        if test $at -gt 1; and not contains -- $typed[(math $at - 1)] $every
            and set -l found (contains -i -- $typed[$at] $names[2..])
            set last $typed[$at]
            set own (string split -- ' ' $lines[(math $found + 1)])[2..]
            set after $typed[(math $at + 1)..]
        end
    end
    set -l option $typed[-1]
    set -l start ''
    if string match -qr -- '^--[^=]+=' $current
        set start (string replace -r -- '=.*' '=' $current)
        set option (string trim -r -c= -- $start)
    end
    set -l valued (string match -- "$option=*" $own)
    if set -q valued[1]
        for value in (__slipway_values (string split -m1 -f2 -- = $valued[1]) "$last" $typed)
            echo -- $start$value
        end
        return
    end
    set -l positional (string match -- ':*' $own)
    set -l valuable (string match -- '*=*' $own)
    set -l before ''
    for word in $after
        if not string match -q -- '-*' $word; and not contains -- "$before" (string replace -r -- '=.*' '' $valuable)
            set -e positional[1]
        end
        set before $word
    end
    if string match -q -- '-*' $current
        string replace -r -- '=.*' '' (string match -- '-*' $own)
    else if set -q positional[1]; and test -n "$last"
        __slipway_values (string sub -s 2 -- $positional[1]) "$last" $typed
    else
        printf '%s\n' $names[2..]
    end
end

function __slipway_values # kind, task, words
    switch $argv[1]
        case env
            for file in $_slipway_envs/*.env
                set -l name (string replace -r -- '.*/' '' (string replace -r -- '\.env$' '' $file))
                string match -qr -- '-rehearsal\.local$' $name; and set name (string replace -- .local '' $name)
                string match -qr -- '^base$|\.local$' $name; or echo $name
            end
        case dump
            set -l dumps $_slipway_backups/*/*
            string replace -- $PWD/ '' $dumps
        case service release
            __slipway_cached $argv
        case ''
            __fish_complete_path (commandline -ct)
        case '*'
            string split -- , $argv[1]
    end
end

function __slipway_cached # kind, task, words
    set -l env dev
    set -q SLIPWAY_ENV; and set env $SLIPWAY_ENV
    string match -qr -- '^(build|deploy)\.' $argv[2]
    and test -e $_slipway_envs/(string replace -r -- '^[a-z]+\.' '' $argv[2]).env
    and set env (string replace -r -- '^[a-z]+\.' '' $argv[2])
    for at in (seq 3 (count $argv))
        string match -q -- '--env=*' $argv[$at]; and set env (string replace -- --env= '' $argv[$at])
        test $argv[$at] = --env; and set -q argv[(math $at + 1)]; and set env $argv[(math $at + 1)]
    end
    set -l file $_slipway_table-$argv[1]-$env
    set -l made (path mtime -- $file 2>/dev/null; or echo 0)
    set -l fresh yes
    set -l sources $_slipway_project/*.y*ml $_slipway_envs/*.env $_slipway_settings
    for changed in (path mtime -- $sources)
        test $changed -gt $made; and set fresh no
    end
    if test $fresh = no
        __slipway_ask $argv[1] $env $file
    else if test (path mtime -R -- $file) -gt $_slipway_old
        command sh -c '"$1" completion fish --values "$2" --env "$3" >"$4.$$" 2>/dev/null && { echo "#"; cat "$4.$$"; } >"$4.$$.new" && mv -f "$4.$$.new" "$4"; rm -f "$4.$$"' \
            sh $_slipway_inv $argv[1] $env $file </dev/null &
        disown
    end
    test -s $file; and while read -l line
        string match -q -- '#*' $line; or echo $line
    end <$file
end

# Make a list of values again; the one that is there stays when that fails.
function __slipway_ask # kind, environment, file
    set -l list ($_slipway_inv completion fish --values $argv[1] --env $argv[2] 2>/dev/null </dev/null); or return
    printf '%s\n' "# "(command date +%s) $list >$argv[3].$fish_pid; and command mv -f $argv[3].$fish_pid $argv[3]
end

for name in inv ./inv invoke
    complete -c $name -e
    complete -c $name -f -a '(__slipway_complete)'
end
