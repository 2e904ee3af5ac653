#!/bin/sh
# Runs every fuzz target for so many seconds, one after the other; see README.md.
#
#   fuzz/run.sh SECONDS [TARGET...]
set -eu

seconds=${1:?usage: run.sh SECONDS [TARGET...]}
shift
cd "$(dirname "$0")"

# Sanitizers and coverage are flags that a stable compiler only takes when it is told to.
export RUSTC_BOOTSTRAP=1
# The search for leaks needs ptrace, which containers often forbid; then it hangs.
export ASAN_OPTIONS=detect_leaks=0

if [ $# -eq 0 ]; then
    set -- batch table history import_csv manifest state log_frame log_segment_header log_segment_footer log_mark retraction archive backup
fi

cargo run --quiet --example seeds
failed=
for target; do
    features=
    dictionary=
    case $target in
    import_csv) features="--features import" ;;
    history) features="--features history" ;;
    esac
    if [ -f "dictionaries/$target.dict" ]; then
        dictionary="-dict=dictionaries/$target.dict"
    fi
    echo "== $target"
    # Nothing that is read may need much more memory than it is long; 5 seconds for one input are a finding.
    # shellcheck disable=SC2086
    cargo fuzz run --fuzz-dir . $features "$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=5 \
        -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 $dictionary || failed="$failed $target"
done
if [ -n "$failed" ]; then
    echo "findings in:$failed" >&2
    exit 1
fi
