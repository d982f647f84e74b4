#!/usr/bin/env bash
# Writes requirements.lock, requirements-dev.lock and requirements-bench.lock anew from pyproject.toml.
# uv resolves once for every Python and platform we support; it lives in a scratch folder only.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check "uv>=0.13,<0.14"

# A lock must hold for everybody: nothing of this machine's index settings may shape it.
for name in $(env | sed -n 's/^\(UV_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

resolve() {
    "$scratch/venv/bin/uv" --no-config pip compile --quiet \
        --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

compile() {
    resolve pyproject.toml --extra postgres --group build "$@"
}

# LOCK_FLAGS=--upgrade moves every pin; without it only what pyproject.toml asks for moves.
# shellcheck disable=SC2086
compile ${LOCK_FLAGS:-} --output-file requirements.lock
# The development lock takes the runtime pins as given, so that one can be installed over the other.
# shellcheck disable=SC2086
compile ${LOCK_FLAGS:-} --group dev --constraints requirements.lock --output-file requirements-dev.lock
# What the benchmarks compare us with has an environment of its own, so it need not agree with our pins.
# shellcheck disable=SC2086
resolve ${LOCK_FLAGS:-} --group bench --output-file requirements-bench.lock
