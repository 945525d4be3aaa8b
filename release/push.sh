#!/usr/bin/env bash
# Pushes tags with the release key: release/push.sh [OPTION...] REFSPEC...
#
# A ruleset allows only this deploy key to push tags that begin with v. The workflow's token cannot push a tag whose
# workflows differ from those of each branch. The major tag of an older release is such a tag.
set -euo pipefail
umask 077 # ssh rejects a key that others can read

key=$RUNNER_TEMP/release-key hosts=$RUNNER_TEMP/known-hosts
trap 'rm -f "$key"' EXIT
printf '%s\n' "$RELEASE_KEY" >"$key"
gh api meta --jq '.ssh_keys[] | "github.com " + .' >"$hosts"
options=(-F /dev/null -i "$key" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes
  -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$hosts" -o GlobalKnownHostsFile=/dev/null)
GIT_SSH_COMMAND="ssh $(printf '%q ' "${options[@]}")" git push "git@github.com:$GITHUB_REPOSITORY.git" "$@"
