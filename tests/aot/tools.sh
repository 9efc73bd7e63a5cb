# SPDX-License-Identifier: Apache-2.0
# What cross.sh and fat.sh share: a folder of their own, and tools without which they are skipped (77).
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

need() {
    for tool; do
        command -v "$tool" >/dev/null || { echo "skipped: no $tool (docs/testing.md)"; exit 77; }
    done
}
