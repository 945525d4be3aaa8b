#!/usr/bin/env bash
# Pushes tags as the one deploy key that may: release/push.sh [OPTION...] REFSPEC...
#
# A ruleset keeps everybody else from tags that begin with v, the workflow's own token too; and that token may not push a
# tag whose workflows differ from those of a branch, as a tag has that moves on from an older release.
set -euo pipefail
umask 077 # ssh takes no key that others can read

key=$RUNNER_TEMP/release-key hosts=$RUNNER_TEMP/known-hosts
trap 'rm -f "$key"' EXIT
printf '%s\n' "$RELEASE_KEY" >"$key"
gh api meta --jq '.ssh_keys[] | "github.com " + .' >"$hosts"
options=(-F /dev/null -i "$key" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes
  -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$hosts" -o GlobalKnownHostsFile=/dev/null)
GIT_SSH_COMMAND="ssh $(printf '%q ' "${options[@]}")" git push "git@github.com:$GITHUB_REPOSITORY.git" "$@"
