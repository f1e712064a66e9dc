#!/usr/bin/env bash
# Runs the tests on every CPython that cryores supports and this machine has; says which it has not.
set -euo pipefail
cd "$(dirname "$0")/.."
for version in 3.8 3.10 3.11 3.12; do
    python=python$version
    # A pyenv shim may be there without its interpreter.
    "$python" -c "" 2>/dev/null || python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python 2>/dev/null | head -n 1 || true)
    if [ -z "$python" ]; then
        echo "python $version: not here, skipped"
        continue
    fi
    echo "python $version: $python"
    make test VENV=".venv-$version" PYTHON="$python"
done
