"""Recognize names of environment variables whose values are likely secrets.

The rules cover kinds of names, so they refuse harmless ones too. The option `allow-env` lets a manifest read those.
"""

from __future__ import annotations

import re

# Whole names that the rules below would refuse: two folders of a shell, and a list of hosts.
_HARMLESS = frozenset({"PWD", "OLDPWD", "NO_PROXY"})
# One word of a name. Each is a secret, or the file or text that holds one.
_WORD = re.compile(
    "PASS(?:ES)?|PWD?S?|PWORD|P?SSWD|PSWD?|PATS?|PINS?|PSK|[TH]?OTP|[MT2]FA|SAS|SIG|SID|KEYS?|CREDS?|JWTS?|SESSIONS?|"
    "NONCE|SALTS?|PEPPER|MNEMONIC|SERIAL|LICEN[CS]ES?|CERTS?|CERTIFICATES?|CRT|PEM|PFX|P12|P8|PKCS12|PKCS8|JKS|PPK|"
    "PRIV|JAAS|RSA|DSA|ECDSA|ED25519|SIGNING|DSN|CONN|BASE64|B64|HOOKS?|GPG|PGP|VAULT|SOPS"
)
# Parts of a word, such as in `GITHUBTOKEN`.
_PARTS = re.compile(
    "PASSWOR[DT]|PASSWD|PASSWRD|PASSPHRASE|PASSCODE|PASSKEY|PGPASS|KENNWORT|MOTDEPASSE|CONTRASENA|SECRET(?!AR)|"
    "TOKEN(?!IZ)|CREDENTIAL|PRIVATE|BEARER|COOKIE|SESSID|SESSIONID|WEBHOOK|HMAC|SIGNATURE|PRESIGNED|KUBECONF|NETRC|"
    "NPMRC|PYPIRC|JWT|AUTHORI[ZS]|"
    "(?:ACCESS|ACCOUNT|API|AUTH|DEPLOY|ENCRYPTION|HOST|LICENSE|MASTER|SHARED|SIGNING|SSH)KEY"
)
_BEGIN = re.compile(
    "AUTH(?!OR)|KEY(?:CHAIN|DATA|FILE|ID|PAIR|PASS|PATH|PWD|RING|STORE|TAB|VAULT)|TRUSTSTORE|"
    "CERT(?:DATA|FILE|KEY|PATH)|PIN(?:CODE|NUMBER)|GPG|PGP|VAULT|SOPS"
)
_END = re.compile("(?:PASS|PASSES|PWD?|KEYS?|CREDS?|AUTH|CERTS?|PEM|DSN|PAT|OTP|PSK|KEYSTORE|CONNSTR)$")
# Ordinary words with such an end.
_ORDINARY = re.compile(
    "(?:(?:BY|COM|ENCOM|OVER|SUR|TRES|UNDER)PASS(?:ES)?|(?:DON|HOC|HOT|JOC|LAC|MIC|MON|TUR|TURN|WHIS)KEYS?|CONCERTS?|"
    "COMPAT|EXPAT)$"
)
# Several words, without what stands between them.
_PHRASES = re.compile(
    "CONNECTION(?:STRING|UR[IL])|RESULTBACKEND|CONNSTR|SERVICEACCOUNT|SAJSON|GOOGLESERVICE|FIREBASECONFIG|"
    "DOCKERC(?:ON)?FI?G|KUBEC(?:ON)?FI?G|SONARLOGIN|STRIPESK$|TWOFACTOR|MAGICLINK|"
    "(?:SLACK|DISCORD|TEAMS|ZAPIER)UR[IL]|SIGNEDUR[IL]|(?:SEED|RECOVERY)PHRASE|"
    "(?:ACCESS|BACKUP|ONETIME|RECOVERY|VERIFICATION)CODES?"
)
# The address of a service often holds a password.
_ADDRESS = re.compile("(?:UR[IL]S?|CONNECTION)$")
_SERVICE = re.compile("BROKER|CACHE|CELERY|CLOUDINARY|DB|S?FTP|IMAP|JDBC|LDAPS?|MAILER|MQ|NATS|PG|SMTP|SQL")
_SERVICE_PARTS = re.compile(
    "AMQP|BONSAI|CASSANDRA|CLICKHOUSE|COCKROACH|DATABASE|DATASOURCE|ELASTIC|INFLUX|KAFKA|MARIA|MEMCACHE|MONGO|MSSQL|"
    "MYSQL|NEO4J|OPENSEARCH|ORACLE|POSTGRES|RABBIT|REDIS|SEARCHBOX|SQLSERVER|.DB$"
)
_CAMEL = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def looks_secret(name: str) -> bool:
    """Return whether the value of a variable with this name is likely a secret."""
    upper = name.upper()
    if upper in _HARMLESS:
        return False
    words = _words_of(name)
    joined = re.sub("[^A-Z0-9]", "", upper)
    return (
        any(map(_WORD.fullmatch, words))
        or any(map(_is_glued, words))
        or bool(_PHRASES.search(joined))
        or upper.endswith("PROXY")
        or _is_address(words, joined)
    )


def _words_of(name: str) -> set[str]:
    """Return the words of a name in capitals: between underscores, and parts of camel case, without digits."""
    words: set[str] = set()
    for part in re.split("[^A-Za-z0-9]+", name):
        words |= {part, re.sub("[0-9]", "", part), *re.split("[0-9]+", part), *_CAMEL.findall(part)}
    return {word.upper() for word in words if word}


def _is_glued(word: str) -> bool:
    if _PARTS.search(word) or _BEGIN.match(word):
        return True
    return bool(_END.search(word)) and not _ORDINARY.search(word)


def _is_address(words: set[str], joined: str) -> bool:
    if not _ADDRESS.search(joined) and words.isdisjoint({"URL", "URI", "URLS", "URIS"}):
        return False
    names = {*words, _ADDRESS.sub("", joined)}
    return any(map(_SERVICE.fullmatch, names)) or any(map(_SERVICE_PARTS.search, names))
