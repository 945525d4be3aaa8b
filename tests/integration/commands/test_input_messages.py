"""The first line of each error for wrong inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ID = "cm8d9gt6v000c9fe5glmyi33u"


class WrongInput(NamedTuple):
    """One environment variable, its error, and further variables that it needs."""

    name: str
    text: str
    line: str
    more: Mapping[str, str] = {}


# fmt: off
# ruff: noqa: E501 - the lines are as long as users see them
CASES = (
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'Checkout cm8d9gt6v000c9fe5glmyi33u' is not an id: it holds a space; write 'Checkout = cm8d9gt6v000c9fe5glmyi33u', or several ids on lines of their own"),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'Checkout: cm8d9gt6v000c9fe5glmyi33u' is not an id: it looks like YAML; write the id alone, or label = id"),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout #2 = cm8d9gt6v000c9fe5glmyi33u', 'Error: AUTONOMA_TEST_IDS: \'Checkout #2 = cm8d9gt6v000c9f…\': \' #\' starts a comment, which cuts off \'=\'; put the label in quotes ("Checkout #2" = ID), or the comment on its own line'),
    WrongInput('AUTONOMA_TEST_IDS', 'Pay, by card = cm8d9gt6v000c9fe5glmyi33u', 'Error: AUTONOMA_TEST_IDS: \'Pay, by card = cm8d9gt6v000c9…\': the comma separates entries before \'=\'; put the label in quotes ("Pay, fast" = ID), or each entry on its own line'),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u; g41k688vndxzt7kh4kq5m12s', "Error: AUTONOMA_TEST_IDS: 'cm8d9gt6v000c9fe5glmyi33u;' is not an id: it holds ';'; separate ids by commas or lines"),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u | g41k688vndxzt7kh4kq5m12s', "Error: AUTONOMA_TEST_IDS: 'cm8d9gt6v000c9fe5glmyi33u | g41k688vndxzt7kh4kq5m12s' is not an id: it holds a space; write 'label = id', or several ids on lines of their own"),
    WrongInput('AUTONOMA_TEST_IDS', 'id: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'id: cm8d9gt6v000c9fe5glmyi33u' is not an id: it looks like YAML; write the id alone, or label = id"),
    WrongInput('AUTONOMA_TEST_IDS', '- name: Checkout\n  id: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: line 1: 'name: Checkout' is not an id: it looks like YAML; write the id alone, or label = id"),
    WrongInput('AUTONOMA_TEST_IDS', '[cm8d9gt6v000c9fe5glmyi33u, g41k688vndxzt7kh4kq5m12s]', 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 2: write ["ID", "ID"] with double quotes, or the ids without brackets, one per line'),
    WrongInput('AUTONOMA_TEST_IDS', "['cm8d9gt6v000c9fe5glmyi33u']", 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 2: write ["ID", "ID"] with double quotes, or the ids without brackets, one per line'),
    WrongInput('AUTONOMA_TEST_IDS', '["cm8d9gt6v000c9fe5glmyi33u" "g41k688vndxzt7kh4kq5m12s"]', 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 30: write ["ID", "ID"] with double quotes, or the ids without brackets, one per line'),
    WrongInput('AUTONOMA_TEST_IDS', '["cm8d9gt6v000c9fe5glmyi33u", 12]', 'Error: AUTONOMA_TEST_IDS: member 2: a number is not an id: write each id as a text, such as ["ID", "ID"]'),
    WrongInput('AUTONOMA_TEST_IDS', '[null]', 'Error: AUTONOMA_TEST_IDS: member 1: null is not an id: write each id as a text, such as ["ID", "ID"]'),
    WrongInput('AUTONOMA_TEST_IDS', '[["a"]]', 'Error: AUTONOMA_TEST_IDS: member 1: an array is not an id: write each id as a text, such as ["ID", "ID"]'),
    WrongInput('AUTONOMA_TEST_IDS', '{"ids": []}', 'Error: AUTONOMA_TEST_IDS: a JSON object is not a list of ids: write a JSON array, such as ["ID", "ID"]'),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/folder/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'https://autonoma.app/folder/cm8d9gt6v000c9fe5glmyi33u' is the link of a folder: put it into folder-ids"),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/run/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'https://autonoma.app/run/cm8d9gt6v000c9fe5glmyi33u' is the link of a run: give the link or the id of its test, folder or tag"),
    WrongInput('AUTONOMA_TEST_IDS', 'https://example.com/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'https://example.com/test/cm8d9gt6v000c9fe5glmyi33u' is not a link of https://autonoma.app: give the id alone"),
    WrongInput('AUTONOMA_TEST_IDS', 'autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u' is not an id: write a link with its https://, or the id alone"),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/tests', "Error: AUTONOMA_TEST_IDS: 'https://autonoma.app/tests' is the link of another page: give a link with /test/ID, /folder/ID or /tag/ID"),
    WrongInput('AUTONOMA_TEST_IDS', '/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: '/test/cm8d9gt6v000c9fe5glmyi33u' is not an id: it holds /; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '${{ vars.TEST_IDS }}', "Error: AUTONOMA_TEST_IDS: '${{ vars.TEST_IDS }}' is not an id: a variable in it was not replaced; check how this CI system writes variables"),
    WrongInput('AUTONOMA_TEST_IDS', '$TEST_IDS', "Error: AUTONOMA_TEST_IDS: '$TEST_IDS' is not an id: a variable in it was not replaced; check how this CI system writes variables"),
    WrongInput('AUTONOMA_TEST_IDS', '${TEST_IDS}', "Error: AUTONOMA_TEST_IDS: '${TEST_IDS}' is not an id: a variable in it was not replaced; check how this CI system writes variables"),
    WrongInput('AUTONOMA_TEST_IDS', '%TEST_IDS%', "Error: AUTONOMA_TEST_IDS: '%TEST_IDS%' is not an id: a variable in it was not replaced; check how this CI system writes variables"),
    WrongInput('AUTONOMA_TEST_IDS', 'tests/checkout', "Error: AUTONOMA_TEST_IDS: 'tests/checkout' is not an id: it holds /; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', 'checkout*', "Error: AUTONOMA_TEST_IDS: 'checkout*' is not an id: it holds *; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout =', "Error: AUTONOMA_TEST_IDS: 'Checkout' has no id: write an id after '=', or remove the entry"),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout = ', "Error: AUTONOMA_TEST_IDS: 'Checkout' has no id: write an id after '=', or remove the entry"),
    WrongInput('AUTONOMA_TEST_IDS', 'é', "Error: AUTONOMA_TEST_IDS: 'é' is not an id: it holds é; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '#', 'Error: nothing to run: AUTONOMA_TEST_IDS has no ids. Add an id, or set allow-empty to true if that is meant'),
    WrongInput('AUTONOMA_TEST_IDS', '[]', 'Error: nothing to run: AUTONOMA_TEST_IDS has no ids. Add an id, or set allow-empty to true if that is meant'),
    WrongInput('AUTONOMA_TEST_IDS', '<id>', "Error: AUTONOMA_TEST_IDS: '<id>' is not an id: it holds < >; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '`cm8d9gt6v000c9fe5glmyi33u`', "Error: AUTONOMA_TEST_IDS: '`cm8d9gt6v000c9fe5glmyi33u`' is not an id: it holds `; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', 'test cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: 'test cm8d9gt6v000c9fe5glmyi33u' is not an id: it holds a space; write 'test = cm8d9gt6v000c9fe5glmyi33u', or several ids on lines of their own"),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u.', "Error: AUTONOMA_TEST_IDS: 'cm8d9gt6v000c9fe5glmyi33u.' is not an id: it holds .; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '(cm8d9gt6v000c9fe5glmyi33u)', "Error: AUTONOMA_TEST_IDS: '(cm8d9gt6v000c9fe5glmyi33u)' is not an id: it holds ( ); ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '|', "Error: AUTONOMA_TEST_IDS: '|' is not an id: it holds |; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '>-', "Error: AUTONOMA_TEST_IDS: '>-' is not an id: it holds >; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TEST_IDS', '$(TEST_IDS)', 'Error: AUTONOMA_TEST_IDS: an unresolved $(…), so the pipeline has no such variable: define it, empty if that is meant, or remove the option'),
    WrongInput('AUTONOMA_FOLDER_IDS', 'https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_FOLDER_IDS: 'https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u' is the link of a test: put it into test-ids"),
    WrongInput('AUTONOMA_TAG_IDS', '@smoke', "Error: AUTONOMA_TAG_IDS: '@smoke' is not an id: it holds @; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_TAG_IDS', '#smoke', 'Error: nothing to run: AUTONOMA_TAG_IDS has no ids. Add an id, or set allow-empty to true if that is meant'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME value', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'MY NAME=x', "Error: AUTONOMA_VARIABLES: line 1 has white space in the name before '=': write NAME=value, or a YAML or JSON mapping"),
    WrongInput('AUTONOMA_VARIABLES', '=x', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'export NAME', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME="x"', "Warning: AUTONOMA_VARIABLES: 'NAME' has quotes around its value, which are sent as written: remove them, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'export NAME=x', "Warning: AUTONOMA_VARIABLES: 'NAME' has 'export ' before its name, which was removed: write NAME=value, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', '- NAME=x', "Warning: AUTONOMA_VARIABLES: 'NAME' has '- ' before its name, which was removed: write NAME=value, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=x # y', "Warning: AUTONOMA_VARIABLES: 'NAME' has ' #' in its value, which is sent as written: remove the comment, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=$(X)', "Warning: AUTONOMA_VARIABLES: 'NAME' has an unresolved $(…) in its value, which is sent as written; check the variable's name in the pipeline, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=a\nNAME=b', "Error: AUTONOMA_VARIABLES: line 2: 'NAME' is given twice"),
    WrongInput('AUTONOMA_VARIABLES', 'set NAME=x', "Error: AUTONOMA_VARIABLES: line 1 has white space in the name before '=': write NAME=value, or a YAML or JSON mapping"),
    WrongInput('AUTONOMA_VARIABLES', '$env:NAME=x', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=a\nsecond line', 'Error: AUTONOMA_VARIABLES: line 2 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME := x', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', '[NAME=x]', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_VARIABLES', '--var NAME=x', 'Error: AUTONOMA_VARIABLES: line 1 is not NAME=value: give other names and values of several lines as a YAML or JSON mapping'),
    WrongInput('AUTONOMA_TIMEOUT', '90', "Error: AUTONOMA_TIMEOUT: '90' has no unit: write 90m for minutes or 90s for seconds", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10 min', "Error: AUTONOMA_TIMEOUT: '10 min' is not written as a duration: write 10m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '5 minutes', "Error: AUTONOMA_TIMEOUT: '5 minutes' is not written as a duration: write 5m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1.5h', "Error: AUTONOMA_TIMEOUT: '1.5h' is not written as a duration: write 1h30m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '00:10:00', "Error: AUTONOMA_TIMEOUT: '00:10:00' is not written as a duration: write 10m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10:00', "Error: AUTONOMA_TIMEOUT: '10:00' is not a duration: write a number and a unit, such as 90s, 30m, 2h or 1h30m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '-5m', "Error: AUTONOMA_TIMEOUT: '-5m' is negative: use 1s to 24h, such as 10m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1d', "Error: AUTONOMA_TIMEOUT: '1d' is not written as a duration: write 24h", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '0', "Error: AUTONOMA_TIMEOUT: '0' has no unit: use 1s to 24h", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '0s', "Error: AUTONOMA_TIMEOUT: '0s' is out of range: use 1s to 24h", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'forever', "Error: AUTONOMA_TIMEOUT: 'forever' is not a duration: write a number and a unit, such as 90s, 30m, 2h or 1h30m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'PT10M', "Error: AUTONOMA_TIMEOUT: 'PT10M' is not written as a duration: write 10m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1h30', "Error: AUTONOMA_TIMEOUT: '1h30' is not written as a duration: write 1h30m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '600000ms', "Error: AUTONOMA_TIMEOUT: '600000ms' is not written as a duration: write 10m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10m 30', "Error: AUTONOMA_TIMEOUT: '10m 30' is not written as a duration: write 10m30s", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'm10', "Error: AUTONOMA_TIMEOUT: 'm10' is not a duration: write a number and a unit, such as 90s, 30m, 2h or 1h30m", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10,5m', "Error: AUTONOMA_TIMEOUT: '10,5m' is not written as a duration: write 10m30s", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '25h', "Error: AUTONOMA_TIMEOUT: '25h' is out of range: use 1s to 24h", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_POLL_INTERVAL', '5', "Error: AUTONOMA_POLL_INTERVAL: '5' has no unit: write 5m for minutes or 5s for seconds", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_POLL_INTERVAL', 'automatic', "Error: AUTONOMA_POLL_INTERVAL: 'automatic' is not a duration: write a number and a unit, such as 90s, 30m, 2h or 1h30m, or auto", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_WAIT_FOR_URL_TIMEOUT', '60', "Error: AUTONOMA_WAIT_FOR_URL_TIMEOUT: '60' has no unit: write 60m for minutes or 60s for seconds", {'AUTONOMA_WAIT_FOR_URL': 'https://a.example'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30', "Error: AUTONOMA_EVIDENCE_LIMIT: '30' has no unit: write 30MB or 30KB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30M', "Error: AUTONOMA_EVIDENCE_LIMIT: '30M' is not written as a size: write 30MB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '1.5GB', "Error: AUTONOMA_EVIDENCE_LIMIT: '1.5GB' is not written as a size: write 1500MB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', 'unlimited', "Error: AUTONOMA_EVIDENCE_LIMIT: 'unlimited' is not a size: write a number and a unit, such as 500KB, 30MB or 1GB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30 MiB', "Error: AUTONOMA_EVIDENCE_LIMIT: '30 MiB' is not written as a size: write 30MB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '0', "Error: AUTONOMA_EVIDENCE_LIMIT: '0' has no unit: use 1KB to 100GB", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_WAIT', 'ture', "Error: AUTONOMA_WAIT: 'ture': use true or false"),
    WrongInput('AUTONOMA_WAIT', 'y', "Error: AUTONOMA_WAIT: 'y': use true or false"),
    WrongInput('AUTONOMA_WAIT', 'enabled', "Error: AUTONOMA_WAIT: 'enabled': use true or false"),
    WrongInput('AUTONOMA_WAIT', "'true'", "Error: AUTONOMA_WAIT: ''true'': use true or false"),
    WrongInput('AUTONOMA_WAIT', '${{ inputs.wait }}', "Error: AUTONOMA_WAIT: '${{ inputs.wait }}': use true or false"),
    WrongInput('AUTONOMA_WAIT', 'ja', "Error: AUTONOMA_WAIT: 'ja': use true or false"),
    WrongInput('AUTONOMA_SHARD', '2', "Error: AUTONOMA_SHARD: '2' is not a shard: write the number of this job and of all jobs, such as 2/5, or auto"),
    WrongInput('AUTONOMA_SHARD', '4/3', "Error: AUTONOMA_SHARD: '4/3': shard 4 does not exist, there are only 3: use 1/3 to 3/3"),
    WrongInput('AUTONOMA_SHARD', '0/3', "Error: AUTONOMA_SHARD: '0/3': shard 0 does not exist, shards are counted from 1: use 1/3 to 3/3"),
    WrongInput('AUTONOMA_SHARD', '2 of 5', "Error: AUTONOMA_SHARD: '2 of 5' is not a shard: write the number of this job and of all jobs, such as 2/5, or auto"),
    WrongInput('AUTONOMA_SHARD', '2/', "Error: AUTONOMA_SHARD: '2/' is not a shard: write the number of this job and of all jobs, such as 2/5, or auto"),
    WrongInput('AUTONOMA_SHARD', '1-3', "Error: AUTONOMA_SHARD: '1-3' is not a shard: write the number of this job and of all jobs, such as 2/5, or auto"),
    WrongInput('AUTONOMA_SHA', 'HEAD', "Error: AUTONOMA_SHA: 'HEAD' is not a full commit hash: give the output of git rev-parse HEAD"),
    WrongInput('AUTONOMA_SHA', 'c0ffee1', "Error: AUTONOMA_SHA: 'c0ffee1' is not a full commit hash: give the output of git rev-parse HEAD"),
    WrongInput('AUTONOMA_BRANCH', 'HEAD', "Error: AUTONOMA_BRANCH: 'HEAD' is not the name of a branch or tag, such as main"),
    WrongInput('AUTONOMA_BRANCH', 'refs/pull/12/merge', "Error: AUTONOMA_BRANCH: 'refs/pull/12/merge' is not the name of a branch or tag, such as main"),
    WrongInput('AUTONOMA_CHANGE', '#12', "Error: AUTONOMA_CHANGE: '#12' is not the number of a pull or merge request: give one such as 12, or leave it empty"),
    WrongInput('AUTONOMA_CHANGE', 'false', "Error: AUTONOMA_CHANGE: 'false' is not the number of a pull or merge request: give one such as 12, or leave it empty"),
    WrongInput('AUTONOMA_CHANGE', '012', "Error: AUTONOMA_CHANGE: '012' is not the number of a pull or merge request: give one such as 12, or leave it empty"),
    WrongInput('AUTONOMA_SHA', '0' * 40, f"Error: AUTONOMA_SHA: '{'0' * 40}' is not a full commit hash: give the output of git rev-parse HEAD"),
    WrongInput('AUTONOMA_BRANCH', '${BRANCH}', "Error: AUTONOMA_BRANCH: '${BRANCH}' is not the name of a branch or tag, such as main"),
    WrongInput('AUTONOMA_BRANCH', 'refs/heads/', "Error: AUTONOMA_BRANCH: 'refs/heads/' is not the name of a branch or tag, such as main"),
    WrongInput('AUTONOMA_BUILD_URL', 'https://ci.example.com/' + 'a' * 2000, 'Error: AUTONOMA_BUILD_URL: the URL is longer than 2,000 characters: give a shorter link to the build'),
    WrongInput('AUTONOMA_BUILD_URL', 'ci.example.com/builds/7', "Error: AUTONOMA_BUILD_URL: 'ci.example.com/builds/7' is not a URL like https://ci.example.com/builds/12"),
    WrongInput('AUTONOMA_BUILD_URL', 'https://user:pw@ci.example.com', 'Error: AUTONOMA_BUILD_URL: the URL holds credentials: remove them, as the URL is shown in logs and reports'),
    WrongInput('AUTONOMA_CONCURRENCY', 'eight', "Error: AUTONOMA_CONCURRENCY: 'eight': use a whole number from 1 to 64"),
    WrongInput('AUTONOMA_CONCURRENCY', '0', "Error: AUTONOMA_CONCURRENCY: '0': use a whole number from 1 to 64"),
    WrongInput('AUTONOMA_CONCURRENCY', '65', "Error: AUTONOMA_CONCURRENCY: '65': use a whole number from 1 to 64"),
    WrongInput('AUTONOMA_CONCURRENCY', '1.5', "Error: AUTONOMA_CONCURRENCY: '1.5': use a whole number from 1 to 64"),
    WrongInput('AUTONOMA_CONCURRENCY', '-1', "Error: AUTONOMA_CONCURRENCY: '-1': use a whole number from 1 to 64"),
    WrongInput('AUTONOMA_RETRIES', '11', "Error: AUTONOMA_RETRIES: '11': use a whole number from 0 to 10", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_RETRIES', '2', 'Warning: AUTONOMA_RETRIES has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_TIMEOUT', '5m', 'Warning: AUTONOMA_TIMEOUT has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_EVIDENCE', 'failed', 'Warning: AUTONOMA_EVIDENCE has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_EVIDENCE', 'fail', "Error: AUTONOMA_EVIDENCE: 'fail': use none, failed or all"),
    WrongInput('AUTONOMA_EVIDENCE', 'failed', 'Error: AUTONOMA_EVIDENCE needs a folder to write to: give results-dir too', {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_GROUPS', 'smoke', "Error: AUTONOMA_GROUPS: 'smoke' needs a manifest, and there is none: give manifest, or remove the group"),
    WrongInput('AUTONOMA_GROUPS', ' ,', "Error: AUTONOMA_GROUPS: no group is listed: write the names of groups, or none"),
    WrongInput('AUTONOMA_GROUPS', 'none, smoke', "Error: AUTONOMA_GROUPS: 'none' stands alone and selects nothing: remove it, or the other groups"),
    WrongInput('AUTONOMA_GROUPS', 'None', "Error: AUTONOMA_GROUPS: the manifest has no group 'None'; did you mean 'none'?"),
    WrongInput('AUTONOMA_ON_MISSING_CREDENTIALS', 'ignore', "Error: AUTONOMA_ON_MISSING_CREDENTIALS: 'ignore': use fail or skip"),
    WrongInput('AUTONOMA_PUBLISH', 'later', "Error: AUTONOMA_PUBLISH: 'later': use now or merge"),
    WrongInput('AUTONOMA_TEST_ID', 'cm8d9gt6v000c9fe5glmyi33u', 'Warning: unknown variable AUTONOMA_TEST_ID: did you mean AUTONOMA_TEST_IDS?'),
    WrongInput('AUTONOMA_DRY_RUNS', 'true', 'Warning: unknown variable AUTONOMA_DRY_RUNS: did you mean AUTONOMA_DRY_RUN?'),
    WrongInput('AUTONOMA_RUN_ON_LATEST', 'true', 'Notice: AUTONOMA_RUN_ON_LATEST has no effect: it is for folders and tags, and there are none.'),
    WrongInput('AUTONOMA_RUN_ON_LATEST', 'true', 'Error: AUTONOMA_APPLICATION_VERSIONS and AUTONOMA_RUN_ON_LATEST exclude each other: give one of them', {'AUTONOMA_APPLICATION_VERSIONS': '[{application-id: a, version-id: b}]', 'AUTONOMA_FOLDER_IDS': 'cm8d9gt6v000c9fe5glmyi33u'}),
    WrongInput('AUTONOMA_APPLICATION_VERSION_ID', '1.2.3', "Error: AUTONOMA_APPLICATION_VERSION_ID: '1.2.3' is not an id: it holds .; ids are letters, digits, - and _"),
    WrongInput('AUTONOMA_ALLOW_ENV', 'A=b', "Error: AUTONOMA_ALLOW_ENV: 'A=…' is not a variable's name or a pattern: write BASE_URL or PREVIEW_*"),)
# fmt: on


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.name} {case.text}"[:60].encode("unicode_escape").decode()
)
def test_wrong_input_has_expected_error(case: WrongInput, tmp_path: Path) -> None:
    """The first line names the error, the option as written, and the solution."""
    environ = {**CREDENTIALS, "AUTONOMA_TEST_IDS": ID, "AUTONOMA_DRY_RUN": "true", **case.more, case.name: case.text}
    if case.name in {"AUTONOMA_FOLDER_IDS", "AUTONOMA_TAG_IDS"}:
        del environ["AUTONOMA_TEST_IDS"]
    result = invoke(tmp_path, environ=environ)
    lines = [line for line in result.output.splitlines() if line.startswith(("Error: ", "Warning: ", "Notice: "))]
    assert lines[0] == case.line
    assert result.code == (2 if result.err else 0)


def test_wrong_inputs_are_numerous() -> None:
    """The table is a sample of all options that are not switches."""
    assert len(CASES) > 100


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("AUTONOMA_TEST_IDS", f"&#{'9' * 4_301} = {ID}", 2),
        ("AUTONOMA_API_URL", f"https://a.example/&#{'9' * 4_301}", 2),
        ("AUTONOMA_CLIENT_SECRET", f"&#{'9' * 4_301}", 0),
    ],
)
def test_long_character_reference_is_no_bug(option: str, value: str, code: int, tmp_path: Path) -> None:
    """Python refuses numbers of more than 4,300 digits, and redaction decodes HTML."""
    environ = {**CREDENTIALS, "AUTONOMA_TEST_IDS": ID, "AUTONOMA_DRY_RUN": "true", option: value}
    result = invoke(tmp_path, environ=environ)
    assert result.code == code, result.output
