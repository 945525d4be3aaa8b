"""Recognize environment variables that are likely secrets, by their names and their values.

The rules for names cover kinds of names, so they also match harmless ones. The option `allow-env` lets a manifest read
those. The formats of values are those that the vendors document for secret scanners, such as
https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns and
https://docs.gitlab.com/security/tokens/#token-prefixes.
"""

from __future__ import annotations

import base64
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

_VENDOR_PREFIXES = (
    # GitHub, GitLab
    "gh[opsur]_|github_pat_|GR1348941|gl(?:pat|ptt|dt|rt|rtr|cbt|imt|ft|oas|soat|ffct|agent|wt)-|"
    # Slack, Stripe, Square, PayPal, Shopify
    r"xox[a-z](?:\.xox[a-z])?-|xapp-|xwfp-|[sr]k_(?:live|test)_|sq0(?:atp|csp)-|EAA[A-Za-z0-9][\w-]{19}|access_token\$|shp(?:at|ca|pa|ss)_|"
    # Cloud platforms
    r"(?:AKIA|ABIA|ACCA|AROA)[A-Z0-9]{12}|(?:ASIA|AIDA)[A-Z2-7]{16}|AIza[\w-]{20}|"
    r"ya29\.|GOCSPX-|amzn\.mws\.|do[opr]_v1_|FlyV1 |fm2_|"
    r"HRKU-|dapi[0-9a-f]{32}|dp\.(?:pt|st|ct|sa|scim|audit)\.|hv[bsr]\.|s\.[A-Za-z0-9]{24}|[A-Za-z0-9]{14}\.atlasv1\.|"
    r"pul-[0-9a-f]{40}|pscale_(?:tkn|pw|oauth)_|sbp_|sb_secret_|tskey-|CFPAT-|"
    r"1//0[\w-]{20}|(?:FwoG|AQoD|IQoJ)[A-Za-z0-9+/=_-]{40}|sl\.[A-Za-z][\w.-]{20}|pcsk_|rnd_[A-Za-z0-9]{16}|"
    # Registries and tools
    "(?:npm_|pypi-)[A-Za-z0-9]{10}|rubygems_|dckr_(?:pat|oat)_|CLOJARS_|oy2[a-z0-9]{43}|CCIP[AR]T_|sntr[yu][su]_|"
    "gls?[ac]_|NR(?:AK|JS|II|BR|AA)-|PMAK-|phx_|figd_|ntn_|lin_(?:api|oauth)_|AT(?:ATT|CTT|BB|OA)[A-Za-z0-9]|"
    # Notion. `secret_santa` is no token.
    r"secret_(?:[A-Za-z0-9]{16}|(?=[A-Za-z]{0,8}\d)[A-Za-z0-9]{8})|"
    # Mail, messages
    r"SG\.[\w-]{8}|xkeysib-|whsec_|SK[0-9a-f]{32}|key-[0-9a-f]{32}|[0-9]{8,10}:AA[\w-]{30}|"
    r"AAAA[\w-]{7}:APA91b|[MNO][\w-]{22,28}\.[\w-]{6}\.[\w-]{27}|pat-[a-z]{2}\d-|"
    # Language models
    "sk-(?:proj|ant|svcacct|admin|or)-|sk-[A-Za-z0-9]{20}|xai-[A-Za-z0-9]{16}|gsk_|pplx-|nvapi-|tvly-|"
    # Short prefixes of other vendors
    "(?:bk[au]a|fo1|hf|nf[pcou]|r8|re|sq[apu]|vc[aipkr])_[A-Za-z0-9]{16}|"
    # Encryption
    "AGE-SECRET-KEY-|otpauth://|op[as]_eyJ"
)
_KEYWORD = (
    "password|passwd|passphrase|secret|token|credentials?|(?:api|access|account|private|sas|shared|signing)[_-]?key|"
    "shared[_-]?access[_-]?(?:key|signature)|signature"
)
_WEBHOOK_URL = (
    r"(?i:hooks\.slack(?:-gov)?\.com/|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/|webhook\.office\.com/|"
    r"outlook\.office(?:365)?\.com/webhook|api\.telegram\.org/bot|hooks\.zapier\.com/|/build_hooks/|"
    r"hook\.(?:[a-z0-9]{1,10}\.)?(?:make|integromat)\.com/|/integrations/deploy/|/hooks?/[a-z0-9]{20}|"
    r"logic\.azure\.com[^\s]{1,500}sig=|maker\.ifttt\.com/[^\s]{1,500}/key/)"
)
_NODE_URL = (
    r"(?i:(?:infura\.io/(?:ws/)?v3|(?:alchemy|alchemyapi)\.(?:com|io)/v2|quiknode\.pro|ankr\.com/\w{1,50})/)[\w-]{16}"
)
_USER = r"(?!(?:mailto|sips?|xmpp|acct|npm):)[^\s:/@\"'=,;]{1,100}"
# `user:password@host`, but not a time at a place, and not a path of Windows.
_LOGIN = (
    r"(?:^|(?<=[\s\"'=,;]))(?!\d{1,2}:[0-5]\d(?:-\d{1,2}:[0-5]\d)?@[A-Za-z]{1,50}(?:\s|$))(?![A-Z]:\\)"
    rf"{_USER}:[^\s/@]{{1,200}}@(?!sha\d)[\w(\[]"
)
# `joe@example.com:password`, but not the address of a repository, and not a usual port.
_MAIL_LOGIN = (
    r"(?<=[^\s@:/\"'=,;])(?<!^git)(?<![\s\"'=,;]git)@(?:localhost|[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}):"
    r"(?![\w./-]{1,200}\.git(?:\s|$))(?!(?:22|80|443|465|587|993|995|2222|3000|8000|8080|8443)(?:[\s/?#]|$))[^\s]"
)
# `user%3Apassword%40host`, and a URL within another.
_ESCAPED_LOGIN = (
    r"(?i:(?:^|%2F%2F)(?:(?!%(?:2F|3F|23))[^\s/?#&=]){1,200}%3A(?:(?!%(?:2F|3F|23|40))[^\s/?#&=]){1,200}%40[\w(\[])"
)
# Oracle: `user/password@host:port/name`, but not `actions/checkout@v4`.
_ORACLE_LOGIN = (
    r"(?:^|[\s:])[\w.-]{1,100}/[^\s/@:]{1,100}@(?://)?[\w.-]{1,255}:\d{2,5}[/:]\w|"
    r"jdbc:oracle:[a-z]{1,20}:[^\s/@]{1,100}/[^\s@]{1,100}@"
)
# The value is `user:password`. Ambiguous values are not secrets: a tag of an image, a version, a hash, the name of a
# branch or of a user, such as `app:pr42`, `app:a1b2c3d`, `app:1.2-slim`, `app:feature-42` or `user:alice42`.
_LABEL_WORDS = (
    "account|acct|alg|android|app|arn|article|branch|brand|browser|build|category|channel|chrome|chromium|class|code|"
    "color|commit|country|coupon|css|currency|customer|data|date|device|docker|edge|env|event|feature|file|filter|"
    "firefox|flag|folder|git|group|hash|https?|id|image|invoice|ios|ipad|iphone|isbn|issue|item|job|key|label|lang|"
    "language|level|linux|list|locale|mac|macos|mailto|md5|mode|model|name|node|npm|order|os|page|path|phone|pixel|"
    "plan|platform|port|postcode|pr|product|project|promo|python|q|query|ref|region|release|repo|role|run|safari|"
    "scope|search|section|selector|sha\\d{0,3}|sips?|site|size|sku|sort|stage|state|status|step|store|suite|tag|task|"
    "team|tel|tenant|test|testid|theme|ticket|tier|title|topic|type|ubuntu|uri|url|urn|ver|version|view|viewport|"
    "webkit|windows|xmpp|xpath|year|zip"
)
_TAG = (
    r"(?i:v?\d[\w.+-]*|[0-9a-f]{7,64}|[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)+|"
    "(?:alpha|beta|build|dev|esr|java|jdk|jre|main|master|node|php|pr|preview|python|rc|release|rev|sha|snapshot|staging|"
    r"test|ver|version)\d+)"
)
# Features of a password that a word with a number, such as `alice42`, `eu2west`, `Berlin10` or `step2Button`, lacks.
# One of:
# - three numbers between letters, or two in ten characters or more;
# - letters of both cases, and a digit in place of a letter (`S3cret`) or a sign behind the number (`Zq5#`);
# - a sign that neither patterns of files (`a1*`) nor addresses (`joe+1`) nor numbers (`a#1`, `1%`) have.
_MIXED_CHARACTERS = (
    r"(?:(?=\S{0,127}[A-Za-z]\d{1,126}[A-Za-z]{1,126}\d{1,126}[A-Za-z]{1,126}\d)|"
    r"(?=\S{10})(?=\S{0,127}[A-Za-z]\d{1,126}[A-Za-z]{1,126}\d)|"
    r"(?=\S{0,127}[A-Z])(?=\S{0,127}[a-z])(?=\S{0,127}[A-Za-z]\d(?:[a-z][A-Za-z]|\d{0,126}[#%&]))|"
    r"(?=[A-Za-z0-9]\S{0,127}[!$^]))"
)
_USER_AND_PASSWORD = (
    rf"^\s{{0,5}}(?!(?i:(?:[\w.]{{1,60}}[._-])?(?:{_LABEL_WORDS})):)[a-z][\w.+-]{{1,63}}:(?!{_TAG}\s{{0,5}}$)"
    rf"(?=\S{{0,127}}[A-Za-z])(?=\S{{0,127}}\d){_MIXED_CHARACTERS}[\w!#$%&*+.?^~-]{{6,128}}\s{{0,5}}$"
)
# Prose, such as `reset password: how`.
_PROSE = r"(?!(?<=[a-z] )[a-z]{1,20}: [a-z]{1,6}(?:[\s?!.]|$))"
# `name=value` and `"name": "value"`, with these words and with shorter ones.
_NAMED_VALUE = (
    rf"{_PROSE}(?!(?<![\w.-])secret: [a-z]{{1,6}}(?:\s|$))"
    rf"(?i:(?:{_KEYWORD})[\w.-]{{0,20}}[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?)[^\s\"'&;,]{{3}}"
)
_PASSWORD_VALUE = rf"{_PROSE}(?i:(?:password|passwd|passphrase|pwd)[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?)[^\s\"'&;,]"
_ELEMENT = (
    rf"(?i:<[\w:.-]{{0,20}}(?:{_KEYWORD}|pass|pwd)[\w.-]{{0,20}}(?:\s[^<>]{{0,200}})?>\s{{0,20}}(?:<!\[CDATA\[)?)[^\s<]"
)
# Words and a short number, such as in `key=products-list`, are not keys.
_PLAIN_WORDS = r"(?![a-z]{2,10}(?:(?:[-_][a-z]{2,10}){1,4}(?:[-_]\d{1,2})?|[-_]\d{1,2})(?:[\s&;\"',#]|$))"
_PLAIN_WORD = r"(?![A-Z]?[a-z]{2,15}\d{0,2}(?:[\s&;\"',#]|$))"
_COUPON = r"(?!(?:[A-Z]{8}|[A-Z]{4,12}\d{2,4})(?:[\s&;\"',#]|$))"
_QUERY_PARAMETER = (
    rf"(?i:(?:^|[?&;\s\"'])(?:(?:pwd|sig|jwt|auth)[\"']?[=:]|pass[\"']?[=:](?-i:{_PLAIN_WORDS})|"
    rf"(?:key|session)[\"']?[=:](?-i:{_PLAIN_WORDS}{_PLAIN_WORD})|"
    rf"code[\"']?[=:](?-i:{_COUPON})))[^\s&;\"',]{{8}}"
)
# The last part of a name, such as in `"db_pass": "…"`, `dbPass=…` and `?x-vercel-protection-bypass=…`. The value must
# have a letter, and a digit or sign, which `"auth": "required"` and `pass: 98 %` do not have.
_SHORT_NAMED_VALUE = (
    r"(?:(?<![A-Za-z])(?i:pass|auth|bypass|vercel_share)|(?<=[a-z])(?:Pass|Auth|Bypass))[\"']?\s{0,5}[=:]\s{0,5}[\"']?"
    rf"{_PLAIN_WORDS}(?!(?i:oauth|saml|oidc|http))(?=[^\s\"'&;,]{{0,200}}[A-Za-z])(?=[^\s\"'&;,]{{0,200}}[\d!#$%^*=])"
    r"[^\s\"'&;,]{6}"
)
# `pw=1280` is the width of a page.
_PW_VALUE = (
    r"(?:(?<![A-Za-z])(?i:pw)|(?<=[a-z])Pw)[\"']?\s{0,5}[=:]\s{0,5}[\"']?(?!\d{1,4}(?:[\s&;\"',]|$))[^\s\"'&;,]{4}"
)
_NETRC = (
    r"\b(?:machine\s{1,10}\S{1,255}|default)\s{1,10}login\s{1,10}\S{1,255}\s{1,10}password\s{1,10}\S|"
    r"\blogin\s{1,10}\S{1,255}\s{1,10}password\s{1,10}(?=\S{0,200}\d)\S{4}"
)
_NPMRC = r"(?<![A-Za-z0-9])_(?:auth|password)\s{0,5}=\s{0,5}[^\s]{4}"
_KUBECONFIG = (
    r"client-key-data|(?:^|\n)current-context:|\"current-context\"|apiVersion:\s{1,5}v1\s{1,5}kind:\s{1,5}Config\b|"
    r"\"kind\"\s{0,5}:\s{0,5}\"Config\""
)
# `Bearer certificates` and `Basic JavaScript` are words of a page.
_BEARER_HEADER = (
    r"(?i:\b(?:bearer|negotiate|digest|ntlm|apikey|api-key|geniekey)\s{1,5})"
    r"(?:[\w.~+/=-]{16}|(?=[\w.~+/-]{0,200}[\d=])[\w.~+/-]{8})"
)
_BASIC_HEADER = r"(?i:\bbasic\s{1,5})(?:(?=[A-Za-z+/]{0,200}[\d=])[A-Za-z0-9+/]{6}|(?:[A-Za-z+/]{0,99}[a-z][A-Z]){2})"
# The first matching pattern gives the kind. All patterns take linear time in the length of the value.
_PATTERNS_BY_KIND = (
    ("a private key or certificate", r"-{4,5} ?BEGIN |PuTTY-User-Key-File|LS0tLS1CRUdJTi|b3BlbnNzaC1rZXktdjE"),
    # The forms of files: PKCS#12 and DER, and a key store of Java. Base64 is often wrapped.
    ("a private key or certificate", r"(?<![A-Za-z0-9+/])MII(?:[A-Za-z0-9+/_-](?:\s|\\[nr]){0,2}){97}|/u3[+]7[QR]"),
    ("a private key or certificate", "(?<![A-Za-z0-9+/])(?:MHcCAQEE|MI[GH][A-Za-z0-9]AgE[AB]|MC4CAQAw)"),
    ("a private key or certificate", "(?<![A-Za-z0-9])0[xX][0-9a-fA-F]{64}(?![0-9a-fA-F])"),
    ("a service account key", r'"private_key|"type"\s{0,5}:\s{0,5}"service_account|ewogICJ0eXBlIj|eyJhdXRocyI'),
    # A user name alone can be a token. `git` is the user of SSH.
    ("a URL with credentials", r"[/\\]{2}(?!git@)[^\s/?#\\@]{1,2000}@[^\s@]"),
    (
        "a URL with credentials",
        # An address of IPv6 has colons of its own.
        r"[/\\]{2}(?!\[[\w:.%]{2,60}\](?::\d{1,5})?[/?#])[^\s/?#\\@:]{0,200}:(?!\d{1,5}(?:[/?#]|$))[^\s]{1,200}@[^\s@]",
    ),
    # Addresses without a scheme, such as `user:password@tcp(host)/name`, but not `image:tag@sha256:…`.
    ("a connection string with a password", _LOGIN),
    ("a connection string with a password", _MAIL_LOGIN),
    ("a connection string with a password", _ESCAPED_LOGIN),
    ("a connection string with a password", _ORACLE_LOGIN),
    ("a user name and a password", _USER_AND_PASSWORD),
    # The forms of htpasswd.
    ("a user name and a password", r"(?:^|\n)[\w.@+-]{1,100}:(?:\$(?:apr1|2[abxy]|5|6)\$|\{SHA\})"),
    ("a user name and a password", _NETRC),
    ("a JSON Web Token", r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}"),
    ("an authorization header", _BEARER_HEADER),
    ("an authorization header", _BASIC_HEADER),
    ("an authorization header", r"(?i:(?:^|authorization[\"']?[:=]\s{0,5}[\"']?)token\s{1,5})[\w.~+/=-]{8,}[\"']?\s*$"),
    ("an authorization header", r"(?i:\b(?:token|splunk|sso-key)\s{1,5})(?=[\w.~+/-]{0,200}\d)[\w.~+/-]{8}"),
    ("a token", rf"(?<![A-Za-z0-9])(?:{_VENDOR_PREFIXES})"),
    ("a webhook URL", _WEBHOOK_URL),
    ("a URL with a key", _NODE_URL),
    ("a password, token or key", _NAMED_VALUE),
    ("a password, token or key", _PASSWORD_VALUE),
    ("a password, token or key", _ELEMENT),
    ("a password, token or key", _QUERY_PARAMETER),
    ("a password, token or key", _SHORT_NAMED_VALUE),
    ("a password, token or key", _PW_VALUE),
    ("a password, token or key", _NPMRC),
    # The log-ins of Docker, and an app's token of Facebook or Laravel.
    ("a password, token or key", r'"auths"\s{0,5}:\s{0,5}\{\s{0,20}"'),
    ("a token", r"^\d{1,20}\|(?![a-z]+[_-])[\w-]{16}"),
    ("a Kubernetes configuration", _KUBECONFIG),
)
_COMPILED_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS_BY_KIND)
# `NAME=value` at the beginning of a line, and `"NAME": "value"`. NAME looks like an environment variable.
_SETTING_RE = re.compile(
    r"(?:^[ \t]{0,20}(?:export[ \t]{1,5})?([A-Z][A-Z0-9_]{1,100})[ \t]{0,5}=[ \t]{0,5}[\"']?|"
    r"\"([A-Z][A-Z0-9_]{1,100})\"\s{0,5}:\s{0,5}\")[^\s\"',;]{6}",
    re.MULTILINE,
)
# Linux limits a variable to 128 KiB (MAX_ARG_STRLEN), Windows to 32 KiB.
_MAX_VALUE_CHARS = 256 * 1024


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


def detect_secret_kind(value: str) -> str | None:
    """Return the kind of secret in a value, or None without a recognized secret.

    The kind is worded for a message.
    """
    text = value[:_MAX_VALUE_CHARS]
    kind = _find_kind(text)
    if kind is not None:
        return kind
    decoded = _decode_base64(text)
    return None if decoded is None else _find_kind(decoded)


def _find_kind(text: str) -> str | None:
    kind = next((kind for kind, pattern in _COMPILED_PATTERNS if pattern.search(text)), None)
    if kind is None and any(map(is_secret_name, {a or b for a, b in _SETTING_RE.findall(text)})):
        return "a setting with a password, token or key"
    return kind


def _decode_base64(text: str) -> str | None:
    """Decode a text that is Base64 of UTF-8, or return None for another text."""
    letters = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    if len(letters) < 8 or len(letters) % 4 == 1:
        return None
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True).decode()
    except ValueError:
        return None
