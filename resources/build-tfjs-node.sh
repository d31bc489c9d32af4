#!/bin/sh
# Builds the native addon of the tensorflow backend against the library in PyPI's tensorflow-cpu wheel, for machines
# where the addon's own installer ("npm run setup:cuda") cannot download, or that have no NVIDIA GPU. Never run at
# install.
#
#   sh resources/build-tfjs-node.sh FOLDER
#
# Afterwards RETORT_TFJS_ADDON=FOLDER/tfjs_binding.node makes Retort use it. Needs on PATH: node with its headers
# (NODE_INCLUDE names their folder where they are elsewhere), g++, python3 with pip, unzip; about 1.5 GB of disk.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

missing=
for tool in node g++ python3 unzip; do
  command -v "$tool" > /dev/null || { echo "missing: $tool" >&2; missing=1; }
done
python3 -m pip --version > /dev/null 2>&1 || { echo "missing: pip for python3" >&2; missing=1; }

include=${NODE_INCLUDE:-}
for candidate in "$(dirname "$(command -v node || echo /)")/../include/node" /usr/include/node; do
  [ -n "$include" ] || [ ! -f "$candidate/node_api.h" ] || include=$candidate
done
[ -f "$include/node_api.h" ] || {
  echo "missing: node_api.h of Node's headers (Debian: libnode-dev; or set NODE_INCLUDE)" >&2
  missing=1
}

package=
for name in tfjs-node-gpu tfjs-node; do
  [ -n "$package" ] || [ ! -d "$root/node_modules/@tensorflow/$name/binding" ] ||
    package=$root/node_modules/@tensorflow/$name
done
[ -n "$package" ] || { echo "missing: @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node; npm install it" >&2; missing=1; }
[ -z "$missing" ] || exit 1

# Later wheels keep the C API in libtensorflow_cc; 2.15 is the last whose headers suit the addon's sources.
version=2.15.1
if [ ! -f "$folder/lib/libtensorflow_cc.so.2" ]; then
  python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 \
    --platform manylinux2014_x86_64 --dest "$folder" "tensorflow-cpu==$version"
  unzip -q -o -d "$folder/wheel" "$folder"/tensorflow_cpu-"$version"-*.whl \
    'tensorflow/include/*' 'tensorflow/libtensorflow_*' 
  mkdir -p "$folder/lib"
  mv "$folder"/wheel/tensorflow/libtensorflow_cc.so.2 "$folder"/wheel/tensorflow/libtensorflow_framework.so.2 "$folder/lib"
  rm -f "$folder"/tensorflow_cpu-*.whl
fi

# The wheel's libraries find each other beside themselves; the addon finds them in lib/ beside itself.
g++ -std=c++17 -O2 -shared -fPIC -DNAPI_VERSION=8 -w \
  -I"$include" -I"$folder/wheel/tensorflow/include" -I"$package/binding" \
  "$package/binding/tfjs_backend.cc" "$package/binding/tfjs_binding.cc" \
  -L"$folder/lib" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 \
  -Wl,-rpath,'$ORIGIN/lib' -o "$folder/tfjs_binding.node"
echo "built: RETORT_TFJS_ADDON=$folder/tfjs_binding.node"
