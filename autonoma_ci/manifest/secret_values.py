"""Recognize values of environment variables that are likely secrets, whatever the names of the variables.

The formats are those that the vendors document for secret scanners, such as
https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns and
https://docs.gitlab.com/security/tokens/#token-prefixes.
"""

from __future__ import annotations

import re

_PREFIXES = (
    # GitHub, GitLab
    "gh[opsur]_|github_pat_|GR1348941|gl(?:pat|ptt|dt|rt|rtr|cbt|imt|ft|oas|soat|ffct|agent|wt)-|"
    # Slack, Stripe, Square, PayPal, Shopify
    r"xox[a-z](?:\.xox[a-z])?-|xapp-|xwfp-|[sr]k_(?:live|test)_|sq0(?:atp|csp)-|EAA[A-Za-z0-9][\w-]{19}|access_token\$|shp(?:at|ca|pa|ss)_|"
    # Cloud platforms
    r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12}|AIza[\w-]{20}|ya29\.|GOCSPX-|amzn\.mws\.|do[opr]_v1_|FlyV1 |fm2_|"
    r"HRKU-|dapi[0-9a-f]{32}|dp\.(?:pt|st|ct|sa|scim|audit)\.|hv[bsr]\.|s\.[A-Za-z0-9]{24}|[A-Za-z0-9]{14}\.atlasv1\.|"
    r"pul-[0-9a-f]{40}|pscale_(?:tkn|pw|oauth)_|sbp_|sb_secret_|tskey-|CFPAT-|"
    r"1//0[\w-]{20}|(?:FwoG|AQoD|IQoJ)[A-Za-z0-9+/=_-]{40}|sl\.[A-Za-z][\w.-]{20}|pcsk_|rnd_[A-Za-z0-9]{16}|"
    # Registries and tools
    "(?:npm_|pypi-)[A-Za-z0-9]{10}|rubygems_|dckr_(?:pat|oat)_|CLOJARS_|oy2[a-z0-9]{43}|CCIP[AR]T_|sntr[yu][su]_|"
    "gls?[ac]_|NR(?:AK|JS|II|BR|AA)-|PMAK-|phx_|figd_|ntn_|secret_|lin_(?:api|oauth)_|AT(?:ATT|CTT|BB|OA)[A-Za-z0-9]|"
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
_WORDS = (
    "password|passwd|passphrase|secret|token|credentials?|(?:api|access|account|private|sas|shared|signing)[_-]?key|"
    "shared[_-]?access[_-]?(?:key|signature)|signature"
)
_WEBHOOKS = (
    r"(?i:hooks\.slack(?:-gov)?\.com/|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/|webhook\.office\.com/|"
    r"outlook\.office(?:365)?\.com/webhook|api\.telegram\.org/bot|hooks\.zapier\.com/|/build_hooks/|"
    r"hook\.(?:[a-z0-9]{1,10}\.)?(?:make|integromat)\.com/|/integrations/deploy/|/hooks?/[a-z0-9]{20}|"
    r"logic\.azure\.com[^\s]{1,500}sig=|maker\.ifttt\.com/[^\s]{1,500}/key/)"
)
_NODES = (
    r"(?i:(?:infura\.io/(?:ws/)?v3|(?:alchemy|alchemyapi)\.(?:com|io)/v2|quiknode\.pro|ankr\.com/\w{1,50})/)[\w-]{16}"
)
_USER = r"(?!(?:mailto|sips?|xmpp|acct|npm):)[^\s:/@\"'=,;]{1,100}"
# `user:password@host`, but not a time at a place, and not a path of Windows.
_LOGIN = (
    r"(?:^|(?<=[\s\"'=,;]))(?!\d{1,2}:[0-5]\d(?:-\d{1,2}:[0-5]\d)?@[A-Za-z]{1,50}(?:\s|$))(?![A-Z]:\\)"
    rf"{_USER}:[^\s/@]{{1,200}}@(?!sha\d)[\w(\[]"
)
# `joe@example.com:password`, but not the address of a repository.
_MAIL_LOGIN = (
    r"(?<=[^\s@:/\"'=,;])(?<!^git)(?<![\s\"'=,;]git)@(?:localhost|[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}):"
    r"(?![\w./-]{1,200}\.git(?:\s|$))[^\s]"
)
# `name=value` and `"name": "value"`, with these words and with shorter ones.
_NAMED = (
    r"(?!(?<![\w.-])secret: [a-z]{1,6}(?:\s|$))"
    rf"(?i:(?:{_WORDS})[\w.-]{{0,20}}[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?)[^\s\"'&;,]{{3}}"
)
_ASSIGNED = r"(?i:(?:password|passwd|passphrase|pwd)[\"']?\s{0,5}[=:]\s{0,5}[\"']?)[^\s\"'&;,]"
_ELEMENT = (
    rf"(?i:<[\w:.-]{{0,20}}(?:{_WORDS}|pass|pwd)[\w.-]{{0,20}}(?:\s[^<>]{{0,200}})?>\s{{0,20}}(?:<!\[CDATA\[)?)[^\s<]"
)
# Words and a short number, such as in `key=products-list`, are no keys.
_PLAIN = r"(?![a-z]{2,10}(?:(?:[-_][a-z]{2,10}){1,4}|[-_]\d{1,2})(?:[\s&;\"',#]|$))"
_PARAMETER = (
    r"(?i:(?:^|[?&;\s\"'])(?:(?:pwd|pass|sig|jwt|auth)[\"']?[=:]|"
    rf"(?:key|session)[\"']?[=:](?-i:{_PLAIN})|"
    rf"code[\"']?[=:](?-i:(?![A-Z]{{8}}(?:[\s&;\"',#]|$)))))[^\s&;\"',]{{8}}"
)
# The first that matches names the kind. All are linear in the length of the value.
_KINDS = (
    ("a private key or certificate", r"-{4,5} ?BEGIN |PuTTY-User-Key-File|LS0tLS1CRUdJTi|b3BlbnNzaC1rZXktdjE"),
    # The forms of files: PKCS#12 and DER, and a key store of Java. Base64 is often wrapped.
    ("a private key or certificate", r"(?<![A-Za-z0-9+/])MII(?:[A-Za-z0-9+/_-](?:\s|\\[nr]){0,2}){97}|/u3[+]7[QR]"),
    ("a private key or certificate", "(?<![A-Za-z0-9+/])(?:MHcCAQEE|MI[GH][A-Za-z0-9]AgE[AB]|MC4CAQAw)"),
    ("a private key or certificate", "(?<![A-Za-z0-9])0[xX][0-9a-fA-F]{64}(?![0-9a-fA-F])"),
    ("the key of a service account", r'"private_key|"type"\s{0,5}:\s{0,5}"service_account|ewogICJ0eXBlIj|eyJhdXRocyI'),
    # A user name alone can be a token. `git` is the user of SSH.
    ("a URL with credentials", r"[/\\]{2}(?!git@)[^\s/?#\\@]{1,2000}@[^\s@]"),
    ("a URL with credentials", r"[/\\]{2}[^\s/?#\\@:]{0,200}:(?!\d{1,5}(?:[/?#]|$))[^\s]{1,200}@[^\s@]"),
    # Addresses without a scheme, such as `user:password@tcp(host)/name`, but not `image:tag@sha256:…`.
    ("an address with a password", _LOGIN),
    ("an address with a password", _MAIL_LOGIN),
    ("a JSON Web Token", r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}"),
    ("an authorization header", r"(?i:\b(?:bearer|negotiate|digest|ntlm|apikey|api-key|geniekey)\s{1,5})[\w.~+/-]{8}"),
    ("an authorization header", r"(?i:\bbasic\s{1,5})(?=[a-z+/]{0,200}[A-Z0-9=])[A-Za-z0-9+/]{6}"),
    ("an authorization header", r"(?i:(?:^|authorization[\"']?[:=]\s{0,5}[\"']?)token\s{1,5})[\w.~+/=-]{8,}[\"']?\s*$"),
    ("an authorization header", r"(?i:\b(?:token|splunk|sso-key)\s{1,5})(?=[\w.~+/-]{0,200}\d)[\w.~+/-]{8}"),
    ("a token", rf"(?<![A-Za-z0-9])(?:{_PREFIXES})"),
    ("the address of a webhook", _WEBHOOKS),
    ("an address with a key", _NODES),
    ("a password, token or key", _NAMED),
    ("a password, token or key", _ASSIGNED),
    ("a password, token or key", _ELEMENT),
    ("a password, token or key", _PARAMETER),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
# In characters. Linux limits a variable to 128 KiB (MAX_ARG_STRLEN), Windows to 32 KiB.
_LONGEST = 256 * 1024


def kind_of_secret(value: str) -> str:
    """Return what kind of secret a value holds, in words; empty if none is recognized."""
    text = value[:_LONGEST]
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), "")
