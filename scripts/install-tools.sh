#!/usr/bin/env bash
# Installs programs of others that tests run against into the target directory: those of scripts/NAME/requirements.txt, from
# PyPI, in an environment of their own. Does nothing where that is done already.
#
#   scripts/install-tools.sh NAME [TARGET-DIRECTORY]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
name=$1
requirements=$root/scripts/$name/requirements.txt
target=${2:-${CARGO_TARGET_DIR:-$root/target}}
environment=$target/$name

if cmp -s "$requirements" "$environment/installed.txt"; then
    exit 0
fi
if ! command -v python3 > /dev/null || ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "the tests need Python 3.10 or newer for $name: install python3 and python3-venv" >&2
    exit 1
fi
rm -rf "$environment"
mkdir -p "$target"
if ! python3 -m venv "$environment"; then
    echo "the tests need an environment of its own for $name: install python3-venv" >&2
    exit 1
fi
if ! "$environment/bin/pip" install --quiet --no-deps --requirement "$requirements"; then
    echo "$name could not be installed from PyPI: see above, then run $0 $name again" >&2
    exit 1
fi
# Last, so that an installation that was cut off is begun anew.
cp "$requirements" "$environment/installed.txt"
