#!/usr/bin/env bash
# Runs every check and every test of Tapebook. It needs cargo with rustfmt and clippy, and Python 3.10 or newer with venv for
# the programs of others that read history files and serve S3, which it installs into the target directory.
#
# Tests over real market data read $TAPEBOOK_TEST_DATA (default ../shared/data). Where that is missing they say
# so and are left out; with TAPEBOOK_REQUIRE_TEST_DATA=1 they fail instead.
set -euo pipefail
cd "$(dirname "$0")"

step() {
    printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

step 'format'
cargo fmt --all --check

step 'dependency direction'
scripts/check-dependencies.sh

step 'lints'
cargo clippy --workspace --all-targets -- -D warnings

step 'documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet

step 'programs of others that tests run against'
scripts/install-tools.sh readers
scripts/install-tools.sh s3-server
scripts/install-tools.sh sql-clients

step 'tests'
cargo test --workspace

step 'every interleaving of what threads share without a lock'
RUSTFLAGS='--cfg loom' cargo test -p tapebook-lsm --lib --target-dir "${CARGO_TARGET_DIR:-target}/loom" -- loom_

step 'all passed'
