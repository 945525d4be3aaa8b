"""A manifest with each kind of entry, and manifests of today."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

MANIFEST = """\
version: 1
defaults:
  application_version_id: ${APP_VERSION_ID:-cm7dbowr80042waka7thyjhkq}
  variables: {ENVIRONMENT: staging, BASE_URL: "https://pr-${ci.change}.preview.example.com"}
tests:
  - g41k688vndxzt7kh4kq5m12s
  - id: cm8d9gt6v000c9fe5glmyi33u
    name: Checkout pays by card
    groups: [smoke, checkout]
    variables: { NAME: CompanyName, RELEASE: 1.10 }
    matrix: { LOCALE: [en, fr] }
folders: [{id: cm7t223mk00154mzy2jwk2pqy, name: private-listing-hub}]
tags: [cm9r0nog10012v301qtollv01]
application_versions:
  - { application_id: cm9xyz12340567pqrs8tuvwxy, version_id: cm9abc34560789defg0hijklm }
"""


def renew_quarantines(text: str, days: int = 30) -> str:
    """Return a manifest whose quarantines end in some days.

    A date in a file would expire, or be too far ahead of the clock of a machine.
    """
    last_day = datetime.now(UTC).date() + timedelta(days)
    return re.sub(r"(?<=until: )\d{4}-\d\d-\d\d", last_day.isoformat(), text)
