#!/usr/bin/env bash
# Runs inside the image: the sandbox on PORT, and beside it autonoma-ci with the job's own environment.
# The sandbox listens on loopback only, and that of a container is its own, so both run in the same one.
#   bash with-sandbox.sh [PORT]
set -euo pipefail
port=${1:-8790}
autonoma-ci sandbox --port "$port" &
sandbox=$!
trap 'kill "$sandbox"' EXIT
for _ in {1..100}; do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done
autonoma-ci run
