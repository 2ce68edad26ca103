#!/usr/bin/env bash
# Makes the Python of the peer tests: a virtual environment with the other programs, from PyPI. About five minutes and
# 8 GB; llama-cpp-python is compiled where PyPI has no wheel of it, which needs a C++ compiler and CMake.
#   tests/peers/install.sh [FOLDER]         # default: .peer
#   export ANNEAL_PEER_PYTHON=$PWD/.peer/bin/python
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../.peer}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --requirement "$here/requirements.txt"
echo "export ANNEAL_PEER_PYTHON=$(cd "$folder" && pwd)/bin/python"
