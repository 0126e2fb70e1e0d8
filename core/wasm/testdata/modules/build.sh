#!/bin/sh
# Assembles the modules of this folder.
set -eu
cd "$(dirname "$0")"
for source in *.wat; do
	wat2wasm "$source" -o "${source%.wat}.wasm"
done
