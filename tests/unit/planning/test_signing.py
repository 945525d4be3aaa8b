"""Signatures of requests, runs, results and variables."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import re
import reprlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.identity import Part
from autonoma_ci.models import AppVersion, BuildContext, Report, RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.planning.signing import ResultsSigner, VariableSigner
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.hostile import ANY_CHARACTER, REPORTS
from tests.support.reports import PASSED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "s3cr3t-of-the-client"
API_URL = "https://autonoma.app/api"
CONTEXT = BuildContext("github", "c" * 40, build_id="17", build_attempt="1", job_name="e2e")
PART = Part("e2e", "linux", "1/2", "Autonoma tests")
REQUEST = RunRequest(
    TargetKind.TEST,
    "t",
    "Label",
    {"BASE_URL": "https://staging.example.com", "LOCALE": "en"},
    "version-1",
    matrix_place="L=1",
)
HEX_DIGEST_RE = re.compile(r"[0-9a-f]{64}")
without_deadline = settings(deadline=None)


def build_signer(
    secret: str = SECRET, api_url: str = API_URL, context: BuildContext = CONTEXT, part: Part = PART
) -> ResultsSigner:
    return ResultsSigner(Secret(secret), api_url, context, part)


SIGNER = build_signer()


def sign_request(request: RunRequest, source: str = "github", signer: ResultsSigner = SIGNER) -> str:
    """Return the signature of the request that starts this run."""
    return signer.sign_request(request, build_start_body(request, source))


RUN = RunResult(REQUEST, RunState.PASSED, run_id="run-1", request_mac=sign_request(REQUEST))


# Requests


FOLDER = RunRequest(TargetKind.FOLDER, "f", "", application_versions=(AppVersion("a", "1"), AppVersion("b", "2")))


@pytest.mark.parametrize(
    ("request_", "changes"),
    [
        (REQUEST, {"id": "u"}),
        (REQUEST, {"variables": {**REQUEST.variables, "LOCALE": "fr"}}),
        (REQUEST, {"variables": {"BASE_URL": REQUEST.variables["BASE_URL"], "LANGUAGE": "en"}}),
        (REQUEST, {"variables": {**REQUEST.variables, "MORE": ""}}),
        (REQUEST, {"variables": {"LOCALE": "en"}}),
        (REQUEST, {"variables": {}}),
        (REQUEST, {"variables": {"BASE_URL": "en", "LOCALE": REQUEST.variables["BASE_URL"]}}),
        (REQUEST, {"application_version_id": "version-2"}),
        (REQUEST, {"application_version_id": ""}),
        (FOLDER, {"kind": TargetKind.TAG}),
        (FOLDER, {"application_versions": (AppVersion("a", "1"), AppVersion("b", "3"))}),
        (FOLDER, {"application_versions": (AppVersion("a", "1"), AppVersion("c", "2"))}),
        (FOLDER, {"application_versions": (AppVersion("a", "1"),)}),
        (FOLDER, {"application_versions": ()}),
        (FOLDER, {"run_on_latest": True}),
    ],
)
def test_request_signature_covers_body(request_: RunRequest, changes: dict[str, Any]) -> None:
    """Each part of the request to the API is signed."""
    assert sign_request(request_._replace(**changes)) != sign_request(request_)


@pytest.mark.parametrize("changes", [{"kind": TargetKind.TAG}, {"id": "u"}], ids=["kind", "id"])
def test_request_signature_covers_target(changes: dict[str, Any]) -> None:
    """Kind and id are signed, because they are in the path."""
    assert SIGNER.sign_request(FOLDER._replace(**changes), {}) != SIGNER.sign_request(FOLDER, {})


def test_request_signature_covers_source() -> None:
    """The source is sent, so it is signed."""
    assert sign_request(REQUEST, "cli") != sign_request(REQUEST, "github")


def test_request_signature_ignores_label_and_order() -> None:
    """A label is not sent, and the order of variables has no meaning."""
    reordered_request = REQUEST._replace(
        name="Another label", variables=dict(reversed(list(REQUEST.variables.items())))
    )
    assert sign_request(reordered_request) == sign_request(REQUEST)


def test_request_signature_is_opaque() -> None:
    """The signature has 64 hexadecimal digits and depends on a secret key."""
    signature = sign_request(REQUEST)
    assert HEX_DIGEST_RE.fullmatch(signature)
    assert sign_request(REQUEST, signer=build_signer("another-secret")) != signature


# A run and its state


CHANGES: dict[str, tuple[ResultsSigner, RunResult]] = {
    "secret": (build_signer(SECRET + "x"), RUN),
    "client id": (ResultsSigner(Secret(SECRET), API_URL, CONTEXT, PART, Secret("client-id")), RUN),
    "api-url": (build_signer(api_url="https://other.autonoma.app/api"), RUN),
    "build": (build_signer(context=CONTEXT._replace(build_id="18")), RUN),
    "commit": (build_signer(context=CONTEXT._replace(sha="d" * 40)), RUN),
    "no commit": (build_signer(context=CONTEXT._replace(sha="")), RUN),
    "job": (build_signer(part=PART._replace(job_name="lint")), RUN),
    "part": (build_signer(part=PART._replace(part="mac")), RUN),
    "shard": (build_signer(part=PART._replace(shard="2/2")), RUN),
    "title": (build_signer(part=PART._replace(title="Nightly")), RUN),
    "part and shard swapped": (build_signer(part=PART._replace(part="1/2", shard="linux")), RUN),
    "kind": (SIGNER, RUN._replace(request=REQUEST._replace(kind=TargetKind.TAG))),
    "id": (SIGNER, RUN._replace(request=REQUEST._replace(id="u"))),
    "place": (SIGNER, RUN._replace(request=REQUEST._replace(matrix_place="L=2"))),
    "occurrence": (SIGNER, RUN._replace(request=REQUEST._replace(occurrence=2))),
    "environment": (SIGNER, RUN._replace(request=REQUEST._replace(environment="production"))),
    "request": (SIGNER, RUN._replace(request_mac=sign_request(REQUEST, "cli"))),
    "run id": (SIGNER, RUN._replace(run_id="run-2")),
    "state": (SIGNER, RUN._replace(state=RunState.FAILED)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_run_signature_covers_each_fact(name: str) -> None:
    """A signature is valid for one run in one state, part, build and account."""
    signer, run = CHANGES[name]
    assert signer.sign_run(run) != SIGNER.sign_run(RUN)
    assert not signer.verifies_run(run, SIGNER.sign_run(RUN))


def test_run_signature_is_valid_in_any_attempt() -> None:
    """Another object with the same secret and facts verifies it."""
    mac = SIGNER.sign_run(RUN)
    assert HEX_DIGEST_RE.fullmatch(mac)
    assert build_signer(
        context=CONTEXT._replace(build_attempt="2", branch="x", build_url="https://x.example")
    ).verifies_run(RUN, mac)
    changed_run = RUN._replace(url="https://autonoma.app/run/x", title="Title", duration_seconds=5.0, reused=True)
    assert SIGNER.verifies_run(changed_run, mac)


@pytest.mark.parametrize("state", RunState)
def test_run_signature_differs_by_state(state: RunState) -> None:
    """Only a passed run has the signature of a pass."""
    mac = SIGNER.sign_run(RUN._replace(state=state))
    assert SIGNER.verifies_run(RUN, mac) == (state is RunState.PASSED)


@pytest.mark.parametrize("missing", ["run_id", "request_mac"])
def test_run_without_id_is_not_signed(missing: str) -> None:
    """Such a run cannot be confirmed, and an empty signature verifies nothing."""
    fields: dict[str, Any] = {missing: ""}
    run = RUN._replace(**fields)
    assert SIGNER.sign_run(run) == ""
    assert not SIGNER.verifies_run(run, "")
    assert not SIGNER.verifies_run(run, SIGNER.sign_run(RUN))


@pytest.mark.parametrize("mac", ["", "0" * 64, "x", SIGNER.sign_run(RUN)[:-1], SIGNER.sign_run(RUN).upper()])
def test_wrong_run_signature_is_refused(mac: str) -> None:
    """Only the whole signature is valid."""
    assert not SIGNER.verifies_run(RUN, mac)


FACTS = st.text(st.one_of(ANY_CHARACTER, st.sampled_from('",[]/\\')), max_size=5)
FACT_LISTS = st.lists(FACTS, min_size=8, max_size=8)


def sign_facts(facts: list[str]) -> str:
    """Return the signature of a run with these texts as its facts."""
    api_url, build, sha, job, part, shard, title, run_id = facts
    signer = build_signer(
        api_url=api_url, context=BuildContext(build_id=build, sha=sha), part=Part(job, part, shard, title)
    )
    return signer.sign_run(RUN._replace(run_id=f"r{run_id}"))


@without_deadline
@given(FACT_LISTS, st.integers(0, 6))
def test_run_signature_separates_facts(facts: list[str], index: int) -> None:
    """No text can end one fact and begin the next one."""
    joined_fact = facts[index] + facts[index + 1]
    shifted_facts = [*facts[:index], joined_fact, "", *facts[index + 2 :]]
    assume(shifted_facts != facts)
    assert sign_facts(shifted_facts) != sign_facts(facts)


@without_deadline
@given(FACT_LISTS, st.integers(0, 7), st.integers(0, 7))
def test_run_signature_depends_on_fact_order(facts: list[str], first: int, second: int) -> None:
    """Each fact has its place."""
    swapped_facts = list(facts)
    swapped_facts[first], swapped_facts[second] = facts[second], facts[first]
    assume(swapped_facts != facts)
    assert sign_facts(swapped_facts) != sign_facts(facts)


# The whole results.json


REPORT = create_report([make_passed_run("a"), make_failed_run("b")], PASSED_VERDICT)._replace(
    results=(
        make_passed_run("a")._replace(request_mac=sign_request(REQUEST)),
        make_failed_run("b")._replace(request_mac=sign_request(REQUEST)),
    ),
    context=CONTEXT,
    part=PART,
    step_id="0123456789abcdef",
)
SIGNED_RESULTS = render_results_json(REPORT, SIGNER).encode()


def test_signed_results_are_valid() -> None:
    """The results.json and each of its runs have valid signatures."""
    assert SIGNER.verifies_results(SIGNED_RESULTS)
    results_json = parse_results(SIGNED_RESULTS)
    for run, outcome in zip(results_json.runs, REPORT.results, strict=True):
        assert SIGNER.verifies_run(outcome, run.mac)
    assert json.loads(SIGNED_RESULTS)["mac"] == results_json.mac
    assert HEX_DIGEST_RE.fullmatch(results_json.mac)


@pytest.mark.parametrize("bits", [0x01, 0x20, 0x80, 0xFF])
def test_results_with_changed_byte_are_refused(bits: int) -> None:
    """Each byte counts, also those of the signature."""
    for offset in range(len(SIGNED_RESULTS)):
        data = SIGNED_RESULTS[:offset] + bytes([SIGNED_RESULTS[offset] ^ bits]) + SIGNED_RESULTS[offset + 1 :]
        assert not SIGNER.verifies_results(data), offset


def test_results_with_removed_byte_are_refused() -> None:
    """White space counts too."""
    for offset in range(len(SIGNED_RESULTS)):
        assert not SIGNER.verifies_results(SIGNED_RESULTS[:offset] + SIGNED_RESULTS[offset + 1 :]), offset


@pytest.mark.parametrize("byte", [b" ", b"\n", b"0", b"a", b'"', b"\0"])
def test_results_with_added_byte_are_refused(byte: bytes) -> None:
    """The places before and after results.json count too."""
    for offset in range(len(SIGNED_RESULTS) + 1):
        assert not SIGNER.verifies_results(SIGNED_RESULTS[:offset] + byte + SIGNED_RESULTS[offset:]), offset


@without_deadline
@given(st.integers(0, len(SIGNED_RESULTS)), st.integers(0, 40), st.binary(max_size=40))
def test_results_with_replaced_piece_are_refused(offset: int, length: int, piece: bytes) -> None:
    """No replacement of a piece is valid."""
    data = SIGNED_RESULTS[:offset] + piece + SIGNED_RESULTS[offset + length :]
    assert SIGNER.verifies_results(data) == (data == SIGNED_RESULTS)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda data: data + data,
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: json.dumps(json.loads(data), indent=2).encode() + b"\n\n",
        lambda data: re.sub(rb'"mac": "[0-9a-f]{64}"\n}\n\Z', b'"mac": ""\n}\n', data),
        lambda data: re.sub(rb',\n  "mac": "[0-9a-f]{64}"\n}\n\Z', b"\n}\n", data),
        lambda data: re.sub(rb'"mac": "[0-9a-f]{64}"\n}\n\Z', b'"mac": "' + b"0" * 64 + b'"\n}\n', data),
        lambda data: data.replace(b"\n}\n", b',\n  "mac": "' + b"0" * 64 + b'"\n}\n'),
    ],
    ids=[
        "empty", "twice", "byte order mark", "other line ends", "compact", "more line ends", "no signature",
        "no member", "zeros", "a second member",
    ],
)  # fmt: skip
def test_reformatted_results_are_refused(change: Callable[[bytes], bytes]) -> None:
    """The bytes count, so the same content in another form is invalid."""
    assert not SIGNER.verifies_results(change(SIGNED_RESULTS))


def test_results_of_other_secret_are_refused() -> None:
    """Another account has another key."""
    assert not build_signer("another-secret").verifies_results(SIGNED_RESULTS)
    assert not SIGNER.verifies_results(render_results_json(REPORT, build_signer("another-secret")).encode())
    assert not ResultsSigner(Secret(SECRET), API_URL, CONTEXT, PART, Secret("client-id")).verifies_results(
        SIGNED_RESULTS
    )


def test_results_without_signer_are_unsigned() -> None:
    """A step without credentials signs nothing, and nothing is verified."""
    text = render_results_json(REPORT)
    assert json.loads(text)["mac"] == ""
    assert {run["mac"] for run in json.loads(text)["runs"]} == {""}
    assert not SIGNER.verifies_results(text.encode())


def test_run_signature_is_invalid_for_results() -> None:
    """A signature is valid for one purpose."""
    unsigned_results = render_results_json(REPORT)
    for mac in (SIGNER.sign_run(RUN), sign_request(REQUEST)):
        data = unsigned_results.replace('"mac": ""\n}\n', f'"mac": "{mac}"\n}}\n').encode()
        assert not SIGNER.verifies_results(data)


def test_only_results_text_is_signed() -> None:
    """Only a text that ends like a results.json has a place for the signature."""
    for text in ("", "{}", '{"mac": ""}', '{\n  "mac": ""\n}'):
        assert SIGNER.sign_results(text) == text


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(REPORTS)
def test_results_of_any_report_are_valid(run_report: Report) -> None:
    """For any texts of a report, results.json is JSON with a valid signature."""
    results_json = render_results_json(run_report, SIGNER)
    assert SIGNER.verifies_results(results_json.encode())
    assert remove_signatures(results_json) == remove_signatures(render_results_json(run_report))


def remove_signatures(text: str) -> Any:
    document = json.loads(text)
    for signed_object in (document, *document["runs"]):
        del signed_object["mac"]
    return document


# The key


@without_deadline
@given(st.text(ANY_CHARACTER, min_size=1, max_size=40), st.text(max_size=20))
def test_derived_key_hides_secret(value: str, purpose: str) -> None:
    """A key has 32 bytes for any secret, and is equal for the same secret and purpose."""
    key = Secret(value).derive_key(purpose)
    assert len(key) == 32
    assert key == Secret(value).derive_key(purpose)
    raw = value.encode("utf-8", "surrogatepass")
    assert len(raw) < 4 or raw not in key
    assert Secret(value + "x").derive_key(purpose) != key
    assert Secret(value).derive_key(purpose + "x") != key


def test_key_derivation_keeps_secret_hidden() -> None:
    """The secret stores neither the key nor itself where a dump would show it."""
    secret = Secret(SECRET)
    key = secret.derive_key("a purpose")
    for output in (repr(secret), str(secret), f"{secret}", repr(dir(secret)), pprint.pformat(secret)):
        assert SECRET not in output
        assert key.hex() not in output
        assert repr(key) not in output
    with pytest.raises(TypeError):
        pickle.dumps(secret)


# Bytes that occur in no other text.
KEY = bytes(range(0x60, 0x80))
# The texts in which a dump could show the secret or the key.
LEAK_FORMS = (SECRET, SECRET[2:14], SECRET.encode().hex(), KEY.hex(), repr(KEY), repr(KEY)[2:-1], KEY.decode())


@pytest.fixture
def fixed_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all signers use a known key, for which tests can search."""
    monkeypatch.setattr(Secret, "derive_key", lambda *_: KEY)


@pytest.mark.usefixtures("fixed_key")
@pytest.mark.parametrize(
    "format_signer",
    [
        repr,
        str,
        "{}".format,
        pprint.pformat,
        reprlib.repr,
        lambda signer: repr(vars(signer)),
        lambda signer: repr([getattr(signer, name) for name in dir(signer)]),
        lambda signer: repr(signer.__reduce_ex__(2)),
        lambda signer: json.dumps(vars(signer), default=repr),
        lambda signer: repr(copy.copy(signer)),
    ],
    ids=["repr", "str", "format", "pprint", "reprlib", "vars", "dir", "reduce", "json", "copy"],
)
def test_signer_hides_secret_and_key(format_signer: Callable[[ResultsSigner], str]) -> None:
    """The output of a debugger or a log is safe to share."""
    output = format_signer(build_signer())
    assert [text for text in LEAK_FORMS if text in output] == []


@pytest.mark.usefixtures("fixed_key")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_signer_cannot_be_pickled(protocol: int) -> None:
    """The error shows nothing of the key."""
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as error_info:
        pickle.dumps(build_signer(), protocol)
    assert [text for text in LEAK_FORMS if text in str(error_info.value)] == []


@pytest.mark.usefixtures("fixed_key")
def test_results_hide_secret_and_key() -> None:
    """The files of results-dir have only signatures."""
    signer = build_signer()
    text = render_results_json(REPORT, signer) + signer.sign_run(RUN) + sign_request(REQUEST, signer=signer)
    assert [form for form in LEAK_FORMS if form in text] == []


# Values of variables


VARIABLE: dict[str, str] = {"kind": TargetKind.TEST, "entry_id": "t", "name": "LOCALE", "value": "en"}
VALUES = VariableSigner(Secret(SECRET))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": TargetKind.TAG},
        {"entry_id": "u"},
        {"name": "LANGUAGE"},
        {"value": "fr"},
        {"value": ""},
        {"value": "en "},
    ],
    ids=str,
)
def test_variable_signature_covers_each_fact(changes: dict[str, str]) -> None:
    """A signature is valid for one value of one name in the runs of one entry."""
    assert VALUES.sign(**(VARIABLE | changes)) != VALUES.sign(**VARIABLE)


def test_variable_signature_needs_secret() -> None:
    """The signature has 32 hexadecimal digits and differs from other signatures of the same secret."""
    signature = VALUES.sign(**VARIABLE)
    assert re.fullmatch("[0-9a-f]{32}", signature)
    assert VariableSigner(Secret(SECRET)).sign(**VARIABLE) == signature
    assert VariableSigner(Secret(f"{SECRET}x")).sign(**VARIABLE) != signature
    assert not sign_request(REQUEST).startswith(signature)


def test_variable_signature_separates_texts() -> None:
    """No text can end one part and begin the next one."""
    assert VALUES.sign(TargetKind.TEST, "t", "A", 'B","C') != VALUES.sign(TargetKind.TEST, "t", 'A","B', "C")


def test_variable_signatures_by_name() -> None:
    """Each variable of a request has a signature."""
    signatures = VALUES.sign_all(REQUEST)
    assert list(signatures) == list(REQUEST.variables)
    assert signatures["LOCALE"] == VALUES.sign(**VARIABLE)


def test_variable_signer_hides_key() -> None:
    """No list of its fields has the secret."""
    assert SECRET not in repr(vars(VALUES)) + repr(VALUES)
