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
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: 'Checkout cm8d9gt6v000c9fe5glmyi33u'. Spaces are not allowed. Write 'Checkout = cm8d9gt6v000c9fe5glmyi33u', or each id on its own line."),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: 'Checkout: cm8d9gt6v000c9fe5glmyi33u'. Write the id alone, or label = id, instead of YAML."),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout #2 = cm8d9gt6v000c9fe5glmyi33u', 'Error: AUTONOMA_TEST_IDS: \'Checkout #2 = cm8d9gt6v000c9f…\': the comment after \' #\' contains \'=\'. Put the label in quotes ("Checkout #2" = ID), or the comment on its own line.'),
    WrongInput('AUTONOMA_TEST_IDS', 'Pay, by card = cm8d9gt6v000c9fe5glmyi33u', 'Error: AUTONOMA_TEST_IDS: \'Pay, by card = cm8d9gt6v000c9…\': the comma before \'=\' separates two entries. Put the label in quotes ("Pay, fast" = ID), or each entry on its own line.'),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u; g41k688vndxzt7kh4kq5m12s', "Error: AUTONOMA_TEST_IDS: invalid id: 'cm8d9gt6v000c9fe5glmyi33u;'. Separate ids by commas or line breaks, instead of ';'."),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u | g41k688vndxzt7kh4kq5m12s', "Error: AUTONOMA_TEST_IDS: invalid id: 'cm8d9gt6v000c9fe5glmyi33u | g41k688vndxzt7kh4kq5m12s'. Spaces are not allowed. Write 'label = id', or each id on its own line."),
    WrongInput('AUTONOMA_TEST_IDS', 'id: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: 'id: cm8d9gt6v000c9fe5glmyi33u'. Write the id alone, or label = id, instead of YAML."),
    WrongInput('AUTONOMA_TEST_IDS', '- name: Checkout\n  id: cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: line 1: invalid id: 'name: Checkout'. Write the id alone, or label = id, instead of YAML."),
    WrongInput('AUTONOMA_TEST_IDS', '[cm8d9gt6v000c9fe5glmyi33u, g41k688vndxzt7kh4kq5m12s]', 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 2. Write ["ID", "ID"] with double quotes, or the ids without brackets, one per line.'),
    WrongInput('AUTONOMA_TEST_IDS', "['cm8d9gt6v000c9fe5glmyi33u']", 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 2. Write ["ID", "ID"] with double quotes, or the ids without brackets, one per line.'),
    WrongInput('AUTONOMA_TEST_IDS', '["cm8d9gt6v000c9fe5glmyi33u" "g41k688vndxzt7kh4kq5m12s"]', 'Error: AUTONOMA_TEST_IDS: invalid JSON array at line 1, column 30. Write ["ID", "ID"] with double quotes, or the ids without brackets, one per line.'),
    WrongInput('AUTONOMA_TEST_IDS', '["cm8d9gt6v000c9fe5glmyi33u", 12]', 'Error: AUTONOMA_TEST_IDS: member 2: invalid id: a number. Write each id as a string, such as ["ID", "ID"].'),
    WrongInput('AUTONOMA_TEST_IDS', '[null]', 'Error: AUTONOMA_TEST_IDS: member 1: invalid id: null. Write each id as a string, such as ["ID", "ID"].'),
    WrongInput('AUTONOMA_TEST_IDS', '[["a"]]', 'Error: AUTONOMA_TEST_IDS: member 1: invalid id: an array. Write each id as a string, such as ["ID", "ID"].'),
    WrongInput('AUTONOMA_TEST_IDS', '{"ids": []}', 'Error: AUTONOMA_TEST_IDS: invalid list: a JSON object. Write a JSON array, such as ["ID", "ID"].'),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/folder/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: link of a folder: 'https://autonoma.app/folder/cm8d9gt6v000c9fe5glmyi33u'. Put it into folder-ids."),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/run/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: link of a run: 'https://autonoma.app/run/cm8d9gt6v000c9fe5glmyi33u'. Write the link or the id of its test, folder or tag."),
    WrongInput('AUTONOMA_TEST_IDS', 'https://example.com/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: link of another site: 'https://example.com/test/cm8d9gt6v000c9fe5glmyi33u'. Write the id alone, or a link of https://autonoma.app."),
    WrongInput('AUTONOMA_TEST_IDS', 'autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: 'autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u'. Write a link with https://, or the id alone."),
    WrongInput('AUTONOMA_TEST_IDS', 'https://autonoma.app/tests', "Error: AUTONOMA_TEST_IDS: link of another page: 'https://autonoma.app/tests'. Write a link with /test/ID, /folder/ID or /tag/ID."),
    WrongInput('AUTONOMA_TEST_IDS', '/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: '/test/cm8d9gt6v000c9fe5glmyi33u' contains '/'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '${{ vars.TEST_IDS }}', "Error: AUTONOMA_TEST_IDS: invalid id: '${{ vars.TEST_IDS }}'. A variable was not replaced. Check how this CI system writes variables."),
    WrongInput('AUTONOMA_TEST_IDS', '$TEST_IDS', "Error: AUTONOMA_TEST_IDS: invalid id: '$TEST_IDS'. A variable was not replaced. Check how this CI system writes variables."),
    WrongInput('AUTONOMA_TEST_IDS', '${TEST_IDS}', "Error: AUTONOMA_TEST_IDS: invalid id: '${TEST_IDS}'. A variable was not replaced. Check how this CI system writes variables."),
    WrongInput('AUTONOMA_TEST_IDS', '%TEST_IDS%', "Error: AUTONOMA_TEST_IDS: invalid id: '%TEST_IDS%'. A variable was not replaced. Check how this CI system writes variables."),
    WrongInput('AUTONOMA_TEST_IDS', 'tests/checkout', "Error: AUTONOMA_TEST_IDS: invalid id: 'tests/checkout' contains '/'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', 'checkout*', "Error: AUTONOMA_TEST_IDS: invalid id: 'checkout*' contains '*'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout =', "Error: AUTONOMA_TEST_IDS: missing id: 'Checkout'. Write an id after '=', or remove the entry."),
    WrongInput('AUTONOMA_TEST_IDS', 'Checkout = ', "Error: AUTONOMA_TEST_IDS: missing id: 'Checkout'. Write an id after '=', or remove the entry."),
    WrongInput('AUTONOMA_TEST_IDS', 'é', "Error: AUTONOMA_TEST_IDS: invalid id: 'é' contains 'é'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '#', 'Error: Nothing to run: AUTONOMA_TEST_IDS has no ids. Add an id, or set allow-empty to true.'),
    WrongInput('AUTONOMA_TEST_IDS', '[]', 'Error: Nothing to run: AUTONOMA_TEST_IDS has no ids. Add an id, or set allow-empty to true.'),
    WrongInput('AUTONOMA_TEST_IDS', '<id>', "Error: AUTONOMA_TEST_IDS: invalid id: '<id>' contains '<' '>'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '`cm8d9gt6v000c9fe5glmyi33u`', "Error: AUTONOMA_TEST_IDS: invalid id: '`cm8d9gt6v000c9fe5glmyi33u`' contains '`'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', 'test cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_TEST_IDS: invalid id: 'test cm8d9gt6v000c9fe5glmyi33u'. Spaces are not allowed. Write 'test = cm8d9gt6v000c9fe5glmyi33u', or each id on its own line."),
    WrongInput('AUTONOMA_TEST_IDS', 'cm8d9gt6v000c9fe5glmyi33u.', "Error: AUTONOMA_TEST_IDS: invalid id: 'cm8d9gt6v000c9fe5glmyi33u.' contains '.'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '(cm8d9gt6v000c9fe5glmyi33u)', "Error: AUTONOMA_TEST_IDS: invalid id: '(cm8d9gt6v000c9fe5glmyi33u)' contains '(' ')'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '|', "Error: AUTONOMA_TEST_IDS: invalid id: '|' contains '|'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '>-', "Error: AUTONOMA_TEST_IDS: invalid id: '>-' contains '>'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TEST_IDS', '$(TEST_IDS)', 'Error: AUTONOMA_TEST_IDS: unresolved $(…). Define the variable in the pipeline, with an empty value if intended, or remove the option.'),
    WrongInput('AUTONOMA_FOLDER_IDS', 'https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u', "Error: AUTONOMA_FOLDER_IDS: link of a test: 'https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u'. Put it into test-ids."),
    WrongInput('AUTONOMA_TAG_IDS', '@smoke', "Error: AUTONOMA_TAG_IDS: invalid id: '@smoke' contains '@'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_TAG_IDS', '#smoke', 'Error: Nothing to run: AUTONOMA_TAG_IDS has no ids. Add an id, or set allow-empty to true.'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME value', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'MY NAME=x', "Error: AUTONOMA_VARIABLES: line 1: white space in the name before '='. Write NAME=value, or a YAML or JSON mapping."),
    WrongInput('AUTONOMA_VARIABLES', '=x', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'export NAME', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME="x"', "Warning: AUTONOMA_VARIABLES: 'NAME' has quotes around its value, which are sent as written. Remove them, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'export NAME=x', "Warning: AUTONOMA_VARIABLES: 'NAME' has 'export ' before its name, which was removed. Write NAME=value, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', '- NAME=x', "Warning: AUTONOMA_VARIABLES: 'NAME' has '- ' before its name, which was removed. Write NAME=value, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=x # y', "Warning: AUTONOMA_VARIABLES: 'NAME' has ' #' in its value, which is sent as written. Remove the comment, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=$(X)', "Warning: AUTONOMA_VARIABLES: 'NAME' has an unresolved $(…) in its value, which is sent as written. Check the variable's name in the pipeline, or use the mapping form `NAME: …`."),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=a\nNAME=b', "Error: AUTONOMA_VARIABLES: line 2: 'NAME' is set twice. Remove one."),
    WrongInput('AUTONOMA_VARIABLES', 'set NAME=x', "Error: AUTONOMA_VARIABLES: line 1: white space in the name before '='. Write NAME=value, or a YAML or JSON mapping."),
    WrongInput('AUTONOMA_VARIABLES', '$env:NAME=x', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME=a\nsecond line', 'Error: AUTONOMA_VARIABLES: line 2: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', 'NAME := x', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', '[NAME=x]', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_VARIABLES', '--var NAME=x', 'Error: AUTONOMA_VARIABLES: line 1: expected NAME=value. For special names or several lines, use a YAML or JSON mapping.'),
    WrongInput('AUTONOMA_TIMEOUT', '90', "Error: AUTONOMA_TIMEOUT: missing unit: '90'. Write 90m for minutes or 90s for seconds.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10 min', "Error: AUTONOMA_TIMEOUT: invalid notation: '10 min'. Write 10m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '5 minutes', "Error: AUTONOMA_TIMEOUT: invalid notation: '5 minutes'. Write 5m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1.5h', "Error: AUTONOMA_TIMEOUT: invalid notation: '1.5h'. Write 1h30m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '00:10:00', "Error: AUTONOMA_TIMEOUT: invalid notation: '00:10:00'. Write 10m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10:00', "Error: AUTONOMA_TIMEOUT: invalid duration: '10:00'. Write a number and a unit, such as 90s, 30m, 2h or 1h30m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '-5m', "Error: AUTONOMA_TIMEOUT: negative duration: '-5m'. Use 1s to 24h, such as 10m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1d', "Error: AUTONOMA_TIMEOUT: invalid notation: '1d'. Write 24h.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '0', "Error: AUTONOMA_TIMEOUT: missing unit: '0'. Use 1s to 24h.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '0s', "Error: AUTONOMA_TIMEOUT: out of range: '0s'. Use 1s to 24h.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'forever', "Error: AUTONOMA_TIMEOUT: invalid duration: 'forever'. Write a number and a unit, such as 90s, 30m, 2h or 1h30m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'PT10M', "Error: AUTONOMA_TIMEOUT: invalid notation: 'PT10M'. Write 10m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '1h30', "Error: AUTONOMA_TIMEOUT: invalid notation: '1h30'. Write 1h30m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '600000ms', "Error: AUTONOMA_TIMEOUT: invalid notation: '600000ms'. Write 10m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10m 30', "Error: AUTONOMA_TIMEOUT: invalid notation: '10m 30'. Write 10m30s.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', 'm10', "Error: AUTONOMA_TIMEOUT: invalid duration: 'm10'. Write a number and a unit, such as 90s, 30m, 2h or 1h30m.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '10,5m', "Error: AUTONOMA_TIMEOUT: invalid notation: '10,5m'. Write 10m30s.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_TIMEOUT', '25h', "Error: AUTONOMA_TIMEOUT: out of range: '25h'. Use 1s to 24h.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_POLL_INTERVAL', '5', "Error: AUTONOMA_POLL_INTERVAL: missing unit: '5'. Write 5m for minutes or 5s for seconds.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_POLL_INTERVAL', 'automatic', "Error: AUTONOMA_POLL_INTERVAL: invalid duration: 'automatic'. Write a number and a unit, such as 90s, 30m, 2h or 1h30m, or auto.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_WAIT_FOR_URL_TIMEOUT', '60', "Error: AUTONOMA_WAIT_FOR_URL_TIMEOUT: missing unit: '60'. Write 60m for minutes or 60s for seconds.", {'AUTONOMA_WAIT_FOR_URL': 'https://a.example'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30', "Error: AUTONOMA_EVIDENCE_LIMIT: missing unit: '30'. Write 30MB or 30KB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30M', "Error: AUTONOMA_EVIDENCE_LIMIT: invalid notation: '30M'. Write 30MB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '1.5GB', "Error: AUTONOMA_EVIDENCE_LIMIT: invalid notation: '1.5GB'. Write 1500MB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', 'unlimited', "Error: AUTONOMA_EVIDENCE_LIMIT: invalid size: 'unlimited'. Write a number and a unit, such as 500KB, 30MB or 1GB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '30 MiB', "Error: AUTONOMA_EVIDENCE_LIMIT: invalid notation: '30 MiB'. Write 30MB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_EVIDENCE_LIMIT', '0', "Error: AUTONOMA_EVIDENCE_LIMIT: missing unit: '0'. Use 1KB to 100GB.", {'AUTONOMA_WAIT': 'true', 'AUTONOMA_EVIDENCE': 'failed', 'AUTONOMA_RESULTS_DIR': 'out'}),
    WrongInput('AUTONOMA_WAIT', 'ture', "Error: AUTONOMA_WAIT: invalid value: 'ture'. Use true or false."),
    WrongInput('AUTONOMA_WAIT', 'y', "Error: AUTONOMA_WAIT: invalid value: 'y'. Use true or false."),
    WrongInput('AUTONOMA_WAIT', 'enabled', "Error: AUTONOMA_WAIT: invalid value: 'enabled'. Use true or false."),
    WrongInput('AUTONOMA_WAIT', "'true'", "Error: AUTONOMA_WAIT: invalid value: ''true''. Use true or false."),
    WrongInput('AUTONOMA_WAIT', '${{ inputs.wait }}', "Error: AUTONOMA_WAIT: invalid value: '${{ inputs.wait }}'. Use true or false."),
    WrongInput('AUTONOMA_WAIT', 'ja', "Error: AUTONOMA_WAIT: invalid value: 'ja'. Use true or false."),
    WrongInput('AUTONOMA_SHARD', '2', "Error: AUTONOMA_SHARD: invalid shard: '2'. Write the number of this job and of all jobs, such as 2/5, or auto."),
    WrongInput('AUTONOMA_SHARD', '4/3', "Error: AUTONOMA_SHARD: unknown shard: '4/3'. Use 1/3 to 3/3."),
    WrongInput('AUTONOMA_SHARD', '0/3', "Error: AUTONOMA_SHARD: unknown shard: '0/3'. Use 1/3 to 3/3."),
    WrongInput('AUTONOMA_SHARD', '2 of 5', "Error: AUTONOMA_SHARD: invalid shard: '2 of 5'. Write the number of this job and of all jobs, such as 2/5, or auto."),
    WrongInput('AUTONOMA_SHARD', '2/', "Error: AUTONOMA_SHARD: invalid shard: '2/'. Write the number of this job and of all jobs, such as 2/5, or auto."),
    WrongInput('AUTONOMA_SHARD', '1-3', "Error: AUTONOMA_SHARD: invalid shard: '1-3'. Write the number of this job and of all jobs, such as 2/5, or auto."),
    WrongInput('AUTONOMA_SHA', 'HEAD', "Error: AUTONOMA_SHA: invalid commit hash: 'HEAD'. Use the output of git rev-parse HEAD."),
    WrongInput('AUTONOMA_SHA', 'c0ffee1', "Error: AUTONOMA_SHA: invalid commit hash: 'c0ffee1'. Use the output of git rev-parse HEAD."),
    WrongInput('AUTONOMA_BRANCH', 'HEAD', "Error: AUTONOMA_BRANCH: invalid branch or tag: 'HEAD'. Use a name such as main."),
    WrongInput('AUTONOMA_BRANCH', 'refs/pull/12/merge', "Error: AUTONOMA_BRANCH: invalid branch or tag: 'refs/pull/12/merge'. Use a name such as main."),
    WrongInput('AUTONOMA_CHANGE', '#12', "Error: AUTONOMA_CHANGE: invalid number: '#12'. Use the number of a pull or merge request, such as 12, or an empty value."),
    WrongInput('AUTONOMA_CHANGE', 'false', "Error: AUTONOMA_CHANGE: invalid number: 'false'. Use the number of a pull or merge request, such as 12, or an empty value."),
    WrongInput('AUTONOMA_CHANGE', '012', "Error: AUTONOMA_CHANGE: invalid number: '012'. Use the number of a pull or merge request, such as 12, or an empty value."),
    WrongInput('AUTONOMA_SHA', '0' * 40, f"Error: AUTONOMA_SHA: invalid commit hash: '{'0' * 40}'. Use the output of git rev-parse HEAD."),
    WrongInput('AUTONOMA_BRANCH', '${BRANCH}', "Error: AUTONOMA_BRANCH: invalid branch or tag: '${BRANCH}'. Use a name such as main."),
    WrongInput('AUTONOMA_BRANCH', 'refs/heads/', "Error: AUTONOMA_BRANCH: invalid branch or tag: 'refs/heads/'. Use a name such as main."),
    WrongInput('AUTONOMA_BUILD_URL', 'https://ci.example.com/' + 'a' * 2000, 'Error: AUTONOMA_BUILD_URL: the URL is longer than 2,000 characters. Use a shorter URL of the build.'),
    WrongInput('AUTONOMA_BUILD_URL', 'ci.example.com/builds/7', "Error: AUTONOMA_BUILD_URL: invalid URL: 'ci.example.com/builds/7'. Use a URL such as https://ci.example.com/builds/12."),
    WrongInput('AUTONOMA_BUILD_URL', 'https://user:pw@ci.example.com', 'Error: AUTONOMA_BUILD_URL: the URL holds credentials. Remove them, because logs and reports show the URL.'),
    WrongInput('AUTONOMA_CONCURRENCY', 'eight', "Error: AUTONOMA_CONCURRENCY: invalid number: 'eight'. Use a whole number from 1 to 64."),
    WrongInput('AUTONOMA_CONCURRENCY', '0', "Error: AUTONOMA_CONCURRENCY: invalid number: '0'. Use a whole number from 1 to 64."),
    WrongInput('AUTONOMA_CONCURRENCY', '65', "Error: AUTONOMA_CONCURRENCY: invalid number: '65'. Use a whole number from 1 to 64."),
    WrongInput('AUTONOMA_CONCURRENCY', '1.5', "Error: AUTONOMA_CONCURRENCY: invalid number: '1.5'. Use a whole number from 1 to 64."),
    WrongInput('AUTONOMA_CONCURRENCY', '-1', "Error: AUTONOMA_CONCURRENCY: invalid number: '-1'. Use a whole number from 1 to 64."),
    WrongInput('AUTONOMA_RETRIES', '11', "Error: AUTONOMA_RETRIES: invalid number: '11'. Use a whole number from 0 to 10.", {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_RETRIES', '2', 'Warning: AUTONOMA_RETRIES has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_TIMEOUT', '5m', 'Warning: AUTONOMA_TIMEOUT has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_EVIDENCE', 'failed', 'Warning: AUTONOMA_EVIDENCE has no effect without AUTONOMA_WAIT.'),
    WrongInput('AUTONOMA_EVIDENCE', 'fail', "Error: AUTONOMA_EVIDENCE: invalid value: 'fail'. Use none, failed or all."),
    WrongInput('AUTONOMA_EVIDENCE', 'failed', 'Error: AUTONOMA_EVIDENCE needs a directory for its files. Set results-dir.', {'AUTONOMA_WAIT': 'true'}),
    WrongInput('AUTONOMA_GROUPS', 'smoke', "Error: AUTONOMA_GROUPS: group 'smoke' needs a manifest. Set manifest, or remove the group."),
    WrongInput('AUTONOMA_GROUPS', ' ,', "Error: AUTONOMA_GROUPS: missing group. Write the names of groups, or none."),
    WrongInput('AUTONOMA_GROUPS', 'none, smoke', "Error: AUTONOMA_GROUPS: 'none' selects nothing. Remove 'none' or the other groups."),
    WrongInput('AUTONOMA_GROUPS', 'None', "Error: AUTONOMA_GROUPS: unknown group: 'None'. Did you mean 'none'?"),
    WrongInput('AUTONOMA_ON_MISSING_CREDENTIALS', 'ignore', "Error: AUTONOMA_ON_MISSING_CREDENTIALS: invalid value: 'ignore'. Use fail or skip."),
    WrongInput('AUTONOMA_PUBLISH', 'later', "Error: AUTONOMA_PUBLISH: invalid value: 'later'. Use now or merge."),
    WrongInput('AUTONOMA_TEST_ID', 'cm8d9gt6v000c9fe5glmyi33u', "Warning: Unknown variable: 'AUTONOMA_TEST_ID'. Did you mean 'AUTONOMA_TEST_IDS'?"),
    WrongInput('AUTONOMA_DRY_RUNS', 'true', "Warning: Unknown variable: 'AUTONOMA_DRY_RUNS'. Did you mean 'AUTONOMA_DRY_RUN'?"),
    WrongInput('AUTONOMA_RUN_ON_LATEST', 'true', 'Notice: AUTONOMA_RUN_ON_LATEST has no effect without folders and tags.'),
    WrongInput('AUTONOMA_RUN_ON_LATEST', 'true', 'Error: AUTONOMA_APPLICATION_VERSIONS and AUTONOMA_RUN_ON_LATEST exclude each other. Remove one.', {'AUTONOMA_APPLICATION_VERSIONS': '[{application-id: a, version-id: b}]', 'AUTONOMA_FOLDER_IDS': 'cm8d9gt6v000c9fe5glmyi33u'}),
    WrongInput('AUTONOMA_APPLICATION_VERSION_ID', '1.2.3', "Error: AUTONOMA_APPLICATION_VERSION_ID: invalid id: '1.2.3' contains '.'. Use only letters, digits, - and _."),
    WrongInput('AUTONOMA_ALLOW_ENV', 'A=b', "Error: AUTONOMA_ALLOW_ENV: invalid name or pattern: 'A=…'. Write BASE_URL or PREVIEW_*."),)
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
