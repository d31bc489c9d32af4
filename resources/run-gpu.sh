#!/bin/sh
# Unpacks what `npm run pack:gpu` has laid beside this script and runs check:gpu. Needs xz or python3, and the GPU's own
# driver; no Node, no network. Arguments go to the check; $OUT, where it is set, gets gpu.json.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
at=$(mktemp -d)
trap 'rm -rf "$at"' EXIT

unpack() {
  if command -v xz >/dev/null; then xz -dc "$1" >"$2"; else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"), 1 << 20)' "$1" "$2"
  fi
}
cp -R "$here/check" "$at/check"
native=$at/check/node_modules/onnxruntime-node/bin/napi-v6/linux/x64
unpack "$here/libonnxruntime.so.1.xz" "$native/libonnxruntime.so.1" &
other=$!
unpack "$here/node.xz" "$at/node"
wait "$other"
chmod +x "$at/node"

libraries=${LD_LIBRARY_PATH-}
add() { libraries=${libraries:+$libraries:}$1; }
has() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q "$1"; }

# Where a machine lent for its GPU keeps the driver, which nothing may point at.
own=/usr/local/nvidia
if [ -d $own/lib64 ] && ! has libGLX_nvidia.so.0; then add $own/lib64; fi
if [ -z "${VK_DRIVER_FILES-}${VK_ICD_FILENAMES-}" ] && [ -f $own/share/vulkan/icd.d/nvidia_icd.json ]; then
  export VK_DRIVER_FILES=$own/share/vulkan/icd.d/nvidia_icd.json
fi
if ! has libvulkan.so.1 && [ -d "$here/lib/libvulkan1" ]; then add "$here/lib/libvulkan1"; fi
# The driver opens these by name when it is asked for a device, so that ldd does not miss them.
if [ -d "$here/lib/others" ] && ! has libEGL.so.1; then add "$here/lib/others"; fi
[ -z "$libraries" ] || export LD_LIBRARY_PATH="$libraries"
echo "Vulkan: drivers ${VK_DRIVER_FILES-${VK_ICD_FILENAMES-by the system}}, libraries ${libraries:-of the system}"
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv,noheader || true
fi

"$at/node" "$at/check/check.mjs" "$@"
