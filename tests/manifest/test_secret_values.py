"""Values of secrets: a manifest reads none, whatever the variable's name is."""

from __future__ import annotations

import base64
import json
import time

import pytest

from autonoma_ci.manifest.secret_values import kind_of_secret
from tests.manifest.reading import one_test, problems, read

TEXT = "tests: [{id: a, variables: {V: '${PLAIN}'}}]"
# No scanner for secrets should take these for real ones, so they are put together here.
LETTERS = "Zq5" * 14
SECRETS = [
    "postgres://user:Zq5pass@db.example/shop",
    "redis://:Zq5pass@cache.example:6379/0",
    "https://Zq5token@git.example/o/r",
    "mongodb+srv://u:Zq5%40x@cluster.example/?w=1",
    r"https:\\u:Zq5pass@evil.example",
    "//u:Zq5pass@x.example/a",
    "smtp://mail@x.example:Zq5pass@smtp.example:587",
    "https://u:Zq5/pa#ss@x.example",
    "user:Zq5pass@tcp(db:3306)/shop",
    "ssh://git:Zq5pass@git.example/o/r",
    "see https://u:Zq5pass@x.example for more",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nZq5\n",
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
    "PuTTY-User-Key-File-3: ssh-rsa",
    "x -----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    base64.b64encode(b"-----BEGIN RSA PRIVATE KEY-----\nZq5").decode(),
    json.dumps({"type": "service_account", "client_email": "x@y.example"}),
    '{\n  "private_key_id": "Zq5"\n}',
    base64.b64encode(b'{"auths":{"ghcr.io":{"auth":"Zq5"}}}').decode(),
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{LETTERS}",
    f"pk.eyJ1Ijoi{LETTERS}",
    f"Bearer {LETTERS}",
    f"authorization: bearer {LETTERS}",
    "Basic dXNlcjpacTVwYXNz",
    "basic dXNlcjpacTVwYXNz",
    *(
        f"{prefix}{LETTERS}"
        for prefix in (
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "glptt-",
            "gldt-",
            "glrt-",
            "glcbt-",
            "xoxb-",
            "xoxp-",
            "xoxa-",
            "xoxr-",
            "xoxs-",
            "xoxe.xoxp-",
            "xapp-",
            "sk_live_",
            "rk_live_",
            "sk_test_",
            "sk-",
            "sk-proj-",
            "sk-ant-api03-",
            "pypi-",
            "npm_",
            "dop_v1_",
            "hvs.",
            "hvb.",
            "s.",
            "AIza",
            "ya29.",
            "SG.",
            "shpat_",
            "shpss_",
            "lin_api_",
            "ATATT",
            "ATCTT",
            "ATBB",
            "dckr_pat_",
            "hf_",
            "whsec_",
            "PMAK-",
            "NRAK-",
            "AGE-SECRET-KEY-",
            "GOCSPX-",
            "sq0atp-",
            "glsa_",
            "dp.pt.",
            "sntrys_",
            "CFPAT-",
            "tskey-",
            "rubygems_",
            "pscale_tkn_",
            "gsk_",
            "figd_",
            "secret_",
            "sbp_",
            "xkeysib-",
        )
    ),
    "AKIA" + "Q" * 16,
    "ASIA" + "Q7" * 8,
    "SK" + "0f" * 16,
    "key-" + "0f" * 16,
    "dapi" + "0f" * 16,
    f"123456789:AA{LETTERS}",
    f'{{"plain": "glpat-{LETTERS}"}}',
    f"token is:ghp_{LETTERS}",
    f"https://x.example/?t=ghp_{LETTERS}",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=Zq5==",
    "Server=db;User=sa;Password=Zq5pass;",
    "https://x.blob.core.windows.net/c?sv=1&sig=Zq5Zq5Zq5",
    "https://s3.example/o?X-Amz-Signature=Zq5",
    "db_password: Zq5pass",
    '{"clientSecret": "Zq5pass"}',
    "https://x.example/cb?access_token=Zq5pass",
    "api_key=Zq5pass",
    "x?pwd=Zq5pass123",
    "https://hooks.slack.com/services/T0/B0/Zq5",
    "https://discord.com/api/webhooks/1/Zq5",
    "otpauth://totp/x?secret=Zq5",
    "https://api.telegram.org/bot1:Zq5/x",
    "https://x.webhook.office.com/webhookb2/Zq5",
    f"MII{LETTERS}{LETTERS}{LETTERS}",
    f"MII{LETTERS}Zq5\n{LETTERS}\n{LETTERS}",
    "0x" + "0f" * 32,
    f"AAAAZq5Zq5Z:APA91b{LETTERS}",
    f"EAAA{LETTERS}",
    f"EAACEdEose0cBA{LETTERS}",
    f"1//0{LETTERS}",
    f"{'M' + 'Zq5' * 8}.Zq5Zq5.{'Zq5' * 9}",
    *(f"{prefix}{LETTERS}" for prefix in ("pat-na1-", "pat-eu1-", "pcsk_", "rnd_", "GR1348941", "sl.B", "sl.u.")),
    *(f"{prefix}{LETTERS}" for prefix in ("FwoG", "AQoD", "Token ", "Authorization: Token ", "Splunk ")),
    "Token abcdefghij",
    "Server=db;Uid=sa;Pwd=Z",
    "Server=db;Password = Z",
    '{"pwd": "Z"}',
    "<password>Z</password>",
    "<server><db.password><![CDATA[Z]]></db.password></server>",
    "joe@example.com:pw",
    "login joe.x+y@mail.example.com:1234",
    "https://outlook.office.com/webhook/Zq5",
    "https://HOOKS.slack.com/services/T0/B0/Zq5",
    "https://discord.com/api/v10/webhooks/1/Zq5",
    "https://maker.ifttt.com/trigger/x/with/key/Zq5",
    f"https://chat.example.com/hooks/{LETTERS}",
    "https://hooks.zapier.com/hooks/catch/1/Zq5",
    f"https://mainnet.infura.io/v3/{LETTERS}",
    "12:30@db.example.com",
    "x?code=ABCDEFGHIJ",
    "session=Zq5Zq5Zq5",
    "my_secret: santa",
    "joe@localhost:pw",
    f"MII{LETTERS}\\n{LETTERS}\\n{LETTERS}",
    "password: Z",
    "code=abcd-efgh",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQ" + "Q" * 60,
    "secret: Zq5pass",
]
HARMLESS = [
    "",
    "main",
    "feature/checkout-42",
    "https://pr-12.preview.example.com",
    "https://staging.example.com:8443/a/@user",
    "http://localhost:3000/?lang=en&page=2",
    "git@github.com:o/r.git",
    "ssh://git@github.com/o/r.git",
    "joe@example.com",
    "mailto:joe@example.com",
    "ghcr.io/o/app:1.2@sha256:" + "0f" * 32,
    "app:1.2@sha256:" + "0f" * 32,
    "0f" * 20,
    "v1.10.0",
    "de-SK",
    "sk-SK",
    "Basic checkout",
    "basic functionality",
    "A basket of tokens",
    "12:30:45",
    "C:\\Users\\joe",
    "key: a",
    "npm_config_registry",
    "pypi-publish",
    "vcr_cassettes",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "cm8d9gt6v000c9fe5glmyi33u",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    '{"locale": "en", "roles": ["a", "b"]}',
    "a,b,c",
    "Müller & Söhne",
    "https://x.example/?code=ABCDEFGH",
    "?code=ABCDEFGH",
    "session=checkout-1",
    "12:30@noon",
    "10:00-12:00@Berlin",
    "secret: santa",
    "C:\\x@y",
    "#/login?key=products-list",
    "sk-skirtlongblack16x",
    "Write to joe@example.com: hello",
    "deploy@git.example.com:o/r.git",
    "A token expires",
    '<input type="password" name="x">',
    "Server=db;Password=;",
    "MIIT",
]


@pytest.mark.parametrize("value", SECRETS)
def test_secret_value_is_refused(value: str) -> None:
    """A harmless name does not let a secret through, and the error does not repeat it."""
    (problem,) = problems(TEXT, {"PLAIN": value})
    assert problem.startswith("1:29: ${PLAIN} holds ")
    assert problem.endswith("if the manifest may read it, add `allow-env: PLAIN` to the step")
    assert "Zq5" not in problem
    assert len(problem) < 200


@pytest.mark.parametrize("value", SECRETS)
def test_secret_value_is_read_by_full_name_only(value: str) -> None:
    """A pattern in `allow-env` allows no secret."""
    assert read(TEXT, {"PLAIN": value}, allowed=("PLAIN",)).tests[0].variables == {"V": value}
    assert len(problems(TEXT, {"PLAIN": value}, allowed=("PLA*", "*", "P?AIN"))) == 1


@pytest.mark.parametrize("value", HARMLESS)
def test_harmless_value_is_read(value: str) -> None:
    """Addresses, versions, hashes and names are no secrets."""
    assert kind_of_secret(value) == ""
    assert one_test(TEXT, {"PLAIN": value}).variables == {"V": value}


@pytest.mark.parametrize(
    "value", ["client-secret-1", "x client-secret-1 y", "Y2xpZW50LXNlY3JldC0x", "client%2Dsecret%2D1"]
)
def test_value_with_a_credential_is_never_read(value: str) -> None:
    """`allow-env` can't allow a credential of the step under another name."""
    for allowed in (None, ("PLAIN",)):
        (problem,) = problems(TEXT, {"PLAIN": value}, allowed=allowed, credentials=["client-secret-1"])
        assert problem == "1:29: ${PLAIN} holds a credential of this job: a manifest can't name it"


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "//x:",
        "=",
        "key=",
        "a:b,",
        "basic ",
        '"type"    ',
        "/\\x",
        "logic.azure.com",
        "-----",
        "MII",
        "@a.a",
        "<pwd ",
        "<a:",
        "maker.ifttt.com/",
        "AAAA.",
        "Token ",
        "session=a-",
        "M" * 24 + ".",
        "EAA",
        "pwd ",
        "0x0",
    ],
)
def test_long_value_is_searched_in_bounded_time(piece: str) -> None:
    """Linux allows 128 KiB for one variable. A search takes about 0.2 s."""
    value = piece * (128 * 1024 // len(piece))
    began = time.process_time()
    kind_of_secret(value)
    assert time.process_time() - began < 4


def test_long_value_is_searched_once() -> None:
    """Many texts can name one variable."""
    value = "a:b," * 15_000
    text = "tests:\n" + "".join(f"- {{id: a, variables: {{V: '{n}${{PLAIN}}'}}}}\n" for n in range(200))
    began = time.process_time()
    assert len(read(text, {"PLAIN": value}).tests) == 200
    assert time.process_time() - began < 4
