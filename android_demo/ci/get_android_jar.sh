#!/usr/bin/env bash
# Fetches the android.jar of API 23 for ci/check.sh: Debian has it in other suites than bookworm, so it is taken out of its package
# without installing anything.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .tools
[ ! -e .tools/android.jar ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main" >"$work/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download libandroid-23-java)
dpkg -x "$work"/libandroid-23-java_*.deb "$work/package"
cp "$work/package/usr/share/java/com.android.android-23.jar" .tools/android.jar
