"""A local fake API server for demos, dry pipelines and tests.

The sandbox accepts requests that match the API contract, in one of two revisions, and rejects all others. Its runs
change from pending to running to their final status as time passes. A log records each request. The server listens on
loopback only, needs only the standard library, and imports nothing else of this package.

Any well-formed id starts a run that passes. The ids below select another scenario, for tests, folders and tags alike.
A suffix after a further hyphen is allowed (`sandbox-fails-2`). Scenarios with a response apply to each path with an
id, so `GET /run/sandbox-500/status` returns 500 too:

    sandbox-401, -403, -404, -500    this status for every request
    sandbox-429, sandbox-503         this status with Retry-After: 1 for the id's first request, then as usual
    sandbox-429-always               429 with Retry-After: 1 for every request
    sandbox-quota                    the account's quota is used up: 402, or 403 in revision 2026-01
    sandbox-device-farm              500 "Device Farm Project ARN is not configured"
    sandbox-web-page                 200 with a web page, as from a host without this API
    sandbox-slow                     the response comes after three seconds times the pace
    sandbox-fails                    the run fails at a step with a failure message
    sandbox-flaky                    the id's first run fails, the next ones pass
    sandbox-stays                    the run never ends
    sandbox-stopped                  the run is cancelled on the server
    sandbox-takes-30                 the run lasts 30 seconds times the pace, or any other number

sandbox-quota, sandbox-device-farm and sandbox-web-page apply only to requests that start a run. The account has known
ids of folders, tests and tags. To start one of them as another kind returns 404, for example
`POST /test/cm7t223mk00154mzy2jwk2pqy/run`.

The API paths are below `/api`. Other paths need no credentials: a page for each run, which is the link in a response,
with its images and video, and `/received`. The last one lists all requests with the names of variables, without their
values and without credentials.
"""

from autonoma_ci.sandbox.request_log import RecordedRequest
from autonoma_ci.sandbox.scenarios import SCENARIO_IDS
from autonoma_ci.sandbox.server import Sandbox

__all__ = ["SCENARIO_IDS", "RecordedRequest", "Sandbox"]
