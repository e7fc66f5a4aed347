#!/usr/bin/env bash
# Fetches what ci/check.sh compiles the app with, the android.jar of API 23 and the framework's resources of API 34, into ci/.tools.
# Debian has them in other suites than bookworm, so they are taken out of their packages without installing anything.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .tools
[ ! -e .tools/android.jar ] || [ ! -e .tools/framework-res.apk ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main" >"$work/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download libandroid-23-java android-framework-res)
for package in "$work"/*.deb; do
    dpkg -x "$package" "$work/packages"
done
cp "$work/packages/usr/share/java/com.android.android-23.jar" .tools/android.jar
cp "$work/packages/usr/share/android-framework-res/framework-res.apk" .tools/framework-res.apk
