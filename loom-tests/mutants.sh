#!/usr/bin/env bash
# Breaks the protocol in a copy of the tree, one mutant at a time, and checks that the model or test that is named for it fails.
#
#   loom-tests/mutants.sh            all of mutants.txt
#   loom-tests/mutants.sh p1 void    those whose id matches one of these patterns
#
# A line of mutants.txt is "id | file | old text | new text | file::test", with as many pairs of old and new text as it takes. An old text must occur once in the file; blanks, line breaks and
# a trailing comma do not count, so formatting breaks no mutant. The executions that are pinned are those of the sound protocol: they are ignored here. What is named `power` is the simulation of
# power losses, with more images than in CI.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$here/.." --exclude=./target --exclude=./.git -cf - . | tar -C "$work" -xf -
cd "$work" || exit 2

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$work/target}" RINGFILE_PIN=off RINGFILE_POWER_IMAGES="${RINGFILE_POWER_IMAGES:-10000}"
export RINGFILE_POWER_STATES=3000 RINGFILE_POWER_ENOUGH=1

# Runs what a mutant names, or builds it: a file of tests, and more arguments.
run() {
    local file=$1
    shift
    case $file in
    power) cargo test --quiet --profile checked --features fault --test "$file" "$@" ;;
    *) RUSTFLAGS="--cfg ringfile_loom" cargo test --quiet --package loom-tests --profile checked --test "$file" "$@" ;;
    esac
}
export -f run

# Replaces the one occurrence of $OLD in a file by $NEW.
replace() {
    perl -0777 -i -pe '
        my @tokens = $ENV{OLD} =~ /(\w+|[^\w\s])/g;
        my $old = join "\\s*", map { $_ eq ")" ? ",?\\s*\\)" : quotemeta } @tokens;
        my $count = () = /$old/g;
        die "the old text occurs $count times\n" if $count != 1;
        s/$old/$ENV{NEW}/;
    ' "$1"
}

# Makes the edits of a mutant: a file, and its pairs of old and new text.
mutate() {
    local file=$1
    shift
    while (($# > 0)); do
        OLD=$1 NEW=$2 replace "$file" || return 1
        shift 2
    done
}

# Whether an id matches one of the patterns, if there are any.
is_wanted() {
    local id=$1 pattern
    shift
    (($# == 0)) && return 0
    for pattern in "$@"; do
        [[ $id == *$pattern* ]] && return 0
    done
    return 1
}

survivors=0
broken=0
while IFS= read -r line; do
    [[ -z $line || $line == \#* ]] && continue
    IFS=$'\x1f' read -ra fields <<<"${line// | /$'\x1f'}"
    id=${fields[0]} file=${fields[1]} model=${fields[-1]}
    is_wanted "$id" "$@" || continue
    cp "$file" "$work/original"
    if ! mutate "$file" "${fields[@]:2:${#fields[@]}-3}"; then
        echo "$id: does not apply"
        broken=1
    elif ! run "${model%%::*}" --no-run >"$work/log" 2>&1; then
        echo "$id: does not compile"
        broken=1
    elif timeout 900 bash -c 'run "$@"' - "${model%%::*}" -- --exact "${model##*::}" >"$work/log" 2>&1; then
        echo "$id: SURVIVED $model"
        survivors=1
    elif ! grep -q "^running 1 test" "$work/log"; then
        echo "$id: there is no model $model"
        broken=1
    else
        echo "$id: killed by $model"
    fi
    cp "$work/original" "$file"
done <"$here/mutants.txt"
((survivors == 0 && broken == 0))
