"""Recognize values of environment variables that are likely secrets, whatever the names of the variables.

The formats are those that the vendors document for secret scanners, such as
https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns and
https://docs.gitlab.com/security/tokens/#token-prefixes.
"""

from __future__ import annotations

import re

_PREFIXES = (
    # GitHub, GitLab
    "gh[opsur]_|github_pat_|gl(?:pat|ptt|dt|rt|rtr|cbt|imt|ft|oas|soat|ffct|agent|wt)-|"
    # Slack, Stripe, Square, PayPal, Shopify
    r"xox[a-z](?:\.xox[a-z])?-|xapp-|xwfp-|[sr]k_(?:live|test)_|sq0(?:atp|csp)-|access_token\$|shp(?:at|ca|pa|ss)_|"
    # Cloud platforms
    r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12}|AIza[\w-]{20}|ya29\.|GOCSPX-|amzn\.mws\.|do[opr]_v1_|FlyV1 |fm2_|"
    r"HRKU-|dapi[0-9a-f]{32}|dp\.(?:pt|st|ct|sa|scim|audit)\.|hv[bsr]\.|s\.[A-Za-z0-9]{24}|[A-Za-z0-9]{14}\.atlasv1\.|"
    r"pul-[0-9a-f]{40}|pscale_(?:tkn|pw|oauth)_|sbp_|sb_secret_|tskey-|CFPAT-|"
    # Registries and tools
    "(?:npm_|pypi-)[A-Za-z0-9]{10}|rubygems_|dckr_(?:pat|oat)_|CLOJARS_|oy2[a-z0-9]{43}|CCIP[AR]T_|sntr[yu][su]_|"
    "gls?[ac]_|NR(?:AK|JS|II|BR|AA)-|PMAK-|phx_|figd_|ntn_|secret_|lin_(?:api|oauth)_|AT(?:ATT|CTT|BB|OA)[A-Za-z0-9]|"
    # Mail, messages
    r"SG\.[\w-]{8}|xkeysib-|whsec_|SK[0-9a-f]{32}|key-[0-9a-f]{32}|[0-9]{8,10}:AA[\w-]{30}|EAACEdEose0cBA|"
    # Language models
    "sk-(?:proj|ant|svcacct|admin|or)-|sk-[A-Za-z0-9]{16}|xai-[A-Za-z0-9]{16}|gsk_|pplx-|nvapi-|tvly-|"
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
    r"hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|webhook\.office\.com/|api\.telegram\.org/bot|"
    r"hooks\.zapier\.com/|logic\.azure\.com[^\s]{1,500}sig="
)
_USER = r"(?!(?:mailto|sips?|xmpp|acct|npm):)[^\s:/@\"'=,;]{1,100}"
# `name=value` and `"name": "value"`, with these words and with shorter ones.
_NAMED = rf"(?i:(?:{_WORDS})[\w.-]{{0,20}}[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?)[^\s\"'&;,]{{3}}"
_PARAMETER = r"(?i:(?:^|[?&;\s\"'])(?:pwd|pass|sig|jwt|key|auth|code|session)[\"']?[=:])[^\s&;\"',]{8}"
# The first that matches names the kind. All are linear in the length of the value.
_KINDS = (
    ("a private key or certificate", r"-{4,5} ?BEGIN |PuTTY-User-Key-File|LS0tLS1CRUdJTi"),
    ("the key of a service account", r'"private_key|"type"\s{0,5}:\s{0,5}"service_account|ewogICJ0eXBlIj|eyJhdXRocyI'),
    # A user name alone can be a token. `git` is the user of SSH.
    ("a URL with credentials", r"[/\\]{2}(?!git@)[^\s/?#\\@]{1,2000}@[^\s@]"),
    ("a URL with credentials", r"[/\\]{2}[^\s/?#\\@:]{0,200}:(?!\d{1,5}(?:[/?#]|$))[^\s]{1,200}@[^\s@]"),
    # Addresses without a scheme, such as `user:password@tcp(host)/name`, but not `image:tag@sha256:…`.
    ("an address with a password", rf"(?:^|(?<=[\s\"'=,;])){_USER}:[^\s/@]{{1,200}}@(?!sha\d)[\w(\[]"),
    ("a JSON Web Token", r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}"),
    ("an authorization header", r"(?i:\b(?:bearer|negotiate|digest)\s{1,5})[\w.~+/-]{8}"),
    ("an authorization header", r"(?i:\bbasic\s{1,5})(?=[a-z+/]{0,200}[A-Z0-9=])[A-Za-z0-9+/]{6}"),
    ("a token", rf"(?<![A-Za-z0-9])(?:{_PREFIXES})"),
    ("the address of a webhook", _WEBHOOKS),
    ("a password, token or key", _NAMED),
    ("a password, token or key", _PARAMETER),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
# In characters. Linux limits a variable to 128 KiB (MAX_ARG_STRLEN), Windows to 32 KiB.
_LONGEST = 256 * 1024


def kind_of_secret(value: str) -> str:
    """Return what kind of secret a value holds, in words; empty if none is recognized."""
    text = value[:_LONGEST]
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), "")
