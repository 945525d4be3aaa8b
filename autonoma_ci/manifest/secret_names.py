"""Recognize names of environment variables whose values are likely secrets.

The rules cover kinds of names, so they refuse harmless ones too. The option `allow-env` lets a manifest read those.
"""

from __future__ import annotations

import re

# Whole names that the rules below would refuse: two folders of a shell, a list of hosts, and what tests often need.
_HARMLESS = re.compile(
    "(?:OLD)?PWD|NO_PROXY|(?:O?AUTH|AUTH0)_(?:DOMAIN|ENDPOINT|HOST|UR[IL])|(?:FAKER|ORDER|RANDOM|SHUFFLE)_SEED|"
    "(?:COUNTRY|LANG|LANGUAGE|LOCALE|MARKET|REGION)_[PS]K"
)
# A last word that says that the value only describes a secret, but not for passwords.
_DESCRIBES = re.compile(
    "ACCEPTED|ALGORITHM|AUTHENTICATED|BANNER|COLOR|COUNT|DISABLED|ENABLED|LABEL|LENGTH|MODE|NAME|PAGE|PORT|PROVIDER|"
    "REQUIRED|SIZE|TIMEOUT|TITLE|TTL|TYPE|VISUAL"
)
_PASSWORD = re.compile(
    "P+ASS?W|PASSPHRASE|PASSCODE|PASSKEY|PA?S?SWD|PWD|PWORD|PWRD|KENNWORT|MNEMONIC|WACHTWOORD|CONTRASEN|MOTDEPASSE"
)
# One word of a name. Each is a secret, or the file or text that holds one.
_WORD = re.compile(
    "PASS(?:ES)?|PWD?S?|PWORD|P?SSWD|PSWD?|PATS?|PINS?|PSK|[TH]?OTP|[MT2]FA|SAS|SIG|SID|KEYS?|CREDS?|JWTS?|SESSIONS?|"
    "NONCE|SALTS?|PEPPER|SEEDS?|MNEMONICS?|SERIAL|LICEN[CS]ES?|CERTS?|CERTIFICATES?|CRT|PEM|PFX|P12|P8|PKCS12|PKCS8|JKS|PPK|"
    "PRIV|JAAS|RSA|DSA|ECDSA|ED25519|SIGNING|DSN|CONN|BASE64|B64|HOOKS?|GPG|PGP|VAULT|SOPS|"
    "PWRDS?|PASWD|PASWORDS?|TO?KN?S?|SCRTS?|SECR|[PS]KS?|AES|CIPHER|IV|BIP39|CSC|HEC|RPC|TURNSTILE|CV[CNV]2?|IBANS?|SSN|PAN"
)
# Words for a password, a key or a secret in other languages.
_FOREIGN = re.compile(
    "MDP|PASSE|CLES?|CLAVES?|LLAVES?|SENHAS?|CHAVES?|CHIAVI|CHIAVE|SEGRETO|SECRETO|SEGREDO|PAROLA?|PAROLE|HASLO|HESLO|"
    "KLUCZ|LOSEN|SIFRE|LOZINKA|GESLO|PAROOL|SLEUTEL|NYCKEL|SCHLUE?SSEL|LOSUNG"
)
# Parts of a word, such as in `GITHUBTOKEN`.
_PARTS = re.compile(
    "PASSW|PASWOR|PASSPHRASE|PASSCODE|PASSKEY|PGPASS|KENNWORT|MOTDEPASSE|CONTRASEN|WACHTWOORD|SALASANA|"
    "ADGANGSKODE|KODEORD|PASSORD|LOSENORD|JELSZO|GEHEIM|CONFIDENTIAL|CAPTCHA|[CX]SRF|SECRET(?!AR)|"
    "TOKEN(?!IZ)|CREDENTIAL|PRIVATE|BEARER|COOKIE|SESSID|SESSIONID|WEBHOOK|HMAC|SIGNATURE|PRESIGNED|KUBECONF|NETRC|"
    "NPMRC|PYPIRC|JWT|AUTHORI[ZS]|"
    "(?:ACCESS|ACCOUNT|API|AUTH|DEPLOY|ENCRYPTION|HOST|LICENSE|MASTER|SHARED|SIGNING|SSH)KEY"
)
_BEGIN = re.compile(
    "AUTH(?!OR)|KEY(?:CHAIN|DATA|FILE|ID|PAIR|PASS|PATH|PWD|RING|STORE|TAB|VAULT)|TRUSTSTORE|"
    "CERT(?:DATA|FILE|KEY|PATH)|PIN(?:CODE|NUMBER)|GPG|PGP|VAULT|SOPS"
)
_END = re.compile(
    "(?:PASS|PASSES|PWD?|KEYS?|CREDS?|AUTH|CERTS?|PEM|DSN|PAT|OTP|PSK|KEYSTORE|CONNSTR|TKN|PWRD|SCRT|MDP)$"
)
# Ordinary words with such an end.
_ORDINARY = re.compile(
    "(?:(?:BY|COM|ENCOM|OVER|SUR|TRES|UNDER)PASS(?:ES)?|(?:DON|HOC|HOT|JOC|LAC|MIC|MON|TUR|TURN|WHIS)KEYS?|CONCERTS?|"
    "COMPAT|EXPAT)$"
)
# Several words, without what stands between them.
_PHRASES = re.compile(
    "CONNECTION(?:STRING|UR[IL])|RESULTBACKEND|CONNSTR|SERVICEACCOUNT|SAJSON|GOOGLESERVICE|FIREBASECONFIG|"
    "DOCKERC(?:ON)?FI?G|KUBEC(?:ON)?FI?G|SONARLOGIN|STRIPESK$|TWOFACTOR|MAGICLINK|"
    "(?:SLACK|DISCORD|TEAMS|ZAPIER)UR[IL]|SIGNEDUR[IL]|(?:BACKUP|KEY|RECOVERY|SEED|WALLET)(?:PHRASE|WORDS)|"
    "(?:ACCESS|BACKUP|LOGIN|ONETIME|RECOVERY|SECURITY|SMS|VERIFICATION)CODES?|TWOFA|SECURITYANSWER|"
    "MAVENSETTINGS|SETTINGSXML|GRADLEPROPERTIES|NUGETC(?:ON)?FI?G|PIPCONF|RCLONECONF|DOTENV|ENVFILE|"
    "CCNUM|INITVECTOR|^(?:ALCHEMY|FCM|INFURA)$|INFURA(?:PROJECT)?ID|CARD(?:NUM|N[OR]$)|(?:CREDIT|DEBIT|BANK)CARDS?$|ACCOUNTNUMBER|ROUTINGNUMBER|SOCIALSECURITY|PASSPORTN(?:UM|[OR]$)|"
    "(?:API|APP|AUTH|CLIENT|CONSUMER)SEC$|.ACCESS$|"
    # The key of a vendor without the word for it.
    "(?:ALGOLIA|APNS|CHROMATIC|CONTENTFUL|CYPRESS|FCM|FIREBASE|GHOST|HASURA|MEILI(?:SEARCH)?|ONESIGNAL|PERCY|PUSHER|"
    "SANITY|SHOPIFY|STRIPE|SUPABASE|TYPESENSE)(?:ADMIN|API|MASTER|RECORD|ROOT|SERVER|SERVICE|SERVICEROLE|WRITE)$"
)
# The address of a service often holds a password.
_ADDRESS = re.compile("(?:UR[IL]S?|CONNECTION|ENDPOINT)$")
_SERVICE = re.compile("BROKER|CELERY|CLOUDINARY|DB|ETH|S?FTP|IMAP|JDBC|LDAPS?|MAILER|MQ|NATS|PG|SMTP|SQL")
_SERVICE_PARTS = re.compile(
    "ALCHEMY|INFURA|QUICKNODE|MORALIS|CHAINSTACK|WEB3|ETHEREUM|MAINNET|TESTNET|SEPOLIA|GOERLI|POLYGON|"
    "AMQP|BONSAI|CASSANDRA|CLICKHOUSE|COCKROACH|DATABASE|DATASOURCE|ELASTIC|INFLUX|KAFKA|MARIA|MEMCACHE|MONGO|MSSQL|"
    "MYSQL|NEO4J|OPENSEARCH|ORACLE|POSTGRES|RABBIT|REDIS|SEARCHBOX|SQLSERVER|.DB$"
)
# A number of seconds, other than a short form of "secret".
_SECONDS = re.compile(
    "AGE|BACKOFF|DELAY|DURATION|EXPIR|IDLE|INTERVAL|LIMIT|MAX|MIN|PAUSE|PERIOD|POLL|RETRY|SLEEP|TIME|TTL|WAIT"
)
_CAMEL = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def looks_secret(name: str) -> bool:
    """Return whether the value of a variable with this name is likely a secret."""
    upper = name.upper()
    words = _words_of(name)
    joined = re.sub("[^A-Z0-9]", "", upper)
    last = _last_word(name)
    foreign = any(map(_FOREIGN.fullmatch, words))
    if _HARMLESS.fullmatch(upper) or (_DESCRIBES.fullmatch(last) and not foreign and not _PASSWORD.search(joined)):
        return False
    return (
        foreign
        or any(map(_WORD.fullmatch, words))
        or any(map(_is_glued, words))
        or bool(_PHRASES.search(joined))
        or upper.endswith("PROXY")
        or (last == "SEC" and not _SECONDS.search(joined))
        or _is_address(words, joined)
    )


def _words_of(name: str) -> set[str]:
    """Return the words of a name in capitals: between underscores, and parts of camel case, without digits."""
    words: set[str] = set()
    for part in re.split("[^A-Za-z0-9]+", name):
        words |= {part, re.sub("[0-9]", "", part), *re.split("[0-9]+", part), *_CAMEL.findall(part)}
    return {word.upper() for word in words if word}


def _last_word(name: str) -> str:
    words = _CAMEL.findall(re.split("[^A-Za-z0-9]+", name)[-1])
    return words[-1].upper() if words else ""


def _is_glued(word: str) -> bool:
    if _PARTS.search(word) or _BEGIN.match(word):
        return True
    return bool(_END.search(word)) and not _ORDINARY.search(word)


def _is_address(words: set[str], joined: str) -> bool:
    if not _ADDRESS.search(joined) and words.isdisjoint({"URL", "URI", "URLS", "URIS"}):
        return False
    names = {*words, _ADDRESS.sub("", joined)}
    return any(map(_SERVICE.fullmatch, names)) or any(map(_SERVICE_PARTS.search, names))
