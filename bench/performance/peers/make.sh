#!/usr/bin/env bash
# Environments of the peers: make.sh monai nnunet, or without names all of which there is a NAME.txt here.
# They lie in .peers/ beside the sources, or in $UNSEAM_PEERS. One that cannot be made is told and passed over.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=${UNSEAM_PEERS:-$here/../../../.peers}
[ $# -gt 0 ] || set -- $(cd "$here" && ls -- *.txt | sed 's/\.txt$//')
for name in "$@"; do
    [ -e "$peers/$name/.installed" ] && continue
    if "${PYTHON:-python3}" -m venv "$peers/$name" &&
        "$peers/$name/bin/python" -m pip install --quiet --requirement "$here/$name.txt"; then
        touch "$peers/$name/.installed"
    else
        echo "$name could not be installed; its rows will say so" >&2
    fi
done
