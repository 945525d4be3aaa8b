"""Recognize names of environment variables whose values are likely secrets.

The rules cover kinds of names, so they also match harmless ones. The option `allow-env` lets a manifest read those.
"""

from __future__ import annotations

import re

# Complete names that the rules below would match: two folders of a shell, a list of hosts, and common variables of
# tests.
_HARMLESS_RE = re.compile(
    "(?:OLD)?PWD|NO_PROXY|(?:O?AUTH|AUTH0)_(?:DOMAIN|ENDPOINT|HOST|UR[IL])|(?:FAKER|ORDER|RANDOM|SHUFFLE)_SEED|"
    "(?:COUNTRY|LANG|LANGUAGE|LOCALE|MARKET|REGION)_(?:[PS]K|SA|SP)|COOKIE_CONSENT|SALT_LAKE(?:_CITY)?|"
    "(?:[A-Z0-9]+_)?(?:LICEN[CS]E_PLATE(?:_NUMBER)?|O?AUTH2?_(?:CALLBACK|REDIRECT)_UR[IL])|"
    # The short name of a project or of an issue, such as `SHOP-12`. Publishable keys stand in public pages.
    "(?:JIRA|SONAR)_PROJECT_KEY|(?:JIRA_)?ISSUE_KEY|(?:[A-Z0-9]+_)*PUBLISHABLE_KEY|"
    # Words of a page.
    "(?:CATCH|SEARCH)_PHRASE|(?:PLAN|PRICE|TIER)_BASIC|(?:AUTO|CACHE|FORCE|PAGE)_REFRESH|"
    # Yes or no.
    "(?:ALLOW|AUTO|ENABLE|FORCE|HAS|IS|SHOW|SKIP|USE|WITH)_(?:BASIC|BYPASS|ENCRYPTION|ROBOT|SSH|[A-Z]+_(?:API|BOT))"
)
# A last word which means that the value only describes a secret. Names of passwords are an exception.
_DESCRIPTION_RE = re.compile(
    "ACCEPTED|ALGORITHM|AUTHENTICATED|BANNER|COLOR|COUNT|DISABLED|ENABLED|LABEL|LENGTH|MODE|NAME|PAGE|PORT|PROVIDER|"
    "REQUIRED|SIZE|TIMEOUT|TITLE|TTL|TYPE|VISUAL"
)
# Parts of a name that mean password, so even `PASSWORD_NAME` matches.
_PASSWORD_RE = re.compile(
    "P+ASS?W|PASSPHRASE|PASSCODE|PASSKEY|PA?S?SWD|PWD|PWORD|PWRD|KENNWORT|MNEMONIC|WACHTWOORD|CONTRASEN|MOTDEPASSE"
)
# One word of a name. Each is a secret, or a file or text that contains one.
_SECRET_WORD_RE = re.compile(
    "PWS|S?SSWD|PSW|[MT2]FA|PINS?|PUKS?|SAS|SIG|SID|SESSIONS?|NONCE|SALTS?|PEPPER|SEEDS?|SERIAL|LICEN[CS]ES?|"
    "CERTIFICATES?|CRT|PFX|P12|P8|PKCS12|PKCS8|JKS|PPK|PRIV|PRVT|JAAS|RSA|DSA|ECDSA|ED25519|SIGNING|CONN|BASE64|B64|"
    "HOOKS?|TO?KN?S?|SECR|[PS]KS?|AES|CIPHER|IV|BIP39|CSC|HEC|RPC|TURNSTILE|CV[CNV]2?|IBANS?|SSN|PAN"
)
# The last word of a name without `KEY`, `TOKEN` or `PASSWORD` behind it.
_LAST_WORD_RE = re.compile("(?:^|_)(?:BASIC|BYPASS|ENCRYPTION|PHRASE|REFRESH|ROBOT|SA|SP|SSH|VAPID)$")
# The same behind the name of a vendor. `ORDERS_API` is an address, `ADMIN_LOGIN` the name of a user.
_VENDOR_RE = re.compile(
    "(?:^|_)(?:(?:AIRTABLE|ALCHEMY|ALGOLIA|ANTHROPIC|APNS|APPLITOOLS|ASANA|BREVO|BROWSER_?STACK|BUGSNAG|CF|CHROMATIC|"
    "CIRCLE_?CI|CLOUD_?FLARE|CODECOV|COHERE|CONTENTFUL|CYPRESS|DATA_?DOG|DD|DEEP_?SEEK|DIGITAL_?OCEAN|ELEVEN_?LABS|"
    "ETHERSCAN|FASTLY|FCM|FIGMA|FIREBASE|FLY|GEMINI|GHOST|GOOGLE(?:_MAPS)?|GRAFANA|GROQ|HASURA|HEROKU|HONEYBADGER|"
    "HONEYCOMB|HUGGING_?FACE|INFURA|INTERCOM|KLAVIYO|LINEAR|MAIL_?(?:CHIMP|GUN|JET)|MAPBOX|MEILI(?:_?SEARCH)?|"
    "MISTRAL|NETLIFY|NEW_?RELIC|NOTION|NPM|NU_?GET|ONE_?SIGNAL|OPEN_?(?:AI|ROUTER)|OPS_?GENIE|PAGER_?DUTY|PERCY|"
    "PERPLEXITY|POSTMAN|POSTMARK|PUSHER|PY_?PI|REPLICATE|RESEND|ROLLBAR|RUBY_?GEMS|SANITY|SEND_?(?:GRID|IN_?BLUE)|"
    "SHOPIFY|SNYK|STRIPE|SUPABASE|TWILIO|TYPESENSE|VERCEL|VONAGE"
    ")_API|(?:DISCORD|SLACK|TELEGRAM)_BOT|(?:DOCKER(?:_?HUB)?|VPN)_LOGIN)$"
)
# Codes that open or confirm something. Codes with a word such as `PIN`, `AUTH` or `ACCESS` are among the rules below.
_ACCESS_CODE_RE = re.compile(
    "(?:^|_)(?:ACTIVATION|ALARM|CONFIRM(?:ATION)?|DISARM(?:ING)?|DOOR|EMERGENCY|ENTRANCE|ENTRY|GARAGE|GATE|"
    "INVIT(?:ATION|E)|KEYPAD|LOCK|LOCKER|MASTER|PAIRING|REGISTRATION|RESET|SAFE|SIGN_?(?:IN|UP)|UNLOCK|VALIDATION|"
    "VERIFY)_?CODES?(?:_|$)"
)
# Variables with a command line or the options of a job step. Both can contain `--var NAME=value` or a password. CI
# systems, sudo, the SSH server, Bash, Make, npm and Java set them.
_COMMAND_LINE_RE = re.compile(
    "BUILDKITE_COMMAND|CI_SCRIPT|DRONE_SCRIPT|TRAVIS_CMD|(?:.*_)?AUTONOMA_?VARIABLES|(?:PLUGIN_)?VARIABLES|"
    "SUDO_COMMAND|SSH_ORIGINAL_COMMAND|BASH_EXECUTION_STRING|(?:GNU)?MAKEFLAGS|MFLAGS|MAKEOVERRIDES|"
    "NPM_(?:CONFIG_ARGV|LIFECYCLE_SCRIPT|PACKAGE_SCRIPTS_.*)|(?:JAVA_TOOL|(?:JDK)?_JAVA)_OPTIONS|"
    "(?:ANT|CATALINA|GRADLE|JAVA|MAVEN|SBT)_OPTS|MAVEN_(?:CMD_LINE_)?ARGS"
)
# Words for a password, a key or a secret in other languages.
_FOREIGN_RE = re.compile(
    "MDP|PASSE|CLES?|CLAVES?|LLAVES?|SENHAS?|CHAVES?|CHIAVI|CHIAVE|SEGRETO|SECRETO|SEGREDO|PAROLA?|PAROLE|HASLO|HESLO|"
    "KLUCZ|LOSEN|SIFRE|LOZINKA|GESLO|PAROOL|SLEUTEL|NYCKEL|SCHLUE?SSEL|LOSUNG"
)
# Parts of a word, such as in `GITHUBTOKEN`.
_WORD_PART_RE = re.compile(
    "PGPASS|SALASANA|ADGANGSKODE|KODEORD|PASSORD|LOSENORD|JELSZO|GEHEIM|CONFIDENTIAL|CAPTCHA|[CX]SRF|SECRET(?!AR)|"
    "TOKEN(?!IZ)|CREDENTIAL|PRIVATE|BEARER|COOKIE|SESSID|SESSIONID|WEBHOOK|HMAC|SIGNATURE|PRESIGNED|KUBECONF|NETRC|"
    "NPMRC|PYPIRC|JWT|AUTHORI[ZS]|"
    "(?:ACCESS|ACCOUNT|API|AUTH|DEPLOY|ENCRYPTION|HOST|LICENSE|MASTER|SHARED|SIGNING|SSH)KEY"
)
# The beginning or the end of a word, or the complete word.
_WORD_BEGIN_RE = re.compile(
    "AUTH(?!OR)|KEY(?:CHAIN|DATA|FILE|ID|PAIR|PASS|PATH|PWD|RING|STORE|TAB|VAULT)|TRUSTSTORE|"
    "CERT(?:DATA|FILE|KEY|PATH)|PIN(?:CODE|NUMBER)|GPG|PGP|VAULT|SOPS"
)
_WORD_END_RE = re.compile(
    "(?:PASS|PASSES|PW|KEYS?|CREDS?|AUTH|CERTS?|PEM|DSN|PATS?|OTP|PSK|KEYSTORE|CONNSTR|TKN|SCRTS?|MDP)$"
)
# Ordinary words with such an end.
_ORDINARY_WORD_RE = re.compile(
    "(?:(?:BY|COM|ENCOM|OVER|SUR|TRES|UNDER)PASS(?:ES)?|(?:DON|HOC|HOT|JOC|LAC|MIC|MON|TUR|TURN|WHIS)KEYS?|CONCERTS?|"
    "(?:COM|EX)PATS?)$"
)
# Several words without the separators between them.
_PHRASE_RE = re.compile(
    "CONNECTION(?:STRING|UR[IL])|RESULTBACKEND|CONNSTR|SERVICEACCOUNT|SAJSON|GOOGLESERVICE|FIREBASECONFIG|"
    "DOCKERC(?:ON)?FI?G|(?:KUBE|K8S|KUBERNETES)C(?:ON)?FI?G|(?:VPN|WG|WIREGUARD)CONF|SONARLOGIN|STRIPESK$|TWOFACTOR|"
    "MAGICLINK|(?:SLACK|DISCORD|TEAMS|ZAPIER)UR[IL]|SIGNEDUR[IL]|(?:BACKUP|KEY|RECOVERY|SEED|WALLET)(?:PHRASE|WORDS)|"
    "(?:ACCESS|BACKUP|LOGIN|ONETIME|RECOVERY|SECURITY|SMS|VERIFICATION)CODES?|TWOFA|SECURITYANSWER|"
    "MAVENSETTINGS|SETTINGSXML|GRADLEPROPERTIES|NUGETC(?:ON)?FI?G|PIPCONF|RCLONECONF|DOTENV|ENVFILE|"
    "CCNUM|INITVECTOR|INFURA(?:PROJECT)?ID|CARD(?:NUM|N[OR]$)|(?:CREDIT|DEBIT|BANK)CARDS?$|ACCOUNTNUMBER|"
    "ROUTINGNUMBER|SOCIALSECURITY|PASSPORTN(?:UM|[OR]$)|(?:API|APP|AUTH|CLIENT|CONSUMER)SEC$|.ACCESS$|"
    "AZURESTORAGE(?:CONNECTION)?$|LDAPS?BIND$|"
    # The key of a vendor without the word for it.
    "(?:ALGOLIA|APNS|CHROMATIC|CONTENTFUL|CYPRESS|FCM|FIREBASE|GHOST|HASURA|MEILI(?:SEARCH)?|ONESIGNAL|PERCY|PUSHER|"
    "SANITY|SHOPIFY|STRIPE|SUPABASE|TYPESENSE)(?:ADMIN|MASTER|RECORD|ROOT|SERVER|SERVICE|SERVICEROLE|WRITE)$|"
    "(?:ADYEN|BRAINTREE|MOLLIE|PADDLE|PAYPAL|RAZORPAY|SQUARE|STRIPE)(?:LIVE|PROD|PRODUCTION|RESTRICTED|SANDBOX|TEST)$|"
    "(?:^DD|^FB|DATADOG|FACEBOOK)APP$|"
    "^(?:ALCHEMY|ANTHROPIC|CODECOV|DOCKERHUB|ETHERSCAN|FCM|INFURA|MAILGUN|OPENAI|OPENROUTER|OPSGENIE|SENDGRID|SNYK)$"
)
# The address of a service often contains a password. `MYSQL_ROOT` is the password of that user.
_ADDRESS_RE = re.compile("(?:UR[IL]S?|CONNECTION|ENDPOINT|ROOT)$")
_SERVICE_RE = re.compile("BROKER|CELERY|CLOUDINARY|DB|ETH|S?FTP|IMAP|JDBC|LDAPS?|MAILER|MQ|NATS|PG|SMTP|SQL")
_SERVICE_PART_RE = re.compile(
    "ALCHEMY|INFURA|QUICKNODE|MORALIS|CHAINSTACK|WEB3|ETHEREUM|MAINNET|TESTNET|SEPOLIA|GOERLI|POLYGON|"
    "AMQP|BONSAI|CASSANDRA|CLICKHOUSE|COCKROACH|DATABASE|DATASOURCE|ELASTIC|INFLUX|KAFKA|MARIA|MEMCACHE|MONGO|MSSQL|"
    "MYSQL|NEO4J|OPENSEARCH|ORACLE|POSTGRES|RABBIT|REDIS|SEARCHBOX|SQLSERVER|.DB$"
)
# Words of a name in which `SEC` means seconds, not secret.
_SECONDS_RE = re.compile(
    "AGE|BACKOFF|DELAY|DURATION|EXPIR|IDLE|INTERVAL|LIMIT|MAX|MIN|PAUSE|PERIOD|POLL|RETRY|SLEEP|TIME|TTL|WAIT"
)
_CAMEL_CASE_RE = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name likely contains a secret."""
    upper = name.upper()
    words = _split_words(name)
    joined = re.sub("[^A-Z0-9]", "", upper)
    last = _get_last_word(name)
    # For names such as `GATE_CODE_2`.
    without_digits = "_".join(_CAMEL_CASE_RE.findall(name)).upper()
    is_foreign = any(map(_FOREIGN_RE.fullmatch, words))
    if _HARMLESS_RE.fullmatch(upper) or (
        _DESCRIPTION_RE.fullmatch(last) and not is_foreign and not _PASSWORD_RE.search(joined)
    ):
        return False
    return (
        is_foreign
        or any(map(_SECRET_WORD_RE.fullmatch, words))
        or any(map(_contains_secret_word, words))
        or bool(_LAST_WORD_RE.search(without_digits))
        or bool(_VENDOR_RE.search(without_digits))
        or bool(_ACCESS_CODE_RE.search(without_digits))
        or bool(_COMMAND_LINE_RE.fullmatch(upper))
        or bool(_PHRASE_RE.search(joined))
        or upper.endswith("PROXY")
        or (last == "SEC" and not _SECONDS_RE.search(joined))
        or _is_service_address(words, joined)
    )


def _split_words(name: str) -> set[str]:
    """Return the words of a name in uppercase.

    They are the parts between underscores and the parts of camel case, with and without digits.
    """
    words: set[str] = set()
    for part in re.split("[^A-Za-z0-9]+", name):
        words |= {part, re.sub("[0-9]", "", part), *re.split("[0-9]+", part), *_CAMEL_CASE_RE.findall(part)}
    return {word.upper() for word in words if word}


def _get_last_word(name: str) -> str:
    words = _CAMEL_CASE_RE.findall(re.split("[^A-Za-z0-9]+", name)[-1])
    return words[-1].upper() if words else ""


def _contains_secret_word(word: str) -> bool:
    if _PASSWORD_RE.search(word) or _WORD_PART_RE.search(word) or _WORD_BEGIN_RE.match(word):
        return True
    return bool(_WORD_END_RE.search(word)) and not _ORDINARY_WORD_RE.search(word)


def _is_service_address(words: set[str], joined: str) -> bool:
    if not _ADDRESS_RE.search(joined) and words.isdisjoint({"URL", "URI", "URLS", "URIS"}):
        return False
    names = {*words, _ADDRESS_RE.sub("", joined)}
    return any(map(_SERVICE_RE.fullmatch, names)) or any(map(_SERVICE_PART_RE.search, names))
