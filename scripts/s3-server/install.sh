#!/usr/bin/env bash
# Installs the S3 server that the tests of backups run against into the target directory: moto, from PyPI, with the
# versions of requirements.txt, in an environment of its own. Does nothing where that is done already.
#
#   scripts/s3-server/install.sh [TARGET-DIRECTORY]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-${CARGO_TARGET_DIR:-$here/../../target}}
environment=$target/s3-server

if cmp -s "$here/requirements.txt" "$environment/installed.txt"; then
    exit 0
fi
if ! command -v python3 > /dev/null || ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo 'the S3 server of the tests needs Python 3.10 or newer: install python3 and python3-venv' >&2
    exit 1
fi
rm -rf "$environment"
mkdir -p "$target"
if ! python3 -m venv "$environment"; then
    echo 'the S3 server of the tests needs an environment of its own: install python3-venv' >&2
    exit 1
fi
if ! "$environment/bin/pip" install --quiet --no-deps --requirement "$here/requirements.txt"; then
    echo "the S3 server of the tests could not be installed from PyPI: see above, then run $0 again" >&2
    exit 1
fi
# Last, so that an installation that was cut off is begun anew.
cp "$here/requirements.txt" "$environment/installed.txt"
