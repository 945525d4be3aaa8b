"""Tests of names and values of environment variables that count as secrets and need allow-env."""

from __future__ import annotations

import base64
import json

import pytest

from autonoma_ci.manifest.secrets import detect_secret_kind, is_secret_name
from tests.support.environment_names import HARMLESS_NAMES, SECRET_NAMES
from tests.support.manifest_reader import collect_errors, read_manifest, read_single_test
from tests.support.processor_time import measure_processor_seconds

KEYS = {
    "variables": "tests: [{{id: a, variables: {{V: '{0}'}}}}]",
    "defaults": "defaults: {{variables: {{V: '{0}'}}}}\ntests: [a]",
    "matrix": "tests: [{{id: a, matrix: {{V: ['{0}', x]}}}}]",
    "name": "tests: [{{id: a, name: 'Pays {0}'}}]",
    "groups": "folders: [{{id: a, groups: ['{0}']}}]",
    "id": "tags: ['{0}']",
    "version id": "defaults: {{application_version_id: '{0}'}}\ntests: [a]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_name_is_rejected_in_values(name: str) -> None:
    """The error shows the line to add and hides the value."""
    for text in (f"${{{name}}}", f"https://x.example/?q=${{{name}:-none}}", f"${{{name}:?why}}"):
        (problem,) = collect_errors(KEYS["variables"].format(text), {name: "sentinel"})
        assert f"add `allow-env: {name}` to the step." in problem or "credential of this job" in problem
        assert "sentinel" not in problem


@pytest.mark.parametrize("key", KEYS)
def test_secret_name_is_rejected_in_keys(key: str) -> None:
    """Keys that are shown and keys that are sent have the same rule."""
    (problem,) = collect_errors(KEYS[key].format("${DB_PASSWORD}"), {"DB_PASSWORD": "sentinel"})
    assert "${DB_PASSWORD} looks like a secret" in problem
    assert "`allow-env: DB_PASSWORD`" in problem
    (problem,) = collect_errors(KEYS[key].format("${DB_PASSWORD:-x}"))
    assert "${DB_PASSWORD} looks like a secret" in problem


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_harmless_name_is_read(name: str) -> None:
    """The rules reject no common name."""
    assert read_single_test(KEYS["variables"].format(f"${{{name}}}"), {name: "x"}).variables == {"V": "x"}


def test_names_are_classified() -> None:
    """All names of the first list are likely secrets, and none of the second."""
    assert [name for name in SECRET_NAMES if not is_secret_name(name)] == []
    assert [name for name in HARMLESS_NAMES if is_secret_name(name)] == []


def test_name_lists_are_long_enough() -> None:
    """Rules for kinds of names need many examples."""
    assert (len(set(SECRET_NAMES)) >= 150, len(set(HARMLESS_NAMES)) >= 60) == (True, True)


# Values


TEXT = "tests: [{id: a, variables: {V: '${PLAIN}'}}]"
# No scanner for secrets should take these for real ones, so they are put together here.
LETTERS = "Zq5" * 14
SECRET_VALUES = [
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
    "APP_ENV=production\nAPP_KEY=base64:0b2F3mWc9d3e5TtY\nDB_PASS=hunter2hunter2\n",
    "DB_PASS=hunter22",
    "export STRIPE_KEY='abc123x'\nA=1",
    '{"db":{"user":"a","pass":"hunter2hunter2"}}',
    '{"db_pass":"hunter22xx"}',
    '{"dbPass": "hunter22xx"}',
    '{"DB_PASS": "hunterhunter"}',
    '{"auth": "am9lOmh1bnRlcjI="}',
    "//r.io/:_auth=am9lOmh1bnRlcjI=",
    "_auth=dXNlcjpwYXNz",
    "machine h login u password p",
    "machine h\n  login u\n  password p",
    "default login u password p",
    "login joe password hunter2",
    "https://p.test/?x-vercel-protection-bypass=Zk3nq8X2m4v6b8n0c2x4z6a8",
    "https://p.test/?_vercel_share=Zk3nq8X2m4v6b8n0",
    "https://h.test/?pw=abc123def",
    "userPw=Zq5pass",
    "admin:hunter2hunter2",
    "joe:aB3dE5gH",
    "joe:a1b2c3x4",
    "joe:Passw0rd",
    "joe:Zq5#pass",
    "admin:Summer2024!",
    "admin:Summer2024#",
    "user:Zq5$pass",
    "preview:Hunter2!x",
    "deploy-bot:S3cr3t!pw",
    "joe:$apr1$abc$def",
    "joe:{SHA}abc=",
    "joe:$2y$10$abc",
    "user%3Apw%40host",
    "postgres%3A%2F%2Fu%3Apw%40db.test",
    "https://x.test/?next=https%3A%2F%2Fu%3Apw%40h.test",
    "scott/tiger@host:1521/x",
    "jdbc:oracle:thin:scott/tiger@host:1521:x",
    "jdbc:oracle:thin:scott/tiger@db",
    "12345|abcdefghijklmnopqrstuvwxyz",
    '{"kind":"Config","apiVersion":"v1"}',
    "Bearer abcdefgh1",
    "Bearer abcdefghijklmnop",
    'Digest username="joe1234"',
    "Basic am9lOnB3",
    "Basic dXNlcjpwYXNz",
    "secret_Zq5Zq5Zq5",
    "secret_abcdefghijklmnopq",
    "AIDAJQABLZS4A3QDU576Q",
    "https://x.test/?code=abcd1234efgh",
    "https://x.test/?key=AbCdEf1234567890",
    "https://x.test/?pass=hunter2hunter2",
    "http://u:p@[::1]:3000/",
    "http://[::1]:3000/?next=//u:p@h",
    "joe@example.com:hunter2",
    "joe@example.com:4711",
    "password: hunter2",
    "PASSWORD: how",
    "db: x\npassword: how",
    "my password: hunter2",
    '{"auths":{"r.io":{"auth":"am9lOg=="}}}',
    "apiVersion: v1\nkind: Config\nusers: []",
    "ASIA" + "Q7" * 8,
    f"1|{LETTERS}",
    # The Base64 forms of texts that are secrets.
    *(
        base64.b64encode(text).decode()
        for text in (
            b"admin:hunter2hunter2",
            b"\n-----BEGIN PRIVATE KEY-----\nZq5",
            b"apiVersion: v1\nkind: Config\nusers:",
            b"APP_ENV=production\nDB_PASS=hunter2\n",
            b'{"db":{"pass":"hunter2hunter2"}}',
        )
    ),
    base64.encodebytes(b"APP_ENV=production\n" * 9 + b"DB_PASS=hunter2\n").decode(),
    base64.urlsafe_b64encode(b"\xc3\xbf\xc3\xbe?>~\nDB_PASS=hunter2").decode().rstrip("="),
]
HARMLESS_VALUES = [
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
    "production",
    "main",
    "true",
    "0",
    "1.2.3",
    "v1.2.3-rc.1",
    "eu-central-1",
    "en-US",
    "de_DE",
    "USD",
    "10115",
    "12:30",
    "12:30:45",
    "a:b",
    "localhost:3000",
    "db:5432",
    "db.example.com:5432",
    "127.0.0.1:8080",
    "[::1]:3000",
    "app:latest",
    "node:18-alpine",
    "postgres:16.2",
    "nginx:1.25.3-alpine",
    "app:a1b2c3d",
    "app:pr42",
    "web:sha-1a2b3c4",
    "web:build42",
    "shop:main-a1b2c3d",
    "python:3.11-slim",
    "openjdk:jdk17",
    "debian:bookworm",
    "ghcr.io/o/app:v2",
    "registry:5000/app:pr-3",
    "feature/checkout-42",
    "actions/checkout@v4",
    "o/r@main",
    "@types/node@18",
    "user:email",
    "admin:org",
    "role:admin1x",
    "tag:Summer2024",
    "sku:AB12cd34",
    "product_id:ab12cd34",
    "tenant:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "customer:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "urn:isbn:9780141036144",
    "arn:aws:s3:::bucket1",
    "sha256:0f0f0f0f0f0f",
    "tel:+4930123456",
    "npm:lodash@4.17.21",
    "C:\\Users\\joe1",
    "sort:price-asc2",
    "color:Blue2024",
    "NODE_ENV=production\nAPP_URL=https://x.test/shop",
    "LOCALE=de-DE\nCOUNTRY_CODE=DEUTSCHLAND\n",
    "lang=en\ncountry=de",
    "key=products\ncode=SUMMER24",
    '{"locale":"en","code":"SUMMER2024"}',
    '{"auth": "required"}',
    '{"auth":"oauth2.0"}',
    '{"pass": 3, "fail": 0}',
    '{"pass": "true"}',
    "auth: microsoft",
    "pass: 98.5 %",
    "compass=north2",
    "?bypass=login-screen",
    "bypass=true",
    "https://x.test/?pw=1280&ph=720",
    "kind: ConfigMap\nname: x",
    "Basic Premium",
    "Basic Account",
    "Basic Subscription",
    "Bearer certificates",
    "Digest Newsletter",
    "secret_santa",
    "secret_santa_list",
    "https://shop.test/?code=SUMMER2024",
    "https://shop.test/?key=Products1",
    "https://shop.test/?pass=day-ticket-adult-2",
    "reset password: how",
    "forgot password: help?",
    "http://[::1]:3000/@me",
    "joe@example.com:8080",
    "ASIAPACIFICREGION1",
    "ASIAPACIFICREGION2024",
    "AIDAVITACRUISE2024",
    "https://x.test/?next=https%3A%2F%2Fx.test%3A3000%2F%40me",
    "https://x.test/?email=joe%40example.com",
    "https://x.test/?q=title%3Acheckout",
    "Click login and password fields",
    "1|2|3",
    "Y2hlY2tvdXQ=",
    "dGVzdA==",
    "checkoutflow1234",
    "https://x.test/@user:8080",
    "Chrome 120:stable",
    "iPhone 15:Safari17",
    "android:Pixel7Pro",
    "customer:Kd10023x",
    "coupon:SUMMER2024",
    "UTC+01:00",
    "Desktop:1920x1080",
    "chrome:120.0",
    "firefox:esr115",
    "ubuntu:22.04",
    "Shoes:Nike2024",
    "Safari:Version17",
    "Basic JavaScript",
    "Basic internationalization",
    "apiVersion: skaffold/v2\nkind: Config\n",
    "1|some-long-item-name-here",
    "Basic plan 2024",
    "Windows:11Pro24H2",
    # A name and a word with a number.
    "joe:hunter2",
    "web:sprint42",
    "myapp:feature42",
    "user:alice42",
    "username:alice42",
    "testid:button42",
    "css:button1x",
    "city:Berlin10",
    "sandbox:eu2west",
    "sandbox:useast1b2",
    "show:s02e10",
    "grid:col2row3",
    "web:step2Button",
    "web:iPhone15pro",
    "web:Pixel7a",
    "web:issue#42",
    "web:Order#42",
    "web:feature42*",
    "web:R&D2024",
    "dir:PROGRA~1",
    "user:alice+42",
    "user:Alice+42x",
    "banner:20%off",
    "regex:^foo12$",
    "env:$HOME2",
    "data-testid:row1cell2icon3",
    "css:h2Title3x4",
    base64.b64encode(b"LOCALE=de-DE\nCOUNTRY_CODE=DEUTSCHLAND").decode(),
    base64.b64encode(b"\xff" * 30).decode(),
]


def test_each_secret_value_has_kind() -> None:
    """The kind of a secret names it in the error."""
    assert [value for value in SECRET_VALUES if detect_secret_kind(value) is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("value", SECRET_VALUES)
def test_secret_value_is_rejected(value: str) -> None:
    """A harmless name does not allow a secret, and the error hides it."""
    (problem,) = collect_errors(TEXT, {"PLAIN": value})
    assert problem.startswith("1:29: ${PLAIN} contains ")
    assert problem.endswith("To allow it, add `allow-env: PLAIN` to the step.")
    assert "Zq5" not in problem
    assert len(problem) < 200


@pytest.mark.slow
@pytest.mark.parametrize("value", SECRET_VALUES)
def test_secret_value_needs_full_name(value: str) -> None:
    """A pattern in `allow-env` allows no secret."""
    assert read_manifest(TEXT, {"PLAIN": value}, allowed=("PLAIN",)).tests[0].variables == {"V": value}
    assert len(collect_errors(TEXT, {"PLAIN": value}, allowed=("PLA*", "*", "P?AIN"))) == 1


@pytest.mark.parametrize("value", HARMLESS_VALUES)
def test_harmless_value_is_read(value: str) -> None:
    """URLs, versions, hashes and names are no secrets."""
    assert detect_secret_kind(value) is None
    assert read_single_test(TEXT, {"PLAIN": value}).variables == {"V": value}


@pytest.mark.parametrize(
    "value", ["client-secret-1", "x client-secret-1 y", "Y2xpZW50LXNlY3JldC0x", "client%2Dsecret%2D1"]
)
def test_value_with_credential_is_rejected(value: str) -> None:
    """The option allow-env cannot allow a credential of the step under another name."""
    for allowed in (None, ("PLAIN",)):
        (problem,) = collect_errors(TEXT, {"PLAIN": value}, allowed=allowed, credentials=["client-secret-1"])
        assert problem == "1:29: ${PLAIN} contains a credential of this job. Use another variable."


@pytest.mark.slow
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
        "%2F%2Fa%3",
        "machine a login a ",
        "AB=aaaaaa\n",
        "bearer aaaaaaa ",
        "basic aB",
        "pass=a",
        "jdbc:oracle:a:b/",
        "a/",
        '"A":',
    ],
)
def test_long_value_takes_bounded_time(piece: str) -> None:
    """Linux allows 128 KiB for one variable, and a search takes about 0.2 s."""
    value = piece * (128 * 1024 // len(piece))
    assert measure_processor_seconds(lambda: detect_secret_kind(value), 10) < 10


@pytest.mark.slow
def test_long_settings_take_bounded_time() -> None:
    """Each of many names is compared with the rules for names."""
    value = "".join(f"A{number}=xxxxxx\n" for number in range(10_000))
    assert detect_secret_kind(value) is None
    assert measure_processor_seconds(lambda: detect_secret_kind(value), 20) < 20


def test_value_is_searched_once() -> None:
    """Many texts can refer to one variable."""
    value = "a:b," * 15_000
    text = "tests:\n" + "".join(f"- {{id: a, variables: {{V: '{n}${{PLAIN}}'}}}}\n" for n in range(200))
    assert len(read_manifest(text, {"PLAIN": value}).tests) == 200
    assert measure_processor_seconds(lambda: read_manifest(text, {"PLAIN": value}), 10) < 10


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("LOCALE=de-DE\nSSH_PHRASE=hunter2", "a setting with a password, token or key"),
        (base64.b64encode(b"LOCALE=de-DE\nSSH_PHRASE=hunter2").decode(), "a setting with a password, token or key"),
        # Base64 has no tilde.
        (base64.b64encode(b"LOCALE=de-DE\nDB_PASS=hunter2").decode().replace("T", "T~", 1), None),
        ("Zm9v", None),
    ],
)
def test_secret_has_kind(value: str, kind: str | None) -> None:
    """The kind is worded for a message, also that of a decoded value."""
    assert detect_secret_kind(value) == kind
