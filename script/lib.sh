# Read by the scripts beside it: where we are, which Node we use, and how we speak.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
mkdir -p .cache

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

node_major() { "$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

# Puts Node 24 first in PATH: the machine's own when it is new enough, else the checkout's. 1: there is none yet.
use_node() {
  local major
  major=$(node_major node || true)
  if [ "${major:-0}" -ge 24 ]; then return 0; fi
  local bin
  for bin in "$ROOT"/.toolchain/node_modules/node-*/bin; do
    if [ "$(node_major "$bin/node" || true)" = 24 ]; then
      export PATH="$bin:$PATH"
      return 0
    fi
  done
  return 1
}

# Runs all set-up that PURPOSE (demo, test, check or bench) needs, then makes Node and the installed tools reachable.
bootstrap() {
  "$ROOT/script/bootstrap" "$1"
  use_node || fail "no Node.js 24 after script/bootstrap"
  export PATH="$ROOT/node_modules/.bin:$PATH"
}

# Bundles the programs into dist/ when a source is newer than the last bundle.
build_programs() {
  if [ -e dist/.built ] && [ -z "$(find src sdk package-lock.json script/build.ts -not -path 'sdk/dist*' -newer dist/.built -print -quit)" ]; then return 0; fi
  node script/build.ts >&2
  touch dist/.built
}
