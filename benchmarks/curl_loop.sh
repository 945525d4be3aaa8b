#!/usr/bin/env bash
# What shell steps do that start tests: curl and jq for each test, one test after the other.
set -euo pipefail

IFS=, read -ra ids <<<"$AUTONOMA_TEST_IDS"
for id in "${ids[@]}"; do
  answer=$(curl --silent --show-error --fail --request POST \
    --header "autonoma-client-id: $AUTONOMA_CLIENT_ID" \
    --header "autonoma-client-secret: $AUTONOMA_CLIENT_SECRET" \
    --header "Content-Type: application/json" \
    --data "{\"id\": \"$id\", \"source\": \"cli\"}" \
    "$AUTONOMA_API_URL/test/$id/run")
  jq --exit-status --raw-output '.run_id + " " + .url' <<<"$answer"
done
