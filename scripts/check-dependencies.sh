#!/usr/bin/env bash
# Proves the direction of dependencies that ARCHITECTURE.md draws: each crate names only those it may know.
# And that `cargo run` and `cargo test` build every dependency with the same features, hence once.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0

# may CRATE DEPENDENCY...: CRATE uses at most these crates of the project.
may() {
    local crate=$1 found
    shift
    while read -r found; do
        if [[ " $* " != *" $found "* ]]; then
            echo "$crate must not depend on $found" >&2
            failed=1
        fi
    done < <(project_dependencies "$crate")
}

project_dependencies() {
    cargo tree --package "$1" --edges normal --depth 1 --prefix none --format '{p}' --offline 2>/dev/null \
        | tail -n +2 | awk '$1 ~ /^tapebook/ { print $1 }' | sort -u
}

# only LIBRARY CRATE...: LIBRARY is named by these crates of the project alone.
only() {
    local library=$1 crate
    shift
    for crate in $all; do
        if [[ " $* " != *" $crate "* ]] && cargo tree --package "$crate" --edges normal --depth 1 --prefix none \
            --format '{p}' --offline | tail -n +2 | awk '{ print $1 }' | grep -qx "$library"; then
            echo "$crate must not name $library" >&2
            failed=1
        fi
    done
}

# never CRATE LIBRARY...: nothing that CRATE compiles is one of these.
never() {
    local crate=$1 library
    shift
    for library in "$@"; do
        if cargo tree --package "$crate" --edges normal --prefix none --format '{p}' --offline | awk '{ print $1 }' \
            | grep -qx "$library"; then
            echo "$crate must not compile $library" >&2
            failed=1
        fi
    done
}

# Every dependency with its features, as the options of `cargo tree` select and unify them.
dependencies_with_features() {
    cargo tree "$@" --prefix none --format '{p} {f}' --offline | sed 's/ (\*)$//' | sort -u
}

cargo fetch --quiet
all=$(cargo metadata --no-deps --format-version 1 --offline | grep -o '"name":"tapebook[a-z-]*","version"' \
    | cut -d'"' -f4 | sort -u)

may tapebook-record
may tapebook-vfs
may tapebook-wal tapebook-record tapebook-vfs
may tapebook-lsm tapebook-history tapebook-record tapebook-vfs
may tapebook-history tapebook-record tapebook-vfs
may tapebook tapebook-history tapebook-lsm tapebook-record tapebook-vfs tapebook-wal
may tapebook-query tapebook tapebook-history tapebook-record
may tapebook-objects tapebook tapebook-vfs
may tapebook-market tapebook-record
may tapebook-import tapebook-record
may tapebook-proto
may tapebook-client tapebook-proto tapebook-record
may tapebook-server tapebook tapebook-import tapebook-objects tapebook-proto tapebook-query tapebook-record tapebook-replication tapebook-vfs
may tapebook-replication tapebook tapebook-wal
may tapebook-sim tapebook tapebook-lsm tapebook-replication tapebook-vfs tapebook-wal
only datafusion tapebook-query
only openraft tapebook-replication
only axum tapebook-server
only prometheus-client tapebook-server
only object_store tapebook-objects
only rcgen tapebook-server
never tapebook tokio hyper reqwest object_store
never tapebook-client tapebook tapebook-wal tapebook-lsm arrow
only memmap2 tapebook-vfs
only rustix tapebook-vfs

twice=$(comm -23 <(dependencies_with_features --package tapebook-cli --edges normal) \
    <(dependencies_with_features --workspace --edges normal,dev))
if [[ -n $twice ]]; then
    printf 'the command builds these with fewer features than the tests do, so they and all above them are built twice:\n%s\n' \
        "$twice" >&2
    failed=1
fi

if [[ $failed -ne 0 ]]; then
    exit 1
fi
echo "dependencies point one way"
