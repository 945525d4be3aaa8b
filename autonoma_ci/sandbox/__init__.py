"""A local stand-in for the Autonoma API: for the demo, for dry pipelines and for tests.

It takes what the API contract takes, in one of two revisions, and refuses the rest. Its runs move from
pending over running to their end as time goes by, and it notes what it received. It listens on loopback
only, needs nothing but the standard library, and stands apart from the rest of the package.

Any well-formed id starts a run that passes. These ask for something else, for tests, folders and tags
alike, and with anything after a further hyphen too (`sandbox-fails-2`). Those about the answer hold
wherever a path takes an id, so `GET /run/sandbox-500/status` answers 500:

    sandbox-401, -403, -404, -500    that status, every time
    sandbox-429, sandbox-503         that status with Retry-After: 1 for the id's first request, then as usual
    sandbox-429-always               429 with Retry-After: 1, every time
    sandbox-quota                    the account's quota is used up: 402, or 403 in revision 2026-01
    sandbox-device-farm              500 "Device Farm Project ARN is not configured"
    sandbox-web-page                 200 with a web page, as from a host without this API
    sandbox-slow                     the answer comes after three seconds times the pace
    sandbox-fails                    the run ends as failed, at a step that says why
    sandbox-flaky                    the id's first run fails, the next ones pass
    sandbox-stays                    the run never ends
    sandbox-stopped                  the run is cancelled on the server
    sandbox-takes-30                 the run takes 30 seconds times the pace; any other number does as well

sandbox-quota, sandbox-device-farm and sandbox-web-page hold for a start only. The ids of the account's folders, tests
and tags are known: to start one as another kind answers 404, as `POST /test/cm7t223mk00154mzy2jwk2pqy/run` does.

The paths are those of the contract below `/api`. Outside it, and without credentials, are a page for
each run (the link that an answer gives), its images and video, and `/received`: what was asked so far, with the
names of the variables, without their values and without credentials.
"""

from autonoma_ci.sandbox.request_log import RecordedRequest
from autonoma_ci.sandbox.scenarios import SCENARIO_IDS
from autonoma_ci.sandbox.server import Sandbox

__all__ = ["SCENARIO_IDS", "RecordedRequest", "Sandbox"]
