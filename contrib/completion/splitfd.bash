# SPDX-License-Identifier: Apache-2.0
# bash's completion of splitfd: commands and options as `--help` lists them, and file names.

_splitfd() {
    local program=$1 current=$2 previous=$3 command='' help argument='' words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]} && break; }
    done
    help=$("$program" ${command:+"$command"} --help 2> /dev/null < /dev/null)
    [[ $previous != -* ]] || argument=$(sed -nE "s/^ .*$previous ([A-Z]+).*/\\1/p" <<< "$help")
    case $argument in
    '')
        if [ -z "$command" ]; then
            words="$(sed -nE 's/^  ([a-z][a-z-]*) .*/\1/p' <<< "$help") --help --version"
        elif [[ $current == -* ]]; then
            words=$(sed -nE 's/^ .*(--[a-z][a-z.-]*) .*/\1/p' <<< "$help")
        fi
        ;;
    WHEN) words='auto always never' ;;
    DIR) compopt -o dirnames 2> /dev/null ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _splitfd splitfd
