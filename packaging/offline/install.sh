#!/bin/sh
# Cài Liên Thông không cần mạng. · Installs Liên Thông without a network.
#
#   ./install.sh [FOLDER]      FOLDER: /opt/lienthong unless given
#   PYTHON=python3.12 ./install.sh
#
# Needs: the Python that the archive was made for (see PYTHON_VERSION), with its venv.
# Running it again, or with the archive of a newer version, updates the installation.
set -eu

target="${1:-/opt/lienthong}"
cd "$(dirname "$0")"
wanted="$(cat PYTHON_VERSION)"
python="${PYTHON:-}"
if [ -z "$python" ]; then
    for candidate in "python$wanted" python3; do
        if command -v "$candidate" >/dev/null 2>&1; then python="$candidate"; break; fi
    done
fi
found="$("${python:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)"
if [ "$found" != "$wanted" ]; then
    echo "Cần Python $wanted, tìm thấy: $found. · Python $wanted is needed, found: $found." >&2
    exit 2
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "Thiếu venv của Python. · Python's venv is missing: python3-venv" >&2
    exit 2
fi

echo "Kiểm tra tệp. · Checking the files."
sha256sum --check --quiet SHA256SUMS

echo "Cài vào $target. · Installing into $target."
"$python" -m venv "$target"
# Only the files beside this script count, whatever pip is set up to use on this machine.
unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL
export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1
pip="$target/bin/python -m pip install --quiet --no-index --no-deps --find-links wheels"
$pip --require-hashes --requirement requirements.txt
$pip --force-reinstall wheels/lienthong-*.whl
"$target/bin/python" -m pip check

echo "Xong. · Done: $target/bin/lienthong"
