#!/usr/bin/env bash
# Checks the Android demo on a machine without Android's tools: compiles core and app, runs the unit tests, and runs the whole Kotlin
# pipeline on the JVM over the exported int8 model, whose picture must equal that of `c2m-tf upscale --model FILE.tflite`.
#
# Needs node with npm, a JDK from 11 on, and Debian's packages junit4 and libjna-java; for the app itself also aapt2, and what
# ci/get_android_jar.sh fetches or the android.jar of an SDK from API 31 on (ANDROID_JAR=...). What is missing is reported and left out.
#   PYTHON=.venv/python3/bin/python android_demo/ci/check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
JARS=${JARS:-/usr/share/java}
KOTLIN_VERSION=2.4.20
TOOLS=ci/.tools
BUILD=ci/.build

skip() {
    echo "android_demo: skipped: $1"
    exit 0
}

for tool in node npm java javac; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
for jar in junit4 hamcrest-core jna; do
    [ -e "$JARS/$jar.jar" ] || skip "$JARS/$jar.jar is missing; on Debian: apt-get install junit4 libjna-java"
done
case $PYTHON in /*) ;; *) PYTHON=$(cd .. && pwd)/$PYTHON ;; esac

if [ ! -e $TOOLS/node_modules/kotlin-compiler/bin/kotlinc ]; then
    npm install --silent --no-save --prefix $TOOLS "kotlin-compiler@$KOTLIN_VERSION" || skip "npm cannot fetch the Kotlin compiler"
fi
KOTLIN=$TOOLS/node_modules/kotlin-compiler
JUNIT=$JARS/junit4.jar:$JARS/hamcrest-core.jar

# The language level is that of the Kotlin in gradle/libs.versions.toml.
kotlinc() {
    bash $KOTLIN/bin/kotlinc -Werror -language-version 2.2 -api-version 2.2 -jvm-target 11 -no-reflect "$@"
}

rm -rf $BUILD
mkdir -p $BUILD
kotlinc -d $BUILD/core.jar core/src/main/kotlin
kotlinc -cp "$BUILD/core.jar:$JUNIT" -d $BUILD/tests.jar core/src/test/kotlin
tests=$(cd core/src/test/kotlin && grep -rhoE '^class [A-Za-z]+Test\b' . | sed 's/class /org.c2mtf.core./' | sort)
# shellcheck disable=SC2086
java -ea -cp "$BUILD/core.jar:$BUILD/tests.jar:core/src/test/resources:$KOTLIN/lib/kotlin-stdlib.jar:$JUNIT" \
    org.junit.runner.JUnitCore $tests
echo "android_demo: unit tests passed"

# Classes and resources of the framework: an SDK's android.jar has both.
android_jar=${ANDROID_JAR:-$TOOLS/android.jar}
framework=${ANDROID_JAR:-$TOOLS/framework-res.apk}
if command -v aapt2 >/dev/null && [ -e "$framework" ] && [ -e "$android_jar" ]; then
    # The Gradle plugin puts the package there; aapt2 alone wants it in the file.
    sed 's#<manifest #<manifest package="org.c2mtf.demo" #' app/src/main/AndroidManifest.xml >$BUILD/AndroidManifest.xml
    aapt2 compile --dir app/src/main/res -o $BUILD/resources.zip
    aapt2 link -I "$framework" --manifest $BUILD/AndroidManifest.xml --java $BUILD/generated -o $BUILD/resources.apk \
        --min-sdk-version 24 --target-sdk-version 36 $BUILD/resources.zip
    mkdir $BUILD/stubs
    javac -nowarn -Xlint:-options --release 8 -d $BUILD/stubs ci/stubs/android/media/ExifInterface.java \
        $BUILD/generated/org/c2mtf/demo/R.java
    kotlinc -cp "$android_jar" -d $BUILD/litert.jar ci/stubs/LiteRt.kt
    kotlinc -no-jdk -cp "$BUILD/stubs:$BUILD/litert.jar:$BUILD/core.jar:$android_jar" -d $BUILD/app.jar app/src/main/kotlin
    echo "android_demo: the app compiles against $android_jar"
else
    echo "android_demo: the app was not compiled: aapt2 is missing, or an android.jar: run ci/get_android_jar.sh"
fi

library=$("$PYTHON" -c 'import importlib.util, pathlib
found = importlib.util.find_spec("ai_edge_litert")
library = found and pathlib.Path(found.origin).with_name("libLiteRt.so")
print(library if library and library.exists() else "")')
[ -n "$library" ] || skip "ai_edge_litert is not installed, so the pipeline was not run over the model"
kotlinc -cp "$BUILD/core.jar:$JARS/jna.jar" -d $BUILD/jvm.jar ci/jvm
(cd .. && PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=3 "$PYTHON" android_demo/ci/same_picture.py "$library" \
    "android_demo/$BUILD/core.jar:android_demo/$BUILD/jvm.jar:android_demo/$KOTLIN/lib/kotlin-stdlib.jar:$JARS/jna.jar" \
    "android_demo/$BUILD")
